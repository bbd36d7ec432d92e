"""Files of events."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
from ecf_bytes import write_metavision
from event_bytes import (
    aedat2_bytes,
    aedat3_bytes,
    aedat4_bytes,
    bin_bytes,
    dat_bytes,
    davis_bytes,
    some_events,
    structured,
    write,
)
from event_layouts import prepare_events
from prophesee_bytes import evt2_bytes, evt3_bytes, evt21_bytes

from spikecli.datasets.events.facts import DVSGESTURE
from spikecli.datasets.events.frames import EqualCount, EqualTime, to_frames
from spikecli.datasets.events.layouts import find_items
from spikecli.datasets.events.recording import read_events
from spikecli.datasets.events.split import load_events, split_frames
from spikecli.datasets.sets import describe as describe_events
from spikecli.datasets.sets import verify as verify_events
from torture.cloud_specimens import REAL, attempt
from torture.formats import Format, of_texts, of_wholes
from torture.hdf5 import damaged_hdf5
from torture.mutations import Rng, damaged, damaged_json, json_bytes

GROUPS = (
    "bin", "dat", "aedat 2", "aedat 3.1", "aedat 4", "EVT raw", "event text", "NPY", "NPZ", "HDF5", "JSON records",
    "lists and labels",
)  # fmt: skip
SOME = some_events(60, 128, 128)
EDGE = [(x, y, 5000 * y, y % 2) for y in range(1, 6) for x in range(20 * y, 20 * y + 3 * y)]


def formats(folder: Path) -> list[Format]:
    """Return the formats of recordings and of what is prepared from them."""
    whole: list[tuple[str, list[bytes], float, str]] = [
        (
            "a.bin",
            [bin_bytes(some_events(60, 34, 34)), bin_bytes([*SOME[:9], (0, 240, 0, 0), *SOME[9:19]])],
            4.0,
            "bin",
        ),
        ("a.dat", [dat_bytes(SOME), *_real("ncars.dat")], 4.0, "dat"),
        ("a2.aedat", [aedat2_bytes(SOME)], 4.0, "aedat 2"),
        ("a3.aedat", [aedat3_bytes(SOME, 20)], 5.0, "aedat 3.1"),
        ("a.aedat4", [aedat4_bytes(SOME, kind, 20) for kind in (0, 1, 3)], 5.0, "aedat 4"),
        ("davis.aedat", [davis_bytes(SOME)], 3.0, "aedat 2"),
        ("v1.dat", [dat_bytes(SOME, version=1)], 2.0, "dat"),
        ("evt2.raw", [evt2_bytes(SOME)], 3.0, "EVT raw"),
        ("evt21.raw", [evt21_bytes(SOME), evt21_bytes(EDGE, True)], 3.0, "EVT raw"),
        ("evt3.raw", [evt3_bytes(SOME), evt3_bytes(EDGE)], 4.0, "EVT raw"),
        ("events.txt", _texts(), 3.0, "event text"),
        ("events.csv", _texts(), 3.0, "event text"),
        ("events.npy", _npys(), 4.0, "NPY"),
        ("events.h5", [_hdf5()], 3.0, "HDF5"),
        ("metavision.h5", _metavision(folder), 3.0, "HDF5"),
    ]
    found = [Format(name, of_wholes(wholes), read, share, group) for name, wholes, share, group in whole]
    return [
        *found,
        Format("inner.aedat4", _inner_aedat4, read, 4.0, "aedat 4"),
        Format("a.npz", _npz, read, 5.0, "NPZ"),
        Format("events_made.h5", lambda rng: damaged_hdf5(_hdf5(), rng), read, 4.0, "HDF5"),
        *_prepared(folder / "prepared"),
        *_gestures(folder / "gestures"),
    ]  # fmt: skip


def _real(name: str) -> list[bytes]:
    path = REAL / name
    return [path.read_bytes()[:4000]] if path.is_file() else []


def read(path: Path) -> object:
    """Return the frames of a recording."""
    recording = read_events(path)
    size = path.stat().st_size
    kind = EqualTime if size % 2 else EqualCount
    return to_frames(recording, kind(3))


def _metavision(folder: Path) -> list[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    return [write_metavision(folder / "made.h5", EDGE, way, 50).read_bytes() for way in ("all", "pixels", "masks")]


def _texts() -> list[bytes]:
    seconds = "\n".join(f"{t / 1e6:.6f} {x} {y} {p}" for x, y, t, p in SOME)
    commas = "\r\n".join(f"{x},{y},{p},{t}" for x, y, t, p in SOME)
    named = "\n".join(f"{t};{p};{x};{y}" for x, y, t, p in SOME)
    quoted = "\n".join(f'"{number}","{t * 1000}","{x}","{y}","{bool(p)}"' for number, (x, y, t, p) in enumerate(SOME))
    rows = "\n".join(f"({t}, {x}, {y}, {p})" for x, y, t, p in SOME)
    return [
        f"128 128\n{seconds}\n".encode(), commas.encode(), f"\ufefft;p;x;y\n{named}\n".encode(),
        f',"time [ns]",x,y,p\n{quoted}\n'.encode(), f"# geometry: 128,128\n{rows}".encode(),
    ]  # fmt: skip


def _npys() -> list[bytes]:
    wholes = []
    for array in (structured(SOME), np.array(SOME), np.array([(t, x, y, p) for x, y, t, p in SOME], "f8")):
        out = io.BytesIO()
        np.save(out, array)
        wholes.append(out.getvalue())
    return wholes


def _hdf5() -> bytes:
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        for index, name in enumerate("xytp"):
            file.create_dataset(f"events/{name}", data=[event[index] for event in SOME], dtype="<i4")
        file["events/resolution"], file["events"].attrs["sensor_size"] = [128, 128], "128x128"
        file["t_offset"] = 7
        file.attrs["width"], file.attrs["height"] = 128, 128
    return out.getvalue()


def _npz(rng: Rng) -> bytes:
    """Return an archive of arrays that is damaged, or whose arrays are."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for index, name in enumerate("xytp"):
            member = io.BytesIO()
            np.save(member, np.array([event[index] for event in SOME]))
            data = member.getvalue()
            if rng.random() < 0.02:  # a bomb: a gigabyte of zeros in a megabyte
                header = f"{{'descr': '<i8', 'fortran_order': False, 'shape': ({1 << 27},), }}".ljust(117) + "\n"
                with archive.open(f"{name}.npy", "w", force_zip64=True) as bomb:
                    bomb.write(b"\x93NUMPY\x01\x00v\x00" + header.encode())
                    for _ in range(64):
                        bomb.write(bytes(1 << 20))
                continue
            archive.writestr(f"{name}.npy", damaged(data, rng) if rng.random() < 0.3 else data)
    return damaged(out.getvalue(), rng) if rng.random() < 0.5 else out.getvalue()


