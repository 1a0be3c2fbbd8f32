"""A performance on a face that M has read, as a Motion for every frame.

Stitching is the renderer's, as for sliders. The official loop, which stitches in between, is
scripts/official_driving.py.
"""

from __future__ import annotations

import numpy as np

from ..performance.geometry import KeypointMotion
from ..performance.lip_rest import LIP_REST
from ..performance.performance import Performance
from ..performance.ratios import OpeningRatios
from ..performance.transfer import MotionTrack, TargetFace, transfer
from ..take import TakeOptions


def read_face(source: KeypointMotion, ratios: OpeningRatios | None) -> TargetFace:
    """What a performance needs to know of a picture: M's reading and ratios of one row."""
    return TargetFace(
        pose=np.array([source.pitch[0], source.yaw[0], source.roll[0]], np.float64),
        eyes_open=None if ratios is None else float(ratios.eyes.mean()),
        lips_open=None if ratios is None else float(ratios.lips[0, 0]),
        expression=source.expression[0].astype(np.float64) - LIP_REST[0],
        translation=source.translation[0].astype(np.float64),
        keypoints=source.keypoints[0],
    )


def drive(
    source: KeypointMotion,
    ratios: OpeningRatios | None,
    performance: Performance,
    options: TakeOptions,
    reference: int = 0,
) -> MotionTrack:
    """What the face does: moved_points of these motions are the official loop's keypoints before
    stitching, with the driving multiplier at 1.

    reference  the frame that is the performer's rest, the official loop's frame 0
    """
    return transfer(performance, read_face(source, ratios), options, reference)
