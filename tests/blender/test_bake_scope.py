"""Scripts name the portraits to bake; what is selected does not matter then."""

from __future__ import annotations

from typing import Any

import bpy
import pytest
from baking import bake, fresh, performance, summary  # noqa: F401 - fixtures


@pytest.fixture
def nothing_selected(performance: Any) -> Any:
    bpy.context.scene.frame_end = 2
    for item in bpy.context.scene.objects:
        item.select_set(False)
    bpy.context.view_layer.objects.active = None
    return performance


def test_all_portraits_are_baked_with_nothing_selected(nothing_selected: Any, module: Any) -> None:
    plane, _ = nothing_selected
    assert bpy.context.scene.keyportrait_bake.scope == "SELECTED"
    assert bake(scope="ALL") == {"FINISHED"}
    assert summary(module).names == [plane.name]


def test_selected_portraits_need_a_selection(nothing_selected: Any) -> None:
    bpy.context.scene.keyportrait_bake.scope = "ALL"
    with pytest.raises(RuntimeError, match=r"No portrait is selected.*set Bake to All"):
        bake(scope="SELECTED")
    assert bake(scope="SCENE") == {"FINISHED"}


def test_the_panel_says_what_is_missing(nothing_selected: Any) -> None:
    from test_panels import draw_all

    assert "Select a portrait, or choose All" in draw_all()[0]
    bpy.context.scene.keyportrait_bake.scope = "ALL"
    assert "Select a portrait, or choose All" not in draw_all()[0]
