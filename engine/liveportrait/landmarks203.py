"""LivePortrait's own 203 landmarks (landmark.onnx), on a picture or along a video."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from .crop import LANDMARK_CROP, crop_face, transform_points
from .onnx_models import open_session

LANDMARK_FILE = "landmark.onnx"
LANDMARK_COUNT = 203
_SIZE = LANDMARK_CROP.size

# The network: (1, 3, 224, 224) float32 RGB 0..1 → three outputs, the points in the last one.
Network = Callable[[np.ndarray], Sequence[np.ndarray]]


class Landmarks203:
    """Finds the 203 points near points that are already known."""

    def __init__(self, network: Network) -> None:
        self._network = network

    @classmethod
    def load(cls, path: Path) -> Landmarks203:
        """Load landmark.onnx. Raises ReportedError "no_models"."""
        session = open_session(path, output_count=3)
        name = session.get_inputs()[0].name
        return cls(lambda blob: session.run(None, {name: blob}))

    def locate(self, image: np.ndarray, near: np.ndarray | None = None) -> np.ndarray:
        """(203, 2) float32 points in the pixels of an (H, W, 3) uint8 RGB picture.

        near  landmarks of any known layout in this picture, or of the frame before;
              None: the face fills the whole picture
        """
        if near is None:
            view = cv2.resize(image, (_SIZE, _SIZE))
            return self._run(view) * (max(image.shape[:2]) / np.float32(_SIZE))
        crop = crop_face(image, near, LANDMARK_CROP)
        return transform_points(self._run(crop.image), crop.crop_to_image)

    def _run(self, view: np.ndarray) -> np.ndarray:
        """(203, 2) points in the pixels of a (224, 224, 3) view."""
        blob = view.astype(np.float32).transpose(2, 0, 1)[None] / np.float32(255)
        return np.asarray(self._network(blob)[2], np.float32).reshape(-1, 2) * np.float32(_SIZE)
