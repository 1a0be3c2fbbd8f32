"""Speed of the networks: the fast path against the plain one, alternated in one run.

    python scripts/bench_neural.py [--device auto|cpu|cuda|mps] [--repeats 3] [--threads 2]

Weights are synthetic (scripts/scheme_weights.py): time and memory do not depend on them, and the
accuracy columns hold for numbers of healthy size. Prints ms and CPU seconds per frame of W and G,
torch's count of arithmetic, peak memory of a process that loads and runs one variant, and the
difference from the plain networks on two pictures, a smooth one and noise, the worse of which
counts; writes build/bench-neural.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from peak_memory import own_peak_mb
from scheme_weights import draw, read_shapes, scheme_weights
from torch import Tensor, nn
from torch.nn import functional as fn
from torch.utils.flop_counter import FlopCounterMode

from engine.networks.checkpoints import fill_network
from engine.networks.decoders import Decoder, PlainDecoder, decode_frames
from engine.networks.devices import choose_placement, has_fast_bf16, use_device
from engine.networks.fast_decoders import fast_decoder
from engine.networks.memory import release_memory
from engine.networks.openvino_parts import has_openvino
from engine.performance.geometry import KeypointMotion

ROOT = Path(__file__).resolve().parent.parent
SHAPES = ROOT / "tests/data/golden/state_dict_keys.json"
RESULT = ROOT / "build/bench-neural.json"
SEED = "bench"
# LivePortrait's own table: RTX 4090, half precision, torch.compile. W and G make 12.8 ms.
PUBLISHED_MS = {
    "appearance_feature_extractor": 0.82,
    "motion_extractor": 0.84,
    "warping_module": 5.21,
    "spade_generator": 7.59,
    "stitching_retargeting_module": 0.31,
}
# What the table of single networks shows, best first.
REPRESENTATIVES = ("fast-fp16-graphs", "fast-bf16", "fast-fp32")


Networks = dict[str, nn.Module]
_BEGAN = time.monotonic()
# Smooth like a photograph, or noise, which excites the networks more than any face does.
PICTURES = ("smooth", "noise")
PLAIN = "plain-fp32"


@dataclass
class Scene:
    """Networks, one source and one driving pose, all on the device."""

    networks: Networks
    image: Tensor
    volume: Tensor
    kp_source: Tensor
    kp_driving: Tensor


@dataclass
class Result:
    """Measurements of one variant."""

    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    gflop: float = 0.0
    psnr: dict[str, float] = field(default_factory=dict)
    max_abs: float = 0.0
    memory_mb: float = 0.0


def build_networks() -> Networks:
    """All networks with drawn weights, on the CPU."""
    return {
        name: fill_network(
            name,
            {k: torch.from_numpy(a) for k, a in scheme_weights(SEED, name, keys).items()},
            name,
        )
        for name, keys in read_shapes(SHAPES).items()
    }


def draw_picture(kind: str) -> Tensor:
    """One of PICTURES, (1, 3, 256, 256) RGB 0..1."""
    size = 12 if kind == "smooth" else 256
    drawn = torch.from_numpy(draw(SEED, "input", "image", (1, 3, size, size)).astype(np.float32))
    return fn.interpolate(0.25 * drawn + 0.5, size=(256, 256), mode="bicubic").clamp(0, 1)


def build_scene(networks: Networks, device: torch.device, picture: str = "smooth") -> Scene:
    """The driving pose turns the head and opens the mouth a bit; networks still on the CPU."""
    image = draw_picture(picture)
    with torch.inference_mode():
        volume = networks["appearance_feature_extractor"](image)
        heads = networks["motion_extractor"](image)
    motion = KeypointMotion.from_heads({k: v.numpy() for k, v in heads.items()})
    turned = KeypointMotion(
        motion.keypoints,
        motion.expression + 0.01 * draw(SEED, "input", "expression", (1, 21, 3)),
        motion.pitch + 4,
        motion.yaw + 10,
        motion.roll - 3,
        motion.translation,
        motion.scale,
    )
    points = (torch.from_numpy(m.points.astype(np.float32)) for m in (motion, turned))
    return Scene(networks, image.to(device), volume.to(device), *(p.to(device) for p in points))


def variants(device: str) -> dict[str, Callable[[Scene], Decoder]]:
    """{name: builder}; the first is the yardstick."""

    def fast(precision: str, acceleration: str) -> Callable[[Scene], Decoder]:
        placement = choose_placement(device, precision)
        return lambda scene: fast_decoder(
            scene.networks["warping_module"],
            scene.networks["spade_generator"],
            placement,
            acceleration,
            folder=RESULT.parent,
        )

    def plain(scene: Scene) -> Decoder:
        place = torch.device(device)
        warping = scene.networks["warping_module"].to(place)
        return PlainDecoder(warping, scene.networks["spade_generator"].to(place))

    table: dict[str, Callable[[Scene], Decoder]] = {PLAIN: plain}
    if device == "cuda":
        table["fast-fp32"] = fast("fp32", "none")
        for name in ("none", "graphs", "compile"):
            table[f"fast-fp16-{name}"] = fast("fp16", name)
    elif device == "cpu" and has_openvino():
        table["fast-fp32"] = fast("fp32", "openvino")
        if has_fast_bf16():
            table["fast-bf16"] = fast("bf16", "openvino")
        table["torch-fp32"] = fast("fp32", "none")
    else:
        table["fast-fp32"] = fast("fp32", "none")
        if device == "mps":
            table["fast-fp16"] = fast("fp16", "none")
    return table


def tell(text: str) -> None:
    """One line of progress, with the minutes since the start."""
    minutes, seconds = divmod(int(time.monotonic() - _BEGAN), 60)
    print(f"[{minutes}:{seconds:02d}] {text}", file=sys.stderr, flush=True)


def run_frame(decoder: Decoder, prepared: object, scene: Scene) -> Tensor:
    """One frame, finished when this returns."""
    with torch.inference_mode():
        image = decode_frames(decoder, prepared, scene.kp_source, scene.kp_driving).image
    _synchronise()
    return image


def measure(device: str, repeats: int) -> dict[str, Result]:
    """Build every variant, then run them in turns."""
    tell("drawing weights")
    networks = build_networks()
    scenes = {kind: build_scene(networks, torch.device(device), kind) for kind in PICTURES}
    scene = scenes[PICTURES[0]]
    table = variants(device)
    # Fast decoders fold weights on the CPU, so the plain one moves them to the device last.
    decoders: dict[str, Decoder] = {}
    for name in reversed(table):
        tell(f"building {name}")
        decoders[name] = table[name](scene)
    results = {name: Result() for name in table}
    for kind in reversed(PICTURES):
        tell(f"comparing on the picture '{kind}'")
        compare(decoders, scenes[kind], kind, results)
    # What the last comparison prepared belongs to the first picture, which is timed.
    prepared = {name: prepare(decoder, scene) for name, decoder in decoders.items()}
    # All fast variants do the same arithmetic; graphs, compilers and OpenVINO hide it.
    eager = "torch-fp32" if "torch-fp32" in table else "fast-fp32"
    gflop = {name: count_gflop(decoders[name], prepared[name], scene) for name in (PLAIN, eager)}
    for name in table:
        results[name].gflop = gflop[PLAIN if name == PLAIN else eager]
    for turn in range(repeats):
        for name in table:
            tell(f"turn {turn + 1} of {repeats}: {name}")
            wall, cpu = time.perf_counter(), time.process_time()
            run_frame(decoders[name], prepared[name], scene)
            results[name].seconds.append(time.perf_counter() - wall)
            results[name].cpu_seconds.append(time.process_time() - cpu)
    tell("timing single networks")
    built = {name: (decoders[name], prepared[name]) for name in table}
    print_modules(scene, built, device, repeats)
    return results


def prepare(decoder: Decoder, scene: Scene) -> object:
    with torch.inference_mode():
        return decoder.prepare(scene.volume)


def compare(
    decoders: dict[str, Decoder], scene: Scene, picture: str, results: dict[str, Result]
) -> None:
    """The difference of every variant from the plain networks on one picture."""
    plain = decoders[PLAIN]
    reference = run_frame(plain, prepare(plain, scene), scene)
    for name, decoder in decoders.items():
        image = run_frame(decoder, prepare(decoder, scene), scene)
        psnr, max_abs = difference(image, reference)
        results[name].psnr[picture] = psnr
        results[name].max_abs = max(results[name].max_abs, max_abs)


def difference(image: Tensor, reference: Tensor) -> tuple[float, float]:
    """PSNR in dB (peak 1) and the largest absolute difference."""
    # On the CPU: Apple's devices have no float64.
    delta = (image.cpu().double() - reference.cpu().double()).abs()
    mse = float(delta.square().mean())
    return (float("inf") if mse == 0 else -10 * float(np.log10(mse))), float(delta.max())


def count_gflop(decoder: Decoder, prepared: object, scene: Scene) -> float:
    """torch's count of one frame, 2 per multiply-add."""
    with FlopCounterMode(display=False) as counter:
        run_frame(decoder, prepared, scene)
    return counter.get_total_flops() / 1e9


