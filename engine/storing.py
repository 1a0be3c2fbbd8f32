"""Storing: what a face's own curves say becomes a performance, in a file of ours or a template."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .analytic.decoder import decode
from .analytic.deformers import deformers
from .controls import CONTROLS_BY_NAME
from .faces.canonical import CANONICAL, MESH_COUNT, fit_pose
from .faces.measures import measure
from .motion import KEYPOINT_COUNT, Face, Motion
from .part_files import hint_of, write_whole
from .performance.geometry import rotation_matrix
from .performance.performance import MAX_FRAMES, Performance, PerformanceError, Rest
from .performance.performance_file import write_performance
from .performance.ratios import OpeningRatios
from .performance.resampling import resampled
from .performance.slider_expression import slider_expression
from .performance.template import MotionTemplate, write_template
from .protocol import Message
from .renderer import ReportedError
from .take import LIVEPORTRAIT, STORE_SUFFIXES

# Deformers that part the lips.
_LIP_DEFORMERS = ("jaw", "part")
# Lip opening ratio of a full mouth_open, on an average face.
_FULL_LIPS = 0.72
_SHUT_RATIO = 0.02  # eyes that are shut in the picture cannot be opened by a factor
_REPORT_EVERY = 50

Report = Callable[[float, str], None]


@dataclass(frozen=True)
class FaceCurves:
    """What one face is asked to do at T moments, as its controller says it.

    times        (T,) float64 seconds, rising
    pose         (T, 3) degrees added to the face's own pitch, yaw and roll
    translation  (T, 3), scale (T,), expression (T, 63): as in Motion
    openings     (T, 2) wanted ratios of eyes and lips, NaN where they are left alone
    sliders      control name → (T,), differences from rest; `expression` contains them
    """

    times: np.ndarray
    pose: np.ndarray
    translation: np.ndarray
    scale: np.ndarray
    expression: np.ndarray
    openings: np.ndarray
    sliders: Mapping[str, np.ndarray]

    @classmethod
    def from_message(cls, message: Message) -> FaceCurves:
        """What a `store` request says. Raises ReportedError (bad_request)."""
        names = message.fields["columns"]
        is_known = isinstance(names, list) and all(n in CONTROLS_BY_NAME for n in names)
        shapes = message.arrays["times"].shape
        count = shapes[0] if len(shapes) == 1 else 0
        if not is_known or not 0 < count <= MAX_FRAMES:
            raise ReportedError("bad_request", "There are no frames, or unknown controls.")
        wanted = {
            "times": (), "pose": (3,), "translation": (3,), "scale": (), "expression": (63,),
            "openings": (2,), "sliders": (len(names),),
        }  # fmt: skip
        arrays: dict[str, np.ndarray] = {}
        for name, shape in wanted.items():
            array = message.arrays[name]
            if array.shape != (count, *shape):
                raise ReportedError("bad_request", f"'{name}' has the shape {array.shape}.")
            values = np.frombuffer(array.data, array.dtype).reshape(array.shape)
            arrays[name] = values.astype(np.float64)
            if name != "openings" and not np.isfinite(values).all():
                raise ReportedError("bad_request", f"'{name}' has values that are not finite.")
        if not (np.diff(arrays["times"]) > 0.0).all():
            raise ReportedError("bad_request", "The times do not rise.")
        table = arrays.pop("sliders")
        return cls(**arrays, sliders=dict(zip(names, table.T, strict=True)))


def store_message(message: Message, face: Face, report: Report) -> Performance:
    """Answer a `store` request; see store.

    Raises ReportedError (bad_request) for what breaks the description of the request.
    """
    fields = message.fields
    path, kind, fps = fields["path"], fields["format"], fields["fps"]
    is_sane = isinstance(path, str) and path and isinstance(fps, int | float)
    if not is_sane or kind not in STORE_SUFFIXES:
        raise ReportedError("bad_request", "There is no path, format or frame rate to store with.")
    return store(FaceCurves.from_message(message), face, Path(path), kind, float(fps), report)


def store(
    curves: FaceCurves, face: Face, path: Path, kind: str, fps: float, report: Report
) -> Performance:
    """Write a face's curves as a performance; returns what was written.

    kind  a name of take.STORE_ITEMS
    fps   of a template, whose frames are evenly spaced; our own files keep the times
    Raises ReportedError (bad_performance, write_failed).
    """
    performance = performance_of(curves, face)
    ratios = shown_ratios(performance, face, report)
    wanted = curves.openings[:, :1], curves.openings[:, 1:]
    eyes, lips = (
        np.where(np.isnan(told), shown, told).astype(np.float32)
        for told, shown in zip(wanted, (ratios.eyes, ratios.lips), strict=True)
    )
    performance = replace(performance, ratios=OpeningRatios(eyes, lips))
    try:
        if kind == LIVEPORTRAIT:
            performance = resampled(performance, fps)
    except PerformanceError as error:
        raise ReportedError("bad_performance", str(error), error.hint) from error
    write = _writer(performance, kind, fps)
    try:
        write_whole(path, write)
    except OSError as error:
        text = f"'{path}' cannot be written: {error.strerror or error}."
        raise ReportedError("write_failed", text, hint_of(error)) from error
    return performance


def _writer(performance: Performance, kind: str, fps: float) -> Callable[[Path], None]:
    if kind != LIVEPORTRAIT:
        return lambda part: write_performance(part, performance)
    keypoints = performance.keypoints
    count = len(performance)
    template = MotionTemplate(
        rotation=performance.rotation,
        expression=performance.expression,
        translation=performance.translation,
        scale=performance.scale,
        fps=fps,
        ratios=performance.ratios,
        keypoints=None if keypoints is None else np.repeat(keypoints[None], count, axis=0),
    )
    return lambda part: write_template(part, template)


def performance_of(curves: FaceCurves, face: Face) -> Performance:
    """The performance of a face's curves; its rest is the face as in the picture."""
    count = len(curves.times)
    own = np.array([face.pitch, face.yaw, face.roll])
    opened, expression = _openings_as_sliders(curves, face)
    sliders = dict(curves.sliders)
    for name, values in opened.items():
        sliders[name] = sliders.get(name, np.zeros(count)) + values
    return Performance(
        times=curves.times - curves.times[0],
        rotation=rotation_matrix(*(own + curves.pose).T),
        translation=curves.translation.astype(np.float32),
        scale=curves.scale.astype(np.float32),
        expression=expression.reshape(count, KEYPOINT_COUNT, 3).astype(np.float32),
        ratios=None,
        is_seen=np.ones(count, bool),
        sliders={name: column.astype(np.float32) for name, column in sliders.items()},
        rest=Rest(
            rotation_matrix(*own[:, None])[0],
            np.zeros(3, np.float32),
            1.0,
            np.zeros((KEYPOINT_COUNT, 3), np.float32),
            OpeningRatios(
                np.full((1, 2), face.eyes_open, np.float32),
                np.full((1, 1), face.lips_open, np.float32),
            ),
        ),
    )


