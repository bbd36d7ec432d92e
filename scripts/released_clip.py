"""NeuroCLIP's released file beside ours: pictures of events, adapter, logits and loss, with a stand-in for CLIP.

Dassl, the frame that its trainers hang in, is replaced by empty classes; CLIP by a linear map of an image's means and
drawn text features, the same on both sides. What the authors wrote themselves runs as it is, but for `.cuda()`, which
does nothing here, and `.half()`, which gives float64.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from released_parts import Row, compared, draws
from torch import Tensor, nn
from torch.nn import functional

from spikecli.datasets.events.frames import to_images
from spikecli.models.adapter import growing_logits
from spikecli.neuroclip.fitting import Fitting, build_adapter
from spikecli.neuroclip.zeroshot import zero_shot_logits

STEPS, DIM, CLASSES, SENSOR, SAMPLES, SCALE = 3, 32, 5, 34, 2, 1.5
TRANSFORMS = (
    "RandomHorizontalFlip", "RandomRotation", "RandomAffine", "Compose", "Resize", "CenterCrop", "ToTensor", "Normalize"
)  # fmt: skip
BOUNDS = (("weight", 0.7, 1.4), ("bias", -0.1, 0.4), ("running_mean", -0.3, 0.3), ("running_var", 0.5, 1.5))
RELEASED = Fitting(text_length="whole", norms="step", smoothed="others")


class Images(nn.Module):
    """In the place of CLIP's image encoder: a linear map of the means of 4 × 4 patches."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(3 * 16, DIM, dtype=torch.float64)

    def forward(self, images: Tensor) -> Tensor:
        return self.map(functional.adaptive_avg_pool2d(images.double(), 4).flatten(1))


class Clip(nn.Module):
    """In the place of CLIP: images as above, and texts whose features are drawn."""

    dtype = torch.float64

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.visual, self.logit_scale = Images(), nn.Parameter(torch.tensor(SCALE, dtype=torch.float64))
        self.texts = torch.randn(CLASSES, DIM, generator=draws(8), dtype=torch.float64)

    def encode_text(self, tokens: Any) -> Tensor:
        """Return features of no length in particular, (K, D)."""
        return self.texts


def of_clip(release: str) -> Iterator[Row]:
    """Yield the rows of NeuroCLIP."""
    shot = _loaded()
    network = shot.PointCLIP_Model(_settings(), [str(number) for number in range(CLASSES)], clip := Clip()).double()
    network.textual_encoder.forward = lambda: clip.texts.repeat(1, STEPS)  # without CLIP's tokens
    frames = torch.randint(0, 3, (SAMPLES, STEPS, 2, SENSOR, SENSOR), generator=draws(9))
    yield _pictures(release, network, frames)
    ours: Any = build_adapter(RELEASED, DIM).double()
    _give(ours, network.adapter)
    features = torch.randn(STEPS, SAMPLES + 3, DIM, generator=draws(10), dtype=torch.float64) * 2
    for part, training in (("adapter", False), ("adapter in training, nothing dropped", True)):
        yield _adapter_row(release, part, ours, network.adapter, features, training)
    texts = functional.normalize(clip.texts, dim=-1)
    yield _logits_row(release, ours, network, clip, texts, frames)
    yield _zero_shot_row(release, clip, texts, frames)
    labels = torch.arange(SAMPLES + 3) % CLASSES
    logits = torch.randn(SAMPLES + 3, CLASSES, generator=draws(11), dtype=torch.float64)
    smooth = RELEASED.smoothing(CLASSES)
    ours_of = partial(functional.cross_entropy, target=labels, label_smoothing=smooth)
    theirs_of = partial(shot.smooth_loss, gold=labels)
    both = [lambda x, loss=loss: torch.stack([loss(x), loss(2 * x)]) for loss in (ours_of, theirs_of)]
    yield compared(release, "loss", "neuroclip", *both, logits)


