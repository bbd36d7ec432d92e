"""`mini`: a small CLIP that the program trains itself, on pictures of half of scikit-learn's digits."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from spikecli.errors import SpikeError
from spikecli.files import tensors
from spikecli.files.atomic import sole_writer
from spikecli.files.gate import file_hash
from spikecli.files.shipped import shipped_folders
from spikecli.machine.optimizers import eager
from spikecli.neuroclip.clip import MINI_CONFIG, ClipModel, build, import_open_clip
from spikecli.neuroclip.clip_weights import Source
from spikecli.neuroclip.mini_lessons import NAMES, Variation, caption, plain_pictures
from spikecli.neuroclip.mini_state import SAVED_EVERY, MiniState

_CLASSES = len(NAMES)
_CONFIG = json.loads(MINI_CONFIG.read_text(encoding="utf-8"))
_START_TEMPERATURE = 14.0
SHIPPED_SUM = "7380ce02dbb0d99a180340379e6ba64e5aeee548aba58139f44b8413deec029e"  # sha256 of the weights that ship


@dataclass(frozen=True)
class MiniRecipe:
    """Training settings of `mini`; every field is part of its file name."""

    steps: int = 900
    batch_size: int = 64
    lr: float = 3e-3
    weight_decay: float = 0.05
    caption_steps: int = 75  # first the captions learn to differ, so that pictures have targets that differ
    warmup: int = 30
    ramp: float = 0.4  # share of the steps over which the pictures grow from plain to fully varied
    label_smoothing: float = 0.05
    feature_length: float = 2.0  # of a picture's features, on average: an adapter's blend weighs lengths
    seed: int = 0
    variation: Variation = field(default_factory=Variation)


@dataclass(frozen=True, eq=False)
class DigitPictures:
    """Digits (S, h, w) in 0 … 1, white on black, and their labels (S,)."""

    images: Tensor
    labels: Tensor

    @property
    def checksum(self) -> str:
        digest = hashlib.sha256(self.images.numpy().tobytes())
        digest.update(self.labels.numpy().tobytes())
        return digest.hexdigest()


def mini_source(data_dir: Path, pictures: DigitPictures, recipe: MiniRecipe) -> Source:
    """Return the place of the weights trained by `recipe` on `pictures`; each recipe has its own file."""
    about = json.dumps([asdict(recipe), MINI_CONFIG.read_text(encoding="utf-8"), pictures.checksum], sort_keys=True)
    key = hashlib.sha256(about.encode()).hexdigest()[:12]
    return Source("mini", data_dir / "clip" / f"mini-{key}.safetensors", "trained here on pictures of digits")


def shipped_mini() -> Source | None:
    """Return the place of the weights that come with the program, None if they are not installed.

    Raise SpikeError if the file is not the one that was shipped.
    """
    path = next((folder / "model.safetensors" for folder in shipped_folders("mini") if folder.is_dir()), None)
    if path is None or not path.is_file():
        return None
    if (found := file_hash(path)) != SHIPPED_SUM:
        raise SpikeError(
            f"{path} is damaged: found sha256 {found[:12]}…, wanted {SHIPPED_SUM[:12]}…; install spikecli again"
        )
    return Source("mini", path, "with the program, trained on pictures of digits")


def ensure_mini(
    data_dir: Path, pictures: DigitPictures, recipe: MiniRecipe, on_step: Callable[[int, int], None]
) -> tuple[Source, bool]:
    """Return the place of `mini`, trained first if it is missing, and whether it was trained now.

    `on_step` is called with the step and the number of steps. Raise SpikeError if another process is training it.
    """
    source = mini_source(data_dir, pictures, recipe)
    if source.path.is_file():
        return source, False
    with sole_writer(source.path.parent, "training mini", wait=True):
        if source.path.is_file():  # trained by the process we waited for
            return source, False
        module = train_mini(pictures, recipe, on_step, stopped := source.path.with_suffix(".stopped"))
        tensors.write(source.path, module.state_dict(), {"recipe": json.dumps(asdict(recipe))})
        stopped.unlink(missing_ok=True)
    return source, True


def train_mini(pictures: DigitPictures, recipe: MiniRecipe, on_step: Callable[[int, int], None], stopped: Path) -> Any:
    """Return `mini` trained on `pictures`, the same for the same recipe on the same machine.

    A training that is interrupted is kept in the file `stopped`, from which the next call goes on.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        module, tokenizer = build(import_open_clip(), "mini")
    module.visual.to(memory_format=torch.channels_last)
    module.train()
    lesson = _Lesson(module, tokenizer, pictures, recipe, generator)
    optimizer = eager(torch.optim.AdamW)(_groups(module, recipe), lr=recipe.lr, betas=(0.9, 0.98), fused=True)
    total = recipe.caption_steps + recipe.steps
    state = MiniState(module, optimizer, generator)
    for step in range(state.load(stopped) if stopped.is_file() else 0, total):
        position = step - recipe.caption_steps
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr * _rate(position, recipe)
        loss = lesson.captions() if position < 0 else lesson.pairs(position / recipe.steps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        try:
            on_step(step + 1, total)
        except BaseException:  # Ctrl-C and the like: minutes of work are kept
            state.save(stopped, step + 1)
            raise
        if (step + 1) % SAVED_EVERY == 0:
            state.save(stopped, step + 1)
    module.eval()
    lesson.set_length()
    return module


def picture_accuracy(clip: ClipModel, pictures: DigitPictures) -> float:
    """Return the share of plain pictures that `clip` names correctly, by the caption "a photo of the number …"."""
    texts = clip.encode_texts([f"a photo of the number {name}" for name in NAMES])
    images = plain_pictures(pictures.images, clip.size).expand(-1, 3, -1, -1)
    features = torch.cat([functional.normalize(clip.encode_images(part), dim=-1) for part in images.split(256)])
    return ((features @ texts.T).argmax(dim=1).cpu() == pictures.labels).double().mean().item()


class _Lesson:
    """The losses of one step: captions among themselves, then pictures against captions."""

    def __init__(
        self,
        module: Any,
        tokenizer: Callable[[list[str]], Tensor],
        pictures: DigitPictures,
        recipe: MiniRecipe,
        generator: torch.Generator,
    ) -> None:
        self.module, self.tokenizer, self.pictures = module, tokenizer, pictures
        self.recipe, self.generator = recipe, generator
        self.size = _CONFIG["vision_cfg"]["image_size"]
        self.mean, self.std = (
            torch.tensor(module.visual.preprocess_cfg[name])[:, None, None] for name in ("mean", "std")
        )

    def captions(self) -> Tensor:
        """Return the loss of matching captions: one caption of each digit against another of the same digit."""
        return functional.cross_entropy(_START_TEMPERATURE * self._texts() @ self._texts().T, torch.arange(_CLASSES))

    def pairs(self, progress: float) -> Tensor:
        """Return CLIP's symmetric loss; a caption matches every picture of its digit."""
        recipe = self.recipe
        chosen = torch.randint(len(self.pictures.labels), (recipe.batch_size,), generator=self.generator)
        strength = min(1.0, progress / recipe.ramp) if recipe.ramp else 1.0
        images = recipe.variation(self.pictures.images[chosen], self.size, strength, self.generator)
        images = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        features = self.module.encode_image(images, normalize=True)
        logits = self.module.logit_scale.exp() * features @ self._texts().T
        labels = self.pictures.labels[chosen]
        ours = functional.one_hot(labels, _CLASSES).float()
        theirs = (ours / ours.sum(dim=0).clamp_min(1)).T
        by_picture = functional.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
        return by_picture + functional.cross_entropy(logits.T, theirs) / 2

    @torch.no_grad()
    def set_length(self) -> None:
        """Scale the last layer so that plain pictures' features have the recipe's length; angles stay."""
        images = plain_pictures(self.pictures.images, self.size).expand(-1, 3, -1, -1)
        features = [self.module.encode_image((part - self.mean) / self.std) for part in images.split(256)]
        factor = self.recipe.feature_length / torch.cat(features).norm(dim=1).mean()
        last = self.module.visual.attnpool.c_proj
        last.weight *= factor
        last.bias *= factor

    def _texts(self) -> Tensor:
        texts = [caption(digit, self.generator) for digit in range(_CLASSES)]
        return self.module.encode_text(self.tokenizer(texts), normalize=True)


def _groups(module: Any, recipe: MiniRecipe) -> list[dict[str, object]]:
    """Return parameter groups: matrices and kernels with weight decay, the rest without."""
    decayed: list[torch.nn.Parameter] = []
    kept: list[torch.nn.Parameter] = []
    for name, parameter in module.named_parameters():
        (decayed if parameter.ndim >= 2 and "embedding" not in name else kept).append(parameter)
    return [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": kept, "weight_decay": 0.0}]


def _rate(position: int, recipe: MiniRecipe) -> float:
    """Return the factor of the learning rate: 1 for the captions, then a warm-up and a cosine."""
    if position < 0:
        return 1.0
    return min(1.0, (position + 1) / recipe.warmup) * (1 + math.cos(math.pi * position / recipe.steps)) / 2
