"""What the extension registers, in order; unregistering undoes it in reverse."""

from __future__ import annotations

import importlib
from contextlib import ExitStack

# Each module has register() and unregister(). Property groups come before what points at them.
MODULES = (
    "preferences",
    "rig.properties",
    "rig.bake_properties",
    "rig.strip_settings",
    "rig.capture_settings",
    "rig.speech_settings",
    "rig.camera_settings",
    "rig.preset_library",
    "rig.engine",
    "rig.main_thread",
    "rig.pump",
    "rig.cycles_view",
    "rig.highlight",
    "rig.strip_preview",
    "rig.selection_order",
    "rig.handlers",
    "rig.paint_watch",
    "rig.camera",
    "rig.command_line",
    "rig.setup",
    "operators.source",
    "operators.picture",
    "operators.faces",
    "operators.face_box",
    "operators.moving",
    "operators.expression",
    "operators.keys",
    "operators.presets",
    "operators.capture",
    "operators.speech",
    "operators.camera",
    "operators.performance",
    "operators.pose_copy",
    "operators.transfer",
    "operators.performance_library",
    "operators.live",
    "operators.copies",
    "operators.view",
    "operators.bake",
    "operators.strips",
    "operators.engine",
    "operators.setup",
    "panels.source",
    "panels.copies",
    "panels.view",
    "panels.faces",
    "panels.moving",
    "panels.keys",
    "panels.presets",
    "panels.performance",
    "panels.capture",
    "panels.speech",
    "panels.camera",
    "panels.performance_library",
    "panels.transfer",
    "panels.bake",
    "panels.strips",
    "panels.engine",
    "panels.setup",
)
# Left out of the embedded flavour, which may not download anything.
SETUP_MODULES = ("rig.setup", "operators.setup", "panels.setup")

_undo = ExitStack()
_is_registered = False


def present_modules() -> list[str]:
    """MODULES that this flavour has, in order."""
    from .preferences import has_setup

    return [name for name in MODULES if name not in SETUP_MODULES or has_setup()]


def register() -> None:
    """Register every module; a failure half-way undoes the ones before it and is raised."""
    global _is_registered, _undo
    if _is_registered:
        unregister()
    with ExitStack() as stack:
        for name in present_modules():
            module = importlib.import_module(f".{name}", __package__)
            module.register()
            stack.callback(module.unregister)
        _undo = stack.pop_all()
    _is_registered = True


def unregister() -> None:
    """Undo register(); does nothing when nothing is registered."""
    global _is_registered
    _is_registered = False
    _undo.close()
