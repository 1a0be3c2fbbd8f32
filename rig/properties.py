"""What KeyPortrait stores in a .blend: one property group on every object.

A portrait is a mesh object (the plane) with kind PORTRAIT; it lists its face controllers. A face
controller is an Empty with kind FACE that points back at its plane. Objects, images and faces are
found through pointers only, so that renaming is harmless. The animatable face controls are
ordinary custom properties of the controller, see controllers.py.
"""

from __future__ import annotations

import bpy

from ..engine.renderer_table import PREVIEW, RENDERER_ITEMS
from .kept_properties import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    IntVectorProperty,
    PointerProperty,
    StringProperty,
)


def _on_setting_changed(self: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    from . import live

    live.refresh_later()


def _on_clip_changed(self: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    from . import clips, live, portraits, riding

    if not clips.is_taking:
        riding.retime(portraits.portrait(self.id_data))
        live.refresh_later()


# Annotations are strings, which Blender evaluates with this module's names as local ones: a lambda
# written there would not find them when it is called.
def _on_gaze_target_changed(self: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    from . import controllers, live

    if self.portrait is not None:
        controllers.link_evaluation(self.portrait)
    live.refresh_later()


def _is_another_object(self: bpy.types.PropertyGroup, target: bpy.types.Object) -> bool:
    return target != self.id_data


def _on_source_changed(self: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    from . import live, refit

    if self.output is not None:  # it is no more in the making
        refit.begin(self.id_data)
        live.refresh_later()


def _can_be_source(self: bpy.types.PropertyGroup, image: bpy.types.Image) -> bool:
    from . import portraits

    return portraits.can_be_source(image)


class KEYPORTRAIT_PG_face_link(bpy.types.PropertyGroup):
    """One entry of a portrait's list of face controllers."""

    controller: PointerProperty(type=bpy.types.Object)


class KEYPORTRAIT_PG_clip(bpy.types.PropertyGroup):
    """Which frame of a movie or image sequence a portrait shows; names as in an image user."""

    is_used: BoolProperty(
        name="Moving",
        description="Use every frame of the movie or sequence, not a still of one",
        update=_on_clip_changed,
    )
    # Counted from 0 as the engine does.
    found_frame: IntProperty(description="Frame of the clip that the faces were found in")
    held_frame: IntProperty(
        name="Frame",
        description="Frame of the movie or sequence that is shown while it stands still",
        update=_on_clip_changed,
    )
    frame_start: IntProperty(
        name="Start Frame",
        description="Frame of the scene at which the movie or sequence begins",
        default=1,
        update=_on_clip_changed,
    )
    frame_duration: IntProperty(
        name="Frames",
        description="How many frames of the movie or sequence are shown",
        min=0,
        update=_on_clip_changed,
    )
    frame_offset: IntProperty(
        name="Offset",
        description="Frames that are left out at the beginning",
        update=_on_clip_changed,
    )
    use_cyclic: BoolProperty(
        name="Cyclic", description="Begin again after the last frame", update=_on_clip_changed
    )
    use_auto_refresh: BoolProperty(
        name="Auto Refresh",
        description="Go on with the frames of the scene; off, one frame stands still",
        default=True,
        update=_on_clip_changed,
    )


class KEYPORTRAIT_PG_portrait(bpy.types.PropertyGroup):
    """What makes a plane a portrait."""

    uid: StringProperty(description="Identity of the portrait, unique in the file")
    source: PointerProperty(
        type=bpy.types.Image,
        name="Picture",
        description="The still picture; faces are looked for again when it is another one",
        poll=_can_be_source,
        update=_on_source_changed,
    )
    output: PointerProperty(
        type=bpy.types.Image, name="Live Image", description="The moving picture on the plane"
    )
    use_orientation: BoolProperty(
        description="Turn the picture upright, as its file's EXIF data asks"
    )
    is_fitted: BoolProperty(
        description="Off while faces are looked for in a new picture", default=True
    )
    found_in: StringProperty(description="Name of the file that the faces were found in")
    # Of the upright picture that the faces were found in, pixels; 0 in files made before 0.2.
    size: IntVectorProperty(size=2)
    clip: PointerProperty(type=KEYPORTRAIT_PG_clip)
    faces: CollectionProperty(type=KEYPORTRAIT_PG_face_link)
    renderer: EnumProperty(
        name="Renderer",
        items=RENDERER_ITEMS,
        default=PREVIEW,
        description="What moves the face",
        update=_on_setting_changed,
    )
    use_live: BoolProperty(
        name="Live",
        default=True,
        description="Follow sliders and playback in the viewport. Renders always follow",
        update=_on_setting_changed,
    )
    is_instance: BoolProperty(
        description="A linked copy of another portrait, whose picture it shows; set on saving"
    )
    use_baked: BoolProperty(
        name="Baked",
        description="The plane shows a baked sequence; the live image rests",
        update=_on_setting_changed,
    )


class KEYPORTRAIT_PG_face(bpy.types.PropertyGroup):
    """What makes an Empty a face controller."""

    portrait: PointerProperty(
        type=bpy.types.Object, name="Portrait", description="The plane that this face is on"
    )
    data: StringProperty(description="The face as found in the picture, JSON")
    gaze_target: PointerProperty(
        type=bpy.types.Object,
        name="Look At",
        description="Object that the eyes follow; the gaze sliders are added",
        poll=_is_another_object,
        update=_on_gaze_target_changed,
    )
    # The neutral matrix in the plane's space: the frame of the face's spot on the mesh. Its scale
    # is 1 when the face is made and follows what is done to the mesh.
    rest_matrix: FloatVectorProperty(size=(4, 4), subtype="MATRIX")
    # From that to the parent inverse of a controller on its plane; all zeros mean identity.
    handle_offset: FloatVectorProperty(size=(4, 4), subtype="MATRIX")
    rest_version: IntProperty(description="How the rest is stored; 0 until KeyPortrait 0.1")
    # Units of the rest for one half crop width along x and y, the unit of Motion.translation.
    half_crop: FloatProperty(default=1.0, min=1e-6)
    half_crop_y: FloatProperty(default=1.0, min=1e-6)


class KEYPORTRAIT_PG_object(bpy.types.PropertyGroup):
    """`Object.keyportrait`."""

    kind: EnumProperty(
        items=(
            ("NONE", "None", "Not part of a portrait"),
            ("PORTRAIT", "Portrait", "A plane that shows a living picture"),
            ("FACE", "Face", "A face controller"),
        ),
        default="NONE",
    )
    portrait: PointerProperty(type=KEYPORTRAIT_PG_portrait)
    face: PointerProperty(type=KEYPORTRAIT_PG_face)


CLASSES = (
    KEYPORTRAIT_PG_face_link,
    KEYPORTRAIT_PG_clip,
    KEYPORTRAIT_PG_portrait,
    KEYPORTRAIT_PG_face,
    KEYPORTRAIT_PG_object,
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Object.keyportrait = PointerProperty(type=KEYPORTRAIT_PG_object)


def unregister() -> None:
    del bpy.types.Object.keyportrait
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
