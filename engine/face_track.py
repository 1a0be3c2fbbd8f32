"""The face track of a moving source: where its faces are in every frame, and the file of it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from .faces.candidates import keypoints_of, pairs
from .faces.canonical import LANDMARK_COUNT, MESH_COUNT, OVAL, Pose
from .motion import KEYPOINT_COUNT, Face
from .part_files import hint_of, write_whole
from .renderer import ReportedError
from .tracking.tracklet import LANDMARK_CM, PIVOT

# Counts up when the same clip would be followed differently.
VERSION = 2
_AGAIN = "Follow the faces again."
_FADE_S = 0.2  # before and after a loss
_SAME_PX = 1.0  # boxes of one face, after their way through a file


@dataclass(frozen=True)
class FaceTrack:
    """F faces over T source frames; rows of unseen frames lie between their neighbours.

    clip       the clip's fingerprint, see moving_source.MovingSource
    frame      the source frame in which the faces were found, but for those that name another one
    faces      as they were found there
    size       (width, height) of the source frames
    times      (T,) float64 seconds
    cuts       source frames that begin a shot
    is_seen    (F, T) bool; moments in which a face is lost for three frames or less count as seen
    box        (F, T, 4) float32 pixels
    keypoints  (F, T, 6, 2) float32 pixels
    pose       (F, T, 3) float32 degrees: pitch, yaw, roll
    rotation   (F, T, 3, 3) float32 from the face frame to the picture
    scale      (F, T) float32 pixels per cm
    place      (F, T, 2) float32 pixels of the neck joint
    ratios     (F, T, 2) float32 opening of eyes and lips
    gaze       (F, T, 2) float32 where the eyes look in the head, as the gaze controls
    expression (F, T, 63) float32 what the face does beside how it usually is, as Motion.expression
    landmarks  (F, T, 478, 3) int16 in the face frame, steps of LANDMARK_CM
    notices    sentences for the user
    """

    clip: str
    frame: int
    faces: tuple[Face, ...]
    size: tuple[int, int]
    times: np.ndarray
    cuts: tuple[int, ...]
    is_seen: np.ndarray
    box: np.ndarray
    keypoints: np.ndarray
    pose: np.ndarray
    rotation: np.ndarray
    scale: np.ndarray
    place: np.ndarray
    ratios: np.ndarray
    gaze: np.ndarray
    expression: np.ndarray
    landmarks: np.ndarray
    notices: tuple[str, ...] = ()

    def landmarks_at(self, index: int, frame: int) -> np.ndarray:
        """(478, 3) float32 pixels of a face in a source frame."""
        rotation = self.rotation[index, frame].astype(np.float64)
        scale = float(self.scale[index, frame])
        translation = -scale * rotation @ PIVOT[0]
        translation[:2] += self.place[index, frame]
        points = self.landmarks[index, frame].astype(np.float64) * LANDMARK_CM
        return Pose(scale, rotation, translation).to_picture(points).astype(np.float32)

    def face_at(self, index: int, frame: int) -> Face:
        """A face as it is in a source frame, with its own pose and opening ratios there."""
        landmarks = self.landmarks_at(index, frame)
        pitch, yaw, roll = (float(value) for value in self.pose[index, frame])
        eyes, lips = (float(value) for value in self.ratios[index, frame])
        x0, y0, x1, y1 = (float(value) for value in self.box[index, frame])
        return replace(
            self.faces[index],
            box=(x0, y0, x1, y1),
            keypoints=pairs(keypoints_of(landmarks)),
            outline=pairs(landmarks[list(OVAL)]),
            pitch=pitch,
            yaw=yaw,
            roll=roll,
            eyes_open=eyes,
            lips_open=lips,
            measures={},
            problem={},
            reading=(),
        )

    def share_at(self, index: int, frame: int) -> float:
        """0..1 of a motion that is shown: it fades before a loss and after it, not at cuts."""
        near = np.abs(self.times - self.times[frame]) < _FADE_S
        first, end = 0, len(self.times)
        for cut in self.cuts:
            first, end = (cut, end) if cut <= frame else (first, min(end, cut))
        near[:first], near[end:] = False, False
        lost = np.flatnonzero(near & ~self.is_seen[index])
        if not len(lost):
            return 1.0
        away = float(np.abs(self.times[lost] - self.times[frame]).min()) / _FADE_S
        return away * away * (3.0 - 2.0 * away)

    @property
    def losses(self) -> list[dict[str, int]]:
        """{face, first, last} of each stretch of source frames in which a face was not seen."""
        found: list[dict[str, int]] = []
        for index, is_seen in enumerate(self.is_seen):
            edges = np.flatnonzero(np.diff(np.concatenate([[1], is_seen.astype(int), [1]])))
            found += [
                {"face": index, "first": int(first), "last": int(end) - 1}
                for first, end in edges.reshape(-1, 2)
            ]
        return found

    def check(self, clip: str, frame_count: int, faces: Sequence[Face], name: str) -> None:
        """Raise ReportedError "bad_track" unless this is the track of these faces of a clip."""
        if (self.clip, len(self.times)) != (clip, frame_count):
            text = f"The face track was made from another clip than '{name}', or it has changed."
            raise ReportedError("bad_track", text, _AGAIN)
        boxes = np.array([face.box for face in faces]).reshape(-1, 4)
        own = np.array([face.box for face in self.faces]).reshape(-1, 4)
        is_same = [face.frame for face in faces] == [face.frame for face in self.faces]
        is_same = is_same and boxes.shape == own.shape and (np.abs(boxes - own) < _SAME_PX).all()
        if not is_same:
            text = f"The face track of '{name}' follows other faces than those that are opened."
            raise ReportedError("bad_track", text, _AGAIN)

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all. Raises ReportedError "write_failed"."""
        arrays = {
            "version": np.array(VERSION),
            **{field.name: np.asarray(getattr(self, field.name)) for field in fields(self)},
            "faces": np.array(json.dumps([face.to_json() for face in self.faces])),
            "cuts": np.array(self.cuts, np.int64),
            "notices": np.array(self.notices, np.str_),
        }

        def write(part: Path) -> None:
            with part.open("wb") as stream:
                np.savez(stream, **arrays)

        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, write)
        except OSError as error:
            text = f"Cannot write '{path}': {error.strerror or error}."
            raise ReportedError("write_failed", text, hint_of(error)) from error

    @classmethod
    def load(cls, path: Path) -> FaceTrack:
        """Read what `save` wrote. Raises ReportedError "bad_track" for anything else."""
        try:
            return cls._load(path)
        except OSError as error:
            text = f"There is no face track '{path.name}': {error.strerror or error}."
            raise ReportedError("bad_track", text, _AGAIN) from error
        except (KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile) as error:
            text = f"The face track '{path.name}' is damaged, or of another version."
            raise ReportedError("bad_track", text, _AGAIN) from error

    @classmethod
    def _load(cls, path: Path) -> FaceTrack:
        with np.load(path, allow_pickle=False) as data:
            if int(data["version"]) != VERSION:
                raise ValueError("another version")
            values = {field.name: data[field.name] for field in fields(cls)}
        width, height = (int(value) for value in values["size"])
        values["faces"] = tuple(Face.from_json(face) for face in json.loads(str(values["faces"])))
        values["clip"], values["frame"] = str(values["clip"]), int(values["frame"])
        values["size"] = width, height
        values["cuts"] = tuple(int(cut) for cut in values["cuts"])
        values["notices"] = tuple(str(text) for text in values["notices"])
        track = cls(**values)
        track._check_shapes()
        return track

    def _check_shapes(self) -> None:
        size = len(self.faces), len(self.times)
        ends = {
            "is_seen": (), "box": (4,), "keypoints": (6, 2), "pose": (3,), "rotation": (3, 3),
            "scale": (), "place": (2,), "ratios": (2,), "gaze": (2,),
            "expression": (3 * KEYPOINT_COUNT,), "landmarks": (LANDMARK_COUNT, 3),
        }  # fmt: skip
        for name, end in ends.items():
            array = getattr(self, name)
            if array.shape != (*size, *end) or not np.isfinite(array).all():
                raise ValueError(f"'{name}' is damaged")


def box_of(landmarks: np.ndarray) -> np.ndarray:
    """(4,) box of (478, 3) landmarks."""
    points = landmarks[:MESH_COUNT, :2]
    return np.concatenate([points.min(axis=0), points.max(axis=0)])
