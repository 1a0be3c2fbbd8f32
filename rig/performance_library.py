"""Performances and poses kept as action assets: saved from a face, with a picture of it.

An asset is an Action whose curves have the data paths of a face controller's properties, so that
it fits every face. Two custom properties tell what else an action depends on: the frame rate, and
the size of the face where the Empty itself was moved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import bpy
import numpy as np

from .. import compat
from ..engine.take import AMOUNTS, EXPRESSION, TRANSLATION
from .errors import AddonError
from .face_picture import face_picture
from .keying import CONTROL_GROUPS, control_path, transform_paths
from .take_curves import NEAR, is_between, moved, new_points, read_points, write_points

TAG = "KeyPortrait"
FOLDER = "KeyPortrait Performances"
FPS, HALF_CROP = "keyportrait_fps", "keyportrait_half_crop"
FIRST_FRAME = 1.0
PREVIEW_PX = 256
_PATHS = frozenset(
    {*CONTROL_GROUPS, control_path(EXPRESSION), control_path(TRANSLATION)}
    | {control_path(amount.name) for amount in AMOUNTS}
)


class Entry(NamedTuple):
    """A performance of the library: its name and its file, "" for one in the current file."""

    name: str
    filepath: str


def new_take(
    controller: bpy.types.Object, name: str, span: tuple[float, float], fps: float
) -> bpy.types.Action:
    """A new action with what a face's action or uppermost strip does between two frames.

    span  frames of the action; its keys move so that it begins at FIRST_FRAME
    Raises AddonError when there is nothing in it.
    """
    curves = [curve for curve in played_curves(controller) if _is_ours(controller, curve)]
    if not curves:
        raise AddonError(
            f"'{controller.name}' has no keys of its own.",
            "Capture or key a performance first; of drivers and constraints, bake an action.",
        )
    action, own = _new_action(controller, name, fps)
    for curve in curves:
        copied = own.new(curve.data_path, curve.array_index, _group(curve.data_path))
        _copy_keys(curve, copied, span, FIRST_FRAME - span[0])
    return action


def new_pose(
    controller: bpy.types.Object, values: dict[str, tuple[float, ...]], name: str, fps: float
) -> bpy.types.Action:
    """A new action of one frame.

    values  data path → its numbers
    """
    action, own = _new_action(controller, name, fps)
    for path, numbers in values.items():
        for index, number in enumerate(numbers):
            curve = own.new(path, index, _group(path))
            curve.keyframe_points.insert(FIRST_FRAME, number, options={"FAST"})
            curve.update()
    return action


def played_curves(controller: bpy.types.Object) -> list[bpy.types.FCurve]:
    """The curves of a face's action, else of its uppermost NLA strip; empty without any."""
    animation = controller.animation_data
    if animation is None:
        return []
    if animation.action is not None:
        return compat.fcurves(controller)
    strips = [strip for strip in compat.nla_strips(controller) if not strip.mute]
    return compat.curves_of(strips[-1]) if strips else []


def take_span(controller: bpy.types.Object) -> tuple[float, float] | None:
    """First and last key of played_curves; None without any."""
    ends = [
        end for curve in played_curves(controller) if len(curve.keyframe_points)
        for end in curve.range()
    ]  # fmt: skip
    return (min(ends), max(ends)) if ends else None


def mark(action: bpy.types.Action, controller: bpy.types.Object) -> None:
    """Make an action an asset, with the face as it is shown now as its picture."""
    action.asset_mark()
    data = action.asset_data
    data.tags.new(TAG, skip_if_exists=True)
    data.description = f"A performance of KeyPortrait, from '{controller.name}'"
    picture = face_picture(controller, PREVIEW_PX)
    preview = action.preview_ensure()
    preview.image_size = (PREVIEW_PX, PREVIEW_PX)
    preview.image_pixels_float.foreach_set(picture.ravel())


def write(action: bpy.types.Action, library: bpy.types.UserAssetLibrary) -> Path:
    """Write an asset into a library's folder, as a file of its own. Raises AddonError."""
    folder = Path(bpy.path.abspath(library.path)) / FOLDER
    path = folder / f"{_file_name(action.name)}.blend"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        bpy.data.libraries.write(str(path), {action}, fake_user=True, compress=True)
    except (OSError, RuntimeError) as error:
        raise AddonError(
            f"'{path}' cannot be written: {error}.",
            "Choose another asset library in Preferences > File Paths.",
        ) from error
    return path


def entries() -> Iterator[Entry]:
    """The performances of the current file, then those of the user's asset libraries."""
    for action in bpy.data.actions:
        if is_performance(action):
            yield Entry(action.name, "")
    for library in bpy.context.preferences.filepaths.asset_libraries:
        folder = Path(bpy.path.abspath(library.path)) / FOLDER
        for path in sorted(folder.glob("*.blend")) if folder.is_dir() else ():
            yield Entry(path.stem, str(path))


def is_performance(action: bpy.types.Action) -> bool:
    """Whether an action of the current file was saved as a performance."""
    return action.asset_data is not None and TAG in action.asset_data.tags


def load(name: str, filepath: str) -> bpy.types.Action:
    """An action of the current file, or a copy of one of another file. Raises AddonError.

    name  "" for the file's first action
    """
    if not filepath:
        action = bpy.data.actions.get(name)
        if action is None:
            raise AddonError(f"There is no action '{name}'.", "Choose one in the panel.")
        return action
    try:
        with bpy.data.libraries.load(filepath, link=False) as (found, wanted):  # type: ignore[attr-defined]
            names = [name] if name in found.actions else list(found.actions)
            wanted.actions = names[:1]
    except (OSError, RuntimeError) as error:
        text = f"'{filepath}' cannot be read: {error}."
        raise AddonError(text, "Choose another performance.") from error
    if not wanted.actions:
        raise AddonError(f"'{filepath}' holds no action.", "Choose another performance.")
    action = wanted.actions[0]
    if action.asset_data is not None:
        action.asset_clear()  # else each use would be one more asset of this file
    return action


def _new_action(
    controller: bpy.types.Object, name: str, fps: float
) -> tuple[bpy.types.Action, compat.ActionCurves]:
    action = bpy.data.actions.new(name)
    action[FPS] = fps
    action[HALF_CROP] = controller.keyportrait.face.half_crop
    return action, compat.ActionCurves(action, controller)


def _is_ours(controller: bpy.types.Object, curve: bpy.types.FCurve) -> bool:
    return curve.data_path in _PATHS or curve.data_path in transform_paths(controller)


def _group(path: str) -> str:
    return CONTROL_GROUPS.get(path, "Object Transforms" if "[" not in path else "Performance")


def _copy_keys(
    source: bpy.types.FCurve, target: bpy.types.FCurve, span: tuple[float, float], shift: float
) -> None:
    points = read_points(source)
    inner = points.where(is_between(points, *span))
    # What happens at the ends is kept where no key lies there.
    ends = [end for end in dict.fromkeys(span) if not (abs(inner.frames - end) <= NEAR).any()]
    values = [source.evaluate(end) for end in ends]
    outer = new_points(np.array(ends), np.array(values), np.zeros(len(ends), bool))
    write_points(target, [moved(outer, shift), moved(inner, shift)])


def _file_name(name: str) -> str:
    plain = re.sub(r"[^\w\- ]+", "_", name).strip(" _")
    return plain or "performance"
