"""Inside Blender: end the engine, and let it not start again."""

from __future__ import annotations

import importlib

import bpy

PACKAGE = "bl_ext.user_default.keyportrait"
bpy.context.preferences.addons[PACKAGE].preferences.python_path = "/no/such/python"
importlib.import_module(f"{PACKAGE}.rig.engine").stop()
