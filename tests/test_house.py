"""The house's own rules: who may know whom, how long things are, what help loads, what is tracked."""

from __future__ import annotations

import ast
import json
import os
import re
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
from rooms import MAY_KNOW, MOST_ARROWS, ROOT

from spikecli.cli import app

PACKAGE = ROOT / "spikecli"
FILES = sorted(PACKAGE.rglob("*.py"))

LINES_A_FILE = 250
LINES_A_FUNCTION = 40

HEAVY = {
    "h5py", "httpx", "imageio", "imageio_ffmpeg", "matplotlib", "open3d", "open_clip", "PIL", "plotly", "pooch",
    "scipy", "sklearn", "tensorboard", "timm", "tonic", "torch", "torchvision",
}  # fmt: skip
# Rooms that answer before torch is loaded, or without it; the others multiply matrices.
TORCH_FREE = {
    "",
    "__main__",
    "cli",
    "console",
    "datasets",
    "errors",
    "files",
    "progress",
    "settings",
    "view",
}


def module_of(path: Path) -> str:
    """Return the dotted name, without `spikecli.`, of a file of the package: "view.look", "cli", ""."""
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


@cache
def imports(path: Path) -> frozenset[str]:
    return frozenset(name for node in ast.walk(tree(path)) for name in targets(node))


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


@cache
def modules() -> frozenset[str]:
    return frozenset(module_of(path) for path in FILES)


@cache
def house_imports(path: Path) -> frozenset[str]:
    """Return the modules of the package, without `spikecli.`, that a file imports anywhere."""
    known = modules()
    found = set()
    for name in imports(path):
        if name == "spikecli" or name.startswith("spikecli."):
            inner = name.removeprefix("spikecli").removeprefix(".")
            found.add(inner if inner in known else inner.rpartition(".")[0])
    return frozenset(found - {""})


# Each rule is one test, which lists its offenders.


def test_rooms_know_only_the_rooms_below_them() -> None:
    found = {
        f"{module_of(path)} knows {other}"
        for path in FILES
        if (me := room(module_of(path))) in MAY_KNOW
        for other in house_imports(path)
        if room(other) != me and room(other) not in MAY_KNOW[me]
    }
    assert found == set()


def test_every_room_has_a_rule() -> None:
    assert {room(module_of(path)) for path in FILES} - MAY_KNOW.keys() <= {"", "__main__", "cli"}


def arrows() -> set[tuple[str, str]]:
    """Return which room imports from which, anywhere in its files; the package's own `__init__` is no room."""
    found = {(room(module_of(path)), room(other)) for path in FILES for other in house_imports(path)}
    return {(me, other) for me, other in found if me != other and "" not in (me, other)}


def test_arrows_between_rooms_do_not_grow_and_none_is_allowed_for_nothing() -> None:
    assert len(arrows()) <= MOST_ARROWS
    allowed = {(me, other) for me, others in MAY_KNOW.items() for other in others}
    assert allowed - arrows() == set()


def test_arrows_between_rooms_run_in_no_circle() -> None:
    left = {me: {other for mine, other in arrows() if mine == me} for me, _ in arrows()}
    while free := [me for me, others in left.items() if not others & left.keys()]:
        left = {me: others for me, others in left.items() if me not in free}
    assert left == {}


def test_clouds_events_and_images_know_nothing_of_each_other() -> None:
    wings = {"datasets.clouds", "datasets.events", "datasets.images", "view.clouds", "view.images", "view.recordings"}
    found = set()
    for path in FILES:
        mine = next((wing for wing in wings if f"{module_of(path)}.".startswith(f"{wing}.")), None)
        if mine:
            others = {wing for wing in wings if wing != mine and wing.split(".")[0] == mine.split(".")[0]}
            found |= {
                f"{module_of(path)} knows {other}"
                for other in house_imports(path)
                if any(f"{other}.".startswith(f"{wing}.") for wing in others)
            }
    assert found == set()


def test_no_command_knows_another() -> None:
    shared = ("cli.options", "cli.shown")
    found = {
        f"{module_of(path)} knows {other}"
        for path in FILES
        if module_of(path).startswith("cli.")
        for other in house_imports(path)
        if other.startswith("cli.") and not other.startswith(shared)
    }
    assert found == set()


