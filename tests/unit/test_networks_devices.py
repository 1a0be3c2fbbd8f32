"""Which device and precision are chosen, and what is said where a card cannot be used."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the networks need torch")

from engine.networks import devices  # noqa: E402
from engine.networks.devices import Placement, Precision, choose_placement, use_device  # noqa: E402
from engine.renderer import ReportedError  # noqa: E402

GIGABYTE = 2**30
OLD = "CUDA initialization: The NVIDIA driver on your system is too old (found version 12020)."
NO_IMAGE = "CUDA error: no kernel image is available for execution on the device\nFor debugging…"


@pytest.fixture(autouse=True)
def _asked_again() -> Any:
    devices._started_cuda.cache_clear()
    yield
    devices._started_cuda.cache_clear()


class Machine:
    """One NVIDIA card, as torch.cuda describes it; set what differs."""

    name = "NVIDIA GeForce RTX 4090"
    gigabytes = 24.0
    capability = (8, 9)
    refusal = ""

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        card = SimpleNamespace(name=self.name, total_memory=self.gigabytes * GIGABYTE)
        monkeypatch.setattr(torch.version, "cuda", "13.0")
        for name, answer in {
            "is_available": lambda: True,
            "device_count": lambda: 1,
            "get_device_properties": lambda _device: card,
            "get_device_name": lambda _device: self.name,
            "get_device_capability": lambda _device: self.capability,
        }.items():
            monkeypatch.setattr(torch.cuda, name, answer)
        monkeypatch.setattr(torch, "ones", self._try)

    def _try(self, size: int, device: str) -> Any:
        assert device.startswith("cuda")
        if self.refusal:
            raise RuntimeError(self.refusal)
        return torch.zeros(size) + 1


def machine(monkeypatch: pytest.MonkeyPatch, **differences: Any) -> Machine:
    machine = Machine()
    for name, value in differences.items():
        setattr(machine, name, value)
    machine.install(monkeypatch)
    return machine


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
    machine(monkeypatch)
    monkeypatch.setattr(devices, "available_devices", lambda: available)
    monkeypatch.setattr(devices, "has_fast_bf16", lambda: True)
    placement = choose_placement(wanted)
    assert (placement.device.type, placement.precision.value) == (device, precision)
    assert placement.notice == ""
    monkeypatch.setattr(devices, "has_fast_bf16", lambda: False)
    if device == "cpu":
        assert choose_placement(wanted).precision is Precision.FP32


@pytest.mark.parametrize(
    ("name", "capability", "precision"),
    [
        ("NVIDIA GeForce RTX 4090", (8, 9), "fp16"),
        ("NVIDIA GeForce RTX 2060", (7, 5), "fp16"),
        ("NVIDIA GeForce GTX 1660 SUPER", (7, 5), "fp32"),
        ("NVIDIA GeForce GTX 1080", (6, 1), "fp32"),
    ],
)
def test_half_precision_where_the_card_is_good_at_it(
    monkeypatch, name, capability, precision
) -> None:
    machine(monkeypatch, name=name, capability=capability)
    placement = choose_placement()
    assert placement.precision.value == precision
    assert placement.label == f"{name}, {precision}"
    assert choose_placement("cuda", "fp16").precision is Precision.FP16


def test_bf16_where_the_device_knows_it(monkeypatch) -> None:
    machine(monkeypatch)
    assert choose_placement("cuda:0", "bf16").precision is Precision.BF16
    machine(monkeypatch, name="NVIDIA GeForce RTX 2060", capability=(7, 5))
    with pytest.raises(ReportedError, match="'cuda' does not know bf16") as caught:
        choose_placement("cuda", "bf16")
    assert "fp16" in caught.value.hint
    monkeypatch.setattr(devices, "available_devices", lambda: ["mps", "cpu"])
    monkeypatch.setattr(torch.backends.mps, "is_macos_or_newer", lambda *_version: False)
    with pytest.raises(ReportedError, match="'mps' does not know bf16"):
        choose_placement("mps", "bf16")


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        ({"name": "NVIDIA GeForce MX150", "gigabytes": 2.0}, "MX150 has 2.0 GB of memory"),
        ({"refusal": NO_IMAGE}, "no code for this NVIDIA card"),
        ({"refusal": OLD}, "driver is too old"),
        (
            {"refusal": "CUDA error: all CUDA-capable devices are busy or unavailable\nmore"},
            "does not work: CUDA error: all CUDA-capable devices are busy or unavailable.",
        ),
    ],
)
def test_a_card_that_cannot_be_used_is_passed_over_and_told(monkeypatch, differences, said) -> None:
    machine(monkeypatch, **differences)
    placement = choose_placement()
    assert placement.device.type == "cpu"
    assert said in placement.notice


def test_who_asks_for_a_small_card_gets_it(monkeypatch) -> None:
    machine(monkeypatch, gigabytes=2.0)
    assert choose_placement("cuda").device.type == "cuda"


def test_who_asks_for_a_broken_card_is_told(monkeypatch) -> None:
    machine(monkeypatch, refusal=NO_IMAGE)
    with pytest.raises(ReportedError, match="no code for this NVIDIA card") as caught:
        choose_placement("cuda")
    assert "CPU" in caught.value.hint


def test_an_old_driver_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch complains once, at the first question, and is asked more often."""
    assert torch.version.cuda is not None or devices.driver_problem() == ""
    devices._started_cuda.cache_clear()
    asked = []

    def complain() -> bool:
        if not asked:
            warnings.warn(OLD, stacklevel=1)
        asked.append(True)
        return False

    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", complain)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for _ in range(2):
        placement = choose_placement()
        assert placement.device.type == "cpu"
        assert "driver is too old" in placement.notice
    with pytest.raises(ReportedError, match="driver is too old") as caught:
        choose_placement("cuda")
    assert "CPU" in caught.value.hint


def test_absent_devices_and_unknown_names_are_errors(monkeypatch) -> None:
    monkeypatch.setattr(devices, "available_devices", lambda: ["cpu"])
    with pytest.raises(ReportedError, match="'cuda' is not available") as caught:
        choose_placement("cuda")
    assert caught.value.hint
    with pytest.raises(ReportedError, match="Unknown device 'tpu'"):
        choose_placement("tpu")
    with pytest.raises(ReportedError, match="Unknown precision 'int4'"):
        choose_placement("cpu", "int4")
    machine(monkeypatch)
    monkeypatch.setattr(devices, "available_devices", lambda: ["cuda", "cpu"])
    with pytest.raises(ReportedError, match="'cuda:1' is not available"):
        choose_placement("cuda:1")


def test_float32_keeps_its_digits_on_cuda(monkeypatch) -> None:
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    owners = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [owner.allow_tf32 for owner in owners]
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    try:
        for owner in owners:
            owner.allow_tf32 = True
        use_device(Placement(torch.device("cpu"), Precision.FP32))
        assert all(owner.allow_tf32 for owner in owners)
        use_device(Placement(torch.device("cuda:1"), Precision.FP16))
        assert not any(owner.allow_tf32 for owner in owners)
        assert torch.backends.cudnn.benchmark
        use_device(Placement(torch.device("cuda:1"), Precision.FP32))
        assert not torch.backends.cudnn.benchmark
    finally:
        for owner, value in zip(owners, before, strict=True):
            owner.allow_tf32 = value
    assert chosen == [torch.device("cuda:1")] * 2
