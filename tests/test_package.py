"""The package: wheel and source archive, the wheel in a fresh environment, one version, terms, Dockerfile."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from importlib.metadata import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from rooms import ROOT

import spikecli

SKIPPED = ("tests", "docs", "data", "site", "build", "dist", "benchmarks")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the wheel and the source archive, built from a copy of the checkout without the net."""
    source = tmp_path_factory.mktemp("source") / "spikecli"
    shutil.copytree(ROOT, source, ignore=_not_packed)
    folder = tmp_path_factory.mktemp("dist")
    line = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(source)]
    env = {**os.environ, "PIP_NO_INDEX": "1"}
    ended = subprocess.run(line, env=env, capture_output=True, text=True, check=False, timeout=240)
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    return folder


def _not_packed(folder: str, names: list[str]) -> set[str]:
    top = Path(folder) == ROOT
    runs = (
        {name for name in names if not name.startswith(("reference", "mini"))}
        if folder.endswith("checkpoints")
        else set()
    )
    hidden = {name for name in names if name.startswith(".") or name == "__pycache__" or name.endswith(".egg-info")}
    return hidden | (set(SKIPPED) & set(names) if top else set()) | runs


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a fresh environment with the wheel; its dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("fresh") / "env"
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    (wheel,) = built.glob("*.whl")
    line = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        "--no-compile",
    ]
    subprocess.run([*line, str(wheel)], check=True, capture_output=True, timeout=120)
    ours = next(Path(place) for place in sys.path if place.endswith("site-packages"))
    (own,) = (folder / "lib").glob("python*/site-packages")
    (own / "of_the_tests.pth").write_text(f"{ours}\n")
    return folder / "bin"


def test_the_wheel_names_a_mesh_from_another_folder(installed: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "chair.off", tmp_path / "mine.off")
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}

    def said(*line: object) -> str:
        words = [str(word) for word in line]
        return subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=True).stdout

    place = said(installed / "python", "-c", "import spikecli; print(spikecli.__file__)").strip()
    assert Path(place).is_relative_to(installed.parent)
    assert said(installed / "spikecli", "--version").strip() == f"spikecli {spikecli.__version__}"
    named = json.loads(said(installed / "spikecli", "predict", "mine.off", "--json"))
    assert named[0]["predictions"][0]["class"] == "chair"


def test_the_archives_hold_what_they_need_and_no_more(built: Path) -> None:
    (wheel,), (archive,) = built.glob("*.whl"), built.glob("*.tar.gz")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    version = spikecli.__version__
    assert tops == {"spikecli", f"spikecli-{version}.dist-info", f"spikecli-{version}.data"}
    for ending in (
        "spikecli/py.typed",
        "reference/model.safetensors",
        "mini/model.safetensors",
        "licenses/LICENSE",
        "licenses/THIRD_PARTY.md",
    ):
        assert any(name.endswith(ending) for name in names), ending
    with tarfile.open(archive) as packed:
        within = {name.partition("/")[2] for name in packed.getnames()}
    assert {"pyproject.toml", "README.md", "CITATION.cff", "examples/chair.off", "spikecli/library.py"} <= within
    assert not [name for name in within if name.startswith(("data/", ".venv", "tests/"))]
    assert wheel.stat().st_size < 22e6 and archive.stat().st_size < 23e6  # 21 MB are weights


def test_there_is_one_version() -> None:
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert cited and cited[1] == spikecli.__version__
    project = _project()
    assert "version" not in project and project["dynamic"] == ["version"]
    assert spikecli.__version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_package_is_named_with_its_license() -> None:
    text = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([\w, .-]+) \| (.+) \|$", text.replace("**", ""), flags=re.MULTILINE))
    known = {name.strip(): license for names, license in rows.items() for name in names.split(",")}
    extras = (_project()["optional-dependencies"][name] for name in ("clip", "events", "pictures", "train", "view"))
    needs = [Requirement(each) for lines in (_project()["dependencies"], *extras) for each in lines]
    for need in (each for each in needs if each.name != "spikecli"):  # an extra may be part of another
        assert need.name in known, f"THIRD_PARTY.md does not name {need.name}"
        if need.marker is None or need.marker.evaluate():
            about = metadata(need.name)
            said = f"{about.get('License-Expression')} {str(about.get('License'))[:40]} {about.get_all('Classifier')}"
            for family in ("GPL", "Apache", "BSD-3"):
                if family in said and "torch" not in need.name:
                    assert family in known[need.name], (need.name, family)


def _project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


# The Dockerfile, as far as it can be judged without a daemon.

KNOWN = {"FROM", "ARG", "RUN", "COPY", "WORKDIR", "USER", "ENTRYPOINT", "CMD", "ENV"}


def _instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_dockerfile_is_sound() -> None:
    steps = _instructions()
    assert {word for word, _ in steps} <= KNOWN
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    for word, rest in steps:
        if word == "FROM":
            assert re.match(r"python:3\.\d+-slim-\w+", rest), "a base is named with its version"
        if word == "COPY" and "--from" not in rest:
            for source in shlex.split(rest)[:-1]:
                assert (ROOT / source).exists() and f"!{source}" in ignored, source
        if "pip install" in rest:
            assert "--no-cache-dir" in rest
        if "apt-get install" in rest:
            assert "--no-install-recommends" in rest and "rm -rf /var/lib/apt/lists" in rest
        if word in ("ENTRYPOINT", "CMD"):
            assert isinstance(json.loads(rest), list)
    words = [word for word, _ in steps]
    assert words.index("USER") < words.index("ENTRYPOINT") and ("ARG", "TORCH=cpu") in steps
    assert any("/whl/${TORCH}" in rest for _, rest in steps)


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    judge = shutil.which("hadolint", path=Path(sys.executable).parent)
    if judge is None:
        pytest.skip("hadolint has no package for this platform")
    done = subprocess.run([judge, "Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
