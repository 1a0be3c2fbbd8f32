"""The networks on cards that are not there: every operator finds its operands where it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the networks need torch")
pytest.importorskip("safetensors", reason="safetensors is missing")

from fakes.cuda_driver import CudaDriver  # noqa: E402
from fakes.pretended_device import (  # noqa: E402
    PretendedDevice,
    PretendedDeviceError,
    pretended_device,
)

from engine.networks import network_set  # noqa: E402
from engine.networks.checkpoints import BUILDERS  # noqa: E402
from engine.networks.devices import Placement, Precision  # noqa: E402
from engine.networks.network_set import NetworkSet  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor"),
    pytest.mark.filterwarnings("ignore:User provided device_type of 'cuda'"),
]
PICTURE = np.zeros((1, 256, 256, 3), np.float32)
CARDS = [("cuda:0", "fp32"), ("cuda:0", "fp16"), ("cuda:0", "bf16"), ("mps:0", "fp32")]
RARE_CARDS = [("mps:0", "fp16"), ("mps:0", "bf16")]


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendedDevice]:
    monkeypatch.setattr(network_set, "use_device", lambda _placement: None)
    monkeypatch.setattr(Placement, "label", property(lambda self: str(self.device)))
    with pretended_device() as device:
        yield device


def networks_on(
    name: str, precision: str, acceleration: str = "none", progress: Any = None
) -> NetworkSet:
    networks = {}
    for key, build in BUILDERS.items():
        with torch.device("meta"):
            network = build()
        networks[key] = network.to_empty(device="cpu").eval().requires_grad_(False)
    placement = Placement(torch.device(name), Precision(precision))
    options = {"acceleration": acceleration, "progress": progress}
    return NetworkSet("human", networks, placement, **options)


def points(count: int) -> np.ndarray:
    return np.zeros((count, 21, 3), np.float32)


@pytest.mark.parametrize(("name", "precision"), CARDS + RARE_CARDS)
def test_the_whole_set_runs_on_the_card(card: PretendedDevice, name: str, precision: str) -> None:
    models = networks_on(name, precision)
    features = models.extract_features(PICTURE)
    assert features.volume.shape == (1, 32, 16, 64, 64)
    assert features.volume.device == torch.device(name)
    heads = models.extract_motion(np.repeat(PICTURE, 3, axis=0))
    assert {key: array.shape for key, array in heads.items()}["pitch"] == (3, 66)
    assert models.stitching(points(3), points(3)).shape == (3, 65)
    assert models.eye_retargeting(points(2), np.zeros((2, 3))).shape == (2, 63)
    assert models.lip_retargeting(points(2), np.zeros((2, 2))).shape == (2, 63)
    for count in (1, 3, 8):
        decoded = models.decode(features, points(1), points(count))
        assert decoded.images.shape == (count, 512, 512, 3)
        assert decoded.deformation.shape == (count, 16, 64, 64, 3)
        assert decoded.images.dtype == decoded.deformation.dtype == np.float32
    assert not models.notices
    assert "aten.convolution.default" in card.operators


@pytest.mark.parametrize(("name", "precision"), CARDS)
def test_the_repeat_in_float32_runs_on_the_card(
    card: PretendedDevice, name: str, precision: str
) -> None:
    models = networks_on(name, precision)
    features = models.extract_features(PICTURE)
    card.answers = [False, True]
    decoded = models.decode(features, points(1), points(2))
    assert decoded.images.shape == (2, 512, 512, 3)
    assert len(models.notices) == 1
    _, generator = models._plain.pair
    assert {p.device for p in generator.parameters()} == {torch.device(name)}


class StillGraph:
    """A CUDA graph whose outputs stay as they were recorded."""

    def replay(self) -> None:
        pass


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_nothing_waits_or_leaves_the_card_while_graphs_are_recorded(
    card: PretendedDevice,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    precision: str,
) -> None:
    @contextmanager
    def recording(*_arguments: Any, **_options: Any) -> Iterator[None]:
        card.is_recording = True
        yield
        card.is_recording = False
        recorded.append(True)

    recorded: list[bool] = []
    CudaDriver().install(monkeypatch)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", StillGraph)
    monkeypatch.setattr(torch.cuda, "graph", recording)
    texts: list[str] = []
    models = networks_on("cuda:0", precision, "auto", lambda text, _fraction: texts.append(text))
    assert texts == ["the motion network", "the warping network", "the generator"]
    assert len(recorded) == 3, "batch 1 is recorded while loading, where there is progress"
    features = models.extract_features(PICTURE)
    for count in (1, 3, 8):
        assert len(models.decode(features, points(1), points(count)).images) == count
    assert len(recorded) == 9
    assert not caplog.records


def test_compiling_is_announced_and_happens_while_loading(
    card: PretendedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def compiler(module: Any, **_options: Any) -> Any:
        def run(*inputs: Any) -> Any:
            sizes.append(len(inputs[0]))
            return module(*inputs)

        return run

    monkeypatch.setattr(torch, "compile", compiler)
    texts: list[str] = []
    models = networks_on("cuda:0", "fp16", "compile", lambda text, _fraction: texts.append(text))
    assert sizes == [1, 1, 1]
    assert all("compiled for this card (a minute)" in text for text in texts)
    # Every size of batch would be compiled anew.
    models.decode(models.extract_features(PICTURE), points(1), points(4))
    assert set(sizes) == {1}


def test_a_card_that_refuses_the_fast_networks_gets_the_plain_ones(
    card: PretendedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*_arguments: Any) -> None:
        raise RuntimeError("GET was unable to find an engine to execute this computation")

    monkeypatch.setattr(network_set, "fast_decoder", refusing)
    models = networks_on("cuda:0", "fp16")
    assert models.notices == [network_set.REFUSED]
    decoded = models.decode(models.extract_features(PICTURE), points(1), points(3))
    assert decoded.images.shape == (3, 512, 512, 3)


@pytest.mark.parametrize(("name", "kernel"), [("cuda:0", "CUDA"), ("mps:0", "MPS")])
def test_torch_has_a_kernel_for_every_operator(
    card: PretendedDevice, name: str, kernel: str
) -> None:
    """By torch's own table; what is missing there would fail or run on the CPU."""
    models = networks_on(name, "fp32")
    card.answers = [True, True, False, True]
    features = models.extract_features(PICTURE)
    models.extract_motion(PICTURE)
    models.stitching(points(1), points(1))
    models.decode(features, points(1), points(1))
    models.decode(features, points(1), points(1))
    assert models.notices, "the plain networks did not run"
    table = kernel_table()
    assert "MPS" not in table("linalg_eig")
    missing = {name for name in card.operators if not table(name) & {kernel, "Composite"}}
    assert not missing


