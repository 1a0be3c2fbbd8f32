"""The optional face models, loaded from small ONNX files with the real inputs and outputs."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from official_video import (  # noqa: E402
    crop_driving_video,
    crop_source_video,
    landmarks_of_cropped_video,
    needs_driving_crop,
)

from engine.liveportrait.analysis import InsightAnalysis  # noqa: E402
from engine.liveportrait.insight_faces import (  # noqa: E402
    InsightFaces,
)
from engine.liveportrait.landmarks203 import Landmarks203  # noqa: E402
from engine.liveportrait.onnx_models import open_session  # noqa: E402
from engine.motion import Face  # noqa: E402
from engine.renderer import ReportedError  # noqa: E402

helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT
SIZE = 512
ANCHORS = {8: 8192, 16: 2048, 32: 512}


def save(path: Path, nodes: list, inputs: list, outputs: list, constants: dict) -> Path:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs],
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in outputs],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path


def constant_outputs(path: Path, input_shape: list, outputs: dict[str, np.ndarray]) -> Path:
    """A model that shows its input nothing but a zero: every output is constant + 0 * mean."""
    zero = np.zeros(1, np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], name="Mean_0", keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"], name="Scale_0"),
    ]
    constants = {"zero": zero}
    for name, value in outputs.items():
        constants[f"{name}_value"] = value.astype(np.float32)
        nodes.append(helper.make_node("Add", [f"{name}_value", "nothing"], [name]))
    shapes = [(name, list(value.shape)) for name, value in outputs.items()]
    return save(path, nodes, [("input", input_shape)], shapes, constants)


def detector(folder: Path, faces: list[tuple[int, int, int, float, float]]) -> Path:
    """det_10g.onnx with faces (stride, column, row, score, half size in strides)."""
    outputs: dict[str, np.ndarray] = {}
    for kind, width in (("score", 1), ("box", 4), ("points", 10)):
        for stride, count in ANCHORS.items():
            outputs[f"{kind}_{stride}"] = np.zeros((count, width), np.float32)
    for stride, column, row, score, half in faces:
        index = 2 * (row * (SIZE // stride) + column)
        outputs[f"score_{stride}"][index] = score
        outputs[f"box_{stride}"][index] = half
        outputs[f"points_{stride}"][index] = np.tile([0.5, -0.25], 5)
    return constant_outputs(folder / "det_10g.onnx", [1, 3, "height", "width"], outputs)


def landmark106(folder: Path, points: np.ndarray, *, normalizes: bool = True) -> Path:
    """2d106det.onnx that answers the same points (106, 2) in -1..1, whatever it sees."""
    nodes = [
        helper.make_node("Sub", ["data", "offset"], ["less"], name="Sub_0" if normalizes else "A"),
        helper.make_node("Mul", ["less", "zero"], ["none"], name="Mul_0" if normalizes else "B"),
        helper.make_node("ReduceMean", ["none"], ["mean"], name="Mean_0", keepdims=0),
        helper.make_node("Add", ["points", "mean"], ["fc1"], name="Add_0"),
    ]
    constants = {
        "offset": np.array([127.5], np.float32),
        "zero": np.zeros(1, np.float32),
        "points": points.reshape(1, 212).astype(np.float32),
    }
    shapes = [("data", [1, 3, 192, 192])], [("fc1", [1, 212])]
    return save(folder / "2d106det.onnx", nodes, *shapes, constants)


def landmark203(folder: Path, points: np.ndarray) -> Path:
    """landmark.onnx whose third output is 203 points, all shifted by the view's mean."""
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], keepdims=0),
        helper.make_node("Add", ["first", "mean"], ["a"]),
        helper.make_node("Add", ["first", "mean"], ["b"]),
        helper.make_node("Add", ["points", "mean"], ["c"]),
    ]
    constants = {
        "first": np.zeros((1, 4), np.float32),
        "points": points.reshape(1, 406).astype(np.float32),
    }
    outputs = [("a", [1, 4]), ("b", [1, 4]), ("c", [1, 406])]
    path = folder / "landmark.onnx"
    return save(path, nodes, [("input", [1, 3, 224, 224])], outputs, constants)


def canonical_203() -> np.ndarray:
    """(203, 2) in 0..1: eyes above a mouth, inside a round contour."""
    turn = np.linspace(0, 2 * np.pi, 203)
    points = 0.5 + 0.3 * np.column_stack([np.cos(turn), np.sin(turn)])
    for start, x in ((0, 0.38), (24, 0.62)):
        ring = np.linspace(np.pi, 3 * np.pi, 24, endpoint=False)
        eye = np.column_stack([np.cos(ring) * 0.06, np.sin(ring) * 0.02])
        points[start : start + 24] = eye + np.array([x, 0.42])
    mouth = np.array([0.5, 0.65])
    ring = np.linspace(np.pi, 3 * np.pi, 36, endpoint=False)
    points[48:84] = np.column_stack([np.cos(ring) * 0.1, np.sin(ring) * 0.04]) + mouth
    ring = np.linspace(np.pi, 3 * np.pi, 24, endpoint=False)
    points[84:108] = np.column_stack([np.cos(ring) * 0.07, np.sin(ring) * 0.02]) + mouth
    return points


