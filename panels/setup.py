"""Set Up LivePortrait, in the Engine panel: three steps with their size, state and progress."""

from __future__ import annotations

import bpy

from ..compat import registration_of
from ..engine.weight_table import AUDIO2FACE
from ..preferences import preferences
from ..rig import audio2face, setup
from .source import KeyPortraitPanel, draw_problem


class KEYPORTRAIT_PT_setup(KeyPortraitPanel, bpy.types.Panel):
    bl_label = "Set Up LivePortrait"
    bl_idname = "KEYPORTRAIT_PT_setup"
    bl_parent_id = "KEYPORTRAIT_PT_engine"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        state = setup.installed()
        silent = setup.silent_folder()
        if silent:
            draw_problem(layout, f"'{silent}' does not answer.", "Check its drive or network.")
        if not bpy.app.online_access and not state.is_ready:
            draw_problem(
                layout,
                "Online access is off.",
                "Switch it on in Preferences > System, or use local folders.",
            )
        draw_environment(layout, state)
        draw_weights(layout, state)
        draw_check(layout)
        draw_audio2face(layout)
        draw_task(layout)
        layout.operator("keyportrait.setup_remove", icon="TRASH")


def draw_environment(layout: bpy.types.UILayout, state: setup.Installed) -> None:
    box = layout.box()
    box.label(text="1  Environment", icon="CHECKMARK" if state.environment else "RADIOBUT_OFF")
    column = box.column()
    if state.torch:
        column.label(text=state.torch, icon="BLANK1")
    if state.notice:
        draw_problem(box, state.notice, "")
    column.prop(preferences(), "torch_backend", text="")
    if not bpy.app.online_access:
        column.prop(preferences(), "wheels_folder")
    label = "Install Again" if state.environment else "Install"
    size = setup.environment_bytes() / 1e9
    column.operator("keyportrait.setup_environment", text=f"{label} (about {size:.1f} GB)")


def draw_weights(layout: bpy.types.UILayout, state: setup.Installed) -> None:
    box = layout.box()
    box.label(text="2  Weights", icon="CHECKMARK" if state.has_weights else "RADIOBUT_OFF")
    row = box.row(align=True)
    size = setup.weights_bytes("human") / 1e6
    row.operator("keyportrait.setup_weights", text=f"Download ({size:.0f} MB)")
    row.operator("keyportrait.setup_choose_weights", text="Folder")
    for name in state.sets:
        if name != AUDIO2FACE.name:
            box.label(text=setup.label_of(name), icon="BLANK1")
    if preferences().weights_folder:
        box.label(text=preferences().weights_folder, icon="FILE_FOLDER")


def draw_check(layout: bpy.types.UILayout) -> None:
    box = layout.box()
    result = setup.check_result()
    box.label(text="3  Check", icon="CHECKMARK" if result else "RADIOBUT_OFF")
    box.operator("keyportrait.setup_check")
    if result:
        box.label(text=result["device"], icon="BLANK1")
        box.label(text=f"{result['ms_per_frame']:.0f} ms per frame", icon="BLANK1")
        for notice in result["notices"]:
            draw_problem(box, notice, "")


def draw_audio2face(layout: bpy.types.UILayout) -> None:
    box = layout.box()
    icon = "CHECKMARK" if audio2face.is_ready() else "RADIOBUT_OFF"
    box.label(text="Audio2Face-3D, for Speak", icon=icon)
    row = box.row(align=True)
    size = AUDIO2FACE.size_bytes / 1e6
    row.operator("keyportrait.setup_audio2face", text=f"Download ({size:.0f} MB)")
    row.operator("keyportrait.setup_choose_audio2face", text="Folder")
    box.prop(preferences(), "is_audio2face_accepted", text="Accept NVIDIA's Licence")
    if preferences().audio2face_folder:
        box.label(text=preferences().audio2face_folder, icon="FILE_FOLDER")


def draw_task(layout: bpy.types.UILayout) -> None:
    task = setup.task()
    if task is None:
        return
    if setup.is_running():
        progress = task.progress
        row = layout.row(align=True)
        row.progress(factor=progress.fraction, text=progress.text)
        row.operator("keyportrait.setup_cancel", text="", icon="CANCEL")
    elif setup.is_cancelled():
        layout.label(text="Cancelled: start again to go on", icon="INFO")
    elif task.error is not None:
        draw_problem(layout, task.error.message, task.error.hint)
        layout.label(text=f"Log: {setup.log_path()}")


register, unregister = registration_of((KEYPORTRAIT_PT_setup,))
