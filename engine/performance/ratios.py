"""Opening ratios of eyes and lips, height over width, from LivePortrait's 203 landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# (upper, lower, one corner, the other) as indices of the 203 points; left is the picture's.
LEFT_EYE = (6, 18, 0, 12)
RIGHT_EYE = (30, 42, 24, 36)
LIPS = (90, 102, 48, 66)


@dataclass(frozen=True)
class OpeningRatios:
    """eyes (N, 2) left and right, lips (N, 1), float32; one row per picture or video frame."""

    eyes: np.ndarray
    lips: np.ndarray

    @classmethod
    def from_landmarks(cls, landmarks: np.ndarray) -> OpeningRatios:
        """Ratios of (203, 2) or (N, 203, 2) landmarks in any similar frame of reference."""
        points = np.asarray(landmarks, np.float32).reshape(-1, 203, 2)
        eyes = np.stack([_ratio(points, LEFT_EYE), _ratio(points, RIGHT_EYE)], axis=1)
        return cls(eyes=eyes, lips=_ratio(points, LIPS)[:, None])

    def __len__(self) -> int:
        return len(self.eyes)

    def __getitem__(self, frames: slice | np.ndarray) -> OpeningRatios:
        """Some of the frames, chosen by a slice or an index array."""
        return OpeningRatios(self.eyes[frames], self.lips[frames])


def _ratio(points: np.ndarray, indices: tuple[int, int, int, int]) -> np.ndarray:
    upper, lower, start, end = (points[:, i] for i in indices)
    height = np.linalg.norm(upper - lower, axis=1)
    width = np.linalg.norm(start - end, axis=1)
    return (height / (width + 1e-6)).astype(np.float32)


def eye_condition(source: OpeningRatios, target: np.ndarray | float) -> np.ndarray:
    """(T, 3) input of the eye retargeting MLP: source left, source right, wanted ratio.

    target  one number or (T,); a source of one row serves all T
    """
    return _with_target(source.eyes, target)


def lip_condition(source: OpeningRatios, target: np.ndarray | float) -> np.ndarray:
    """(T, 2) input of the lip retargeting MLP: source, wanted ratio; target as above."""
    return _with_target(source.lips, target)


def _with_target(own: np.ndarray, target: np.ndarray | float) -> np.ndarray:
    wanted = np.reshape(np.asarray(target, np.float32), (-1, 1))
    count = max(len(own), len(wanted))
    columns = (np.broadcast_to(column, (count, column.shape[1])) for column in (own, wanted))
    return np.concatenate(list(columns), axis=1)
