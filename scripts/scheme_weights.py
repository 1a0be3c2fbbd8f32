"""Synthetic LivePortrait weights drawn from names and a seed, for parity checks without downloads.

Every tensor comes from its own Philox stream keyed by sha256("<seed>:<checkpoint>:<key>"), so any
machine can rebuild the weights behind a folder of recorded numbers. Arithmetic is float64 with one
cast to float32 at the end. The gains keep activations in a healthy range through all layers.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

Shapes = Mapping[str, tuple[int, ...]]

POWER_ITERATIONS = 8
# Motion extractor heads: gain of the weight, mean and deviation of the bias.
HEAD_GAINS = {
    "kp": (0.18, 0.0, 0.12),
    "exp": (0.015, 0.0, 0.004),
    "t": (0.06, 0.0, 0.03),
    "scale": (0.10, 1.3, 0.05),
    "pitch": (1.0, 0.0, 0.3),
    "yaw": (1.0, 0.0, 0.3),
    "roll": (1.0, 0.0, 0.3),
}
LAST_LAYERS = ("6", "10")


def draw(seed: str, checkpoint: str, key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal float64 numbers that belong to this name."""
    digest = hashlib.sha256(f"{seed}:{checkpoint}:{key}".encode()).digest()
    bits = np.random.Philox(int.from_bytes(digest[:8], "little"))
    return np.random.Generator(bits).standard_normal(shape)


def read_shapes(path: Path) -> dict[str, dict[str, tuple[int, ...]]]:
    """{checkpoint: {key: shape}} of a state_dict_keys.json; checkpoints without their .pth."""
    listing = json.loads(path.read_text(encoding="utf-8"))
    return {
        name.removesuffix(".pth"): {key: tuple(shape) for key, shape, _dtype in entries}
        for name, entries in listing.items()
    }


def scheme_tensors(seed: str, checkpoint: str, shapes: Shapes) -> Iterator[tuple[str, np.ndarray]]:
    """(key, array) for every key of one checkpoint, float32 but for the int64 counters."""
    for key, shape in shapes.items():
        if key.endswith("num_batches_tracked"):
            yield key, np.array(1, dtype=np.int64)
        elif key.endswith((".weight_u", ".weight_v")):
            yield key, _as_float32(_spectral_vector(seed, checkpoint, key, shapes))
        else:
            numbers = draw(seed, checkpoint, key, shape)
            yield key, _as_float32(_scaled(checkpoint, key, numbers))


def scheme_weights(seed: str, checkpoint: str, shapes: Shapes) -> dict[str, np.ndarray]:
    """scheme_tensors as a dictionary."""
    return dict(scheme_tensors(seed, checkpoint, shapes))


def _as_float32(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, dtype=np.float32)


def _fan_in(shape: tuple[int, ...]) -> int:
    return math.prod(shape[1:]) if len(shape) > 1 else math.prod(shape)


def _spectral_vector(seed: str, checkpoint: str, key: str, shapes: Shapes) -> np.ndarray:
    parent, _, leaf = key.rpartition(".")
    weight_key = parent + ".weight_orig"
    shape = shapes[weight_key]
    weight = draw(seed, checkpoint, weight_key, shape) / math.sqrt(_fan_in(shape))
    # The checkpoint stores float32, so that is what the iteration must see.
    matrix = weight.astype(np.float32).astype(np.float64).reshape(shape[0], -1)
    u = draw(seed, checkpoint, parent + ".weight_u", (matrix.shape[0],))
    v = np.empty(0)
    for _ in range(POWER_ITERATIONS):
        v = matrix.T @ u
        v /= np.sqrt((v * v).sum())
        u = matrix @ v
        u /= np.sqrt((u * u).sum())
    return u if leaf == "weight_u" else v


def _scaled(checkpoint: str, key: str, n: np.ndarray) -> np.ndarray:
    """The draw `n` brought to the range that suits its role in the network."""
    parent, _, leaf = key.rpartition(".")
    module = parent.rpartition(".")[2]
    if parent.startswith("detector.fc_"):
        gain, mean, deviation = HEAD_GAINS[parent.removeprefix("detector.fc_")]
        if leaf == "bias":
            return mean + deviation * n
        return gain * n / math.sqrt(n.shape[1])
    by_leaf = {
        "running_mean": lambda: 0.1 * n,
        "running_var": lambda: 0.6 + 0.5 * np.abs(n),
        "gamma": lambda: 0.3 * n,
        "beta": lambda: 0.05 * n,
    }
    if leaf in by_leaf:
        return by_leaf[leaf]()
    if leaf == "weight" and n.ndim == 1:
        return 1.0 + 0.1 * n
    if leaf == "bias":
        is_last = checkpoint == "stitching_retargeting_module" and module in LAST_LAYERS
        return (0.002 if is_last else 0.05) * n
    gain = 1.0 if leaf == "weight_orig" else _weight_gain(checkpoint, key, parent, module)
    return gain * n / math.sqrt(_fan_in(n.shape))


def _weight_gain(checkpoint: str, key: str, parent: str, module: str) -> float:
    """Gain of a convolution or linear layer over 1/sqrt(fan in)."""
    default = 1.0 if checkpoint == "motion_extractor" else math.sqrt(2.0)
    if checkpoint == "appearance_feature_extractor" and key.startswith("resblocks_3d"):
        return 0.7
    if checkpoint == "motion_extractor" and module == "dwconv":
        return 1.5
    if checkpoint == "spade_generator" and module in ("mlp_gamma", "mlp_beta"):
        return 0.35
    if checkpoint == "stitching_retargeting_module":
        if module in LAST_LAYERS:
            return 0.02
        return 3.0 if parent.endswith("mlp.0") else default
    exceptions = {
        ("appearance_feature_extractor", "first.conv"): 3.0,
        ("motion_extractor", "detector.downsample_layers.0.0"): 3.0,
        ("warping_module", "dense_motion_network.mask"): 3.0,
        ("warping_module", "dense_motion_network.occlusion"): 2.5,
        ("spade_generator", "conv_img.0"): 0.8,
    }
    return exceptions.get((checkpoint, parent), default)
