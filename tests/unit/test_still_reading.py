"""A picture drives a picture: what our renderer made is read, copied and measured again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from engine.analytic.renderer import AnalyticRenderer
from engine.capture import capture
from engine.controls import motion_from_controls
from engine.faces.find import find_faces
from engine.motion import Face
from engine.renderer import ReportedError, SourceImage
from engine.still_reading import expression_of_face, performance_of_face, read_still
from engine.take import PerformanceSource, TakeOptions, mirrored_expression, with_take
from engine.taking import make_takes

ASTRONAUT = Path(__file__).resolve().parents[1] / "data" / "astronaut.jpg"
COPY = TakeOptions(use_relative_motion=False)


def quiet(_fraction: float, _text: str) -> None:
    pass


class Stage:
    """The astronaut on the Preview renderer."""

    def __init__(self) -> None:
        rgb = cv2.cvtColor(cv2.imread(str(ASTRONAUT)), cv2.COLOR_BGR2RGB)
        alpha = np.full((*rgb.shape[:2], 1), 255, np.uint8)
        self.image = SourceImage(np.concatenate([rgb, alpha], axis=2), "srgb")
        self.face = find_faces(self.image)[0]
        self._portrait = AnalyticRenderer().open(self.image, self.face)

    def play(self, values: dict[str, float], expression=(0.0,) * 63) -> np.ndarray:
        """The picture with control values and offsets beyond them."""
        own = self.face.eyes_open, self.face.lips_open
        motion = motion_from_controls(values, eyes_open=own[0], lips_open=own[1])
        canvas = self.image.pixels.copy()
        self._portrait.render(with_take(motion, expression, (0.0, 0.0, 0.0), {}), canvas)
        return canvas

    @staticmethod
    def look(picture: np.ndarray) -> Face:
        """The face as it is in a picture."""
        return find_faces(SourceImage(picture, "srgb"))[0]


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage()


@pytest.mark.parametrize(
    ("values", "measure", "share"),
    [
        ({"smile": 0.9}, "lift_left", 0.35),  # a wide smile that has little room left
        ({"smile": 0.9}, "lift_right", 0.35),
        ({"smile": 0.9}, "mouth_width", 0.15),
        ({"smile": -0.25, "mouth_open": 0.5}, "lip_gap", 0.6),
        ({"smile": -0.25, "mouth_open": 0.5}, "lift_left", 0.6),
        ({"wink_left": 1.0}, "lid_left", 0.8),
        ({"brows": 0.8}, "brow_left", 0.4),
    ],
)
def test_a_pictures_expression_is_copied(
    stage: Stage, tmp_path: Path, values: dict[str, float], measure: str, share: float
) -> None:
    path = tmp_path / "wanted.png"
    wanted = stage.play(values)
    cv2.imwrite(str(path), cv2.cvtColor(wanted[..., :3], cv2.COLOR_RGB2BGR))
    taken = capture(PerformanceSource(str(path), is_still=True), [stage.face], COPY, quiet)
    assert taken.values.shape[:2] == (1, 1)
    copied = dict(zip(taken.columns, map(float, taken.values[0, 0]), strict=True))
    # Half a degree of the head, read where it never moved, changes a small mouth's measures.
    copied = {name: v for name, v in copied.items() if not name.startswith("head_")}
    result = stage.look(stage.play(copied, taken.expression[0, 0])).measures[measure]
    own, goal = stage.face.measures[measure], stage.look(wanted).measures[measure]
    assert abs(goal - own) > 0.05
    assert share < (result - own) / (goal - own) < 1.5


def test_the_same_picture_changes_nothing(stage: Stage) -> None:
    taken = capture(PerformanceSource(str(ASTRONAUT), is_still=True), [stage.face], COPY, quiet)
    still = dict(zip(taken.columns, taken.values[0, 0], strict=True))
    assert still.pop("head_scale") == 1.0
    # Two decoders of JPEG: degrees of the head, and parts of the sliders' range.
    assert max(abs(v) for name, v in still.items() if name.startswith("head_")) < 0.4
    assert max(abs(v) for name, v in still.items() if not name.startswith("head_")) < 0.02
    assert np.abs(taken.expression).max() < 5e-4


def test_pose_and_regions_are_copied_alone(stage: Stage) -> None:
    turned = replace(stage.face, yaw=stage.face.yaw + 12.0, roll=-5.0)
    performance = performance_of_face(turned)
    for region, is_turned in (("pose", True), ("exp", False), ("all", True)):
        taken = make_takes(performance, [stage.face], replace(COPY, region=region))
        pose = dict(zip(taken.columns, taken.values[0, 0], strict=True))
        assert pose["head_yaw"] == pytest.approx(12.0 if is_turned else 0.0, abs=1e-3)
        assert pose["head_roll"] == pytest.approx(
            -5.0 - stage.face.roll if is_turned else 0.0, abs=1e-3
        )


def test_closed_eyes_of_a_picture_are_closed(stage: Stage) -> None:
    shut = {**stage.face.measures, "lid_left": 0.08, "lid_right": 0.09}
    taken = make_takes(performance_of_face(replace(stage.face, measures=shut)), [stage.face], COPY)
    assert taken.values[0, 0, taken.columns.index("blink")] > 0.8


def test_a_turned_head_does_not_push_its_jaw_aside(stage: Stage) -> None:
    """What the mesh says of the far side of a head is guessed."""
    skewed = {**stage.face.measures, "chin_x": 0.9, "brow_outer_left": 2.6, "lift_left": -0.9}
    for yaw, is_believed in ((stage.face.yaw, True), (25.0, False)):
        face = replace(stage.face, yaw=yaw, measures=skewed)
        expression = expression_of_face(face).astype(float)
        mirrored = np.reshape(mirrored_expression(expression.ravel()), (21, 3))
        # Gaze and lids are believed on both sides.
        mouth = np.abs(expression - mirrored)[[14, 17, 19, 20]].max()
        assert (mouth > 0.005) == is_believed


def test_faces_of_older_files_count_as_resting(stage: Stage) -> None:
    old = Face.from_json({k: v for k, v in stage.face.to_json().items() if k != "measures"})
    assert not old.measures
    taken = make_takes(performance_of_face(stage.face), [old], COPY)
    assert np.abs(taken.values[0, 0]).max() > 0.1  # the astronaut smiles


def test_pictures_without_a_face_are_named(tmp_path: Path) -> None:
    path = tmp_path / "wall.png"
    cv2.imwrite(str(path), np.full((200, 200, 3), 90, np.uint8))
    for source, text in (
        (PerformanceSource(str(path), is_still=True), "No face found in 'wall.png'"),
        (PerformanceSource(str(tmp_path / "gone.png"), is_still=True), "gone"),
        (PerformanceSource(str(ASTRONAUT), performer=4, is_still=True), "no number 5"),
    ):
        with pytest.raises(ReportedError, match=text):
            read_still(source, quiet)
