"""The table of what an evaluation costs: operations by NeuroBench's names, and energies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

COLUMNS = ("T", "Effective_ACs", "Effective_MACs", "Dense", "activation_sparsity", "energy", "dense", "effective")
CAPTION = (
    "of one sample; dense: every operation done; effective: no product of a 0, an ANN's too; operations by "
    "NeuroBench's rules, which count pooled spikes, counts and amplitudes as MACs"
)


def columns(rows: Sequence[Any]) -> tuple[str, ...]:
    """Return the columns of these rows."""
    first = rows[0]
    updates = ("membrane_updates",) if "membrane_updates" in first.neurobench else ()
    return (*COLUMNS, *updates, *(("memory",) if "memory_uj" in first.energy else ()))


def cells(row: Any) -> tuple[str, ...]:
    """Return the cells of a row."""
    operations, energy = row.neurobench["synaptic_operations"], row.energy
    counts = (f"{operations[name] / 1e6:.3f} M" for name in ("Effective_ACs", "Effective_MACs", "Dense"))
    found = [str(row.timesteps), *counts, f"{row.neurobench['activation_sparsity']:.2%}"]
    found += [f"{energy[name]:.2f} µJ" for name in ("uj", "dense_uj", "effective_uj")]
    if "membrane_updates" in row.neurobench:
        found.append(f"{row.neurobench['membrane_updates'] / 1e6:.3f} M")
    if "memory_uj" in energy:
        found.append(f"{energy['memory_uj']:.2f} µJ")
    return tuple(found)
