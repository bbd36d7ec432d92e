"""A paper's settings: ours beside released beside why, as rows and as a page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from spikecli.settings.released import Release


@dataclass(frozen=True)
class FidelityRow:
    """A setting of ours and as released, and why ours differs; `option` is None if no option follows the release."""

    setting: str
    option: str | None
    ours: str
    released: str
    why: str


COLUMNS = ("setting", "ours", "released", "why")
SAME = "the same"


def comparison(paper: str) -> list[FidelityRow]:
    """Return a row for each released setting and then for what no option follows; raise SpikeError if unknown."""
    from spikecli.settings.releases import entry_of

    release = entry_of(paper)
    ours, theirs = _fewshot(release) if release.fewshot else _training(paper, release)
    rows = []
    for name, released in theirs.items():
        same = ours[name] == released
        option = f"--{name.replace('_', '-')}"
        rows.append(
            FidelityRow(option, option, _text(ours[name]), _text(released), SAME if same else release.reason(name))
        )
    return rows + [FidelityRow(one.what, None, one.ours, one.released, one.why) for one in release.apart]


def _training(paper: str, release: Release) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return ours and the released value of each setting that was released, from the settings of two runs."""
    from spikecli.settings.document import fields_of
    from spikecli.settings.networks import NETWORKS
    from spikecli.training.settings import settings_of

    if release.code is None:
        return {}, {}
    nothing: tuple[dict[str, Any], ...] = ({"augment": None}, {}, {"name": None, "batch_norm": None})
    ours = settings_of(release.dataset, paper, None, *nothing)
    theirs = settings_of(release.dataset, paper, None, *nothing, fidelity="released")
    named = {"model" if name == "name" else name for name in (*release.model, *release.neuron, *release.training)}
    values = {name: value for name, (_, value) in fields_of(theirs).items() if name in named}
    known = {name: value for name, (_, value) in fields_of(ours).items()}
    defaults = {name: field.default for kind in NETWORKS.values() for name, field in kind.model_fields.items()}
    return {name: known.get(name, defaults.get(name)) for name in values}, values


def _fewshot(release: Release) -> tuple[dict[str, Any], dict[str, Any]]:
    from spikecli.cli.options.clip import ClipOptions
    from spikecli.cli.options.fitting import Fitted

    return {**vars(ClipOptions()), **vars(Fitted())}, release.fewshot


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else "none" if value is None else str(value)


def command_of(paper: str, release: Release) -> str | None:
    """Return the command that follows a release; None if no code is known."""
    if release.code is None:
        return None
    if release.fewshot:
        return f"spikecli fewshot {release.dataset} --fidelity released"
    return f"spikecli train {release.dataset} --paper {paper} --fidelity released"


def page() -> str:
    """Return docs/papers.md: for each paper ours, released, and why."""
    from spikecli.settings.releases import RELEASES

    return "\n".join(line for paper, release in RELEASES.items() for line in _section(paper, release))


def _section(paper: str, release: Release) -> Iterator[str]:
    source = f"[arXiv {release.arxiv}](https://arxiv.org/abs/{release.arxiv})"
    code = f", code: [{release.code}](https://github.com/{release.code})" if release.code else ", no code is known"
    yield f"## {release.title} (`{paper}`)\n"
    yield f"{source}{code}\n"
    if command := command_of(paper, release):
        yield f"    {command}\n"
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|---|---|---|---|"
    for row in comparison(paper):
        name = f"`{row.setting}`" if row.option else row.setting
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in (name, row.ours, row.released, row.why)) + " |"
    yield ""
