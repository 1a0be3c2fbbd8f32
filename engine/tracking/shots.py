"""Where a clip is cut: how much one frame's picture differs from the one before."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

_SIZE = (48, 27)  # of the thumbnails that are compared
_BINS = 8  # per colour of the histogram
_BLANK_SPREAD = 4.0  # grey levels; less is a blank picture
# A cut changes the whole picture, and far more than the frames before it changed.
_CUT_CHANGE, _CUT_HISTOGRAM, _CUT_RATIO = 14.0, 0.25, 3.0
_CUT_SHARE, _CHANGED = 0.5, 8.0  # of the picture that changes by more grey levels
# A change that is a cut only if the faces jump as well.
_JUMP_CHANGE, _JUMP_RATIO = 4.0, 3.0
_MEMORY = 0.9  # of the usual change, per frame


class Change(NamedTuple):
    """How a frame differs from the one before.

    is_cut    another picture altogether
    is_doubtful  so different that faces which jump are in another shot
    is_blank  nothing is to be seen, as between two shots
    """

    is_cut: bool
    is_doubtful: bool
    is_blank: bool


class ShotFinder:
    """Compares every frame with the one before."""

    def __init__(self) -> None:
        self._thumbnail: np.ndarray | None = None
        self._histogram: np.ndarray | None = None
        self._usual = 1.0  # grey levels from frame to frame

    def look(self, rgb: np.ndarray) -> Change:
        """What has changed in the next (H, W, 3) uint8 frame."""
        step = max(1, min(rgb.shape[0] // (4 * _SIZE[1]), rgb.shape[1] // (4 * _SIZE[0])))
        thumbnail = cv2.resize(
            np.ascontiguousarray(rgb[::step, ::step]), _SIZE, interpolation=cv2.INTER_AREA
        )
        histogram = _histogram(thumbnail)
        is_blank = float(thumbnail.reshape(-1, 3).std(axis=0).max()) < _BLANK_SPREAD
        change, moved, ratio, share = 0.0, 0.0, 0.0, 0.0
        if self._thumbnail is not None and self._histogram is not None:
            difference = np.abs(thumbnail.astype(np.int16) - self._thumbnail)
            change = float(difference.mean())
            moved = 0.5 * float(np.abs(histogram - self._histogram).sum())
            share = float((difference.max(axis=2) > _CHANGED).mean())
            ratio = change / max(self._usual, 0.5)
        is_whole = share > _CUT_SHARE and moved > _CUT_HISTOGRAM
        is_cut = is_whole and change > _CUT_CHANGE and ratio > _CUT_RATIO
        is_doubtful = change > _JUMP_CHANGE and ratio > _JUMP_RATIO
        if not is_cut:
            self._usual = _MEMORY * self._usual + (1.0 - _MEMORY) * change
        self._thumbnail, self._histogram = thumbnail.astype(np.int16), histogram
        return Change(is_cut, is_doubtful, is_blank)


def _histogram(thumbnail: np.ndarray) -> np.ndarray:
    """(_BINS**3,) shares of the colours, each blurred over its neighbours."""
    counts = cv2.calcHist([thumbnail], [0, 1, 2], None, [_BINS] * 3, [0, 256] * 3)
    counts = cv2.blur(counts.reshape(_BINS * _BINS, _BINS), (3, 3)).ravel()
    return counts / max(float(counts.sum()), 1e-9)
