"""The differences between Blender 4.2 and 5.2; the only file that reads bpy.app.version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

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


def curve_holders(datablock: bpy.types.ID) -> list[Any]:
    """What has the F-curves of a data-block's own action, as `fcurves`, and makes new ones."""
    animation = datablock.animation_data
    if animation is None or animation.action is None:
        return []
    if not HAS_SLOTS:
        return [animation.action]
    return list(_slot_bags(animation.action, animation.action_slot))


def driven_paths(datablock: bpy.types.ID) -> set[str]:
    """Data paths of a data-block that animation writes: action, NLA strips and drivers."""
    animation = datablock.animation_data
    if animation is None:
        return set()
    paths = {curve.data_path for curve in fcurves(datablock)}
    paths.update(curve.data_path for curve in animation.drivers)
    for strip in nla_strips(datablock):
        paths.update(curve.data_path for curve in curves_of(strip))
    return paths


def nla_strips(datablock: bpy.types.ID) -> Iterator[bpy.types.NlaStrip]:
    """All NLA strips of a data-block, from the lowest track up, also those inside meta strips."""
    animation = datablock.animation_data
    pending = [] if animation is None else [s for t in animation.nla_tracks for s in t.strips]
    while pending:
        strip = pending.pop(0)
        yield strip
        pending = [*strip.strips, *pending]


def used_actions(datablock: bpy.types.ID) -> set[bpy.types.Action]:
    """The actions that a data-block plays, itself or in NLA strips."""
    animation = datablock.animation_data
    found = [strip.action for strip in nla_strips(datablock)]
    found += [] if animation is None else [animation.action]
    return {action for action in found if action is not None}


def curves_with_slot_of(
    action: bpy.types.Action, user: bpy.types.AnimData | bpy.types.NlaStrip
) -> list[bpy.types.FCurve]:
    """The curves of an action in the slot that is called like the one that a user plays."""
    if not HAS_SLOTS:
        return list(action.fcurves)
    own = user.action_slot
    slots = [s for s in action.slots if own is not None and s.identifier == own.identifier]
    return [curve for slot in slots for curve in _slot_fcurves(action, slot)]


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


class ActionCurves:
    """The F-curves of one object in an action; since 4.4 they lie in a slot's channel bag.

    slot  of the action that is there already; None makes one
    """

    def __init__(self, action: bpy.types.Action, item: bpy.types.Object, slot: Any = None) -> None:
        self._slot = slot
        self._bag: Any = action
        if HAS_SLOTS:
            self._slot = slot or action.slots.new(id_type="OBJECT", name=item.name)
            layer = action.layers[0] if action.layers else action.layers.new("Layer")
            strip = layer.strips[0] if layer.strips else layer.strips.new(type="KEYFRAME")
            self._bag = strip.channelbag(self._slot, ensure=True)

    @classmethod
    def copy_of(
        cls, action: bpy.types.Action, slot: Any, item: bpy.types.Object
    ) -> tuple[bpy.types.Action, ActionCurves]:
        """A copy of an action with the curves of one slot, and those curves."""
        copy = action.copy()
        if not HAS_SLOTS:
            return copy, cls(copy, item)
        identifier = "" if slot is None else slot.identifier
        for other in list(copy.slots):
            if other.identifier != identifier:
                copy.slots.remove(other)
        return copy, cls(copy, item, next(iter(copy.slots), None))

    def __iter__(self) -> Iterator[bpy.types.FCurve]:
        return iter(list(self._bag.fcurves))

    def new(self, data_path: str, index: int, group: str) -> bpy.types.FCurve:
        """An empty F-curve in a group, which is made when there is none."""
        curve = self._bag.fcurves.new(data_path, index=index)
        groups = self._bag.groups
        curve.group = groups.get(group) or groups.new(group)
        return curve

    def remove(self, curve: bpy.types.FCurve) -> None:
        """Remove an F-curve with its keys."""
        self._bag.fcurves.remove(curve)

    def choose_slot(self, user: bpy.types.AnimData | bpy.types.NlaStrip) -> None:
        """Let animation data or an NLA strip that uses the action play these curves."""
        if HAS_SLOTS:
            user.action_slot = self._slot


def slot_of(user: bpy.types.AnimData | bpy.types.NlaStrip) -> Any:
    """The slot that animation data or an NLA strip plays; None until 4.4."""
    return user.action_slot if HAS_SLOTS else None


def choose_slot(user: bpy.types.AnimData | bpy.types.NlaStrip, slot: Any) -> None:
    """Let animation data or an NLA strip play a slot of its action."""
    if HAS_SLOTS and slot is not None:
        user.action_slot = slot


