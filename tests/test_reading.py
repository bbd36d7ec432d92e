"""The gate for files from outside: what passes it, and what it says of what does not."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from spikecli.errors import SpikeError
from spikecli.files import tensors
from spikecli.files.gate import allowed_bytes, at_least, fits, is_plain_name, read_json, read_lines, reading
from spikecli.files.hdf5 import stored
from spikecli.files.npy import plain_array


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("no\nway"), "(no); do it again"),
        (KeyError(), "(KeyError); do it again"),
        (RecursionError("too deep"), "(too deep)"),
        (MemoryError(), "does not fit into memory; do it again"),
        (OSError(13, "Permission denied"), "Permission denied; check the path"),
        (FileNotFoundError(2, "No such file", "b.txt"), "found no file b.txt"),
        (OSError("file signature not found"), "(file signature not found)"),
    ],
)
def test_whatever_a_parser_raises_is_one_line_that_names_the_file(error: Exception, said: str) -> None:
    with pytest.raises(SpikeError) as problem, reading(Path("a.txt"), "do it again"):
        raise error
    assert said in str(problem.value) and "\n" not in str(problem.value) and problem.value.__cause__ is error
    assert ("b.txt" if "b.txt" in said else "a.txt") in str(problem.value)


def test_what_is_already_said_and_what_the_user_asks_pass_the_gate() -> None:
    for error in (SpikeError("mine"), KeyboardInterrupt(), SystemExit(3)):
        with pytest.raises(type(error)) as passed, reading(Path("a"), ""):
            raise error
        assert passed.value is error


@pytest.mark.parametrize(
    ("value", "shape", "yes"),
    [
        (3, int, True), (True, int, False), (3, float, True), ("3", float, False),
        (None, (str, lambda v: v is None), True),
        ([1, 2], [int], True), ([1, "2"], [int], False), ({"a": 1, "b": 2}, {"a": int}, True),
        ({"b": 2}, {"a": int}, False),
        ({"x": [1], "y": []}, {str: [int]}, True), ({"x": 1}, {str: [int]}, False), (-1, at_least(0), False),
        (1e300, at_least(0), False), ("a.h5", is_plain_name, True), ("../a.h5", is_plain_name, False),
        ("", is_plain_name, False), ("..", is_plain_name, False), ("a\0b", is_plain_name, False),
        (5, is_plain_name, False),
    ],
)  # fmt: skip
def test_shapes_of_json(value: Any, shape: Any, yes: bool) -> None:
    assert fits(value, shape) is yes


def test_json_and_text(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"a": 1}))
    assert read_json(path, {"a": int}, "again") == {"a": 1}
    for text, said in (("[" * 100_000, "a.json"), ("{", "again"), ('{"a": "1"}', "does not say what it should")):
        path.write_text(text)
        with pytest.raises(SpikeError, match=said):
            read_json(path, {"a": int}, "again")
    path.write_bytes(b" one \n\n\ttwo\r\n")
    assert read_lines(path, "") == ["one", "two"]
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SpikeError, match="again"):
        read_lines(path, "again")


def hdf5(path: Path) -> Path:
    (path.parent / "secret.bin").write_bytes(bytes(range(64)))
    with h5py.File(path.parent / "secret.h5", "w") as file:
        file["x"] = np.arange(4)
    layout = h5py.VirtualLayout((4,), "i8")
    layout[:] = h5py.VirtualSource(path.parent / "secret.h5", "x", (4,))
    with h5py.File(path, "w") as file:
        file["here"] = np.arange(6.0).reshape(2, 3)
        file["inner/here"] = np.arange(3)
        file["names"] = ["a", "b"]
        file.create_dataset("outside", (16,), "f4", external=[(str(path.parent / "secret.bin"), 0, 64)])
        file["linked"] = h5py.ExternalLink("secret.h5", "x")
        file["soft"] = h5py.SoftLink("/here")
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("huge", (1 << 40,), "f4", chunks=(1024,))
        file.create_dataset("zeros", (64 << 20,), "u1", chunks=(1 << 20,), compression="gzip")
    return path


def test_hdf5_gives_what_lies_in_the_file_itself_and_no_more_than_it_can_hold(tmp_path: Path) -> None:
    path = hdf5(tmp_path / "a.h5")
    with stored(path, "again") as file:
        assert file.array("here", "f", None, 3).tolist() == [[0, 1, 2], [3, 4, 5]]
        assert file.array("inner/here", "i", 3).tolist() == [0, 1, 2]
        assert file.texts("names") == ("a", "b")
        assert len(file.array("zeros", "u")) == allowed_bytes(path) == 64 << 20
    for name, kinds, shape in (
        ("outside", "f", (None,)), ("linked", "i", ()), ("soft", "f", ()), ("virtual", "i", ()), ("huge", "f", ()),
        ("none", "f", ()), ("inner", "f", ()), ("here", "i", ()), ("here", "f", (2,)), ("here", "f", (2, 4)),
    ):  # fmt: skip
        with pytest.raises(SpikeError, match=r"a\.h5 .*; again"), stored(path, "again") as file:
            file.dataset(name, kinds, *shape)


def test_numpy_headers_claim_nothing_that_is_not_there() -> None:
    def made(shape: str, kind: str = "'<f4'", body: bytes = bytes(24)) -> bytes:
        head = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
        return b"\x93NUMPY\x01\x00v\x00" + head.encode() + body

    assert plain_array(made("(2, 3)")).shape == (2, 3)
    assert plain_array(made("(0, 3)")).shape == (0, 3)
    for data in (
        made("(2, 4)"), made("(1000000000000, 3)"), made("(-1, 3)"), made("(2, 3)", "'|O'"), made("(2, 3)", "'|V0'"),
        made("(2, 3)", "[('a', '|O')]"), b"", b"\x93NUMPY\x03\x00",
    ):  # fmt: skip
        with pytest.raises((ValueError, TypeError)):
            plain_array(data)


def test_tensors_that_are_not_finite_never_replace_ones_that_are(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    tensors.write(path, {"w": torch.ones(3)}, {"a": "b"})
    with pytest.raises(SpikeError, match="w has become NaN"):
        tensors.write(path, {"w": torch.tensor([1.0, float("inf")])}, {})
    found, about = tensors.read(path)
    assert torch.equal(found["w"], torch.ones(3)) and about == tensors.metadata(path) == {"a": "b"}
    assert os.listdir(tmp_path) == ["a.safetensors"]  # noqa: PTH208


@pytest.mark.parametrize("kind", [torch.float16, torch.float32])
def test_tensors_whose_sum_overflows_are_finite(tmp_path: Path, kind: torch.dtype) -> None:
    large = torch.full((9,), torch.finfo(kind).max, dtype=kind)
    tensors.write(tmp_path / "a.safetensors", {"w": large, "n": torch.tensor(2), "none": large[:0]}, {})
    with pytest.raises(SpikeError, match="v has become NaN"):  # opposite infinities do not cancel
        tensors.write(tmp_path / "a.safetensors", {"w": large, "v": torch.tensor([torch.inf, -torch.inf])}, {})
