"""W and G in half precision as a graphics card computes it: how near, how far from overflow."""

from __future__ import annotations

import importlib
import math
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the networks need torch")
pytest.importorskip("safetensors", reason="safetensors is missing")

from conftest import ROOT  # noqa: E402
from fakes.half_arithmetic import HalfArithmetic  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as fn  # noqa: E402

from engine.networks.decoders import PlainDecoder, decode_frames  # noqa: E402
from engine.networks.fast_decoders import FastDecoder  # noqa: E402
from engine.networks.fast_generator import FastGenerator  # noqa: E402
from engine.networks.fast_warping import (  # noqa: E402
    FastWarpedFeatures,
    MotionHourglass,
    MotionStack,
)
from engine.networks.torch_parts import eager_part, own_copy  # noqa: E402

LARGEST_HALF = 65504.0


@pytest.fixture(scope="module")
def bench() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts"))
        return importlib.import_module("bench_neural")


@pytest.fixture(scope="module")
def networks(bench: Any) -> Any:
    """With drawn weights of healthy size."""
    return bench.build_networks()


def psnr(ours: Any, wanted: Any) -> float:
    """dB for a peak of 1."""
    return -10 * math.log10(float((ours.double() - wanted.double()).square().mean()))


def decoder_of_a_card(scene: Any, dtype: torch.dtype) -> FastDecoder:
    """What fast_decoder builds for CUDA, on the CPU."""
    warping, generator = scene.networks["warping_module"], scene.networks["spade_generator"]
    modules = (
        MotionHourglass(warping.dense_motion_network, use_spectral_mask=False),
        FastWarpedFeatures(warping),
        FastGenerator(generator),
    )
    cpu = torch.device("cpu")
    parts = [eager_part(own_copy(module, cpu, dtype)) for module in modules]
    return FastDecoder(MotionStack(warping.dense_motion_network), *parts, cpu)


@pytest.mark.parametrize(("picture", "decibels"), [("smooth", 60), ("noise", 55)])
def test_a_frame_in_half_precision(
    bench: Any, networks: Any, picture: str, decibels: float
) -> None:
    scene = bench.build_scene(networks, torch.device("cpu"), picture)
    plain = PlainDecoder(networks["warping_module"], networks["spade_generator"])
    decoder = decoder_of_a_card(scene, torch.float16)
    with torch.no_grad():
        exact = decode_frames(plain, scene.volume, scene.kp_source, scene.kp_driving)
    with torch.no_grad(), HalfArithmetic() as arithmetic:
        prepared = decoder.prepare(scene.volume)
        ours = decode_frames(decoder, prepared, scene.kp_source, scene.kp_driving)
    assert "convolution" in arithmetic.rounded
    assert ours.image.dtype == torch.float32
    assert psnr(ours.image, exact.image) > decibels
    assert (ours.warped.deformation - exact.warped.deformation).abs().max() < 2e-3
    assert arithmetic.largest < LARGEST_HALF / 100


def test_the_arithmetic_is_the_cpus_own_half_precision() -> None:
    torch.manual_seed(2)
    conv, x = nn.Conv2d(16, 8, 3, padding=1).half(), torch.randn(1, 16, 8, 8).half()
    with torch.no_grad():
        wanted = fn.instance_norm(conv(x))
        with HalfArithmetic() as arithmetic:
            ours = fn.instance_norm(conv(x))
    assert arithmetic.rounded == {"convolution", "native_batch_norm"}
    assert ours.dtype == torch.float16
    torch.testing.assert_close(ours, wanted, atol=4e-3, rtol=0)


def test_an_overflow_is_an_infinity_here_too() -> None:
    conv = nn.Conv2d(64, 1, 1, bias=False).half()
    nn.init.constant_(conv.weight, 64.0)
    with torch.no_grad(), HalfArithmetic():
        assert torch.isinf(conv(torch.full((1, 64, 1, 1), 64.0).half())).all()
