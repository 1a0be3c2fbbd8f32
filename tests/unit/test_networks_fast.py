"""The fast path computes what the plain networks compute, piece by piece and on small maps."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the networks need torch")
pytest.importorskip("safetensors", reason="safetensors is missing")

from torch import nn  # noqa: E402
from torch.nn import functional as fn  # noqa: E402

from engine.networks.blocks import UpBlock3d  # noqa: E402
from engine.networks.devices import Precision  # noqa: E402
from engine.networks.fast_generator import FastGenerator, UpBlock4  # noqa: E402
from engine.networks.fast_warping import (  # noqa: E402
    FastUpBlock,
    MotionHourglass,
    MotionStack,
    OcclusionHead,
    deformation_of,
    separable_heatmaps,
)
from engine.networks.generator import SpadeGenerator  # noqa: E402
from engine.networks.openvino_parts import has_openvino, openvino_part  # noqa: E402
from engine.networks.phases import AFTER_UP_4, UP_2, UP_4, PhaseConv2d, interleave  # noqa: E402
from engine.networks.spectral import SpectralConv3d  # noqa: E402
from engine.networks.torch_parts import eager_part, own_copy  # noqa: E402
from engine.networks.warping import (  # noqa: E402
    DenseMotionNetwork,
    coordinate_grid,
    gaussian_heatmaps,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _seeded_without_gradients():
    torch.manual_seed(3)
    with torch.inference_mode():
        yield


def with_random_norms(module: nn.Module) -> nn.Module:
    """Fresh batch norms do nothing; give them something to fold."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d | nn.BatchNorm3d):
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 2)
            part.weight.data.uniform_(0.5, 1.5)
            part.bias.data.normal_(0, 0.2)
    return module.eval()


def test_phases_of_a_map_upsampled_by_2() -> None:
    conv, x = nn.Conv2d(3, 4, 3, padding=1), torch.randn(2, 3, 5, 7)
    phases = PhaseConv2d(conv.weight, conv.bias, UP_2)(x)
    wanted = conv(fn.interpolate(x, scale_factor=2))
    torch.testing.assert_close(interleave(phases, 2), wanted, atol=2e-6, rtol=0)


def test_two_convolutions_of_a_map_upsampled_by_4() -> None:
    first, second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 3, padding=1)
    x = torch.randn(2, 3, 6, 5)
    wanted = second(fn.relu(first(fn.interpolate(x, scale_factor=4))))
    hidden = fn.relu(interleave(PhaseConv2d(first.weight, first.bias, UP_4)(x), 3))
    phases = PhaseConv2d(second.weight, second.bias, AFTER_UP_4, stride=3)(hidden)
    assert len(phases) == 16
    torch.testing.assert_close(interleave(phases, 4), wanted, atol=2e-6, rtol=0)


def test_up_block_on_the_small_map() -> None:
    block = with_random_norms(UpBlock3d(6, 4))
    x = torch.randn(2, 6, 3, 4, 5)
    torch.testing.assert_close(FastUpBlock(block)(x), block(x), atol=5e-6, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(16, 32), (48, 16)])
def test_mask_convolution_in_fourier_space(height: int, width: int) -> None:
    conv = nn.Conv3d(5, 3, 7, padding=3)
    x = torch.randn(2, 5, 16, height, width)
    fast = SpectralConv3d(conv, height, width)
    torch.testing.assert_close(fast(x), conv(x), atol=5e-6, rtol=0)


def test_occlusion_through_one_channel_per_tap() -> None:
    conv = nn.Conv2d(12, 1, 7, padding=3)
    x = torch.randn(2, 12, 9, 11)
    torch.testing.assert_close(OcclusionHead(conv)(x), torch.sigmoid(conv(x)), atol=2e-6, rtol=0)


def test_separable_heatmaps() -> None:
    keypoints = torch.rand(2, 21, 3) * 2.4 - 1.2
    wanted = gaussian_heatmaps(keypoints, coordinate_grid(4, 6, 8, keypoints))
    torch.testing.assert_close(separable_heatmaps(keypoints, (4, 6, 8)), wanted, atol=1e-6, rtol=0)