def print_modules(
    scene: Scene, decoders: dict[str, tuple[Decoder, object]], device: str, repeats: int
) -> None:
    """Milliseconds of each network; W and G as this device runs them by default."""
    name = next(name for name in REPRESENTATIVES if name in decoders)
    decoder, prepared = decoders[name]
    others = {key: network.to(device) for key, network in scene.networks.items()}
    pair = scene.kp_source, scene.kp_driving
    with torch.inference_mode():
        features = decoder.warp(prepared, *pair).features
    calls: dict[str, Callable[[], object]] = {
        "appearance_feature_extractor": lambda: others["appearance_feature_extractor"](scene.image),
        "motion_extractor": lambda: others["motion_extractor"](scene.image),
        "warping_module": lambda: decoder.warp(prepared, *pair),
        "spade_generator": lambda: decoder.generate(features),
        "stitching_retargeting_module": lambda: others["stitching_retargeting_module"].stitching(
            *pair
        ),
    }
    print(f"\n{'network (W and G: ' + name + ')':<44} {'ms':>9}   published, RTX 4090")
    for key, call in calls.items():
        print(f"{key:<44} {milliseconds(call, repeats):9.2f}   {PUBLISHED_MS[key]:.2f}")


def milliseconds(call: Callable[[], object], repeats: int) -> float:
    """Best of a few calls after one to warm up."""
    times: list[float] = []
    with torch.inference_mode():
        for _ in range(repeats + 1):
            start = time.perf_counter()
            call()
            _synchronise()
            times.append(1e3 * (time.perf_counter() - start))
    return min(times[1:])