def curves_of(user: bpy.types.AnimData | bpy.types.NlaStrip) -> list[bpy.types.FCurve]:
    """The F-curves that animation data or an NLA strip plays."""
    if user.action is None:
        return []
    if HAS_SLOTS:
        return list(_slot_fcurves(user.action, user.action_slot))
    return list(user.action.fcurves)


def first_slot(action: bpy.types.Action) -> Any:
    """The first slot of an action that objects can play; None until 4.4, and without one."""
    if not HAS_SLOTS:
        return None
    return next((s for s in action.slots if s.target_id_type in ("OBJECT", "UNSPECIFIED")), None)


def action_curves(action: bpy.types.Action) -> list[bpy.types.FCurve]:
    """The F-curves of an action's first slot, or until 4.4 all of them."""
    if not HAS_SLOTS:
        return list(action.fcurves)
    return list(_slot_fcurves(action, first_slot(action)))


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


def let_save_output(scene: bpy.types.Scene) -> None:
    """Let an animation write its frames; since 5.2 that can be off."""
    if hasattr(scene.render, "save_output"):
        scene.render.save_output = True


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


def sequencer_scene(context: bpy.types.Context) -> bpy.types.Scene:
    """The scene that is edited in the sequencer; since 5.0 it may be another than the window's."""
    shown: Any = context
    return getattr(shown.workspace, "sequencer_scene", None) or shown.scene


def active_strip(context: bpy.types.Context) -> tuple[Any, bpy.types.Scene]:
    """The active strip of the sequencer, None when there is none, and its scene."""
    scene = sequencer_scene(context)
    editor = scene.sequence_editor
    return (None if editor is None else editor.active_strip), scene


def strip_named(context: bpy.types.Context, name: str) -> tuple[Any, bpy.types.Scene]:
    """A strip of the sequencer by its name, also inside meta strips; None when there is none."""
    scene = sequencer_scene(context)
    return next((s for s in all_strips(scene) if s.name == name), None), scene


def all_strips(scene: bpy.types.Scene) -> list[Any]:
    """Every strip of a scene, also inside meta strips; `.sequences_all` until 4.4."""
    editor = scene.sequence_editor
    if editor is None:
        return []
    return list(editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all)


def strips(scene: bpy.types.Scene) -> Any:
    """The strips of a scene's sequence editor, made when it has none."""
    return strips_in(scene.sequence_editor or scene.sequence_editor_create())


def strips_beside(scene: bpy.types.Scene, strip: Any) -> Any:
    """The strips that a strip lies among: those of the scene, or of its meta strip."""
    metas = [other for other in all_strips(scene) if other.type == "META"]
    holders = (strips_in(meta) for meta in metas)
    return next((found for found in holders if strip in list(found)), strips(scene))


def strips_in(holder: Any) -> Any:
    """The strips of a sequence editor or a meta strip; `.sequences` until 4.4."""
    return holder.strips if hasattr(holder, "strips") else holder.sequences


class StripPlace(NamedTuple):
    """Where a strip lies, scene frames: its content, and its handles, the right one exclusive."""

    content_start: float
    content_end: float
    left: float
    right: float


def strip_place(strip: Any) -> StripPlace:
    """Where a strip lies. Since 5.1 there are other names for this; the old ones go in 6.0."""
    if hasattr(strip, "left_handle"):
        handles = float(strip.left_handle), float(strip.right_handle)
        return StripPlace(float(strip.content_start), float(strip.content_end), *handles)
    left, right = float(strip.frame_final_start), float(strip.frame_final_end)
    return StripPlace(strip.frame_start, right + strip.frame_offset_end, left, right)


def place_strip(strip: Any, place: StripPlace) -> None:
    """Put a strip's content at a frame, and its handles where they shall be."""
    content, left, right = ("frame_start", "frame_final_start", "frame_final_end")
    if hasattr(strip, "left_handle"):
        content, left, right = "content_start", "left_handle", "right_handle"
    setattr(strip, content, place.content_start)
    setattr(strip, right, int(place.right))
    setattr(strip, left, int(place.left))


def strip_trims(strip: Any) -> tuple[int, int]:
    """Frames of a strip's clip before and after what the strip holds; other names since 5.1."""
    old = ("animation_offset_start", "animation_offset_end")
    new = ("content_trim_start", "content_trim_end")
    names = new if hasattr(strip, new[0]) else old
    start, end = (int(getattr(strip, name, 0)) for name in names)
    return start, end


def strip_length(strip: Any) -> int:
    """Frames of what a strip holds, before its handles and its speed; another name since 5.1."""
    return int(getattr(strip, "content_duration", 0) or strip.frame_duration)


def clip_of_strip(strip: Any) -> bpy.types.MovieClip | None:
    """The movie clip of a clip strip. Until 4.4 only its name may tell: it is called like it."""
    return strip.clip if hasattr(strip, "clip") else bpy.data.movieclips.get(strip.name)


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