def test_imports_run_in_no_circle() -> None:
    """Nowhere in a file, whether at its top, inside a function or for mypy alone: a circle of files has no order."""
    left = {module_of(path): house_imports(path) - {module_of(path)} for path in FILES}
    while free := {name for name, to in left.items() if not to & left.keys()}:
        left = {name: to for name, to in left.items() if name not in free}
    assert left.keys() == set()


def test_no_file_imports_the_face() -> None:
    """`spikecli/__init__.py` hands on names of the library, which is built on all the rest: that would be a way up."""
    found = {
        f"{module_of(path)} imports {name}"
        for path in FILES
        for name in imports(path)
        if name == "spikecli" or (name.startswith("spikecli.") and name.split(".")[1] not in modules())
    }
    assert found == set()


def test_settings_and_errors_need_only_the_standard_library_and_pydantic() -> None:
    allowed = set(sys.stdlib_module_names) | {"pydantic", "spikecli"}
    found = {
        f"{module_of(path)} imports {name}"
        for path in FILES
        if room(module_of(path)) in ("settings", "errors")
        for name in imports(path)
        if name.split(".")[0] not in allowed
    }
    assert found == set()


def test_heavy_packages_are_imported_where_they_are_used() -> None:
    found = set()
    for path in FILES:
        me = room(module_of(path))
        torch_too = me not in TORCH_FREE or module_of(path) == "files.tensors"
        allowed = ({"h5py"} if me in ("datasets", "files") else set()) | ({"torch"} if torch_too else set())
        loaded = {name.split(".")[0] for node in at_top(tree(path).body) for name in targets(node)}
        found |= {f"{module_of(path)} loads {name}" for name in (loaded & HEAVY) - allowed}
    assert found == set()


def test_a_command_file_knows_only_the_console_and_settings_at_its_top() -> None:
    allowed = re.compile(r"spikecli(\.(cli|console|settings|errors)\b.*)?$")
    found = {
        f"{module_of(path)} imports {name}"
        for path in FILES
        if room(module_of(path)) == "cli"
        for node in at_top(tree(path).body)
        for name in targets(node)
        if name.startswith("spikecli") and not allowed.match(name)
    }
    assert found == set()


def test_importing_a_module_does_nothing() -> None:
    found = set()
    for path in FILES:
        calls = [
            ast.unparse(node)
            for node in at_top(tree(path).body)
            if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)
        ]
        if room(module_of(path)) == "cli":
            calls = [call for call in calls if not re.match(r"\w+\.(command|add_typer|callback)\(", call)]
        guarded = [
            node for node in tree(path).body if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)
        ]
        inside = {ast.unparse(each) for node in guarded for each in node.body}
        found |= {f"{module_of(path)}: {call}" for call in calls if call not in inside}
    assert found == set()


def test_only_the_console_prints() -> None:
    printing = {"print", "sys.stdout", "sys.stderr", "typer.secho", "click.echo"}
    found = set()
    for path in FILES:
        me = module_of(path)
        names = {ast.unparse(node) for node in ast.walk(tree(path)) if isinstance(node, ast.Name | ast.Attribute)}
        if me != "console":
            forbidden = printing if me == "cli" else printing | {"typer.echo"}
            found |= {f"{me} uses {name}" for name in names & forbidden}
        if room(me) not in ("cli", "__main__"):
            found |= {f"{me} knows {other}" for other in house_imports(path) if room(other) in ("cli", "console")}
    assert found == set()


def test_nothing_is_unpickled() -> None:
    found = set()
    for path in FILES:
        calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
        names = {ast.unparse(call.func) for call in calls}
        found |= {
            f"{module_of(path)} calls {name}"
            for name in names & {"pickle.load", "pickle.loads", "pickle.Unpickler", "eval", "exec"}
        }
        for call in calls:
            words = {ast.unparse(word) for word in call.keywords}
            if ast.unparse(call.func) == "torch.load" and "weights_only=True" not in words:
                found.add(f"{module_of(path)} loads a pickle")  # other people's CLIP weights come as .pt files
    assert found == set()


def test_files_and_functions_are_short() -> None:
    found = {
        f"{module_of(path)}: {lines} lines"
        for path in FILES
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LINES_A_FILE
    }
    found |= {
        f"{module_of(path)}.{node.name}: {lines} lines"
        for path in FILES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
        if (lines := node.end_lineno - node.lineno + 1) > LINES_A_FUNCTION
    }
    assert found == set()


