"""CLIP through open_clip: which weights are read and how, and what is refused."""

from __future__ import annotations

import json
import pickle
import warnings
from pathlib import Path

import pytest
import torch
from clip_files import random_mini
from safetensors.torch import load_file, save_file

from spikecli.errors import SpikeError
from spikecli.neuroclip import backbone, clip_weights
from spikecli.neuroclip.clip import ClipModel, build, find_weights, import_open_clip, load_clip

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_mini(tmp_path_factory.mktemp("mini") / "weights.safetensors").path


def opened(weights: Path | str, model: str | None = "mini", quick_gelu: bool | None = None) -> ClipModel:
    return load_clip(find_weights(model, str(weights), Path("data")), CPU, quick_gelu)


def test_open_clip_is_there_and_knows_mini_whatever_torchvision_it_finds() -> None:
    assert "mini" in import_open_clip().list_models()
    assert import_open_clip() is import_open_clip()


def test_a_randomly_initialized_vit_b_32_comes_back_from_its_file_with_identical_features(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module, tokenizer = build(import_open_clip(), "ViT-B-32")
    module.half().float().eval()  # what half precision can hold, so that half the file will do
    save_file(
        {name: value.half().contiguous() for name, value in module.state_dict().items()}, tmp_path / "w.safetensors"
    )
    images = torch.rand(2, 3, 224, 224)
    with torch.no_grad():
        mean, std = (torch.tensor(module.visual.preprocess_cfg[name])[:, None, None] for name in ("mean", "std"))
        expected = module.encode_image((images - mean) / std)
        words = module.encode_text(tokenizer(["a drum"]), normalize=True)
    del module
    clip = opened(tmp_path / "w.safetensors", "ViT-B/32")
    assert (clip.size, clip.dim, clip.quick_gelu) == (224, 512, False)
    torch.testing.assert_close(clip.encode_images(images), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(clip.encode_texts(["a drum"]), words, rtol=0, atol=1e-6)


def test_what_pictures_go_through_is_the_models_own_and_shown(mini: Path) -> None:
    clip = opened(mini)
    assert clip.description == (
        f"mini ({mini}): 64 x 64 pixels, mean 0.4815, 0.4578, 0.4082, std 0.2686, 0.2613, 0.2758, GELU"
    )
    images = torch.rand(2, 3, 64, 64)
    mean, std = (torch.tensor(value)[:, None, None] for value in (clip.mean, clip.std))
    torch.testing.assert_close(
        clip.encode_images(images), clip.encode_images((images - mean) / std + 0.5, "paper"), rtol=1e-3, atol=1e-4
    )
    with pytest.raises(SpikeError, match="found normalization 'imagenet'; wanted one of clip, paper"):
        clip.encode_images(images, "imagenet")


def test_texts_have_length_one(mini: Path) -> None:
    torch.testing.assert_close(opened(mini).encode_texts(["one", "two", "three"]).norm(dim=1), torch.ones(3))


@pytest.mark.parametrize(
    ("name", "extra", "asked", "quick"),
    [
        ("weights.safetensors", (), None, False),
        ("mini-openai.safetensors", (), None, True),
        ("RN50-quickgelu.safetensors", (), None, True),
        ("notopenais.safetensors", (), None, False),
        ("weights.safetensors", ("input_resolution", "context_length", "vocab_size"), None, True),
        ("weights.safetensors", (), True, True),
        ("mini-openai.safetensors", (), False, False),
    ],
)
def test_openai_weights_are_recognized_and_given_quickgelu(
    tmp_path: Path, mini: Path, name: str, extra: tuple[str, ...], asked: bool | None, quick: bool
) -> None:
    save_file({**load_file(mini), **{key: torch.tensor(64) for key in extra}}, tmp_path / name)
    clip = opened(tmp_path / name, quick_gelu=asked)
    assert clip.quick_gelu is quick
    same = torch.equal(clip.encode_texts(["seven"]), opened(mini).encode_texts(["seven"]))
    assert same is not quick
    assert (clip.identity == opened(mini).identity) is (not quick and not extra)


def test_a_place_in_the_hubs_cache_tells_openai_weights(tmp_path: Path) -> None:
    cache = tmp_path / "models--timm--vit_base_patch32_clip_224.openai" / "snapshots" / "0a1b"
    assert clip_weights.from_openai(cache / "open_clip_model.safetensors", {})
    assert not clip_weights.from_openai(tmp_path / "models--laion--b32" / "snapshots" / "0a1b" / "m.safetensors", {})


@pytest.mark.parametrize(
    ("model", "tag", "quick"), [("RN50", "openai", True), ("ViT-B-32", "laion2b_s34b_b79k", False)]
)
def test_a_tag_says_its_activation_and_where_its_file_belongs(
    tmp_path: Path, model: str, tag: str, quick: bool
) -> None:
    source = find_weights(model, tag, tmp_path)
    assert source.quick_gelu is quick
    assert source.path == tmp_path / "clip" / f"{model}-{tag}.safetensors"
    assert all(url.startswith("https://huggingface.co/") for url in source.urls)
    other = source.path.with_suffix(".bin")  # the second choice, once it is there
    other.parent.mkdir()
    other.touch()
    assert find_weights(model, tag, tmp_path).path == other


def test_siglip_weights_in_a_bare_file_keep_siglips_preprocessing(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").touch()
    source = find_weights("ViT-B-16-SigLIP", str(tmp_path / "w.safetensors"), tmp_path)
    assert source.preprocess["mean"] == (0.5, 0.5, 0.5)


def test_a_folder_with_a_configuration_is_enough(tmp_path: Path, mini: Path) -> None:
    config = import_open_clip().get_model_config("mini") | {"quick_gelu": True}
    about = {"model_cfg": config, "preprocess_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(about), encoding="utf-8")
    save_file(load_file(mini), tmp_path / "open_clip_model.safetensors")
    for clip in (
        opened(tmp_path, None),
        opened(tmp_path, "mini"),
        opened(tmp_path / "open_clip_model.safetensors", None),
    ):
        assert (clip.mean, clip.std, clip.quick_gelu) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6), True)


def test_checkpoints_of_training_and_plain_state_dicts_are_read(tmp_path: Path, mini: Path) -> None:
    tensors = load_file(mini)
    torch.save(tensors, tmp_path / "plain.pt")
    wrapped = {"epoch": 3, "state_dict": {f"module.{name}": value for name, value in tensors.items()}}
    torch.save(wrapped, tmp_path / "training.pt")
    expected = opened(mini).encode_texts(["seven"])
    for name in ("plain.pt", "training.pt"):
        assert torch.equal(opened(tmp_path / name).encode_texts(["seven"]), expected)


class _Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("sprung"),))  # type: ignore[return-value]


