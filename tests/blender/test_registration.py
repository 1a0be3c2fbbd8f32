"""Enabling and disabling leaves Blender as it was."""

from __future__ import annotations

from typing import Any

import bpy
import pytest
from conftest import PACKAGE, disable, enable, install
from soundness import driver_targets


def state() -> dict[str, Any]:
    """Everything that an extension can leave behind."""
    handlers = {
        name: [getattr(h, "__qualname__", repr(h)) for h in getattr(bpy.app.handlers, name)]
        for name in dir(bpy.app.handlers)
        if isinstance(getattr(bpy.app.handlers, name), list)
    }
    owners = (bpy.types.Object, bpy.types.Scene, bpy.types.WindowManager, bpy.types.Image)
    return {
        "types": {name for name in dir(bpy.types) if "KEYPORTRAIT" in name.upper()},
        "handlers": handlers,
        "properties": {
            f"{owner.__name__}.{name}"
            for owner in owners
            for name in (*dir(owner), *owner.bl_rna.properties.keys())
            if "keyportrait" in name
        },
        "operators": {name for name in dir(bpy.ops) if name == "keyportrait"},
        "menus": {
            name: len(getattr(bpy.types, name).draw._draw_funcs)
            for name in dir(bpy.types)
            if hasattr(getattr(getattr(bpy.types, name), "draw", None), "_draw_funcs")
        },
    }


def test_disabling_leaves_nothing_behind() -> None:
    enabled = state()
    assert enabled["types"]
    assert any("keyportrait" in name for name in enabled["properties"])
    disable()
    clean = state()
    assert not clean["types"]
    assert not clean["properties"]
    enable()
    disable()
    assert state() == clean


def test_enabling_twice_is_enabling_once() -> None:
    once = state()
    enable()
    assert state() == once
    package = __import__(PACKAGE, fromlist=["register"])
    package.register()
    assert state() == once
    package.unregister()
    package.unregister()
    package.register()
    assert state() == once


def test_a_failing_module_undoes_the_others(module, monkeypatch) -> None:
    registration = module("registration")
    disable()
    clean = state()
    monkeypatch.setattr(registration, "MODULES", (*registration.MODULES, "rig.no_such_module"))
    try:
        registration.register()
    except ModuleNotFoundError:
        pass
    else:
        raise AssertionError("a missing module was ignored")
    assert state() == clean


def test_the_engine_ends_with_the_extension(add_portrait, module) -> None:
    add_portrait()
    engine = module("rig.engine").engine()
    assert engine.is_running
    disable()
    assert engine.pid is None
    assert engine.state.name == "STOPPED"


def test_properties_outlive_the_extension(add_portrait) -> None:
    plane, (controller,) = add_portrait()
    controller["smile"] = 0.5
    controller.keyframe_insert('["smile"]', frame=1)
    disable()
    assert controller["smile"] == 0.5
    bpy.context.scene.frame_set(2)
    assert all(curve.driver.is_valid for curve in plane.animation_data.drivers)
    enable()
    assert controller.keyportrait.kind == "FACE"
    assert controller.keyportrait.face.portrait is not None


def test_an_update_in_the_middle_of_work(add_portrait, module) -> None:
    plane, (controller,) = add_portrait()
    engine = module("rig.engine").engine()
    install()
    assert engine.pid is None
    controller["smile"] = 1.0
    controller.update_tag()
    bpy.context.view_layer.update()
    assert plane.keyportrait.portrait.faces[0].controller == controller
    add_portrait()


# Blender's own: shown by the file browser, not by us.
UNSEEN = {"rna_type", "filepath", "filter_glob", "filter_folder"}


def test_everything_that_can_be_hovered_over_has_a_tooltip_of_one_line() -> None:
    silent = []
    for name in dir(bpy.ops.keyportrait):
        kind = getattr(bpy.ops.keyportrait, name).get_rna_type()
        texts = {"": kind.description}
        texts |= {
            p.identifier: p.description for p in kind.properties if p.identifier not in UNSEEN
        }
        silent += [f"{name}.{key}" for key, text in texts.items() if not text or "\n" in text]
    scene = bpy.context.scene.keyportrait_bake.bl_rna.properties
    silent += [
        p.identifier
        for p in scene
        if p.identifier not in {"rna_type", "name"} and not p.description
    ]
    assert not silent


def test_update_callbacks_survive_disabling(add_portrait, capfd) -> None:
    """Blender prints what a callback raises, wherever the property is set."""
    plane, (controller,) = add_portrait()
    target = bpy.data.objects.new("target", None)
    bpy.context.collection.objects.link(target)
    for _ in range(2):
        disable()
        enable()
    capfd.readouterr()
    controller.keyportrait.face.gaze_target = target
    assert "target" in driver_targets(plane)
    settings = plane.keyportrait.portrait
    for group in (settings, controller.keyportrait.face, bpy.context.scene.keyportrait_bake):
        set_everything(group)
    set_everything(bpy.context.preferences.addons[PACKAGE].preferences)
    printed = "".join(capfd.readouterr())
    assert "Error" not in printed, printed


def set_everything(group: bpy.types.PropertyGroup) -> None:
    """Set every property to what it is, which calls its update callback."""
    for item in group.bl_rna.properties:
        if item.identifier in {"rna_type", "name"} or item.is_readonly:
            continue
        setattr(group, item.identifier, getattr(group, item.identifier))


@pytest.mark.skipif(not hasattr(bpy.app.handlers, "exit_pre"), reason="Blender ends untold")
def test_the_engine_is_stopped_when_blender_ends(module, add_portrait) -> None:
    _plane, (controller,) = add_portrait()
    controller["smile"] = 1.0
    controller.update_tag()
    bpy.context.view_layer.update()
    client = module("rig.engine").engine()
    assert client.is_running
    for handler in bpy.app.handlers.exit_pre:
        if handler.__module__.endswith("rig.engine"):
            handler(None)
    assert not client.is_running
