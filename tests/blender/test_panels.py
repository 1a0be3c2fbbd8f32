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
        if name == "enabled":
            self.calls.append((name, (value,), {}))


def panels(kind: str = "PT") -> list[type]:
    names = [name for name in dir(bpy.types) if name.startswith(f"KEYPORTRAIT_{kind}_")]
    return [getattr(bpy.types, name) for name in names]


def draw_all() -> tuple[str, list[tuple]]:
    """The texts and calls of every panel and menu that wants to be drawn now."""
    texts: list[str] = []
    calls: list[tuple] = []
    for panel in [*panels(), *panels("MT")]:
        if not hasattr(panel, "poll") or panel.poll(bpy.context):
            me = SimpleNamespace(layout=Layout(texts, calls))
            for name in dir(panel):
                if name.startswith("_draw"):
                    setattr(me, name, getattr(panel, name).__get__(me))
            if hasattr(panel, "draw_header_preset"):
                panel.draw_header_preset(me, bpy.context)
            panel.draw(me, bpy.context)
    return "\n".join(texts), calls


def grey_methods_say(words: str) -> None:
    """Speak's panel and its file dialog show Audio2Face-3D grey, and say why and what to do."""
    texts: list[str] = []
    calls: list[tuple] = []
    holder = SimpleNamespace(path_resolve=str, layout=Layout(texts, calls))
    bpy.types.KEYPORTRAIT_OT_speak.draw(holder, bpy.context)
    for said, drawn in ((" ".join(texts), calls), draw_all()):
        assert words in " ".join(said.split())
        at = next(i for i, (name, args, _) in enumerate(drawn) if args[2:] == ("AUDIO2FACE",))
        assert drawn[at - 1][:2] == ("enabled", (False,))
        assert drawn[at - 4][:2] == ("enabled", (True,))


def operators_drawn(calls: list[tuple]) -> set[str]:
    return {arguments[0] for name, arguments, _ in calls if name == "operator"}


def properties_drawn(calls: list[tuple]) -> set[str]:
    return {arguments[1] for name, arguments, _ in calls if name == "prop"}


def test_there_are_panels_and_all_are_in_our_tab() -> None:
    assert len(panels()) >= 7
    in_sidebar = [panel for panel in panels() if panel.bl_region_type == "UI"]
    assert {panel.bl_category for panel in in_sidebar} == {"KeyPortrait"}
    # The others are opened by a button that is drawn in one of these.
    assert [p.bl_idname for p in panels() if p not in in_sidebar] == ["KEYPORTRAIT_PT_presets"]


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


def test_a_group_with_one_control_has_no_panel_of_its_own(module) -> None:
    """The whole common state fits on one screen, see tests/gui."""
    controls = module("engine.controls")
    names = [panel.bl_idname for panel in panels()]
    for group in controls.GROUPS:
        count = sum(c.group == group and not c.is_extra for c in controls.CONTROLS)
        assert (f"KEYPORTRAIT_PT_face_{group.lower()}" in names) == (count > 1)
    closed = {p.bl_idname for p in panels() if "DEFAULT_CLOSED" in getattr(p, "bl_options", ())}
    extra = {f"KEYPORTRAIT_PT_face_{name}_extra" for name in ("eyes", "mouth")}
    assert extra <= closed
    assert {"KEYPORTRAIT_PT_settings", "KEYPORTRAIT_PT_bake", "KEYPORTRAIT_PT_engine"} <= closed


def test_use_texture_is_offered_only_where_there_is_a_texture(module, astronaut) -> None:
    use = "keyportrait.use_texture"
    assert use not in operators_drawn(draw_all()[1])
    bpy.ops.mesh.primitive_plane_add()
    assert use not in operators_drawn(draw_all()[1])
    image = bpy.data.images.load(astronaut)
    material = module("rig.planes").add_material("m", image, "PRINCIPLED")
    bpy.context.active_object.data.materials.append(material)
    assert use in operators_drawn(draw_all()[1])
    bpy.ops.keyportrait.use_texture()
    assert use not in operators_drawn(draw_all()[1])


def test_images_of_the_file_are_offered_but_no_live_ones(add_portrait, astronaut) -> None:
    plane, _ = add_portrait()
    other = bpy.data.images.new("other", 8, 8)
    texts = draw_all()[0].splitlines()
    settings = plane.keyportrait.portrait
    assert other.name in texts and settings.source.name in texts
    assert settings.output.name not in texts


@pytest.mark.parametrize("missing", [(), ("liveportrait", "liveportrait_animal")])
def test_the_set_up_is_offered_where_a_renderer_is_missing(
    add_portrait, module, monkeypatch, missing
) -> None:
    add_portrait()
    monkeypatch.setattr(module("rig.engine"), "missing_renderers", lambda: frozenset(missing))
    calls = draw_all()[1]
    offered = ("popover", ("KEYPORTRAIT_PT_setup",)) in [call[:2] for call in calls]
    assert offered == bool(missing)
    renderers = [c[1] for c in calls if c[0] == "prop_enum" and c[1][1] == "renderer"]
    assert [found[2] for found in renderers] == list(module("engine.renderer_table").RENDERERS)


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
    names = {name: preferences.bl_rna.properties[name].name for name in properties_drawn(calls)}
    units = {"_mb": "(MB)", "_s": "(s)"}
    for name, text in names.items():
        unit = units.get(name[name.rfind("_") :], "")
        assert text.endswith(unit), name


def test_the_engine_panel_says_what_moves_the_portrait(add_portrait) -> None:
    _plane, (controller,) = add_portrait()
    controller["smile"] = 0.5
    controller.update_tag()
    bpy.context.scene.frame_set(2)
    texts = draw_all()[0].splitlines()
    for name, value in (("Renderer", "Preview"), ("Device", "CPU"), ("Precision", "float32")):
        assert texts[texts.index(name) + 1] == value


def test_performers_are_shown_for_choosing(add_portrait, module, monkeypatch) -> None:
    _, (controller,) = add_portrait()
    bpy.context.view_layer.objects.active = controller
    listing = module("rig.performer_list")
    settings = controller.keyportrait_capture
    settings.filepath = "//duet.mp4"
    listing.remember(
        listing.choices_in(bpy.context, settings),
        [
            {"index": n, "start_s": 0.0, "end_s": 61.0, "seen_share": 0.5, "box": [a, 0.2, b, 0.7]}
            for n, (a, b) in enumerate(((0.0, 0.3), (0.7, 1.0)))
        ],
    )
    # Icons have no number without a window.
    monkeypatch.setattr(listing._icons, "icon_id", lambda name: 7 + int(name[-1]))
    texts, calls = draw_all()
    lines = {"1: 0:00\u20131:01", "left, 50 % high", "2: 0:00\u20131:01", "right, 50 % high"}
    assert lines <= set(texts.splitlines())
    assert [o["icon_value"] for name, _, o in calls if name == "template_icon"] == [7, 8]
    is_chosen = [o["depress"] for name, _, o in calls if name == "operator" and "depress" in o]
    assert is_chosen[:2] == [True, False]
    listing.forget()
