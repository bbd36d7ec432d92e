"""Records of prepared data in the format of the first version: still read, verified and reused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from event_layouts import nmnist, prepare_events

from spikecli.datasets import sets
from spikecli.datasets.events.split import load_events
from spikecli.datasets.images.prepare import load_images
from spikecli.datasets.prepare_options import PrepareOptions
from spikecli.datasets.sets import fingerprints
from spikecli.errors import SpikeError


def make_old(place: Path, with_sums: bool) -> None:
    """Write the record in `place` as the first version did, whose earliest records had no sum of the whole file."""
    path = place / "prepared.json"
    record = json.loads(path.read_text())
    (entry,) = record["sets"].values()
    splits = {}
    for split, part in entry["splits"].items():
        kept = {name: part[name] for name in ("file", "samples", "events") if name in part}
        sums = {"file_sha256": part["sha256"]} if with_sums else {}
        splits[split] = {**kept, "sha256": part["fingerprint"], **sums}
    path.write_text(json.dumps({"kind": record["kind"], "settings": entry["settings"], "splits": splits}))


@pytest.mark.parametrize("with_sums", [True, False])
def test_recordings(tmp_path: Path, with_sums: bool) -> None:
    source = nmnist(tmp_path / "from")
    new = prepare_events(tmp_path, "nmnist", source)
    before = load_events(tmp_path, "nmnist", "test").fingerprint
    make_old(tmp_path / "nmnist", with_sums)
    assert load_events(tmp_path, "nmnist", "test").fingerprint == before
    described = sets.describe(tmp_path, "nmnist")
    assert described["samples"] == new["samples"] and described["events"] == new["events"]
    assert sets.verify(tmp_path, "nmnist")["splits"]["test"]["sha256"] == before
    assert fingerprints(tmp_path, "nmnist")["test"] == before
    assert prepare_events(tmp_path, "nmnist", source)["reused"]
    path = load_events(tmp_path, "nmnist", "train").path
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    if with_sums:
        with pytest.raises(SpikeError, match="is damaged"):
            sets.verify(tmp_path, "nmnist")
    path.unlink()
    assert not prepare_events(tmp_path, "nmnist", source)["reused"]
    assert "sets" in json.loads((tmp_path / "nmnist" / "prepared.json").read_text())


def test_images(tmp_path: Path) -> None:
    rng, source = np.random.default_rng(0), tmp_path / "from"
    source.mkdir()
    for name in (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"):
        records = rng.integers(0, 256, (10, 1 + 3072), dtype=np.uint8)
        records[:, 0] = np.arange(10)
        records.tofile(source / name)
    sets.prepare(tmp_path, "cifar10", PrepareOptions(source))
    before = load_images(tmp_path, "cifar10", "test")
    make_old(tmp_path / "cifar10", True)
    assert load_images(tmp_path, "cifar10", "test").fingerprint == before.fingerprint
    assert sets.verify(tmp_path, "cifar10")["splits"]["test"] == {"samples": 10, "sha256": before.fingerprint}
    assert sets.prepare(tmp_path, "cifar10", PrepareOptions(source))["reused"]


def test_a_record_without_a_layout_is_reported_without_one(cli: Callable, few_built_in: None, tmp_path: Path) -> None:
    data = tmp_path / "data"
    given = ("data", "prepare", "shapes", "--points", 16, "--data-dir", data, "--json", "--quiet")
    assert cli(*given).code == 0
    record = json.loads((data / "shapes" / "prepared.json").read_text())
    for entry in record["sets"].values():
        del entry["layout"]
    (data / "shapes" / "prepared.json").write_text(json.dumps(record))
    assert cli(*given).document["layout"] is None