def test_everything_public_says_what_it_is() -> None:
    found = {module_of(path) for path in FILES if not ast.get_docstring(tree(path))}
    found |= {
        f"{module_of(path)}.{node.name}"
        for path in FILES
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    }
    assert found == set()


def raised_by(function: ast.FunctionDef) -> set[str]:
    """Return the names of the exceptions that the body of a function raises itself."""
    calls = {node.exc for node in ast.walk(function) if isinstance(node, ast.Raise) and node.exc}
    return {ast.unparse(each.func if isinstance(each, ast.Call) else each).split(".")[-1] for each in calls}


def documented(nodes: list[ast.stmt]) -> Iterator[ast.FunctionDef]:
    """Yield the functions of a file and the methods of its classes."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef):
            yield node
        elif isinstance(node, ast.ClassDef):
            yield from documented(node.body)


def test_a_docstring_says_when_a_function_raises() -> None:
    errors = {"SpikeError", "SettingError", "ChoiceError", "UnknownName", "Stopped"}
    passing = re.compile(r"(?<![Rr]aise )(SpikeError|SettingError|ChoiceError) (when|if|as|for|without|otherwise)\b")
    found = set()
    for path in FILES:
        for node in documented(tree(path).body):
            says = " ".join((ast.get_docstring(node) or "").split())
            command = "Example: " in says  # its docstring is its help
            if (
                raised_by(node) & errors
                and not node.name.startswith("_")
                and not command
                and "raise" not in says.lower()
            ):
                found.add(f"{module_of(path)}.{node.name} raises and does not say so")
            if passing.search(says):
                found.add(f'{module_of(path)}.{node.name}: write "raise SpikeError if ..."')
    assert found == set()


def test_no_two_public_classes_share_a_name() -> None:
    where: dict[str, list[str]] = {}
    for path in FILES:
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where.setdefault(node.name, []).append(module_of(path))
    assert {name: found for name, found in where.items() if len(found) > 1} == {}


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


def test_the_command_reference_is_that_of_the_commands() -> None:
    line = [sys.executable, str(ROOT / "scripts" / "command_reference.py"), "--check"]  # no plug-in of another test
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(line, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_every_command_has_help_with_an_example_and_is_in_the_reference() -> None:
    reference = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    found = commands()
    assert {"train", "view", "doctor"} <= set(found)
    offenders = {f"the help of {name} has no example" for name in found if "Example: " not in (found[name].help or "")}
    offenders |= {f"docs/cli.md has no {name}" for name in found if f"## spikecli {name}\n" not in reference}
    offenders |= {
        f"{name} {parameter.name} has no help"
        for name, command in found.items()
        for parameter in command.params
        if not getattr(parameter, "help", None)
    }
    assert offenders == set()


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


HELP_NEEDS = {
    "annotated_doc", "annotated_types", "attr", "click", "markdown_it", "mdurl", "pydantic", "pydantic_core",
    "pygments", "rich", "shellingham", "spikecli", "typer", "typing_extensions", "typing_inspection",
}  # fmt: skip


def test_help_imports_few_packages() -> None:
    """Help is instant because it imports little: count that, not seconds. benchmarks/ has the seconds."""
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "from spikecli.cli import run\n"
        "run(['--help'])\n"
        "sys.stderr.write('\\n' + ' '.join({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ended.stderr.splitlines()[-1].split()) - set(sys.stdlib_module_names)
    assert {name for name in loaded if not name.startswith("_")} - HELP_NEEDS == set()


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
    found = set()
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        words = {each.group() for rule in (machine, hosts) for each in rule.finditer(text)}
        words |= {str(ROOT)} if str(ROOT) in text else set()
        found |= {f"{path.relative_to(ROOT)} holds {word!r}" for word in words}
    assert found == set()


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
    there = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    unnamed = {name for name in there if not any(fnmatch(name, pattern) for pattern in patterns)}
    assert unnamed == set(), "no package-data of pyproject.toml names them"


def texts(node: ast.AST) -> Iterator[str]:
    """Yield the strings in a piece of code but for docstrings, each f-string whole, without what it fills in."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in child.values)
        elif isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child.value
        elif not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)):
            yield from texts(child)


