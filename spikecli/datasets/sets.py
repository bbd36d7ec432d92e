"""Every data set by its name, whatever it holds: prepare, describe, verify."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from spikecli.datasets.catalog import CATALOG
from spikecli.datasets.clouds.prepare import describe_points, prepare_points
from spikecli.datasets.clouds.store import verify_points
from spikecli.datasets.order import Order
from spikecli.errors import ChoiceError, SpikeError
from spikecli.progress import Watch
from spikecli.settings.choices import advice


def kind_of(name: str) -> str:
    """Return what the data set `name` holds, `points`, `events` or `images`; SpikeError when there is no such one."""
    if name not in CATALOG:
        raise ChoiceError("dataset", f"cannot be {name!r}: {advice(name, CATALOG)}")
    return CATALOG[name]


def prepare(data_dir: Path, name: str, order: Order, watch: Watch = Watch()) -> dict[str, Any]:
    """Return what was prepared of the data set `name`, with `samples` a split and whether it was `reused`."""
    return _PREPARE[kind_of(name)](data_dir, name, order, watch)


def describe(data_dir: Path, name: str) -> dict[str, Any]:
    """Return the facts of the data set `name`, and what of it is prepared."""
    return _DESCRIBE[kind_of(name)](data_dir, name)


def verify(data_dir: Path, name: str, watch: Watch = Watch()) -> dict[str, Any]:
    """Return the checksums of what is prepared, all of which hold; SpikeError when one does not."""
    return _VERIFY[kind_of(name)](data_dir, name, watch)


def list_sets(data_dir: Path) -> list[dict[str, Any]]:
    """Return a line on every data set: what it holds, whether and how it stands, its size, how to get it."""
    return [_line(data_dir, name) for name in CATALOG]


def _line(data_dir: Path, name: str) -> dict[str, Any]:
    try:
        about = describe(data_dir, name)
    except SpikeError as problem:  # one damaged record must not hide the other data sets
        about = {"description": str(problem), "prepared": False, "samples": {}, "bytes": 0, "damaged": True}
    return {
        "name": name,
        "kind": kind_of(name),
        "description": about["description"],
        "prepared": about["prepared"],
        "damaged": about.get("damaged", False),
        "samples": about["samples"],
        "bytes": about["bytes"],
        "how": f"spikecli data prepare {name}",
    }


def _refuse_options_of_points(name: str, order: Order) -> None:
    given = {"--points": order.points, "--sampling": order.sampling, "--skip-bad": order.skip_bad or None}
    for option, value in given.items():
        if value is not None:
            raise SpikeError(
                f"found {option}, which is for data sets of points; {name} holds {kind_of(name)}; leave it away"
            )


def _prepare_events(data_dir: Path, name: str, order: Order, watch: Watch) -> dict[str, Any]:
    from spikecli.datasets.events.prepare import prepare_events

    _refuse_options_of_points(name, order)
    return prepare_events(
        data_dir,
        name,
        source=order.source,
        seed=order.seed,
        force=order.force,
        offline=order.offline,
        on_total=lambda total: watch.on_phase(f"Preparing {name}", total),
        on_step=watch.on_step,
        on_phase=lambda text: watch.on_phase(text.capitalize(), None),
    )


def _describe_events(data_dir: Path, name: str) -> dict[str, Any]:
    from spikecli.datasets.events.prepare import describe_events

    return describe_events(data_dir, name)


def _verify_points(data_dir: Path, name: str, watch: Watch) -> dict[str, Any]:
    watch.on_phase(f"Verifying {name}", None)
    return verify_points(data_dir, name, watch.on_step)


def _verify_events(data_dir: Path, name: str, watch: Watch) -> dict[str, Any]:
    from spikecli.datasets.events.prepare import verify_events

    return verify_events(
        data_dir, name, on_total=lambda total: watch.on_phase(f"Verifying {name}", total), on_step=watch.on_step
    )


def _prepare_images(data_dir: Path, name: str, order: Order, watch: Watch) -> dict[str, Any]:
    from spikecli.datasets.images.prepare import prepare_images

    _refuse_options_of_points(name, order)
    return prepare_images(data_dir, name, order, watch)


def _describe_images(data_dir: Path, name: str) -> dict[str, Any]:
    from spikecli.datasets.images.prepare import describe_images

    return describe_images(data_dir, name)


def _verify_images(data_dir: Path, name: str, watch: Watch) -> dict[str, Any]:
    from spikecli.datasets.images.prepare import verify_images

    return verify_images(data_dir, name, watch)


_PREPARE: dict[str, Callable[[Path, str, Order, Watch], dict[str, Any]]] = {
    "points": prepare_points,
    "events": _prepare_events,
    "images": _prepare_images,
}
_DESCRIBE: dict[str, Callable[[Path, str], dict[str, Any]]] = {
    "points": describe_points,
    "events": _describe_events,
    "images": _describe_images,
}
_VERIFY: dict[str, Callable[[Path, str, Watch], dict[str, Any]]] = {
    "points": _verify_points,
    "events": _verify_events,
    "images": _verify_images,
}
