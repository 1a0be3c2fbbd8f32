"""Every panel can be drawn in every state, and says what is wrong."""

from __future__ import annotations

from types import SimpleNamespace

import bpy
import pytest


class Layout:
    """Records what a panel draws; every layout function exists and returns another layout."""

    def __init__(self, texts: list[str], calls: list[tuple]) -> None:
        object.__setattr__(self, "texts", texts)
        object.__setattr__(self, "calls", calls)

    def __getattr__(self, name: str):
        def draw(*arguments, **options):
            self.calls.append((name, arguments, options))
            if "text" in options:
                self.texts.append(options["text"])
            if name == "prop":
                owner, path = arguments[:2]
                owner.path_resolve(path)
            if name == "operator":
                assert hasattr(bpy.ops.keyportrait, arguments[0].split(".")[1])
                return SimpleNamespace()
            return Layout(self.texts, self.calls)

        return draw

    def __setattr__(self, name: str, value: object) -> None:
        pass


def panels() -> list[type]:
    names = [name for name in dir(bpy.types) if name.startswith("KEYPORTRAIT_PT_")]
    return [getattr(bpy.types, name) for name in names]


def draw_all() -> tuple[str, list[tuple]]:
    """The texts and calls of every panel that wants to be drawn now."""
    texts: list[str] = []
    calls: list[tuple] = []
    for panel in panels():
        if not hasattr(panel, "poll") or panel.poll(bpy.context):
            me = SimpleNamespace(layout=Layout(texts, calls))
            for name in dir(panel):
                if name.startswith("_draw"):
                    setattr(me, name, getattr(panel, name).__get__(me))
            panel.draw(me, bpy.context)
    return "\n".join(texts), calls


def properties_drawn(calls: list[tuple]) -> set[str]:
    return {arguments[1] for name, arguments, _ in calls if name == "prop"}


def test_there_are_panels_and_all_are_in_our_tab() -> None:
    assert len(panels()) >= 7
    assert {panel.bl_category for panel in panels()} == {"KeyPortrait"}


def test_without_a_portrait_they_say_what_to_select() -> None:
    texts, calls = draw_all()
    assert "Select a portrait" in texts
    assert ("operator", ("keyportrait.add_portrait",)) in [call[:2] for call in calls]


def test_the_face_panels_show_every_control(add_portrait, module) -> None:
    _plane, (controller,) = add_portrait()
    names = {f'["{control.name}"]' for control in module("engine.controls").CONTROLS}
    assert names <= properties_drawn(draw_all()[1])
    bpy.context.view_layer.objects.active = controller
    assert names <= properties_drawn(draw_all()[1])
    del controller["smile"]
    assert '["smile"]' not in properties_drawn(draw_all()[1])


@pytest.mark.parametrize("loss", ["plane", "picture", "output", "material", "link"])
def test_they_are_drawn_whatever_is_missing(add_portrait, loss) -> None:
    plane, (controller,) = add_portrait()
    settings = plane.keyportrait.portrait
    bpy.context.view_layer.objects.active = controller
    if loss == "plane":
        bpy.data.objects.remove(plane)
    elif loss == "picture":
        bpy.data.images.remove(settings.source)
    elif loss == "output":
        bpy.data.images.remove(settings.output)
    elif loss == "material":
        bpy.data.materials.remove(plane.active_material)
    else:
        settings.faces.clear()
    texts, _ = draw_all()
    wanted = {
        "plane": "was deleted",
        "picture": "has lost its picture",
        "link": "copy of a face",
    }
    assert wanted.get(loss, "") in texts.replace("\n", " ")


def test_a_failed_engine_is_shown_with_its_log(add_portrait, module, tmp_path) -> None:
    _plane, (controller,) = add_portrait()
    module("rig.engine").stop()
    module("preferences").preferences().python_path = str(tmp_path / "nothing")
    controller["smile"] = 1.0
    controller.update_tag()
    bpy.context.view_layer.update()
    texts, calls = draw_all()
    flat = texts.replace("\n", " ")
    assert "could not be started" in flat
    assert "Failed" in texts
    assert str(module("rig.engine").engine().log_path) in texts
    assert ("operator", ("keyportrait.engine_restart",)) in [call[:2] for call in calls]


def test_the_preferences_can_be_drawn(module) -> None:
    calls: list[tuple] = []
    preferences = module("preferences").preferences()
    draw_on = SimpleNamespace(layout=Layout([], calls), path_resolve=preferences.path_resolve)
    for name in dir(type(preferences)):
        if name.startswith("_draw"):
            setattr(draw_on, name, getattr(type(preferences), name).__get__(draw_on))
    for name in list(preferences.bl_rna.properties.keys()):
        setattr(draw_on, name, getattr(preferences, name))
    type(preferences).draw(draw_on, bpy.context)
    assert "cache_limit_mb" in properties_drawn(calls)


def test_the_engine_panel_says_what_moves_the_portrait(add_portrait) -> None:
    _plane, (controller,) = add_portrait()
    controller["smile"] = 0.5
    controller.update_tag()
    bpy.context.scene.frame_set(2)
    texts = draw_all()[0].splitlines()
    for name, value in (("Renderer", "Preview"), ("Device", "CPU"), ("Precision", "float32")):
        assert texts[texts.index(name) + 1] == value
