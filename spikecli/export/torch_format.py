"""torch.export: a .pt2 file, which torch runs without this program, and from which AOTInductor or ExecuTorch start."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spikecli.export.graphs import example_kwargs, exported, graph_of, untraceable
from spikecli.export.metadata import facts
from spikecli.export.probes import probe
from spikecli.export.proof import compare
from spikecli.export.subject import Subject
from spikecli.export.wanted import Exported, Refusal, Wanted
from spikecli.files.atomic import atomic_path
from spikecli.models.dela import Dela
from spikecli.models.tracing import traced

FACTS = "spikecli.json"  # the metadata, beside the graph


class TorchFormat:
    """A .pt2 file for `torch.export.load`."""

    work = "tracing"

    def refusals(self, subject: Subject, wanted: Wanted) -> list[Refusal]:
        """Return what keeps the network from being traced, or the file from being read without this program."""
        if isinstance(subject.network, Dela):
            return [Refusal("order", "neighbors of points are operations of this program; export it as .onnx")]
        return untraceable(subject, wanted)

    def write(self, subject: Subject, wanted: Wanted, path: Path) -> Exported:
        """Write the graph to `path`, read it back and run it; raise SpikeError if it gives other answers."""
        graph, samples = graph_of(subject, wanted), probe(subject, wanted)  # samples that do not fit are found first
        given = example_kwargs(graph)
        with atomic_path(path) as temporary:
            written = temporary.with_suffix(".pt2")  # torch demands the suffix
            with traced(), torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                program = torch.export.export(graph.module, given["args"], dynamic_shapes=given["dynamic_shapes"])
                torch.export.save(program, written)
                module: Any = torch.export.load(written).module()

            def run(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
                with torch.no_grad():
                    found: Sequence[Tensor] = module(*tensors)
                return found

            checked = compare(graph, samples, run, wanted, "torch.export")
            about = {FACTS: json.dumps(facts(subject, graph, wanted, checked))}
            torch.export.save(program, written, extra_files=about)
            written.replace(temporary)
        return exported(path, "pt2", f"torch {torch.__version__}", graph, len(subject.classnames), checked)


TORCH = TorchFormat()
