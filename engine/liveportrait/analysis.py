"""Where the networks' crop of a face lies and how open its eyes and lips are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..faces.mesh import fit_landmarks
from ..motion import Face
from ..performance.ratios import OpeningRatios
from ..renderer import ReportedError
from .crop import SOURCE_CROP, CropOptions, FaceSquare, face_square
from .insight_faces import InsightFaces
from .landmarks203 import Landmarks203
from .mesh_landmarks import landmarks_203, mesh_ratios

# A face box drawn by hand stands for this crop: median over photographs of the crop's edge over
# the box's longer side, and of the crop centre's height over the box centre, in crop edges.
BOX_CROP_SCALE = 1.94
BOX_CROP_RISE = 0.078
SMALLEST_OVERLAP = 0.2


@dataclass(frozen=True)
class AnalysedFace:
    """square  what the networks see, in picture pixels; ratios  1 row, None where unknown."""

    square: FaceSquare
    ratios: OpeningRatios | None


class FaceAnalysis(Protocol):
    """Finds crop and ratios of one chosen face."""

    def analyse(self, image: np.ndarray, face: Face) -> AnalysedFace:
        """image (H, W, 3) uint8 sRGB. Raises ReportedError "bad_face"."""
        ...

    def of_frame(self, face: Face, landmarks: np.ndarray) -> AnalysedFace:
        """Of a face that is followed through a clip: landmarks (478, 3) pixels of the frame.

        Raises ReportedError "bad_face".
        """
        ...


class MeshAnalysis:
    """By the engine's own face mesh; a hand-drawn box without a readable face is taken as is."""

    def __init__(self, options: CropOptions = SOURCE_CROP) -> None:
        self._options = options

    def analyse(self, image: np.ndarray, face: Face) -> AnalysedFace:
        """See FaceAnalysis.analyse."""
        try:
            mesh = fit_landmarks(image, face)
        except ReportedError as error:
            if error.code != "bad_face" or face.keypoints:
                raise
            return BoxAnalysis().analyse(image, face)
        return _of_mesh(mesh, self._options)

    def of_frame(self, face: Face, landmarks: np.ndarray) -> AnalysedFace:
        """See FaceAnalysis.of_frame."""
        del face
        return _of_mesh(landmarks, self._options)


class InsightAnalysis:
    """By the official recipe: crop from InsightFace's 106 points, ratios from the 203 points."""

    def __init__(
        self, faces: InsightFaces, locate: Landmarks203, options: CropOptions = SOURCE_CROP
    ) -> None:
        self._faces, self._locate, self._options = faces, locate, options

    def analyse(self, image: np.ndarray, face: Face) -> AnalysedFace:
        """See FaceAnalysis.analyse."""
        found = self._faces.detect(image)
        overlaps = [_overlap(candidate.box, face.box) for candidate in found]
        best = int(np.argmax(overlaps)) if overlaps else -1
        # The detector may miss a stylised face that the artist has drawn a box around.
        box = found[best].box if best >= 0 and overlaps[best] > SMALLEST_OVERLAP else face.box
        points = self._faces.landmarks(image, box)
        ratios = OpeningRatios.from_landmarks(self._locate.locate(image, points))
        return AnalysedFace(face_square(points, self._options), ratios)

    def of_frame(self, face: Face, landmarks: np.ndarray) -> AnalysedFace:
        """See FaceAnalysis.of_frame: a track holds the mesh of every frame alone."""
        del face
        return _of_mesh(landmarks, self._options)


class BoxAnalysis:
    """By the face's box and roll alone: animals, and whatever the artist draws a box around."""

    def analyse(self, image: np.ndarray, face: Face) -> AnalysedFace:
        """See FaceAnalysis.analyse; the picture is not looked at."""
        del image
        x0, y0, x1, y1 = face.box
        side = max(x1 - x0, y1 - y0)
        if side < 1.0:
            raise ReportedError("bad_face", "The face's box is empty.", "Draw the box again.")
        edge = BOX_CROP_SCALE * side
        angle = math.radians(face.roll)
        up = np.array([math.sin(angle), -math.cos(angle)])
        center = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) + BOX_CROP_RISE * edge * up
        square = FaceSquare(center.astype(np.float32), np.float32(edge), angle)
        return AnalysedFace(square, None)

    def of_frame(self, face: Face, landmarks: np.ndarray) -> AnalysedFace:
        """See FaceAnalysis.of_frame."""
        return self.analyse(landmarks, face)


def _of_mesh(mesh: np.ndarray, options: CropOptions) -> AnalysedFace:
    return AnalysedFace(face_square(landmarks_203(mesh), options), mesh_ratios(mesh))


def _overlap(
    first: tuple[float, float, float, float], second: tuple[float, float, float, float]
) -> float:
    """Intersection over union of two boxes."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (first, second)]
    return width * height / (sum(areas) - width * height)
