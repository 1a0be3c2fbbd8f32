"""What a sound strip sounds like as Blender plays it, for strips whose speed it does not tell."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy

from .. import compat
from .errors import AddonError


def is_retimed(strip: Any) -> bool:
    """Whether a strip plays at speeds of its own, or that cannot be told.

    In 4.2 and 4.3 the retiming keys of sounds cannot be read, and some builds of Blender measure no
    sound; what Blender mixes is right all the same.
    """
    if hasattr(strip, "retiming_keys"):
        return len(strip.retiming_keys) > 0
    if getattr(strip, "sound", None) is None:
        return False
    try:
        factory = strip.sound.factory
    except ImportError:
        return True
    if factory is None:
        return False
    render = strip.id_data.render
    frames = factory.length / factory.specs[0] * render.fps / render.fps_base
    return abs(frames - strip.frame_duration) > max(2.0, 0.01 * frames)


def mixed(context: bpy.types.Context, scene: bpy.types.Scene, strip: Any) -> Path:
    """A WAV file of a strip from its left to its right handle, in Blender's temporary folder.

    Blender mixes many times faster than the sound lasts. Raises AddonError.
    """
    return mixed_together(context, scene, strip, [strip])


def mixed_together(
    context: bpy.types.Context, scene: bpy.types.Scene, strip: Any, sounding: Sequence[Any]
) -> Path:
    """As mixed, from one handle of a strip to the other, of the strips that sound."""
    folder = Path(bpy.app.tempdir) / "keyportrait_sounds"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{bpy.path.clean_name(strip.name)}-{uuid.uuid4().hex[:8]}.wav"
    with (
        _alone(scene, strip, sounding),
        context.temp_override(scene=scene, view_layer=scene.view_layers[0]),
    ):
        scene.view_layers[0].update()
        try:
            bpy.ops.sound.mixdown(
                filepath=str(path), check_existing=False, container="WAV", codec="PCM", format="S16"
            )
        except RuntimeError as error:
            raise AddonError(
                f"Blender could not mix the sound of the strip '{strip.name}': {error}.",
                "Reset its retiming, or render its sound to a file and use that.",
            ) from error
    scene.view_layers[0].update()
    return path


@contextmanager
def _alone(scene: bpy.types.Scene, strip: Any, sounding: Sequence[Any]) -> Iterator[None]:
    """Some strips are the only ones that sound, and the scene as long as one; then as it was."""
    place = compat.strip_place(strip)
    strips = [other for other in compat.all_strips(scene) if other.type in ("SOUND", "SCENE")]
    mutes = [(other, other.mute) for other in strips]
    kept = scene.frame_start, scene.frame_end, scene.use_audio
    try:
        for other in strips:
            other.mute = other not in sounding
        scene.use_audio = True
        # The end first: a scene never ends before it begins.
        scene.frame_end = max(int(place.right) - 1, 0)
        scene.frame_start = max(int(place.left), 0)
        yield
    finally:
        for other, is_mute in mutes:
            other.mute = is_mute
        scene.frame_start, scene.frame_end, scene.use_audio = kept
        scene.frame_start = kept[0]
