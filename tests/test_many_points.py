"""Five million points are read and sampled in less than 1 GB, whatever the format; see benchmarks for `predict`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

POINTS = 5_000_000
READ = """
import sys
from pathlib import Path
from spikecli.datasets.clouds.formats import read_sample
sample = read_sample(Path(sys.argv[1]), 1024)
# ru_maxrss would be that of the process which started this one, if that had more.
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(len(sample.points), int(peak.split()[1]) * 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from Linux's /proc")
@pytest.mark.parametrize("name", ["a.npy", "a.ply"])
def test_memory_of_five_million_points(tmp_path: Path, name: str) -> None:
    points = np.random.default_rng(0).random((POINTS, 3), np.float32)
    axes = "property float x\nproperty float y\nproperty float z"
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {POINTS}\n{axes}\nend_header\n"
    with (tmp_path / name).open("wb") as file:
        if name == "a.npy":
            np.save(file, points)
        else:
            file.write(head.encode())
            points.tofile(file)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path / name)], capture_output=True, text=True, check=True, timeout=300
    )
    count, peak = map(int, done.stdout.split())
    (tmp_path / name).unlink()
    assert count == 1024 and peak < 1 << 30
