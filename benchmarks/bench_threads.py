"""What idle threads cost: training steps of one program alone and of two side by side, for several ways of waiting.

    python benchmarks/bench_threads.py --threads 2 --seconds 4 --rounds 3

A parallel region leaves its threads waiting for the next one. While they spin, they take a core that another program
could use. Each program is a process of its own, since OpenMP reads its environment once; the settings take turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

SETTINGS: dict[str, dict[str, str]] = {
    "as OpenMP chooses": {},
    "OMP_WAIT_POLICY=passive": {"OMP_WAIT_POLICY": "passive"},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
}
NAMES = {name for setting in SETTINGS.values() for name in setting} | {"KMP_BLOCKTIME"}


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def work(options: argparse.Namespace) -> None:
    """Train the SNN for some seconds for each line that comes in, and print milliseconds a step, and processor's."""
    import torch

    from spikecli.speed.bench import BenchPlan, Workload

    plan = BenchPlan(options.batch_size, 1024, (1,), ("fp32",), 1, "none", torch.device("cpu"))
    load = Workload(plan.settings("SNN", 1, "fp32"), plan.device)
    load.train()
    say("ready")
    while sys.stdin.readline():
        begun, busy, steps = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - begun < options.seconds:
            load.train()
            steps += 1
        ends = ((time.perf_counter(), begun), (time.process_time(), busy))
        say(" ".join(str((now - then) / steps * 1e3) for now, then in ends))


def start(setting: str, options: argparse.Namespace) -> subprocess.Popen[str]:
    """Return a program of this setting, which waits for lines once it has made a step."""
    environment = {name: value for name, value in os.environ.items() if name not in NAMES} | SETTINGS[setting]
    environment["OMP_NUM_THREADS"] = str(options.threads)
    command = [sys.executable, __file__, "--work", "--seconds", str(options.seconds)]
    command += ["--batch-size", str(options.batch_size)]
    pipe = subprocess.PIPE
    program = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)
    program.stdout.readline()  # type: ignore[union-attr]
    return program


def step_times(programs: list[subprocess.Popen[str]]) -> list[tuple[float, ...]]:
    """Return (milliseconds, milliseconds of processor time) of a step in each of these programs at once."""
    for one in programs:
        one.stdin.write("go\n")  # type: ignore[union-attr]
        one.stdin.flush()  # type: ignore[union-attr]
    return [tuple(map(float, one.stdout.readline().split())) for one in programs]  # type: ignore[union-attr]


def main() -> None:
    """Print a table of medians, and their ratios to OpenMP's own choice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=24)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options)
        return
    pairs = {setting: [start(setting, options) for _ in range(2)] for setting in SETTINGS}
    times: dict[tuple[int, str], list[tuple[float, ...]]] = {}
    for _ in range(options.rounds):
        for count in (1, 2):
            for setting, pair in pairs.items():
                times.setdefault((count, setting), []).extend(step_times(pair[:count]))
    for pair in pairs.values():
        for program in pair:
            program.communicate()
    for (count, setting), found in times.items():
        wall, busy = (statistics.median(column) for column in zip(*found, strict=True))
        ratio = wall / statistics.median(first for first, _ in times[count, next(iter(SETTINGS))])
        line = f"{wall:8.1f} ms a step ({ratio:.2f}), {busy:8.1f} ms of processor time"
        say(f"{count} at once  {setting:24} {line}")


if __name__ == "__main__":
    main()