def kernel_table() -> Callable[[str], set[str]]:
    """operator → the backends that native_functions.yaml lists; "Composite" serves all of them."""
    yaml = pytest.importorskip("yaml")
    file = resources.files("torchgen") / "packaged/ATen/native/native_functions.yaml"
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    rows = yaml.load(file.read_text(encoding="utf-8"), loader)
    table = {row["func"].partition("(")[0]: row for row in rows}

    def kernels(operator: str) -> set[str]:
        if operator.startswith("prim."):
            return {"Composite"}
        name = operator.removeprefix("aten.").removesuffix(".default")
        return _backends(table, table[name])

    return kernels


def _backends(table: dict[str, Any], row: dict[str, Any]) -> set[str]:
    if "structured_delegate" in row:
        return _backends(table, table[row["structured_delegate"]])
    names = {n.strip() for key in row.get("dispatch", {"Composite": ""}) for n in key.split(",")}
    if "ufunc_inner_loop" in row:
        names |= {"CPU", "CUDA"}
    return {"Composite" if name.startswith("Composite") else name for name in names}


def test_the_pretended_card_refuses_what_a_real_one_would(card: PretendedDevice) -> None:
    here, there = torch.zeros(2, 2), torch.zeros(2, 2, device="cuda:0")
    with pytest.raises(RuntimeError, match="same device"):
        here + there
    with pytest.raises(PretendedDeviceError, match="mm"):
        there @ there.half()
    with pytest.raises(PretendedDeviceError, match="numpy"):
        there.numpy()
    with pytest.raises(PretendedDeviceError, match="float64"):
        torch.zeros(2, device="mps:0").double()
    assert there[0, None, 1:].shape == (1, 1)
    assert there[..., -1].shape == (2,)
    card.is_recording = True
    with pytest.raises(PretendedDeviceError, match="waits"):
        bool(there.isfinite().all())
    with pytest.raises(PretendedDeviceError, match="recorded"):
        here.to("cuda:0")
