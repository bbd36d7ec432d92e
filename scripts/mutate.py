"""Change one line in each of many functions, one at a time, and say which changes no test notices.

    python scripts/mutate.py --count 60 --seed 0              draw functions, mutate, run the tests that touch them
    python scripts/mutate.py --map --count 0                  learn again which test calls which function
    python scripts/mutate.py --only 3 17                      try two of them again

The first run learns which test calls which function, and what each costs, by running the whole suite once under a
profiler. A mutant runs in a copy of the tree, so the checkout is never touched; the cheapest tests that touch it come
first. A test that fails without the mutant too kills none. Exit status 1 when more survive than --allowed.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import gc
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "spikecli"
MAP = ROOT / ".pytest_cache" / "calls.json"  # test → functions of the package that it calls, and processor seconds
PATIENCE = 20  # times the seconds that the tests take: an endless loop is noticed, a busy machine is not
WARM = ("torch", "torch._dynamo", "h5py", "rich.table", "pydantic", "typer", "safetensors.torch", "PIL.Image")
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.And: ast.Or, ast.Or: ast.And,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One changed line: where, what stood there, what stands there now, and the whole new text of the file."""

    path: Path
    function: str
    line: int
    was: str
    now: str
    text: str


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield the qualified name and definition of every function and method in a file, outermost ones alone."""
    stack: list[tuple[str, ast.AST]] = [("", ast.parse(path.read_text(encoding="utf-8")))]
    while stack:
        prefix, node = stack.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef):
                yield f"{prefix}{child.name}", child
            elif isinstance(child, ast.ClassDef):
                stack.append((f"{prefix}{child.name}.", child))


def changes(function: ast.FunctionDef) -> Iterator[tuple[ast.AST, ast.AST | None]]:
    """Yield (node, replacement) for each change that fits one line of a function; None removes the statement."""
    documented = ast.get_docstring(function) is not None
    for statement in function.body[documented:]:
        for node in ast.walk(statement):
            if getattr(node, "lineno", 0) != getattr(node, "end_lineno", -1):
                continue
            if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
                ops = [SWAPS[type(node.ops[0])](), *node.ops[1:]]
                yield node, ast.Compare(node.left, ops, node.comparators)
            elif isinstance(node, ast.BinOp) and type(node.op) in SWAPS:
                yield node, ast.BinOp(node.left, SWAPS[type(node.op)](), node.right)
            elif isinstance(node, ast.BoolOp):
                yield node, ast.BoolOp(SWAPS[type(node.op)](), node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
                yield node, ast.Constant(not node.value)
            elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
                yield node, ast.Constant(node.value + 1)
            elif isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Constant):
                yield node, ast.Return(ast.Constant(None))
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                yield node, None


def mutant(path: Path, name: str, function: ast.FunctionDef, draw: random.Random) -> Mutant | None:
    """Return the function's file with one change drawn at random, None when nothing in it can be changed."""
    text = path.read_text(encoding="utf-8")
    found = list(changes(function))
    if not found:
        return None
    node, replacement = draw.choice(found)
    lines = text.splitlines(keepends=True)
    row = node.lineno - 1  # type: ignore[attr-defined]
    raw = lines[row].encode()
    start, end = node.col_offset, node.end_col_offset  # type: ignore[attr-defined]
    new = "pass" if replacement is None else ast.unparse(ast.fix_missing_locations(replacement))
    if replacement is not None and not isinstance(replacement, ast.Return):
        new = f"({new})"
    was = lines[row].strip()
    lines[row] = (raw[:start] + new.encode() + raw[end:]).decode()
    changed = "".join(lines)
    try:
        ast.parse(changed)
    except SyntaxError:  # a change inside an f-string
        return None
    return Mutant(path, name, row + 1, was, lines[row].strip(), changed)


def drawn(count: int, seed: int) -> list[Mutant]:
    """Return `count` mutants of as many functions, drawn with a seed from all of the package."""
    draw = random.Random(seed)
    every = [(path, *one) for path in sorted(PACKAGE.rglob("*.py")) for one in functions(path)]
    draw.shuffle(every)
    found = (mutant(path, name, function, draw) for path, name, function in every)
    return [one for one, _ in zip((one for one in found if one), range(count), strict=False)]


PLUGIN = """
import json, os, resource, sys, pytest
ROOT, OUT = os.environ["MUTATE_ROOT"], os.environ["MUTATE_OUT"]
found = {}

def spent():
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    seen, begun = set(), spent()
    def profile(frame, event, arg):
        if event == "call" and frame.f_code.co_filename.startswith(ROOT):
            seen.add(frame.f_code)
    sys.setprofile(profile)
    yield
    sys.setprofile(None)
    named = ((code.co_filename[len(ROOT) + 1:], code.co_qualname.split(".<locals>")[0]) for code in seen)
    calls = sorted({f"{file}:{name}" for file, name in named})
    found[item.nodeid] = {"seconds": round(spent() - begun, 2), "calls": calls}

def pytest_sessionfinish():
    if found:
        with open(os.path.join(OUT, os.environ.get("PYTEST_XDIST_WORKER", "alone") + ".json"), "w") as file:
            json.dump(found, file)
"""


