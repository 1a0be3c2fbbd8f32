"""The differences between Blender 4.2 and 5.2; the only file that reads bpy.app.version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

VERSION = bpy.app.version
HAS_SLOTS = VERSION >= (4, 4, 0)
# Since 5.2 Cycles' viewport notices that the pixels of an image were written.
CYCLES_KEEPS_PICTURES = VERSION < (5, 2, 0)


def fcurves(datablock: bpy.types.ID) -> list[bpy.types.FCurve]:
    """The F-curves of a data-block's own action; empty when it has none.

    Since 4.4 curves lie in an action's slot, layer, strip and channel bag; 5.0 dropped
    Action.fcurves.
    """
    animation = datablock.animation_data
    if animation is None or animation.action is None:
        return []
    if not HAS_SLOTS:
        return list(animation.action.fcurves)
    return list(_slot_fcurves(animation.action, animation.action_slot))


def set_curve_group(datablock: bpy.types.ID, curve: bpy.types.FCurve, name: str) -> None:
    """Put a curve of a data-block's own action into a group, made when there is none of the name.

    Since 4.4 the groups lie in the channel bag of the action's slot.
    """
    animation = datablock.animation_data
    holders = [animation.action]
    if HAS_SLOTS:
        holders = [
            bag
            for bag in _slot_bags(animation.action, animation.action_slot)
            if curve in list(bag.fcurves)
        ]
    for holder in holders:
        curve.group = holder.groups.get(name) or holder.groups.new(name)


def driven_paths(datablock: bpy.types.ID) -> set[str]:
    """Data paths of a data-block that animation writes: action, NLA strips and drivers."""
    animation = datablock.animation_data
    if animation is None:
        return set()
    paths = {curve.data_path for curve in fcurves(datablock)}
    paths.update(curve.data_path for curve in animation.drivers)
    for track in animation.nla_tracks:
        for strip in track.strips:
            paths.update(_strip_paths(strip))
    return paths


def _strip_paths(strip: bpy.types.NlaStrip) -> set[str]:
    paths: set[str] = set()
    if strip.action is not None:
        if HAS_SLOTS:
            curves = _slot_fcurves(strip.action, strip.action_slot)
        else:
            curves = strip.action.fcurves
        paths.update(curve.data_path for curve in curves)
    for inner in strip.strips:
        paths.update(_strip_paths(inner))
    return paths


def _slot_fcurves(action: bpy.types.Action, slot: Any) -> Iterator[bpy.types.FCurve]:
    for bag in _slot_bags(action, slot):
        yield from bag.fcurves


def _slot_bags(action: bpy.types.Action, slot: Any) -> Iterator[Any]:
    if slot is None:
        return
    for layer in action.layers:
        for strip in layer.strips:
            bag = strip.channelbag(slot)
            if bag is not None:
                yield bag


# As F-curves' keyframe_points.foreach_set takes it.
LINEAR_INTERPOLATION = 1


class ActionCurves:
    """The F-curves of a new action for one object; since 4.4 they lie in a slot's channel bag."""

    def __init__(self, action: bpy.types.Action, item: bpy.types.Object) -> None:
        self._action = action
        self._slot = None
        self._bag: Any = action
        if HAS_SLOTS:
            self._slot = action.slots.new(id_type="OBJECT", name=item.name)
            strip = action.layers.new("Layer").strips.new(type="KEYFRAME")
            self._bag = strip.channelbag(self._slot, ensure=True)

    def new(self, data_path: str, index: int, group: str) -> bpy.types.FCurve:
        """An empty F-curve in a group, which is made when there is none."""
        curve = self._bag.fcurves.new(data_path, index=index)
        groups = self._bag.groups
        curve.group = groups.get(group) or groups.new(group)
        return curve

    def choose_slot(self, user: bpy.types.AnimData | bpy.types.NlaStrip) -> None:
        """Let animation data or an NLA strip that uses the action play these curves."""
        if HAS_SLOTS:
            user.action_slot = self._slot


def refresh_image(image: bpy.types.Image) -> None:
    """Tell Blender that an image's pixels were written; 5.x redraws only a tagged image."""
    image.update()
    if VERSION >= (5, 0, 0):
        image.update_tag()


def working_space() -> str:
    """The colour space of float pixels in memory, Blender's scene-linear; a choice since 5.0."""
    if VERSION >= (5, 0, 0):
        return bpy.data.colorspace.working_space
    probe = bpy.data.images.new("probe", 1, 1, float_buffer=True)
    try:
        return probe.colorspace_settings.name
    finally:
        bpy.data.images.remove(probe)


def colour_spaces() -> set[str]:
    """The names that an image's colour space may have, by the OCIO configuration in use."""
    settings = bpy.types.ColorManagedInputColorspaceSettings.bl_rna
    return {item.identifier for item in settings.properties["name"].enum_items}


def use_nodes(material: bpy.types.Material) -> None:
    """Give a material a node tree. Since 5.0 each has one, and Material.use_nodes is deprecated."""
    if VERSION < (5, 0, 0):
        material.use_nodes = True


def has_nodes(material: bpy.types.Material) -> bool:
    """Whether a material is made of nodes."""
    return VERSION >= (5, 0, 0) or material.use_nodes


def relative_path_options() -> set[str]:
    """Options of a file path property that may begin with //; since 4.5 that must be said."""
    return {"PATH_SUPPORTS_BLEND_RELATIVE"} if VERSION >= (4, 5, 0) else set()


def compositor_tree(scene: bpy.types.Scene) -> bpy.types.NodeTree | None:
    """The node tree that a scene is composited with, None when it has none."""
    if hasattr(scene, "compositing_node_group"):
        return scene.compositing_node_group
    return scene.node_tree if scene.use_nodes else None


def saves_output(scene: bpy.types.Scene) -> bool:
    """Whether an animation writes its frames; since 5.2 that can be off."""
    return getattr(scene.render, "save_output", True)


def set_image_output(scene: bpy.types.Scene, file_format: str = "PNG") -> None:
    """Let a scene render to still pictures; since 5.0 the media type comes first."""
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format = file_format


def set_video_output(scene: bpy.types.Scene) -> None:
    """Let a scene render to an H.264 MP4; since 5.0 the media type comes first."""
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"
    scene.render.ffmpeg.format = "MPEG4"
    scene.render.ffmpeg.codec = "H264"


def strips(scene: bpy.types.Scene) -> Any:
    """The strips of a scene's sequence editor, made when it has none; `.sequences` until 4.4."""
    editor = scene.sequence_editor or scene.sequence_editor_create()
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def set_movie_format(scene: bpy.types.Scene, file_format: str) -> None:
    """Let a scene render to a movie format, other settings untouched."""
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "VIDEO"
    settings.file_format = file_format


def registration_of(
    classes: Sequence[type],
) -> tuple[Callable[[], None], Callable[[], None]]:
    """register() and unregister() of a module that only has classes."""

    def register() -> None:
        for cls in classes:
            bpy.utils.register_class(cls)

    def unregister() -> None:
        for cls in reversed(classes):
            bpy.utils.unregister_class(cls)

    return register, unregister
