"""Measures of looks, on painted material where the right answer is known."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
control_sweep = pytest.importorskip("control_sweep")
looks = pytest.importorskip("looks")
looks_eyes = pytest.importorskip("looks_eyes")
looks_mouth = pytest.importorskip("looks_mouth")
looks_scene = pytest.importorskip("looks_scene")

from engine.faces.canonical import CANONICAL, EYES, LIP_LOWER_INNER, LIP_UPPER_INNER  # noqa: E402
from engine.faces.crop import Crop  # noqa: E402
from engine.faces.detector import Detection  # noqa: E402
from engine.motion import Face  # noqa: E402
from engine.renderer import Rectangle  # noqa: E402

PER_CM = 30.0  # pixels
SKIN, LIP, TOOTH, CAVITY = (205, 160, 140), (170, 70, 75), (225, 220, 205), (30, 15, 15)
SCLERA, IRIS, BROW, LASHES = (232, 232, 230), (60, 45, 35), (70, 50, 40), (40, 28, 25)
UPPER_CM = 0.5  # height of the painted teeth


def landmarks_of(gap_cm: float = 0.0) -> np.ndarray:
    """(478, 3) pixels of a level face with the lips this far apart, in a picture of 640 px."""
    points = CANONICAL.copy()
    line = CANONICAL[list(LIP_UPPER_INNER), 1]
    for ring, sign in ((LIP_UPPER_INNER, -0.5), (LIP_LOWER_INNER, 0.5)):
        open_share = np.sin(np.linspace(0, np.pi, len(ring)))
        points[list(ring), 1] = line + sign * gap_cm * open_share
    return points * PER_CM + np.array([320.0, 320.0, 0.0])


def fill(rgb: np.ndarray, points: np.ndarray, colour: tuple[int, int, int]) -> None:
    cv2.fillPoly(rgb, [np.rint(points[:, :2]).astype(np.int32)], colour)


def skin() -> np.ndarray:
    return np.full((640, 640, 3), SKIN, np.uint8)


# ---- teeth -------------------------------------------------------------------------------------


def mouth(
    landmarks: np.ndarray, teeth_cm: float, colour: tuple[int, int, int] = TOOTH, lower: float = 0.0
) -> np.ndarray:
    """A mouth with upper teeth of this height, and lower teeth below a dark line."""
    rgb = skin()
    ring = np.vstack([landmarks[list(LIP_UPPER_INNER)], landmarks[list(LIP_LOWER_INNER)][::-1]])
    opening = np.zeros(rgb.shape[:2], np.uint8)
    cv2.fillPoly(opening, [np.rint(ring[:, :2]).astype(np.int32)], 1)
    rgb[cv2.dilate(opening, np.ones((21, 21))) > 0] = LIP
    rgb[opening > 0] = CAVITY
    top = landmarks[LIP_UPPER_INNER[5], 1]
    rows = np.arange(rgb.shape[0])[:, None] + np.zeros((1, rgb.shape[1]))
    edge = top + teeth_cm * PER_CM
    rgb[(opening > 0) & (rows < edge)] = colour
    rgb[(opening > 0) & (rows > edge + 4) & (rows < edge + 4 + lower * PER_CM)] = colour
    return rgb


@pytest.fixture(scope="module")
def smile():
    landmarks = landmarks_of(gap_cm=0.9)
    look = looks_mouth.MouthLook.of(mouth(landmarks, UPPER_CM), landmarks, PER_CM)
    return landmarks, look


def test_teeth_have_the_painted_height(smile):
    _, look = smile
    assert look.teeth_height() == pytest.approx(UPPER_CM, abs=0.06)


@pytest.mark.parametrize("factor", [0.6, 1.0, 2.0])
def test_stretched_and_hidden_teeth_are_seen(smile, factor):
    _, look = smile
    wide = mouth(landmarks_of(gap_cm=1.8), UPPER_CM * factor)
    # The wider mouth begins higher up: its teeth are measured where they are.
    assert look.teeth_height(wide) / look.teeth_height() == pytest.approx(factor, abs=0.15)


def test_grey_glass_below_the_teeth_counts_as_teeth(smile):
    landmarks, look = smile
    result = mouth(landmarks, UPPER_CM)
    stretched = mouth(landmarks, 2 * UPPER_CM, (176, 172, 160))
    below = np.arange(640)[:, None] > landmarks[LIP_UPPER_INNER[5], 1] + UPPER_CM * PER_CM
    result = np.where(below[..., None], stretched, result)
    assert look.teeth_height(result) / look.teeth_height() > 1.15


def test_lower_teeth_are_not_taken_for_upper_ones(smile):
    landmarks, look = smile
    with_lower = mouth(landmarks, UPPER_CM, lower=0.3)
    assert look.teeth_height(with_lower) == pytest.approx(UPPER_CM, abs=0.06)


def test_teeth_of_a_shut_mouth_are_counted(smile):
    landmarks, look = smile
    shut = skin()
    rows = slice(300, 640)
    shut[rows] = LIP
    met = landmarks_of(gap_cm=0.0)
    assert look.tooth_share(shut, met) == 0.0
    assert look.tooth_share(mouth(landmarks, UPPER_CM), landmarks) == pytest.approx(1.0)
    line = shut.copy()
    y = int(met[LIP_UPPER_INNER[5], 1])
    line[y : y + 3, 200:440] = TOOTH
    assert 0.05 < look.tooth_share(line, met) < 0.5
    shine = shut.copy()
    y += int(0.5 * PER_CM)
    shine[y : y + 3, 200:440] = TOOTH
    assert look.tooth_share(shine, met) == 0.0


def test_a_tongue_is_no_row_of_teeth():
    landmarks = landmarks_of(gap_cm=0.9)
    tongue = mouth(landmarks, UPPER_CM, colour=(200, 140, 130))
    assert not looks_mouth.MouthLook.of(tongue, landmarks, PER_CM).has_teeth


def test_grey_pictures_have_teeth_where_they_are_lighter_than_skin():
    landmarks = landmarks_of(gap_cm=0.9)
    grey = cv2.cvtColor(mouth(landmarks, UPPER_CM), cv2.COLOR_RGB2GRAY)
    look = looks_mouth.MouthLook.of(np.dstack([grey] * 3), landmarks, PER_CM)
    assert look.teeth_height() == pytest.approx(UPPER_CM, abs=0.06)


def test_a_mouth_without_teeth_says_nothing_about_teeth():
    landmarks = landmarks_of(gap_cm=0.9)
    look = looks_mouth.MouthLook.of(mouth(landmarks, 0.0), landmarks, PER_CM)
    assert not look.has_teeth
    assert np.isnan(look.teeth_height())
    assert np.isnan(look.tooth_share(skin(), landmarks))


# ---- lids --------------------------------------------------------------------------------------


def eye_picture(
    landmarks: np.ndarray,
    open_share: float = 1.0,
    lid: tuple[int, int, int] = SKIN,
    brow_down: float = 0.0,
) -> np.ndarray:
    """Both eyes with this share of their openings left below the upper lid, and a lash line."""
    rgb = skin()
    for eye in EYES:
        upper, lower = landmarks[list(eye.upper), :2], landmarks[list(eye.lower), :2]
        fill(rgb, np.vstack([upper, lower[::-1]]), SCLERA)
        iris = np.rint(landmarks[eye.iris, :2]).astype(int)
        radius = np.linalg.norm(landmarks[eye.iris_ring[0], :2] - landmarks[eye.iris, :2])
        eyeball = rgb.copy()
        cv2.circle(eyeball, iris.tolist(), round(radius), IRIS, -1)
        inside = np.zeros(rgb.shape[:2], np.uint8)
        cv2.fillPoly(inside, [np.rint(np.vstack([upper, lower[::-1]])).astype(np.int32)], 1)
        rgb[inside > 0] = eyeball[inside > 0]
        edge = lower + open_share * (upper - lower)
        if open_share < 1.0:
            fill(rgb, np.vstack([upper - [0, 2], edge[::-1]]), lid)
        cv2.polylines(rgb, [np.rint(edge).astype(np.int32)], False, LASHES, 1)
        brow = landmarks[list(eye.brow), :2] + [0, brow_down]
        fill(rgb, np.vstack([brow[:5], brow[5:][::-1]]), BROW)
    return rgb


@pytest.fixture(scope="module")
def eyes():
    landmarks = landmarks_of()
    picture = eye_picture(landmarks)
    return landmarks, [looks_eyes.EyeLook.of(picture, landmarks, eye) for eye in EYES]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 1.0])
def test_an_opening_is_what_is_left_of_the_eyeball(eyes, share):
    landmarks, both = eyes
    for look in both:
        left = look.opening_left(eye_picture(landmarks, share))
        assert left == pytest.approx(share, abs=0.15)


def test_a_clean_lid_has_the_tone_of_skin_and_no_sclera(eyes):
    landmarks, both = eyes
    for look in both:
        shut = eye_picture(landmarks, 0.0)
        assert look.lid_difference(shut) < 1.0
        assert look.sclera_share(shut) < 0.01
        assert look.opening_left(shut) < 0.05


def test_a_smear_on_the_lid_is_as_far_off_as_its_colour(eyes):
    landmarks, both = eyes
    smear = (120, 85, 75)
    pair = cv2.cvtColor(np.float32([[SKIN, smear]]) / 255, cv2.COLOR_RGB2LAB)[0]
    for look in both:
        found = look.lid_difference(eye_picture(landmarks, 0.0, smear))
        assert found == pytest.approx(float(np.linalg.norm(pair[0] - pair[1])), rel=0.05)


def test_a_white_line_is_sclera(eyes):
    landmarks, both = eyes
    shut = eye_picture(landmarks, 0.0)
    for look, eye in zip(both, EYES, strict=True):
        y = int(landmarks[eye.iris, 1])
        x0, x1 = sorted(int(landmarks[i, 0]) for i in eye.corners)
        shut[y : y + 2, x0:x1] = SCLERA
        assert look.sclera_share(shut) > 0.05


@pytest.mark.parametrize("pixels", [0.0, 3.0, 8.0, -5.0])
def test_a_brow_that_moves_is_followed(eyes, pixels):
    landmarks, both = eyes
    for look, eye in zip(both, EYES, strict=True):
        width = np.linalg.norm(np.diff(landmarks[list(eye.corners), :2], axis=0))
        shift = look.brow_shift(eye_picture(landmarks, 0.0, brow_down=pixels))
        assert shift == pytest.approx(abs(pixels) / width, abs=0.015)


# ---- behind the head ---------------------------------------------------------------------------


def bent(rgb: np.ndarray, pixels: float, is_vertical: bool) -> np.ndarray:
    """The picture with a bulge of this many pixels across the middle."""
    rows, columns = np.mgrid[: rgb.shape[0], : rgb.shape[1]].astype(np.float32)
    if is_vertical:
        columns += np.float32(pixels) * np.exp(-(((rows - 256) / 60) ** 2))
    else:
        rows += np.float32(pixels) * np.exp(-(((columns - 256) / 60) ** 2))
    return cv2.remap(rgb, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize("is_vertical", [True, False])
@pytest.mark.parametrize("pixels", [0.0, 1.5, 6.0, -10.0])
def test_a_line_bends_as_it_was_warped(is_vertical, pixels):
    crop = Crop(np.array([[1.0, 0, 0], [0, 1.0, 0]]), 512)
    person = np.zeros((512, 512), np.float32)
    cv2.circle(person, (256, 256), 90, 1.0, -1)
    rgb = np.full((512, 512, 3), (90, 60, 50), np.uint8)
    lined = looks_scene.draw_lines(rgb, crop, person, is_vertical)
    assert (lined[256, 256] == rgb[0, 0]).all()
    found = looks_scene.line_bend(lined, bent(lined, pixels, is_vertical), person, is_vertical)
    assert found == pytest.approx(abs(pixels), abs=0.4)


def noise(seed: int, shape: tuple[int, int] = (384, 300)) -> np.ndarray:
    """A picture with texture everywhere."""
    values = np.random.default_rng(seed).normal(0, 1, (*shape, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(values, (0, 0), 3)
    return np.clip(128 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def test_mirrored_borders_are_seen_and_shifted_ones_are_not():
    before = noise(1)
    shift = np.float32([[1, 0, 20], [0, 1, 0]])
    moved = [
        cv2.warpAffine(before, shift, before.shape[1::-1], borderMode=mode)
        for mode in (cv2.BORDER_REFLECT, cv2.BORDER_REPLICATE)
    ]
    left = 384 / (2 * (384 + 300))  # the left side's share of the border
    assert looks_scene.mirrored_share(before, before) == 0.0
    assert looks_scene.mirrored_share(before, moved[0]) == pytest.approx(left, abs=0.05)
    assert looks_scene.mirrored_share(before, moved[1]) < 0.02


def test_faces_in_new_places_are_extra():
    def face(x: float) -> Detection:
        return Detection(np.array([x, 100.0, x + 80.0, 180.0]), np.zeros((6, 2)), 0.9)

    assert looks_scene.extra_faces([face(50)], [face(60)]) == 0
    assert looks_scene.extra_faces([face(50)], [face(60), face(250)]) == 1
    assert looks_scene.extra_faces([], [face(60)]) == 1


def test_a_neighbour_moves_by_as_much_as_it_was_moved():
    before = noise(2, (400, 400))
    outline = tuple((200 + 50 * np.cos(t), 200 + 60 * np.sin(t)) for t in np.linspace(0, 6.2, 24))
    face = Face((150.0, 140.0, 250.0, 260.0), outline=outline)
    for pixels in (0.0, 2.0, 6.0):
        matrix = np.float32([[1, 0, pixels], [0, 1, 0]])
        after = cv2.warpAffine(before, matrix, (400, 400), borderMode=cv2.BORDER_REFLECT)
        found = looks_scene.neighbour_moves(before, after, face)
        assert found == pytest.approx(pixels, abs=0.1 * pixels)
    elsewhere = before.copy()
    elsewhere[:, :100] = 0
    assert looks_scene.neighbour_moves(before, elsewhere, face) == 0.0


def test_exposure_error_is_counted_where_the_picture_changed():
    source = noise(3)
    expected = source.copy()
    expected[100:200, 100:200] = 30
    result = expected.copy()
    result[100:200, 100:200] = 50
    assert looks_scene.exposure_error(expected, expected, source) == 0.0
    assert looks_scene.exposure_error(expected, result, source) == pytest.approx(20.0, abs=0.5)


# ---- the whole ---------------------------------------------------------------------------------


class StillRenderer:
    """Moves nothing, or adds light that no exposure changes."""

    name = "still"

    def __init__(self, glow: float = 0.0):
        self.glow = glow

    def open(self, image, face, step=None):
        return StillPortrait(face, self.glow)


class StillPortrait:
    def __init__(self, face, glow):
        self.face, self.glow = face, glow

    def render(self, motion, canvas):
        if canvas.dtype == np.float32 and self.glow:
            canvas[100:300, 100:300, :3] += np.float32(self.glow)
        return Rectangle(0, 0, canvas.shape[1], canvas.shape[0])


@pytest.fixture(scope="module")
def astronaut():
    path = Path(__file__).resolve().parents[1] / "data" / "astronaut.jpg"
    return control_sweep.open_subject(path, StillRenderer())


def test_what_does_not_move_keeps_every_floor_but_the_lids(astronaut):
    summary = looks.summarise_looks({"a.jpg": looks.look_at(astronaut, StillRenderer())})
    missed = {name for name, row in summary.items() if not row["is_met"]}
    # A renderer that cannot shut eyes and mouth is found out.
    assert missed >= {"lid_opening", "lid_tone", "teeth_closed", "lip_gap_closed"}
    assert not missed & {"extra_faces", "mirrored_border", "line_bend", "teeth_height"}
    assert not missed & {"brow_shift", "exposure_error"}
    assert summary["lid_opening"]["worst"] == pytest.approx(1.0, abs=0.01)
    table = looks.table_of_looks(summary)
    assert "floors missed: " in table
    assert "a.jpg" in table.partition("floors missed")[2]


def test_light_that_does_not_follow_the_exposure_is_found(astronaut):
    values = looks.look_at_light(astronaut, StillRenderer(glow=0.2))
    assert values["exposure_error"] > 20.0


def test_floors_are_judged_by_their_own_statistic():
    values = {
        "a.jpg": {"lid_tone": 2.0, "teeth_height": 0.7, "neighbour_moves": float("nan")},
        "b.jpg": {"lid_tone": 3.0, "teeth_height": 1.1},
        "c.jpg": {"lid_tone": 40.0, "teeth_height": 1.0},
    }
    summary = looks.summarise_looks(values)
    assert set(summary) == {"lid_tone", "teeth_height"}
    assert summary["lid_tone"]["is_met"]  # of its median
    assert summary["lid_tone"]["missed"] == ["c.jpg"]
    assert not summary["teeth_height"]["is_met"]
    assert summary["teeth_height"]["worst_picture"] == "a.jpg"


def test_two_runs_are_compared_picture_by_picture(tmp_path, capsys, monkeypatch):
    compare = pytest.importorskip("looks_compare")
    rows = {
        "before": "a.jpg,2.5,20.0\nb.jpg,,3.0\nonly_before.jpg,9,9\n",
        "after": "a.jpg,1.0,2.0\nb.jpg,,8.0\n",
    }
    for name, row in rows.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "looks.csv").write_text("picture,teeth_height,lid_tone\n" + row)
        controls = {
            "gaze_x": {"corr_min": 0.5 if name == "before" else 0.9, "corr_median": 0.99},
            "smile": {"corr_min": 0.95, "corr_median": 0.99},
        }
        (tmp_path / name / "summary.json").write_text(json.dumps({"controls": controls}))
    monkeypatch.setattr(sys, "argv", ["x", str(tmp_path / "before"), str(tmp_path / "after")])
    assert compare.main() == 0
    text = capsys.readouterr().out
    assert "| 0.9 … 1.15 | 1 | 2.5 → 1 | 2.5 → 1 | 1 → 0 |" in text
    assert "| median ≤ 6 | 2 | 11.5 → 5 | 20 → 8 | 1 → 1 |" in text
    assert "| a.jpg | lid_tone 20 → 2, teeth_height 2.5 → 1 |  |  |" in text
    assert "| b.jpg |  |  | lid_tone 3 → 8 |" in text
    assert "only_before" not in text
    assert "| `gaze_x` | 0.50 → 0.90 | 0.99 → 0.99 |" in text
    assert "`smile`" not in text
