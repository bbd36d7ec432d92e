"""Find the weights of a CLIP, recognize their activation, and read them without unpickling."""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikecli.errors import SpikeError, named
from spikecli.files import tensors
from spikecli.files.gate import allowed_bytes, at_least, fits, read_json, reading

if TYPE_CHECKING:
    from types import ModuleType

    from torch import Tensor

_CONFIG = "open_clip_config.json"
_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
_MODEL = {"embed_dim": at_least(1), "vision_cfg": dict, "text_cfg": dict}
_PREFERRED = (
    "open_clip_model.safetensors", "open_clip_pytorch_model.bin", "model.safetensors", "pytorch_model.bin",
)  # fmt: skip
_PREPROCESSING: dict[str, Any] = {"mean": [float], "std": [float], "interpolation": str, "resize_mode": str}
# OpenAI's own files carry these beside the weights; what open_clip saves does not.
_OPENAI_KEYS = ("input_resolution", "context_length", "vocab_size")
_OPENAI_FILE = re.compile(r"(?<![a-z])(openai|quickgelu)(?![a-z])")
_OPENAI_FOLDER = re.compile(r"(^|[-_.])(openai|quickgelu)$|^(models--openai--)?clip-vit-(base|large)-patch\d+(-\d+)?$")


@dataclass(frozen=True)
class Source:
    """The weights of one CLIP: file, origin, and the known facts of their training."""

    model: str  # open_clip's name, or "local-dir:FOLDER" for a folder with a configuration of its own
    path: Path
    label: str  # the tag, or the path as the user gave it
    urls: tuple[str, ...] = ()
    quick_gelu: bool | None = None  # None: nothing says it
    preprocess: dict[str, Any] = field(default_factory=dict)

    def missing(self, reason: str = "") -> SpikeError:
        """Return the one-line error for missing weights."""
        where = f" ({reason})" if reason else ""
        fetch = f"fetch {self.urls[0]} and put it there" if self.urls else "check the path"
        return SpikeError(
            f"found no weights of {self.model} at {self.path}{where}; {fetch}, or give {named('weights')} FILE"
        )


def locate(open_clip: ModuleType, model: str | None, weights: str | None, data_dir: Path) -> Source:
    """Return the source of the weights that `model` and `weights` (a tag, a file, a folder, or None) name.

    Raise SpikeError for an unknown model or tag, for a folder without weights, and for a file without a model.
    """
    given = Path(weights) if weights else None
    if given is not None and given.is_dir():
        return _in_folder(open_clip, model, given)
    if given is not None and (given.is_file() or given.suffix in _SUFFIXES):
        if (given.parent / _CONFIG).is_file():
            return _configured(open_clip, model, given, given.parent)
        return _single_file(open_clip, _known(open_clip, model, given), given)
    name = _known(open_clip, model, given)
    return _tagged(open_clip, name, weights, data_dir)


def _known(open_clip: ModuleType, model: str | None, given: Path | None) -> str:
    """Return open_clip's spelling of `model`; raise SpikeError if open_clip does not know it."""
    if model is None:
        raise SpikeError(
            f"found weights {given} without a model; wanted its name; add {named('clip')}, for instance RN50"
        )
    name = model.replace("/", "-")
    if name not in open_clip.list_models():
        near = [known for known in open_clip.list_models() if name.lower() in known.lower()][:4]
        known = ", ".join(near or ["mini", "RN50", "ViT-B-32", "ViT-B-16"])
        raise SpikeError(f"open_clip knows no model {model!r}; choose one of its names, such as {known}")
    return name


def _tagged(open_clip: ModuleType, name: str, weights: str | None, data_dir: Path) -> Source:
    tags = open_clip.list_pretrained_tags_by_model(name)
    tag = weights or ("openai" if "openai" in tags else tags[0] if tags else None)
    if tag is None or tag not in tags:
        raise SpikeError(
            f"found no weights {tag!r} of {name}; wanted a file or one of {', '.join(tags) or 'no tag at all'}; "
            f"give {named('weights')} TAG or PATH"
        )
    facts = open_clip.get_pretrained_cfg(name, tag)
    urls = _addresses(facts)
    places = [data_dir / "clip" / f"{name}-{tag}{Path(url).suffix}" for url in urls]
    path = next((place for place in places if place.is_file()), places[0])
    return Source(name, path, tag, urls, bool(facts.get("quick_gelu", False)), _preprocessing(facts))


def _addresses(facts: dict[str, Any]) -> tuple[str, ...]:
    """Return the addresses of a tag's weights, the safest format first."""
    if not facts["hf_hub"]:
        return (facts["url"],)
    repository, _, name = facts["hf_hub"].rpartition("/")
    names = [name] if name else list(_PREFERRED)
    if name and not name.endswith(".safetensors"):
        names.insert(0, f"{Path(name).stem}.safetensors")
    return tuple(f"https://huggingface.co/{repository}/resolve/main/{name}" for name in names)


