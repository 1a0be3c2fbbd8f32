"""Where the faces of a moving source are in each of its frames: files that the engine has made.

A track lies in a cache, by the content of the clip and the faces that were followed, and is made
anew when it is missing. What is read of it here is what sliders and controllers need.
"""

from __future__ import annotations

import hashlib
import json
import logging
import zipfile
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ..engine.controls import Face
from ..engine.part_files import remove_left
from ..preferences import user_folder
from . import clips
from .controllers import face_to_text
from .errors import OtherPictureError, PortraitError
from .portraits import Portrait, picture_size

log = logging.getLogger(__name__)

FOLDER = "tracks"
# Counts up when the engine would make another track of the same clip and faces.
TRACK_VERSION = 2
LIMIT_BYTES = 500 * 10**6
_KEPT = 8
# Percentile of a clip's ratios at which eyes count as open: blinks and squints are below.
_OPEN_SHARE = 75.0

_known: OrderedDict[Path, FaceTrack] = OrderedDict()


@dataclass(frozen=True)
class FaceTrack:
    """F faces along T frames of a clip, see "Moving sources" in docs/protocol.md.

    size     (width, height) of the frames, pixels
    is_seen  (F, T) bool
    box      (F, T, 4) float32 pixels from the top left
    pose     (F, T, 3) float32 degrees: pitch, yaw, roll
    place    (F, T, 2) float32 pixels of the neck joint
    scale    (F, T) float32 pixels per centimetre of an average face
    ratios   (F, T, 2) float32 openings of eyes and lips
    gaze     (F, T, 2) float32 where the eyes look in the head, as the gaze controls
    expression  (F, T, 63) float32 what the face does beside how it usually is
    """

    size: tuple[int, int]
    is_seen: np.ndarray
    box: np.ndarray
    pose: np.ndarray
    place: np.ndarray
    scale: np.ndarray
    ratios: np.ndarray
    gaze: np.ndarray
    expression: np.ndarray

    @property
    def frame_count(self) -> int:
        """T."""
        return self.is_seen.shape[1]

    def clamped(self, frame: int) -> int:
        """A frame of the clip: the last one where it is shorter."""
        return min(max(frame, 0), self.frame_count - 1)

    def face_at(self, index: int, frame: int, found: Face) -> Face:
        """A face as it is in a frame; found: as it is in the frame that it was found in."""
        frame = self.clamped(frame)
        pitch, yaw, roll = (float(value) for value in self.pose[index, frame])
        eyes, lips = (float(value) for value in self.ratios[index, frame])
        box = tuple(float(value) for value in self.box[index, frame])
        return replace(
            found, box=box, pitch=pitch, yaw=yaw, roll=roll, eyes_open=eyes, lips_open=lips
        )

    @cached_property
    def wide_eyes(self) -> tuple[float, ...]:
        """Opening ratio of each face's eyes where they are open."""
        return tuple(
            float(np.percentile(ratios[seen, 0] if seen.any() else ratios[:, 0], _OPEN_SHARE))
            for ratios, seen in zip(self.ratios, self.is_seen, strict=True)
        )

    @cached_property
    def typical(self) -> tuple[tuple[np.ndarray, np.ndarray, float], ...]:
        """(pose, place, scale) in the middle of what each face does, units as above."""
        found = []
        for index, seen in enumerate(self.is_seen):
            rows = seen if seen.any() else np.ones_like(seen)
            pose, place = (np.median(a[index][rows], axis=0) for a in (self.pose, self.place))
            found.append((pose, place, float(np.median(self.scale[index][rows]))))
        return tuple(found)


def track_path(item: Portrait, clip: clips.Clip) -> Path:
    """Where the track of a portrait's faces lies, whether it is there or not.

    Raises PortraitError where there is no face to follow.
    """
    if not item.controllers:
        raise PortraitError(
            f"'{item.plane.name}' has no face to follow in '{item.settings.source.name}'.",
            "Press Find, or Draw a box around one.",
        )
    faces = [controller.keyportrait.face.data for controller in item.controllers]
    return path_of(clip, item.settings.clip.found_frame, faces)


def path_of(clip: clips.Clip, frame: int, faces: list[str]) -> Path:
    """The same, for faces (as stored on controllers) that were found in a frame of a clip."""
    content = json.dumps([TRACK_VERSION, clip.digest, frame, faces])
    return user_folder(FOLDER) / f"{hashlib.sha256(content.encode()).hexdigest()[:40]}.npz"


def read_new(place: clips.Place, faces: list[Face]) -> FaceTrack | None:
    """The track of faces, left to right, that have no controllers yet; None where there is none."""
    texts = [face_to_text(face) for face in faces]
    return read(path_of(place.clip, place.frame, texts), len(faces))


def track_of(item: Portrait) -> FaceTrack | None:
    """The track of a portrait's clip; None where it must be made first.

    Raises AddonError where the clip is gone, or has another size than when its faces were found.
    """
    clip = clips.clip_of(item.settings.source, is_certain=False)
    track = read(track_path(item, clip), len(item.controllers))
    size = picture_size(item.plane)
    if track is not None and track.size != size:
        now, then = ("{} x {} px".format(*pair) for pair in (track.size, size))
        raise OtherPictureError(
            f"'{item.settings.source.name}' is {now} now; its faces were found at {then}.",
            "Choose it again in the Picture field.",
        )
    return track


def is_there(item: Portrait) -> bool:
    """Whether the track of a portrait's clip is on disk, and whole. Raises AddonError."""
    path = track_path(item, clips.clip_of(item.settings.source))
    if not path.is_file():
        _known.pop(path, None)
    return read(path, len(item.controllers)) is not None


def drop(path: Path) -> None:
    """Forget a track that the engine cannot use."""
    _known.pop(path, None)
    path.unlink(missing_ok=True)


def read(path: Path, face_count: int) -> FaceTrack | None:
    """A track from its file; None where that is missing or damaged."""
    if path in _known:
        _known.move_to_end(path)
        return _known[path]
    try:
        with np.load(path, allow_pickle=False) as arrays:
            width, height = (int(side) for side in arrays["size"])
            names = ("is_seen", "box", "pose", "place", "scale", "ratios", "gaze", "expression")
            track = FaceTrack((width, height), *(arrays[name] for name in names))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        log.warning("The face track %s is made again: %s", path.name, error)
        return None
    if len(track.is_seen) != face_count or not track.frame_count:
        return None
    _known[path] = track
    while len(_known) > _KEPT:
        _known.popitem(last=False)
    return track


def trim() -> None:
    """Remove the longest unused tracks above the cache's limit."""
    folder = user_folder(FOLDER)
    remove_left(folder)
    entries = []
    for path in folder.glob("*.npz"):
        status = path.stat()
        entries.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= LIMIT_BYTES:
            break
        path.unlink(missing_ok=True)
        total -= size


def forget() -> None:
    """Read every file again."""
    _known.clear()
