"""A small square picture of one face as its plane shows it."""

from __future__ import annotations

import bpy
import numpy as np

from .controllers import face_of
from .images import read_picture
from .portraits import picture_size

SAMPLES = 3  # per pixel and direction, so that large faces do not alias
MARGIN = 0.35  # around the face, as a part of its longer side


def face_picture(controller: bpy.types.Object, size_px: int) -> np.ndarray:
    """(size, size, 4) float32 RGBA of display values, row 0 at the bottom as in previews.

    Grey where the plane shows no picture.
    """
    plane = controller.keyportrait.face.portrait
    image = None if plane is None else plane.keyportrait.portrait.output
    if image is None or 0 in image.size:
        return np.full((size_px, size_px, 4), 0.5, np.float32)
    picture = read_picture(image)
    pixels = picture.pixels
    # While something moves the image is smaller than the picture.
    share = pixels.shape[1] / picture_size(plane)[0]
    x0, y0, x1, y1 = (share * value for value in face_of(controller).box)
    half = max(0.5 * max(x1 - x0, y1 - y0) * (1.0 + 2.0 * MARGIN), 1.0)
    height, width = pixels.shape[:2]
    count = size_px * SAMPLES
    steps = (np.arange(count) + 0.5) / count * 2.0 - 1.0
    columns = np.clip(0.5 * (x0 + x1) + half * steps, 0, width - 1).astype(int)
    rows = np.clip(0.5 * (y0 + y1) + half * steps, 0, height - 1).astype(int)
    crop = pixels[rows[::-1]][:, columns].astype(np.float32)
    if pixels.dtype == np.uint8:
        crop /= 255.0
    shown = np.clip(crop, 0.0, 1.0).reshape(size_px, SAMPLES, size_px, SAMPLES, 4)
    shown = shown.mean(axis=(1, 3))
    if picture.encoding == "linear":
        shown[..., :3] **= 1.0 / 2.2
    return shown