def _loaded() -> Any:
    """Return the module of the trainer, with what it takes from elsewhere replaced."""
    torch.Tensor.cuda = lambda x, *place, **how: x  # type: ignore[method-assign,assignment]
    torch.Tensor.half = torch.Tensor.double  # type: ignore[method-assign]
    functional.upsample = functional.interpolate  # type: ignore[assignment]  # its name of then
    names = {
        "dassl.engine": {"TRAINER_REGISTRY": SimpleNamespace(register=lambda: lambda kind: kind), "TrainerX": object},
        "dassl.metrics": {"compute_accuracy": None},
        "dassl.utils": {"load_pretrained_weights": None, "load_checkpoint": None},
        "dassl.optim": {"build_optimizer": None, "build_lr_scheduler": None},
        "dassl": {}, "clip": {"clip": None}, "torchvision.transforms": dict.fromkeys(TRANSFORMS, lambda *_, **__: None),
    }  # fmt: skip
    for name, values in names.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(values)
    sys.modules["torchvision"] = types.ModuleType("torchvision")
    sys.modules["torchvision"].transforms = sys.modules["torchvision.transforms"]  # type: ignore[attr-defined]
    return importlib.import_module("trainers.fewshot")


def _settings() -> Any:
    model = SimpleNamespace(
        PROJECT=SimpleNamespace(NUM_TIMES=STEPS),
        BACKBONE=SimpleNamespace(CHANNEL=DIM),
        ADAPTER=SimpleNamespace(RATIO=RELEASED.blend, INIT=0.5, DROPOUT=0.0),
    )
    return SimpleNamespace(MODEL=model, DATASET=SimpleNamespace(NAME="NMNIST_DATA"))


def _give(ours: Any, theirs: Any) -> None:
    """Draw the norms of their adapter and give all its weights to ours."""
    generator = draws(12)
    for norm in (theirs.global_f[0], theirs.global_f[3]):
        for name, low, high in BOUNDS:
            value = getattr(norm, name)
            value.data.copy_(low + (high - low) * torch.rand(value.shape, generator=generator))
    ours.dropout.p = 0.0
    pairs = ((ours.norm_in, 0), (ours.down, 2), (ours.norm_down, 3))
    for mine, place in pairs:
        mine.load_state_dict(theirs.global_f[place].state_dict())
    ours.up.load_state_dict(theirs.view_f[0].state_dict())


def _pictures(release: str, network: Any, frames: Tensor) -> Row:
    theirs = network.mv_proj(frames) / 255
    ours = to_images(np.asarray(frames), "gray", 224, 0).double()
    apart = (ours - theirs).abs().max() / theirs.abs().max()
    return Row(release, "pictures of events, 34 × 34 to 224 × 224", "neuroclip", apart.item())


def _adapter_row(release: str, part: str, ours: Any, theirs: Any, features: Tensor, training: bool) -> Row:
    ours.train(training)
    theirs.train(training)
    count = features.shape[1]

    def as_theirs(x: Tensor) -> Tensor:  # (T, B, D) → (B·T, D) and back
        return theirs(x.transpose(0, 1).flatten(0, 1)).view(count, STEPS, DIM).transpose(0, 1)

    row = compared(release, part, "neuroclip", ours, as_theirs, features)
    _give(ours, theirs)  # running statistics have moved
    return row


def _logits_row(release: str, ours: Any, network: Any, clip: Clip, texts: Tensor, frames: Tensor) -> Row:
    ours.eval()
    network.eval()
    images = network.mv_proj(frames).flatten(0, 1) / 255 - 0.5
    features = clip.visual(images).view(SAMPLES, STEPS, DIM).transpose(0, 1).detach()
    scale = RELEASED.scaled(torch.tensor(SCALE).exp().item(), STEPS)
    with torch.no_grad():
        mine, theirs = growing_logits(ours(features), texts, scale).mean(0), network(frames)
    return Row(release, "few-shot logits", "neuroclip", ((mine - theirs).abs().max() / theirs.abs().max()).item())


def _zero_shot_row(release: str, clip: Clip, texts: Tensor, frames: Tensor) -> Row:
    trainer: Any = importlib.import_module("trainers.zeroshot").NeuroCLIP_ZS()
    trainer.visual_encoder, trainer.textual_encoder = clip.visual, lambda: clip.texts.repeat(1, STEPS)
    trainer.logit_scale, trainer.dtype, trainer.channel, trainer.num_times = clip.logit_scale, clip.dtype, DIM, STEPS
    trainer.feat_store, trainer.label_store = [], []
    with torch.no_grad():
        theirs = trainer.model_inference(frames)
        features = clip.visual(trainer.mv_proj(frames).flatten(0, 1) / 255 - 0.5).view(SAMPLES, STEPS, DIM)
        ours = zero_shot_logits(features, texts, torch.tensor(SCALE).exp().item()).mean(0)
    return Row(release, "zero-shot logits", "neuroclip", ((ours - theirs).abs().max() / theirs.abs().max()).item())
