"""CUDA graphs and the compiler with a stand-in for the driver: recording, replaying, refusing."""

from __future__ import annotations

import logging
from functools import partial

import pytest

torch = pytest.importorskip("torch", reason="the networks need torch")
pytest.importorskip("safetensors", reason="safetensors is missing")

from fakes.cuda_driver import CudaDriver  # noqa: E402
from torch import nn  # noqa: E402

from engine.networks import cuda_parts  # noqa: E402
from engine.networks.cuda_parts import RecordedGraphs, compiled_part, graphed_part  # noqa: E402
from engine.networks.fast_generator import FastGenerator  # noqa: E402
from engine.networks.fast_warping import FastWarpedFeatures, MotionHourglass  # noqa: E402
from engine.networks.generator import SpadeGenerator  # noqa: E402
from engine.networks.torch_parts import eager_part  # noqa: E402
from engine.networks.warping import WarpingModule  # noqa: E402


@pytest.fixture(autouse=True)
def _seeded_without_gradients():
    torch.manual_seed(5)
    with torch.inference_mode():
        yield


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> CudaDriver:
    driver = CudaDriver()
    driver.install(monkeypatch)
    return driver


class Blend(nn.Module):
    """Two inputs, two outputs, weights, and a map in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.runs = 0

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.runs += 1
        hidden = torch.relu(self.conv(x)) * y
        return hidden[:, :1] + 1, hidden.mean(dim=(2, 3))


def pair(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(count, 2, 6, 6), torch.randn(count, 1, 6, 6)


def test_replays_follow_their_inputs(driver: CudaDriver) -> None:
    """A graph that kept anything of the portrait that it was recorded with would show it here."""
    module = Blend()
    part, eager = graphed_part(module, RecordedGraphs()), eager_part(module)
    for _ in range(3):
        inputs = pair(2)
        for ours, wanted in zip(part(*inputs), eager(*inputs), strict=True):
            torch.testing.assert_close(ours, wanted)
    assert (driver.recorded, driver.replayed) == (1, 3)
    assert module.runs == cuda_parts.WARM_UP_RUNS + 1 + 3


def test_each_batch_size_is_recorded_once_in_the_same_memory(driver: CudaDriver) -> None:
    module, graphs = Blend(), RecordedGraphs()
    part, eager = graphed_part(module, graphs), eager_part(module)
    for count in (1, 8, 3, 8, 1, 3):
        inputs = pair(count)
        torch.testing.assert_close(part(*inputs), eager(*inputs))
    assert (driver.recorded, driver.replayed) == (3, 6)
    assert len(set(map(id, driver.pools))) == 1
    graphs.release()
    torch.testing.assert_close(part(*inputs), eager(*inputs))
    assert driver.recorded == 4
    assert len(set(map(id, driver.pools))) == 2


def test_two_parts_do_not_share_a_graph(driver: CudaDriver) -> None:
    graphs, modules = RecordedGraphs(), (Blend(), Blend())
    parts = [graphed_part(module, graphs) for module in modules]
    inputs = pair(1)
    for part, module in zip(parts, modules, strict=True):
        torch.testing.assert_close(part(*inputs), module(*inputs))
    assert driver.recorded == 2


def test_outputs_outlive_the_next_replay(driver: CudaDriver) -> None:
    part = graphed_part(Blend(), RecordedGraphs())
    first = part(*pair(1))
    kept = [output.clone() for output in first]
    part(*pair(1))
    torch.testing.assert_close(list(first), kept)


def test_a_refused_recording_is_logged_once_and_torch_goes_on(
    driver: CudaDriver, caplog: pytest.LogCaptureFixture
) -> None:
    module, graphs = Blend(), RecordedGraphs()
    part = graphed_part(module, graphs)
    driver.refusal = RuntimeError("CUDA error: operation not permitted when stream is capturing")
    before = driver.streams[-1]
    inputs = pair(2)
    for _ in range(2):
        torch.testing.assert_close(part(*inputs), module(*inputs))
    assert driver.streams[-1] is before, "frames would run on the stream of the recording"
    warnings = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "CUDA graphs" in warnings[0].getMessage()
    driver.refusal = None
    graphed_part(module, graphs)(*inputs)
    assert driver.pools[-1] is not driver.pools[0], "the pool may be in disorder"


def test_reading_a_value_while_recording_is_refused(driver: CudaDriver) -> None:
    class Reading(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * float(x.max())

    part = graphed_part(Reading(), RecordedGraphs())
    x = torch.ones(1, 2, 2, 2)
    torch.testing.assert_close(part(x)[0], x)
    assert driver.recorded == 0


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_short_memory_while_recording_is_passed_on(driver: CudaDriver, error: Exception) -> None:
    """Torch hides it behind a second error; taken for a refusal, it would cost the graphs."""
    module = Blend()
    part = graphed_part(module, RecordedGraphs())
    driver.refusal = error
    with pytest.raises(RuntimeError) as caught:
        part(*pair(8))
    assert cuda_parts.is_out_of_memory(caught.value)
    driver.refusal = None
    inputs = pair(4)
    torch.testing.assert_close(part(*inputs), module(*inputs))
    assert driver.recorded == 1


def small_modules() -> list[tuple[nn.Module, tuple[torch.Tensor, ...]]]:
    """The three parts that are compiled, on maps that take little time."""
    warping = WarpingModule().eval()
    return [
        (
            MotionHourglass(warping.dense_motion_network, use_spectral_mask=False),
            (torch.randn(1, 110, 16, 32, 32),),
        ),
        (FastWarpedFeatures(warping), (torch.randn(1, 512, 8, 8), torch.rand(1, 1, 8, 8))),
        (FastGenerator(SpadeGenerator().eval()), (torch.randn(1, 256, 4, 4),)),
    ]


def test_the_compiler_takes_every_module_whole(
    monkeypatch: pytest.MonkeyPatch, driver: CudaDriver
) -> None:
    """Torch's real tracer, without the code generator behind it; a break in the graph raises."""
    tracing = partial(torch.compile, backend="aot_eager", fullgraph=True)
    for module, inputs in small_modules():
        wanted = eager_part(module)(*inputs)
        monkeypatch.setattr(torch, "compile", tracing)
        part = compiled_part(module, RecordedGraphs())
        torch.testing.assert_close(part(*inputs), wanted, atol=1e-5, rtol=0)
        monkeypatch.undo()
        driver.install(monkeypatch)
    assert driver.recorded == 0, "the compiler gave up"


