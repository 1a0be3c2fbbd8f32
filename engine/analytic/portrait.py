"""One face of one picture, fitted for the analytic renderer."""

from __future__ import annotations

import numpy as np

from ..faces.canonical import CHIN, fit_pose, pose_residual
from ..faces.crop import face_crop
from ..faces.find import view_8bit
from ..faces.measures import measure
from ..faces.mesh import fit_landmarks
from ..faces.segmentation import person_mask
from ..motion import Face, Motion
from ..renderer import NOTHING, EngineError, Rectangle, SourceImage
from .compose import Scene, draw
from .decoder import decode
from .field import ExpressionField
from .head import HeadField, HeadMove

_WORST_RESIDUAL = 1.6  # cm, root mean square distance from the canonical face


class AnalyticPortrait:
    """Warps one face by hand-made deformers; see FacePortrait for the contract."""

    def __init__(self, image: SourceImage, face: Face) -> None:
        """Fit the face. Raises EngineError "bad_face" or "no_models"."""
        if face.problem:
            raise EngineError(
                "bad_face", face.problem.get("message", ""), face.problem.get("hint", "")
            )
        self.face = face
        view = view_8bit(image)
        landmarks = fit_landmarks(view, face)
        self._crop = face_crop(landmarks)
        self.landmarks = self._crop.landmarks_to_crop(landmarks)
        self._pose = fit_pose(self.landmarks)
        _check_fit(self.landmarks)
        self._measures = measure(self.landmarks, self._pose)
        crop_view = self._crop.extract(view)
        self._field = ExpressionField(self.landmarks, self._pose)
        self._head = HeadField(self.landmarks, self._pose, person_mask(crop_view), self._crop.size)

    def render(self, motion: Motion, canvas: np.ndarray) -> Rectangle:
        """Draw the moved face into `canvas` in place; see FacePortrait.render."""
        amounts = decode(motion, self._measures, self.face.eyes_open, self.face.lips_open)
        weights = self._field.weights(amounts, motion.lid_offset)
        expression = self._field.backward(weights)
        head = self._head.backward(self._head_move(motion))
        scene = Scene(head, self._head.window, expression, [], [], [])
        return draw(canvas, self._crop, scene)

    def _head_move(self, motion: Motion) -> HeadMove:
        half = self._crop.size / 2
        # The sliders that move the head write to keypoint 5.
        slide_x, slide_y = -motion.expression[3 * 5], motion.expression[3 * 5 + 1]
        return HeadMove(
            motion.pitch,
            motion.yaw,
            motion.roll,
            (motion.translation[0] + slide_x) * half,
            (motion.translation[1] + slide_y) * half,
            motion.scale,
        )


def _check_fit(landmarks: np.ndarray) -> None:
    residual = pose_residual(landmarks)
    if not np.isfinite(residual) or residual > _WORST_RESIDUAL:
        raise EngineError(
            "bad_face",
            "The face cannot be fitted: its features do not lie like those of a human face.",
            "Use a front or three-quarter view of a human face.",
        )
