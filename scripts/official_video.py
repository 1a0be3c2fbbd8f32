"""Faces along a video as the official cropper follows them, for parity.

A face that was found is followed for ever, whatever a cut shows instead; the product's own tracks
know cuts and losses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from engine.liveportrait.crop import (
    DRIVING_CROP,
    SOURCE_CROP,
    CropOptions,
    FaceCrop,
    crop_box,
    crop_face,
    mean_box,
    transform_points,
    upright_box,
)
from engine.liveportrait.landmarks203 import Landmarks203
from engine.liveportrait.quirks import SENSIBLE, Quirks

# Landmarks of the chosen face in a first frame, or None where there is no face.
FindLandmarks = Callable[[np.ndarray], np.ndarray | None]


@dataclass(frozen=True)
class VideoFrame:
    """One frame with a face.

    index      of the frame in the video
    crop       the crop and its place
    landmarks  (203, 2) in the crop's pixels
    """

    index: int
    crop: FaceCrop
    landmarks: np.ndarray


def track(
    frames: Iterable[np.ndarray], find: FindLandmarks, locate: Landmarks203
) -> list[tuple[int, np.ndarray]]:
    """(index, (203, 2) picture points) per frame; frames before the first face are left out."""
    found: list[tuple[int, np.ndarray]] = []
    previous: np.ndarray | None = None
    for index, frame in enumerate(frames):
        start = find(frame) if previous is None else previous
        if start is None:
            continue
        previous = locate.locate(frame, start)
        found.append((index, previous))
    return found


def crop_source_video(
    frames: list[np.ndarray],
    find: FindLandmarks,
    locate: Landmarks203,
    options: CropOptions = SOURCE_CROP,
    quirks: Quirks = SENSIBLE,
) -> list[VideoFrame]:
    """Each frame in its own upright crop, set by its 203 points; the crop image is 512 px."""
    result: list[VideoFrame] = []
    for index, points in track(frames, find, locate):
        crop = crop_face(frames[index], points, options, quirks=quirks)
        landmarks = transform_points(points, crop.image_to_crop)
        result.append(VideoFrame(index, crop, landmarks))
    return result


def crop_driving_video(
    frames: list[np.ndarray],
    find: FindLandmarks,
    locate: Landmarks203,
    options: CropOptions = DRIVING_CROP,
    quirks: Quirks = SENSIBLE,
) -> list[VideoFrame]:
    """Every frame in the same unrotated crop, the mean of all frames' boxes."""
    tracked = track(frames, find, locate)
    if not tracked:
        return []
    boxes = [upright_box(points, options, quirks=quirks) for _, points in tracked]
    box = mean_box(np.array(boxes))
    result: list[VideoFrame] = []
    for index, points in tracked:
        crop = crop_box(frames[index], box, options.size)
        landmarks = transform_points(points, crop.image_to_crop)
        result.append(VideoFrame(index, crop, landmarks))
    return result


def landmarks_of_cropped_video(
    frames: Iterable[np.ndarray], find: FindLandmarks, locate: Landmarks203
) -> np.ndarray:
    """(T, 203, 2) points of frames that are crops already; raises ValueError without a face."""
    frames = list(frames)
    tracked = track(frames, find, locate)
    if len(tracked) != len(frames):
        raise ValueError("no face in the first frame")
    return np.stack([points for _, points in tracked])


def needs_driving_crop(frame: np.ndarray, *, is_wanted: bool = False) -> bool:
    """Whether a driving video is cropped: on wish, and always when it is not square."""
    return is_wanted or frame.shape[0] != frame.shape[1]
