"""What an operation costs on 45 nm hardware, by precision, and what a byte of memory traffic costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

MEMORY_PJ = 24.96  # a byte read or written, as SpikingJelly's energy model has it


@dataclass(frozen=True)
class Prices:
    """The energy of a multiply-add and of an addition in pJ, and the bytes of a number, in one precision."""

    name: str
    mac_pj: float
    ac_pj: float
    width: int

    def energy_uj(self, accumulates: float, multiplies: float) -> float:
        """Return the energy of so many additions and multiply-adds in µJ."""
        return (self.ac_pj * accumulates + self.mac_pj * multiplies) / 1e6

    def traffic_bytes(self, operations: float, updates: float) -> float:
        """Return the bytes moved if nothing is kept near: a weight an operation, a potential read and written an
        update."""
        return self.width * (operations + 2 * updates)


# Horowitz, ISSCC 2014: a multiply-add is a product (3.7, 1.1, 0.2 pJ) and an addition (0.9, 0.4, 0.03 pJ).
PRICES: Mapping[str, Prices] = MappingProxyType(
    {
        "fp32": Prices("fp32", 4.6, 0.9, 4),
        "fp16": Prices("fp16", 1.5, 0.4, 2),
        "int8": Prices("int8", 0.23, 0.03, 1),
    }
)
FP32 = PRICES["fp32"]
