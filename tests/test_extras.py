"""Small installs: prediction needs no extra, and what does says in one line which command brings it."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import forks
import pytest
from furniture import chair
from packaging.requirements import Requirement

from spikecli.cli import run
from spikecli.cli.doctor import _seen_as_extra
from spikecli.files.extras import EXTRAS, MissingExtra, demand, explained, needed
from spikecli.machine.doctor import Finding
from spikecli.training.logs import chart

ROOT = Path(__file__).parents[1]
_NAMES = {
    "open_clip_torch": "open_clip",
    "open3d-cpu": "open3d",
    "scikit-learn": "sklearn",
    "imageio-ffmpeg": "imageio_ffmpeg",
}


def without_extras(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command line in a process in which no package of an extra can be imported."""
    code = (
        "import json, sys\n"
        "lines, gone = json.loads(sys.argv[1])\n"
        "sys.modules.update(dict.fromkeys(gone))\n"
        "from spikecli.cli import run\n"
        "sys.exit(run(lines))"
    )
    given = json.dumps([words, sorted(EXTRAS)])
    return forks.run([sys.executable, "-c", code, given], cwd=folder, capture_output=True, text=True, fresh=True)


def test_prediction_needs_no_extra(tmp_path: Path) -> None:
    chair(tmp_path / "chair.off")
    ended = without_extras(tmp_path, "predict", "chair.off", "--json")
    assert ended.returncode == 0, ended.stderr
    assert len(json.loads(ended.stdout)[0]["predictions"]) == 5


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (("view", "chair.off", "--out", "chair.png"), "view"),
        (("data", "prepare", "digits"), "events"),
        (("export", "reference", "--out", "net.onnx"), "export"),
    ],
)
def test_what_is_missing_is_one_line_with_the_command(words: tuple[str, ...], extra: str, tmp_path: Path) -> None:
    chair(tmp_path / "chair.off")
    ended = without_extras(tmp_path, *words)
    last = ended.stderr.strip().splitlines()[-1]
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert last.startswith("error: ") and " needs " in last
    assert last.endswith(f"run pip install 'spikecli[{extra}]'") and "tracing" not in ended.stderr, ended.stderr


def test_what_is_missing_is_said_before_any_work_and_in_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chair(tmp_path / "chair.off")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shutil.which", lambda name: None)
    for name in EXTRAS:
        monkeypatch.setitem(sys.modules, name, None)
    for line, wanted in {
        "view chair.off --out a.mp4": "matplotlib and imageio_ffmpeg, which are not installed; run pip install "
        "'spikecli[view,video]'",
        "view chair.off --out a.html": "matplotlib and plotly, which are not installed; run pip install "
        "'spikecli[view]'",
        "zeroshot digits": "open_clip and torchvision, which are not installed; run pip install 'spikecli[clip]'",
        "fewshot digits": "'spikecli[clip]'",
        "mini": "'spikecli[clip]'",
        "watch zeroshot a.bin --classes zero,one": "'spikecli[clip]'",
        "watch run a.bin --record a.mp4": "'spikecli[view,video]'",
    }.items():
        assert run(line.split()) == 1
        said = capsys.readouterr().err.strip().splitlines()
        assert len(said) <= 2 and said[-1].endswith(wanted), said  # a bar of progress at most
    assert not (tmp_path / "data").exists()
    with pytest.raises(MissingExtra, match="this needs tonic, which is not installed"):
        demand("numpy", "tonic")


def test_a_training_without_tensorboard_writes_no_curves_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    chart(tmp_path / "run", 1, {"epoch": 1, "loss": 0.5})
    assert not (tmp_path / "run").exists()


def test_the_doctor_takes_a_missing_extra_for_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open3d", None)
    found = _seen_as_extra(Finding("Open3D", "failed", "ModuleNotFoundError: …", "reinstall", 0.1))
    assert (found.status, found.cure) == ("note", "pip install 'spikecli[view]'")
    torch = Finding("torch", "failed", "ImportError: …", "reinstall", 0.1)
    assert _seen_as_extra(torch) is torch


def test_only_packages_of_extras_are_explained() -> None:
    assert explained(ModuleNotFoundError("x", name="numpy")) is None
    assert "spikecli[view]" in str(explained(ModuleNotFoundError("x", name="matplotlib.figure")))
    assert "spikecli[clip]" in str(explained(ModuleNotFoundError("x", name="open_clip")))
    with pytest.raises(MissingExtra, match=r"spikecli\[export\]"):
        needed("nir.nothing")
    with pytest.raises(ModuleNotFoundError):
        needed("nowhere_at_all")


def test_every_package_of_the_table_is_in_its_extra_and_in_no_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for package, extra in EXTRAS.items():
        if package != "mpl_toolkits":
            lines = [*extras[extra], *(extras["pictures"] if extra == "view" else [])]
            brought = {_NAMES.get(name := Requirement(line).name, name) for line in lines}
            assert package in brought, f"spikecli[{extra}] does not bring {package}"
    core = {_NAMES.get(name := Requirement(line).name, name) for line in project["dependencies"]}
    assert not core & set(EXTRAS)
    assert Requirement(extras["view"][0]).extras == {"pictures"}
    named = Requirement(extras["all"][0]).extras
    assert named == set(extras) - {"all", "dev", "docs", "peers", "pictures"}


def test_the_library_says_the_command_too(tmp_path: Path) -> None:
    code = (
        "import json, sys\n"
        "sys.modules.update(dict.fromkeys(json.loads(sys.argv[1])))\n"
        "import spikecli\n"
        "for call in (lambda: spikecli.prepare('digits'), lambda: spikecli.load().export('net.onnx')):\n"
        "    try:\n"
        "        call()\n"
        "    except spikecli.SpikeError as error:\n"
        "        print(error)"
    )
    line = [sys.executable, "-c", code, json.dumps(sorted(EXTRAS))]
    ended = forks.run(line, cwd=tmp_path, capture_output=True, text=True, fresh=True)
    digits, onnx = ended.stdout.splitlines()
    assert digits.endswith("run pip install 'spikecli[events]'") and onnx.endswith("run pip install 'spikecli[export]'")
