"""The batch scripts of examples/slurm: the shell reads them, and their commands have options that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import typer.main

from spikecli.cli import app

SCRIPTS = sorted((Path(__file__).parents[1] / "examples" / "slurm").glob("*.sbatch"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_batch_script_is_sound(script: Path) -> None:
    if not shutil.which("bash"):
        pytest.skip("no bash")
    subprocess.run(["bash", "-n", str(script)], check=True)
    text = script.read_text(encoding="utf-8")
    assert "#SBATCH --signal=USR1@" in text and text.startswith("#!/bin/bash")
    (line,) = re.findall(r"^srun spikecli (.*(?:\\\n.*)*)", text, re.MULTILINE)
    command, *words = line.replace("\\\n", " ").split()
    known = {name for each in typer.main.get_command(app).commands[command].params for name in each.opts}
    known |= {name for each in typer.main.get_command(app).commands[command].params for name in each.secondary_opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_there_are_an_array_and_a_training() -> None:
    assert [script.stem for script in SCRIPTS] == ["ablate_array", "train_requeue"]
