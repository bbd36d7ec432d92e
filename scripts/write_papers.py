"""Write docs/papers.md from the tables of releases and oracles: python scripts/write_papers.py (a test fails when it is
stale)."""

from __future__ import annotations

import runpy
from pathlib import Path

from spikecli.cli.shown.fidelity import page

PAGE = Path(__file__).resolve().parents[1] / "docs" / "papers.md"
OPENING = """# The papers: ours beside released beside why

This page is made from the program's own tables by `python scripts/write_papers.py`; a test fails when it is stale.
`spikecli papers --paper NAME` prints one of its tables, and `--fidelity released` follows it. Ours is what runs without
that option. A row whose name is no option is released behavior that none follows. All of it was read from the released
code. Nothing on this page is an accuracy: none of these schedules was run here. What was run, on small data, stands in
[Reproduce a paper](reproduce.md#every-paper-on-digits).

In this order: [run beside the releases](#run-beside-the-releases), [what holds each part](#what-holds-each-part), and a
table for each paper.

## Run beside the releases

    python scripts/against_released.py MPBN Ternary-Spike Re-Loss IM-Loss Spiking-PointNet Joint-A-SNN

The script runs checkouts that you have, in float64 in evaluation, with weights that it draws, norms as after training
and T = 3. It prints the largest difference of outputs and of gradients to the input, relative to the largest value. It
printed this on the public repositories in November 2026:

| release | part | as | outputs | gradients |
|---|---|---|---|---|
| MPBN | neuron | mpbn | 0 | 4e-16 |
| MPBN | resnet20, resnet19, vgg16 | mpbn | 0 | 3e-08 |
| Ternary-Spike | neuron | ternary | 0 | 0 |
| Ternary-Spike | resnet20, resnet19 | ternary | 0 | 2e-08 |
| Ternary-Spike | vgg16 | ternary | not run: its wrapper and its VGG do not fit | |
| Re-Loss | neuron | soft-reset-mpr | 0 | 4e-16 |
| Re-Loss | resnet20, resnet19, vgg16 | soft-reset-mpr | 0 | 3e-08 to 9e-08 |
| IM-Loss | neuron, resnet20, resnet19, vgg16 | lif, its tanh | 0 | 2e-16 to 4e-08 |
| Spiking-PointNet | pointnet, v₀ = ¼ | spiking-pointnet | 0 | 7e-08 |
| Joint-A-SNN | resnet18, the spiking network | joint | 0 | 1e-06 |

Files hold float32, and some scales on the way are float32 on one side, which leaves 1e-08 to 1e-06. Not run: Real
Spike, which needs SpikingJelly's CUDA extension; NeuroCLIP, which needs Dassl and weights of CLIP; RMP-Loss, of which
no code is known. Training steps, optimizers and data loaders were not run beside ours; their rows come from reading.

## What holds each part

None of the authors' code is in this repository. A derivation is ours, written from the paper and from what the release
computes. The table is `scripts/oracles.py`; a test fails if it names a test that is not there, or if a neuron part, a
network or a preset is missing.

"""


def text() -> str:
    """Return the whole page."""
    section = runpy.run_path(str(Path(__file__).with_name("oracles.py")))["section"]
    return f"{OPENING}{section()}\n{page()}"


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
