"""host.weights: which files are needed, and whether a folder has the published ones."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from keyportrait.host import weights
from keyportrait.host.weights import WEIGHT_SETS_BY_NAME, WeightFile, WeightSet

CONTENT = b"weights" * 100
GOOD = WeightFile("a/good.pth", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def put(folder: Path, file: WeightFile, content: bytes = CONTENT) -> Path:
    path = folder / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_published_file_has_no_problem(tmp_path: Path) -> None:
    assert weights.problem_of(GOOD, put(tmp_path, GOOD)) == ""


@pytest.mark.parametrize(
    ("content", "problem"),
    [(CONTENT[:-1], "699 bytes instead of 700"), (b"x" + CONTENT[1:], "another SHA-256")],
)
def test_a_cut_or_changed_file_is_told(tmp_path: Path, content: bytes, problem: str) -> None:
    assert problem in weights.problem_of(GOOD, put(tmp_path, GOOD, content))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert weights.problem_of(GOOD, tmp_path / GOOD.path) == "is missing"


def test_rough_sizes_leave_two_percent(tmp_path: Path) -> None:
    rough = WeightFile("rough.pth", 690, is_size_exact=False)
    path = put(tmp_path, rough)
    assert weights.problem_of(rough, path) == ""
    assert "bytes instead" in weights.problem_of(WeightFile("r", 600, is_size_exact=False), path)


def test_a_set_is_there_when_all_its_files_are(tmp_path: Path) -> None:
    other = WeightFile("b/other.pth", 700)
    both = WeightSet("both", "Both", "MIT", (GOOD, other))
    put(tmp_path, GOOD)
    assert not weights.is_installed(tmp_path, both)
    assert [bool(c.problem) for c in weights.check_set(tmp_path, both)] == [False, True]
    put(tmp_path, other)
    assert weights.is_installed(tmp_path, both)
    put(tmp_path, GOOD, b"x" + CONTENT[1:])
    # A panel looks at sizes only; the full check reads the file.
    assert weights.is_installed(tmp_path, both)
    assert any(c.problem for c in weights.check_set(tmp_path, both))


def test_only_insightface_is_not_for_commerce() -> None:
    restricted = [s.name for s in WEIGHT_SETS_BY_NAME.values() if not s.is_commercial]
    assert restricted == ["insightface"]
    assert not WEIGHT_SETS_BY_NAME["human"].is_optional


def test_a_manifest_lists_shared_files_once(tmp_path: Path) -> None:
    manifest = weights.download_manifest(
        ("human", "animal"), endpoint="E", repository="R", revision="V", folder=tmp_path
    )
    paths = [file["path"] for file in manifest["files"]]
    assert len(paths) == len(set(paths)) == 9
    assert json.loads(json.dumps(manifest)) == manifest
    with pytest.raises(KeyError):
        weights.download_manifest(
            ("dogs",), endpoint="", repository="", revision="", folder=tmp_path
        )


def check(tmp_path: Path, **variables: str) -> dict:
    """What `python -m engine.liveportrait.check` prints."""
    pytest.importorskip("torch")
    run = subprocess.run(
        [sys.executable, "-m", "engine.liveportrait.check"],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 1, run.stderr
    return json.loads(run.stdout.splitlines()[-1])["error"]


def test_the_check_without_weights_says_what_to_do(tmp_path: Path) -> None:
    error = check(tmp_path, KEYPORTRAIT_WEIGHTS="")
    assert error["code"] == "no_models"
    assert "Set Up LivePortrait" in error["hint"]


def test_the_check_names_a_damaged_file(tmp_path: Path) -> None:
    for name in ("appearance_feature_extractor", "motion_extractor", "warping_module",
                 "spade_generator", "stitching_retargeting_module"):  # fmt: skip
        (tmp_path / f"{name}.safetensors").write_bytes(b"cut off")
    error = check(tmp_path, KEYPORTRAIT_WEIGHTS=str(tmp_path), KEYPORTRAIT_DEVICE="cpu")
    assert error["code"] == "no_models"
    assert "appearance_feature_extractor.safetensors" in error["message"]


def test_an_old_driver_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    import warnings

    from engine.liveportrait.check import driver_problem

    assert torch.version.cuda is not None or driver_problem() == ""

    def complain() -> bool:
        warnings.warn("The NVIDIA driver on your system is too old (found 11040).", stacklevel=1)
        return False

    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", complain)
    assert "too old" in driver_problem()
