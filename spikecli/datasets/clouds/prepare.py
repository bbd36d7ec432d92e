"""Prepare clouds from built-in recipes, a folder, an archive or a download."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikecli.datasets.clouds.facts import SHAPES, CloudFacts
from spikecli.datasets.clouds.items import Draw, Drawn, Item, draw_all
from spikecli.datasets.clouds.layouts import list_items
from spikecli.datasets.clouds.shapes import ShapeRecipe, write_shapes
from spikecli.datasets.clouds.store import FORMAT, RECORD, PointClouds, clouds_hash, write_split
from spikecli.datasets.described import described
from spikecli.datasets.notes import summed_notes
from spikecli.datasets.own_sample import OwnSample
from spikecli.datasets.prepare_options import PrepareOptions, refuse_split_order
from spikecli.datasets.reading_options import AS_FOUND
from spikecli.datasets.record import Entry, part_of, read_record, settings_key, standing, write_record
from spikecli.datasets.walk import identify
from spikecli.errors import SpikeError, named
from spikecli.files.archive import open_source
from spikecli.files.atomic import sole_writer
from spikecli.files.download import Fetching, fetch_first
from spikecli.progress import Progress

POINTS = 2048


def draw_of(options: PrepareOptions) -> Draw:
    """Return the number of points drawn from each shape, the method and the seed, and whether with normals."""
    return Draw(options.points or POINTS, options.sampling or "uniform", options.seed, bool(options.normals))


def prepare_points(
    facts: CloudFacts,
    data_dir: Path,
    options: PrepareOptions,
    progress: Progress = Progress(),
    workers: int | None = None,
) -> dict[str, Any]:
    """Return the prepared data's folder, key, settings, samples a split, skipped files, and whether it was `reused`.

    Raise SpikeError if a file cannot be used and `skip_bad` is not set, the files cannot be had, or another process
    prepares the same data set.
    """
    refuse_split_order(facts.name, options)
    place = data_dir / facts.name
    wanted: dict[str, object] = {**draw_of(options).settings, "skip_bad": options.skip_bad, "format": FORMAT}
    if options.reading.up not in (None, facts.up):
        wanted["up"] = options.reading.up
    identity = _identity(facts, options)
    if identity is not None:
        wanted["source"] = identity
    with sole_writer(place, f"preparing {facts.name}", options.wait):
        found = None if options.force else standing(place, RECORD, {"up": None, "normals": None, **wanted})
        reused = found is not None
        if found is None:
            with _opened(facts, place, options, progress) as (folder, origin):
                found = _build(facts, place, folder, options, {**wanted, "source": origin}, progress, workers)
        write_record(place, RECORD, *found)
    return _report(facts, place, *found, reused)


def write_own(
    facts: CloudFacts,
    place: Path,
    samples: Sequence[OwnSample],
    source: str,
    options: PrepareOptions,
    progress: Progress,
) -> Entry:
    """Return the record's entry of a user's clouds after writing them with z up; raise SpikeError if one is bad."""
    settings = {**draw_of(options).settings, "skip_bad": options.skip_bad, "format": FORMAT, "up": facts.up}
    settings["source"] = source
    items = [Item(one.name, facts.folders.index(one.folder), str(one.split), one.path) for one in samples]
    reading = replace(options.reading, up=facts.up, on_note=AS_FOUND.on_note)
    drawn = draw_all(items, draw_of(options), progress.on_step, None, reading)
    if drawn.skipped and not options.skip_bad:
        raise SpikeError(
            f"{len(drawn.skipped)} files cannot be used, first {drawn.skipped[0]}; or set {named('skip_bad')}"
        )
    key = settings_key(settings)
    splits = {split: _write(facts, split, drawn, place / f"{split}-{key}.h5", settings) for split in ("train", "test")}
    notes = summed_notes(drawn.notes)
    return {"settings": settings, "layout": "own", "skipped": list(drawn.skipped), "splits": splits, "notes": notes}


def as_prepared(facts: CloudFacts, data_dir: Path) -> CloudFacts:
    """Return the facts of a data set with the axis that points up in the files it was prepared from."""
    record = read_record(data_dir / facts.name, RECORD)
    up = record["sets"][record["current"]]["settings"].get("up") if record else None
    return replace(facts, up=up) if up in ("x", "y", "z") else facts


def describe_points(facts: CloudFacts, data_dir: Path) -> dict[str, Any]:
    """Return the facts of a data set and its prepared clouds; raise SpikeError if the record is damaged."""
    record = read_record(data_dir / facts.name, RECORD)
    current = record["sets"][record["current"]]["settings"] if record else {}
    more = {"up": as_prepared(facts, data_dir).up, "normals": bool(current.get("normals"))}
    told = described(facts, data_dir, RECORD, more)
    return {**told, "variants": [_in_words(kept["settings"]) for kept in record["sets"].values()] if record else []}


def _identity(facts: CloudFacts, options: PrepareOptions) -> str | None:
    """Return the identity of the source; None if any source will do, so that no second download is needed."""
    if facts is SHAPES:
        for option, value in {"source": options.source, "up": options.reading.up}.items():
            if value is not None:
                raise SpikeError(f"{facts.name} is built in, found {named(option)} {value}; remove {named(option)}")
        return json.dumps(asdict(ShapeRecipe(seed=options.seed)), sort_keys=True)
    return None if options.source is None else identify(options.source)


@contextmanager
def _opened(facts: CloudFacts, place: Path, options: PrepareOptions, progress: Progress) -> Iterator[tuple[Path, str]]:
    """Yield the folder with the clouds, and its identity."""
    if facts is SHAPES:
        recipe = ShapeRecipe(seed=options.seed)
        progress.on_phase(f"Building {facts.name}", len(facts.classnames) * (recipe.train + recipe.test))
        write_shapes(place / "raw", recipe, progress.on_step)
        yield place / "raw", json.dumps(asdict(recipe), sort_keys=True)
        return
    source = options.source
    if source is None:
        fetching = Fetching(offline=options.offline, on_phase=progress.on_phase, on_step=progress.on_step)
        source = fetch_first(facts.remotes, place / "raw", fetching)
    origin = identify(source)
    progress.on_phase(f"Opening {source.name}", None)
    with open_source(source, place, progress.on_step) as folder:
        yield folder, origin


def _build(
    facts: CloudFacts,
    place: Path,
    folder: Path,
    options: PrepareOptions,
    settings: dict[str, object],
    progress: Progress,
    workers: int | None,
) -> tuple[str, Entry]:
    """Write a file for each split of the clouds under `folder`; return the key and the entry of the record."""
    listing = list_items(folder, facts)
    progress.on_phase(f"Preparing {facts.name}", len(listing.items))
    reading = replace(options.reading, on_note=AS_FOUND.on_note)  # fit for other processes
    drawn = draw_all(listing.items, draw_of(options), progress.on_step, workers, reading)
    bad = [line.replace(f"{folder}/", "") for line in drawn.skipped]
    if bad and not options.skip_bad:
        raise SpikeError(
            f"{len(bad)} of {len(listing.items)} files cannot be used, first {bad[0]}; or set {named('skip_bad')}"
        )
    key = settings_key(settings)
    splits = {split: _write(facts, split, drawn, place / f"{split}-{key}.h5", settings) for split in facts.splits}
    notes = summed_notes([note.replace(f"{folder}/", "") for note in drawn.notes])
    return key, {"settings": settings, "layout": listing.layout, "skipped": bad, "splits": splits, "notes": notes}


def _write(facts: CloudFacts, split: str, drawn: Drawn, path: Path, settings: dict[str, object]) -> dict[str, object]:
    places = [place for place, item in enumerate(drawn.items) if item.split == split]
    items: list[Item] = [drawn.items[place] for place in places]
    points = drawn.points[places]
    labels = np.array([item.label for item in items], dtype=np.int64)
    names = tuple(item.name for item in items)
    fingerprint = clouds_hash(points, labels, names, facts.classnames, (facts.name, split))
    write_split(path, PointClouds(points, labels, names, facts.classnames, facts.name, split, fingerprint), settings)
    return part_of(path, len(items), fingerprint)


def _in_words(settings: dict[str, Any]) -> str:
    normals = ", with normals" if settings.get("normals") else ""
    return f"{settings['points']} points, {settings['sampling']}, seed {settings['seed']}{normals}"


def _report(facts: CloudFacts, place: Path, key: str, entry: Entry, reused: bool) -> dict[str, Any]:
    samples = {split: part["samples"] for split, part in entry["splits"].items()}
    return {
        "dataset": facts.name,
        "folder": str(place),
        "key": key,
        "reused": reused,
        "samples": samples,
        "official": samples == dict(facts.sizes),
        "whole_set": dict(facts.sizes),
        "layout": entry.get("layout"),
        "settings": entry["settings"],
        "skipped": entry["skipped"],
        "bad": len(entry["skipped"]),
        "notes": [] if reused else entry.get("notes", []),
        "splits": entry["splits"],
    }
