"""A model set made of arithmetic: its "networks" shift the picture by how far keypoints move."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from engine.liveportrait.model_set import Decoded

POINTS = 21


def identity_grid() -> np.ndarray:
    """(16, 64, 64, 3) W's sampling grid of an unmoved face."""
    z, y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in (16, 64, 64))
    grid = np.empty((16, 64, 64, 3), np.float32)
    grid[..., 0], grid[..., 1] = x[None, None, :], y[None, :, None]
    grid[..., 2] = z[:, None, None]
    return grid


class FakeModelSet:
    """Stitching moves x and y by `stitching_shift`; ratios move one keypoint's y each.

    The decoded picture is the source shifted by the mean keypoint offset (half crop widths) and
    `brightness` added. `calls` counts what ran.
    """

    def __init__(self, name: str = "human", stitching_shift: float = 0.0) -> None:
        self.name = name
        self.label = "Arithmetic, fp32"
        self.placed = {"device": "Arithmetic", "device_class": "cpu", "precision": "fp32"}
        self.notices: list[str] = []
        self.batch_size = 1
        self.stitching_shift = stitching_shift
        self.brightness = 0.0
        self.calls: dict[str, list[int]] = {"motion": [], "features": [], "decode": []}
        self.seen: list[np.ndarray] = []

    def extract_motion(self, images: np.ndarray) -> dict[str, np.ndarray]:
        self.calls["motion"].append(len(images))
        self.seen.append(images)
        count = len(images)
        grid = np.linspace(-0.3, 0.3, POINTS * 3, dtype=np.float32).reshape(POINTS, 3)
        keypoints = np.sin(7 * grid) * 0.3
        heads = {
            "kp": np.tile(keypoints.reshape(1, -1), (count, 1)),
            "exp": np.zeros((count, 63)),
            "t": np.zeros((count, 3)),
            "scale": np.full((count, 1), 1.5),
        }
        bins = np.zeros((count, 66))
        # 0 degrees lie half way between two bins.
        bins[:, 32:34] = 40.0
        return {k: v.astype(np.float32) for k, v in heads.items()} | {
            name: bins.astype(np.float32) for name in ("pitch", "yaw", "roll")
        }

    def extract_features(self, image: np.ndarray) -> Any:
        self.calls["features"].append(len(image))
        return cv2.resize(image[0], (512, 512), interpolation=cv2.INTER_LINEAR)

    def gathered(self, features: Any) -> Any:
        return list(features)

    def decode(self, features: Any, x_source: np.ndarray, x_driving: np.ndarray) -> Decoded:
        self.calls["decode"].append(len(x_driving))
        images, deformations = [], []
        many = features if isinstance(features, list) else [features] * len(x_driving)
        starts = np.broadcast_to(x_source, x_driving.shape)
        for features, start, points in zip(many, starts, x_driving, strict=True):
            shift = (points - start).mean(axis=0)[:2]
            matrix = np.array([[1, 0, 256 * shift[0]], [0, 1, 256 * shift[1]]], np.float64)
            moved = cv2.warpAffine(
                features, matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE
            )  # fmt: skip
            images.append(np.clip(moved + self.brightness, 0, 1))
            grid = identity_grid()
            grid[..., :2] -= shift.astype(np.float32)
            deformations.append(grid)
        return Decoded(np.stack(images), np.stack(deformations))

    def stitching(self, x_source: np.ndarray, x_driving: np.ndarray) -> np.ndarray:
        offsets = np.zeros((len(x_driving), 65), np.float32)
        offsets[:, 63:] = self.stitching_shift
        return offsets

    def eye_retargeting(self, x_source: np.ndarray, ratios: np.ndarray) -> np.ndarray:
        """y of keypoint 11 by the wanted opening minus the mean of the source's."""
        return self._one_offset(11, ratios[:, 2] - ratios[:, :2].mean(axis=1))

    def lip_retargeting(self, x_source: np.ndarray, ratios: np.ndarray) -> np.ndarray:
        """y of keypoint 19 by the wanted opening minus the source's."""
        return self._one_offset(19, ratios[:, 1] - ratios[:, 0])

    @staticmethod
    def _one_offset(keypoint: int, amount: np.ndarray) -> np.ndarray:
        offsets = np.zeros((len(amount), 63), np.float32)
        offsets[:, 3 * keypoint + 1] = amount
        return offsets
