"""CIFAR's binary files, and what is prepared from them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from spikecli.datasets.images.facts import CIFAR10
from spikecli.datasets.images.picture import read_picture
from spikecli.datasets.images.prepare import load_images, read_binary
from spikecli.datasets.prepare_options import PrepareOptions
from spikecli.datasets.sets import describe as describe_images
from spikecli.datasets.sets import prepare as prepare_images
from spikecli.datasets.sets import verify as verify_images
from torture.cloud_specimens import attempt
from torture.formats import Format, of_wholes
from torture.hdf5 import damaged_hdf5
from torture.mutations import Rng, damaged_json, json_bytes

GROUPS = ("CIFAR bin", "pictures", "HDF5", "JSON records")


def read(path: Path) -> object:
    """Return the pixels of a picture as a network takes them."""
    return read_picture(path, (32, 32))


def _pictures(ending: str) -> list[bytes]:
    """Return pictures of three modes; JPEG has no transparency."""
    wholes = []
    for mode in ("L", "RGB") if ending == "jpg" else ("L", "RGB", "RGBA"):
        out = io.BytesIO()
        Image.linear_gradient("L").resize((24, 18)).convert(mode).save(out, "JPEG" if ending == "jpg" else ending)
        wholes.append(out.getvalue())
    return wholes


def formats(folder: Path) -> list[Format]:
    """Return the formats of images."""
    source, rng = folder / "source", np.random.default_rng(0)
    source.mkdir(parents=True)
    for _, names in CIFAR10.files:
        for name in names:
            records = rng.integers(0, 256, (10, 3073), np.uint8)
            records[:, 0] = np.arange(10)
            (source / name).write_bytes(records.tobytes())
    prepare_images(folder, "cifar10", PrepareOptions(source=source))
    place = folder / "cifar10"
    file, record = next(place.glob("test-*.h5")), (place / "prepared.json").read_bytes()
    whole, binary = file.read_bytes(), (source / "test_batch.bin").read_bytes()

    def use() -> object:
        attempt(lambda: verify_images(folder, "cifar10"))
        return load_images(folder, "cifar10", "test")

    def read_file(path: Path) -> object:
        (place / "prepared.json").write_bytes(record)
        path.replace(file)
        return use()

    def read_json(path: Path) -> object:
        file.write_bytes(whole)
        path.replace(place / "prepared.json")
        attempt(lambda: describe_images(folder, "cifar10"))
        attempt(lambda: prepare_images(folder, "cifar10", PrepareOptions(offline=True)))
        return use()

    def made_record(rng: Rng) -> bytes:
        return json_bytes(damaged_json(json.loads(record), rng), rng)

    return [
        *(
            Format(f"a.{end}", of_wholes(_pictures(end)), read, 0.5, "pictures")
            for end in ("png", "jpg", "bmp", "webp")
        ),
        Format("test_batch.bin", of_wholes([binary]), lambda path: read_binary(path, CIFAR10), 2.0, "CIFAR bin"),
        Format("cifar.h5", of_wholes([whole]), read_file, 2.0, "HDF5"),
        Format("cifar_made.h5", lambda rng: damaged_hdf5(whole, rng), read_file, 3.0, "HDF5"),
        Format("cifar.json", made_record, read_json, 1.5, "JSON records"),
    ]
