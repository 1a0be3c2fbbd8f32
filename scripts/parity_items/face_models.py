"""Detector and 106 landmarks of functions.npz: InsightFace's classes on recorded outputs."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np

from engine.liveportrait.insight_faces import InsightFaces
from engine.renderer import ReportedError

from .golden import Golden, GoldenError

Arrays = Mapping[str, np.ndarray]


class RecordedSession:
    """An onnxruntime session that always answers the same and keeps what it was shown."""

    def __init__(self, outputs: list[np.ndarray], input_shape: list[int | str]) -> None:
        self._outputs = outputs
        self._input = SimpleNamespace(name="input", shape=input_shape)
        self.inputs: list[np.ndarray] = []

    def get_inputs(self) -> list[SimpleNamespace]:
        return [self._input]

    def get_outputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=f"{i}", shape=o.shape) for i, o in enumerate(self._outputs)]

    def run(self, _names: object, feed: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        self.inputs.append(feed["input"])
        return [output.copy() for output in self._outputs]


def _models(a: Arrays) -> tuple[InsightFaces, RecordedSession, RecordedSession]:
    outputs = [a[f"detector/net_out_{i}"] for i in range(9)]
    detector = RecordedSession(outputs, [1, 3, "?", "?"])
    landmark = RecordedSession([np.zeros((1, 212), np.float32)], [1, 3, 192, 192])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "2d106det.onnx"
        _write_normalizing_model(path)
        try:
            return InsightFaces(path, detector, landmark), detector, landmark
        except ReportedError as error:
            raise GoldenError(error.message) from error


def _write_normalizing_model(path: Path) -> None:
    """A model that begins with its own subtraction and factor, as the real one does."""
    try:
        import onnx
    except ImportError as error:
        raise GoldenError("the package 'onnx' is not installed") from error
    number = onnx.TensorProto.FLOAT
    value = onnx.helper.make_tensor_value_info
    nodes = [
        onnx.helper.make_node("Sub", ["input", "one"], ["less"], name="Sub_0"),
        onnx.helper.make_node("Mul", ["less", "one"], ["output"], name="Mul_0"),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "normalizing",
        [value("input", number, [1])],
        [value("output", number, [1])],
        [onnx.helper.make_tensor("one", number, [1], [1.0])],
    )
    onnx.save(onnx.helper.make_model(graph), str(path))


def detector_outputs(_golden: Golden, a: Arrays) -> dict[str, np.ndarray]:
    """Boxes and keypoints decoded from the nine recorded outputs."""
    models, session, _ = _models(a)
    faces = models.detect(a["img_small_u8"])
    return {
        "blob_sub": session.inputs[0][:, :, ::8, ::8],
        "out_det": np.array([(*face.box, face.score) for face in faces]).reshape(-1, 5),
        "out_kps": np.array([face.keypoints for face in faces]).reshape(-1, 5, 2),
    }


def landmark106_outputs(_golden: Golden, a: Arrays) -> dict[str, np.ndarray]:
    """The view of the first face, and its matrix as told by where three points come from."""
    models, _, session = _models(a)
    x0, y0, x1, y1 = (float(v) for v in a["detector/out_det"][0][:4])
    corners = np.array([[0, 0], [192, 0], [0, 192]], np.float32)
    answer = np.zeros((1, 212), np.float32)
    answer[0, :6] = corners.ravel() / 96 - 1
    session._outputs[0] = answer
    points = models.landmarks(a["img_small_u8"], (x0, y0, x1, y1))[:3]
    return {
        "align_M": cv2.getAffineTransform(points.astype(np.float32), corners),
        "aimg_sub_u8": session.inputs[0][0].transpose(1, 2, 0)[::4, ::4],
    }
