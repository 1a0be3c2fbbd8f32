"""InsightFace's detector (det_10g) and 106 landmarks (2d106det), through its own package.

The models are licensed for non-commercial research only, so they are optional: without them the
engine's own face mesh does this work (mesh_landmarks).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..renderer import ReportedError
from .onnx_models import open_session

DETECTOR_FILE = "det_10g.onnx"
LANDMARK_FILE = "2d106det.onnx"
DETECTOR_SIZE = 512
DETECTOR_THRESHOLD = 0.15
OVERLAP_THRESHOLD = 0.4


@dataclass(frozen=True)
class DetectedFace:
    """A face box in picture pixels.

    box        (x0, y0, x1, y1)
    score      0..1
    keypoints  (5, 2): eyes, nose, mouth corners
    """

    box: tuple[float, float, float, float]
    score: float
    keypoints: np.ndarray


class InsightFaces:
    """Both models, loaded. The sessions may be stand-ins with get_inputs, get_outputs and run."""

    def __init__(
        self, landmark_path: Path, detector_session: Any, landmark_session: Any,
        threshold: float = DETECTOR_THRESHOLD,
    ) -> None:  # fmt: skip
        retina_face, landmark, self._face = _package()
        self._detector = retina_face(session=detector_session)
        size = (DETECTOR_SIZE, DETECTOR_SIZE)
        self._detector.prepare(
            0, nms_thresh=OVERLAP_THRESHOLD, det_thresh=threshold, input_size=size
        )
        # The package reads the graph to see whether it subtracts and scales by itself.
        self._landmark = landmark(model_file=str(landmark_path), session=landmark_session)

    @classmethod
    def load(cls, folder: Path, threshold: float = DETECTOR_THRESHOLD) -> InsightFaces:
        """Load both files from a buffalo_l folder. Raises ReportedError "no_models"."""
        detector = open_session(folder / DETECTOR_FILE, output_count=9)
        landmark = open_session(folder / LANDMARK_FILE)
        return cls(folder / LANDMARK_FILE, detector, landmark, threshold)

    def detect(self, image: np.ndarray) -> list[DetectedFace]:
        """Faces of an (H, W, 3) uint8 RGB picture, the best score first."""
        boxes, keypoints = self._detector.detect(_bgr(image))
        faces: list[DetectedFace] = []
        for row, points in zip(boxes, keypoints, strict=True):
            x0, y0, x1, y1, score = (float(value) for value in row)
            faces.append(DetectedFace((x0, y0, x1, y1), score, points))
        return faces

    def landmarks(self, image: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
        """(106, 2) float32 points in picture pixels of the face in a box."""
        face = self._face(bbox=np.asarray(box, np.float32))
        return np.asarray(self._landmark.get(_bgr(image), face), np.float32)


def _bgr(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[..., 2::-1])


def _package() -> tuple[Any, Any, Any]:
    try:
        from insightface.app.common import Face
        from insightface.model_zoo.landmark import Landmark
        from insightface.model_zoo.retinaface import RetinaFace
    except ImportError as error:
        raise ReportedError(
            "no_models",
            f"The package 'insightface' cannot be imported: {error}.",
            "Install step 1 of Set Up LivePortrait again, or take back the acceptance of"
            " InsightFace's licence in the preferences: then the built-in landmarks are used.",
        ) from error
    return RetinaFace, Landmark, Face
