"""Checks of this machine, with a cure for each failure."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from spikecli.machine import checking
from spikecli.machine.checking import Answer, Finding, Probe

__all__ = ["PROBES", "THOROUGH", "Finding", "Probe", "examine"]

PATIENCE = 60.0  # seconds before a check counts as hung
ROOM = 5.0  # GB that data sets, pictures and runs may take

_LIBRARIES = "apt-get install -y libusb-1.0-0 libgl1 libegl1 libgomp1"
_REINSTALL = "pip install -c constraints.txt -e .  (in the folder of spikecli; `make install` does it)"
_CUDA_BUILD = (
    "this torch is built without CUDA: install torch and torchvision of the same versions in their CUDA build, by the "
    "command that pytorch.org/get-started gives; --device cpu works until then"
)


def examine(
    data_dir: Path,
    on_step: Callable[[int], None],
    probes: Mapping[str, Probe] | None = None,
    patience: float = PATIENCE,
) -> list[Finding]:
    """Return a finding for each probe, in order; no probe can end or block this process."""
    return checking.examine(data_dir, on_step, PROBES if probes is None else probes, patience)


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
    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "the CPU alone"
    return f"{torch.__version__}, built for {built}"


def _devices(data_dir: Path) -> Answer:
    import torch

    from spikecli.machine.graphics import nvidia_cards

    cards = "; ".join(nvidia_cards())
    if torch.cuda.is_available():
        torch.ones(1, device="cuda").add_(1)
        names = [f"cuda:{index} {torch.cuda.get_device_name(index)}" for index in range(torch.cuda.device_count())]
        return ", ".join(names) + (f" ({cards})" if cards else "")
    if torch.backends.mps.is_available():
        return "mps"
    if cards and not torch.version.cuda:
        return "note", f"cpu only, beside an unused {cards}", _CUDA_BUILD
    if torch.version.cuda:
        return "note", f"cpu only: torch is built for CUDA {torch.version.cuda}, but no GPU or driver answers"
    return f"cpu ({os.cpu_count()} cores); no GPU is needed"


def _precision(data_dir: Path) -> str:
    from spikecli.machine.device import choose_device
    from spikecli.machine.precision import best, reason

    device = choose_device("auto")
    return f"auto takes {best(device)} on {device.type}: {reason(device)}"


def _threads(data_dir: Path) -> str:
    import torch

    from spikecli.machine.environment import idle_threads

    return f"{torch.get_num_threads()} for products; {idle_threads()}"


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
    from importlib.metadata import requires, version

    torch, vision = version("torch").partition("+")[0], version("torchvision")
    pinned = next((line for line in requires("torchvision") or () if re.match(r"torch\b", line)), "")
    if (wanted := re.search(r"==\s*([\d.]+)", pinned)) and wanted[1] != torch:
        raise RuntimeError(f"torchvision {vision} wants torch {wanted[1]}, found {torch}")
    return f"{version('open_clip_torch')}, torchvision {vision} fits torch; --thorough loads them"


def _open_clip_loaded(data_dir: Path) -> str:
    from spikecli.machine.torchvision import import_torchvision

    import_torchvision()  # with the cure for one that does not fit torch; open_clip imports it
    import open_clip

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


# A group's checks share a process, one after another: torch is loaded in one, and Open3D in another beside it. What
# needs little goes before Open3D, which cannot disturb it then.
PROBES: dict[str, Probe] = {
    "Python": Probe(
        _python, "install a complete Python 3.11 or newer, then make install PYTHON=/path/to/python3.11", "others"
    ),
    "torch": Probe(_torch, _REINSTALL, "torch"),
    "devices": Probe(_devices, "install or start the GPU's driver; --device cpu works without", "torch"),
    "precision": Probe(_precision, _REINSTALL, "torch"),
    "threads": Probe(_threads, _REINSTALL, "torch"),
    "h5py": Probe(_h5py, _REINSTALL, "others"),
    "open_clip": Probe(_open_clip, _REINSTALL, "others"),
    "Open3D": Probe(_open3d, f"{_LIBRARIES}; if that is not it: {_REINSTALL}", "others"),
    "Open3D rendering": Probe(
        _rendering, f"{_LIBRARIES} libvulkan1 mesa-vulkan-drivers; `view` draws without it", "others"
    ),
    "tonic": Probe(_tonic, _REINSTALL, "torch"),
    "disk": Probe(_disk, "free some space, or choose another folder with --data-dir or SPIKECLI_DATA_DIR", "others"),
}
THOROUGH: dict[str, Probe] = {"open_clip, loaded": Probe(_open_clip_loaded, _REINSTALL, "torch")}