def learn(files: Sequence[str]) -> None:
    """Run the whole suite once, or `files` of it, and note what functions each test calls and what it costs."""
    MAP.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "mutate_calls.py").write_text(PLUGIN, encoding="utf-8")
        path = os.pathsep.join([str(ROOT), folder])
        environment = {**os.environ, "PYTHONPATH": path, "MUTATE_ROOT": str(PACKAGE), "MUTATE_OUT": folder}
        spread = [] if files else ["-n", "logical", "--dist", "loadfile"]
        command = [sys.executable, "-m", "pytest", "-p", "mutate_calls", "-q", *spread, *files]
        subprocess.run(command, cwd=ROOT, env=environment, check=False)
        parts = [json.loads(part.read_text(encoding="utf-8")) for part in Path(folder).glob("*.json")]
    known = json.loads(MAP.read_text(encoding="utf-8")) if files and MAP.exists() else {}
    for part in parts:
        known |= part
    MAP.write_text(json.dumps(known), encoding="utf-8")


Known = dict[str, dict[str, Any]]  # test → its "seconds" and "calls"


def tests_of(one: Mutant, known: Known, budget: float) -> list[str]:
    """Return tests that call the mutated function, the cheapest first, as many as `budget` seconds allow."""
    name = f"{one.path.relative_to(PACKAGE).as_posix()}:{one.function}"
    touching = sorted((test for test in known if name in known[test]["calls"]), key=lambda test: known[test]["seconds"])
    chosen, left = touching[:1], budget
    for test in touching[1:]:
        left -= known[test]["seconds"]
        if left > 0:
            chosen.append(test)
    files: dict[str, list[str]] = {}  # tests of a file run together, since they share what is prepared for them
    for test in chosen:
        files.setdefault(test.split("::")[0], []).append(test)
    cost = {file: sum(known[test]["seconds"] for test in tests) for file, tests in files.items()}
    return [test for file in sorted(files, key=lambda file: cost[file]) for test in files[file]]


class Failed:
    """A plugin of pytest that writes the first test that failed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Write the test's name if it failed."""
        if report.failed and not self.path.exists():
            self.path.write_text(report.nodeid, encoding="utf-8")


def first_failure(tests: Sequence[str], tree: Path, seconds: float, one: Mutant | None = None) -> str | None:
    """Return the first of `tests` that fails in `tree`, "" if none of them could be run, None if all pass.

    They run in a fork of this process, which has imported what is slow; the functions that it has imported are
    changed as `one` says.
    """
    import pytest

    told = tree.parent / f"failed-{os.getpid()}"
    told.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        code = 3
        try:
            os.setsid()
            for number in (1, 2):
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            if one is not None:
                put_in_place(one, tree)
            code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests], plugins=[Failed(told)]))
        except BaseException:  # noqa: BLE001 (a fork must not go on as its parent does)
            told.write_text(traceback.format_exc(), encoding="utf-8")
        finally:
            os._exit(min(code, 3))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return None if status == 0 else told.read_text(encoding="utf-8") if told.exists() else ""
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "(too slow)"


def put_in_place(one: Mutant, tree: Path) -> None:
    """Give the functions that were imported from the mutated file their new code."""
    path = str(tree / one.path.relative_to(ROOT))
    codes, found = [compile(one.text, path, "exec")], {}
    while codes:
        code = codes.pop()
        found[code.co_qualname, code.co_firstlineno] = code
        codes += [inner for inner in code.co_consts if isinstance(inner, CodeType)]
    for function in [each for each in gc.get_objects() if isinstance(each, FunctionType)]:
        old = function.__code__
        new = found.get((old.co_qualname, old.co_firstlineno)) if old.co_filename == path else None
        if new is not None and new.co_freevars == old.co_freevars:
            function.__code__ = new


