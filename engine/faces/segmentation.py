"""Which pixels belong to a person."""

from __future__ import annotations

import cv2
import numpy as np

from .models import load

_SIDE = 256


def person_mask(rgb: np.ndarray) -> np.ndarray:
    """(H, W) float32, 0 background … 1 person, of an (H, W, 3) uint8 sRGB picture.

    Made for pictures of head and shoulders; pass a face crop rather than a wide view.
    Raises ReportedError "no_models".
    """
    height, width = rgb.shape[:2]
    blob = cv2.dnn.blobFromImage(
        cv2.resize(rgb, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), 1 / 255.0
    )
    net = load("selfie_segmentation")
    net.setInput(blob)
    mask = np.asarray(net.forward(), np.float32).reshape(_SIDE, _SIDE)
    return np.clip(cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR), 0.0, 1.0)
