"""What the code around the networks needs of them: numpy in, numpy out, one row per frame.

engine/networks implements these protocols with torch; tests implement them with arithmetic.
Pictures are (N, H, W, 3) float32 RGB, display-referred 0..1; keypoints are (N, 21, 3) float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np


class Retargeting(Protocol):
    """S and R. Every method returns float32 offsets; the caller adds them."""

    def stitching(self, x_source: np.ndarray, x_driving: np.ndarray) -> np.ndarray:
        """(N, 65): 63 keypoint offsets, then one shift in x and y for all keypoints."""
        ...

    def eye_retargeting(self, x_source: np.ndarray, ratios: np.ndarray) -> np.ndarray:
        """(N, 63) for ratios (N, 3): source left, source right, wanted."""
        ...

    def lip_retargeting(self, x_source: np.ndarray, ratios: np.ndarray) -> np.ndarray:
        """(N, 63) for ratios (N, 2): source, wanted."""
        ...


class Decoded(NamedTuple):
    """Moved face crops and where W fetched them from.

    images        (N, 512, 512, 3) float32 RGB 0..1
    deformation   (N, 16, 64, 64, 3) sampling grid (x, y, z) in -1..1 over the feature volume
    """

    images: np.ndarray
    deformation: np.ndarray


class ModelSet(Retargeting, Protocol):
    """One loaded set of weights (human or animal) on one device.

    name        "human" or "animal"
    notices     what the user should hear about, each once
    batch_size  frames that `decode` makes at once at best
    """

    name: str
    notices: list[str]
    batch_size: int

    @property
    def label(self) -> str:
        """Device and precision for people, for example "CPU, fp32"."""
        ...

    @property
    def placed(self) -> dict[str, str]:
        """device for people, device_class and precision, as in engine.renderer.Renderer."""
        ...

    def extract_motion(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """M's raw heads of (N, 256, 256, 3) pictures: pitch, yaw, roll (N, 66), kp, exp (N, 63),
        t (N, 3), scale (N, 1)."""
        ...

    def extract_features(self, image: np.ndarray) -> Any:
        """F of one (1, 256, 256, 3) picture, with what W and G can prepare from the source alone.

        The value belongs to the model set and stays on its device; keep it per portrait.
        """
        ...

    def gathered(self, features: Sequence[Any]) -> Any:
        """What F gave of N pictures as one value, for `decode`."""
        ...

    def decode(self, features: Any, x_source: np.ndarray, x_driving: np.ndarray) -> Decoded:
        """W and G: x_source (1, 21, 3), x_driving (N, 21, 3); the set splits large batches.

        Of features that were gathered of N pictures x_source is (N, 21, 3), too: one frame each.
        """
        ...
