"""The survey's taxonomy of direct learning (Front. Neurosci. 2023, 2305.19725), with the options for each method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikecli.settings import choices

SURVEY = "survey"  # its name beside those of the eight papers with a release of their own


@dataclass(frozen=True)
class Method:
    """A method, and the options of `train` (or commands) that select it; empty if it is not implemented.

    `counted` is False for common ground, baselines and parts of ours: they have a place, but are none of the survey's.
    """

    name: str
    options: tuple[str, ...] = ()
    arxiv: str | None = None
    counted: bool = True


@dataclass(frozen=True)
class Heading:
    """A heading with its methods and sub-headings."""

    title: str
    below: tuple[Heading | Method, ...]


NEURON_LEVEL = Heading(
    "neuron level",
    (
        Method(
            "LIF, the common ground",
            ("--paper lif", "--charge leak", "--fire binary", "--amplitude none"),
            counted=False,
        ),
        Method("learnable leak (parametric LIF)", ("--charge learned-leak",), "2007.05785"),
        Method("learnable threshold", ("--fire learned",), "2008.03658"),
        Method("GLIF, gated parts", ("--charge gated", "--reset gated"), "2210.13768"),
        Method("hard reset", ("--reset hard",), counted=False),
        Method("hard reset without a gradient through the spike", ("--reset hard-detached",), counted=False),
        Method(
            "InfLoR: soft reset, membrane potential rectifier",
            ("--paper soft-reset-mpr", "--reset soft", "--norm rectifier"),
            "2307.04356",
        ),
        Method(
            "Real Spike",
            ("--paper real-spike", "--amplitude channel", "--amplitude scalar", "--amplitude element"),
            "2210.06686",
        ),
        Method("ternary spike", ("--paper ternary", "--fire ternary"), "2312.06372"),
        Method("ternary spike, trainable amplitude", ("--paper ternary-trainable",), "2312.06372"),
        Method(
            "multi-level firing: integer spikes, binary at inference",
            ("--paper integer", "--fire integer"),
            "2407.20708",
        ),
    ),
)
NETWORK_LEVEL = Heading(
    "network level",
    (
        Method("SEW residual: spikes are added", ("--residual sew",), "2102.04159"),
        Method("MS residual: membranes are added", ("--residual ms",), "2112.08954"),
        Method("residual with neurons after the sum", ("--residual plain",), counted=False),
        Method("attention"),
        Method("architecture search"),
    ),
)
TECHNIQUE = Heading(
    "training technique",
    (
        Method("RMP-Loss", ("--paper rmp-loss", "--rmp-weight 0.1"), "2308.06787"),
        Method("IM-Loss (NeurIPS 2022)", ("--im-weight 0.5",)),
        Method("RecDis-SNN"),
        Method("distillation from a trained ANN", ("--teacher RUN",), "2304.05627"),
        Method("the ANN of the same network, as baseline", ("--paper ann",), counted=False),
    ),
)
SURROGATES = Heading(
    "surrogate design",
    (
        Method("fixed: tanh in a window", ("--surrogate tanh",)),
        Method("fixed: rectangle", ("--surrogate rectangle",)),
        Method("fixed: arctangent", ("--surrogate arctan",)),
        Method("dynamic, changing in training (IM-Loss, NeurIPS 2022)", ("--surrogate evolving",)),
        Method("learnable"),
    ),
)
GRADIENTS = Heading(
    "vanishing and exploding gradients",
    (
        Method("no norm of the membrane", ("--norm none",), counted=False),
        Method("tdBN", ("--batch-norm tdbn",), "2011.05280"),
        Method("BNTT: statistics and scale of each step", ("--batch-norm bntt",), "2010.01729"),
        Method("TEBN: a trained factor for each step (NeurIPS 2022)", ("--batch-norm tebn",)),
        Method("MPBN", ("--paper mpbn", "--norm mpbn", "--norm mpbn-element"), "2308.08359"),
        Method("TET", ("--tet-weight 0.05", "--step-loss each"), "2202.11946"),
        Method("Joint A-SNN", ("--paper joint",), "2305.02099"),
    ),
)
TAXONOMY = (
    Heading(
        "1 accuracy",
        (
            Heading("1.1 representative capability", (NEURON_LEVEL, NETWORK_LEVEL, TECHNIQUE)),
            Heading("1.2 training difficulty", (SURROGATES, GRADIENTS)),
        ),
    ),
    Heading(
        "2 efficiency",
        (
            Heading(
                "2.1 compression",
                (
                    Method("pruning"),
                    Method(
                        "fewer steps: train with one, perturb the membrane (Spiking PointNet)",
                        ("--paper spiking-pointnet", "--start perturbed"),
                        "2310.06232",
                    ),
                    Method(
                        "fewer steps: one in training, from a membrane set by position",
                        ("--start position",),
                        counted=False,
                    ),
                    Method(
                        "fewer steps: one in training, from a membrane at rest",
                        ("--start zeros", "--timesteps 1"),
                        counted=False,
                    ),
                    Method("architecture search"),
                ),
            ),
            Heading(
                "2.2 sparse spikes",
                (Method("adaptive neurons"), Method("activity losses", ("--activity-weight 0.1",), "2011.06846")),
            ),
        ),
    ),
    Heading(
        "3 temporal dynamics",
        (
            Heading("3.1 sequential learning", (Method("recurrent networks"),)),
            Heading(
                "3.2 neuromorphic cameras",
                (Method("NeuroCLIP", ("spikecli zeroshot", "spikecli fewshot"), "2306.12073"),),
            ),
        ),
    ),
)


def methods(branches: tuple[Heading | Method, ...] = TAXONOMY) -> list[Method]:
    """Return every method, in the order of the tree."""
    return [each for one in branches for each in ([one] if isinstance(one, Method) else methods(one.below))]


def from_outside() -> Heading | None:
    """Return the parts, networks and presets that plug-ins and imported files brought; None if there are none."""
    found = [
        Method(f"{name} ({text})" if text else name, (f"--{slot} {name}",))
        for slot in choices.BUILT_IN
        for name, text in choices.added(slot).items()
    ]
    return Heading("from outside", tuple(found)) if found else None


def nested(branches: tuple[Heading | Method, ...] = TAXONOMY) -> list[dict[str, Any]]:
    """Return the tree as nested records for JSON."""
    return [
        {
            "name": one.name,
            "implemented": bool(one.options),
            "options": list(one.options),
            "arxiv": one.arxiv,
            "counted": one.counted,
        }
        if isinstance(one, Method)
        else {"title": one.title, "below": nested(one.below)}
        for one in branches
    ]
