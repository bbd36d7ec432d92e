"""`spikecli papers`: everything that is implemented stands in the tree, and everything in the tree exists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest
import typer.main
from conftest import Outcome

from spikecli.cli import app
from spikecli.cli.options import training as train_options
from spikecli.settings.choices import names
from spikecli.settings.networks import with_field
from spikecli.settings.neuron import PARTS
from spikecli.settings.papers import PAPERS
from spikecli.settings.recipes import train_settings
from spikecli.settings.releases import RELEASES
from spikecli.settings.taxonomy import TAXONOMY, Heading, Method, methods

OPTIONS = [option for method in methods() for option in method.options]


def test_every_paper_and_every_value_of_a_neuron_part_has_its_place() -> None:
    values = {f"--{part} {value}" for part in PARTS for value in names(part)}
    papers = {f"--paper {name}" for name in PAPERS}
    assert (values | papers) - set(OPTIONS) == set()
    assert len(OPTIONS) == len(set(OPTIONS)), "an option has one place"
    assert {part for part, kind in train_options.NEURON_PARTS.items() if get_args(kind)[0] == str | None} == set(PARTS)


def test_a_papers_number_is_that_of_its_preset() -> None:
    for method in methods():
        for option in method.options:
            name, _, value = option.partition(" ")
            if name == "--paper":
                assert method.arxiv == PAPERS[value].arxiv, method


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_named_exists_and_takes_its_value(option: str) -> None:
    commands: Any = typer.main.get_command(app)
    name, _, value = option.partition(" ")
    if name == "spikecli":
        assert value in commands.commands
        return
    known = {each: parameter for parameter in commands.commands["train"].params for each in parameter.opts}
    key = known[name].name
    paper = value if key == "paper" else "lif"
    parts, network, training = {}, {}, {}
    if key in train_options.NEURON_PARTS:
        parts[key] = value
    elif key in train_options.NETWORK:
        network |= {"name": with_field(key)[0], key: value}
    elif key != "paper":
        training[key] = value
    settings = train_settings("shapes", paper, "short", training, parts, network)
    place = settings.model.neuron if parts else settings.model if network else settings
    assert str(getattr(place, key)) == value


def test_the_survey_is_there_with_its_three_parts() -> None:
    assert [branch.title[0] for branch in TAXONOMY] == ["1", "2", "3"]
    names = {method.name for method in methods() if not method.options}
    assert {"pruning", "attention"} <= names


def test_the_command_shows_what_is_missing_as_missing(cli: Callable[..., Outcome]) -> None:
    shown = cli("papers")
    lines = shown.out.splitlines()
    assert shown.code == 0 and shown.err == ""
    (mpbn,) = [line for line in lines if "MPBN" in line]
    assert "--paper mpbn · --norm mpbn" in mpbn and "2308.08359" in mpbn and "not implemented" not in mpbn
    (pruning,) = [line for line in lines if "pruning" in line]
    assert pruning.endswith("pruning, not implemented")
    counted = [method for method in methods() if method.counted]
    assert lines[-1].startswith(f"{sum(bool(m.options) for m in counted)} of {len(counted)} methods ")


def test_what_is_no_method_of_the_survey_is_not_counted() -> None:
    left_out = {option for method in methods() if not method.counted for option in method.options}
    ground = {"--paper lif", "--paper ann", "--reset hard", "--norm none", "--residual plain", "--start zeros"}
    assert ground <= left_out and not left_out & {f"--paper {name}" for name in RELEASES}
    assert all(method.arxiv is None for method in methods() if not method.counted)


def test_the_survey_is_the_ninth_paper(cli: Callable[..., Outcome]) -> None:
    assert cli("papers", "--paper", "survey").out == cli("papers").out
    refused = cli("papers", "--paper", "surveys")
    assert refused.code == 2 and "survey" in refused.err


def test_json_has_the_same_tree(cli: Callable[..., Outcome]) -> None:
    def same(records: list[dict[str, Any]], branches: tuple[Heading | Method, ...]) -> None:
        for record, one in zip(records, branches, strict=True):
            if isinstance(one, Heading):
                assert record["title"] == one.title
                same(record["below"], one.below)
            else:
                assert (record["name"], tuple(record["options"])) == (one.name, one.options)
                assert record["implemented"] == bool(one.options) and record["arxiv"] == one.arxiv

    same(cli("papers", "--json").document, TAXONOMY)
