"""Moving sources on LivePortrait's renderer: every frame has features and keypoints of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from clip_maker import make_clip
from fakes.model_set import FakeModelSet

from engine.face_following import follow_faces
from engine.faces.find import find_faces
from engine.liveportrait.renderer import LivePortraitRenderer
from engine.motion import Motion
from engine.moving_source import MovingSource
from engine.opened import OpenedClip
from engine.opening import fit_faces
from engine.source_clip import SourceClip
from engine.wish import Wish

DATA = Path(__file__).resolve().parents[1] / "data"
MOVE = Motion(translation=(0.04, 0.0, 0.0), scale=1.02)
COUNT = 5


def quiet(fraction: float, text: str) -> None:
    assert text


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> MovingSource:
    picture = cv2.imread(str(DATA / "astronaut.jpg"))
    photo = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)[:300, 60:400]
    images = [np.ascontiguousarray(np.roll(photo, 3 * step, axis=1)) for step in range(COUNT)]
    path = tmp_path_factory.mktemp("clips") / "walk.mp4"
    return MovingSource(SourceClip(str(make_clip(path, images=images, options={"crf": "8"}))))


def test_every_frame_is_read_once_and_moved_by_its_own_face(source: MovingSource) -> None:
    faces = find_faces(source.at(1))
    track = follow_faces(source, 1, faces, quiet)

    def opened(models: FakeModelSet) -> OpenedClip:
        renderer = LivePortraitRenderer(models)
        first = fit_faces(source.at(1), faces, renderer, quiet)
        return OpenedClip(source, 1, first, renderer, track)

    def shown(clip: OpenedClip, frame: int, motion: Motion) -> np.ndarray:
        composition = clip.at(frame)
        own = clip.motions_of(Wish(frame, (motion,)), composition)
        composition.render(own)
        return composition.canvas.copy()

    models = FakeModelSet()
    clip = opened(models)
    forwards = [shown(clip, frame, MOVE) for frame in range(COUNT)]
    assert models.calls["features"] == models.calls["motion"] == [1] * COUNT
    shown(clip, COUNT - 1, replace_yaw(MOVE))
    assert models.calls["features"] == [1] * COUNT
    other = opened(FakeModelSet())
    for frame in (4, 0, 2):
        assert (shown(other, frame, MOVE) == forwards[frame]).all()
        assert (shown(other, frame, Motion()) == source.at(frame).pixels).all()
        assert (forwards[frame] != source.at(frame).pixels).any()


def test_several_source_frames_are_made_at_once(source: MovingSource) -> None:
    """A bake names the frames that come next: networks make them in one batch, each as alone."""
    faces = find_faces(source.at(1))
    track = follow_faces(source, 1, faces, quiet)

    def baked(
        batch_size: int, frames: Sequence[tuple[int, int]]
    ) -> tuple[FakeModelSet, list[np.ndarray]]:
        models = FakeModelSet()
        models.batch_size = batch_size
        renderer = LivePortraitRenderer(models)
        first = fit_faces(source.at(1), faces, renderer, quiet)
        clip = OpenedClip(source, 1, first, renderer, track)
        wishes = [Wish(frame, (replace(MOVE, yaw=float(place)),)) for place, frame in frames]
        shown = []
        for number, wish in enumerate(wishes):
            clip.prepare(wishes[number : number + batch_size])
            composition = clip.at(wish.source_frame)
            composition.render(clip.motions_of(wish, composition))
            shown.append(composition.canvas.copy())
        return models, shown

    # Slow motion shows a source frame twice; one of them is the frame of `open`.
    frames = list(enumerate((0, 1, 1, 2, 3, 3, 4)))
    models, together = baked(4, frames)
    assert models.calls["decode"] == [4, 4]
    assert models.calls["features"] == models.calls["motion"] == [1] * COUNT
    alone, one_by_one = baked(1, frames)
    assert alone.calls["decode"] == [1] * len(frames)
    assert all((a == b).all() for a, b in zip(together, one_by_one, strict=True))
    _, chunk = baked(4, frames[3:5])
    assert all((a == b).all() for a, b in zip(chunk, together[3:5], strict=True))


def replace_yaw(motion: Motion) -> Motion:
    return Motion(yaw=3.0, translation=motion.translation, scale=motion.scale)


def test_crops_follow_the_steadied_face(source: MovingSource) -> None:
    faces = find_faces(source.at(0))
    track = follow_faces(source, 0, faces, quiet)
    models = FakeModelSet()
    renderer = LivePortraitRenderer(models)
    clip = OpenedClip(source, 0, fit_faces(source.at(0), faces, renderer, quiet), renderer, track)
    for frame in range(1, COUNT):
        clip.at(frame)
    seen = [picture[0] for picture in models.seen[1:]]
    # The face goes to the right, its crop with it: the networks always see the same.
    for picture in seen[1:]:
        assert np.abs(picture[40:216, 60:196] - seen[0][40:216, 60:196]).mean() < 0.03
