"""Long operators in a real window: progress, Esc, the Stop button, scripts that want to wait.

Started by run.sh; writes report.json to FOLDER/out and ends Blender.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import bpy

FOLDER = Path(sys.argv[-1])
OUT = FOLDER / "out"
sys.path.insert(0, str(FOLDER))

import pointer  # noqa: E402
from performing import perform  # noqa: E402
from pointer import Steps  # noqa: E402

PICTURE = str(FOLDER / "astronaut.jpg")
PATIENCE_S = 60.0
NOTES: dict[str, dict] = {}


def things(kind: str) -> list[bpy.types.Object]:
    return [item for item in bpy.data.objects if item.keyportrait.kind == kind]


def wait_for(condition: Callable[[], object], what: str) -> Steps:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {PATIENCE_S:.0f} s for {what}")
        yield 0.05


def in_view() -> bpy.types.Context:
    """The context of a click into the viewport."""
    area = pointer.find_area("VIEW_3D")
    region = pointer.find_region(area, "WINDOW")
    return bpy.context.temp_override(window=pointer.window(), area=area, region=region)


def middle() -> tuple[int, int]:
    area = pointer.find_area("VIEW_3D")
    return area.x + area.width // 3, area.y + area.height // 3


def modal_operators() -> list[str]:
    return [operator.bl_idname for operator in pointer.window().modal_operators]


def baked_files() -> int:
    return len(list((FOLDER / "keyportrait").rglob("*.png")))


def escape_while_finding() -> Steps:
    with in_view():
        answer = bpy.ops.keyportrait.add_portrait("INVOKE_DEFAULT", filepath=PICTURE)
    running = modal_operators()
    yield from pointer.key("ESC", *middle())
    yield 0.5
    NOTES["escape_while_finding"] = {
        "answer": list(answer),
        "running": running,
        "left": modal_operators(),
        "objects": len(things("PORTRAIT")),
        "images": [image.name for image in bpy.data.images if image.name.startswith("astro")],
    }


def scripts_wait() -> Steps:
    with in_view():
        answer = bpy.ops.keyportrait.add_portrait(filepath=PICTURE)
    NOTES["scripts_wait"] = {"answer": list(answer), "faces": len(things("FACE"))}
    yield 0.5


def buttons_do_not_wait() -> Steps:
    before = len(things("FACE"))
    with in_view():
        answer = bpy.ops.keyportrait.add_portrait("INVOKE_DEFAULT", filepath=PICTURE)
    at_once = len(things("FACE")) - before
    yield from wait_for(lambda: len(things("FACE")) > before, "the second face")
    yield 0.3
    NOTES["buttons_do_not_wait"] = {
        "answer": list(answer),
        "at_once": at_once,
        "left": modal_operators(),
    }


def prepare_bake() -> Steps:
    bpy.ops.wm.save_as_mainfile(filepath=str(FOLDER / "long.blend"))
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 80
    scene.keyportrait_bake.scope = "ALL"
    face = things("FACE")[0]
    for frame, value in ((1, 0.0), (80, 1.0)):
        face["smile"] = value
        face.keyframe_insert('["smile"]', frame=frame)
    yield 0.5


def escape_while_baking() -> Steps:
    with in_view():
        answer = bpy.ops.keyportrait.bake("INVOKE_DEFAULT")
    yield from wait_for(lambda: baked_files() >= 3, "baked frames")
    yield from pointer.key("ESC", *middle())
    yield 1.0
    stopped = baked_files()
    yield 1.0
    NOTES["escape_while_baking"] = {
        "answer": list(answer),
        "stopped": stopped,
        "later": baked_files(),
        "left": modal_operators(),
    }


def stop_button_while_baking() -> Steps:
    before = baked_files()
    with in_view():
        bpy.ops.keyportrait.bake("INVOKE_DEFAULT")
    yield from wait_for(lambda: baked_files() > before + 2, "more baked frames")
    with in_view():
        bpy.ops.keyportrait.stop_bake()
    yield 1.0
    stopped = baked_files()
    yield 1.0
    NOTES["stop_button_while_baking"] = {
        "stopped": stopped,
        "later": baked_files(),
        "left": modal_operators(),
    }


def another_file_while_baking() -> Steps:
    before = baked_files()
    with in_view():
        bpy.ops.keyportrait.bake("INVOKE_DEFAULT")
    yield from wait_for(lambda: baked_files() > before + 2, "more baked frames")
    bpy.ops.wm.open_mainfile(filepath=str(FOLDER / "long.blend"))
    yield 1.0
    stopped = baked_files()
    yield 1.0
    NOTES["another_file_while_baking"] = {
        "stopped": stopped,
        "later": baked_files(),
        "left": modal_operators(),
    }


STEPS = (
    escape_while_finding,
    scripts_wait,
    buttons_do_not_wait,
    prepare_bake,
    escape_while_baking,
    stop_button_while_baking,
    another_file_while_baking,
)


def scenario() -> Steps:
    for step in STEPS:
        print(f"drive: {step.__name__}", flush=True)
        yield from step()


perform(scenario(), NOTES, OUT)
