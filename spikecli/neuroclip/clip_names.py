"""Names of a CLIP's weights in Hugging Face's transformers (CLIPModel), changed to open_clip's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from spikecli.files.gate import read_json

if TYPE_CHECKING:
    from torch import Tensor

_CONFIG = "config.json"
_TOWERS = {"text_model.": "", "vision_model.": "visual."}
_PARTS = {
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "embeddings.class_embedding": "class_embedding",
    "embeddings.patch_embedding.weight": "conv1.weight",
}
_NORMS = {"pre_layrnorm": "ln_pre", "post_layernorm": "ln_post", "final_layer_norm": "ln_final"}
_INNER = {
    "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}  # fmt: skip
_PROJECTIONS = {"text_projection.weight": "text_projection", "visual_projection.weight": "visual.proj"}
_LAYER = re.compile(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")
_THREE = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")


def has_other_names(tensors: Mapping[str, Tensor]) -> bool:
    """Return whether the weights have the names of transformers."""
    return any(name.startswith("vision_model.") for name in tensors)


def with_our_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a CLIPModel under open_clip's names; others keep theirs.

    Its linear projections are stored transposed, and open_clip keeps query, key and value in one tensor.
    """
    import torch

    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith("position_ids") or any(
            name.endswith(f".{part}.{end}") for part in _THREE[1:] for end in _ENDS
        ):
            continue  # counted up, or joined with the query below
        ours = _ours(name)
        if f".{_THREE[0]}." in name:
            parts = [tensors.get(name.replace(_THREE[0], part)) for part in _THREE]
            if any(part is None for part in parts):
                found[name] = tensor
                continue
            tensor = torch.cat([part for part in parts if part is not None])
        found[ours] = tensor.t().contiguous() if name in _PROJECTIONS else tensor
    return found


_ENDS = ("weight", "bias")


def _ours(name: str) -> str:
    """Return open_clip's name of one tensor; an unknown name as it is."""
    if name in _PROJECTIONS:
        return _PROJECTIONS[name]
    tower = next((tower for tower in _TOWERS if name.startswith(tower)), None)
    if tower is None:
        return name
    rest = name.removeprefix(tower)
    if rest in _PARTS:
        return _TOWERS[tower] + _PARTS[rest]
    part, _, end = rest.rpartition(".")
    if part in _NORMS:
        return f"{_TOWERS[tower]}{_NORMS[part]}.{end}"
    layer = _LAYER.fullmatch(rest)
    if layer is None:
        return name
    block = f"{_TOWERS[tower]}transformer.resblocks.{layer[1]}"
    if layer[2] == _THREE[0]:
        return f"{block}.attn.in_proj_{layer[3]}"
    return f"{block}.{_INNER[layer[2]]}.{layer[3]}" if layer[2] in _INNER else name


def activation_beside(path: Path) -> bool | None:
    """Return whether the config.json of transformers beside the weights names QuickGELU; None without one."""
    place = path.parent / _CONFIG
    if not place.is_file():
        return None
    config = read_json(place, dict, "fetch it again, or remove it")
    inner = config.get("vision_config")
    word = inner.get("hidden_act") if isinstance(inner, dict) else None
    # CLIPConfig leaves out what is its default: quick_gelu.
    return (word or "quick_gelu") == "quick_gelu" if config.get("model_type") == "clip" else None