def test_motion_stack_and_mixing_with_keypoints_leaving_the_volume() -> None:
    network = with_random_norms(DenseMotionNetwork())
    volume = torch.randn(1, 32, 16, 64, 64)
    source = torch.rand(1, 21, 3) - 0.5
    driving = source + torch.randn(2, 21, 3) * torch.linspace(0, 2, 21)[:, None]
    grid = coordinate_grid(16, 64, 64, volume)
    motions = network.sparse_motions(grid, driving, source.expand(2, -1, -1))
    deformed = network.deformed_volumes(volume.expand(2, -1, -1, -1, -1), motions)
    stack = MotionStack(network)
    ours = stack(*stack.prepare(volume), source, driving).unflatten(1, (22, 5))
    torch.testing.assert_close(ours[:, :, 1:], deformed, atol=5e-5, rtol=0)
    assert not ours[:, 0, 0].any()
    mask = fn.softmax(torch.randn(2, 22, 16, 64, 64), dim=1)
    wanted = torch.einsum("bkdhw,bkdhwc->bdhwc", mask, motions)
    torch.testing.assert_close(
        deformation_of(mask, grid, source, driving), wanted, atol=5e-6, rtol=0
    )
    # Frames of one batch may have sources of their own.
    volumes, sources = torch.cat([volume, volume.flip(4)]), torch.cat([source, -source])
    both = stack(*stack.prepare(volumes), sources, driving)
    offsets = deformation_of(mask, grid, sources, driving)
    for row in (slice(0, 1), slice(1, 2)):
        alone = stack(*stack.prepare(volumes[row]), sources[row], driving[row])
        torch.testing.assert_close(both[row], alone, atol=1e-5, rtol=0)
        alone = deformation_of(mask[row], grid, sources[row], driving[row])
        torch.testing.assert_close(offsets[row], alone, atol=1e-6, rtol=0)


