"""The bench of the networks on a card that is not there: which variants, what is counted."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the networks need torch")
pytest.importorskip("safetensors", reason="safetensors is missing")

from conftest import ROOT  # noqa: E402
from fakes.pretended_device import pretended_device  # noqa: E402

from engine.networks import fast_decoders  # noqa: E402
from engine.networks.devices import Placement, Precision  # noqa: E402

CARDS = {"cuda": "cuda:0", "mps": "mps:0"}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import bench_neural

    return bench_neural


def placed(device: str, precision: str) -> Placement:
    return Placement(torch.device(CARDS.get(device, device)), Precision(precision))


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_every_variant_of_a_card_is_measured(
    bench: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    device: str,
) -> None:
    waited: list[bool] = []
    monkeypatch.setattr(bench, "choose_placement", placed)
    monkeypatch.setattr(bench, "difference", lambda _image, _reference: (60.0, 1e-3))
    monkeypatch.setattr(bench, "_synchronise", lambda: waited.append(True))
    monkeypatch.setattr(bench, "RESULT", bench.ROOT / tmp_path / "bench-neural.json")
    # What a graph or a compiler hides from the counter, a part without operators hides as well.
    monkeypatch.setattr(fast_decoders, "graphed_part", hidden)
    monkeypatch.setattr(fast_decoders, "compiled_part", hidden)
    monkeypatch.setattr(bench, "build_networks", untouched_networks)
    monkeypatch.setattr(
        bench, "build_scene", lambda networks, place, _kind: scene(bench, networks, place)
    )
    with pretended_device():
        results = bench.measure(device, 2)
    fast = {name for name in results if name.startswith("fast")}
    wanted = {"fast-fp32", "fast-fp16"} if device == "mps" else {
        "fast-fp32", "fast-fp16-none", "fast-fp16-graphs", "fast-fp16-compile"
    }  # fmt: skip
    assert fast == wanted
    gflop = {round(results[name].gflop) for name in fast}
    assert len(gflop) == 1
    assert 0.5 * results["plain-fp32"].gflop < gflop.pop() < 0.9 * results["plain-fp32"].gflop
    frames = len(results) * (1 + 2)
    assert len(waited) >= frames, "a frame was timed before the card had finished it"
    output = capsys.readouterr().out
    assert "7.59" in output
    assert "spade_generator" in output


def hidden(module: Any, *_arguments: Any) -> Callable[..., Any]:
    """A part that shows no operators while it runs, as recorded graphs do."""
    shapes = {
        "MotionHourglass": ((22, 16, 64, 64), (1, 64, 64)),
        "FastWarpedFeatures": ((256, 64, 64),),
        "FastGenerator": ((3, 512, 512),),
    }[type(module).__name__]

    def run(*inputs: Any) -> Any:
        like = inputs[0]
        return tuple(like.new_zeros(len(like), *shape) for shape in shapes)

    return run


def untouched_networks() -> dict[str, Any]:
    from engine.networks.checkpoints import BUILDERS

    networks = {}
    for key, build in BUILDERS.items():
        with torch.device("meta"):
            network = build()
        networks[key] = network.to_empty(device="cpu").eval().requires_grad_(False)
    return networks


def scene(bench: Any, networks: dict[str, Any], place: Any) -> Any:
    shapes = [(1, 3, 256, 256), (1, 32, 16, 64, 64), (1, 21, 3), (1, 21, 3)]
    return bench.Scene(networks, *(torch.zeros(x, device=CARDS[place.type]) for x in shapes))


def test_memory_of_a_card_is_asked_of_the_card(
    bench: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    decoder = SimpleNamespace(prepare=lambda _volume: None)
    monkeypatch.setattr(bench, "build_networks", dict)
    monkeypatch.setattr(bench, "build_scene", lambda *_arguments: SimpleNamespace(volume=None))
    monkeypatch.setattr(bench, "variants", lambda _device: {"one": lambda _scene: decoder})
    monkeypatch.setattr(bench, "run_frame", lambda *_arguments: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 5 * 2**20)
    bench.print_own_memory("one", "cuda")
    assert float(capsys.readouterr().out) == 5.0


def test_the_file_of_figures(bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench, "RESULT", tmp_path / "build/bench-neural.json")
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    plain = bench.Result([2.0, 1.0], [4.0, 4.0], 1234.0, dict.fromkeys(bench.PICTURES, math.inf))
    psnr = dict(zip(bench.PICTURES, (49.0, 48.123), strict=True))
    fast = bench.Result([0.5, 0.6], [1.0, 3.0], 876.04, psnr, 0.25)
    bench.write_json({"plain-fp32": plain, "fast": fast})
    figures = json.loads((tmp_path / "build/bench-neural.json").read_text(encoding="utf-8"))
    assert figures["plain-fp32"]["psnr"] == 200.0
    assert figures["fast"]["psnr"] == 48.12, "the worse of the two pictures counts"
    assert figures["fast"]["ratio"] == 2.0
    assert figures["fast"]["cpu_ratio"] == 2.0
    assert (figures["fast"]["gflop"], figures["fast"]["max_abs"]) == (876.0, 0.25)
