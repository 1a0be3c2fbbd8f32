"""scripts/parity.py on a part of the numbers recorded from the official implementation."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

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


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
@pytest.mark.parametrize("use_fast_path", [False, True])
def test_every_row_can_be_computed_on_a_card(
    monkeypatch: pytest.MonkeyPatch, use_fast_path: bool
) -> None:
    """Numbers are missing on a pretended card; what is read from it must still arrive."""
    torch = pytest.importorskip("torch")
    from fakes.cuda_driver import CudaDriver
    from fakes.pretended_device import pretended_device

    from engine.networks import model_set
    from engine.networks.devices import Placement, Precision

    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    golden = importlib.import_module("parity_items.golden")
    placement = Placement(torch.device("cuda:0"), Precision.FP32)
    monkeypatch.setattr(golden, "choose_placement", lambda *_arguments: placement)
    for module in (golden, model_set):
        monkeypatch.setattr(module, "use_device", lambda _placement: None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "a card")
    CudaDriver().install(monkeypatch)
    # A replay repeats its operators on values, which there are none of.
    monkeypatch.setattr(torch.cuda, "graph", lambda *_arguments, **_options: nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: SimpleNamespace(replay=lambda: None))
    counts = {}
    with pretended_device(), np.errstate(all="ignore"):
        numbers = golden.Golden(GOLDEN, "cuda", use_fast_path=use_fast_path)
        for name in ("networks", "extra", "sliders", "loops", "video_retargeting"):
            module = importlib.import_module(f"parity_items.{name}")
            counts[name] = sum(1 for _row in module.rows(numbers))
    assert min(counts.values()) > 1
    assert sum(counts.values()) > 150
