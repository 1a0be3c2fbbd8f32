"""NetworkSet: devices, batches, the guard against black frames, running out of memory."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the networks need torch")
pytest.importorskip("safetensors", reason="safetensors is missing")

from engine.networks import network_set  # noqa: E402
from engine.networks.checkpoints import BUILDERS  # noqa: E402
from engine.networks.devices import Placement, Precision  # noqa: E402
from engine.networks.network_set import NetworkSet  # noqa: E402
from engine.networks.warping import Warped  # noqa: E402
from engine.renderer import ReportedError  # noqa: E402


class StubDecoder:
    """Paints the first driving coordinate; fails as told."""

    def __init__(
        self, *, spoiled: float | None = None, lost: bool = False, room: int = 100
    ) -> None:
        self.spoiled = spoiled
        self.lost = lost
        self.room = room
        self.error: Exception = torch.OutOfMemoryError("no room")
        self.prepared = 0
        self.released = 0
        self.batches: list[int] = []

    def prepare(self, feature_3d):
        self.prepared += 1
        return feature_3d

    def warp(self, _prepared, _source, driving) -> Warped:
        self.batches.append(len(driving))
        if len(driving) > self.room:
            raise self.error
        value = driving[:, 0, 0].reshape(-1, 1, 1, 1)
        deformation = value[..., None].expand(-1, 16, 64, 64, 3)
        if self.lost:
            deformation = deformation * float("nan")
        return Warped(value.expand(-1, 256, 64, 64), value, deformation)

    def to(self, _device) -> StubDecoder:
        return self

    def release_memory(self) -> None:
        self.released += 1

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
    from engine.networks.network_set import SourceFeatures

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


def test_frames_of_several_portraits_have_features_of_their_own(models: NetworkSet) -> None:
    class Shading(StubDecoder):
        def warp(self, prepared, source, driving) -> Warped:
            assert len(prepared) == len(source) == len(driving)
            return super().warp(prepared, source, driving + prepared[:, 0, 0, 0, :1, None])

    decoder = models._decoder = Shading()
    models.batch_size = 2
    shades = [features_of(models) for _ in range(3)]
    for number, features in enumerate(shades):
        features.volume += 0.2 * number
    decoded = models.decode(models.gathered(shades), driving(3), driving(3))
    assert decoder.batches == [2, 1]
    np.testing.assert_allclose(decoded.images[:, 5, 5, 0], [0.0, 0.3, 0.6], atol=1e-6)


def test_frames_that_overflow_for_good_leave_half_precision(models: NetworkSet) -> None:
    half = models._decoder = StubDecoder(spoiled=float("nan"))
    plain = models._plain = StubDecoder()
    features = features_of(models)
    for _ in range(5):
        assert np.isfinite(models.decode(features, driving(1), driving(1)).images).all()
    assert (len(half.batches), half.released, len(plain.batches)) == (3, 1, 5)
    assert len(models.notices) == 2
    assert "continuing in fp32" in models.notices[1]


@pytest.mark.parametrize("has_fast_networks", [True, False])
def test_a_frame_that_float32_cannot_save_is_an_error_not_a_black_picture(
    models: NetworkSet, has_fast_networks: bool
) -> None:
    models._plain = StubDecoder(spoiled=float("nan"))
    models._decoder = StubDecoder(spoiled=float("nan")) if has_fast_networks else models._plain
    with pytest.raises(ReportedError, match="no valid picture") as caught:
        models.decode(features_of(models), driving(1), driving(1))
    assert "weights" in caught.value.hint
    assert not models.notices


def test_a_single_overflow_is_no_reason_to_give_up(models: NetworkSet) -> None:
    half = models._decoder = StubDecoder()
    models._plain = StubDecoder()
    features = features_of(models)
    for spoiled in (None, float("inf")) * 4:
        half.spoiled = spoiled
        models.decode(features, driving(1), driving(1))
    assert len(half.batches) == 8


def test_a_deformation_that_is_not_finite_is_no_frame(models: NetworkSet) -> None:
    """Sampling at NaN gives 0, so that the picture itself looks sound."""
    models._decoder = StubDecoder(lost=True)
    models._plain = StubDecoder()
    decoded = models.decode(features_of(models), driving(1), driving(2))
    assert np.isfinite(decoded.deformation).all()
    assert models.notices


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_black_frames_are_computed_again_in_float32(models: NetworkSet, value: float) -> None:
    models._decoder = StubDecoder(spoiled=value)
    plain = models._plain = StubDecoder()
    decoded = models.decode(features_of(models), driving(1), driving(2))
    assert np.isfinite(decoded.images).all()
    assert sum(plain.batches) == 2
    assert len(models.notices) == 1
    assert "fp32" in models.notices[0]


MEMORY_ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB, max allowed: 9.07 GB)"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 4 bytes."),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    MemoryError(),
]


@pytest.mark.parametrize("error", MEMORY_ERRORS, ids=lambda error: str(error)[:20])
def test_short_memory_halves_the_batch(models: NetworkSet, error: Exception) -> None:
    decoder = models._decoder = StubDecoder(room=2)
    decoder.error = error
    models.batch_size = 8
    decoded = models.decode(features_of(models), driving(1), driving(8))
    assert decoder.batches == [8, 4, 2, 2, 2, 2]
    assert models.batch_size == 2
    np.testing.assert_allclose(decoded.images[:, 0, 0, 0], np.arange(8) / 10, atol=1e-6)
    assert "2 frames at a time" in models.notices[-1]
    assert decoder.released == 2


def test_what_the_fast_networks_cannot_the_plain_ones_can(models: NetworkSet) -> None:
    """A convolution for which cuDNN finds no algorithm, say, and only in this size of batch."""
    decoder = models._decoder = StubDecoder(room=2)
    decoder.error = RuntimeError("GET was unable to find an engine to execute this computation")
    plain = models._plain = StubDecoder()
    models.batch_size = 4
    decoded = models.decode(features_of(models), driving(1), driving(8))
    np.testing.assert_allclose(decoded.images[:, 0, 0, 0], np.arange(8) / 10, atol=1e-6)
    assert (decoder.batches, plain.batches) == ([4], [4, 4])
    assert models.batch_size == 4
    assert models.notices == [network_set.REFUSED]


def test_an_error_of_the_plain_networks_is_passed_on(models: NetworkSet) -> None:
    models._decoder, models._plain = StubDecoder(room=0), StubDecoder(room=0)
    for decoder in (models._decoder, models._plain):
        decoder.error = RuntimeError("CUDA error: an illegal memory access was encountered")
    with pytest.raises(RuntimeError, match="illegal"):
        models.decode(features_of(models), driving(1), driving(8))


def test_no_memory_for_one_frame_is_a_clear_error(models: NetworkSet) -> None:
    models._decoder = StubDecoder(room=0)
    models.batch_size = 4
    with pytest.raises(ReportedError) as caught:
        models.decode(features_of(models), driving(1), driving(4))
    assert caught.value.code == "out_of_memory"
    assert "memory" in caught.value.message


def test_pictures_of_another_size_are_refused(models: NetworkSet) -> None:
    with pytest.raises(ValueError, match="256"):
        models.extract_features(np.zeros((1, 128, 128, 3), np.float32))


def test_a_broken_openvino_leaves_torch(monkeypatch) -> None:
    from engine.networks import fast_decoders

    def broken(*_arguments):
        raise RuntimeError("no CPU plugin")

    monkeypatch.setattr(fast_decoders, "openvino_part", broken)
    placement = Placement(torch.device("cpu"), Precision.FP32)
    part = fast_decoders._openvino_or_torch_part(torch.nn.ReLU(), ((1, 2, 4, 4),), placement)
    (output,) = part(torch.tensor([[-1.0, 2.0]]))
    assert output.tolist() == [[0.0, 2.0]]