@pytest.fixture
def insight(tmp_path: Path) -> InsightFaces:
    pytest.importorskip("insightface")
    detector(tmp_path, [(8, 20, 30, 0.9, 5.0), (16, 20, 10, 0.8, 6.0), (32, 2, 2, 0.1, 1.0)])
    grid = np.linspace(-0.5, 0.5, 212).reshape(106, 2)
    landmark106(tmp_path, grid)
    return InsightFaces.load(tmp_path)


def test_detector_reads_boxes_in_picture_pixels(insight: InsightFaces) -> None:
    image = np.zeros((1024, 512, 3), np.uint8)  # shown to the network at half its size
    faces = insight.detect(image)
    assert [face.score for face in faces] == pytest.approx([0.9, 0.8])
    assert faces[0].box == pytest.approx((240, 400, 400, 560))  # (160, 240) +- 40, doubled
    assert faces[1].box == pytest.approx((448, 128, 832, 512))
    assert faces[0].keypoints[0] == pytest.approx([320 + 8, 480 - 4])


def test_106_points_come_back_to_the_picture(insight: InsightFaces) -> None:
    points = insight.landmarks(np.zeros((400, 400, 3), np.uint8), (100.0, 120.0, 200.0, 220.0))
    # The view is 1.5 boxes wide, -1..1: 75 px per unit around the box's centre.
    expected = np.linspace(-0.5, 0.5, 212).reshape(106, 2) * 75 + [150, 170]
    assert points == pytest.approx(expected, abs=0.01)


def test_the_official_recipe_analyses_the_chosen_face(
    insight: InsightFaces, tmp_path: Path
) -> None:
    landmark203(tmp_path, canonical_203())
    analysis = InsightAnalysis(insight, Landmarks203.load(tmp_path / "landmark.onnx"))
    image = np.zeros((1024, 512, 3), np.uint8)
    small = analysis.analyse(image, Face(box=(250.0, 410.0, 390.0, 550.0)))
    large = analysis.analyse(image, Face(box=(440.0, 120.0, 830.0, 500.0)))
    assert large.square.edge == pytest.approx(2.4 * small.square.edge, rel=1e-3)
    assert small.ratios is not None
    assert small.ratios.eyes[0] == pytest.approx([1 / 3, 1 / 3], abs=1e-3)
    assert small.ratios.lips[0] == pytest.approx([0.2], abs=1e-3)
    # A box that the detector does not know is taken as the artist drew it.
    drawn = analysis.analyse(image, Face(box=(20.0, 700.0, 120.0, 800.0)))
    assert abs(drawn.square.center[0] - 70) < drawn.square.edge


def test_203_points_with_and_without_a_start(tmp_path: Path) -> None:
    canon = canonical_203()
    locate = Landmarks203.load(landmark203(tmp_path, canon))
    image = np.zeros((300, 200, 3), np.uint8)
    whole = locate.locate(image)
    assert whole == pytest.approx(canon * 300, abs=0.01)
    near = canon * 100 + [50, 80]
    found = locate.locate(image, near)
    # The view is an upright square around the known points: shapes keep their proportions.
    assert np.ptp(found[:, 0]) / np.ptp(found[:, 1]) == pytest.approx(
        np.ptp(canon[:, 0]) / np.ptp(canon[:, 1]), abs=0.01
    )
    assert np.linalg.norm(found.mean(axis=0) - near.mean(axis=0)) < 25


def test_videos_are_tracked_and_cropped(tmp_path: Path) -> None:
    canon = canonical_203()
    locate = Landmarks203.load(landmark203(tmp_path, canon))
    frames = [np.full((300, 400, 3), 40 * i, np.uint8) for i in range(4)]
    found = [None, None, canon * 120 + [140, 90], None]
    calls: list[int] = []

    def find(frame: np.ndarray) -> np.ndarray | None:
        calls.append(int(frame[0, 0, 0]) // 40)
        return found[calls[-1]]

    source = crop_source_video(frames, find, locate)
    assert [frame.index for frame in source] == [2, 3]
    assert calls == [0, 1, 2]  # once a face is found it is followed
    assert all(frame.crop.image.shape == (512, 512, 3) for frame in source)
    eyes_in_crop = source[0].landmarks[:48].mean(axis=0)
    assert 150 < eyes_in_crop[0] < 362
    calls.clear()
    driving = crop_driving_video(frames, find, locate)
    assert np.array_equal(driving[0].crop.image_to_crop, driving[1].crop.image_to_crop)
    assert driving[0].crop.image_to_crop[0, 1] == 0
    assert crop_driving_video(frames[:2], find, locate) == []
    with pytest.raises(ValueError, match="no face"):
        landmarks_of_cropped_video(frames, find, locate)


def test_only_square_driving_videos_go_uncropped() -> None:
    assert needs_driving_crop(np.zeros((10, 12, 3)))
    assert not needs_driving_crop(np.zeros((12, 12, 3)))
    assert needs_driving_crop(np.zeros((12, 12, 3)), is_wanted=True)


@pytest.mark.parametrize("content", [b"", b"not a model", None])
def test_bad_model_files_are_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "landmark.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ReportedError, match=r"landmark\.onnx") as caught:
        Landmarks203.load(path)
    assert caught.value.code == "no_models"
    assert caught.value.hint


def test_a_model_with_other_outputs_is_refused(tmp_path: Path) -> None:
    path = landmark106(tmp_path, np.zeros((106, 2)))
    with pytest.raises(ReportedError, match="another model"):
        open_session(path, output_count=9)