def _inner_aedat4(rng: Rng) -> bytes:
    """Return a file whose packets are damaged before they are packed, or unpack to far more than they should."""
    import cramjam

    compression = int(rng.choice([1, 3]))
    pack = {1: cramjam.lz4.compress, 3: cramjam.zstd.compress}[compression]
    plain = aedat4_bytes(SOME, 0, 20).replace(struct.pack("<i", 0), struct.pack("<i", 0))
    head = aedat4_bytes([], compression)
    position, out = len(aedat4_bytes([], 0)), head
    while position < len(plain):
        stream, length = struct.unpack_from("<iI", plain, position)
        body = plain[position + 8 : position + 8 + length]
        if rng.random() < 0.4:
            body = damaged(body, rng)
        if rng.random() < 0.01:
            body = bytes(1 << 29)
        packed = bytes(pack(body))
        out += struct.pack("<iI", stream, len(packed)) + packed
        position += 8 + length
    return out


def _prepared(folder: Path) -> list[Format]:
    source = folder / "source"
    for split in ("Train", "Test"):
        for digit in range(10):
            write(source / split / str(digit) / f"{digit:05d}.bin", bin_bytes(some_events(30, 34, 34, digit)))
    prepare_events(folder, "nmnist", source, workers=1)
    place = folder / "nmnist"
    file, record = next(place.glob("test-*.h5")), (place / "prepared.json").read_bytes()
    whole = file.read_bytes()

    def use() -> object:
        split = load_events(folder, "nmnist", "test")
        attempt(lambda: split_frames(split, EqualTime(2), [0, 1, len(split) - 1]))
        attempt(lambda: split.recording(0))
        return attempt(lambda: verify_events(folder, "nmnist"))

    def read_file(path: Path) -> object:
        (place / "prepared.json").write_bytes(record)
        path.replace(file)
        return use()

    def read_json(path: Path) -> object:
        file.write_bytes(whole)
        path.replace(place / "prepared.json")
        attempt(lambda: describe_events(folder, "nmnist"))
        attempt(lambda: prepare_events(folder, "nmnist", offline=True))
        return use()

    def damaged_record(rng: Rng) -> bytes:
        return json_bytes(damaged_json(json.loads(record), rng), rng)

    return [
        Format("nmnist.h5", of_wholes([whole]), read_file, 4.0, "HDF5"),
        Format("nmnist_made.h5", lambda rng: damaged_hdf5(whole, rng), read_file, 4.0, "HDF5"),
        Format("nmnist.json", damaged_record, read_json, 3.0, "JSON records"),
    ]


def _gestures(folder: Path) -> list[Format]:
    labels = ["class,startTime_usec,endTime_usec", "1,0,100000", "11,100000,200000", "8,200000,300001"]
    names = ["user01_fluorescent.aedat", "user02_led.aedat"]
    for name in (*names, "user24_led.aedat"):
        write(folder / name, aedat3_bytes(SOME))
        write(folder / f"{Path(name).stem}_labels.csv", "\n".join(labels).encode())
    write(folder / "trials_to_test.txt", b"user24_led.aedat\n")
    write(folder / "trials_to_train.txt", "\n".join(names).encode())

    def read_labels(path: Path) -> object:
        path.replace(folder / "user24_led_labels.csv")
        write(folder / "trials_to_train.txt", "\n".join(names).encode())
        return find_items(DVSGESTURE, folder)

    def read_list(path: Path) -> object:
        write(folder / "user24_led_labels.csv", "\n".join(labels).encode())
        path.replace(folder / "trials_to_train.txt")
        return find_items(DVSGESTURE, folder)

    words = ('"', "class", "1,2", "99,0,1", "1,9e9,3", "\0", "../../secret.aedat", "é", "a" * 200_000)
    return [
        Format("labels.csv", of_texts(labels, words), read_labels, 1.5, "lists and labels"),
        Format("trials.txt", of_texts(names, words), read_list, 1.5, "lists and labels"),
    ]
