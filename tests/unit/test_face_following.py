"""Faces of a clip are followed through cuts, losses and one another, and moved there alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from clip_maker import make_clip

from engine.analytic.renderer import AnalyticRenderer
from engine.controls import motion_from_controls
from engine.face_following import follow_faces
from engine.face_track import FaceTrack
from engine.faces.find import find_faces
from engine.motion import Face, Motion
from engine.moving_source import MovingSource
from engine.opened import OpenedClip
from engine.opening import fit_faces
from engine.renderer import ReportedError
from engine.source_clip import SourceClip
from engine.wish import EYES, Wish, in_frame

DATA = Path(__file__).resolve().parents[1] / "data"
SMILE = motion_from_controls({"smile": 1.0})


def quiet(fraction: float, text: str) -> None:
    assert 0.0 <= fraction <= 1.0 and text


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    picture = cv2.imread(str(DATA / "astronaut.jpg"))
    return np.ascontiguousarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)[:300, 60:400])


def source_of(path: Path, images: Sequence[np.ndarray]) -> MovingSource:
    make_clip(path, images=images, pixel_format="yuv444p", options={"crf": "10"})
    return MovingSource(SourceClip(str(path)))


def opened(source: MovingSource, faces: Sequence[Face], track: FaceTrack, frame: int) -> OpenedClip:
    renderer = AnalyticRenderer()
    first = fit_faces(source.at(frame), faces, renderer, quiet, source.at)
    return OpenedClip(source, frame, first, renderer, track)


def changed(clip: OpenedClip, frame: int, *motions: Motion) -> tuple[np.ndarray, list[str]]:
    """(H, W) bool: where a frame differs from the source, and what is told."""
    composition = clip.at(frame)
    own = clip.motions_of(Wish(frame, motions), composition)
    composition.render(own)
    differs = (composition.canvas != composition.image.pixels).any(axis=2)
    return differs, composition.notices


def test_cuts_and_losses_are_told_and_shown_unchanged(photo: np.ndarray, tmp_path: Path) -> None:
    """Two shots with black between, and a hand before the face in the second."""
    first = [np.roll(photo, 2 * step, axis=1) for step in range(5)]
    black = [np.zeros_like(photo)] * 3
    other = [cv2.resize(np.roll(photo, step, axis=0)[:240, :260], (340, 300)) for step in range(16)]
    for image in other[6:11]:
        cv2.rectangle(image, (130, 70), (280, 270), (150, 110, 90), -1)
    source = source_of(tmp_path / "shots.mp4", [*first, *black, *other])
    faces = find_faces(source.at(2))
    track = follow_faces(source, 2, faces, quiet)
    assert track.cuts == (8,)
    assert track.losses == [
        {"face": 0, "first": 5, "last": 7},
        {"face": 0, "first": 14, "last": 18},
    ]
    clip = opened(source, faces, track, 2)
    for frame in (6, 15):
        differs, notices = changed(clip, frame, SMILE)
        assert not differs.any()
        assert notices == [f"Face 1 is not seen in source frame {frame}: it is shown unchanged."]
    before, after = changed(clip, 4, SMILE)[0], changed(clip, 8, SMILE)[0]
    assert before.any() and after.any()
    shares = [track.share_at(0, frame) for frame in (8, 11, 12, 13, 14, 19, 23)]
    assert shares[0] == 1.0 and shares[4] == 0.0 and 0.0 < shares[5] < 0.3
    assert shares[1] >= shares[2] > shares[3] > 0.0


def test_two_faces_that_cross_keep_who_they_are(photo: np.ndarray, tmp_path: Path) -> None:
    first = photo[20:220, 60:260]
    tinted = first[:, ::-1].astype(np.float32) * [0.75, 0.85, 1.0]
    second = cv2.resize(tinted.astype(np.uint8), (160, 160), interpolation=cv2.INTER_AREA)
    images = []
    for step in np.linspace(0.0, 1.0, 20):
        image = np.full((260, 640, 3), (60, 90, 70), np.uint8)
        x = round(10 + 440 * (1.0 - step))
        image[40:200, x : x + 160] = second
        x = round(10 + 420 * step)
        image[30:230, x : x + 200] = first
        images.append(image)
    source = source_of(tmp_path / "cross.mp4", images)
    # The order in which faces were chosen is theirs, whoever is larger.
    faces = sorted(find_faces(source.at(0)), key=lambda face: -face.box[0])
    assert len(faces) == 2
    track = follow_faces(source, 0, faces, quiet)
    far, near = track.box[..., 0]
    assert far[0] > 400 and far[-1] < 250 and near[0] < 250 and near[-1] > 400
    assert track.is_seen[1].all() and not track.is_seen[0].all()
    clip = opened(source, faces, track, 0)
    x = np.flatnonzero(changed(clip, 19, SMILE, Motion())[0].any(axis=0))
    assert x.max() < 300
    x = np.flatnonzero(changed(clip, 19, Motion(), SMILE)[0].any(axis=0))
    assert x.min() > 340
    # Faces may be found in frames of their own: each is followed both ways from there.
    late = min(find_faces(source.at(19)), key=lambda face: face.box[0])
    mixed = [faces[1], replace(late, frame=19)]
    track = follow_faces(source, 0, mixed, quiet)
    assert track.box[:, :, 0] == pytest.approx(np.stack([near, far]), abs=1.0)
    track.save(tmp_path / "mixed.npz")
    again = FaceTrack.load(tmp_path / "mixed.npz")
    again.check(source.fingerprint, 20, mixed, "cross.mp4")
    with pytest.raises(ReportedError, match="other faces"):
        again.check(source.fingerprint, 20, [faces[1], late], "cross.mp4")
    clip = opened(source, mixed, again, 0)
    assert not changed(clip, 0, Motion(), Motion())[0].any()
    x = np.flatnonzero(changed(clip, 0, Motion(), SMILE)[0].any(axis=0))
    assert x.min() > 340
    x = np.flatnonzero(changed(clip, 19, Motion(), SMILE)[0].any(axis=0))
    assert x.size and x.max() < 300
    with pytest.raises(ReportedError, match="no source frame 20"):
        follow_faces(source, 0, [faces[1], replace(late, frame=20)], quiet)


def test_one_frame_is_a_clip_too_and_the_file_says_all(photo: np.ndarray, tmp_path: Path) -> None:
    source = source_of(tmp_path / "one.mp4", [photo[:, :323]])
    assert (source.frame_count, source.size) == (1, (323, 300))
    faces = find_faces(source.at(0))
    track = follow_faces(source, 0, faces, quiet)
    track.save(tmp_path / "new" / "one.npz")
    again = FaceTrack.load(tmp_path / "new" / "one.npz")
    assert again.faces == track.faces and again.times == pytest.approx(track.times)
    assert again.face_at(0, 0).box == pytest.approx(faces[0].box, abs=4.0)
    again.check(source.fingerprint, 1, faces, "one.mp4")
    with pytest.raises(ReportedError, match="other faces"):
        again.check(source.fingerprint, 1, [*faces, *faces], "one.mp4")
    elsewhere = [replace(faces[0], box=(0.0, 0.0, 20.0, 20.0), keypoints=())]
    both = follow_faces(source, 0, [*elsewhere, *faces], quiet)
    assert both.is_seen.tolist() == [[False], [True]]
    assert "Face 1 of 'one.mp4' cannot be followed" in both.notices[0]
    with pytest.raises(ReportedError, match=r"Face 1 of 'one\.mp4' cannot be followed"):
        follow_faces(source, 0, elsewhere, quiet)


def test_openings_are_wished_by_what_the_frame_shows() -> None:
    rest = Face((0.0, 0.0, 1.0, 1.0), eyes_open=0.4, lips_open=0.1)
    blink = Face((0.0, 0.0, 1.0, 1.0), eyes_open=0.1, lips_open=0.3)
    assert in_frame(Motion(), rest, blink) == Motion()
    same = in_frame(Motion(eyes_open=0.4, lips_open=0.1), rest, blink)
    assert (same.eyes_open, same.lips_open) == pytest.approx((0.1, 0.3))
    shut = in_frame(Motion(eyes_open=0.0, lips_open=0.0), rest, blink)
    assert (shut.eyes_open, shut.lips_open) == (0.0, 0.0)
    wider = in_frame(Motion(eyes_open=0.6, lips_open=0.4), rest, blink)
    assert (wider.eyes_open, wider.lips_open) == pytest.approx((0.15, 0.6))
    held = in_frame(Motion(eyes_open=0.6, lips_open=0.4), rest, blink, [EYES])
    assert (held.eyes_open, held.lips_open) == pytest.approx((0.6, 0.6))
    half = in_frame(Motion(yaw=8.0, scale=1.21, eyes_open=0.4), rest, blink, [EYES], 0.5)
    assert (half.yaw, half.scale, half.eyes_open) == pytest.approx((4.0, 1.1, 0.25))


def test_a_face_shakes_with_the_camera(photo: np.ndarray, tmp_path: Path) -> None:
    """What stays put on a face stays put in the track, too: nothing slides over it."""
    shifts = np.random.default_rng(5).integers(-2, 3, (14, 2))
    source = source_of(
        tmp_path / "shaken.mp4",
        [np.roll(photo, shift, axis=(0, 1)) for shift in shifts.tolist()],
    )
    track = follow_faces(source, 0, find_faces(source.at(0)), quiet)
    own = np.array([track.landmarks_at(0, row)[:468, :2] for row in range(len(shifts))])
    off = own.mean(axis=1) - shifts[:, ::-1]
    assert np.abs(off - np.median(off, axis=0)).max() < 0.5