def peak_memory_mb(name: str, device: str, threads: int) -> float:
    """Peak of a fresh process that loads and runs one variant: resident, or the card's."""
    command = [sys.executable, __file__, "--device", device, "--memory-of", name]
    output = subprocess.run(
        [*command, "--threads", str(threads)], capture_output=True, text=True, check=True
    ).stdout
    return float(output.split()[-1])


def print_own_memory(name: str, device: str) -> None:
    """The child's half of peak_memory_mb."""
    scene = build_scene(build_networks(), torch.device(device))
    release_memory(torch.device(device))
    decoder = variants(device)[name](scene)
    if name != PLAIN and device == "cpu":
        # As NetworkSet does: the plain W and G can be loaded again.
        for key in ("warping_module", "spade_generator"):
            del scene.networks[key]
        release_memory(torch.device(device))
    with torch.inference_mode():
        prepared = decoder.prepare(scene.volume)
    run_frame(decoder, prepared, scene)
    if device == "cuda":
        print(torch.cuda.max_memory_allocated() / 2**20)
        return
    print(own_peak_mb())


def print_table(results: dict[str, Result]) -> None:
    plain = results[PLAIN]
    head = ("ms/frame", "CPU s", "ratio", "CPU ratio", "GFLOP", "MB", "max abs")
    head += tuple(f"dB {kind}" for kind in PICTURES)
    print(f"\n{'W and G':<18}" + "".join(f"{title:>11}" for title in head))
    for name, result in results.items():
        columns = (
            f"{1e3 * min(result.seconds):.0f}",
            f"{statistics.median(result.cpu_seconds):.2f}",
            f"{ratio(plain, result):.2f}",
            f"{cpu_ratio(plain, result):.2f}",
            f"{result.gflop:.0f}",
            f"{result.memory_mb:.0f}",
            f"{result.max_abs:.1e}",
            *(f"{result.psnr[kind]:.1f}" for kind in PICTURES),
        )
        print(f"{name:<18}" + "".join(f"{column:>11}" for column in columns))


def ratio(plain: Result, result: Result) -> float:
    """How many times faster than the plain networks: best wall clock against best."""
    return min(plain.seconds) / min(result.seconds)


def cpu_ratio(plain: Result, result: Result) -> float:
    """The same in CPU time, which other programs on the machine disturb less."""
    return statistics.median(plain.cpu_seconds) / max(statistics.median(result.cpu_seconds), 1e-9)


def write_json(results: dict[str, Result]) -> None:
    plain = results[PLAIN]
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    table = {
        name: {
            "ratio": round(ratio(plain, result), 3),
            "cpu_ratio": round(cpu_ratio(plain, result), 3),
            "ms": round(1e3 * min(result.seconds), 2),
            "cpu_s": round(statistics.median(result.cpu_seconds), 3),
            "gflop": round(result.gflop, 1),
            "memory_mb": round(result.memory_mb),
            # JSON has no infinity; 200 dB is beyond float32.
            "psnr": round(min(200.0, *result.psnr.values()), 2),
            "psnr_by_picture": {k: round(min(200.0, v), 2) for k, v in result.psnr.items()},
            "max_abs": result.max_abs,
        }
        for name, result in results.items()
    }
    RESULT.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    print(f"\nwrote {RESULT.relative_to(ROOT)}")


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    elif torch.backends.mps.is_available():
        torch.mps.synchronize()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default=os.environ.get("DEVICE", "auto"))
    parser.add_argument("--repeats", type=int, help="default: 3 on a CPU, 30 on a card")
    parser.add_argument("--threads", type=int, default=min(os.cpu_count() or 1, 8))
    parser.add_argument("--no-memory", action="store_true", help="skip the processes per variant")
    parser.add_argument("--memory-of", metavar="VARIANT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    placement = choose_placement(options.device, "fp32")
    device = placement.device.type
    use_device(placement)
    # As NetworkSet has it in half precision, and fair to the plain networks.
    torch.backends.cudnn.benchmark = True
    if options.memory_of:
        print_own_memory(options.memory_of, device)
        return 0
    print(f"torch {torch.__version__} on {placement.label}, {options.threads} CPU threads")
    if device == "cpu" and not has_fast_bf16():
        print("bf16 is left out: this CPU has neither AVX-512 BF16 nor AMX, and would emulate it")
    results = measure(device, options.repeats or (3 if device == "cpu" else 30))
    if not options.no_memory:
        for name, result in results.items():
            tell(f"memory of {name}")
            result.memory_mb = peak_memory_mb(name, device, options.threads)
    print_table(results)
    write_json(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