@pytest.mark.parametrize(
    "error",
    [
        ImportError("No module named 'triton'"),
        FileNotFoundError("cl.exe"),
        RuntimeError("Python 3.99+ not yet supported for torch.compile"),
    ],
)
def test_without_a_compiler_graphs_are_recorded(
    monkeypatch: pytest.MonkeyPatch,
    driver: CudaDriver,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    def refusing(*_arguments: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(torch, "compile", refusing)
    module = Blend()
    part = compiled_part(module, RecordedGraphs())
    for _ in range(2):
        inputs = pair(1)
        torch.testing.assert_close(part(*inputs), module(*inputs))
    assert (driver.recorded, driver.replayed) == (1, 2)
    assert [r.getMessage() for r in caplog.records] == [
        f"torch.compile does not work here, continuing without: {error}"
    ]


def test_a_broken_code_generator_is_survived(
    monkeypatch: pytest.MonkeyPatch, driver: CudaDriver
) -> None:
    """The failure as torch really wraps it."""

    def generator(_graph: object, _inputs: object) -> None:
        raise OSError("no C compiler")

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=generator))
    module, inputs = Blend(), pair(1)
    part = compiled_part(module, RecordedGraphs())
    torch.testing.assert_close(part(*inputs), module(*inputs))
    assert driver.recorded == 1
