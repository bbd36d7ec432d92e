"""FlatBuffers, as far as AEDAT 4 needs them: size-prefixed root tables of integers, strings and vectors of structs."""

from __future__ import annotations

import struct

_WORD = struct.Struct("<I")
_SHORT = struct.Struct("<H")
_OFFSET = struct.Struct("<i")


class FlatTable:
    """The root table of a FlatBuffer that begins with its own length; ValueError where it points outside itself."""

    def __init__(self, data: bytes, start: int) -> None:
        (length,) = _WORD.unpack_from(data, start)
        self.data = data[start + 4 : start + 4 + length]
        if len(self.data) < length:
            raise ValueError(f"{length} bytes claimed, {len(self.data)} there")
        (self.at,) = _WORD.unpack_from(self.data, 0)
        self.fields = self.at - _OFFSET.unpack_from(self.data, self.at)[0]

    def _field(self, index: int) -> int:
        """Return where field `index` lies, or 0 when it has its default."""
        (size,) = _SHORT.unpack_from(self.data, self.fields)
        slot = 4 + 2 * index
        offset = _SHORT.unpack_from(self.data, self.fields + slot)[0] if slot < size else 0
        return self.at + offset if offset else 0

    def integer(self, index: int, form: str, default: int = 0) -> int:
        """Return the integer in field `index`."""
        at = self._field(index)
        return int(struct.unpack_from(form, self.data, at)[0]) if at else default

    def text(self, index: int) -> str:
        """Return the string in field `index`."""
        at = self._field(index)
        if not at:
            return ""
        at += _WORD.unpack_from(self.data, at)[0]
        (length,) = _WORD.unpack_from(self.data, at)
        return self.data[at + 4 : at + 4 + length].decode("utf-8")


def first_vector(buffer: bytearray | memoryview, length: int, size: int) -> tuple[int, int]:
    """Return start and count of the structs of `size` bytes in field 0 of the size-prefixed root table in `buffer`.

    The table takes the first `length` bytes; ValueError where it points outside them.
    """
    if _WORD.unpack_from(buffer, 0)[0] + 4 > length:
        raise ValueError(f"{_WORD.unpack_from(buffer, 0)[0]} bytes claimed, {length - 4} there")
    at = 4 + _WORD.unpack_from(buffer, 4)[0]
    fields = at - _OFFSET.unpack_from(buffer, at)[0]
    if fields < 0:
        raise ValueError("a table before its buffer")
    offset = _SHORT.unpack_from(buffer, fields + 4)[0] if _SHORT.unpack_from(buffer, fields)[0] > 4 else 0
    if not offset:
        return 0, 0
    at += offset
    at += _WORD.unpack_from(buffer, at)[0]
    count = _WORD.unpack_from(buffer, at)[0]
    if at + 4 + count * size > length:
        raise ValueError(f"{count} events claimed in {length} bytes")
    return at + 4, count
