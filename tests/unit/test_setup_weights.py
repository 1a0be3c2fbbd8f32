"""host.weights: which files are needed, and whether a folder has the published ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from keyportrait.engine.weight_table import WEIGHT_SETS_BY_NAME, WeightFile
from keyportrait.host import weights


def test_rough_sizes_leave_two_percent() -> None:
    rough = WeightFile("rough.pth", 690, is_size_exact=False)
    assert 700 in rough.sizes
    assert 680 in rough.sizes
    assert 710 not in rough.sizes
    assert list(WeightFile("exact.pth", 700).sizes) == [700]


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
    for row in manifest["files"]:
        assert row["least_bytes"] <= row["size_bytes"] <= row["most_bytes"]
        is_rough = row["path"].startswith("liveportrait_animals/")
        assert (row["least_bytes"] < row["most_bytes"]) == is_rough
        assert len(row["sha256"]) == (0 if is_rough else 64)
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
