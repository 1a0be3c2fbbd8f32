"""Which objects are portraits and face controllers, and whether they are whole.

Everything is found through pointers, never through names. The list of portraits is remembered,
because handlers ask for it at every slider move; `forget` makes it be built again.

A copied plane has the identity of its original until it is separated (see copies.py). Only the
original moves the picture that both show.
"""

from __future__ import annotations

import uuid
from typing import NamedTuple

import bpy

from .. import compat
from . import strip_links
from .errors import PortraitError


class Portrait(NamedTuple):
    """A plane that shows a living picture, and its controllers in the order of their faces."""

    plane: bpy.types.Object
    controllers: tuple[bpy.types.Object, ...]

    @property
    def settings(self) -> bpy.types.PropertyGroup:
        """The plane's `keyportrait.portrait`."""
        return self.plane.keyportrait.portrait

    @property
    def identity(self) -> str:
        """What sessions and bakes know the portrait by; see identity_of."""
        return identity_of(self.plane)


class Copy(NamedTuple):
    """A plane with the identity of another one, whose picture it shows."""

    plane: bpy.types.Object
    original: bpy.types.Object


_known: list[Portrait] | None = None
_object_count = 0
_copies: list[Copy] = []


def forget() -> None:
    """Build the list of portraits anew at the next question: objects came, went or were undone."""
    global _known
    _known = None


def look_for_others() -> None:
    """Forget when objects came or went since the list was built: not every update tells of it."""
    if len(bpy.data.objects) != _object_count:
        forget()


def all_portraits() -> list[Portrait]:
    """Every portrait that is in some collection: deleted objects may linger in the file.

    Copies are not among them.
    """
    _look()
    return _known or []


def all_planes() -> list[bpy.types.Object]:
    """The planes of all portraits and of all copies."""
    return [item.plane for item in [*all_portraits(), *copies()]]


def copies() -> list[Copy]:
    """The planes that have the identity of another one, oldest first."""
    _look()
    return _copies


def _look() -> None:
    global _known, _copies, _object_count
    if _known is not None:
        try:
            for item in _known:
                _ = item.plane.name, [c.name for c in item.controllers]
            for copy in _copies:
                _ = copy.plane.name, copy.original.name
        except ReferenceError:  # removed by a script, which tells no handler
            _known = None
    if _known is None:
        _object_count = len(bpy.data.objects)
        planes = [o for o in bpy.data.objects if o.keyportrait.kind == "PORTRAIT"]
        overridden = {o.override_library.reference for o in planes if o.override_library}
        planes = [o for o in planes if is_placed(o) and o not in overridden]
        firsts: dict[str, bpy.types.Object] = {}
        by_age = sorted(planes, key=_age)
        for plane in by_age:
            firsts.setdefault(identity_of(plane), plane)
        originals = set(firsts.values())
        _known = [portrait(plane) for plane in planes if plane in originals]
        _copies = [Copy(o, firsts[identity_of(o)]) for o in by_age if o not in originals]


def _age(plane: bpy.types.Object) -> tuple[bool, int]:
    # Numbers of a session start anew when a file is opened, so instances are marked on saving.
    return plane.keyportrait.portrait.is_instance, plane.session_uid


def identity_of(plane: bpy.types.Object) -> str:
    """What tells a portrait from all others: its uid, and the file that it is linked from."""
    uid = plane.keyportrait.portrait.uid
    return uid if plane.library is None else f"{uid} in {plane.library.filepath}"


def original_of(plane: bpy.types.Object) -> bpy.types.Object | None:
    """The plane whose picture a copy shows; None for a portrait of its own."""
    return next((copy.original for copy in copies() if copy.plane == plane), None)


def portraits_of(scene: bpy.types.Scene) -> list[Portrait]:
    """The portraits in a scene, and those that it may show through an instanced collection."""
    found = []
    for item in all_portraits():
        scenes = item.plane.users_scene
        if not scenes or scene in scenes:
            found.append(item)
    return found


def is_placed(item: bpy.types.Object) -> bool:
    """Whether an object is in a collection; a deleted one lingers while something points at it."""
    return bool(item.users_collection)


def portrait(plane: bpy.types.Object) -> Portrait:
    """The portrait of a plane, with the controllers that were not deleted."""
    controllers = []
    for link in plane.keyportrait.portrait.faces:
        controller = link.controller
        if controller is not None and is_controller_of(controller, plane):
            controllers.append(controller)
    return Portrait(plane, tuple(controllers))


def is_controller_of(controller: bpy.types.Object, plane: bpy.types.Object) -> bool:
    """Whether an object is a usable face controller of this plane."""
    settings = controller.keyportrait
    return settings.kind == "FACE" and settings.face.portrait == plane and is_placed(controller)


def plane_of(item: bpy.types.Object | None) -> bpy.types.Object | None:
    """The plane that an object belongs to: itself, or the plane of a face controller.

    None for others, and for a controller whose plane was deleted.
    """
    if item is None:
        return None
    if item.keyportrait.kind == "PORTRAIT":
        return item
    plane = item.keyportrait.face.portrait if item.keyportrait.kind == "FACE" else None
    return plane if plane is not None and is_placed(plane) else None


