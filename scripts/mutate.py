"""Change one line in each of many functions, one at a time, and say which changes no test notices.

    python scripts/mutate.py --count 60 --seed 0              draw functions, mutate, run the tests that touch them
    python scripts/mutate.py --map                            learn again which test calls which function

The first run learns which test calls which function by running the whole suite once under a profiler. A mutant runs
in a copy of the tree, so the checkout is never touched. Exit status 1 when more mutants survive than --allowed.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "spikecli"
MAP = ROOT / ".pytest_cache" / "calls.json"  # test → functions of the package that it calls
SECONDS = 240  # for the tests of one mutant
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
import json, os, sys, pytest
ROOT, OUT = os.environ["MUTATE_ROOT"], os.environ["MUTATE_OUT"]
calls = {}

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    seen = set()
    def profile(frame, event, arg):
        if event == "call" and frame.f_code.co_filename.startswith(ROOT):
            seen.add(frame.f_code)
    sys.setprofile(profile)
    yield
    sys.setprofile(None)
    named = ((code.co_filename[len(ROOT) + 1:], code.co_qualname.split(".<locals>")[0]) for code in seen)
    calls[item.nodeid] = sorted({f"{file}:{name}" for file, name in named})

def pytest_sessionfinish():
    with open(OUT, "w") as file:
        json.dump(calls, file)
"""


def learn() -> None:
    """Run the whole suite once and note which functions of the package each test calls."""
    MAP.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "mutate_calls.py").write_text(PLUGIN, encoding="utf-8")
        path = os.pathsep.join([str(ROOT), folder])
        environment = {**os.environ, "PYTHONPATH": path, "MUTATE_ROOT": str(PACKAGE), "MUTATE_OUT": str(MAP)}
        command = [sys.executable, "-m", "pytest", "-p", "mutate_calls", "-q"]
        subprocess.run(command, cwd=ROOT, env=environment, check=False)


def tests_of(one: Mutant, calls: dict[str, list[str]], most: int) -> list[str]:
    """Return the tests that call the mutated function, those that call little else first."""
    name = f"{one.path.relative_to(PACKAGE)}:{one.function}"
    touching = [test for test, called in calls.items() if name in called]
    return sorted(touching, key=lambda test: len(calls[test]))[:most]


def survives(one: Mutant, tests: list[str], tree: Path) -> bool:
    """Return whether all `tests` pass with the mutant in the copied `tree`."""
    if not tests:
        return True
    place = tree / one.path.relative_to(ROOT)
    original = place.read_text(encoding="utf-8")
    place.write_text(one.text, encoding="utf-8")
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree)},
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        return ended.returncode == 0
    except subprocess.TimeoutExpired:  # an endless loop is noticed
        return False
    finally:
        place.write_text(original, encoding="utf-8")


def main() -> int:
    """Draw, mutate, test, and print a line for each mutant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--allowed", type=int, default=6, help="survivors that are no failure")
    parser.add_argument("--most", type=int, default=60, help="tests for a mutant at most")
    parser.add_argument("--map", action="store_true", help="learn again which test calls which function")
    given = parser.parse_args()
    if given.map or not MAP.exists():
        learn()
    calls = json.loads(MAP.read_text(encoding="utf-8"))
    left = []
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".venv", ".git", "data", ".*_cache", "__pycache__"))
        for one in drawn(given.count, given.seed):
            tests, begun = tests_of(one, calls, given.most), time.monotonic()
            alive = survives(one, tests, tree)
            left += [one] if alive else []
            where = f"{one.path.relative_to(ROOT)}:{one.line} {one.function}"
            verdict = "SURVIVED" if alive else "killed"
            print(f"{verdict:8} {where}  ({len(tests)} tests, {time.monotonic() - begun:.0f} s)", flush=True)
            if alive:
                print(f"    - {one.was}\n    + {one.now}", flush=True)
    print(f"{len(left)} of {given.count} mutants survived; at most {given.allowed} may")
    return len(left) > given.allowed


if __name__ == "__main__":
    sys.exit(main())