def _in_folder(open_clip: ModuleType, model: str | None, folder: Path) -> Source:
    files = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES)
    chosen = [folder / name for name in _PREFERRED if folder / name in files] or files
    if not chosen:
        raise SpikeError(
            f"found no weights in {folder}; wanted a {', '.join(_SUFFIXES)} file; check {named('weights')}"
        )
    if (folder / _CONFIG).is_file():
        return _configured(open_clip, model, chosen[0], folder)
    if len(chosen) > 1 and chosen[0].name not in _PREFERRED:
        raise SpikeError(
            f"found {len(chosen)} files of weights in {folder}; wanted one; name it with {named('weights')}"
        )
    return _single_file(open_clip, _known(open_clip, model, folder), chosen[0])


def _configured(open_clip: ModuleType, model: str | None, path: Path, folder: Path) -> Source:
    """Return weights beside a configuration; if a model is also named, loading checks that they fit."""
    config = read_json(folder / _CONFIG, {"model_cfg": _MODEL}, "fetch it again, or remove it")
    quick_gelu = bool(config["model_cfg"].get("quick_gelu", False))
    name = f"local-dir:{folder}" if model is None else _known(open_clip, model, path)
    facts = config.get("preprocess_cfg", {})
    if not fits(facts, dict) or not fits(facts, {key: _PREPROCESSING[key] for key in _PREPROCESSING if key in facts}):
        raise SpikeError(f"{folder / _CONFIG} has a preprocess_cfg that does not add up; fetch it again")
    return Source(name, path, str(path), (), quick_gelu, _preprocessing(facts))


def _single_file(open_clip: ModuleType, name: str, path: Path) -> Source:
    """Return weights without a configuration; preprocessing is that of the model's published weights, if they agree."""
    published = [
        _preprocessing(open_clip.get_pretrained_cfg(name, tag)) for tag in open_clip.list_pretrained_tags_by_model(name)
    ]
    agreed = published[0] if published and all(facts == published[0] for facts in published) else {}
    return Source(name, path, str(path), (), None, agreed)


def check_depth(source: Source, config: dict[str, Any], count: int) -> None:
    """Raise SpikeError if a configuration has more layers than the weights have tensors: it could name billions."""
    for part in ("vision_cfg", "text_cfg"):
        layers = config[part].get("layers", 0)
        wanted = layers if isinstance(layers, list) else [layers]
        if not fits(wanted, [at_least(0)]) or sum(wanted) > count:
            raise SpikeError(f"the configuration of {source.path} asks for {str(layers)[:40]} layers; fetch it again")


def _preprocessing(facts: Any) -> dict[str, Any]:
    return {key: facts[key] for key in _PREPROCESSING if key in facts}


def file_sum(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def from_openai(path: Path, tensors: dict[str, Tensor]) -> bool:
    """Return whether weights without a configuration are from OpenAI and so need QuickGELU.

    The weights themselves do not tell. What does: the three numbers that OpenAI's own files carry, or the name of the
    file, of its folder or of its place in the hub's cache (`vit_base_patch32_clip_224.openai`, `RN50-quickgelu.pt`).
    """
    if all(key in tensors for key in _OPENAI_KEYS):
        return True
    folders = [parent.name for parent in path.parents if parent.name.startswith("models--")]
    return bool(_OPENAI_FILE.search(path.name.lower())) or any(
        _OPENAI_FOLDER.search(name.lower()) for name in (path.parent.name, *folders)
    )


def read_tensors(open_clip: ModuleType, path: Path, checksum: str) -> dict[str, Tensor]:
    """Return the tensors in `path` by name; raise SpikeError if it is damaged, needs unpickling, or is no model.

    A TorchScript archive can carry code. It is read only when its checksum is one of those OpenAI published.
    """
    import torch

    if path.suffix == ".safetensors":
        return tensors.read(path)[0]
    # Of formats that are old, or fail a line later, torch also warns.
    with (
        reading(path, "give a .safetensors file or a state dict, or copy it again"),
        warnings.catch_warnings(action="ignore"),
    ):
        if _is_torchscript(path):
            _check_published(open_clip, path, checksum)
            return dict(torch.jit.load(path, map_location="cpu").state_dict())
        try:
            found = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:
            raise SpikeError(
                f"{path} cannot be read as weights alone: it is damaged, or would have to be unpickled, which can run "
                "code; give a .safetensors file or a state dict"
            ) from None
        return _unwrapped(found, path)


def _unwrapped(found: Any, path: Path) -> dict[str, Tensor]:
    """Return the state dict of a checkpoint of open_clip's training, without the rest."""
    import torch

    values = found.get("state_dict", found) if isinstance(found, dict) else None
    if not isinstance(values, dict) or not all(isinstance(value, torch.Tensor) for value in values.values()):
        raise SpikeError(f"{path} holds no state dict; wanted tensors by name; give the weights of a CLIP")
    return {str(name).removeprefix("module."): tensor for name, tensor in values.items()}


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        if sum(info.file_size for info in archive.infolist()) > allowed_bytes(path):
            raise ValueError("it unpacks to far more than weights do")
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _check_published(open_clip: ModuleType, path: Path, checksum: str) -> None:
    sums = {open_clip.get_pretrained_url(name, "openai").split("/")[-2] for name in open_clip.list_openai_models()}
    if checksum not in sums:
        raise SpikeError(
            f"{path} is a TorchScript archive, which may carry code, and none of OpenAI's; give .safetensors instead"
        )
