"""Which frame of its clip a portrait shows when, as what the drivers of riding faces need."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import bpy
import numpy as np

from .. import compat
from .stills import shown_frame

if TYPE_CHECKING:
    from .portraits import Portrait

# As an image user counts, see stills.shown_frame; Blender evaluates it without Python.
FOLLOWING = "min(max(floor(frame) - {start} + 1, 0), {count}) + {offset}"
CYCLIC = "fmod(fmod(floor(frame) - {start}, {count}) + {count}, {count}) + 1 + {offset}"
# Where the curve of a driver says what is shown at each frame of the scene.
BY_CURVE = "floor(frame)"
# Settings of the plane that decide it, where they can be keyed.
PATH = "keyportrait.portrait.clip."
NAMES = (
    "frame_start",
    "frame_duration",
    "frame_offset",
    "use_cyclic",
    "use_auto_refresh",
    "held_frame",
)
# Further frames of a scene are followed so far only.
_MOST_FRAMES = 200_000

# Of planes by session_uid: what the points came from, and they.
_known: dict[int, tuple[Any, np.ndarray]] = {}


class _Settings:
    """The settings of a clip at one frame of the scene; names as in KEYPORTRAIT_PG_clip."""

    frame_start: int
    frame_duration: int
    frame_offset: int
    use_cyclic: bool
    use_auto_refresh: bool
    held_frame: int


def expression_of(item: Portrait) -> str:
    """The clip's frame as a driver's expression; numbers, as variables would make a cycle of
    dependencies. Where settings are keyed, BY_CURVE: `points_of` are the driver's curve then."""
    settings = item.settings.clip
    if keyed_settings(item.plane):
        return BY_CURVE
    if not settings.use_auto_refresh:
        return str(settings.held_frame)
    is_cyclic = settings.use_cyclic and settings.frame_duration > 0
    text = CYCLIC if is_cyclic else FOLLOWING
    return text.format(
        start=settings.frame_start, count=settings.frame_duration, offset=settings.frame_offset
    )


def keyed_settings(plane: bpy.types.Object) -> dict[str, bpy.types.FCurve]:
    """The curves of the settings that the plane's action animates, by name."""
    animation = plane.animation_data
    if animation is None or animation.action is None:
        return {}
    curves = {curve.data_path: curve for curve in compat.fcurves(plane) if not curve.mute}
    return {name: curves[PATH + name] for name in NAMES if PATH + name in curves}


def points_of(item: Portrait) -> np.ndarray:
    """(N, 2) frames of the scene and the clip's frame then; between them lie straight lines."""
    curves = keyed_settings(item.plane)
    still = {name: getattr(item.settings.clip, name) for name in NAMES}
    frames = _frames(item, curves)
    # Asked for at every edit of any action.
    seen = {name: None if name in curves else value for name, value in still.items()}
    state = frames, seen, [(name, _as_bytes(curve)) for name, curve in curves.items()]
    known = _known.get(item.plane.session_uid)
    if known is None or known[0] != state:
        known = _known[item.plane.session_uid] = state, _points(still, curves, frames)
    return known[1]


def forget() -> None:
    """Another file is open: identities of objects may come again."""
    _known.clear()


def _as_bytes(curve: bpy.types.FCurve) -> bytes:
    """All that decides the values of a curve, but for its modifiers' own settings."""
    points = curve.keyframe_points
    parts = [np.empty(2 * len(points), np.float32) for _ in range(3)]
    for name, part in zip(("co", "handle_left", "handle_right"), parts, strict=True):
        points.foreach_get(name, part)
    kinds = np.empty(len(points), np.int32)
    points.foreach_get("interpolation", kinds)
    more = f"{curve.extrapolation} {[(m.type, m.mute) for m in curve.modifiers]}"
    return b"".join(part.tobytes() for part in (*parts, kinds)) + more.encode()


def _points(
    still: dict[str, Any], curves: dict[str, bpy.types.FCurve], frames: range
) -> np.ndarray:
    values = np.empty(len(frames))
    now = _Settings()
    for index, frame in enumerate(frames):
        for name in NAMES:
            value = still[name]
            if name in curves:
                # As Blender writes the values of curves into whole numbers.
                value = type(value)(int(curves[name].evaluate(frame)))
            setattr(now, name, value)
        values[index] = shown_frame(now, frame) if now.use_auto_refresh else now.held_frame
    bends = np.flatnonzero(np.diff(values, 2)) + 1
    rows = np.unique(np.concatenate([[0], bends, [len(frames) - 1]]))
    return np.column_stack([np.array(frames)[rows], values[rows]])


def _frames(item: Portrait, curves: dict[str, bpy.types.FCurve]) -> range:
    """Frames of the scene until nothing changes any more."""
    settings = item.settings.clip
    ends = [curve.range() for curve in curves.values()]
    first = min(math.floor(end[0]) for end in ends)
    last = max(math.ceil(end[1]) for end in ends)
    starts = [settings.frame_start]
    counts = [settings.frame_duration]
    for name, values in (("frame_start", starts), ("frame_duration", counts)):
        if name in curves:
            values += [math.ceil(point.co.y) for point in curves[name].keyframe_points]
    scenes = item.plane.users_scene
    first = min([first, *starts, *(scene.frame_start for scene in scenes)]) - 1
    last = max([last, max(starts) + max(counts), *(scene.frame_end for scene in scenes)]) + 1
    return range(first, min(last, first + _MOST_FRAMES) + 1)
