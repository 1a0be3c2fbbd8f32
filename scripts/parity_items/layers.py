"""layer_stats.json: mean, deviation and eight samples of every submodule on the drawn inputs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor, nn

from .golden import Golden, Row
from .networks import run

NETWORKS = {
    "F": "appearance_feature_extractor",
    "M": "motion_extractor",
    "W": "warping_module",
    "G": "spade_generator",
}
# Relative to the layer's deviation: rounding grows with depth, a wrong layer is off by 1e-2.
TOLERANCE = 2e-4
SAMPLE_COUNT = 8


def rows(golden: Golden) -> Iterator[Row]:
    """One row per network: its worst layer, named."""
    for letter, recorded in (golden.table("layer_stats.json") or {}).items():
        network = golden.network(NETWORKS[letter])
        with _Recorder(network, set(recorded)) as recorder:
            run(golden, NETWORKS[letter], *_inputs(golden, letter))
        errors = {path: _error(recorder.seen.get(path), stats) for path, stats in recorded.items()}
        worst = max(errors, key=lambda path: errors[path])
        missed = [path for path, error in errors.items() if not error <= TOLERANCE]
        note = f"{len(errors)} layers, worst {worst}"
        if missed:
            note += f", first wrong {missed[0]}"
        yield Row(f"layers/{letter}", errors[worst], TOLERANCE, note)


def _inputs(golden: Golden, letter: str) -> list[np.ndarray]:
    if letter == "W":
        recorded = golden.arrays("networks.npz")
        volume = golden.draw("W.feature_3d", (1, 32, 16, 64, 64))
        return [volume, *(recorded[f"W/rand/in_kp_{x}"] for x in ("driving", "source"))]
    if letter == "G":
        return [golden.draw("G.feature", (1, 256, 64, 64))]
    image = golden.image("rand")
    return [] if image is None else [image]


class _Recorder:
    """Keeps statistics of the outputs of some submodules while its network runs."""

    def __init__(self, network: nn.Module, paths: set[str]) -> None:
        self.seen: dict[str, list] = {}
        self._handles = []
        for path in paths:
            # The official block passes its residual through a module that does nothing at
            # inference; ours has no such module, so its input is moved to channels first here.
            is_residual = path.endswith(".drop_path")
            name = path.removesuffix("drop_path") + "pwconv2" if is_residual else path
            hook = self._hook(path, is_residual)
            self._handles.append(network.get_submodule(name).register_forward_hook(hook))

    def _hook(self, path: str, is_residual: bool):
        def record(_module: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor):
                self.seen[path] = _stats(output.permute(0, 3, 1, 2) if is_residual else output)

        return record

    def __enter__(self) -> _Recorder:
        return self

    def __exit__(self, *_exception: object) -> None:
        for handle in self._handles:
            handle.remove()


def _stats(output: Tensor) -> list:
    values = output.cpu().double().flatten()
    step = max(1, values.numel() // (SAMPLE_COUNT - 1))
    deviation = values.std().item() if values.numel() > 1 else float("nan")
    samples = values[::step][:SAMPLE_COUNT].tolist()
    return [list(output.shape), values.mean().item(), deviation, samples]


def _error(ours: list | None, recorded: list) -> float:
    """Largest difference in units of the layer's deviation (at least of 1e-3)."""
    if ours is None or ours[0] != recorded[0]:
        return np.inf
    flat = [np.array([x[1], x[2], *x[3]], np.float64) for x in (ours, recorded)]
    # A single value has no deviation; both sides say NaN.
    flat = [np.nan_to_num(x, nan=1.0) for x in flat]
    scale = max(float(flat[1][1]), 1e-3)
    return float(np.abs(flat[0] - flat[1]).max()) / scale