def test_nothing_in_a_weights_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("trap.pt").write_bytes(pickle.dumps(_Trap()))
    with pytest.raises(SpikeError, match=r"trap\.pt cannot be read as weights alone"):
        opened("trap.pt")
    assert not Path("sprung").exists()


def test_a_torchscript_archive_is_read_only_when_openai_published_it(
    tmp_path: Path, mini: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Holder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, value in load_file(mini).items():
                self.register_buffer(name.replace(".", "/"), value)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    path = tmp_path / "RN50.pt"
    with warnings.catch_warnings(action="ignore"):  # TorchScript is old
        torch.jit.save(torch.jit.script(Holder()), path)
    with pytest.raises(SpikeError, match="TorchScript archive, which may carry code, and none of OpenAI's"):
        opened(path)
    checksum = clip_weights.file_sum(path)
    monkeypatch.setattr(
        import_open_clip(), "get_pretrained_url", lambda name, tag: f"https://example.org/{checksum}/{name}.pt"
    )
    tensors = clip_weights.read_tensors(import_open_clip(), path, checksum)
    assert {name.replace("/", ".") for name in tensors} == set(load_file(mini))


def test_weights_of_another_model_are_refused(tmp_path: Path, mini: Path) -> None:
    tensors = load_file(mini)
    save_file({**tensors, "text_projection": torch.zeros(64, 256)}, tmp_path / "narrow.safetensors")
    with pytest.raises(
        SpikeError, match=r"holds the weights of another model than mini: 1 of its .* first text_projection"
    ):
        opened(tmp_path / "narrow.safetensors")
    save_file({"classifier.weight": torch.zeros(10, 10)}, tmp_path / "other.safetensors")
    with pytest.raises(SpikeError, match="holds the weights of another model than mini"):
        opened(tmp_path / "other.safetensors")


def test_a_file_cut_short_is_refused(tmp_path: Path, mini: Path) -> None:
    (tmp_path / "cut.safetensors").write_bytes(mini.read_bytes()[:100_000])
    with pytest.raises(SpikeError, match=r"cut\.safetensors is damaged, cut short or of another kind"):
        opened(tmp_path / "cut.safetensors")


@pytest.mark.parametrize(
    ("model", "weights", "said"),
    [
        ("RN51", None, r"open_clip knows no model 'RN51'; choose one of its names, such as"),
        ("RN50", "best", r"found no weights 'best' of RN50; wanted a file or one of openai,"),
        (None, "gone.safetensors", r"found weights gone\.safetensors without a model; .* add clip"),
        ("RN50", "gone.safetensors", r"found no weights of RN50 at gone\.safetensors; check the path"),
    ],
)
def test_names_that_mean_nothing(tmp_path: Path, model: str | None, weights: str | None, said: str) -> None:
    with pytest.raises(SpikeError, match=said):
        load_clip(find_weights(model, weights, tmp_path), CPU)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpikeError, match=r"found no weights in .*; wanted a \.safetensors"):
        find_weights("RN50", str(tmp_path), tmp_path)


def test_without_a_network_one_line_says_which_file_to_fetch_and_where_to_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(remotes: object, folder: Path, how: object) -> Path:
        raise SpikeError("cannot fetch it: Name or service not known")

    monkeypatch.setattr(backbone, "fetch_first", unreachable)
    with pytest.raises(SpikeError) as caught:
        backbone.open_backbone("ViT-B-32", None, tmp_path, "cpu")
    assert str(caught.value) == (
        f"found no weights of ViT-B-32 at {tmp_path}/clip/ViT-B-32-openai.safetensors (no network); fetch "
        "https://huggingface.co/timm/vit_base_patch32_clip_224.openai/resolve/main/open_clip_model.safetensors "
        "and put it there, or give weights FILE"
    )
    assert list((tmp_path / "clip").glob("*")) == [] if (tmp_path / "clip").exists() else True


def test_a_prompt_that_is_too_long_is_refused_and_not_cut(mini: Path) -> None:
    clip = opened(mini)
    longest = " ".join(["very"] * 30)  # 32 with the marks of beginning and end
    assert clip.encode_texts([longest]).shape[0] == 1
    with pytest.raises(SpikeError, match=r"the prompt 'very very .*has 33 tokens, and mini reads 32"):
        clip.encode_texts(["a drum", longest + " very"])
