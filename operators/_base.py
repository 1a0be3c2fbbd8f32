"""What every operator shares: one place for errors, and polls that say why not."""

from __future__ import annotations

import logging
import os
import traceback
from typing import final

import bpy

from ..host.client import EngineError
from ..preferences import user_folder
from ..rig import portraits
from ..rig.errors import AddonError

log = logging.getLogger(__name__)

# Set to 1 by the test suite: bugs are raised instead of reported.
RAISE_VARIABLE = "KEYPORTRAIT_RAISE"
BUG_LOG = "errors.log"
NO_PORTRAIT = "No portrait is active: select one, or add one with Add Portrait"
NO_FACE = "No face controller is active: select one, the Empty in front of a face"


class ReportsErrors:
    """Mixin for operators: write `_run` instead of `execute`, and raise AddonError.

    Expected errors become reports; anything else is a bug, which is logged and reported with the
    log's path.
    """

    def _run(self, context: bpy.types.Context) -> set[str]:
        raise NotImplementedError

    @final
    def execute(self, context: bpy.types.Context) -> set[str]:
        return self._guard(self._run, context)

    def _guard(self, work, *arguments) -> set[str]:
        """Call `work`; report what it raises and answer CANCELLED."""
        try:
            return work(*arguments)
        except (AddonError, EngineError) as error:
            self.report({"ERROR"}, str(error))
        except Exception as error:  # the one boundary for bugs on Blender's side
            if os.environ.get(RAISE_VARIABLE):
                raise
            path = write_bug(self.bl_idname)
            self.report({"ERROR"}, f"A bug in KeyPortrait: {error}. Details: {path}")
        return {"CANCELLED"}


def write_bug(place: str) -> str:
    """Append the exception being handled to the error log; the log's path."""
    log.exception("Bug in %s", place)
    path = user_folder("logs") / BUG_LOG
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{place}\n{traceback.format_exc()}\n")
    return str(path)


def poll_portrait(cls: type, context: bpy.types.Context) -> bool:
    """True when the active object belongs to a portrait that can be changed."""
    plane = portraits.active_plane(context)
    if plane is None:
        cls.poll_message_set(NO_PORTRAIT)
        return False
    if not plane.is_editable:
        cls.poll_message_set(f"'{plane.name}' is linked from another file: make it local first")
        return False
    original = portraits.original_of(plane)
    if original is not None:
        text = f"'{plane.name}' shows the picture of '{original.name}': press Make Own Portrait"
        cls.poll_message_set(text)
        return False
    return True


def poll_face(cls: type, context: bpy.types.Context) -> bool:
    """True when a face controller that can be changed is active."""
    controller = portraits.active_controller(context)
    if controller is None:
        cls.poll_message_set(NO_FACE)
        return False
    if not controller.is_editable:
        text = f"'{controller.name}' is linked from another file: make it local first"
        cls.poll_message_set(text)
        return False
    return True


def poll_object_mode(cls: type, context: bpy.types.Context) -> bool:
    """True when objects can be added."""
    if context.mode != "OBJECT":
        cls.poll_message_set("Objects can only be added in Object Mode: press Tab")
        return False
    return True