def _openings_as_sliders(
    curves: FaceCurves, face: Face
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Opening ratios as the sliders that show the same, and the expression with them.

    A ratio belongs to its face; the next face has eyes of its own.
    """
    eyes, lips = curves.openings.T
    changes = {"mouth_open": (lips - face.lips_open) / _FULL_LIPS}
    if face.eyes_open > _SHUT_RATIO:
        changes["blink"] = 1.0 - eyes / face.eyes_open
    opened = {}
    for name, change in changes.items():
        if np.isfinite(change).any():
            control = CONTROLS_BY_NAME[name]
            opened[name] = np.clip(np.nan_to_num(change), control.minimum, control.maximum)
    count = len(curves.times)
    added = slider_expression(opened, count).reshape(count, -1)
    return opened, curves.expression.astype(np.float64) + added


def shown_ratios(performance: Performance, face: Face, report: Report) -> OpeningRatios:
    """Opening ratios of every row: how far lids and lips are open on the face as it moves."""
    pose = fit_pose(CANONICAL)
    rest = measure(CANONICAL, pose)
    shapes = deformers()
    eyes, lips = [], []
    for index, row in enumerate(performance.expression.reshape(len(performance), -1)):
        if index % _REPORT_EVERY == 0:
            report(index / len(performance), f"Measuring frame {index}")
        motion = Motion(expression=tuple(map(float, row)))
        amounts = decode(motion, rest, rest.eyes_open, rest.lips_open)
        moved = np.array(CANONICAL, np.float64)
        for name in _LIP_DEFORMERS:
            moved[:MESH_COUNT] += amounts.deformers[name] * shapes[name]
        wider = max(measure(moved, pose).lip_gap - rest.lip_gap, 0.0) / rest.mouth_width
        eyes.append([max(face.eyes_open * (1.0 - blink), 0.0) for blink in amounts.blink])
        lips.append([face.lips_open * (1.0 - amounts.lips_close) + wider])
    return OpeningRatios(np.array(eyes, np.float32), np.array(lips, np.float32))
