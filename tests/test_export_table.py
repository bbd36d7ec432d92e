"""The table of docs/deploy.md, What can be written how: each cell is what the formats themselves say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from export_nets import thin
from torch import nn

from spikecli import models
from spikecli.datasets.images.facts import IMAGE_SETS
from spikecli.datasets.sets import find_facts
from spikecli.export import formats
from spikecli.export.subject import Subject
from spikecli.neuroclip.features import Viewing
from spikecli.settings.recipes import train_settings
from spikecli.weights.reparameterize import reparameterize
from spikecli.weights.trained import Trained

PAGE = Path(__file__).parents[1] / "docs" / "deploy.md"
CPU = torch.device("cpu")
COLUMNS: dict[str, tuple[str, dict[str, Any]]] = {
    "`.onnx`": ("onnx", {}),
    "`--step`": ("onnx", {"step": True}),
    "`--raw`": ("onnx", {"raw": True}),
    "`--noise`": ("onnx", {"noise": True}),
    "`.pt2`": ("pt2", {}),
    "`.nir`": ("nir", {}),
}


def of_set(dataset: str, paper: str, recipe: str, parts: dict[str, Any], **model: Any) -> Subject:
    """Return a folded network with fresh weights for a built-in data set."""
    config = train_settings(dataset, paper, recipe, {}, parts, model)
    network = models.build(config.model).eval()
    facts = IMAGE_SETS[dataset] if dataset in IMAGE_SETS else find_facts(dataset, Path("data"))
    trained = Trained(network, facts.classnames, Path(), Path(), model["name"], CPU, config, {})
    return Subject(reparameterize(network), network, facts.classnames, facts.kind, model["name"], trained, facts)


def clouds(name: str, **parts: Any) -> Callable[[], Subject]:
    more: dict[str, Any] = {"width": 0.1, "neighbors": 4} if name == "dela" else {"tnet": "none"}
    return lambda: of_set("modelnet10", "lif", "short", parts, name=name, **more)


def adapter() -> Subject:
    """Return an adapter of one layer on a tower that sees 3 numbers of a picture."""

    class Tower(nn.Module):
        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return pictures.flatten(2).mean(2)

    clip = SimpleNamespace(module=SimpleNamespace(visual=Tower()), size=32, mean=(0.5,) * 3, std=(1.0,) * 3)
    adapted: Any = SimpleNamespace(clip=clip, viewing=Viewing(2), texts=torch.eye(3), scale=1.0)
    return Subject(nn.Linear(3, 3), nn.Linear(3, 3), ("a", "b", "c"), "clip", "adapter", adapted=adapted)


ROWS: dict[str, Callable[[], Subject]] = {
    "PointNet": clouds("pointnet"),
    "PointNet, `--start perturbed`": clouds("pointnet", start="perturbed"),
    "PointNet, `--start position`": clouds("pointnet", start="position"),
    "DeLA": clouds("dela"),
    "DeLA, `--start perturbed`": clouds("dela", start="perturbed"),
    "ResNets, VGG on events": lambda: thin("resnet20", size=(16, 16)),
    "the same, `--start perturbed`": lambda: thin("vgg16", size=(16, 16), parts={"start": "perturbed"}),
    "the same, ternary or with a soft reset": lambda: thin("vgg16", size=(16, 16), parts={"fire": "ternary"}),
    "ResNets, VGG on images": lambda: of_set("cifar10", "lif", "cifar", {}, name="resnet20", width=0.1),
    "adapter on CLIP": adapter,
}


def table() -> dict[str, dict[str, str]]:
    text = PAGE.read_text(encoding="utf-8").split("## What can be written how", 1)[1].split("\n## ", 1)[0]
    lines = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in text.splitlines() if "|" in line]
    assert tuple(lines[0][1:]) == tuple(COLUMNS)
    return {name: dict(zip(lines[0][1:], cells, strict=True)) for name, *cells in lines[2:]}


def test_the_table_has_a_row_for_each_network() -> None:
    assert list(table()) == list(ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_a_cell_is_what_the_format_says(row: str) -> None:
    pytest.importorskip("nir", reason="the extra export is not installed")
    subject, cells = ROWS[row](), table()[row]
    for column, (form, asked) in COLUMNS.items():
        sensor = (34, 34) if subject.kind == "clip" else None
        refused = formats.named(form).refusals(subject, formats.Wanted(2, sensor=sensor, **asked))
        assert cells[column].startswith("no" if refused else "yes"), (row, column, refused)
