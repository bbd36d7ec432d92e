"""Weights of CLIP under the names of Hugging Face's transformers give the features of the same weights of open_clip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from spikecli.errors import SpikeError
from spikecli.neuroclip.clip import ClipModel, build, find_weights, import_open_clip, load_clip
from spikecli.neuroclip.tokens import tokenizer_of

CONFIG = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
# Names of CLIPModel, written down from transformers' modeling_clip.py.
BLOCK = {
    "ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}  # fmt: skip
OUTSIDE = {
    "logit_scale": "logit_scale",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "text_projection": "text_projection.weight",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
    "visual.proj": "visual_projection.weight",
}


def in_their_names(ours: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    found = {}
    for name, tensor in ours.items():
        if name in OUTSIDE:
            found[OUTSIDE[name]] = tensor.t() if name in ("text_projection", "visual.proj") else tensor
            continue
        tower = "vision_model" if name.startswith("visual.") else "text_model"
        number, _, rest = name.split("resblocks.")[1].partition(".")
        start = f"{tower}.encoder.layers.{number}"
        if "in_proj_" in rest:
            for letter, part in zip("qkv", tensor.chunk(3), strict=True):
                found[f"{start}.self_attn.{letter}_proj.{rest.rpartition('_')[2]}"] = part
        else:
            part, _, end = rest.rpartition(".")
            found[f"{start}.{BLOCK[part]}.{end}"] = tensor
    found["vision_model.embeddings.position_ids"] = torch.arange(5)[None]
    return {name: tensor.clone().contiguous() for name, tensor in found.items()}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """Random weights of a small transformer that open_clip knows as `small-vit`."""
    path = tmp_path_factory.mktemp("model") / "small-vit.json"
    path.write_text(json.dumps(CONFIG))
    import_open_clip().add_model_config(path)
    torch.manual_seed(0)
    module, _ = build(import_open_clip(), "small-vit")
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return {name: value for name, value in module.state_dict().items() if name != "attn_mask"}


def opened(path: Path, tensors: dict[str, torch.Tensor]) -> ClipModel:
    path.parent.mkdir(exist_ok=True)
    save_file({name: value.clone().contiguous() for name, value in tensors.items()}, path)
    return load_clip(find_weights("small-vit", str(path), Path("data")), torch.device("cpu"))


def test_features_are_the_same_under_both_names(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    ours, theirs = opened(tmp_path / "a.safetensors", state), opened(tmp_path / "b.safetensors", in_their_names(state))
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(ours.encode_images(images), theirs.encode_images(images))
    assert torch.equal(ours.encode_texts(["a cat", "two dogs"]), theirs.encode_texts(["a cat", "two dogs"]))
    assert not theirs.quick_gelu


class Library:
    """What `tokenizer_of` asks of open_clip."""

    def __init__(self) -> None:
        self.config = {"text_cfg": {"context_length": 77}}

    def get_model_config(self, model: str) -> dict[str, Any]:
        return self.config

    def get_tokenizer(self, model: str) -> object:
        return object()


def test_a_tokenizer_is_made_once_for_a_model_as_it_is_and_each_time_for_a_folder() -> None:
    library: Any = Library()
    first = tokenizer_of(library, "a")
    assert tokenizer_of(library, "a") is first and tokenizer_of(library, "b") is not first
    library.config = {"text_cfg": {"context_length": 20}}
    assert tokenizer_of(library, "a") is not first
    assert tokenizer_of(library, "local-dir:x") is not tokenizer_of(library, "local-dir:x")


def test_the_configuration_beside_them_names_the_activation(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    for word, quick in (("quick_gelu", True), ("gelu", False), (None, True)):
        inner = {"hidden_act": word} if word else {}
        (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip", "vision_config": inner}))
        assert opened(tmp_path / "model.safetensors", in_their_names(state)).quick_gelu is quick
    cached = tmp_path / "models--openai--clip-vit-base-patch32" / "model.safetensors"
    assert opened(cached, in_their_names(state)).quick_gelu


def test_a_tensor_too_few_is_named_and_counted_once(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    some = in_their_names(state)
    del some["vision_model.encoder.layers.1.mlp.fc1.bias"]
    with pytest.raises(SpikeError, match=r"1 of its \d+ tensors do not fit, first visual.*resblocks.1.mlp.c_fc.bias"):
        opened(tmp_path / "a.safetensors", some)
