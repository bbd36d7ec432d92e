"""The layouts in which event data sets are found in the wild, and what is none of them."""

from __future__ import annotations

import hashlib
import tarfile
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_bytes import Event, aedat2_bytes, aedat4_bytes, bin_bytes, some_events, write
from event_layouts import events_of, gestures, ncaltech101, nmnist, prepare_events, refused, zipped

from spikecli.datasets.events.facts import EVENT_SETS
from spikecli.datasets.events.split import load_events
from spikecli.files.remote import Remote
from spikecli.progress import Progress


def test_other_layouts_are_refused(tmp_path: Path) -> None:
    source = nmnist(tmp_path / "from")
    refused(tmp_path, "nmnist", tmp_path / "nowhere", "nowhere")
    refused(tmp_path, "nmnist", source / "Train", "none to test", "Train and Test")
    refused(tmp_path, "cifar10dvs", source, "found 0 recordings")
    write(source / "Test" / "ten" / "00001.bin", bin_bytes(some_events(30, 34, 34)))
    refused(tmp_path, "nmnist", source, "'ten'", "10 classes")
    (source / "Test" / "ten" / "00001.bin").unlink()
    write(tmp_path / "from" / "copy" / "Test" / "3" / "00050.bin", bin_bytes(some_events(30, 34, 34)))
    refused(tmp_path, "nmnist", tmp_path / "from", "each once", "3/00050")
    write(tmp_path / "from" / "Other" / "3" / "00050.bin", bin_bytes(some_events(30, 34, 34)))
    refused(tmp_path, "nmnist", tmp_path / "from", "neither a folder Train nor Test")
    refused(tmp_path, "nmnist", None, "source", offline=True)
    refused(tmp_path, "digits", source, "built in")


