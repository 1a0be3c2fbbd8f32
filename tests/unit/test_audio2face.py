"""Audio2Face-3D: real loading and running of a small model with the right inputs and outputs."""

from __future__ import annotations

import json
import shutil
import sys
import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from keyportrait.host.client import Engine, Launch

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from engine.audio2face_reading import AUDIO2FACE_VARIABLE  # noqa: E402
from engine.motion import Face  # noqa: E402
from engine.performance.arkit_table import SHAPES  # noqa: E402
from engine.performance.performance import Performance  # noqa: E402
from engine.reading import read_performance  # noqa: E402
from engine.renderer import ReportedError  # noqa: E402
from engine.speech_options import AUDIO2FACE, SpeechOptions  # noqa: E402
from engine.take import AUTO, PerformanceSource, TakeOptions  # noqa: E402
from engine.weight_search import find_set  # noqa: E402

RATE, WINDOW, LEAD = 16_000, 8320, 4160
MANNER, EMOTIONS = 16, 10
SKIN, OTHERS = 3, (2, 15, 4)  # tongue, jaw, eyes
OUTPUTS = SKIN + sum(OTHERS)
JAW, SMILE, CLOSE = 0, 1, 2  # what the network's three numbers about the skin are
SPOKEN = Path(__file__).resolve().parents[1] / "data" / "spoken.ogg"
NAMES = tuple(name[0].lower() + name[1:] for name in SHAPES)
VERTICES = 3 * len(NAMES)


