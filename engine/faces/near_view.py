"""What the networks see of one face: the picture around it, made smaller where it is large."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ..motion import Face
from ..renderer import SourceImage, Step, no_step
from .crop import Crop
from .find import check_image, exposure_of, strip_8bit

# Sides of a face's box around its middle: landmarks are looked for no further away.
_REACH = 2.0
# Pixels of a face from side to side that are kept: the networks see half as many.
_FACE_PX = 448
_CROP_SHARE = 0.5  # of a crop's scale; more would soften it
_MARGIN = 8  # pixels beyond a crop that filters read
_STRIP_PIXELS = 1 << 20


@dataclass(frozen=True)
class NearView:
    """A part of a picture as (h, w, 3) uint8 sRGB.

    x, y   picture pixels left of and above it
    step   picture pixels per pixel of the view, each way
    is_whole  it has the picture's own values, and there is nothing but these
    """

    rgb: np.ndarray
    x: int
    y: int
    step: int
    is_whole: bool = False

    @classmethod
    def of_face(cls, image: SourceImage, face: Face, step: Step = no_step) -> NearView:
        """The surroundings of a face's box. Raises ReportedError "bad_image"."""
        check_image(image)
        x0, y0, x1, y1 = face.box
        middle, side = np.array([x0 + x1, y0 + y1]) / 2, max(x1 - x0, y1 - y0)
        reach = _REACH * side
        return cls._cut(image, middle - reach, middle + reach, int(side / _FACE_PX), step)

    @classmethod
    def of_crop(cls, image: SourceImage, crop: Crop, step: Step = no_step) -> NearView:
        """What a crop shows. Raises ReportedError "bad_image"."""
        check_image(image)
        corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * float(crop.size)
        matrix = crop.crop_to_picture
        points = corners @ matrix[:, :2].T + matrix[:, 2]
        margin = _MARGIN / crop.scale
        low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
        return cls._cut(image, low, high, int(_CROP_SHARE / crop.scale), step)

    @classmethod
    def _cut(
        cls, image: SourceImage, low: np.ndarray, high: np.ndarray, shrink: int, step: Step
    ) -> NearView:
        shrink = max(shrink, 1)
        height, width = image.pixels.shape[:2]
        limit = np.array([width, height])
        # At least a pixel of the view, also where the face lies outside the picture.
        first = np.clip(np.floor(low).astype(int), 0, np.maximum(limit - shrink, 0))
        last = np.clip(np.ceil(high).astype(int) + 1, first + shrink, limit)
        x0, y0, (columns, rows) = int(first[0]), int(first[1]), (last - first) // shrink
        if not columns or not rows:  # a picture of fewer pixels than one of the view
            shrink, (columns, rows) = 1, last - first
        exposure = exposure_of(image)
        is_whole = shrink == 1 and image.pixels.dtype == np.uint8 and image.encoding == "srgb"
        view = np.empty((rows, columns, 3), np.uint8)
        block = max(1, _STRIP_PIXELS // int(columns * shrink * shrink))
        for top in range(0, int(rows), block):
            bottom = min(top + block, int(rows))
            part = image.pixels[
                y0 + top * shrink : y0 + bottom * shrink, x0 : x0 + int(columns) * shrink
            ]
            view[top:bottom] = _shrunk_8bit(part, image.encoding, exposure, shrink)
            is_whole = is_whole and cv2.extractChannel(part, 3).min() == 255
            step()
        return cls(view, x0, y0, shrink, bool(is_whole))

    def place(self, face: Face) -> Face:
        """A face of the picture in the view's pixels: its box and keypoints."""
        box = self._to_view(np.reshape(face.box, (2, 2))).ravel()
        keypoints = tuple((float(x), float(y)) for x, y in map(self._to_view, face.keypoints))
        return replace(face, box=tuple(float(value) for value in box), keypoints=keypoints)

    def to_picture(self, landmarks: np.ndarray) -> np.ndarray:
        """(N, 3) of the view → (N, 3) float32 picture pixels."""
        points = np.asarray(landmarks, np.float64) * self.step
        points[:, :2] += np.array([self.x, self.y]) + 0.5 * (self.step - 1)
        return points.astype(np.float32)

    def crop(self, crop: Crop) -> Crop:
        """A crop of the picture as one of the view."""
        matrix = crop.picture_to_crop.copy()
        origin = np.array([self.x, self.y]) + 0.5 * (self.step - 1)
        matrix[:, 2] += matrix[:, :2] @ origin
        matrix[:, :2] *= self.step
        return Crop(matrix, crop.size)

    def _to_view(self, points: object) -> np.ndarray:
        moved = np.asarray(points, np.float64) - [self.x, self.y]
        return (moved - 0.5 * (self.step - 1)) / self.step


def _shrunk_8bit(part: np.ndarray, encoding: str, exposure: float, shrink: int) -> np.ndarray:
    size = part.shape[1] // shrink, part.shape[0] // shrink
    if shrink > 1 and part.dtype != np.uint8 and cv2.extractChannel(part, 3).min() >= 1.0:
        # A power per pixel is what takes long; light may be averaged before it.
        limit = 1.0 / exposure
        part = np.clip(np.nan_to_num(part, nan=0.0, posinf=limit, neginf=0.0), 0.0, limit)
        part[..., 3] = 1.0
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    view = strip_8bit(part, encoding, exposure)
    if view.shape[1::-1] == size:
        return view
    return cv2.resize(view, size, interpolation=cv2.INTER_AREA)
