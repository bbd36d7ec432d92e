"""A network's cost by NeuroBench's names and rules, and its energy in each of three readings.

NeuroBench (arXiv 2304.04640) asks of each layer's input whether it holds −1, 0 and 1 alone: then an operation on a
value that is not 0 is an AC, else a MAC. Here each sample is asked by itself, as in a batch of one. Our own `energy_uj`
differs in three cases, which NeuroBench counts as MACs: amplitudes (they fold into weights), pooled spikes and counts
of events.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from spikecli.evaluation import energy as rows
from spikecli.evaluation.energy import Operations
from spikecli.evaluation.prices import MEMORY_PJ, Prices
from spikecli.models.work import multiplying


def static(model: nn.Module) -> dict[str, Any]:
    """Return footprint in bytes, parameters, and the share of weights that are 0, as NeuroBench rounds it."""
    values = [*model.parameters(), *model.buffers()]
    weights = [one for layer in multiplying(model).values() for one in layer.parameters(recurse=True) if one.dim() > 1]
    zeros = sum(int((weight == 0).sum()) for weight in weights)
    return {
        "footprint": sum(value.numel() * value.element_size() for value in values),
        "parameter_count": sum(value.numel() for value in model.parameters()),
        "connection_sparsity": round(zeros / max(1, sum(weight.numel() for weight in weights)), 4),
    }


def workload(counts: Operations, timesteps: int, samples: int, updates: bool = False) -> dict[str, Any]:
    """Return NeuroBench's workload of one sample over the first `timesteps` steps."""
    found: dict[str, Any] = {
        "synaptic_operations": {
            "Effective_MACs": counts.total(rows.VALUED, timesteps) / samples,
            "Effective_ACs": counts.total(rows.SPIKING, timesteps) / samples,
            "Dense": counts.total(rows.DENSE, timesteps) / samples,
        },
        "activation_sparsity": _sparsity(counts.row(rows.ACTIVE), counts.row(rows.EMITTED), timesteps),
        "activation_sparsity_by_layer": {
            name: _sparsity(sums[rows.ACTIVE], sums[rows.EMITTED], timesteps)
            for name, sums in counts.layers.items()
            if sums[rows.EMITTED].any()
        },
    }
    if updates:
        found["membrane_updates"] = counts.total(rows.UPDATES, timesteps) / samples
    return found


def in_lower_case(rows: list[dict[str, Any]], network: dict[str, Any]) -> list[dict[str, Any]]:
    """Return rows of results with NeuroBench's figures beside their own, in lower case; `network` is as of `static`.

    A row without a workload stays as it is.
    """
    shared = {name: network[name] for name in ("connection_sparsity", "footprint")}
    return [{**row, **_lower(row["neurobench"]), **shared} if row.get("neurobench") else row for row in rows]


def _lower(work: dict[str, Any]) -> dict[str, Any]:
    counts = {name.lower(): value for name, value in work["synaptic_operations"].items()}
    return {**counts, "activation_sparsity": work["activation_sparsity"]}


def _sparsity(active: torch.Tensor, emitted: torch.Tensor, timesteps: int) -> float:
    total = emitted[:timesteps].sum().item()
    return 1 - active[:timesteps].sum().item() / total if total else 0.0


def energies(counts: Operations, timesteps: int, samples: int, prices: Prices, traffic: bool = False) -> dict[str, Any]:
    """Return the energy of one sample in µJ: as `energy_uj`, with every operation done, and with no product of a 0.

    `uj` skips the zeros of spikes and of counts, and reads real values densely. `dense_uj` is what hardware without
    events needs, for a spiking network as for an ANN; `effective_uj` skips every 0, also an ANN's. With `traffic` the
    bytes that operations and membrane updates move, and their energy.
    """
    accumulates, effective = counts.total(rows.ACCUMULATES, timesteps), counts.total(rows.EFFECTIVE, timesteps)
    found: dict[str, Any] = {
        "precision": prices.name,
        "mac_pj": prices.mac_pj,
        "ac_pj": prices.ac_pj,
        "uj": counts.energy_uj(timesteps, prices) / samples,
        "dense_uj": prices.energy_uj(0, counts.total(rows.DENSE, timesteps)) / samples,
        "effective_uj": prices.energy_uj(accumulates, effective) / samples,
    }
    if traffic:
        operations = accumulates + counts.total(rows.MULTIPLIES, timesteps)
        moved = prices.traffic_bytes(operations, counts.total(rows.UPDATES, timesteps)) / samples
        found |= {"memory_bytes": moved, "memory_pj_a_byte": MEMORY_PJ, "memory_uj": moved * MEMORY_PJ / 1e6}
    return found
