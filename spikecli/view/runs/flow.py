"""View training runs as one picture or one page: the flow of `spikecli view RUN`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikecli.errors import SpikeError
from spikecli.view.drawing.report import REPORTS, picture
from spikecli.view.drawing.sections import Report, Section, Table
from spikecli.view.drawing.theme import THEMES
from spikecli.view.drawing.window import show_picture
from spikecli.view.look import Look, check_out, refuse_unused
from spikecli.view.runs.curves import learning_curves
from spikecli.view.runs.mistakes import mistakes_figure, tell_mistakes
from spikecli.view.runs.pooled import look_at_pools
from spikecli.view.runs.scores import Scored, scores_figure
from spikecli.view.sources import is_ablation
from spikecli.weights.run_folder import LAST
from spikecli.weights.run_record import RunRecord, read_run

if TYPE_CHECKING:
    from spikecli.evaluation.predictions import Evaluation
    from spikecli.weights.trained import Trained

SCORES = ("run", "T", "accuracy", "± std", "firing rate", "energy of one")


def look_at_runs(look: Look, on_work: Callable[..., None]) -> dict[str, Any]:
    """Draw training runs as `look` says and return their record; `warnings` name what cannot be drawn.

    `on_work(steps, total=…)` gets the samples evaluated. Raise SpikeError for a damaged run or if nothing can be drawn.
    """
    if any(is_ablation(Path(source)) for source in look.sources):
        return look_at_pools(look, on_work)
    check_out(look, REPORTS)
    refuse_unused(look, "split", "runs")
    opened = [_opened(Path(source)) for source in look.sources]
    records = [record for record, _ in opened]
    if len({record.name for record in records}) < len(records):
        records = [replace(record, name=str(record.folder)) for record in records]
    warnings = [f"{record.name} has no epoch yet: no curves" for record in records if not record.epochs]
    scored = _score(look, records, [network for _, network in opened], warnings, on_work)
    if not scored and not any(record.epochs for record in records):
        raise SpikeError(warnings[-1])
    report = build_report(records, scored, look)
    if look.out is None:
        show_picture(picture(report), report.title)
    else:
        REPORTS[look.suffix](report, look.out)
    on_work(1)
    return {"out": look.out, "runs": _record(records, scored), "warnings": warnings}


def _opened(folder: Path) -> tuple[RunRecord, Trained | SpikeError]:
    """Return a run with its network, whose file says its settings too; or with the reason why it has none."""
    from spikecli.weights.trained import Trained

    try:
        if not (folder / LAST).is_file():
            raise SpikeError(f"found no weights in {folder} yet")
        trained = Trained.open(folder / LAST)
    except SpikeError as problem:
        return read_run(folder), problem
    return read_run(folder, trained.config), trained


def _score(
    look: Look,
    records: Sequence[RunRecord],
    networks: Sequence[Trained | SpikeError],
    warnings: list[str],
    on_work: Callable[..., None],
) -> list[Scored]:
    """Return the networks' predictions on the split; add to `warnings` the reason for any that cannot be evaluated."""
    from spikecli.evaluation.how import How
    from spikecli.evaluation.predictions import evaluate_each, open_evaluation

    how = How(look.runs, look.seed, on_samples=on_work)
    asked: list[tuple[int, RunRecord, Evaluation]] = []
    for index, (record, network) in enumerate(zip(records, networks, strict=True)):
        try:
            if isinstance(network, SpikeError):
                raise network
            evaluation = open_evaluation(network, look.data_dir, look.split, how)
            asked.append((index, record, evaluation))
            warnings += [f"{record.name}: {change}" for change in evaluation.changes]
        except SpikeError as problem:
            warnings.append(f"{record.name} is not evaluated: {problem}")
    on_work(0, total=1 + sum(evaluation.work(look.timesteps) for _, _, evaluation in asked))
    return [Scored(*each, evaluate_each(each[2], look.timesteps)) for each in asked]


def build_report(records: Sequence[RunRecord], scored: Sequence[Scored], look: Look) -> Report:
    """Return the report of runs; at least one has epochs or scores."""
    theme = THEMES[look.theme]
    drawn = [record for record in records if record.epochs]
    sections = []
    if drawn:
        figure = learning_curves(records, theme)
        sections.append(Section("Learning curves", "Learning rate: at the end of each epoch.", figure))
    if scored:
        sections.append(
            Section("Evaluation", _told(scored, look), scores_figure(scored, theme), _scores(scored), headed=True)
        )
        wrong = mistakes_figure(scored[0], theme)
        if wrong is not None:
            sections.append(Section(*tell_mistakes(scored[0]), wrong, flat=True, headed=True))
    sections.append(Section("Settings", table=_settings(records)))
    return Report(" · ".join(record.name for record in records), _summary(records), theme, tuple(sections))


