"""What the artist sets once, for all files."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import EnumProperty, FloatProperty, IntProperty, StringProperty

MATERIAL_ITEMS = (
    ("EMISSION", "Emission", "Shows the picture's colours whatever the light is"),
    ("PRINCIPLED", "Principled", "Is lit by the scene"),
)


class KEYPORTRAIT_AP_preferences(bpy.types.AddonPreferences):
    bl_idname = __package__

    default_material: EnumProperty(
        name="Material", items=MATERIAL_ITEMS, description="Material of new portraits"
    )
    frame_timeout_s: FloatProperty(
        name="Frame Time-out",
        description="Longest wait for one frame while rendering, seconds",
        default=120.0,
        min=1.0,
        soft_max=600.0,
    )
    open_timeout_s: FloatProperty(
        name="Start Time-out",
        description="Longest wait for the engine's start or for fitting a picture, seconds",
        default=120.0,
        min=1.0,
        soft_max=600.0,
    )
    cache_limit_mb: IntProperty(
        name="Cache Limit",
        description="Size of the cache of baked frames, megabytes; the oldest frames go first",
        default=4096,
        min=64,
        soft_max=65536,
    )
    python_path: StringProperty(
        name="Python",
        description="Python interpreter of the engine; empty for the one inside Blender",
        subtype="FILE_PATH",
    )

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "default_material")
        layout.prop(self, "cache_limit_mb")
        layout.prop(self, "frame_timeout_s")
        layout.prop(self, "open_timeout_s")
        layout.prop(self, "python_path")


def preferences() -> KEYPORTRAIT_AP_preferences:
    """The extension's preferences."""
    return bpy.context.preferences.addons[__package__].preferences


def user_folder(name: str = "") -> Path:
    """The extension's own writable folder, or one below it; made when missing."""
    return Path(bpy.utils.extension_path_user(__package__, path=name, create=True))


register, unregister = bpy.utils.register_classes_factory((KEYPORTRAIT_AP_preferences,))