def test_hourglass_with_folded_norms() -> None:
    network = with_random_norms(DenseMotionNetwork())
    x = torch.randn(1, 110, 16, 32, 32)
    prediction = network.hourglass(x)
    mask, occlusion = MotionHourglass(network, use_spectral_mask=False)(x)
    wanted = fn.softmax(network.mask(prediction), dim=1)
    torch.testing.assert_close(mask, wanted, atol=1e-5, rtol=0)
    flat = prediction.reshape(1, -1, 32, 32)
    torch.testing.assert_close(occlusion, torch.sigmoid(network.occlusion(flat)), atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def generator() -> SpadeGenerator:
    torch.manual_seed(4)
    return SpadeGenerator().eval()


def test_generator_paints_the_same_picture(generator) -> None:
    feature = 3 * torch.randn(2, 256, 8, 16)
    wanted = generator(feature)
    ours = FastGenerator(generator)(feature)
    assert wanted.shape == (2, 3, 64, 128)
    assert wanted.std() > 0.01
    torch.testing.assert_close(ours, wanted, atol=2e-5, rtol=0)


def test_generator_needs_less_arithmetic(generator) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    counts: list[int] = []
    for module in (generator, FastGenerator(generator)):
        with FlopCounterMode(display=False) as counter:
            copy.deepcopy(module).to("meta")(torch.zeros(1, 256, 64, 64, device="meta"))
        counts.append(counter.get_total_flops())
    assert counts[1] < 0.79 * counts[0]


def test_lower_precision_rounds_neither_the_ends_nor_the_trunk(generator) -> None:
    feature = 3 * torch.randn(1, 256, 8, 8)
    exact = FastGenerator(generator)
    wanted = exact(feature)
    lowered = own_copy(exact, torch.device("cpu"), torch.bfloat16)
    trunk: list[torch.dtype] = []
    for block in lowered.middle:
        block.register_forward_hook(lambda _block, _inputs, output: trunk.append(output.dtype))
    (ours,) = eager_part(lowered)(feature)
    assert ours.dtype == torch.float32
    assert 1e-5 < (ours - wanted).abs().max() < 0.02
    assert trunk == 6 * [torch.float32]
    assert lowered.fc.weight.dtype == torch.float32
    assert lowered.middle[0].conv_0.weight.dtype == torch.bfloat16
    # The copy was lowered, not the original, which shares its weights with the plain generator.
    torch.testing.assert_close(exact(feature), wanted, atol=0, rtol=0)


def test_the_motion_masks_are_not_rounded_to_bfloat16() -> None:
    network = with_random_norms(DenseMotionNetwork())
    x = torch.randn(1, 110, 16, 64, 64)
    exact = MotionHourglass(network, use_spectral_mask=True)
    lowered = own_copy(exact, torch.device("cpu"), torch.bfloat16)
    kept = {name.split(".")[0] for name, weight in lowered.named_parameters()
            if weight.dtype == torch.float32}  # fmt: skip
    assert kept == {"up", "occlusion"}
    assert lowered.mask.kernel.dtype == torch.float32
    for ours, wanted in zip(lowered(x), exact(x), strict=True):
        assert ours.dtype == torch.float32
        assert 0 < (ours - wanted).abs().max() < 0.05


@pytest.mark.skipif(not has_openvino(), reason="openvino is missing")
def test_openvino_computes_every_map_in_the_type_the_module_gives_it(generator) -> None:
    feature = 3 * torch.randn(1, 256, 8, 8)
    fast = FastGenerator(generator)
    wanted = generator(feature)
    (coarse,) = openvino_part(fast, ((1, 256, 8, 8),), Precision.BF16)(feature)
    (by_torch,) = eager_part(own_copy(fast, torch.device("cpu"), torch.bfloat16))(feature)
    errors = [(x - wanted).square().mean() for x in (coarse, by_torch)]
    assert errors[0] < 1.5 * errors[1]
    assert (coarse - wanted).abs().max() > 1e-5


@pytest.mark.skipif(not has_openvino(), reason="openvino is missing")
def test_openvino_tells_nobody_and_leaves_nothing_in_the_home(tmp_path: Path) -> None:
    code = """
import sys
seen = []
sys.addaudithook(lambda event, _: seen.append(event) if event == "socket.connect" else None)
from torch import nn
from engine.networks.devices import Precision
from engine.networks.openvino_parts import openvino_part
openvino_part(nn.Conv2d(3, 4, 3), ((1, 3, 8, 8),), Precision.FP32)
assert sys.modules.get("openvino_telemetry") is None
assert not seen, seen
"""
    home = {name: str(tmp_path) for name in ("HOME", "USERPROFILE")}
    environment = {**os.environ, **home, "PYTHONPATH": str(ROOT)}
    environment = {k: v for k, v in environment.items() if k not in ("CI", "TF_BUILD")}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not has_openvino(), reason="openvino is missing")
def test_openvino_runs_a_part_for_any_batch(generator) -> None:
    fast = UpBlock4(generator.up_1)
    x, seg = torch.randn(2, 256, 8, 8), 3 * torch.randn(2, 256, 4, 4)
    wanted = generator.up_1(generator.up(x), seg)
    shapes = ((1, 256, 8, 8), (1, 256, 4, 4))
    (ours,) = openvino_part(fast, shapes, Precision.FP32)(x, seg)
    torch.testing.assert_close(ours, wanted, atol=2e-5, rtol=0)


def test_openvino_parts_may_be_traced_at_a_small_size() -> None:
    pytest.importorskip("openvino", reason="openvino is missing")
    conv, x = nn.Conv2d(8, 8, 3, padding=1), torch.randn(1, 8, 16, 16)
    up = fast_up(conv)
    (ours,) = openvino_part(up, ((1, 8, 16, 16),), Precision.FP32, traced_size=4)(x)
    torch.testing.assert_close(ours, conv(fn.interpolate(x, scale_factor=2)), atol=1e-5, rtol=0)


def fast_up(conv: nn.Conv2d) -> nn.Module:
    """Upsampling by 2 and a convolution, as phases."""

    class Up(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.phases = PhaseConv2d(conv.weight, conv.bias, UP_2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return interleave(self.phases(x), 2)

    return Up()


def test_fast_path_passes_parity() -> None:
    """The real sizes, against numbers recorded from the official networks."""
    script, golden = ROOT / "scripts" / "parity.py", ROOT / "tests" / "data" / "golden"
    command = [sys.executable, str(script), str(golden), "--only", "networks", "--fast"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "G/rand/img_sub" in result.stdout
