"""A stream of a million events a second: does `spikecli watch` keep up from a file, standard input and UDP?

    python benchmarks/bench_streams.py RUN [--rate 1000000] [--seconds 10] [--window 100ms] [--sensor 34x34]

RUN is a trained network on recordings. Events about a wandering place are made once. Each source is watched by the
command itself, in a process of its own, in turn: a growing file and a pipe, which are there at once, so that the rate
is what the program reaches; and UDP on the loopback, sent at the rate by a second process, a thousand rows a datagram.
Printed are events a second by the clock and by the processor's time of the watching process, its start left out, the
longest answer, and the events that were lost on the way or dropped because they came too fast.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from spikecli.datasets.events.recording import EVENT
from spikecli.live import wire

ROWS = 1000  # of a datagram


def made(rate: int, seconds: float, sensor: tuple[int, int]) -> np.ndarray:
    """Return events at random times about a place that wanders over the sensor (width, height)."""
    rng, count = np.random.default_rng(0), int(rate * seconds)
    events = np.empty(count, EVENT)
    events["t"] = np.sort(rng.integers(0, int(seconds * 1e6), count))
    way = np.sin(np.linspace(0, 20, count))
    for axis, side in zip("xy", sensor, strict=True):
        events[axis] = np.clip(side / 2 + way * side / 4 + rng.normal(0, side / 8, count), 0, side - 1).astype("u2")
    events["p"] = rng.integers(0, 2, count)
    return events


def watched(command: list[str], given: Path | None = None) -> tuple[list[dict[str, float]], float, float]:
    """Run a command; return its answers, the seconds from the first to the last, and the processor's seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    answers: list[dict[str, float]] = []
    begun = ended = 0.0
    pipe = given.open("rb") if given else None
    with subprocess.Popen(command, stdin=pipe, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            ended = time.perf_counter()
            begun = begun or ended
            answers.append(json.loads(line))
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    return answers, ended - begun, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime


def report(name: str, made_events: int, found: tuple[list[dict[str, float]], float, float], start: float) -> None:
    """Print a row of the table."""
    answers, clock, busy = found
    if not answers:
        sys.exit(f"{name}: no answer came; run the command by hand")
    later = sum(int(each["events"]) for each in answers[1:])  # the first answer begins the clock
    total = later + int(answers[0]["events"])
    lost, dropped = int(answers[-1]["lost_datagrams"]) * ROWS, int(answers[-1]["dropped_events"])
    slowest = max(each["behind_ms"] for each in answers[1:])
    sys.stdout.write(
        f"| {name} | {made_events / 1e6:.1f} | {total / 1e6:.1f} | {later / max(clock, 1e-9) / 1e6:.2f} | "
        f"{total / max(busy - start, 1e-9) / 1e6:.2f} | {slowest:.0f} | {lost:,} | {dropped:,} |\n"
    )
    sys.stdout.flush()


def send(events: np.ndarray, address: tuple[str, int], wait: float) -> None:
    """Send the events at their own pace once the watching process listens."""
    time.sleep(wait)
    wire.send(events, address, 1.0, ROWS)


def free_port() -> int:
    """Return a UDP port that nobody listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Events a second that `spikecli watch` keeps up with.")
    parser.add_argument("run")
    parser.add_argument("--rate", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--window", default="100ms")
    parser.add_argument("--sensor", default="34x34")
    parser.add_argument("--wait", type=float, default=15, help="seconds until the watching process listens")
    asked = parser.parse_args()
    width, height = map(int, asked.sensor.split("x"))
    events = made(asked.rate, asked.seconds, (width, height))

    def command(source: str) -> list[str]:
        words = [sys.executable, "-m", "spikecli", "watch", asked.run, source, "--window", asked.window, "--json"]
        return [*words, "--sensor", asked.sensor, "--device", "cpu", "--idle", "1"]

    sys.stdout.write(
        "| source | M made | M answered | M events/s, clock | M events/s, processor | slowest answer, ms | lost | "
        "dropped |\n|---|---|---|---|---|---|---|---|\n"
    )
    with tempfile.TemporaryDirectory() as scratch:
        short, whole = Path(scratch) / "short.rows", Path(scratch) / "events.rows"
        short.write_bytes(events[: len(events) // 50].tobytes())
        whole.write_bytes(events.tobytes())
        start = watched(command(str(short)))[2]  # nearly all of it is imports
        report("a file of rows", len(events), watched(command(str(whole))), start)
        report("standard input", len(events), watched(command("-"), whole), start)
        address = ("127.0.0.1", free_port())
        sender = multiprocessing.get_context("fork").Process(target=send, args=(events, address, asked.wait))
        sender.start()
        report(f"UDP at {asked.rate / 1e6:g} M/s", len(events), watched(command("udp://{}:{}".format(*address))), start)
        sender.join()


if __name__ == "__main__":
    main()
