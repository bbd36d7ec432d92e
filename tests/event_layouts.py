"""Event data sets in their real layouts, made of real bytes."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
from event_bytes import Event, aedat3_bytes, bin_bytes, some_events, write

from spikecli.datasets import sets
from spikecli.datasets.events.split import EventSplit
from spikecli.datasets.prepare_options import PrepareOptions
from spikecli.errors import SpikeError
from spikecli.progress import Progress


def prepare_events(
    data_dir: Path,
    name: str,
    source: Path | None = None,
    workers: int | None = None,
    progress: Progress = Progress(),
    **more: Any,
) -> dict[str, Any]:
    """Prepare a data set of recordings from `source`; `more` are further options of a preparation."""
    return sets.prepare(data_dir, name, PrepareOptions(source, **more), progress, workers)


def nmnist(folder: Path) -> Path:
    """Three training and two test recordings of each digit; the index decides the content."""
    for split, first, count in (("Train", 1, 3), ("Test", 50, 2)):
        for digit in range(10):
            for index in range(first, first + count):
                seed = 100 * digit + index
                data = bin_bytes(some_events(40 + index, 34, 34, seed))
                write(folder / "N-MNIST" / split / str(digit) / f"{index:05d}.bin", data)
    return folder / "N-MNIST"


def ncaltech101(folder: Path) -> Path:
    for name, count in (("BACKGROUND_Google", 12), ("airplanes", 25), ("yin_yang", 5)):
        for index in range(1, count + 1):
            data = bin_bytes(some_events(60, 240, 180, index))
            write(folder / "Caltech101" / name / f"image_{index:04d}.bin", data)
            write(folder / "Caltech101_annotations" / name / f"annotation_{index:04d}.bin", b"1234567")
    return folder


def gestures(folder: Path) -> Path:
    head = "class,startTime_usec,endTime_usec\n"
    for user in ("user01_fluorescent", "user02_led", "user24_led"):
        write(folder / f"{user}.aedat", aedat3_bytes(some_events(900, 128, 128, len(user))))
        mark = "\ufeff" if user == "user02_led" else ""  # as a spreadsheet writes it
        write(folder / f"{user}_labels.csv", f"{mark}{head}1,0,100000\n11,100000,200000\n8,200000,300001\n".encode())
    write(folder / "trials_to_train.txt", b"user01_fluorescent.aedat\r\nuser02_led.aedat\n\n")
    write(folder / "trials_to_test.txt", b"user24_led.aedat\n")
    return folder


def zipped(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder.parent))
    return target


def events_of(split: EventSplit, index: int) -> list[Event]:
    return [(int(e["x"]), int(e["y"]), int(e["t"]), int(e["p"])) for e in split.recording(index).events]


def refused(data_dir: Path, name: str, source: Path | None, *words: str, **options: Any) -> None:
    with pytest.raises(SpikeError) as caught:
        prepare_events(data_dir, name, source, **options)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
    assert not list((data_dir / name).glob(".[!l]*")), "something half-written was left"
