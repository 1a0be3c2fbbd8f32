"""Whether the bakes on planes are there and still right; what the panels say about them.

A bake keeps a digest of every evaluated frame's motions. The frame that is shown is compared with
its own, so that a bake counts as out of date exactly where the face would move otherwise now.
Whether the files are there is looked at seldom: they may lie on a slow drive.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import bpy

from ..host.cache import canonical
from . import baked, clips, face_tracks, portraits
from .controllers import face_of
from .errors import AddonError, PortraitError
from .motions import wish_of
from .portraits import Portrait
from .wishes import Wish

log = logging.getLogger(__name__)

DIGEST_LENGTH = 8
# Stands where a frame was not evaluated but holds another one's picture.
UNKNOWN = "-" * DIGEST_LENGTH
LOOK_INTERVAL_S = 5.0

# Plane's identity → whether the shown frame's motion is no longer the baked one.
_stale: dict[str, bool] = {}
# Plane's identity → (monotonic time of the last look, whether the files are gone).
_looks: dict[str, tuple[float, bool]] = {}


def digest_of(wish: Wish, faces: Sequence[Mapping[str, Any]], clip: str = "") -> str:
    """What the picture of a frame depends on besides a still: motions and faces, and the clip.

    faces  Face.to_json() of each
    clip   see clip_digest
    """
    content: list[Any] = [[motion.to_json() for motion in wish.motions], list(faces)]
    if wish.frame is not None:
        content += [clip, wish.frame, wish.holds]
    text = json.dumps(canonical(content))
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


def clip_digest(item: Portrait) -> str:
    """Tells a portrait's clip, with the track of its faces, from another one; "" for a still.

    Raises AddonError where the clip is gone.
    """
    if not clips.is_moving(item.settings):
        return ""
    clip = clips.clip_of(item.settings.source, is_certain=False)
    return f"{clip.digest} {face_tracks.track_path(item, clip).stem}"


def joined(digests: Mapping[int, str], frames: Sequence[int]) -> str:
    """The digests of frames without a gap as one text, as it is stored on the plane."""
    return "".join(digests.get(frame, UNKNOWN) for frame in frames)


def note(item: Portrait, depsgraph: bpy.types.Depsgraph, frame: int) -> None:
    """Compare the shown frame of a baked portrait with what was baked. Cheap; reads no file."""
    stored = item.plane.keyportrait_baked
    start = (frame - stored.frame_start) * DIGEST_LENGTH
    known = stored.digests[start : start + DIGEST_LENGTH] if start >= 0 else ""
    if not known or known == UNKNOWN:
        _stale.pop(item.identity, None)
        return
    try:
        wish = wish_of(item, depsgraph)
        faces = [face_of(controller).to_json() for controller in item.controllers]
        digest = digest_of(wish, faces, clip_digest(item))
    except AddonError as error:
        log.warning("%s", error)
        return
    _stale[item.identity] = digest != known


def is_stale(plane: bpy.types.Object) -> bool:
    """Whether the shown frame would move otherwise now than in its bake. For panels."""
    return _stale.get(portraits.identity_of(plane), False)


def is_lost(plane: bpy.types.Object) -> bool:
    """Whether a plane's bake is known to be gone. For panels: looks at no file."""
    if plane.keyportrait_baked.image is None:
        return False
    return (
        plane.keyportrait_baked.is_lost or _looks.get(portraits.identity_of(plane), (0, False))[1]
    )


def look(item: Portrait, *, at_once: bool = False) -> bool:
    """Whether the files of a shown bake are gone; looked at again after a while."""
    now = time.monotonic()
    last, was_gone = _looks.get(item.identity, (0.0, False))
    if not at_once and last and now - last < LOOK_INTERVAL_S:
        return was_gone
    is_gone = item.settings.use_baked and not baked.has_files(item.plane)
    _looks[item.identity] = now, is_gone
    return is_gone


def fall_back() -> None:
    """Show the live picture where a bake's files are gone: after loading, and in the background.

    A plane that cannot be changed keeps its bake, and its render stops.
    """
    for item in portraits.all_portraits():
        if not look(item, at_once=True) or not item.plane.is_editable:
            continue
        log.warning("%s", lost_text(item.plane))
        try:
            baked.show_live(item.plane)
            item.plane.keyportrait_baked.is_lost = True
        except AddonError as error:
            log.warning("%s", error)


def check_there(item: Portrait) -> None:
    """Raise PortraitError when a render would show a bake whose files are gone."""
    if item.settings.use_baked and look(item, at_once=True):
        raise PortraitError(lost_text(item.plane), "Choose its folder in the panel, or bake again.")


def lost_text(plane: bpy.types.Object) -> str:
    """What is said of a bake whose files are gone."""
    return f"The bake of '{plane.name}' is gone: '{baked.file_of(plane)}'."


def choose_folder(plane: bpy.types.Object, folder: Path) -> None:
    """Take a plane's bake from another folder. Raises PortraitError when it is not in there."""
    name = baked.file_of(plane).name
    places = (folder / name, folder / baked.file_of(plane).parent.name / name)
    found = next((path for path in places if path.is_file()), None)
    if found is None:
        raise PortraitError(
            f"'{name}' is not in '{folder}'.", "Choose the folder that the bake was moved to."
        )
    baked.relink(plane, found)
    plane.keyportrait_baked.is_lost = False
    forget()


def forget() -> None:
    """Look at everything again: another file is open, or an undo step came back."""
    _stale.clear()
    _looks.clear()