def test_the_library_names_values_and_the_command_line_options() -> None:
    """Text of the library says `named("batch_size")`; help, the taxonomy and lines for a shell hold options."""
    own = (
        "cli",
        "console",
        "machine.doctor",
        "settings.plugins",
        "errors",
        "settings.taxonomy",
        "settings.choices",
        "settings.release",
        "settings.config",
    )
    found = {
        f"{module_of(path)}: {text}"
        for path in FILES
        if not module_of(path).startswith(own) and module_of(path) not in ("machine.processes", "machine.graphics")
        for text in texts(tree(path))
        if re.search(r"(?<![\w-])--[a-z]", re.sub("`[^`]*`", "", text))
    }
    assert found == set()


# Plain words for an engineer who reads English as a second language; the right side is what to write instead.
MANNERED = {
    r"leave it away|left away": "remove, left out",
    r"where there (is|are) none": "if there is none",
    r"(is|are|was) told of": "gets, knows",
    r"takes? it over": "where it goes",
    r"anew": "again",
    r"of the first days": "old",
    r"as a dial|no dial": "number of time steps, early stopping",
    r"(goes?|went) (its|their) own way": "has a path of its own",
    r"one's own": "your",
    r"nobody": "no user, no program, or the passive",
    r"knows? (nothing|no time)": "does not import, does not depend on, has no",
    r"speaks? against": "contradicts",
    r"hence|thus|lest|thereof|thereby|whence|hitherto|whereof|wherein|herein|upon": "so, of it, so far, on",
    r"firms? up": "rises",
    r"be it": "whether",
}


def test_words_are_plain() -> None:
    found = set()
    texts = [*FILES, *sorted((ROOT / "docs").glob("*.md")), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md"))]
    for path in texts:
        text = " ".join(path.read_text(encoding="utf-8").replace("#", " ").split())
        for pattern, instead in MANNERED.items():
            found |= {
                f"{path.relative_to(ROOT)}: {match.group()!r}; write: {instead}"
                for match in re.finditer(rf"\b({pattern})\b", text, re.IGNORECASE)
            }
    assert found == set()


def settings() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_what_the_two_commands_install_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = [Requirement(line) for line in lines if line and not line.startswith("#")]
    pins = {
        each.name: next(iter(each.specifier)).version
        for each in pinned
        if each.marker is None or each.marker.evaluate()
    }
    project = settings()["project"]
    extras = (project["optional-dependencies"][name] for name in ("clip", "events", "train", "view", "dev"))
    asked = [Requirement(line) for lines in (project["dependencies"], *extras) for line in lines]
    here = [each for each in asked if each.marker is None or each.marker.evaluate()]
    wrong = {
        f"{each} is pinned to {pins.get(canonicalize_name(each.name))}"
        for each in here
        if not each.specifier.contains(pins.get(canonicalize_name(each.name), "0.dev0"))
    }
    assert wrong == set()
    # The pair that keeps a CPU build of torch from being replaced by twenty CUDA packages.
    assert {"torch", "torchvision"} <= set(pins)
    assert not [name for name in pins if name.startswith(("nvidia", "cuda", "spikingjelly"))]
    assert list(pins) == sorted(pins)


def test_ci_runs_what_a_desk_runs() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text(encoding="utf-8")
    recipe = subprocess.run(["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tools = ("ruff check", "ruff format --check", "mypy", "pytest")
    assert [tool for tool in tools if f"bin/{tool}" not in recipe] == []


def test_the_checks_before_a_commit_fetch_nothing() -> None:
    """Every hook runs a tool of the project's environment, so none needs a network or has a version of its own."""
    lines = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8").splitlines()
    assert {line.strip() for line in lines if "repo:" in line} == {"- repo: local"}
    tools = {line.split()[1].removeprefix(".venv/bin/") for line in lines if line.strip().startswith("entry:")}
    assert tools == {"ruff", "mypy", "codespell"}
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert {tool for tool in tools if f"\n{tool}==" not in pins} == set()


def test_tests_import_helpers_and_never_a_test_or_the_folder_they_lie_in() -> None:
    # `pytest` puts this folder on the path, and not the one above it, as `python -m pytest` does.
    offenders = [
        f"{path.name}: {target}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for target in targets(node)
        if target.startswith(("tests", "test_"))
    ]
    assert not offenders
