"""Write docs/papers.md from the tables of releases and oracles: python scripts/write_papers.py (a test fails when it is
stale)."""

from __future__ import annotations

import runpy
from pathlib import Path

from spikecli.cli.papers import as_table
from spikecli.cli.shown.fidelity import page
from spikecli.settings.taxonomy import TAXONOMY

PAGE = Path(__file__).resolve().parents[1] / "docs" / "papers.md"
OPENING = """# The papers: ours beside released beside why

This page is made from the program's own tables by `python scripts/write_papers.py`; a test fails when it is stale.
`spikecli papers --paper NAME` prints one of its tables, and `--fidelity released` follows it. Ours is what runs without
that option. A row whose name is no option is released behavior that none follows. What is released was read from the
released code, not from the papers. None of these schedules was run here, and no accuracy of a paper stands on this
page. What was run, on small data, stands in [Reproduce a paper](reproduce.md#every-paper-on-digits).

In this order: [run beside the releases](#run-beside-the-releases), [what holds each part](#what-holds-each-part), and a
table for each paper, [the survey](#the-survey-survey) last.

## Run beside the releases

    python scripts/against_released.py MPBN Ternary-Spike Re-Loss IM-Loss Spiking-PointNet Joint-A-SNN Real-Spike \\
      NeuroCLIP

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
| Spiking-PointNet | pointnet, v₀ = ¼; with normals (6 channels) | spiking-pointnet | 0 | 9e-08; 7e-08 |
| Joint-A-SNN | resnet18, the spiking network | joint | 0 | 1e-06 |
| Real-Spike | neuron with a trained amplitude | real-spike | 0 | 0 |
| Real-Spike | block; block that halves the map | real-spike, SEW block | 0 | 2e-16; 8e-16 |
| Real-Spike | sew_resnet18 to 152 | real-spike | not run: for ImageNet, and such amplitudes do not fold | |
| NeuroCLIP | pictures of events, 34 × 34 to 224 × 224 | neuroclip | 1e-07 | |
| NeuroCLIP | adapter; in training, nothing dropped | neuroclip, as released | 0 | 2e-17; 3e-16 |
| NeuroCLIP | few-shot logits; zero-shot logits | neuroclip, as released | 2e-08 | |
| NeuroCLIP | loss | neuroclip, as released | 2e-16 | 2e-16 |

Files hold float32, and some scales on the way are float32 on one side, which leaves 1e-08 to 1e-06. Real Spike's one
file takes its neurons from a CUDA extension of SpikingJelly; SpikingJelly's own in torch stood in for them, with the
extension's settings (0.0.0.0.12: an arctangent of slope 2, θ = 1). NeuroCLIP's code ran without Dassl and with a linear
map and drawn text features in place of CLIP, in float64 where it takes float16. **RMP-Loss: no code was to be had.**
Its authors' page links none, and no repository of that name was found: ours is by the paper alone. Training steps,
optimizers and data loaders were not run beside ours; their rows come from reading.

## What holds each part

None of the authors' code is in this repository. A derivation is ours, written from the paper and from what the release
computes. The table is `scripts/oracles.py`; a test fails if it names a test that is not there, or if a neuron part, a
network or a preset is missing.

"""
SURVEY = """## The survey (`survey`)

[arXiv 2305.19725](https://arxiv.org/abs/2305.19725), a survey without code of its own

    spikecli papers --paper survey

Its headings, and what runs here under each. Common ground, baselines and parts of ours have a row, because every option
has its place; the count that the command prints leaves them out.

| heading | method | arXiv | options |
|---|---|---|---|
"""


def text() -> str:
    """Return the whole page."""
    section = runpy.run_path(str(Path(__file__).with_name("oracles.py")))["section"]
    return f"{OPENING}{section()}\n{page()}\n{survey()}"


def survey() -> str:
    """Return the section of the survey: a row each method with its heading, source and options."""
    rows = "".join(
        f"| {row['branch'].split(' / ')[-1]} | {row['method']} | {row['arxiv'] or '–'} | {_options(row['options'])} |\n"
        for row in as_table(TAXONOMY).records
    )
    return f"{SURVEY}{rows}"


def _options(text: str) -> str:
    return " · ".join(f"`{one}`" for one in text.split(" · ")) if text else "not implemented"


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
