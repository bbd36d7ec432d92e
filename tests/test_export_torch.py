"""A .pt2 file: torch runs it without this program, with the same answers; DeLA is refused with the reason."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import forks
import pytest
import torch
from conftest import Outcome
from furniture import chair

from spikecli.errors import SpikeError
from spikecli.export import formats, proof, torch_format
from spikecli.export.subject import Subject

Cli = Callable[..., Outcome]
PROGRAM = """
import sys
sys.modules["spikecli"] = None
import torch
extra = {"spikecli.json": ""}
module = torch.export.load("net.pt2", extra_files=extra).module()
logits, shares = module(torch.load("cloud.pt"))
import json
print(json.dumps([json.loads(extra["spikecli.json"])["spikecli.classes"], logits.tolist()]))
"""


def test_torch_alone_runs_the_file(cli: Cli, tmp_path: Path) -> None:
    mesh = chair(tmp_path / "chair.off")
    done = cli("export", "reference", "--out", tmp_path / "net.pt2", "--sample", mesh, "--timesteps", 2, "--json")
    assert done.code == 0, done.err
    check = done.document["check"]
    assert check["program"] == "torch.export" and check["answers_changed"] == 0
    assert check["max_logit_difference"] <= 1e-5
    import spikecli
    from spikecli.datasets.clouds.formats import load_points_of

    torch.save(torch.from_numpy(load_points_of(mesh, 700))[None].repeat(3, 1, 1), tmp_path / "cloud.pt")
    line = [sys.executable, "-c", PROGRAM]
    ended = forks.run(line, cwd=tmp_path, capture_output=True, text=True, check=True, fresh=True)
    classes, logits = json.loads(ended.stdout)
    found = spikecli.load("reference", "cpu")
    assert json.loads(classes) == list(found.classnames) and len(logits) == 3
    best = json.loads(classes)[torch.tensor(logits[0]).argmax()]
    assert best == found.predict(mesh, 2).label == "chair"


def test_operations_of_this_program_are_refused(tmp_path: Path) -> None:
    from spikecli import models
    from spikecli.settings.networks import DelaConfig

    network = models.build(DelaConfig(width=0.1)).eval()
    subject = Subject(network, network, ("a", "b"), "points", "dela")
    (refused,) = torch_format.TORCH.refusals(subject, formats.Wanted())
    assert refused.node == "order" and ".onnx" in refused.reason
    with pytest.raises(SpikeError, match=r"\.pt2 cannot say order"):
        formats.export(subject, formats.Wanted(), tmp_path / "net.pt2")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "close", "noise", "said"),
    [
        (2, 3, False, "other answers than `predict` for 2 of 3 samples: made"),
        (1, 3, True, "other answers than the network for 1 of 3 samples: made"),
        (0, 1, False, "logits that differ from the network's by up to 0.25 (allowed 1e-05) for 2 of 3 samples: made"),
    ],
)
def test_what_differs_is_said_and_what_does_not_is_left_out(changed: int, close: int, noise: bool, said: str) -> None:
    checked = formats.Checked("torch.export", 3, "made", 0.25, changed, close)
    assert proof._differences(checked, formats.Wanted(noise=noise)) == said