@dataclass(frozen=True)
class Bench:
    """A copy of the tree, what is known of its tests, and those that fail there without any mutant."""

    tree: Path
    known: Known
    broken: set[str]

    def killer(self, one: Mutant, budget: float, loaded: bool) -> tuple[str | None, int]:
        """Return the test that fails with a mutant, None if none does; and how many were to run.

        `loaded` says that this process has imported the package.
        """
        tests = [test for test in tests_of(one, self.known, budget) if test not in self.broken]
        count, place = len(tests), self.tree / one.path.relative_to(ROOT)
        original, dates = place.read_text(encoding="utf-8"), place.stat()
        while tests:
            seconds = 120 + PATIENCE * sum(self.known[test]["seconds"] for test in tests)
            place.write_text(one.text, encoding="utf-8")
            try:
                failed = first_failure(tests, self.tree, seconds, one if loaded else None)
            finally:
                place.write_text(original, encoding="utf-8")
                os.utime(place, ns=(dates.st_atime_ns, dates.st_mtime_ns))  # so that its bytecode is still valid
            if failed is None:
                break
            alone = [failed] if failed in tests else tests
            if (without := first_failure(alone, self.tree, seconds)) is None:
                return failed or "(a test file cannot be imported)", count
            if without not in tests:
                raise RuntimeError(f"tests cannot be run: {without or tests}")
            self.broken.add(without)
            tests.remove(without)
        return None, count


class Listed:
    """A plugin of pytest that writes the names of all tests and runs none."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Write the names and leave no test to run."""
        self.path.write_text(json.dumps([item.nodeid for item in items]), encoding="utf-8")
        items.clear()


def listed(tree: Path) -> set[str]:
    """Return the names of the tests that are there now: the map may be of an earlier day."""
    import pytest

    path = tree.parent / "tests.json"
    child = os.fork()
    if child == 0:
        for number in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
        try:
            pytest.main(["-q", "-p", "no:cacheprovider"], plugins=[Listed(path)])
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    return set(json.loads(path.read_text(encoding="utf-8")))


@contextlib.contextmanager
def bench() -> Iterator[Bench]:
    """Yield a copy of the tree in which this process works from then on, with what is slow imported already."""
    known = json.loads(MAP.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".venv", ".git", "data", ".*_cache", "__pycache__"))
        for name in WARM:
            importlib.import_module(name)
        os.environ |= {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
        os.environ.setdefault("SPIKECLI_SHARED_DATA", str(ROOT.parent / "shared" / "data"))
        sys.path.insert(0, str(tree))
        os.chdir(tree)
        there = listed(tree)
        yield Bench(tree, {test: one for test, one in known.items() if test in there}, set())


def report(number: int, one: Mutant, killer: str | None, count: int, seconds: float) -> None:
    """Print what became of a mutant."""
    verdict = "SURVIVED" if killer is None else "killed"
    print(f"{verdict:8} {number:3} {one.path.relative_to(ROOT)}:{one.line} {one.function}", end="")
    print(f"  ({count} tests, {seconds:.0f} s)  {killer or ''}\n    - {one.was}\n    + {one.now}", flush=True)


def quick(place: Bench, mutants: dict[int, Mutant], budget: float) -> list[int]:
    """Return the numbers of those that survive where the package is imported once and functions get new code.

    What runs while a module is imported is not changed so: a survivor has to be tried again.
    """
    said = place.tree.parent / "survivors.json"
    child = os.fork()
    if child == 0:
        try:
            for path in sorted((place.tree / "spikecli").rglob("*.py")):
                if path.stem != "__main__":
                    parts = path.relative_to(place.tree).with_suffix("").parts
                    with contextlib.suppress(ModuleNotFoundError):  # of a GPU's packages
                        importlib.import_module(".".join(parts[:-1] if path.stem == "__init__" else parts))
            left = []
            for number, one in mutants.items():
                begun = time.monotonic()
                killer, count = place.killer(one, budget, loaded=True)
                if killer is None:
                    left.append(number)
                    print(f"         {number:3} is tried again", flush=True)
                else:
                    report(number, one, killer, count, time.monotonic() - begun)
            said.write_text(json.dumps(left), encoding="utf-8")
        except BaseException:  # noqa: BLE001 (a fork must not go on as its parent does)
            traceback.print_exc()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    return list(json.loads(said.read_text(encoding="utf-8")))


def main() -> int:
    """Draw, mutate, test, and print a line for each mutant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--allowed", type=int, default=6, help="survivors that are no failure")
    parser.add_argument("--budget", type=float, default=40, help="processor seconds of tests for a mutant, at most")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of the drawn mutants to try again")
    parser.add_argument("--map", nargs="*", metavar="FILE", help="learn again what tests call, of all or of some files")
    given = parser.parse_args()
    if given.map is not None or not MAP.exists():
        learn(given.map or [])
    mutants = {
        number: one
        for number, one in enumerate(drawn(given.count, given.seed))
        if not given.only or number in given.only
    }
    left = 0
    with bench() as place:
        for number in quick(place, mutants, given.budget):
            begun = time.monotonic()
            killer, count = place.killer(mutants[number], given.budget, loaded=False)
            left += killer is None
            report(number, mutants[number], killer, count, time.monotonic() - begun)
    print(f"{left} of {len(mutants)} mutants survived; at most {given.allowed} may")
    return left > given.allowed


if __name__ == "__main__":
    sys.exit(main())