def network(path: Path, outputs: int = OUTPUTS, batch: str | int = "batch") -> None:
    """Hears how loud the thirtieth of a second in the middle is: that opens the jaw and a third of
    it shuts the lips; the actor's manner alone smiles."""
    helper, numpy_helper, kind = onnx.helper, onnx.numpy_helper, onnx.TensorProto.FLOAT
    loudness = np.zeros((WINDOW, outputs), np.float32)
    middle = slice(LEAD, LEAD + RATE // 30)
    loudness[middle, JAW] = 1.0 / (RATE // 30)
    loudness[middle, CLOSE] = 0.3 / (RATE // 30)
    mood = np.zeros((MANNER + EMOTIONS, outputs), np.float32)
    mood[0, SMILE], mood[MANNER, SMILE] = 1.0, 100.0
    nodes = [
        helper.make_node("Abs", ["input"], ["loud"]),
        helper.make_node("MatMul", ["loud", "loudness"], ["heard"]),
        helper.make_node("MatMul", ["emotion", "mood"], ["felt"]),
        helper.make_node("Add", ["heard", "felt"], ["result"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [
            helper.make_tensor_value_info("input", kind, [batch, 1, WINDOW]),
            helper.make_tensor_value_info("emotion", kind, [batch, 1, MANNER + EMOTIONS]),
        ],
        [helper.make_tensor_value_info("result", kind, [batch, 1, outputs])],
        [numpy_helper.from_array(loudness, "loudness"), numpy_helper.from_array(mood, "mood")],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))


def write_model(folder: Path, **settings: Any) -> Path:
    """All files of a model: every shape moves three points of its own by one."""
    folder.mkdir(parents=True)
    network(folder / "network.onnx")
    count = len(NAMES)
    shapes = np.zeros((count, VERTICES, 3), np.float32)
    for index in range(count):
        shapes[index, 3 * index : 3 * index + 3, 1] = 1.0
    neutral = np.random.default_rng(1).standard_normal((VERTICES, 3)).astype(np.float32)
    moved = ("jawOpen", "mouthSmileLeft", "mouthClose")
    basis = shapes[[NAMES.index(name) for name in moved]]
    basis[SMILE] += shapes[NAMES.index("mouthSmileRight")]
    still = np.zeros_like(neutral)
    np.savez(
        folder / "model_data.npz",
        shapes_matrix_skin=basis,
        shapes_mean_skin=neutral,
        lip_open_pose_delta=still,
        eye_close_pose_delta=still,
    )
    np.savez(
        folder / "bs_skin.npz",
        poseNames=np.array(["neutral", *NAMES], "S"),
        neutral=neutral,
        frontalMask=np.arange(VERTICES, dtype=np.int32),
        **dict(zip(NAMES, shapes, strict=True)),
    )
    manners = np.zeros((6, MANNER), np.float32)
    manners[5, 0] = 0.4
    np.savez(
        folder / "implicit_emo_db.npz",
        emo_db=manners,
        emo_spec_names=np.array(["angry", "g2a_neutral"], "S"),
        emo_spec_start=np.array([0, 3], np.int32),
    )
    write_json(folder, "network_info", NETWORK_INFO)
    write_json(folder, "model_config", {"config": MODEL_CONFIG})
    params = {**SHAPE_CONFIG, **settings}
    write_json(folder, "bs_skin_config", {"blendshape_params": params})
    return folder


def write_json(folder: Path, name: str, value: Any) -> None:
    (folder / f"{name}.json").write_text(json.dumps(value))


NETWORK_INFO = {
    "id": {"type": "regression", "actor": "small", "version": "2.3", "output": "geometry"},
    "params": {
        "implicit_emotion_len": MANNER,
        "explicit_emotions": [f"emotion{n}" for n in range(EMOTIONS)],
        "default_emotion": [0.0] * EMOTIONS,
        "num_shapes_skin": SKIN,
        "num_shapes_tongue": OTHERS[0],
        "num_verts_skin": VERTICES,
        "num_verts_tongue": 4,
        "result_jaw_size": OTHERS[1],
        "result_eyes_size": OTHERS[2],
    },
    "audio_params": {"buffer_len": WINDOW, "buffer_ofs": LEAD, "samplerate": RATE},
}
MODEL_CONFIG = {"input_strength": 4.0, "source_shot": "g2a_neutral", "source_frame": 2}
SHAPE_CONFIG = {
    "strengthL1regularization": 0.0,
    "strengthL2regularization": 0.0,
    "strengthTemporalSmoothing": 0.0,
    "strengthSymmetry": 0.0,
    "templateBBSize": 1.0,
    "numPoses": len(NAMES),
    "bsSolveActivePoses": [1] * len(NAMES),
    "bsSolveCancelPoses": [-1] * len(NAMES),
    "bsSolveSymmetryPoses": [-1] * len(NAMES),
    "bsWeightMultipliers": [1.0] * len(NAMES),
    "bsWeightOffsets": [0.0] * len(NAMES),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("audio2face") / "model")


@pytest.fixture
def model(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of its own, set up."""
    folder = Path(shutil.copytree(whole, tmp_path / "model"))
    monkeypatch.setenv(AUDIO2FACE_VARIABLE, str(folder))
    return folder


def spoken(path: Path = SPOKEN, *part: float, **options: Any) -> Performance:
    speech = SpeechOptions(method=AUDIO2FACE, **options)
    return read_performance(PerformanceSource(str(path), *part, speech=speech))


def loudness(performance: Performance, start_s: float = 0.0) -> np.ndarray:
    """Mean size of the samples in the thirtieth of a second after each moment."""
    from test_speech import samples

    heard = np.abs(np.concatenate([samples(), np.zeros(RATE)]))
    starts = np.rint((performance.times + start_s) * RATE).astype(int)
    return np.array([heard[start : start + RATE // 30].mean() for start in starts])


def test_the_jaw_follows_the_sound_at_its_own_time(model: Path) -> None:
    found = spoken()
    jaw = found.sliders["mouth_open"]
    # NVIDIA's mouthClose holds an open jaw: of .3 it leaves a tenth open.
    expected = np.clip(4.0 * loudness(found), 0.0, 1.0) * (1.0 + 0.1 * 0.3)
    talking = (found.times > 0.6) & (found.times < found.times[-1] - 0.6)
    assert np.corrcoef(jaw[talking], expected[talking])[0, 1] > 0.9
    lags = [np.corrcoef(np.roll(jaw, s)[talking], expected[talking])[0, 1] for s in range(-4, 5)]
    assert abs(int(np.argmax(lags)) - 4) <= 1  # of a fiftieth of a second
    loud = talking & (expected > 0.2)
    assert np.median(jaw[loud] / expected[loud]) == pytest.approx(1.0, abs=0.05)
    assert jaw[found.times < 0.05].max() < 0.05
    # The actor's manner smiles, on both sides, while somebody speaks.
    assert np.median(found.sliders["smile"][talking]) == pytest.approx(0.4, abs=0.02)
    assert np.abs(found.sliders["smile"][found.times < 0.05]).max() < 0.3
    assert "blink" not in found.sliders and "brow_inner_left" not in found.sliders


def test_a_part_and_the_amounts_count(model: Path) -> None:
    whole, part = spoken(), spoken(SPOKEN, 2.0, 4.0)
    assert part.times[-1] == pytest.approx(2.0, abs=0.03)
    moments = np.linspace(0.4, 1.6, 40)

    def at(performance: Performance, seconds: np.ndarray) -> np.ndarray:
        return np.interp(seconds, performance.times, performance.sliders["mouth_open"])

    assert np.corrcoef(at(whole, 2.0 + moments), at(part, moments))[0, 1] > 0.9
    half = spoken(strength=0.5, jaw=0.5, blinks=1.0)
    assert half.sliders["mouth_open"].max() < 0.3 * whole.sliders["mouth_open"].max()
    assert half.sliders["smile"].max() == pytest.approx(0.5 * whole.sliders["smile"].max())
    assert half.sliders["blink"].max() > 0.8


def test_one_frame_at_a_time_says_the_same(model: Path) -> None:
    together = spoken(SPOKEN, 0.5, 2.0).sliders["mouth_open"]
    network(model / "network.onnx", batch=1)
    assert spoken(SPOKEN, 0.5, 2.0).sliders["mouth_open"] == pytest.approx(together, abs=1e-5)


def test_silence_is_at_rest(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "silent.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16_000))
    found = spoken(path)
    assert max(np.abs(column).max() for column in found.sliders.values()) == 0.0
    assert "Nobody is heard" in found.notices[0]


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda f: (f / "network.onnx").unlink(), "lacks network of Audio2Face"),
        (lambda f: (f / "network.onnx").write_bytes(b"no"), r"network\.onnx.* damaged"),
        (lambda f: network(f / "network.onnx", outputs=12), "no 'result' of 24 numbers"),
        (lambda f: (f / "bs_skin.npz").write_bytes(b"no"), r"bs_skin\.npz.* damaged"),
        (lambda f: np.savez(f / "model_data.npz", a=np.zeros(1)), "lacks .*shapes_matrix_skin"),
        (lambda f: (f / "model_config.json").write_text("{"), r"model_config\.json.* cannot be"),
        (lambda f: write_json(f, "model_config", {"config": {}}), "do not fit one another"),
        (
            lambda f: write_json(f, "network_info", {"id": {"type": "diffusion"}}),
            "another kind of Audio2Face-3D .diffusion., not v2.3",
        ),
    ],
)
def test_another_or_a_damaged_model_is_named(model: Path, damage: Any, what: str) -> None:
    damage(model)
    with pytest.raises(ReportedError, match=what) as caught:
        spoken(SPOKEN, 0.0, 0.5)
    assert caught.value.code == "no_models" and "Set Up LivePortrait" in caught.value.hint


def test_without_the_set_up_it_says_where_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(AUDIO2FACE_VARIABLE, raising=False)
    with pytest.raises(ReportedError, match="not set up") as caught:
        spoken(SPOKEN, 0.0, 0.5)
    assert caught.value.code == "not_installed" and "Phones" in caught.value.hint


def test_what_is_downloaded_is_what_is_read(whole: Path) -> None:
    assert find_set(whole, "audio2face").is_whole


def test_weights_stay_between_their_limits_and_prefer_what_they_shall() -> None:
    from engine.audio2face.shapes import Regularization, ShapeSolver

    def solver(**changes: Any) -> ShapeSolver:
        settings = {
            name: value[:3] for name, value in SHAPE_CONFIG.items() if value.__class__ is list
        }
        settings |= changes.pop("settings", {})
        costs = Regularization(0.0, 0.0, 0.0, 0.0, 1.0)._replace(**changes)
        return ShapeSolver(
            names=("a", "b", "c"),
            shapes=np.array([[1.0, 0, 0], [1.0, 0.2, 0], [0, 0, 1.0]]),
            motion=np.eye(3),
            rest=np.zeros(3),
            regularization=costs,
            settings=settings,
        )

    def weights(of: ShapeSolver, *numbers: float) -> list[float]:
        return of.weights(np.array([numbers]))[0].tolist()

    assert weights(solver(), 0.5, 0.0, 0.7) == pytest.approx([0.5, 0.0, 0.7], abs=1e-3)
    assert (
        weights(solver(), 0.0, 0.0, 3.0)[2] == 1.0 and weights(solver(), 0.0, 0.0, -1.0)[2] == 0.0
    )
    # Rivals: the weaker one is left out. Twins: both do the same. Costs make all smaller.
    rivals = weights(solver(settings={"bsSolveCancelPoses": [4, 4, -1]}), 1.0, 0.12, 0.0)
    assert min(rivals[:2]) == 0.0 < max(rivals[:2])
    twins = weights(solver(even=50.0, settings={"bsSolveSymmetryPoses": [7, 7, -1]}), 0.8, 0.0, 0.0)
    assert twins[0] == pytest.approx(twins[1], abs=0.01)
    assert weights(solver(small=0.1), 0.0, 0.0, 1.0)[2] == pytest.approx(0.5, abs=1e-3)
    off = {"bsSolveActivePoses": [1, 0, 1], "bsWeightMultipliers": [2.0, 1.0, 1.0]}
    assert weights(solver(settings=off), 0.3, 0.0, 0.1) == pytest.approx([0.6, 0.0, 0.1], abs=1e-3)
    with pytest.raises(ValueError, match="bsWeightOffsets is no list of 3 numbers"):
        solver(settings={"bsWeightOffsets": [0.0]})


def test_through_the_wire_it_becomes_a_take(model: Path, tmp_path: Path) -> None:
    engine = Engine(
        Launch(
            sys.executable,
            ROOT,
            tmp_path / "engine.log",
            environment={AUDIO2FACE_VARIABLE: str(model)},
        )
    )
    engine.start()
    try:
        source = PerformanceSource(str(SPOKEN), speech=SpeechOptions(method=AUDIO2FACE))
        options = TakeOptions(reference=AUTO)
        faces = [Face((0.0, 0.0, 1.0, 1.0)).to_json()]
        fields = {"source": source.to_json(), "faces": faces, "options": options.to_json()}
        ticket = engine.submit("capture", fields, use_drain=False)
        answer = engine.wait(ticket, 120.0)
    finally:
        engine.stop()
    columns = answer.fields["columns"]
    assert {"mouth_open", "smile"} <= set(columns)
    array = answer.arrays["values"]
    values = np.frombuffer(array.data, array.dtype).reshape(array.shape)[0]
    assert values[:, columns.index("smile")].max() == pytest.approx(0.4, abs=0.02)


def test_a_method_crosses_the_wire() -> None:
    source = PerformanceSource("a.wav", speech=SpeechOptions(method=AUDIO2FACE))
    assert PerformanceSource.from_json(json.loads(json.dumps(source.to_json()))) == source
    with pytest.raises(ValueError, match="no method"):
        PerformanceSource.from_json(
            replace(source, speech=None).to_json() | {"speech": {"method": "TELEPATHY"}}
        )
