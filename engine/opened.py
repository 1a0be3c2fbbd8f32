"""What a handle stands for: a picture with fitted faces, or a clip with one such for each frame."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from .compose import FACE_CODES, Composition, RestingFace
from .face_track import FaceTrack
from .motion import Face, Motion
from .moving_source import MovingSource
from .preview import shrunk
from .renderer import FacePortrait, Renderer, ReportedError, SourceImage, Step, no_step
from .wish import Wish, in_frame

# Fitted frames that are kept: a slider is dragged in one, a bake asks for the next ones.
_KEPT = 3

Size = tuple[int, int]
Holds = Sequence[Sequence[str]]  # per face, see wish.in_frame; empty for none


class Opened(Protocol):
    """A source whose faces were fitted in its frame `frame`, which `first` shows."""

    frame: int
    first: Composition

    @property
    def face_count(self) -> int:
        """Number of faces that can be moved."""
        ...

    @property
    def size(self) -> Size:
        """(width, height) in pixels."""
        ...

    def at(self, frame: int, size: Size | None = None, step: Step = no_step) -> Composition:
        """The composition of a source frame, shrunk to a size where one is given.

        Raises ReportedError (bad_request, bad_clip, and what the renderer's reopen raises).
        """
        ...

    def take(self, frame: int, step: Step = no_step) -> Composition | None:
        """The composition of a source frame for one caller alone, in whatever thread, until it is
        given back, if it is; None for a frame that cannot be given away. Raises as `at`.
        """
        ...

    def prepare(self, wishes: Sequence[Wish], holds: Holds = (), step: Step = no_step) -> None:
        """Let a renderer that makes several frames at once do so, where each is of another source
        frame; the first is drawn next. Raises as `at`.
        """
        ...

    def give_back(self, frame: int, composition: Composition) -> None:
        """What `take` has given may be used by others again; from any thread."""
        ...

    def motions_of(
        self, wish: Wish, composition: Composition, holds: Holds = ()
    ) -> tuple[Motion, ...]:
        """The motions of a wish with the openings that its source frame needs."""
        ...

    def close(self) -> None:
        """Close its files."""
        ...


class OpenedPicture:
    """A picture: one source frame, number 0. See Opened."""

    frame = 0

    def __init__(self, composition: Composition) -> None:
        self.first = composition
        self.face_count, self.size = composition.face_count, composition.size

    def at(self, frame: int, size: Size | None = None, step: Step = no_step) -> Composition:
        """See Opened.at."""
        if frame:
            raise ReportedError("bad_request", f"A picture has no source frame {frame}.")
        return self.first if size is None else self.first.at_size(size)

    def take(self, frame: int, step: Step = no_step) -> Composition | None:
        """See Opened.take: there is one composition, which all use."""
        return None

    def prepare(self, wishes: Sequence[Wish], holds: Holds = (), step: Step = no_step) -> None:
        """See Opened.prepare: there is one source frame."""

    def give_back(self, frame: int, composition: Composition) -> None:
        """See Opened.give_back."""

    def motions_of(
        self, wish: Wish, composition: Composition, holds: Holds = ()
    ) -> tuple[Motion, ...]:
        """See Opened.motions_of."""
        return wish.motions

    def close(self) -> None:
        """Nothing is open."""


class OpenedClip:
    """A clip; the compositions of the frames that were used last are kept. See Opened.

    source   the clip
    frame    the source frame in which the faces were found, but for those that name another one
    first    the faces as they are there, each fitted in its own frame, which all frames follow
             from: so no frame depends on those that were asked for before it
    """

    def __init__(
        self,
        source: MovingSource,
        frame: int,
        first: Composition,
        renderer: Renderer,
        track: FaceTrack | None,
    ) -> None:
        self.source, self.frame, self.first = source, frame, first
        self.face_count, self.size = first.face_count, first.size
        self._renderer, self._track = renderer, track
        self._shared_frames = {self._frame_of(face) for face in first.faces}
        self._is_first_whole = self._shared_frames == {frame}
        self._kept: OrderedDict[tuple[int, Size | None], Composition] = OrderedDict()
        self._kept_lock = threading.Lock()

    def at(self, frame: int, size: Size | None = None, step: Step = no_step) -> Composition:
        """See Opened.at."""
        self.source.check_frame(frame)
        if size == self.size:
            size = None
        if frame == self.frame and self._is_first_whole:
            return self.first if size is None else self.first.at_size(size)
        composition = self._taken((frame, size))
        if composition is None:
            image = self.source.at(frame)
            if size is not None:
                image = shrunk(image, size)
            composition = self._composed(frame, image, step)
        self._keep((frame, size), composition)
        return composition

    def take(self, frame: int, step: Step = no_step) -> Composition | None:
        """See Opened.take: all but the faces' own frames, whose portraits others are fitted by."""
        self.source.check_frame(frame)
        if frame in self._shared_frames:
            return None
        return self._taken((frame, None)) or self._composed(frame, self.source.at(frame), step)

    def prepare(self, wishes: Sequence[Wish], holds: Holds = (), step: Step = no_step) -> None:
        """See Opened.prepare."""
        if self._renderer.batch_size == 1:
            return
        rows: list[tuple[Composition, tuple[Motion, ...]]] = []
        for wish in wishes:
            composition = self.at(wish.source_frame, None, step)
            rows.append((composition, self.motions_of(wish, composition, holds)))
        for index in range(self.face_count):
            moves = [(item.portraits[index], motions[index]) for item, motions in rows]
            self._renderer.prepare(moves)

    def give_back(self, frame: int, composition: Composition) -> None:
        """See Opened.give_back."""
        self._keep((frame, None), composition)

    def motions_of(
        self, wish: Wish, composition: Composition, holds: Holds = ()
    ) -> tuple[Motion, ...]:
        """See Opened.motions_of."""
        frame, track = wish.source_frame, self._track
        if track is None:
            return wish.motions
        rows = zip(wish.motions, self.first.faces, composition.faces, strict=True)
        return tuple(
            in_frame(motion, rest, own, holds[index] if holds else (), track.share_at(index, frame))
            for index, (motion, rest, own) in enumerate(rows)
        )

    def close(self) -> None:
        """See Opened.close."""
        self.source.close()

    def _frame_of(self, face: Face) -> int:
        return self.frame if face.frame is None else face.frame

    def _taken(self, key: tuple[int, Size | None]) -> Composition | None:
        with self._kept_lock:
            return self._kept.pop(key, None)

    def _keep(self, key: tuple[int, Size | None], composition: Composition) -> None:
        with self._kept_lock:
            self._kept.pop(key, None)
            self._kept[key] = composition
            while len(self._kept) > max(_KEPT, self._renderer.batch_size + 1):
                self._kept.popitem(last=False)

    def _composed(self, frame: int, image: SourceImage, step: Step) -> Composition:
        faces = [self._fitted(index, frame, image, step) for index in range(self.first.face_count)]
        return Composition(image, faces)

    def _fitted(self, index: int, frame: int, image: SourceImage, step: Step) -> FacePortrait:
        previous = self.first.portraits[index]
        if isinstance(previous, RestingFace):
            return previous
        if frame == self._frame_of(previous.face):
            is_whole = image.pixels.shape[1::-1] == self.size
            return previous if is_whole else previous.resized(image)
        if self._track is None:
            return RestingFace(previous.face, _untracked(index, frame), is_told=True)
        if not self._track.is_seen[index, frame]:
            return RestingFace(previous.face, _unseen(index, frame), is_told=True)
        face, landmarks = self._track.face_at(index, frame), self._track.landmarks_at(index, frame)
        factors = np.array(image.pixels.shape[1::-1]) / self.source.size
        if (factors != 1.0).any():
            face, landmarks = _scaled(face, landmarks, factors)
        try:
            return self._renderer.reopen(image, face, previous, landmarks, step)
        except ReportedError as error:
            if error.code not in FACE_CODES:
                raise
            return RestingFace(previous.face, error, is_told=True)


def _scaled(face: Face, landmarks: np.ndarray, factors: np.ndarray) -> tuple[Face, np.ndarray]:
    """A face of a source frame in the same frame at another size."""
    moved = landmarks.copy()
    moved[:, :2] = (moved[:, :2] + 0.5) * factors - 0.5
    moved[:, 2] *= float(factors.mean())
    x0, y0, x1, y1 = ((np.reshape(face.box, (2, 2)) + 0.5) * factors - 0.5).ravel().tolist()
    keypoints = (np.array(face.keypoints) + 0.5) * factors - 0.5
    placed = tuple((float(x), float(y)) for x, y in keypoints)
    return replace(face, box=(x0, y0, x1, y1), keypoints=placed), moved.astype(np.float32)


def _unseen(index: int, frame: int) -> ReportedError:
    text = f"Face {index + 1} is not seen in source frame {frame}: it is shown unchanged."
    return ReportedError("no_face", text)


def _untracked(index: int, frame: int) -> ReportedError:
    text = f"Face {index + 1} is not followed to source frame {frame}: it is shown unchanged."
    return ReportedError("no_face", text, "Follow the faces through the clip.")
