"""What a face does that is driven by somebody who does nothing: it should do nothing, too."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from control_sweep import Subject
from drive_pairs import motion_at, render_motion

from engine.clip_reading import performance_of
from engine.clips.facts import ClipFrame
from engine.faces.canonical import STABLE
from engine.faces.find import view_8bit
from engine.own_face import response_of
from engine.take import AUTO, TakeOptions
from engine.taking import make_takes
from engine.tracking.clip_tracks import read_tracks

FRAMES, RATE = 30, 25.0
RENDERED = 10
NOISE, QUALITY = 3.0, 85  # grey levels of a camera's noise; JPEG quality of its pictures
HIGHEST = 1080  # pixels; larger pictures are filmed smaller


class Still(NamedTuple):
    """jitter_px: root mean square of how far points of the face move; scale_sigma: per cent."""

    jitter_px: float
    scale_sigma: float


def measure_still(subject: Subject) -> Still:
    """A picture is filmed for a second, and the same picture does what was filmed."""
    view = view_8bit(subject.image)
    factor = min(1.0, HIGHEST / view.shape[0])
    size = round(view.shape[1] * factor), round(view.shape[0] * factor)
    filmed = cv2.resize(view, size, interpolation=cv2.INTER_AREA)
    rng = np.random.default_rng(0)
    frames = [ClipFrame(row / RATE, _noisy(filmed, rng)) for row in range(FRAMES)]
    tracks = read_tracks(frames)
    if not tracks.performers:
        return Still(float("nan"), float("nan"))
    track = tracks.performers[0]
    performance = performance_of(
        tracks, 0, 0.5, respond=lambda row: response_of(frames[row].image, track, row, _quiet)
    )
    takes = make_takes(performance, [subject.face], TakeOptions(reference=AUTO))
    rows = np.linspace(0, FRAMES - 1, RENDERED).astype(int)
    rendered = [render_motion(subject, motion_at(takes, int(row))) for row in rows]
    places = _followed(rendered, subject.landmarks[list(STABLE), :2])
    offsets = places - places.mean(axis=0)
    jitter = float(np.sqrt((offsets**2).sum(axis=2).mean()))
    scale = float(100.0 * performance.scale.std() / performance.scale.mean())
    return Still(jitter, scale)


def _quiet(_fraction: float, _text: str) -> None:
    pass


def _followed(pictures: list[np.ndarray], points: np.ndarray) -> np.ndarray:
    """(N, P, 2) where (P, 2) points of the first picture are in each (Lucas and Kanade).

    The landmark model would not do: what nobody sees can change its answer by half a pixel.
    """
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures]
    first = points.astype(np.float32)[:, None]
    places = [first[:, 0]]
    for picture in grey[1:]:
        moved, is_found, _ = cv2.calcOpticalFlowPyrLK(grey[0], picture, first, first.copy())
        places.append(np.where(is_found == 1, moved[:, 0], first[:, 0]))
    return np.array(places, np.float64)


def _noisy(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noisy = np.clip(picture + rng.normal(0.0, NOISE, picture.shape), 0, 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
