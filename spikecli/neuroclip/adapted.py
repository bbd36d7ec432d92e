"""Open the adapter that `fewshot` saved, with its CLIP, and classify recordings with it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.errors import SpikeError
from spikecli.files import tensors
from spikecli.files.gate import at_least, fits, reading
from spikecli.neuroclip.backbone import open_backbone
from spikecli.neuroclip.features import Viewing, encode_file
from spikecli.neuroclip.fitting import Fitting, build_adapter
from spikecli.neuroclip.zeroshot import Question, text_features
from spikecli.progress import Progress
from spikecli.weights import checkpoint
from spikecli.weights.adapted import Adapted
from spikecli.weights.checkpoint import WeightsFile
from spikecli.weights.trained import Trained

_FITTING = {"adapter": str, "epochs": at_least(1), "blend": float}  # later fields have defaults
_VIEWING = {"timesteps": at_least(1), "slicing": str, "preset": str, "normalization": str, "threshold": at_least(0)}
_ABOUT = {"fitting": _FITTING, "viewing": _VIEWING, "classnames": [str], "templates": [str], "clip": list}


def open_any(given: Path | None, device: str = "auto", data_dir: Path = Path("data")) -> Trained | Adapted:
    """Return the network or the adapter of a weights file, a run folder, `reference`, or (None) the newest run.

    The file is read once. Raise SpikeError if it is missing or damaged, or if an adapter's CLIP is not available.
    """
    file = checkpoint.read(given)
    return open_adapter(file, device, data_dir) if file.is_adapter else Trained.of_file(file, device)


def open_adapter(
    file: WeightsFile, device: str = "auto", data_dir: Path = Path("data"), progress: Progress = Progress()
) -> Adapted:
    """Return the adapter of a weights file that has been read.

    Raise SpikeError if it is no adapter, is damaged, or was fitted to other CLIP weights.
    """
    path, about = file.path, file.metadata
    if not file.is_adapter:
        raise SpikeError(f"{path} is no adapter; give a .safetensors file of `spikecli fewshot --out`")
    with reading(path, "copy it again, or fit it again"):
        words = {name: json.loads(about[name]) for name in _ABOUT}
        if not fits(words, _ABOUT):
            raise ValueError("its settings do not add up")
        fitting, viewing = Fitting(**words["fitting"]), Viewing(**words["viewing"])
        question = Question(tuple(words["classnames"]), tuple(words["templates"]))
        name, weights, quick_gelu, identity, dim = words["clip"]
    clip = open_backbone(name, weights, data_dir, device, quick_gelu, identity=identity, progress=progress)
    if clip.identity != identity or clip.dim != dim:
        raise SpikeError(
            f"{path} was fitted to other weights than those of {clip.name} ({clip.weights}) that are here; fetch "
            "those, or fit an adapter to these with `spikecli fewshot --out`"
        )
    adapter = build_adapter(fitting, dim)
    tensors.check(path, file.tensors, adapter.state_dict())
    adapter.load_state_dict({key: file.tensors[key] for key in adapter.state_dict()})
    texts, scale = text_features(clip, question), fitting.scaled(clip.logit_scale, viewing.timesteps)
    place = clip.device
    opened = (adapter.to(place).eval(), question.classnames, path, file.given, path.stem, place)
    return Adapted(*opened, clip, viewing, texts, scale)


def classify(
    adapted: Adapted, paths: Sequence[Path], reading: ReadOptions = AS_FOUND
) -> Iterator[tuple[Path, list[float]]]:
    """Yield each recording's path and the probabilities (K,) of the classes; raise SpikeError for a damaged one."""
    for path in paths:
        features = encode_file(adapted.clip, adapted.viewing, path, reading)
        yield path, adapted.logits(features).mean(dim=0)[0].softmax(dim=0).tolist()
