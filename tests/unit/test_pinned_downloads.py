"""The fetch scripts, run as a person runs them, on files that are not what was pinned."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
LINUX_WHEEL = "opencv_python_headless-5.0.0.93-cp37-abi3-manylinux_2_28_x86_64.whl"
MODELS = {
    "face_detection/face_detection_short_range.tflite",
    "face_landmark/face_landmark.tflite",
    "iris_landmark/iris_landmark.tflite",
    "selfie_segmentation/selfie_segmentation.tflite",
}


def run_script(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def mediapipe_wheel(path: Path, names: set[str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(f"mediapipe/modules/{name}", b"not the model")
    return path


def test_tampered_wheel_is_refused_with_both_digests(tmp_path: Path) -> None:
    offline, output = tmp_path / "offline", tmp_path / "wheels"
    offline.mkdir()
    (offline / LINUX_WHEEL).write_bytes(b"malware")
    result = run_script(
        "fetch_wheels.py", "--from", offline, "--output", output, "--platform", "linux-x64"
    )
    assert result.returncode == 1
    assert LINUX_WHEEL in result.stderr
    digests = re.findall(r"sha256 ([0-9a-f]{64})", result.stderr)
    assert len(set(digests)) == 2
    assert not output.exists()


def test_offline_folder_without_the_wheel_says_which_one(tmp_path: Path) -> None:
    result = run_script(
        "fetch_wheels.py",
        "--from",
        tmp_path,
        "--output",
        tmp_path / "out",
        "--platform",
        "linux-x64",
    )
    assert result.returncode == 1
    assert f"has no {LINUX_WHEEL}" in result.stderr


def test_a_damaged_wheel_in_place_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / LINUX_WHEEL).write_bytes(b"cut short")
    empty = tmp_path / "empty"
    empty.mkdir()
    result = run_script(
        "fetch_wheels.py", "--from", empty, "--output", tmp_path, "--platform", "linux-x64"
    )
    assert result.returncode == 1


def test_tampered_models_are_refused(tmp_path: Path) -> None:
    wheel = mediapipe_wheel(tmp_path / "mediapipe.whl", MODELS)
    result = run_script("fetch_models.py", "--wheel", wheel, "--output", tmp_path / "models")
    assert result.returncode == 1
    assert "is not the pinned model" in result.stderr
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("content", ["missing", "garbage"])
def test_unusable_model_wheel_is_named(tmp_path: Path, content: str) -> None:
    wheel = tmp_path / "mediapipe.whl"
    if content == "missing":
        mediapipe_wheel(wheel, {"face_landmark/face_landmark.tflite"})
    else:
        wheel.write_bytes(b"PK but no zip")
    result = run_script("fetch_models.py", "--wheel", wheel, "--output", tmp_path / "models")
    assert result.returncode == 1
    assert "not a usable mediapipe wheel" in result.stderr
    assert str(wheel) in result.stderr
