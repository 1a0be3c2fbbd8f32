"""What the artist sets once, for all files."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

from .compat import registration_of

MATERIAL_ITEMS = (
    ("EMISSION", "Emission", "Shows the picture's colours whatever the light is"),
    ("PRINCIPLED", "Principled", "Is lit by the scene"),
)

DEVICE_ITEMS = (
    ("auto", "Automatic", "The best device there is: CUDA, Apple GPU, CPU"),
    ("cuda", "CUDA", "NVIDIA GPU"),
    ("mps", "Apple GPU", "Metal"),
    ("cpu", "CPU", "Works everywhere, slowly"),
)
PRECISION_ITEMS = (
    ("auto", "Automatic", "Half precision where the device is good at it"),
    ("fp32", "float32", "Exact"),
    ("fp16", "float16", "Fast on GPUs"),
    ("bf16", "bfloat16", "Fast on new CPUs and GPUs"),
)
ACCELERATION_ITEMS = (
    ("auto", "Automatic", "The fastest that works at once on the device"),
    ("none", "Off", "Plain PyTorch: loads soonest and asks for least, slower frames"),
    ("compile", "Compile", "Compile for CUDA: faster frames, loading takes about a minute longer"),
)
TORCH_ITEMS = (
    ("auto", "PyTorch for This Machine", "Looks at the graphics driver"),
    ("cpu", "PyTorch for CPU", "Smallest download"),
    ("cu126", "PyTorch for CUDA 12.6", "NVIDIA cards up to the RTX 40 series"),
    ("cu130", "PyTorch for CUDA 13.0", "NVIDIA, RTX 20 series or newer, driver 580 or newer"),
)


def _renew_networks(_self: bpy.types.AddonPreferences, _context: bpy.types.Context) -> None:
    """The networks' engine knows at its start alone what was accepted."""
    if has_setup():
        from .rig import setup

        setup.renew_engine()


class KEYPORTRAIT_AP_preferences(bpy.types.AddonPreferences):
    bl_idname = __package__ or ""

    default_material: EnumProperty(
        name="Material", items=MATERIAL_ITEMS, description="Material of new portraits"
    )
    live_megapixels: FloatProperty(
        name="Moving Size (MP)",
        description="Size of a live picture while it moves, megapixels; larger pictures are shown "
        "this small until they rest for a moment, and always whole in renders, bakes and files. "
        "0 moves them at their own size",
        default=0.7,
        min=0.0,
        soft_max=8.0,
        max=100.0,
    )
    frame_timeout_s: FloatProperty(
        name="Frame Time-out (s)",
        description="Longest wait for one frame while rendering, seconds. Counted from the "
        "engine's last sign of progress",
        default=120.0,
        min=1.0,
        soft_max=600.0,
    )
    open_timeout_s: FloatProperty(
        name="Start Time-out (s)",
        description="Longest wait for the engine's start or for fitting a picture, seconds. "
        "Counted from the engine's last sign of progress",
        default=120.0,
        min=1.0,
        soft_max=600.0,
    )
    is_camera_accepted: BoolProperty(
        name="Camera Allowed",
        description="KeyPortrait may open this computer's camera when Start Camera is pressed",
    )
    cache_limit_mb: IntProperty(
        name="Cache Limit (MB)",
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

    device: EnumProperty(
        name="Device", items=DEVICE_ITEMS, description="Where LivePortrait's networks run"
    )
    precision: EnumProperty(
        name="Precision", items=PRECISION_ITEMS, description="Number format of the networks"
    )
    acceleration: EnumProperty(
        name="Acceleration",
        items=ACCELERATION_ITEMS,
        description="How the networks are made faster",
    )
    torch_backend: EnumProperty(
        name="PyTorch", items=TORCH_ITEMS, description="Build of PyTorch to install"
    )
    liveportrait_folder: StringProperty(
        name="LivePortrait Folder",
        description="Where environment and weights go; empty for the extension's own folder",
        subtype="DIR_PATH",
    )
    weights_folder: StringProperty(
        name="Weights",
        description="Folder with LivePortrait weights of your own; empty for the downloaded ones",
        subtype="DIR_PATH",
    )
    wheels_folder: StringProperty(
        name="Wheels",
        description="Folder of Python wheels, to install the environment without a network",
        subtype="DIR_PATH",
    )
    hub_endpoint: StringProperty(
        name="Hub Mirror", description="Address of a mirror of the Hugging Face hub; empty for it"
    )
    hub_revision: StringProperty(
        name="Revision", description="Commit of the weights' repository; empty for the pinned one"
    )
    is_insightface_accepted: BoolProperty(
        name="Accept InsightFace's Non-Commercial Licence",
        description="InsightFace's models are for non-commercial research only. Without them "
        "KeyPortrait uses its own face mesh",
    )
    is_audio2face_accepted: BoolProperty(
        name="Accept Audio2Face-3D's Licence",
        description="Audio2Face-3D is licensed by NVIDIA Corporation under the NVIDIA Open Model "
        "License, which allows commercial use under its terms. Without it Speak hears phones",
        update=_renew_networks,
    )
    audio2face_folder: StringProperty(
        name="Audio2Face-3D",
        description="Folder with Audio2Face-3D-v2.3 of your own; empty for the downloaded one",
        subtype="DIR_PATH",
    )

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "default_material")
        layout.prop(self, "cache_limit_mb")
        layout.prop(self, "live_megapixels")
        layout.prop(self, "frame_timeout_s")
        layout.prop(self, "open_timeout_s")
        layout.prop(self, "python_path")
        layout.prop(self, "is_camera_accepted")
        if has_setup():
            self._draw_liveportrait(layout.column(heading="LivePortrait"))

    def _draw_liveportrait(self, column: bpy.types.UILayout) -> None:
        for name in (
            "device",
            "precision",
            "acceleration",
            "torch_backend",
            "liveportrait_folder",
            "weights_folder",
            "wheels_folder",
            "hub_endpoint",
            "hub_revision",
            "is_insightface_accepted",
            "audio2face_folder",
            "is_audio2face_accepted",
        ):
            column.prop(self, name)


def has_setup() -> bool:
    """False in the embedded flavour, which has no LivePortrait set-up."""
    return importlib.util.find_spec(f"{__package__}.rig.setup") is not None


def preferences() -> KEYPORTRAIT_AP_preferences:
    """The extension's preferences."""
    return bpy.context.preferences.addons[__package__].preferences


def user_folder(name: str = "") -> Path:
    """The extension's own writable folder, or one below it; made when missing.

    Where it cannot be written (a read-only home), Blender's temporary folder takes its place.
    """
    try:
        return Path(bpy.utils.extension_path_user(__package__ or "", path=name, create=True))
    except OSError:
        folder = Path(bpy.app.tempdir, "keyportrait", name)
        folder.mkdir(parents=True, exist_ok=True)
        return folder


register, unregister = registration_of((KEYPORTRAIT_AP_preferences,))
