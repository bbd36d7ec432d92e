"""NIR: networks of binary spikes for neuromorphic tools, checked by running the file in snnTorch."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spikecli.errors import SpikeError, named
from spikecli.export import membranes
from spikecli.export.entries import frames_in_words
from spikecli.export.nir_graph import DT, Drawing, drawn
from spikecli.export.probes import inputs_of
from spikecli.export.subject import Subject
from spikecli.export.wanted import Checked, Exported, Refusal, Wanted
from spikecli.files.atomic import atomic_path
from spikecli.files.extras import needed
from spikecli.files.shipped import VERSION
from spikecli.models.inputs import to_network
from spikecli.neurons.watch import watched

TOLERANCE = 1e-5  # of a logit


class NirFormat:
    """A .nir file: one step's graph, to which frames are shown one after the other."""

    work = "translating the nodes of"
    packages = ("nir", "nirtorch", "snntorch")

    def refusals(self, subject: Subject, wanted: Wanted) -> list[Refusal]:
        """Return what NIR cannot say, by node."""
        rest = f"NIR's membranes begin at rest; export without {named('noise')}"
        return [Refusal("start", rest)] * wanted.noise + _drawing(subject).refused

    def write(self, subject: Subject, wanted: Wanted, path: Path) -> Exported:
        """Write the graph, read it back and run it in snnTorch; raise SpikeError unless every spike is the same."""
        nir = needed("nir")
        drawing, classes = _drawing(subject), len(subject.classnames)
        about = {
            "spikecli": VERSION,
            "classes": json.dumps(subject.classnames),
            "dt": str(DT),
            "answer": "the mean over the steps of the output, which holds logits",
            "input": f"a frame a step: {frames_in_words(subject, wanted)}"
            if subject.kind == "events"
            else "the image at each step, (value/255 - 0.5)/0.25",
        }
        graph = nir.NIRGraph(drawing.nodes, drawing.edges, metadata=about)
        with atomic_path(path) as temporary:
            nir.write(temporary, graph)
            checked = check(nir.read(temporary), subject, wanted)
        first = next(iter(drawing.nodes["input"].input_type.values()))
        inputs = {"input": f"float32 ({', '.join(map(str, first))}), one step"}
        return Exported(
            path, "nir", f"nir {nir.__version__}", inputs, {"output": f"float32 ({classes}, 1, 1)"}, checked
        )


NIR = NirFormat()


def _drawing(subject: Subject) -> Drawing:
    model = subject.trained.config.model if subject.trained else None
    return drawn(subject.network, getattr(model, "size", (1, 1)), getattr(model, "inputs", 1))


def check(graph: Any, subject: Subject, wanted: Wanted) -> Checked:
    """Return the comparison, spike by spike, of a graph in snnTorch with the network, both in float64.

    Raise SpikeError if a spike or an answer differs, or a logit by more than 1e-5.
    """
    source, inputs, _ = inputs_of(subject, wanted)
    network = copy.deepcopy(subject.network).double()
    membranes.quiet(network)
    x = to_network(inputs, torch.device("cpu"), torch.float64)
    ours: dict[str, list[Tensor]] = {}
    with torch.no_grad(), watched(network, lambda name, step, u, s: ours.setdefault(name, []).append(s)):
        logits = network(x, wanted.timesteps).mean(0)
    frames = x if x.dim() == 5 else x.expand(wanted.timesteps, *x.shape)
    theirs, found = simulate(graph, frames)
    flipped = spikes = 0
    for name, steps in ours.items():
        mine = torch.stack(steps).movedim(-1, 2)
        other = torch.stack(theirs[name.replace(".", "_")])
        flipped += int((mine != other).sum())
        spikes += mine.numel()
    apart, changed = float((found - logits).abs().max()), int((found.argmax(-1) != logits.argmax(-1)).sum())
    if flipped or changed or not apart <= TOLERANCE:
        raise SpikeError(
            f"the export was not written: in snnTorch {flipped:,} of {spikes:,} spikes differ, logits by up to "
            f"{apart:.2g}, {changed} of {len(logits)} answers; samples: {source}"
        )
    close = int(((found - logits).abs().amax(-1) <= TOLERANCE).sum())
    return Checked("snnTorch", len(logits), source, apart, changed, close, flipped, spikes)


@torch.no_grad()
def simulate(graph: Any, frames: Tensor) -> tuple[dict[str, list[Tensor]], Tensor]:
    """Return each neuron node's spikes by step, and the mean logits (S, K), of frames (T, S, C, H, W) in snnTorch."""
    from snntorch import Leaky
    from snntorch.import_nir import import_from_nir

    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it is about to do
        network = import_from_nir(graph).double().eval()
    spikes: dict[str, list[Tensor]] = {}

    def keep(module: Any, inputs: Any, output: Tensor, name: str) -> Tensor:
        spikes.setdefault(name, []).append(output.double())
        return output.double()  # its spikes are float32 whatever its membranes are

    for name, module in network.named_modules():
        if isinstance(module, Leaky):
            module.register_forward_hook(partial(keep, name=name))
    total, state = torch.zeros(()), None
    for frame in frames:
        answer = network(frame, state)
        output, state = answer if isinstance(answer, tuple) else (answer, None)
        total = total + output.flatten(1)
    return spikes, total / len(frames)