def active_object(context: bpy.types.Context) -> bpy.types.Object | None:
    """The active object; in the Sequencer the plane of the active strip, or its face if active."""
    plane = strip_links.active_strip_plane(context)
    if plane is None:
        return context.active_object
    scene = compat.sequencer_scene(context)
    layer = context.view_layer if scene == context.scene else scene.view_layers[0]
    item = layer.objects.active
    return item if plane_of(item) == plane else plane


def active_plane(context: bpy.types.Context) -> bpy.types.Object | None:
    """The plane of the active object, None when that is not part of a portrait."""
    return plane_of(active_object(context))


def active_controller(context: bpy.types.Context) -> bpy.types.Object | None:
    """The active face controller; with a plane active, its only controller."""
    item = active_object(context)
    if item is None:
        return None
    if item.keyportrait.kind == "FACE":
        return item
    if item.keyportrait.kind == "PORTRAIT":
        found = portrait(item).controllers
        if len(found) == 1:
            return found[0]
    return None


def selected_controllers(context: bpy.types.Context) -> list[bpy.types.Object]:
    """The selected face controllers, the active one first."""
    found = [o for o in context.selected_objects if o.keyportrait.kind == "FACE"]
    strip_plane = strip_links.active_strip_plane(context)
    if strip_plane is not None:
        found = [o for o in found if plane_of(o) == strip_plane]
    active = active_controller(context)
    if active is not None:
        found = [active, *(o for o in found if o != active)]
    return found


def editable_controllers(context: bpy.types.Context) -> list[bpy.types.Object]:
    """selected_controllers but for those that are linked from another file."""
    return [item for item in selected_controllers(context) if item.is_editable]


def possible_sources() -> list[bpy.types.Image]:
    """The images of this file that may become a portrait: no renders, no portrait's own images."""
    own: set[bpy.types.Image] = set()
    for item in all_portraits():
        own.add(item.settings.output)
        own.add(item.plane.keyportrait_baked.image)
    kinds = {"RENDER_RESULT", "COMPOSITING"}
    return [image for image in bpy.data.images if image not in own and image.type not in kinds]


def rebind_overrides() -> None:
    """Let library overrides point at each other where they point at their library's objects.

    In files of before KeyPortrait 0.2 they do.
    """
    own = {
        (item.override_library.hierarchy_root, item.override_library.reference): item
        for item in bpy.data.objects
        if item.override_library is not None
    }
    for (root, _), item in own.items():
        face = item.keyportrait.face
        face_plane = own.get((root, face.portrait))
        if face_plane is not None:
            face.portrait = face_plane
        for link in item.keyportrait.portrait.faces:
            controller = own.get((root, link.controller))
            if controller is not None:
                link.controller = controller


def new_uid() -> str:
    """An identity for a portrait."""
    return uuid.uuid4().hex


def find(identity: str) -> Portrait | None:
    """The portrait with this identity, None when it is gone."""
    for item in all_portraits():
        if item.identity == identity:
            return item
    return None


def can_be_source(image: bpy.types.Image) -> bool:
    """Whether an image is a picture, and not what the extension or Blender makes of one."""
    if image.type in {"RENDER_RESULT", "COMPOSITING"} or image.source == "TILED":
        return False
    made: set[bpy.types.Image | None] = set()
    for item in bpy.data.objects:
        if item.keyportrait.kind == "PORTRAIT":
            made |= {item.keyportrait.portrait.output, item.keyportrait_baked.image}
    return image not in made


def picture_size(plane: bpy.types.Object) -> tuple[int, int]:
    """(width, height) of the upright picture that a portrait's faces are given in, pixels."""
    settings = plane.keyportrait.portrait
    width, height = settings.size if all(settings.size) else settings.source.size
    return width, height


def open_collections(item: bpy.types.Object) -> list[bpy.types.Collection]:
    """Where what belongs to an object may lie: collections of libraries take nothing in."""
    found = [c for c in item.users_collection if c.is_editable and c.override_library is None]
    scenes = (scene.collection for scene in item.users_scene if scene.is_editable)
    return found or list(scenes) or [bpy.context.scene.collection]


def check_editable(item: bpy.types.ID) -> None:
    """Raise PortraitError for an object or material that comes from another file."""
    if not item.is_editable:
        raise PortraitError(
            f"'{item.name}' is linked from another file and cannot be changed.",
            "Make it local or add a library override.",
        )


def check_whole(item: Portrait) -> None:
    """Raise PortraitError when the picture of a portrait, or its live image, is gone."""
    if item.settings.source is None:
        raise PortraitError(
            f"'{item.plane.name}' has lost its picture.",
            "Choose it again in the Portrait panel.",
        )
    if item.settings.source == item.settings.output:
        raise PortraitError(
            f"'{item.plane.name}' has its own live image for a picture.",
            "Choose another in the Picture field.",
        )
    if item.settings.output is None:
        raise PortraitError(
            f"'{item.plane.name}' has lost its live image.",
            "Press Refresh in the Portrait panel.",
        )
