"""The metadata of an exported graph, for people and programs that find the file."""

from __future__ import annotations

import json
from dataclasses import asdict

from spikecli.export.graphs import Graph
from spikecli.export.subject import Subject
from spikecli.export.wanted import Checked, Wanted
from spikecli.files.shipped import VERSION


def facts(subject: Subject, graph: Graph, wanted: Wanted, checked: Checked) -> dict[str, str]:
    """Return the metadata of a file: strings, the longer ones JSON."""
    adapted, trained = subject.adapted, subject.trained
    steps = adapted.viewing.timesteps if adapted else wanted.timesteps
    network = trained.config.model.name if trained else f"CLIP {adapted.clip.name}" if adapted else subject.name
    logits = "of all steps so far" if graph.growing else "of the step" if wanted.step else "mean of the steps"
    return {
        "spikecli.version": VERSION,
        "spikecli.form": "step" if wanted.step else "whole",
        "spikecli.network": network,
        "spikecli.kind": subject.kind,
        "spikecli.classes": json.dumps(subject.classnames),
        "spikecli.timesteps": str(1 if wanted.step else steps),
        "spikecli.logits": logits,
        "spikecli.preprocessing": graph.preprocessing,
        "spikecli.inputs": json.dumps({each.name: f"{each.shape}: {each.holds}" for each in graph.inputs}),
        "spikecli.check": json.dumps({name: value for name, value in asdict(checked).items() if value is not None}),
    }
