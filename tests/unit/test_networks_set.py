"""NetworkSet: devices, batches, the guard against black frames, running out of memory."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the networks need torch")
pytest.importorskip("safetensors", reason="safetensors is missing")

from engine.networks import devices  # noqa: E402
from engine.networks.checkpoints import BUILDERS  # noqa: E402
from engine.networks.cuda_parts import _with_fallback  # noqa: E402
from engine.networks.devices import Placement, Precision, choose_placement  # noqa: E402
from engine.networks.model_set import NetworkSet  # noqa: E402
from engine.networks.warping import Warped  # noqa: E402
from engine.renderer import EngineError  # noqa: E402


class StubDecoder:
    """Paints the first driving coordinate; fails as told."""

    def __init__(self, *, spoiled: float | None = None, room: int = 100) -> None:
        self.spoiled = spoiled
        self.room = room
        self.prepared = 0
        self.batches: list[int] = []

    def prepare(self, feature_3d):
        self.prepared += 1
        return feature_3d

    def warp(self, _prepared, _source, driving) -> Warped:
        self.batches.append(len(driving))
        if len(driving) > self.room:
            raise torch.OutOfMemoryError("no room")
        value = driving[:, 0, 0].reshape(-1, 1, 1, 1)
        deformation = value[..., None].expand(-1, 16, 64, 64, 3)
        return Warped(value.expand(-1, 256, 64, 64), value, deformation)

    def generate(self, features):
        image = features[:, :3, :1, :1].expand(-1, -1, 512, 512).clone()
        if self.spoiled is not None:
            image[:, 1, 7, 9] = self.spoiled
        return image


@pytest.fixture
def models() -> NetworkSet:
    networks = {}
    for name, build in BUILDERS.items():
        with torch.device("meta"):
            network = build()
        # Memory that is never touched costs nothing: these tests decode with stubs.
        networks[name] = network.to_empty(device="cpu")
    placement = Placement(torch.device("cpu"), Precision.BF16)
    return NetworkSet("human", networks, placement, use_fast_path=False)


def features_of(models: NetworkSet):
    from engine.networks.model_set import SourceFeatures

    return SourceFeatures(torch.zeros(1, 32, 16, 64, 64), {})


def driving(count: int) -> np.ndarray:
    points = np.zeros((count, 21, 3), np.float32)
    points[:, 0, 0] = np.arange(count) / 10
    return points


def test_frames_come_in_order_whatever_the_batch(models: NetworkSet) -> None:
    decoder = models._decoder = StubDecoder()
    models.batch_size = 3
    features = features_of(models)
    decoded = models.decode(features, driving(1), driving(7))
    assert decoder.batches == [3, 3, 1]
    assert decoded.images.shape == (7, 512, 512, 3)
    assert decoded.images.dtype == np.float32
    np.testing.assert_allclose(decoded.images[:, 5, 5, 0], np.arange(7) / 10, atol=1e-6)
    np.testing.assert_allclose(decoded.deformation[:, 0, 0, 0, 0], np.arange(7) / 10, atol=1e-6)
    models.decode(features, driving(1), driving(1))
    assert decoder.prepared == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_black_frames_are_computed_again_in_float32(models: NetworkSet, value: float) -> None:
    models._decoder = StubDecoder(spoiled=value)
    plain = models._plain = StubDecoder()
    decoded = models.decode(features_of(models), driving(1), driving(2))
    assert np.isfinite(decoded.images).all()
    assert sum(plain.batches) == 2
    assert len(models.notices) == 1
    assert "fp32" in models.notices[0]


def test_short_memory_halves_the_batch(models: NetworkSet) -> None:
    decoder = models._decoder = StubDecoder(room=2)
    models.batch_size = 8
    decoded = models.decode(features_of(models), driving(1), driving(8))
    assert decoder.batches == [8, 4, 2, 2, 2, 2]
    assert models.batch_size == 2
    np.testing.assert_allclose(decoded.images[:, 0, 0, 0], np.arange(8) / 10, atol=1e-6)
    assert "2 frames at a time" in models.notices[-1]


def test_no_memory_for_one_frame_is_a_clear_error(models: NetworkSet) -> None:
    models._decoder = StubDecoder(room=0)
    models.batch_size = 4
    with pytest.raises(EngineError) as caught:
        models.decode(features_of(models), driving(1), driving(4))
    assert caught.value.code == "out_of_memory"
    assert "memory" in caught.value.message


def test_pictures_of_another_size_are_refused(models: NetworkSet) -> None:
    with pytest.raises(ValueError, match="256"):
        models.extract_features(np.zeros((1, 128, 128, 3), np.float32))


@pytest.mark.parametrize(
    ("available", "wanted", "device", "precision"),
    [
        (["cuda", "mps", "cpu"], "auto", "cuda", "fp16"),
        (["mps", "cpu"], "auto", "mps", "fp32"),
        (["mps", "cpu"], "cpu", "cpu", "bf16"),
        (["cpu"], "auto", "cpu", "bf16"),
    ],
)
def test_best_device_first(monkeypatch, available, wanted, device, precision) -> None:
    monkeypatch.setattr(devices, "available_devices", lambda: available)
    monkeypatch.setattr(devices, "has_fast_bf16", lambda: True)
    monkeypatch.setattr(devices, "_has_cuda_index", lambda _device: True)
    placement = choose_placement(wanted)
    assert (placement.device.type, placement.precision.value) == (device, precision)
    monkeypatch.setattr(devices, "has_fast_bf16", lambda: False)
    if device == "cpu":
        assert choose_placement(wanted).precision is Precision.FP32


def test_absent_devices_and_unknown_names_are_errors(monkeypatch) -> None:
    monkeypatch.setattr(devices, "available_devices", lambda: ["cpu"])
    with pytest.raises(EngineError, match="'cuda' is not available") as caught:
        choose_placement("cuda")
    assert caught.value.hint
    with pytest.raises(EngineError, match="Unknown device 'tpu'"):
        choose_placement("tpu")
    with pytest.raises(EngineError, match="Unknown precision 'int4'"):
        choose_placement("cpu", "int4")


def test_a_refusing_accelerator_falls_back_for_good() -> None:
    calls: list[str] = []

    def refusing(*_inputs):
        calls.append("fast")
        raise RuntimeError("no kernel image")

    def eager(x):
        calls.append("eager")
        return (x + 1,)

    part = _with_fallback(refusing, eager, "CUDA graphs")
    assert part(1) == (2,)
    assert part(2) == (3,)
    assert calls == ["fast", "eager", "eager"]


def test_running_out_of_memory_is_not_taken_for_a_refusal() -> None:
    def full(*_inputs):
        raise torch.OutOfMemoryError("full")

    with pytest.raises(torch.OutOfMemoryError):
        _with_fallback(full, full, "CUDA graphs")(1)


def test_bfloat16_is_for_painting_only() -> None:
    from engine.networks.fast_decoders import part_placement
    from engine.networks.fast_generator import FastGenerator

    with torch.device("meta"):
        generator = FastGenerator(BUILDERS["spade_generator"]())
    other = torch.nn.Identity()
    for precision, expected in (("bf16", "fp32"), ("fp16", "fp16"), ("fp32", "fp32")):
        placement = Placement(torch.device("cpu"), Precision(precision))
        assert part_placement(generator, placement) is placement
        assert part_placement(other, placement).precision.value == expected


def test_a_broken_openvino_leaves_torch(monkeypatch) -> None:
    from engine.networks import fast_decoders

    def broken(*_arguments):
        raise RuntimeError("no CPU plugin")

    monkeypatch.setattr(fast_decoders, "openvino_part", broken)
    placement = Placement(torch.device("cpu"), Precision.FP32)
    part = fast_decoders._openvino_or_torch_part(torch.nn.ReLU(), ((1, 2, 4, 4),), placement)
    (output,) = part(torch.tensor([[-1.0, 2.0]]))
    assert output.tolist() == [[0.0, 2.0]]
