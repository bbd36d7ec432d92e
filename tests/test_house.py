"""The house's own rules: who may know whom, how long things are, what help loads, what is tracked."""

from __future__ import annotations

import ast
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import click
import pytest
import typer.main
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from spikecli.cli import app

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "spikecli"
FILES = sorted(PACKAGE.rglob("*.py"))

LINES_A_FILE = 250
LINES_A_FUNCTION = 40

HEAVY = {
    "h5py", "httpx", "imageio", "imageio_ffmpeg", "matplotlib", "open3d", "open_clip", "PIL", "plotly", "pooch",
    "scipy", "sklearn", "tensorboard", "timm", "tonic", "torch", "torchvision",
}  # fmt: skip
# Rooms that answer before torch is loaded, or without it; the others multiply matrices.
TORCH_FREE = {"", "__main__", "cli", "config", "console", "datasets", "doctor", "errors", "storage", "view"}


def module_of(path: Path) -> str:
    """Return the dotted name, without `spikecli.`, of a file of the package: "view.points", "cli", ""."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module: str) -> str:
    return module.split(".")[0]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def targets(node: ast.AST) -> list[str]:
    """Return the full names an import statement may load: `from a import b` is a and a.b."""
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute here"
        return [f"{node.module}.{name.name}" for name in node.names]
    return []


def imports(path: Path) -> set[str]:
    return {name for node in ast.walk(tree(path)) for name in targets(node)}


def at_top(nodes: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when a module is imported; a TYPE_CHECKING block does not."""
    for node in nodes:
        if isinstance(node, ast.If | ast.Try | ast.With):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                continue
            for field in ("body", "orelse", "finalbody"):
                yield from at_top(getattr(node, field, []))
            for handler in getattr(node, "handlers", []):
                yield from at_top(handler.body)
        else:
            yield node


def modules() -> set[str]:
    return {module_of(path) for path in FILES}


def house_imports(path: Path) -> set[str]:
    """Return the modules of the package, without `spikecli.`, that a file imports anywhere."""
    known = modules()
    found = set()
    for name in imports(path):
        if name == "spikecli" or name.startswith("spikecli."):
            inner = name.removeprefix("spikecli").removeprefix(".")
            found.add(inner if inner in known else inner.rpartition(".")[0])
    return found - {""}


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_who_knows_whom(path: Path) -> None:
    me = module_of(path)
    known = {room(other) for other in house_imports(path)}
    if room(me) not in ("cli", "__main__"):
        assert "cli" not in known, "nothing knows the command line"
        assert "console" not in known, "only the command line prints"
    flows = {"training", "evaluation", "weights", "neuroclip", "speed", "view"}
    forbidden = {
        "neurons": {"models", "datasets"} | flows,
        "models": {"datasets"} | flows,
        "datasets": {"models", "neurons"} | flows,
        "weights": flows - {"weights"},
        "evaluation": {"training", "neuroclip", "speed", "view"},
        "training": {"neuroclip", "speed", "view"},
        "neuroclip": {"training", "weights", "speed", "view"},
        "speed": {"neuroclip", "evaluation", "view"},
        "config": modules() - {"errors"},
        "errors": modules(),
        "training.losses": {"models", "datasets", "neurons"},
        "evaluation.metrics": {"models", "datasets", "neurons"},
        "storage": modules() - {"errors"},
        "console": modules() - {"errors"},
    }
    assert not known & forbidden.get(room(me), set()) and not known & forbidden.get(me, set())


@pytest.mark.parametrize("name", ["config", "errors"])
def test_settings_and_errors_need_only_the_standard_library_and_pydantic(name: str) -> None:
    roots = {found.split(".")[0] for found in imports(PACKAGE / f"{name}.py")}
    assert roots <= set(sys.stdlib_module_names) | {"pydantic", "spikecli"}


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_heavy_packages_are_imported_where_they_are_used(path: Path) -> None:
    me = room(module_of(path))
    allowed = {"h5py"} if me == "datasets" else set() if me in TORCH_FREE else {"torch"}
    loaded = {name.split(".")[0] for node in at_top(tree(path).body) for name in targets(node)}
    assert not (loaded & HEAVY) - allowed


@pytest.mark.parametrize("path", [path for path in FILES if room(module_of(path)) == "cli"], ids=module_of)
def test_a_command_file_knows_only_the_console_and_settings_at_its_top(path: Path) -> None:
    allowed = re.compile(r"spikecli(\.(__version__|cli|console|config|errors)\b.*)?$")
    names = {name for node in at_top(tree(path).body) for name in targets(node) if name.startswith("spikecli")}
    assert [name for name in sorted(names) if not allowed.match(name)] == []


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_importing_a_module_does_nothing(path: Path) -> None:
    calls = [
        ast.unparse(node)
        for node in at_top(tree(path).body)
        if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)
    ]
    if room(module_of(path)) == "cli":
        calls = [call for call in calls if not re.match(r"\w+\.(command|add_typer|callback)\(", call)]
    if module_of(path) == "__main__" or "__name__" in path.read_text(encoding="utf-8"):
        guarded = [
            node for node in tree(path).body if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)
        ]
        calls = [call for call in calls if call not in {ast.unparse(each) for node in guarded for each in node.body}]
    assert calls == []


