"""engine.networks.memory: weights that something has copied take no memory any more."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the networks need torch")

from conftest import ROOT  # noqa: E402
from torch import nn  # noqa: E402

from engine.networks.decoders import PlainDecoder  # noqa: E402
from engine.networks.memory import weights_on_disk  # noqa: E402

MB = 2**20


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MB


def large() -> nn.Module:
    """80 MB of weights, some of them in another type or empty."""
    module = nn.Sequential(nn.Linear(4096, 4096), nn.Linear(2048, 2048).to(torch.bfloat16))
    module.register_buffer("nothing", torch.empty(0))
    module.register_buffer("count", torch.tensor(7))
    return module.requires_grad_(False)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere weights stay in memory")
def test_weights_leave_memory_and_are_there_when_read(tmp_path: Path) -> None:
    module = large()
    wanted = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    before = resident_mb()
    with weights_on_disk(module, tmp_path) as give_back:
        assert not list(tmp_path.iterdir()), "the file has no name"
        assert module[0](torch.ones(4096)).isfinite().all()
        give_back()
    assert before - resident_mb() > 60
    for key, tensor in module.state_dict().items():
        assert tensor.dtype == wanted[key].dtype and torch.equal(tensor, wanted[key]), key


@pytest.mark.parametrize("folder", [None, Path("/nowhere")])
def test_without_a_place_on_disk_weights_stay(folder: Path | None) -> None:
    module = large()
    places = [parameter.data_ptr() for parameter in module.parameters()]
    with weights_on_disk(module, folder):
        pass
    assert [parameter.data_ptr() for parameter in module.parameters()] == places


def test_plain_networks_are_loaded_again_when_needed() -> None:
    pairs: list[Any] = [(object(), object()), (object(), object())]
    loaded = iter(pairs[1:])
    decoder = PlainDecoder(*pairs[0], lambda: next(loaded))
    assert decoder.pair is pairs[0] or decoder.pair == pairs[0]
    decoder.forget()
    assert decoder.pair == pairs[1] and decoder.pair == pairs[1], "once"
    kept = PlainDecoder(*pairs[0])
    kept.forget()
    assert kept.pair == pairs[0], "what cannot be loaded stays"


def test_the_bench_leaves_out_what_a_cpu_would_emulate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("safetensors", reason="safetensors is missing")
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import bench_neural

    monkeypatch.setattr(bench_neural, "has_openvino", lambda: True)
    for is_fast in (True, False):
        monkeypatch.setattr(bench_neural, "has_fast_bf16", lambda: is_fast)  # noqa: B023
        assert ("fast-bf16" in bench_neural.variants("cpu")) is is_fast
    bench_neural.tell("building fast-fp32")
    assert "building fast-fp32" in capsys.readouterr().err
