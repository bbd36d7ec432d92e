"""Facts of a data set: the look-up, a user's file of them, plug-ins, and what a wrong edit says."""

from __future__ import annotations

import json
import re
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from spikecli.datasets import sets
from spikecli.datasets.clouds.facts import MODELNET10, CloudFacts
from spikecli.datasets.events.facts import EVENT_SETS, EventFacts
from spikecli.datasets.facts_file import FILE, as_values, write_facts
from spikecli.datasets.samples import stratified_split
from spikecli.datasets.sets import KINDS, facts_from, find_facts, kind_named, known_names
from spikecli.errors import SpikeError

GESTURES = EventFacts(
    "hands",
    'my "gestures"',
    ("wave", "fist"),
    folders=("w", "f"),
    templates=("a {} of a hand",),
    mirrors=False,
    sensor=(346, 260),
    frame_size=48,
    own=True,
)


def test_each_kind_answers_for_its_data_sets() -> None:
    for name in KINDS:
        kind = kind_named(name)
        assert kind.name == name and kind.built_in() and kind.suffixes()
        for key, facts in kind.built_in().items():
            assert key == facts.name and facts.kind == name and find_facts(key, Path()) is facts
            assert kind.defaults(facts).augment in (None, *kind.augmentations())
            assert "none" in kind.augmentations()
    assert kind_named("points").corruptions().keys() & kind_named("events").corruptions().keys() == set()
    with pytest.raises(SpikeError, match="found no kind of data 'sounds'; wanted one of points, events, images"):
        kind_named("sounds")


def test_facts_go_through_toml_and_json(tmp_path: Path) -> None:
    write_facts(tmp_path / "hands" / FILE, GESTURES)
    assert find_facts("hands", tmp_path) == GESTURES and "hands" in known_names(tmp_path)
    assert facts_from("hands", json.loads(json.dumps(as_values(GESTURES))), "x") == GESTURES
    for facts in (MODELNET10, EVENT_SETS["cifar10dvs"]):
        again = facts_from(facts.name, as_values(facts), "x")
        assert again.classnames == facts.classnames and again.kind == facts.kind and again.mirrors == facts.mirrors


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("mirrors = false", 'mirrors = "no"', "found mirrors = 'no'; wanted true or false"),
        ("mirrors = false", "mirors = false", "found the key 'mirors'; wanted one of .*; did you mean mirrors"),
        ("sensor = [346, 260]", "sensor = [346]", r"found sensor = \[346\]; wanted \[width, height\] in pixels"),
        ('["wave", "fist"]', '["wave", "wave"]', "found classnames = .*; wanted two or more different names"),
        ('["wave", "fist"]', '["wave", "fist", "x"]', "found classnames = .*; wanted 2 names, one for each of folders"),
        ("a {} of a hand", "a hand", "found templates = .*; wanted prompts with {}"),
        ('kind = "events"', 'kind = "sounds"', "found kind = 'sounds'; wanted one of points, events, images"),
        ('kind = "events"', 'kind = "points"', "found the key 'sensor'; wanted one of"),
        (
            "mirrors = false",
            "mirrors = ",
            r", line \d+: found mirrors = \(Invalid value\); .*each key once; correct it",
        ),
        ("mirrors = false", "mirrors = true\nmirrors = false", r"found mirrors = false \(its key stands in the file"),
        ("mirrors = false", "[mirrors", r", line \d+: found \[mirrors \("),
        ("mirrors = false", "mirrors = “no”", r", line \d+: found mirrors = “no” \(Invalid value\)"),
        ("mirrors = false", "[mirrors]\nleft = 1", "found mirrors = .*; wanted true or false"),
        ("sensor = [346, 260]", "sensor = [-346, 260]", r"found sensor = \[-346, 260\]; wanted \[width, height\]"),
        ("sensor = [346, 260]", 'up = "w"', "found the key 'up'; wanted one of"),
        ('["wave", "fist"]', '["wave", 7]', "found classnames = .*; wanted two or more different names"),
        ('kind = "events"', "", "found no kind; wanted kind = .*remove the file and prepare again"),
    ],
)
def test_a_wrong_edit_is_one_line(tmp_path: Path, before: str, after: str, said: str) -> None:
    path = tmp_path / "hands" / FILE
    write_facts(path, GESTURES)
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    with pytest.raises(SpikeError) as caught:
        find_facts("hands", tmp_path)
    assert re.search(f"hands/{FILE}.*{said}", str(caught.value)) and "\n" not in str(caught.value)
    line = next(line for line in sets.list_sets(tmp_path) if line["name"] == "hands")
    assert line["damaged"] and FILE in line["description"]


def test_empty_files_and_what_editors_leave(tmp_path: Path) -> None:
    path = tmp_path / "hands" / FILE
    write_facts(path, GESTURES)
    text = path.read_text()
    for kept in (b"\xef\xbb\xbf" + text.encode(), text.replace(" = ", "\t=\t").replace("\n", "\r\n").encode()):
        path.write_bytes(kept)
        assert find_facts("hands", tmp_path) == GESTURES
    for lost, said in (
        (b"", "found no kind"),
        (b"# gone\n", "found no kind"),
        (text.encode("utf-16"), "save it as UTF-8"),
    ):
        path.write_bytes(lost)
        with pytest.raises(SpikeError, match=said):
            find_facts("hands", tmp_path)


def test_a_misspelt_name_is_told_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(SpikeError, match=r"cannot be 'modelnet1O': did you mean modelnet10\?"):
        find_facts("modelnet1O", tmp_path)


PLUGGED = CloudFacts("crystals", "of a plug-in", ("cubic", "hexagonal"))


def test_installed_packages_bring_data_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint("crystals", f"{__name__}:PLUGGED", sets.GROUP),
        EntryPoint("broken", "no_such_module_here:FACTS", sets.GROUP),
        EntryPoint("odd", f"{__name__}:test_each_kind_answers_for_its_data_sets", sets.GROUP),
    ]
    monkeypatch.setattr(sets, "entry_points", lambda group: points)
    sets._plugged_in.cache_clear()
    try:
        with pytest.warns(UserWarning, match="the plug-in (broken|odd) "):
            assert find_facts("crystals", tmp_path) is PLUGGED
        assert find_facts("shapes", tmp_path).made
        assert len(sets.broken_plug_ins()) == 2 and "no_such_module_here" in sets.broken_plug_ins()[0]
    finally:
        sets._plugged_in.cache_clear()


def test_every_class_keeps_a_sample_to_train_on() -> None:
    labels = np.array([0] * 10 + [1] + [2] * 2)
    for fraction in (0.1, 0.5, 0.9):
        kept, held = stratified_split(labels, fraction, seed=1)
        assert set(labels[kept]) == {0, 1, 2} and set(labels[held]) == {0, 2}
        assert sorted([*kept, *held]) == list(range(13))
