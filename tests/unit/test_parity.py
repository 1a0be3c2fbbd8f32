"""scripts/parity.py on a part of the numbers recorded from the official implementation."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "data" / "golden"


def parity(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = ROOT / "scripts" / "parity.py"
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    return subprocess.run(
        [sys.executable, str(script), str(folder), *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        check=False,
    )


def test_recorded_numbers_are_ours() -> None:
    result = parity(GOLDEN)
    assert result.returncode == 0, result.stdout + result.stderr
    passed, failed = result.stdout.splitlines()[-1].split(", ")
    assert failed == "0 failed"
    assert int(passed.split()[0]) > 300


def test_one_wrong_number_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "golden"
    shutil.copytree(GOLDEN, folder)
    with np.load(folder / "video_retargeting.npz") as archive:
        arrays = dict(archive)
    arrays["silence/x_d"][3, 7, 1] += 1e-3
    np.savez(folder / "video_retargeting.npz", **arrays)
    result = parity(folder, "--only", "video_retargeting")
    assert result.returncode == 1
    assert "7 passed, 1 failed" in result.stdout
    row = next(line for line in result.stdout.splitlines() if "  NO" in line)
    assert row.split()[0] == "video_retargeting/silence/x_d"


def test_a_folder_without_numbers_is_an_error(tmp_path: Path) -> None:
    result = parity(tmp_path)
    assert result.returncode == 2
    assert "meta.json" in result.stderr
