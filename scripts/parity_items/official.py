"""What the official pipeline does around the networks and the product does in another way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

from engine.controls import slider_expression
from engine.liveportrait.crop import CROP_SIZE
from engine.liveportrait.paste_back import feather_mask
from engine.motion import Motion


def official_mask(crop_to_image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The seam mask (H, W, 1) float32 with the official 8-bit steps, for parity."""
    template = np.floor(255 * feather_mask().astype(np.float64)).astype(np.uint8)
    height, width = shape
    mask = cv2.warpAffine(template, crop_to_image[:2], (width, height), flags=cv2.INTER_LINEAR)
    return mask[..., None].astype(np.float32) / 255


def official_paste_back(
    face: np.ndarray, crop_to_image: np.ndarray, image: np.ndarray
) -> np.ndarray:
    """Paste an 8-bit RGB face crop over an 8-bit RGB picture as the official code does."""
    height, width = image.shape[:2]
    mask = official_mask(crop_to_image, (height, width))
    warped = cv2.warpAffine(face, crop_to_image[:2], (width, height), flags=cv2.INTER_LINEAR)
    return np.clip(mask * warped + (1 - mask) * image, 0, 255).astype(np.uint8)


def comparison_strip(tiles: list[np.ndarray], size: int = CROP_SIZE) -> np.ndarray:
    """Pictures side by side, each scaled to size x size: (size, N * size, C)."""
    return np.concatenate([cv2.resize(tile, (size, size)) for tile in tiles], axis=1)


def limit_size(image: np.ndarray, longest: int = 1280, multiple: int = 2) -> np.ndarray:
    """The official pipeline's source: longer side at most `longest`, sides cut to `multiple`.

    Our pictures keep their size, since just the crop meets the networks.
    """
    height, width = image.shape[:2]
    if max(height, width) > longest:
        if height > width:
            width, height = int(width * (longest / height)), longest
        else:
            height, width = int(height * (longest / width)), longest
        image = cv2.resize(image, (width, height))
    return image[: height - height % multiple or height, : width - width % multiple or width]


@dataclass(frozen=True)
class SliderPose:
    """Positions of the image retargeting sliders.

    pitch, yaw, roll  degrees added to the source's
    scale       factor on the source's scale (mov_z)
    expression  raw values by the slider names of engine.controls.SLIDERS
    eye_ratio, lip_ratio  wanted opening ratios; None, or the source's own, leaves them alone
    """

    pitch: float = 0.0
    yaw: float = 0.0
    roll: float = 0.0
    scale: float = 1.0
    expression: Mapping[str, float] = field(default_factory=dict)
    eye_ratio: float | None = None
    lip_ratio: float | None = None


def slider_motion(pose: SliderPose) -> Motion:
    """The sliders as a Motion. Raises KeyError for a slider that does not exist."""
    return Motion(
        pitch=pose.pitch,
        yaw=pose.yaw,
        roll=pose.roll,
        scale=pose.scale,
        expression=tuple(slider_expression(pose.expression)),
        eyes_open=pose.eye_ratio,
        lips_open=pose.lip_ratio,
    )
