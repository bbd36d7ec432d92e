"""CLIP through open_clip: the only module that imports it; loads a model and encodes images and texts."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from spikecli.errors import SpikeError, named
from spikecli.files.extras import demand
from spikecli.files.gate import DAMAGE, reading, reason_of
from spikecli.files.tensors import check
from spikecli.machine.torchvision import import_torchvision
from spikecli.neuroclip.clip_names import activation_beside, has_other_names, with_our_names
from spikecli.neuroclip.clip_weights import Source, check_depth, file_sum, from_openai, locate, read_tensors
from spikecli.neuroclip.tokens import count_tokens, tokenizer_of

if TYPE_CHECKING:
    from types import ModuleType

MINI_CONFIG = Path(__file__).with_name("mini.json")
_CANNOT: tuple[type[Exception], ...] = (*DAMAGE, ImportError)
NORMALIZATIONS = ("clip", "paper")

# What old files carry beside their weights.
_NOT_WEIGHTS = ("input_resolution", "context_length", "vocab_size", "text.transformer.embeddings.position_ids")


def demand_clip() -> None:
    """Raise SpikeError, before any work, if packages that CLIP needs are not installed."""
    demand("open_clip", "torchvision", what="CLIP")


@dataclass(frozen=True, eq=False)
class ClipModel:
    """A frozen CLIP: maps pictures and texts to features in one space."""

    module: Any  # open_clip's own
    tokenizer: Any
    name: str
    weights: str
    identity: str  # changes whenever the weights, the architecture or the activation does
    size: int  # pixels, both sides of a picture
    dim: int  # numbers in a feature
    mean: tuple[float, ...]
    std: tuple[float, ...]
    quick_gelu: bool
    device: torch.device

    @property
    def logit_scale(self) -> float:
        """The trained inverse temperature exp(s)."""
        return float(self.module.logit_scale.detach().exp())

    @property
    def description(self) -> str:
        """The preprocessing of pictures, for the user to check."""
        mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (self.mean, self.std))
        activation = "QuickGELU" if self.quick_gelu else "GELU"
        return f"{self.name} ({self.weights}): {self.size} x {self.size} pixels, mean {mean}, std {std}, {activation}"

    @torch.no_grad()
    def encode_images(self, images: Tensor, normalization: str = "clip") -> Tensor:
        """Return the features (B, D), of any length, of images (B, 3, S, S) in 0 … 1.

        "clip" is the model's own normalization, "paper" is value − ½ (arXiv 2306.12073).
        Raise SpikeError for another name.
        """
        if normalization not in NORMALIZATIONS:
            raise SpikeError(f"found normalization {normalization!r}; wanted one of {', '.join(NORMALIZATIONS)}")
        images = images.to(self.device)
        if normalization == "paper":
            images = images - 0.5
        else:
            mean, std = (torch.tensor(value, device=self.device)[:, None, None] for value in (self.mean, self.std))
            images = (images - mean) / std
        return self.module.encode_image(images.contiguous(memory_format=torch.channels_last)).float()

    @torch.no_grad()
    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Return the features (K, D), of length 1, of texts; raise SpikeError if one is longer than CLIP reads.

        The tokenizer would cut it silently, and texts with different ends would become equal.
        """
        tokens = self.tokenizer(list(texts)).to(self.device)
        for text in texts:
            if (found := count_tokens(self.tokenizer, text)) > tokens.shape[1]:
                raise SpikeError(
                    f"the prompt {text[:60]!r}… has {found} tokens, and {self.name} reads {tokens.shape[1]}; shorten "
                    "the class name or the template"
                )
        features = [self.module.encode_text(part) for part in tokens.split(256)]
        return functional.normalize(torch.cat(features).float(), dim=-1)


def import_open_clip() -> ModuleType:
    """Return open_clip after adding the program's own `mini` to its models."""
    import_torchvision()  # which open_clip imports
    import open_clip

    if "mini" not in open_clip.list_models():
        open_clip.add_model_config(MINI_CONFIG)
    return open_clip


def find_weights(model: str | None, weights: str | None, data_dir: Path) -> Source:
    """Return where the weights of `model` (a name in open_clip, or None for a folder with a config) are or belong."""
    return locate(import_open_clip(), model, weights, data_dir)


