"""A process that has imported torch and forks for each order: the script behind `forks.py`.

An order is one message with file descriptors: the three streams of the process to be, and a socket for its number and
its end. The fork takes streams, environment, folder, limits and words of the order and then is that program: it ends
as the interpreter ends, without taking down module by module what it got from here, which costs a second.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import resource
import runpy
import selectors
import signal
import socket
import sys
import threading
import types
from pathlib import Path
from typing import Any, NoReturn

# What every command that trains imports; none of these starts a thread, which a fork would lose.
OUTSIDE = ("torch", "numpy", "pydantic", "rich.console", "rich.progress", "safetensors.torch", "typer")
Order = dict[str, Any]


def serve(control: socket.socket) -> tuple[Order, list[int]]:
    """Fork for every order; return the order and its descriptors in the child, and end when nobody orders any more."""
    with selectors.DefaultSelector() as waiting:
        waiting.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.data is None:
                    message, descriptors, *_ = socket.recv_fds(control, 1 << 20, 4)
                    if not message:
                        os._exit(0)
                    child = os.fork()
                    if not child:
                        control.close()
                        return json.loads(message), descriptors
                    _follow(waiting, child, descriptors)
                else:
                    key.data(waiting, key.fileobj)


def _follow(waiting: selectors.BaseSelector, child: int, descriptors: list[int]) -> None:
    """Tell whoever ordered how the child ended; it stays a zombie until that is heard, so its number is not reused."""
    for descriptor in descriptors[:-1]:
        os.close(descriptor)
    line = socket.socket(fileno=descriptors[-1])
    ended = os.pidfd_open(child)

    def say(waiting: selectors.BaseSelector, _: object) -> None:
        waiting.unregister(ended)
        os.close(ended)
        how = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        assert how is not None
        code = how.si_status if how.si_code == os.CLD_EXITED else -how.si_status
        try:
            line.send(json.dumps({"code": code}).encode())
            waiting.register(line, selectors.EVENT_READ, bury)
        except BrokenPipeError:  # nobody listens any more
            bury(None, line)

    def bury(waiting: selectors.BaseSelector | None, _: object) -> None:
        if waiting is not None:
            waiting.unregister(line)
        line.close()
        os.waitpid(child, 0)

    waiting.register(ended, selectors.EVENT_READ, say)


def become(order: Order, descriptors: list[int], base: list[str]) -> None:
    """Make this process the one that was ordered: streams, environment, folder, limits, signals, path."""
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
    for descriptor in descriptors[:3]:
        os.close(descriptor)
    if order["session"]:
        os.setsid()
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    for kind, limit in order["limits"]:
        resource.setrlimit(kind, tuple(limit))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin, sys.stdout, sys.stderr = (open(number, mode, closefd=False) for number, mode in enumerate("rww"))  # noqa: SIM115
    sys.stderr.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[attr-defined]
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]
    places = [place for place in order["env"].get("PYTHONPATH", "").split(os.pathsep) if place]
    sys.path[:] = ["" if order["kind"] == "-c" else order["cwd"], *places, *base]
    importlib.invalidate_caches()
    with socket.socket(fileno=descriptors[3]) as line:  # last: from then on it may get signals
        line.send(json.dumps({"pid": os.getpid()}).encode())


def work(kind: str, program: str, words: list[str]) -> None:
    """Run a module, a line of code or a file as the interpreter does: `-m`, `-c` or nothing before its name."""
    sys.argv = ["-c" if kind == "-c" else program, *words]
    if kind == "-m":
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.modules["__main__"] = main = types.ModuleType("__main__")
        exec(compile(program, "<string>", "exec"), main.__dict__)
    else:
        sys.path[0] = str(Path(program).resolve().parent)
        runpy.run_path(program, run_name="__main__")


def end(order: Order) -> NoReturn:
    """Do the work that was ordered and end: by the exit code, by a traceback, by Ctrl-C that nobody heard."""
    code: object = 0
    try:
        work(order["kind"], order["program"], order["words"])
    except SystemExit as ending:
        code = ending.code or 0
    except BaseException as error:  # noqa: BLE001 (as the interpreter does)
        sys.excepthook(type(error), error, error.__traceback__)
        code = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    if not isinstance(code, int):
        sys.stderr.write(f"{code}\n")
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = 120
    if code == -signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(code & 255)


def import_program() -> None:
    """Import every module of spikecli whose packages are installed, so that forks find them."""
    import spikecli

    for module in pkgutil.walk_packages(spikecli.__path__, "spikecli."):
        if module.name == "spikecli.__main__":  # that is run, not imported
            continue
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as missing:  # triton, which comes with a GPU's torch
            if (missing.name or "").startswith("spikecli"):
                raise


def main() -> None:
    """Serve on the socket whose descriptor is the first word; a fork that serves too has imported the program."""
    base = sys.path[1:]
    for name in OUTSIDE:
        importlib.import_module(name)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests and for forks
    gc.freeze()  # a collection in a fork would copy all of this
    order, descriptors = serve(socket.socket(fileno=int(sys.argv[1])))
    while order["kind"] == "serve":
        sys.path[:0] = order["places"]
        import_program()
        gc.freeze()
        assert len(list(Path("/proc/self/task").iterdir())) == 1  # a fork has one thread alone
        order, descriptors = serve(socket.socket(fileno=descriptors[0]))
    become(order, descriptors, base)
    end(order)


if __name__ == "__main__":
    main()