@pytest.mark.parametrize("path", [path for path in FILES if module_of(path) != "console"], ids=module_of)
def test_only_the_console_prints(path: Path) -> None:
    me = module_of(path)
    names = [ast.unparse(node) for node in ast.walk(tree(path)) if isinstance(node, ast.Name | ast.Attribute)]
    assert not {"print", "sys.stdout", "sys.stderr", "typer.secho", "click.echo"} & set(names)
    if me != "cli":
        assert "typer.echo" not in names


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_nothing_is_unpickled(path: Path) -> None:
    calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    names = {ast.unparse(call.func) for call in calls}
    assert not names & {"pickle.load", "pickle.loads", "pickle.Unpickler", "eval", "exec"}
    for call in calls:
        if ast.unparse(call.func) == "torch.load":  # other people's CLIP weights come as .pt files
            assert "weights_only=True" in {ast.unparse(word) for word in call.keywords}


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_files_and_functions_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LINES_A_FILE
    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    }
    assert {name: lines for name, lines in long.items() if lines > LINES_A_FUNCTION} == {}


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_everything_public_says_what_it_is(path: Path) -> None:
    bare = [
        node.name
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert ast.get_docstring(tree(path)) and bare == []


# The command line.


def commands() -> dict[str, click.Command]:
    """Return every command by its full name: "data prepare"."""

    def walk(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
        # Typer may bring a click of its own: a group is what has commands.
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        else:
            for each, child in inner.items():
                yield from walk(child, f"{name} {each}".strip())

    return dict(walk(typer.main.get_command(app), ""))


def test_every_command_has_help_with_an_example_and_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = commands()
    assert {"train", "view", "doctor"} <= set(found)
    for name, command in found.items():
        assert "Example: " in (command.help or ""), f"the help of {name} has no example"
        assert f"spikecli {name}" in readme, f"README.md does not name `spikecli {name}`"
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name} {parameter.name} has no help"


def test_help_loads_nothing_heavy() -> None:
    lines = [["--help"], *[[*name.split(), "--help"] for name in sorted(commands())]]
    code = (
        "import json, sys\n"
        "from spikecli.cli import run\n"
        "lines, heavy = json.loads(sys.argv[1])\n"
        "codes = [run(line) for line in lines]\n"
        "sys.stderr.write('\\n' + json.dumps([codes, sorted(set(heavy) & set(sys.modules))]))"
    )
    given = json.dumps([lines, sorted(HEAVY)])
    ended = subprocess.run([sys.executable, "-c", code, given], capture_output=True, text=True, check=True)
    codes, loaded = json.loads(ended.stderr.splitlines()[-1])
    assert codes == [0] * len(lines)
    assert loaded == []
    assert ended.stdout.count("Usage:") == len(lines)


def test_help_answers_in_half_a_second() -> None:
    def cost() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "spikecli", "--help"], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    assert min(cost() for _ in range(3)) < 0.5  # seconds of processor time: a busy machine changes nothing


# The repository.


def tracked() -> list[Path]:
    """Return the files that are tracked, or new and not ignored."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in sorted(listed.stdout.split("\0")) if name and (ROOT / name).is_file()]


def test_no_tracked_file_knows_a_machine_or_a_registry() -> None:
    places = "|".join(["work", "home", "root", "Users", "opt", "tmp", "var/tmp"])
    machine = re.compile(rf"(?<![\w.~\-/])/({places})/[\w.]")
    hosts = re.compile("|".join(["pypi" + r"\.org", "pythonhosted" + r"\.org", "npmjs" + r"\.", "deb" + r"\.debian"]))
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found = machine.search(text) or hosts.search(text)
        assert not found, f"{path.relative_to(ROOT)} holds {found and found.group()!r}"
        assert str(ROOT) not in text, path


def test_data_and_runs_are_ignored_and_the_package_is_not() -> None:
    files = {path.relative_to(ROOT).as_posix() for path in tracked()}
    assert {path.relative_to(ROOT).as_posix() for path in FILES} <= files

    def ignored(name: str) -> bool:
        return subprocess.run(["git", "check-ignore", "-q", name], cwd=ROOT, check=False).returncode == 0

    assert (
        ignored("data/shapes/train.h5") and ignored("checkpoints/run/model.safetensors") and ignored(".venv/bin/python")
    )
    assert not ignored("spikecli/data/templates.txt") and not ignored("checkpoints/README.md")


def test_what_is_not_python_in_the_package_is_installed_with_it() -> None:
    patterns = settings()["tool"]["setuptools"].get("package-data", {}).get("spikecli", [])
    for path in sorted(PACKAGE.rglob("*")):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            name = path.relative_to(PACKAGE).as_posix()
            assert any(fnmatch(name, pattern) for pattern in patterns), (
                f"no package-data of pyproject.toml names {name}"
            )


def settings() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_what_the_two_commands_install_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    project = settings()["project"]
    asked = [Requirement(line) for line in project["dependencies"] + project["optional-dependencies"]["dev"]]
    for requirement in asked:
        if requirement.marker is None or requirement.marker.evaluate():
            version = pins.get(canonicalize_name(requirement.name))
            assert version, f"constraints.txt does not pin {requirement.name}"
            assert requirement.specifier.contains(version), requirement
    # The pair that keeps a CPU build of torch from being replaced by twenty CUDA packages.
    assert {"torch", "torchvision"} <= set(pins)
    assert not [name for name in pins if name.startswith(("nvidia", "cuda", "snntorch", "spikingjelly"))]
    assert list(pins) == sorted(pins)


def test_ci_runs_what_a_desk_runs() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text(encoding="utf-8")
    recipe = subprocess.run(["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for tool in ("ruff check", "ruff format --check", "mypy", "pytest"):
        assert f"bin/{tool}" in recipe
