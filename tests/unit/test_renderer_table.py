"""One table says which renderers there are; nobody else types their names."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from engine import renderers
from engine.analytic.renderer import AnalyticRenderer
from engine.liveportrait.renderer import LivePortraitRenderer
from engine.renderer import ReportedError
from engine.renderer_table import (
    CATS,
    PEOPLE,
    PREVIEW,
    RENDERER_ITEMS,
    RENDERERS,
    label_of,
    needs_setup,
)
from tests.fakes.model_set import FakeModelSet

ROOT = Path(__file__).resolve().parents[2]
SEAM = ("description", "notices", "batch_size", "is_parallel")


def strings_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}  # type: ignore[misc]


@pytest.mark.parametrize("folder", ["host", "rig", "operators", "panels"])
def test_blenders_side_types_no_renderers_name(folder: str) -> None:
    # "liveportrait" alone is also the name of the set-up's folder.
    names = set(RENDERERS) - {"liveportrait"}
    wrong = {
        str(p): found for p in (ROOT / folder).rglob("*.py") if (found := names & strings_of(p))
    }
    assert not wrong


def test_every_renderer_has_code() -> None:
    assert set(renderers._PLACES) == set(RENDERERS)
    assert [item[0] for item in RENDERER_ITEMS] == list(RENDERERS)
    assert not RENDERERS[PREVIEW].needs_setup
    assert {row.finds for row in RENDERERS.values()} == {PEOPLE, CATS}
    assert label_of(PREVIEW) == "Preview"
    assert label_of("a renderer of another version") == ""
    assert not needs_setup("SAME")


@pytest.mark.parametrize("renderer", [AnalyticRenderer(), LivePortraitRenderer(FakeModelSet())])
def test_renderers_have_the_whole_seam(renderer: object) -> None:
    assert [name for name in SEAM if not hasattr(renderer, name)] == []
    assert list(renderer.description) == ["device", "device_class", "precision", "model_set"]  # type: ignore[attr-defined]


def test_nothing_is_asked_for_that_may_not_be_there() -> None:
    wrong = [
        f"{path.name}:{node.lineno}"
        for path in (ROOT / "engine").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "getattr"
        and isinstance(node.args[1], ast.Constant)
        and node.args[1].value in {*SEAM, "prepare"}
    ]
    assert not wrong


def test_an_unknown_renderer_is_named() -> None:
    from engine.operations import check_renderer

    with pytest.raises(ReportedError, match="'sculpture'"):
        check_renderer("sculpture")
