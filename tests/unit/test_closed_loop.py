"""The closed loop measures what a renderer really did, on a renderer whose motion is known."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
closed_loop = pytest.importorskip("closed_loop")
control_sweep = pytest.importorskip("control_sweep")
data = pytest.importorskip("skimage.data")

from engine.controls import CONTROLS  # noqa: E402
from engine.faces.crop import face_crop  # noqa: E402
from engine.faces.find import view_8bit  # noqa: E402
from engine.faces.mesh import fit_landmarks  # noqa: E402
from engine.renderer import Rectangle  # noqa: E402


class WholePictureRenderer:
    """Turns, scales and shifts the whole picture; knows no expressions."""

    name = "whole-picture"

    def open(self, image, face, step=None):
        return WholePicturePortrait(image, face)


class WholePicturePortrait:
    def __init__(self, image, face):
        self.image, self.face = image, face
        landmarks = fit_landmarks(view_8bit(image), face)
        self.centre = landmarks[:468, :2].mean(axis=0)
        crop = face_crop(landmarks)
        self.half_crop = crop.size / 2 / crop.scale

    def render(self, motion, canvas):
        matrix = cv2.getRotationMatrix2D(self.centre.tolist(), -motion.roll, motion.scale)
        matrix[:, 2] += np.array(motion.translation[:2]) * self.half_crop
        height, width = canvas.shape[:2]
        canvas[:] = cv2.warpAffine(canvas, matrix, (width, height), flags=cv2.INTER_CUBIC)
        return Rectangle(0, 0, width, height)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One good photograph, one picture without a face, one file that is no picture."""
    path = tmp_path_factory.mktemp("pictures")
    cv2.imwrite(str(path / "astronaut.png"), cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR))
    cv2.imwrite(str(path / "gravel.png"), data.gravel())
    (path / "broken.jpg").write_bytes(b"not a picture")
    (path / "notes.txt").write_text("ignored")
    return path


@pytest.fixture(scope="module")
def summary(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    controls = ["head_roll", "head_scale", "smile"]
    paths = closed_loop.pictures_of(folder)
    value = closed_loop.run(paths, out, WholePictureRenderer(), controls)
    assert json.loads((out / "summary.json").read_text()) == value
    assert (out / "sheets" / "astronaut.png.png").stat().st_size > 10_000
    assert "head_roll" in (out / "table.txt").read_text()
    assert len((out / "measured.csv").read_text().splitlines()) == 1 + 5 + 4 + 5
    return value


def test_every_control_is_read():
    assert set(control_sweep.READERS) == {control.name for control in CONTROLS}


def test_known_motion_gives_slope_one(summary):
    for name in ("head_roll", "head_scale"):
        assert summary["controls"][name]["corr_median"] > 0.999
        assert summary["controls"][name]["slope_median"] == pytest.approx(1.0, abs=0.1)


def test_a_renderer_without_expressions_is_found_out(summary):
    assert summary["controls"]["smile"]["corr_median"] < 0.5
    assert abs(summary["controls"]["smile"]["slope_median"]) < 0.01


def test_moving_background_is_found_out(summary):
    assert summary["background_mean_diff"]["head_roll"] > 5.0
    assert summary["background_mean_diff"]["smile"] == 0.0


def test_bad_pictures_are_refused_and_counted(summary):
    assert summary["images"] == 3
    assert summary["refused"] == ["broken.jpg", "gravel.png"]
    assert set(summary["ms_per_frame"]) == {"expression", "pose", "all"}


@pytest.fixture(scope="module")
def analytic(folder, tmp_path_factory):
    """The embedded renderer on the photograph."""
    controls = ["head_pitch", "head_yaw", "head_roll", "eyes_open", "blink", "brows", "smile"]
    return closed_loop.run(
        [folder / "astronaut.png"],
        tmp_path_factory.mktemp("analytic"),
        closed_loop.analytic_renderer(),
        [*controls, "mouth_open", "lips_open"],
        use_sheets=False,
        kinds=("head", "lids"),
    )


def test_analytic_renderer_follows_every_control(analytic):
    for name, row in analytic["controls"].items():
        assert row["corr_min"] > 0.9, name
    assert analytic["controls"]["head_yaw"]["slope_median"] == pytest.approx(1.0, abs=0.1)
    assert analytic["controls"]["head_roll"]["slope_median"] == pytest.approx(1.0, abs=0.1)
    assert analytic["controls"]["head_pitch"]["slope_median"] > 0.8
    assert analytic["controls"]["lips_open"]["slope_median"] > 0.5


def test_analytic_expressions_leave_the_background_alone(analytic):
    for name, change in analytic["background_mean_diff"].items():
        assert name.startswith("head_") or change <= 1.5, name


def test_looks_stand_beside_the_controls(analytic, summary):
    assert summary["looks"] == {}
    looks = analytic["looks"]
    assert looks["extra_faces"]["worst"] == 0.0
    assert looks["lid_opening"]["worst"] < 0.15
    assert looks["lid_tone"]["worst_picture"] == "astronaut.png"
    assert "teeth_height" not in looks


def test_empty_folder_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="No pictures"):
        closed_loop.pictures_of(tmp_path)