def _told(scored: Sequence[Scored], look: Look) -> str:
    evaluation, repeats = scored[0].evaluation, max(one.evaluation.repeats for one in scored)
    part = "the held-out part of the training split" if look.split == "val" else f"the {look.split} split"
    seeds = f"mean ± std of {repeats} perturbation seeds from {look.seed}" if repeats > 1 else f"seed {look.seed}"
    confusion = f" · confusion of {scored[0].record.name}" if len(scored) > 1 else " · confusion"
    shade = "shade by the root of the share"
    asked = f"{len(evaluation.places):,} {evaluation.samples.unit_name} of {part} of {evaluation.samples.dataset}"
    return f"{asked} · {seeds}{confusion}: {shade}"


def _summary(records: Sequence[RunRecord]) -> str:
    if len(records) > 1:
        return f"{len(records)} runs on {', '.join(sorted({record.config.dataset for record in records}))}"
    record, config = records[0], records[0].config
    points = f"{config.points:,} points · " if config.model.name == "pointnet" else ""
    epochs = f"{len(record.epochs)} of {config.epochs} epochs"
    return (
        f"{config.dataset} · {config.model.name}, {config.paper} · trained at T = {config.timesteps} · {epochs} · "
        f"{points}{config.precision} · seed {config.seed}"
    )


def _scores(scored: Sequence[Scored]) -> Table:
    rows = [
        (
            one.record.name,
            str(result["timesteps"]),
            f"{result['instance_accuracy']:.2%}",
            "–" if result["instance_accuracy_std"] is None else f"{100 * result['instance_accuracy_std']:.2f}",
            f"{result['firing_rate']:.2%}",
            f"{result['energy_uj']:.1f} µJ",
        )
        for one in scored
        for result in _results(one)
    ]
    return Table(SCORES, rows)


def _settings(records: Sequence[RunRecord]) -> Table:
    """Return the settings of the runs, one column each; those that differ are highlighted."""
    flat = [_flat(record.config.model_dump()) for record in records]
    names = list(dict.fromkeys(name for settings in flat for name in settings))
    rows = [(name, *(str(settings.get(name, "–")) for settings in flat)) for name in names]
    differing = frozenset(number for number, row in enumerate(rows) if len(set(row[1:])) > 1)
    return Table(("setting", *(record.name for record in records)), rows, differing)


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _record(records: Sequence[RunRecord], scored: Sequence[Scored]) -> list[dict[str, Any]]:
    found = {one.index: one for one in scored}
    documents = []
    for index, record in enumerate(records):
        document: dict[str, Any] = {"run": str(record.folder), "settings": record.config.model_dump()}
        document["epochs"] = list(record.epochs)
        documents.append(document | (_scored(found[index]) if index in found else {}))
    return documents


def _scored(one: Scored) -> dict[str, Any]:
    samples, predictions = one.evaluation.samples, one.predictions
    mistakes = [
        {
            "index": int(one.evaluation.places[sample]),
            "class": samples.classnames[predictions.labels[sample]],
            "predicted": samples.classnames[predictions.classes[0, -1, sample]],
            "probability": float(predictions.probabilities[sample, predictions.classes[0, -1, sample]]),
        }
        for sample in predictions.mistakes
    ]
    return {
        "dataset": samples.dataset,
        "split": one.evaluation.split,
        "samples": len(predictions.labels),
        "repeats": one.evaluation.repeats,
        "results": _results(one),
        "classnames": list(samples.classnames),
        "confusion": predictions.confusion.tolist(),
        "mistakes": mistakes,
    }


def _results(one: Scored) -> list[dict[str, Any]]:
    predictions = one.predictions
    means = predictions.accuracies.mean(axis=0)
    return [
        {
            "timesteps": step + 1,
            "instance_accuracy": float(means[step]),
            "instance_accuracy_std": float(predictions.accuracy_std[step]) if len(predictions.accuracies) > 1 else None,
            "firing_rate": predictions.firing_rate[step],
            "energy_uj": predictions.energy_uj[step],
        }
        for step in range(predictions.timesteps)
    ]
