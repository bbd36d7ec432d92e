"""What this machine can do: each check in a process of its own, so that a crash is a finding and not an end."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from signal import Signals
from time import perf_counter
from typing import Literal

Status = Literal["ok", "note", "failed"]

PATIENCE = 120.0  # seconds before a check counts as hung
ROOM = 5.0  # GB that data sets, pictures and runs may take

_LIBRARIES = "apt-get install -y libusb-1.0-0 libgl1 libegl1 libgomp1"
_REINSTALL = "pip install -c constraints.txt -e .  (in the folder of spikecli; `make install` does it)"


@dataclass(frozen=True)
class Finding:
    """What one check found, and the cure where it failed or could be better."""

    check: str
    status: Status
    detail: str
    cure: str
    seconds: float


@dataclass(frozen=True)
class Probe:
    """One check: `run` takes the data folder and returns a detail, or a status and a detail; raising is failing."""

    run: Callable[[Path], str | tuple[Status, str]]
    cure: str


def examine(
    data_dir: Path, on_step: Callable[[int], None], probes: dict[str, Probe] | None = None, patience: float = PATIENCE
) -> list[Finding]:
    """Return a finding for each probe, in their order; none of them can end or block this process."""
    chosen = PROBES if probes is None else probes

    def one(name: str) -> Finding:
        finding = _apart(name, chosen[name], data_dir, patience)
        on_step(1)
        return finding

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return list(pool.map(one, chosen))


def _apart(name: str, probe: Probe, data_dir: Path, patience: float) -> Finding:
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    started = perf_counter()
    process = context.Process(target=_child, args=(sender, probe, data_dir), daemon=True)
    process.start()
    sender.close()
    status: Status
    try:
        # The end of the pipe is readable when the child has answered, and also when it has died.
        if receiver.poll(patience):
            status, detail = receiver.recv()
        else:
            process.kill()
            status, detail = "failed", f"no answer in {patience:g} s"
    except EOFError:
        process.join()
        status, detail = "failed", _ending(process.exitcode or 0)
    finally:
        receiver.close()
    process.join(5)
    if process.is_alive():
        process.kill()
        process.join()
    return Finding(name, status, detail, "" if status == "ok" else probe.cure, round(perf_counter() - started, 2))


def _child(sender: Connection, probe: Probe, data_dir: Path) -> None:
    quiet = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # native libraries write to the descriptors, whatever sys.stdout is
        os.dup2(quiet, stream)
    warnings.simplefilter("ignore")
    try:
        answer = probe.run(data_dir)
    except Exception as error:  # noqa: BLE001 (whatever a library raises is the finding)
        first = (str(error).strip().splitlines() or [""])[0]
        sender.send(("failed", f"{type(error).__name__}: {first}"))
    else:
        sender.send(("ok", answer) if isinstance(answer, str) else answer)
    sender.close()


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    known = {signal.value: signal.name for signal in Signals}
    return f"crashed ({known.get(-code, f'signal {-code}')})"


def _python(data_dir: Path) -> str:
    import sqlite3  # an interpreter built without its libraries lacks these two
    import ssl

    version = ".".join(str(part) for part in sys.version_info[:3])
    return f"{version} on {sys.platform}, {ssl.OPENSSL_VERSION.split('  ')[0]}, SQLite {sqlite3.sqlite_version}"


def _torch(data_dir: Path) -> str:
    import torch

    total = (torch.ones(8, 8) @ torch.ones(8, 8)).sum().item()
    if total != 512:
        raise RuntimeError(f"a product of matrices gave {total}, wanted 512")
    return f"{torch.__version__}, {torch.get_num_threads()} threads"


def _devices(data_dir: Path) -> str | tuple[Status, str]:
    import torch

    if torch.cuda.is_available():
        names = [f"cuda:{index} {torch.cuda.get_device_name(index)}" for index in range(torch.cuda.device_count())]
        torch.ones(1, device="cuda").add_(1)
        return ", ".join(names)
    if torch.backends.mps.is_available():
        return "mps"
    if torch.version.cuda:
        return "note", f"cpu only: torch is built for CUDA {torch.version.cuda}, but no GPU or driver answers"
    return f"cpu ({os.cpu_count()} cores); no GPU is needed"


def _open3d(data_dir: Path) -> str:
    import open3d

    mesh = open3d.geometry.TriangleMesh.create_box()
    return f"{open3d.__version__}, {len(mesh.sample_points_uniformly(16).points)} points drawn on a box"


def _rendering(data_dir: Path) -> str:
    os.environ.setdefault("EGL_PLATFORM", "surfaceless")
    import numpy as np
    import open3d

    rendering = open3d.visualization.rendering
    renderer = rendering.OffscreenRenderer(32, 32)
    renderer.scene.set_background([0.0, 0.0, 0.0, 1.0])
    material = rendering.MaterialRecord()
    material.shader = "defaultUnlit"
    renderer.scene.add_geometry("box", open3d.geometry.TriangleMesh.create_box(), material)
    renderer.setup_camera(60.0, [0.5, 0.5, 0.5], [2.0, 2.0, 2.0], [0.0, 0.0, 1.0])
    picture = np.asarray(renderer.render_to_image())
    if np.ptp(picture) == 0:
        raise RuntimeError("a box was drawn as an empty picture")
    return "a box drawn without a screen"


def _open_clip(data_dir: Path) -> str:
    from spikecli.models.clip import import_open_clip

    open_clip = import_open_clip()  # with the cure for a torchvision that does not fit torch
    tokens = int((open_clip.get_tokenizer("ViT-B-32")(["a chair"]) > 0).sum())
    if tokens != 4:
        raise RuntimeError(f"'a chair' became {tokens} tokens, wanted 4")
    return f"{open_clip.__version__}, {len(open_clip.list_models())} models"


def _tonic(data_dir: Path) -> str:
    import numpy as np
    import tonic

    events = np.zeros(4, dtype=[("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")])
    events["t"] = range(4)
    frames = tonic.transforms.ToFrame(sensor_size=(2, 2, 2), n_event_bins=1)(events)
    if frames.sum() != 4:
        raise RuntimeError(f"four events gave a frame of {frames.sum()}")
    return f"{tonic.__version__}, events counted into a frame"


def _h5py(data_dir: Path) -> str:
    import h5py

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe.h5"
        with h5py.File(path, "w") as file:
            file["numbers"] = [1, 2, 3]
        with h5py.File(path) as file:
            if file["numbers"][:].sum() != 6:
                raise RuntimeError("a file gave back other numbers than were written")
    return f"{h5py.__version__}, a file written and read"


def _data_sets(data_dir: Path) -> str | tuple[Status, str]:
    prepared = sorted(path.parent.name for path in data_dir.glob("*/prepared.json"))
    if not prepared:
        return "note", f"none prepared in {data_dir}"
    return f"{', '.join(prepared)} in {data_dir}"


def _disk(data_dir: Path) -> str:
    place = data_dir.resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 1e9
    if not os.access(place, os.W_OK):
        raise RuntimeError(f"{place} cannot be written to")
    if free < ROOM:
        raise RuntimeError(f"{free:.1f} GB free at {place}, wanted {ROOM:.0f}")
    return f"{free:.0f} GB free at {place}"


PROBES: dict[str, Probe] = {
    "Python": Probe(_python, "install a complete Python 3.11 or newer, then make install PYTHON=/path/to/python3.11"),
    "torch": Probe(_torch, _REINSTALL),
    "devices": Probe(_devices, "install or start the GPU's driver; --device cpu works without"),
    "Open3D": Probe(_open3d, f"{_LIBRARIES}; if that is not it: {_REINSTALL}"),
    "Open3D rendering": Probe(_rendering, f"{_LIBRARIES} libvulkan1 mesa-vulkan-drivers; `view` draws without it"),
    "open_clip": Probe(_open_clip, _REINSTALL),
    "tonic": Probe(_tonic, _REINSTALL),
    "h5py": Probe(_h5py, _REINSTALL),
    "data sets": Probe(_data_sets, "spikecli data prepare shapes"),
    "disk": Probe(_disk, "free some space, or choose another folder with --data-dir or SPIKECLI_DATA_DIR"),
}
