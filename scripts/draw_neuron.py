"""Draw the pictures of docs/how-it-works.md with the program's own neurons: docs/pictures/neuron.png and -dark.png.

python scripts/draw_neuron.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from spikecli import neurons
from spikecli.neurons import surrogate
from spikecli.settings.neuron import NeuronConfig
from spikecli.view.drawing.canvas import pixels
from spikecli.view.drawing.chart import blank, color_of, dress, legend, place
from spikecli.view.drawing.theme import THEMES, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STEPS = 24
ROOT = Path(__file__).parents[1]


def inputs() -> torch.Tensor:
    """Return an input (STEPS, 1) that is strong, then weak, then strong."""
    generator = torch.Generator().manual_seed(3)
    strength = torch.tensor([0.42] * 8 + [0.12] * 8 + [0.55] * 8)
    return (strength + 0.12 * torch.rand(STEPS, generator=generator))[:, None]


def traced(config: NeuronConfig, x: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return u before firing (STEPS,) and the spikes (STEPS,) of one neuron: its parts, step by step."""
    neuron = neurons.build(config, 1)
    v = neuron.begin(x[0], None)
    seen, spikes = [], []
    with torch.no_grad():
        for step in x:
            v = neuron.charge(v, step)
            u = neuron.norm(v)
            s = neuron.fire(u)
            seen.append(float(u))
            spikes.append(float(s))
            v = neuron.reset(v, s)
    return np.array(seen), np.array(spikes)


def draw_trace(axes: Axes, theme: Theme) -> None:
    """Draw the membrane potential of a neuron, its threshold and its spikes."""
    config = NeuronConfig(decay=0.6, reset="hard", threshold=0.9)
    seen, spikes = traced(config, inputs())
    steps = np.arange(1, STEPS + 1)
    axes.axhline(config.threshold, color=theme.ink, linewidth=1, linestyle=(0, (3, 2)))
    axes.text(STEPS + 0.75, config.threshold, "θ", va="center", fontsize=9, color=theme.ink)
    axes.plot(steps, seen, color=color_of(theme, 0), marker="o", markersize=3, linewidth=1.4, label="u before firing")
    fired = spikes > 0
    axes.plot(steps[fired], np.full(fired.sum(), 1.62), "|", color=color_of(theme, 1), markersize=11, label="spike")
    axes.set(ylim=(0, 1.8), xlim=(0.4, STEPS + 0.6))
    dress(axes, theme, "v ← λ·v + x, a spike where u > θ, then v ← 0", "time step", "membrane potential")
    legend(axes, theme, loc="lower center", ncols=2)


def draw_fires(axes: Axes, theme: Theme) -> None:
    """Draw what three fire functions emit."""
    u = torch.linspace(-1.5, 3.2, 400)
    for index, (name, shift) in enumerate((("binary", 0.0), ("ternary", 0.07), ("integer", -0.07))):
        fire = neurons.build(NeuronConfig(fire=name), 1).fire
        with torch.no_grad():
            axes.plot(u, fire(u) + shift, color=color_of(theme, index), linewidth=1.5, label=name)
    dress(axes, theme, "Fire functions, θ = ½", "u", "s")
    legend(axes, theme, loc="upper left")


def draw_surrogates(axes: Axes, theme: Theme) -> None:
    """Draw the derivatives that stand for the step's in the backward pass."""
    u = torch.linspace(-0.5, 1.5, 400)
    for index, name in enumerate(("tanh", "rectangle")):
        config = NeuronConfig(surrogate=name)
        slope = surrogate.build(config).backward(torch.ones_like(u), u, config.threshold, False)
        axes.plot(u, slope, color=color_of(theme, index), linewidth=1.5, label=name)
    dress(axes, theme, "Surrogates, θ = ½", "u", "dφ/du")
    legend(axes, theme, loc="upper left")


def figure(theme: Theme) -> Figure:
    """Return the trace above, fire functions and surrogates below."""
    whole = blank(4.7, theme)
    draw_trace(place(whole, 0.6, 0.35, 7.7, 1.6), theme)
    draw_fires(place(whole, 0.6, 2.75, 3.5, 1.5), theme)
    draw_surrogates(place(whole, 4.8, 2.75, 3.5, 1.5), theme)
    return whole


def main(folder: Path) -> None:
    """Write the picture for light pages and for dark ones."""
    for name, theme in (("neuron", "light"), ("neuron-dark", "dark")):
        pixels(figure(THEMES[theme]), 200).quantize(128, dither=0).save(folder / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "pictures")
