"""The cropper group of functions.npz: crops and tracking with stand-ins for the face models."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from official_video import crop_driving_video, crop_source_video, landmarks_of_cropped_video

from engine.liveportrait.crop import crop_face, network_input, transform_points
from engine.liveportrait.landmarks203 import Landmarks203
from engine.liveportrait.quirks import OFFICIAL

from .golden import Golden


class StubNetwork:
    """Answers with a fixed face that drifts with the brightness of what it is shown."""

    def __init__(self, canon_over_224: np.ndarray) -> None:
        self._canon = canon_over_224
        self.inputs: list[np.ndarray] = []

    def __call__(self, blob: np.ndarray) -> list[np.ndarray]:
        self.inputs.append(blob)
        points = (self._canon + 0.02 * (blob.mean() - 0.4)).astype(np.float32)
        return [np.empty(0), np.empty(0), points.ravel()]


def cropper_outputs(_golden: Golden, a: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Crops of the small picture, and of it rolling by as a video."""
    image, found = a["img_small_u8"], a["cropper/in_lmk106"]
    network = StubNetwork(a["cropper/stub_canon_203_over_224"])
    locate = Landmarks203(network)
    frames = [
        np.roll(image, (3 * k, 5 * k), (0, 1)) for k in range(len(a["cropper/source_video/M_c2o"]))
    ]
    crop = crop_face(image, found, quirks=OFFICIAL)
    points = locate.locate(image, found)
    source = crop_source_video(frames, lambda _: found, locate, quirks=OFFICIAL)
    driving = crop_driving_video(frames, lambda _: found, locate, quirks=OFFICIAL)
    return {
        "source_image/M_o2c": crop.image_to_crop,
        "source_image/M_c2o": crop.crop_to_image,
        "source_image/pt_crop": transform_points(found, crop.image_to_crop),
        "source_image/lmk_crop": points,
        # Named after the crop, yet made from picture coordinates; ratios do not care.
        "source_image/lmk_crop_256x256": points * np.float32(256 / 512),
        "source_image/img_crop_256x256_u8": network_input(crop.image),
        "source_image/landmark_net_input_sub": network.inputs[0][:, :, ::4, ::4],
        "source_video/M_c2o": np.stack([frame.crop.crop_to_image for frame in source]),
        "source_video/lmk_crop": np.stack([frame.landmarks for frame in source]) / 2,
        "source_video/frame3_sub_u8": network_input(source[3].crop.image)[::2, ::2],
        "driving_video/lmk_crop": np.stack([frame.landmarks for frame in driving]),
        "driving_video/frame3_sub_u8": driving[3].crop.image[::4, ::4],
        "calc_lmks_from_cropped_video": landmarks_of_cropped_video(frames, lambda _: found, locate),
    }
