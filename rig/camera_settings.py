"""The settings of the camera: on every scene, and which device, which is no file's matter."""

from __future__ import annotations

import bpy

from ..engine.camera_table import SIZES
from ..engine.take import REGION_ITEMS
from . import camera_devices
from .kept_properties import (
    BoolProperty,
    EnumProperty,
    FloatProperty,
    PointerProperty,
    StringProperty,
)

SIZE_ITEMS = tuple(
    (f"{width}x{height}", f"{width} × {height}", "Pixels of the camera's picture")
    for width, height in SIZES
)
DEFAULT_FOLDER = "//takes/"


class KEYPORTRAIT_PG_camera(bpy.types.PropertyGroup):
    """`Scene.keyportrait_camera`: how a camera moves faces, and what becomes of takes."""

    size: EnumProperty(
        name="Resolution",
        items=SIZE_ITEMS,
        description="Size of the camera's picture; the smallest is enough to follow a face",
    )
    region: EnumProperty(
        name="Region", items=REGION_ITEMS, description="What the camera moves; the rest goes on"
    )
    multiplier: FloatProperty(
        name="Multiplier",
        description="Factor on all motion",
        default=1.0,
        min=0.0,
        max=10.0,
        soft_max=2.0,
    )
    smooth: FloatProperty(
        name="Smooth",
        description="How calm the motion is; more comes a little later while live, takes never lag",
        default=0.5,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
    )
    use_mirror: BoolProperty(
        name="Mirror",
        description="The portrait moves like your own image in a mirror",
        default=True,
    )
    use_preview: BoolProperty(
        name="Preview", description="Show the camera's picture in the panel", default=True
    )
    countdown_s: FloatProperty(
        name="Countdown (s)",
        description="Seconds before a take begins, and before Set Neutral looks at you",
        default=3.0,
        min=0.0,
        max=60.0,
        soft_max=10.0,
        precision=0,
        step=100,
    )
    use_video: BoolProperty(
        name="Keep Video",
        description="Store the camera's picture of each take beside it. Off, no picture is stored",
    )
    folder: StringProperty(
        name="Takes",
        description="Folder for takes; files that were never saved use the extension's own",
        subtype="DIR_PATH",
        default=DEFAULT_FOLDER,
    )


CLASSES = (KEYPORTRAIT_PG_camera,)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.keyportrait_camera = PointerProperty(type=KEYPORTRAIT_PG_camera)
    bpy.types.WindowManager.keyportrait_camera = bpy.props.EnumProperty(
        name="Camera",
        items=camera_devices.items,
        description="The camera that is used; Refresh looks for others",
    )


def unregister() -> None:
    del bpy.types.WindowManager.keyportrait_camera
    del bpy.types.Scene.keyportrait_camera
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
