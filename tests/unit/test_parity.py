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


def changed_arrays(path: Path, **changes: np.ndarray | None) -> None:
    """Replace arrays of a file, or remove them where None is given."""
    with np.load(path) as archive:
        arrays = {**dict(archive), **changes}
    np.savez(path, **{key: array for key, array in arrays.items() if array is not None})


def test_missing_and_misshapen_inputs_fail_their_rows_only(tmp_path: Path) -> None:
    folder = tmp_path / "golden"
    shutil.copytree(GOLDEN, folder)
    changed_arrays(folder / "functions.npz", **{"retarget_eye/in_ratio": np.zeros((1, 3))})
    changed_arrays(folder / "sliders.npz", lmk203=None)
    (folder / "networks.npz").unlink()
    np.savez(folder / "surprise.npz", x=np.zeros(3))
    result = parity(folder)
    assert result.returncode == 1, result.stderr
    passed, failed = result.stdout.splitlines()[-1].split(", ")
    assert int(passed.split()[0]) > 100
    missed = [line for line in result.stdout.splitlines() if "  NO" in line]
    assert len(missed) == int(failed.split()[0])
    text = "\n".join(missed)
    assert "retarget_eye/out_delta" in text
    assert "the folder lacks 'lmk203'" in text
    assert "surprise.npz" in text


def test_runs_without_options_are_no_silent_pass(tmp_path: Path) -> None:
    folder = tmp_path / "golden"
    shutil.copytree(GOLDEN, folder)
    changed_arrays(folder / "loops.npz", **{"x_d/9999": np.zeros((2, 21, 3), np.float32)})
    result = parity(folder, "--only", "loops")
    assert result.returncode == 1
    assert "loops.json does not list it" in result.stdout


def test_a_damaged_file_and_a_missing_card_are_clear_errors(tmp_path: Path) -> None:
    folder = tmp_path / "golden"
    shutil.copytree(GOLDEN, folder)
    file = folder / "video_retargeting.npz"
    file.write_bytes(file.read_bytes()[:-3000])
    result = parity(folder, "--only", "video_retargeting")
    assert (result.returncode, result.stdout.count("Traceback")) == (2, 0)
    assert "video_retargeting.npz' is damaged" in result.stderr
    import torch

    if not torch.cuda.is_available():
        result = parity(GOLDEN, "--device", "cuda")
        assert (result.returncode, result.stderr) == (2, "error: Device 'cuda' is not available.\n")


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

    from engine.networks import network_set
    from engine.networks.devices import Placement, Precision

    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    golden = importlib.import_module("parity_items.golden")
    placement = Placement(torch.device("cuda:0"), Precision.FP32)
    monkeypatch.setattr(golden, "choose_placement", lambda *_arguments: placement)
    for module in (golden, network_set):
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


def test_the_end_to_end_template_is_the_folders_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    template_name = importlib.import_module("parity_items.end_to_end").template_name

    class Folder:
        folder = tmp_path
        meta: dict[str, str] = {}

        def table(self, _file: str) -> dict[str, str]:
            return self.meta

    golden = Folder()
    assert template_name(golden) == "d1"
    (tmp_path / "README.md").write_text("Full run, template d8 frames `template_frames`, default.")
    assert template_name(golden) == "d8"
    golden.meta = {"end_to_end_template": "talking.pkl"}
    assert template_name(golden) == "talking"