def test_nmnist_from_the_net_in_two_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, served, remotes = nmnist(tmp_path / "from"), tmp_path / "served", []
    served.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=str(served)))
    for split in ("Train", "Test"):
        path = zipped(source / split, served / f"{split}.zip")
        checksum = f"md5:{hashlib.md5(path.read_bytes()).hexdigest()}"
        remotes.append(Remote(f"{split}.zip", (f"http://127.0.0.1:{server.server_port}/{path.name}",), checksum))
    monkeypatch.setitem(EVENT_SETS, "nmnist", replace(EVENT_SETS["nmnist"], remotes=tuple(remotes)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    phases: list[str] = []
    try:
        assert prepare_events(tmp_path, "nmnist", progress=Progress(lambda what, total: phases.append(what)))[
            "samples"
        ] == {
            "train": 30,
            "test": 20,
        }
    finally:
        server.shutdown()
        server.server_close()
    assert [phase.split(" (")[0] for phase in phases[:4:2]] == ["Fetching Train.zip", "Unpacking Train.zip"]
    prepare_events(tmp_path / "direct", "nmnist", source)
    there = [load_events(folder, "nmnist", "test").fingerprint for folder in (tmp_path, tmp_path / "direct")]
    assert there[0] == there[1]
    assert not prepare_events(tmp_path, "nmnist", force=True, offline=True)["reused"]  # what was fetched stays


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        return None


def test_ncaltech101_by_its_archive_in_an_archive(tmp_path: Path) -> None:
    folder = ncaltech101(tmp_path / "made")
    outer = tmp_path / "N-Caltech101-archive"
    outer.mkdir()
    zipped(folder / "Caltech101", outer / "Caltech101.zip")
    zipped(folder / "Caltech101_annotations", outer / "Caltech101_annotations.zip")
    report = prepare_events(tmp_path, "ncaltech101", zipped(outer, tmp_path / "N-Caltech101-archive.zip"))
    # Of 12, 25 and 5 the last tenth, at least one, is test: 1 + 2 + 1.
    assert report["samples"] == {"train": 38, "test": 4}
    test, train = (load_events(tmp_path, "ncaltech101", split) for split in ("test", "train"))
    assert test.names == (
        "BACKGROUND_Google/image_0012",
        "airplanes/image_0024",
        "airplanes/image_0025",
        "yin_yang/image_0005",
    )
    assert [test.classnames[label] for label in test.labels] == ["background", "airplane", "airplane", "yin yang"]
    assert test.labels.tolist() == [0, 5, 5, 100] and (test.width, test.height) == (240, 180)
    assert events_of(test, 2) == some_events(60, 240, 180, 25) and not set(test.names) & set(train.names)


def test_ncaltech101_as_arrays_in_folders_of_its_splits(tmp_path: Path) -> None:
    folder = tmp_path / "N-Caltech101"
    for split, count in (("training", 3), ("validation", 1), ("testing", 2)):
        for name in ("ant", "yin_yang"):
            for index in range(count):
                path = folder / split / name / f"{name}_{index}.npy"
                path.parent.mkdir(parents=True, exist_ok=True)
                table = np.array(some_events(200, 240, 180, count + index)) * [1, 1, 1e-6, 2] - [0, 0, 0, 1]
                np.save(path, table)  # x, y, t in s, and −1 for darker
    prepare_events(tmp_path, "ncaltech101", folder)
    train, test = (load_events(tmp_path, "ncaltech101", split) for split in ("train", "test"))
    assert train.names[:4] == ("ant/ant_0", "ant/ant_1", "ant/ant_2", "validation/ant/ant_0") and len(train) == 8
    assert test.names == ("ant/ant_0", "ant/ant_1", "yin_yang/yin_yang_0", "yin_yang/yin_yang_1")
    assert events_of(test, 1) == some_events(200, 240, 180, 3)


def test_what_arrays_do_not_say_is_said_in_preparation(tmp_path: Path, cli: Any) -> None:
    folder = tmp_path / "N-Caltech101"
    for split in ("training", "testing"):
        path = folder / split / "ant" / "ant_0.npy"
        path.parent.mkdir(parents=True)
        np.save(path, np.array(some_events(500, 240, 180)) * [1, 1, 1000, 1])  # times in ns
    command = ("data", "prepare", "ncaltech101", "--from", folder, "--data-dir", tmp_path / "data", "--quiet")
    asked = cli(*command)
    assert asked.code == 1 and "--time-unit ns" in asked.err
    assert cli(*command, "--time-unit", "ns").code == 0
    assert events_of(load_events(tmp_path / "data", "ncaltech101", "test"), 0) == some_events(500, 240, 180)


def on_its_side(events: list[Event]) -> bytes:
    return aedat2_bytes(events, on_its_side=True)


@pytest.mark.parametrize(("suffix", "encode"), [("aedat", on_its_side), ("aedat4", aedat4_bytes)])
def test_cifar10dvs_in_both_of_its_formats(tmp_path: Path, suffix: str, encode: Any) -> None:
    folder = tmp_path / "CIFAR10DVS"
    for name in ("airplane", "truck"):
        for index in range(20):
            write(folder / name / f"cifar10_{name}_{index}.{suffix}", encode(some_events(30, 128, 128, index)))
    for name in ("airplane", "truck"):
        zipped(folder / name, folder / f"{name}.zip")
    prepare_events(tmp_path, "cifar10dvs", folder)
    test = load_events(tmp_path, "cifar10dvs", "test")
    # In order of number, not of letter: 18 and 19, not 8 and 9.
    assert test.names == ("airplane/cifar10_airplane_18", "airplane/cifar10_airplane_19", *test.names[2:])
    assert test.labels.tolist() == [0, 0, 9, 9] and len(load_events(tmp_path, "cifar10dvs", "train")) == 36
    assert events_of(test, 3) == some_events(30, 128, 128, 19)


def test_dvsgesture_cut_by_its_labels(tmp_path: Path) -> None:
    folder = gestures(tmp_path / "DvsGesture")
    with tarfile.open(tmp_path / "DvsGesture.tar.gz", "w:gz") as archive:
        archive.add(folder, "DvsGesture")
    report = prepare_events(tmp_path, "dvsgesture", tmp_path / "DvsGesture.tar.gz")
    assert report["samples"] == {"train": 6, "test": 3} and sum(report["events"].values()) == 2700
    test = load_events(tmp_path, "dvsgesture", "test")
    assert [test.classnames[label] for label in test.labels] == ["hand clap", "arm roll", "other gestures"]
    wanted = [event for event in some_events(900, 128, 128, len("user24_led")) if 200_000 <= event[2] < 300_001]
    assert events_of(test, 1) == wanted
    write(folder / "user24_led_labels.csv", b"class,startTime_usec,endTime_usec\n12,0,1\n")
    refused(tmp_path, "dvsgesture", folder, "class 12", "1 to 11")
    write(folder / "user24_led_labels.csv", b"class,startTime_usec,endTime_usec\n1,900000,900001\n")
    refused(tmp_path, "dvsgesture", folder, "no events from 900000")
    (folder / "user24_led_labels.csv").unlink()
    refused(tmp_path, "dvsgesture", folder, "user24_led_labels.csv")
    (folder / "user24_led.aedat").unlink()
    refused(tmp_path, "dvsgesture", folder, "names user24_led.aedat")
    (folder / "trials_to_test.txt").unlink()
    refused(tmp_path, "dvsgesture", folder, "trials_to_test.txt")


def test_dvsgesture_as_tonic_cuts_it(tmp_path: Path) -> None:
    table = np.array([(x, y, p, t // 1000) for x, y, t, p in some_events(50, 128, 128)], np.float64)
    for split, user in (("Train", "user01_led"), ("Test", "user24_natural")):
        folder = tmp_path / "from" / f"ibmGesture{split}" / user
        folder.mkdir(parents=True)
        for label in (0, 10):
            np.save(folder / f"{label}.npy", table)
    assert prepare_events(tmp_path, "dvsgesture", tmp_path / "from")["samples"] == {"train": 2, "test": 2}
    test = load_events(tmp_path, "dvsgesture", "test")
    assert test.labels.tolist() == [0, 10] and test.names[1] == "user24_natural/10"
    assert events_of(test, 0) == [(x, y, t // 1000 * 1000, p) for x, y, t, p in some_events(50, 128, 128)]
