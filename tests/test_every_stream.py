"""Every command, on streams that fail: a full disk, a reader that has gone, a terminal of 20 columns without Unicode.

The list of commands is the program's own: a new one is tried with --help, and with a line of its own once it has one.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer.main
from clip_files import random_mini
from first_version import unpack
from PIL import Image

from spikecli import console
from spikecli.cli import app, run
from spikecli.machine import doctor
from spikecli.machine.doctor import Finding
from spikecli.speed import bench

HERE = "--data-dir data --device cpu"
CLIP = f"--clip mini --weights mini.safetensors --timesteps 1 {HERE}"
TINY = "--points 16 --batch-size 10"
SMALL = "--batch-size 2 --points 16 --repeats 1 --timesteps 1 --precision fp32 --threads 1 --device cpu"
LINES = {
    "ablate": f"ablate modelnet10 --papers lif --runs 1 --epochs 1 {TINY} --timesteps 1 --out A {HERE}",
    "bench": f"bench {SMALL}",
    "calibrate": f"calibrate calibrated --timesteps 1 {HERE}",
    "compare": f"compare clouds clouds --timesteps 1 {HERE}",
    "config show": "config show spiking-pointnet",
    "data info": "data info modelnet10 --data-dir data",
    "data list": "data list --data-dir data",
    "data prepare": "data prepare pieces --from pieces --points 16 --data-dir new",
    "data simulate": "data simulate pictures --fps 100 --out a.npz",
    "data verify": "data verify modelnet10 --data-dir data",
    "doctor": "doctor --data-dir data",
    "eval": f"eval clouds --timesteps 1 --runs 1 {HERE}",
    "papers": "papers",
    "predict": "predict clouds chair_0005.off --timesteps 1 --device cpu",
    "reparameterize": f"reparameterize clouds --out folded.safetensors --samples 1 {HERE}",
    "runs": "runs clouds",
    "train": f"train modelnet10 --epochs 1 {TINY} --out T {HERE}",
    "view": "view 00012.bin -T 1 --out v.png --data-dir data",
    "watch": "watch frames 00012.bin --window 200ms --speed 0 --idle 0.1 --device cpu",
    "zeroshot": f"zeroshot 00012.bin --classes zero,one {CLIP}",
}


def commands(group: click.Command, name: str = "") -> Iterator[str]:
    """Yield the whole name of each command of the program."""
    inner: dict[str, click.Command] | None = getattr(group, "commands", None)
    if inner is None:
        yield name
    for each, command in (inner or {}).items():
        yield from commands(command, f"{name} {each}".strip())


COMMANDS = sorted(commands(typer.main.get_command(app)))


class Failing(io.RawIOBase):
    """A place for bytes that fails as a full disk or a closed pipe does; what it was given is kept."""

    def __init__(self, number: int) -> None:
        self.number, self.given = number, b""
        self.nowhere = os.open(os.devnull, os.O_WRONLY)

    def fileno(self) -> int:
        return self.nowhere  # the program leads it elsewhere

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        if not self.number:
            return len(bytes(data))  # type: ignore[call-overload]
        self.given += bytes(data)  # type: ignore[call-overload]
        raise OSError(self.number, "No space left on device" if self.number == errno.ENOSPC else "Broken pipe")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = unpack(tmp_path_factory.mktemp("streams"))
    random_mini(folder / "mini.safetensors")
    shutil.copytree(folder / "frames", folder / "calibrated")
    (folder / "pictures").mkdir()
    for number in range(2):
        Image.new("L", (16, 12), 40 + 150 * number).save(folder / "pictures" / f"{number}.png")
    for name in ("cube", "rod"):
        (folder / "pieces" / name).mkdir(parents=True)
        for number in range(5):
            rows = (f"{x} {y} {z + number}\n" for x in (0, 1) for y in (0, 1) for z in range(4))
            (folder / "pieces" / name / f"{number}.xyz").write_text("".join(rows))
    return folder


@pytest.fixture(autouse=True)
def there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setattr(doctor, "examine", lambda *_: [Finding("torch", "failed", "1 × 2 ± 3", "a cure → here", 0.1)])
    monkeypatch.setattr(bench, "peak_above_imports", lambda *arguments, device: 1.5)


def ended(words: list[str], number: int, monkeypatch: pytest.MonkeyPatch) -> tuple[int, bytes, str]:
    """Return the exit code of a command whose stdout is in ASCII and fails, what it was given, and stderr."""
    given, beside = Failing(number), io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(given, 1 << 20), encoding="ascii"))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(beside, encoding="ascii", write_through=True))
    console.open_streams()
    code = console.close_streams(run(words))
    found = beside.getvalue().decode("ascii")
    given.number = 0  # Python tries once more when the stream is collected
    os.close(given.nowhere)
    return code, given.given, found


@pytest.mark.parametrize("name", COMMANDS)
def test_help_on_a_pipe_that_is_closed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code, given, beside = ended([*name.split(), "--help"], errno.EPIPE, monkeypatch)
    assert code == 1 and beside == "" and b"Usage" in given


@pytest.mark.parametrize("name", COMMANDS)
def test_results_on_a_full_disk(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = LINES.get(name, f"{name} --help").split()
    code, given, beside = ended(words, errno.ENOSPC, monkeypatch)
    assert beside.splitlines()[-1].startswith("error: cannot write the output: No space left"), beside
    assert code == 1 and len(given) > 20 and b"Traceback" not in given and "Traceback" not in beside


QUICK = ("compare", "config show", "data info", "data list", "eval", "papers", "predict", "runs")


@pytest.mark.parametrize("name", QUICK)
def test_documents_and_tables_on_a_pipe_that_is_closed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `| head -1` leaves it: no word of it, in a table of 40 columns as in a document."""
    monkeypatch.setenv("COLUMNS", "40")
    for more in ((), ("--json",)):
        code, given, beside = ended([*LINES[name].split(), *more], errno.EPIPE, monkeypatch)
        assert code == 1 and len(given) > 20 and "error" not in beside and "Traceback" not in beside
        assert given.lstrip()[:1] in b"[{" or not more


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ENOSPC])
def test_a_progress_bar_on_a_stream_that_fails(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of `2>&1 | head -1`: bars and warnings have no place either, and what is left is the exit code."""
    streams = [Failing(number) for _ in range(2)]
    for name, stream in zip(("stdout", "stderr"), streams, strict=True):
        text = io.TextIOWrapper(io.BufferedWriter(stream, 64), encoding="ascii", write_through=name == "stderr")
        monkeypatch.setattr(sys, name, text)
    console.open_streams()
    code = console.close_streams(run(LINES["eval"].split()))
    for stream in streams:
        stream.number = 0
        os.close(stream.nowhere)
    assert code == 1


def test_lines_are_of_commands_that_exist() -> None:
    assert set(LINES) <= set(COMMANDS) and len(COMMANDS) > 20
