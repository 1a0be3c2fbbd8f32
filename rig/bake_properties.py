"""The settings of bakes on every scene, and on every plane what was baked last."""

from __future__ import annotations

import bpy

from ..engine.renderer_table import RENDERER_ITEMS
from .kept_properties import (
    BoolProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

FORMAT_ITEMS = (
    ("PNG", "PNG", "One PNG file per frame, with transparency"),
    ("OPEN_EXR", "OpenEXR", "One OpenEXR file per frame: linear, with transparency"),
    ("MP4", "MP4", "One H.264 movie, without transparency"),
)
PNG_DEPTH_ITEMS = (
    ("8", "8", "8 bits per channel"),
    ("16", "16", "16 bits per channel"),
)
EXR_DEPTH_ITEMS = (
    ("16", "Half", "16-bit floats"),
    ("32", "Full", "32-bit floats"),
)
BAKE_RENDERER_ITEMS = (
    ("SAME", "Portrait's Own", "The renderer that each portrait is set to"),
    *RENDERER_ITEMS,
)
# Names and identifiers are those of Scene.render.motion_blur_position.
POSITION_ITEMS = (
    ("START", "Start on Frame", "The shutter opens at the frame"),
    ("CENTER", "Center on Frame", "The shutter is open around the frame"),
    ("END", "End on Frame", "The shutter closes at the frame"),
)
# Frames that a shutter may be open, and pictures that may be averaged.
SHUTTER_LIMITS = (0.01, 16.0)
SAMPLES_LIMITS = (2, 64)
DEFAULT_FOLDER = "//keyportrait/"


class KEYPORTRAIT_PG_bake(bpy.types.PropertyGroup):
    """`Scene.keyportrait_bake`: how portraits of this scene are baked."""

    scope: EnumProperty(
        name="Bake",
        items=(
            ("SELECTED", "Selected", "The portraits of all selected planes and face controllers"),
            ("ALL", "All", "Every portrait in the scene"),
        ),
        default="SELECTED",
        description="Which portraits are baked",
    )
    use_scene_range: BoolProperty(
        name="Scene Range", default=True, description="Bake from the scene's start to its end"
    )
    frame_start: IntProperty(name="Start", default=1, min=0, description="First frame to bake")
    frame_end: IntProperty(name="End", default=250, min=0, description="Last frame to bake")
    frame_step: IntProperty(
        name="Step",
        default=1,
        min=1,
        soft_max=12,
        description="Make every n-th frame and hold it in between; 2 is animation on twos",
    )
    format: EnumProperty(
        name="Format", items=FORMAT_ITEMS, default="PNG", description="Files that are written"
    )
    png_depth: EnumProperty(
        name="Depth", items=PNG_DEPTH_ITEMS, default="8", description="Bits per channel of PNG"
    )
    exr_depth: EnumProperty(
        name="Depth", items=EXR_DEPTH_ITEMS, default="16", description="Bits per channel of OpenEXR"
    )
    folder: StringProperty(
        name="Folder",
        default=DEFAULT_FOLDER,
        subtype="DIR_PATH",
        description="Each portrait gets a folder of its own in here",
    )
    renderer: EnumProperty(
        name="Bake With",
        items=BAKE_RENDERER_ITEMS,
        default="SAME",
        description="What moves the faces in the bake; animate fast, bake well",
    )
    use_motion_blur: BoolProperty(
        name="Motion Blur",
        default=False,
        description="Let what moves fast blur, as a camera does; costs a picture for each sample "
        "in which something moves",
    )
    motion_blur_shutter: FloatProperty(
        name="Shutter",
        default=0.5,
        min=SHUTTER_LIMITS[0],
        soft_max=1.0,
        max=SHUTTER_LIMITS[1],
        step=1,
        precision=2,
        description="Time between opening and closing of the shutter, in frames",
    )
    motion_blur_position: EnumProperty(
        name="Position",
        items=POSITION_ITEMS,
        default="CENTER",
        description="Where the frame lies in the time that the shutter is open",
    )
    motion_blur_samples: IntProperty(
        name="Samples",
        default=8,
        min=SAMPLES_LIMITS[0],
        max=SAMPLES_LIMITS[1],
        soft_max=32,
        description="Moments whose pictures are averaged; more where fast motions show steps",
    )
    use_existing: BoolProperty(
        name="Keep Finished Frames",
        default=True,
        description="Leave alone what an earlier bake made from the same motion, "
        "also when you have painted on it",
    )
    use_assign: BoolProperty(
        name="Show on the Plane",
        default=True,
        description="Put the finished bake on the plane as its texture, in place of the live image",
    )


class KEYPORTRAIT_PG_baked(bpy.types.PropertyGroup):
    """`Object.keyportrait_baked`: the last bake of a portrait's plane.

    Whether the plane shows it is `Object.keyportrait.portrait.use_baked`; while it does, the
    portrait needs no engine to render.
    """

    image: PointerProperty(type=bpy.types.Image, name="Baked Image")
    frame_start: IntProperty()
    frame_count: IntProperty()
    digests: StringProperty(description="What each baked frame was made from")
    is_lost: BoolProperty(description="The files were gone; the plane went back to live")


CLASSES = (KEYPORTRAIT_PG_bake, KEYPORTRAIT_PG_baked)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.keyportrait_bake = PointerProperty(type=KEYPORTRAIT_PG_bake)
    bpy.types.Object.keyportrait_baked = PointerProperty(type=KEYPORTRAIT_PG_baked)


def unregister() -> None:
    del bpy.types.Object.keyportrait_baked
    del bpy.types.Scene.keyportrait_bake
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