def load_clip(source: Source, device: torch.device, quick_gelu: bool | None = None) -> ClipModel:
    """Return the CLIP of `source`; `quick_gelu` overrides the recognized activation.

    Raise SpikeError if its file is missing, damaged, or holds weights of another model.
    """
    open_clip = import_open_clip()
    if not source.path.is_file():
        raise source.missing()
    checksum = file_sum(source.path)
    tensors = read_tensors(open_clip, source.path, checksum)
    known = quick_gelu if quick_gelu is not None else source.quick_gelu
    if has_other_names(tensors):
        tensors = with_our_names(tensors)
        known = activation_beside(source.path) if known is None else known
    if known is None and from_openai(source.path, tensors):
        known = True
    _check_size(open_clip, source, tensors)
    module, tokenizer = build(open_clip, source.model, known, source.preprocess)
    _load(open_clip, module, tensors, source)
    facts, config = module.visual.preprocess_cfg, open_clip.get_model_config(source.model)
    quick = bool(config.get("quick_gelu", False)) if known is None else known
    size = facts["size"] if isinstance(facts["size"], int) else max(facts["size"])
    about = json.dumps([checksum, config, quick], sort_keys=True)
    return ClipModel(
        module=module.to(device, memory_format=torch.channels_last).eval().requires_grad_(False),
        tokenizer=tokenizer,
        name=source.model.removeprefix("local-dir:"),
        weights=source.label,
        identity=hashlib.sha256(about.encode()).hexdigest(),
        size=size,
        dim=int(config["embed_dim"]),
        mean=tuple(facts["mean"]),
        std=tuple(facts["std"]),
        quick_gelu=quick,
        device=device,
    )


def build(
    open_clip: ModuleType,
    model: str,
    quick_gelu: bool | None = None,
    preprocess: dict[str, Any] | None = None,
    device: str = "cpu",
) -> tuple[Any, Any]:
    """Return a randomly initialized open_clip model and its tokenizer; raise SpikeError if a file of it is missing."""
    choice = {} if quick_gelu is None else {"quick_gelu": quick_gelu}
    try:
        with _hushed(), torch.device(device):
            module = open_clip.create_model(
                model,
                device=device,
                load_weights=False,
                pretrained_text=False,
                force_preprocess_cfg=preprocess,
                **choice,
            )
            return module, tokenizer_of(open_clip, model)
    except _CANNOT as error:
        raise SpikeError(
            f"cannot build {model} ({reason_of(error)}); choose a model that open_clip has whole"
        ) from error


def _check_size(open_clip: ModuleType, source: Source, tensors: dict[str, Tensor]) -> None:
    """Raise SpikeError if a foreign configuration describes a larger model than the weights beside it."""
    if not source.model.startswith("local-dir:"):
        return
    with reading(source.path.parent, "fetch its configuration again"):
        check_depth(source, open_clip.get_model_config(source.model), len(tensors))
    # On the meta device it takes no memory, whatever its sizes.
    module, _ = build(open_clip, source.model, source.quick_gelu, source.preprocess, device="meta")
    wanted, found = (sum(value.numel() for value in some.values()) for some in (module.state_dict(), tensors))
    if wanted > found:
        raise SpikeError(
            f"{source.path} holds {found:,} numbers and its configuration asks for {wanted:,}; fetch both again"
        )


def _load(open_clip: ModuleType, module: Any, found: dict[str, Tensor], source: Source) -> None:
    """Load exactly the weights of `module`; open_clip would resize tensors that do not fit."""
    from open_clip.convert import convert_state_dict
    from open_clip.model import convert_to_custom_text_state_dict

    with reading(source.path, f"name the model they are of with {named('clip')}"):
        found = convert_state_dict(module, {name: value for name, value in found.items() if name not in _NOT_WEIGHTS})
        if "positional_embedding" in found and not hasattr(module, "positional_embedding"):
            found = convert_to_custom_text_state_dict(found)
    expected = module.state_dict()
    scale = found.get("logit_scale")
    if scale is not None and scale.numel() == 1:  # saved as a number or as a list of one
        found["logit_scale"] = scale.reshape(expected["logit_scale"].shape)
    wrong = sorted(set(expected) ^ set(found)) or [
        name for name in expected if expected[name].shape != found[name].shape
    ]
    if wrong:
        raise SpikeError(
            f"{source.path} holds the weights of another model than {source.model}: {len(wrong)} of its "
            f"{len(expected)} tensors do not fit, first {wrong[0]}; name the model they are of with {named('clip')}"
        )
    check(source.path, found, expected)
    module.load_state_dict(found)


@contextmanager
def _hushed() -> Iterator[None]:
    """Silence open_clip's log line about a model without weights; they are loaded next."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
