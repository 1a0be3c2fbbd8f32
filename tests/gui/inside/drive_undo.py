"""Undo, redo and the undo history in a real window, over all that copies or removes portraits.

Started by run.sh; writes report.json to FOLDER/out and ends Blender. With
KEYPORTRAIT_HUNT="SECONDS SEED" it walks at random for that long instead: a hunt for crashes.
"""

from __future__ import annotations

import importlib
import os
import random
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import bpy

FOLDER = Path(sys.argv[-1])
OUT = FOLDER / "out"
sys.path.insert(0, str(FOLDER))

import pointer  # noqa: E402
from performing import perform  # noqa: E402
from pointer import Steps  # noqa: E402
from soundness import is_picture, portraits, wiring  # noqa: E402

PICTURE = str(FOLDER / "astronaut.jpg")
PATIENCE_S = 60.0
MOST_STEPS = 60
STEP = ("EXEC_DEFAULT", True)
NOTES: dict[str, dict] = {}
copies = importlib.import_module("bl_ext.user_default.keyportrait.rig.copies")


def wait_for(condition: Callable[[], object], what: str) -> Steps:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {PATIENCE_S:.0f} s for {what}")
        yield 0.05


def in_view() -> bpy.types.Context:
    return pointer.override("VIEW_3D")


def middle() -> tuple[int, int]:
    area = pointer.find_area("VIEW_3D")
    return area.x + area.width // 3, area.y + area.height // 3


def modal_operators() -> list[str]:
    return [operator.bl_idname for operator in pointer.window().modal_operators]


def planes() -> list[bpy.types.Object]:
    found = [item for item in portraits() if item.name in pointer.window().view_layer.objects]
    return sorted(found, key=lambda item: item.session_uid)


def controllers() -> list[bpy.types.Object]:
    found = [o for o in pointer.window().view_layer.objects if o.keyportrait.kind == "FACE"]
    return sorted(found, key=lambda item: item.session_uid)


def select(*items: bpy.types.Object) -> None:
    layer = pointer.window().view_layer
    for item in layer.objects:
        item.select_set(item in items)
    layer.objects.active = items[0] if items else None


def settled() -> Steps:
    """Wait until every copy that is to be separated is."""
    yield 0.15
    yield from wait_for(lambda: not copies._is_due(), "the separation of copies")
    yield 0.1


# --- what an artist does --------------------------------------------------------------------------


def add_portrait() -> Steps:
    with in_view():
        bpy.ops.keyportrait.add_portrait(*STEP, filepath=PICTURE, use_wait=True)
    yield from settled()


def press(kind: str, **modifiers: bool) -> Steps:
    yield from pointer.move(*middle())
    yield from pointer.key(kind, *middle(), **modifiers)
    yield 0.1


def duplicate(kind: str = "shift") -> Steps:
    """By the keyboard; while the copy is dragged, nothing happens to it."""
    select(*planes()[:1], *controllers()[:1])
    x, y = middle()
    yield from press("D", **{kind: True})
    yield from pointer.move(x + 60, y)
    yield 0.5
    is_dragged = bool(modal_operators())
    waits = len(copies.pending())
    pointer.send("LEFTMOUSE", "PRESS", x + 60, y)
    pointer.send("LEFTMOUSE", "RELEASE", x + 60, y)
    yield from settled()
    NOTES[f"duplicate_{kind}"] = {
        "is_dragged": is_dragged,
        "waits": waits,
        "left": len(copies.pending()),
    }


def duplicate_linked() -> Steps:
    yield from duplicate("alt")


def duplicate_collection() -> Steps:
    """Duplicate Linked on the collection's row of the outliner, the second one."""
    area = pointer.find_area("OUTLINER")
    region = pointer.find_region(area, "WINDOW")
    yield from pointer.click(region.x + 90, region.y + region.height - 31)
    with pointer.override("OUTLINER"):
        bpy.ops.outliner.collection_duplicate_linked(*STEP)
    yield from settled()


def duplicate_by_script() -> Steps:
    select(*planes(), *controllers())
    with in_view():
        bpy.ops.object.duplicate(*STEP, linked=True)
    yield from settled()


def paste() -> Steps:
    select(*planes()[:1], *controllers()[:1])
    yield from press("C", ctrl=True)
    yield from press("V", ctrl=True)
    yield from settled()


def make_own() -> Steps:
    select(*planes()[-1:])
    with in_view():
        if bpy.ops.keyportrait.make_own.poll():
            bpy.ops.keyportrait.make_own(*STEP)
    yield from settled()


def make_single_user() -> Steps:
    select(planes()[-1])
    with in_view():
        bpy.ops.object.make_single_user(*STEP, object=True, obdata=True)
    yield from settled()


def draw_face() -> Steps:
    select(planes()[0])
    with in_view():
        if bpy.ops.keyportrait.add_face.poll():
            bpy.ops.keyportrait.add_face(*STEP, box=(20, 20, 120, 140))
    yield from settled()


def remove_face() -> Steps:
    if controllers():
        select(controllers()[-1])
        with in_view():
            bpy.ops.keyportrait.remove_face(*STEP)
    yield from settled()


def apply_preset() -> Steps:
    if controllers():
        select(controllers()[0])
        with in_view():
            bpy.ops.keyportrait.apply_preset(*STEP, preset="Surprise")
    yield 0.3


def slide() -> Steps:
    if controllers():
        controllers()[0]["smile"] = random.random()
        controllers()[0].update_tag()
        bpy.ops.ed.undo_push(message="Slide")
    yield 0.3


def bake() -> Steps:
    select(planes()[0])
    pointer.window().scene.frame_end = 2
    pointer.window().scene.keyportrait_bake.folder = str(FOLDER / "baked")
    with in_view(), suppress(RuntimeError):  # such as that of a plane without faces
        bpy.ops.keyportrait.bake(*STEP)
    yield from settled()


def find_faces() -> Steps:
    select(planes()[0])
    with in_view():
        if bpy.ops.keyportrait.find_faces.poll():
            bpy.ops.keyportrait.find_faces(*STEP, use_wait=True)
    yield from settled()


def delete(planes_count: int = 1) -> Steps:
    select(*planes()[:planes_count], *controllers()[: max(planes_count, 1)])
    with in_view():
        bpy.ops.object.delete(*STEP)
    yield from settled()


def delete_controller() -> Steps:
    yield from delete(0)


def copy_scene() -> Steps:
    scene = pointer.window().scene
    with in_view():
        bpy.ops.scene.new(*STEP, type="FULL_COPY")
    yield from settled()
    pointer.window().scene = scene
    bpy.ops.ed.undo_push(message="Back to the first scene")
    yield 0.2


def save() -> Steps:
    bpy.ops.wm.save_as_mainfile(filepath=str(FOLDER / "walk.blend"))
    yield 0.2


# --- back and forth -------------------------------------------------------------------------------


def go(states: list[dict], *, is_undo: bool) -> Steps:
    """Press Ctrl+Z, or Ctrl+Shift+Z, to the end; the number of presses."""
    goal = states[0] if is_undo else states[-1]
    expected = states[::-1] if is_undo else states
    seen = [wiring()]
    while seen[-1] != goal:
        assert len(seen) < MOST_STEPS, f"no way back: {difference(seen[-1], goal)}"
        yield from press("Z", ctrl=True, shift=not is_undo)
        seen.append(wiring())
    start = 0
    for number, state in enumerate(expected):
        met = next((at for at in range(start, len(seen)) if seen[at] == state), None)
        if met is None:
            nearest = min(seen[start:], key=lambda one: len(differing(one, state)))
            raise AssertionError(
                f"state {number} of {len(expected)} was not met in {len(seen)} ({is_undo=}): "
                + difference(nearest, state)
            )
        start = met + 1
    return len(seen) - 1


def differing(first: dict, second: dict) -> list[str]:
    return sorted(key for key in {*first, *second} if first.get(key) != second.get(key))


def difference(first: dict, second: dict) -> str:
    keys = differing(first, second)[:6]
    return "; ".join(f"{key}: {first.get(key)} != {second.get(key)}" for key in keys)


def check_pictures() -> Steps:
    """Every plane shows a picture, no black and no lost one."""
    end = time.monotonic() + 10.0
    while wrong := [plane.name for plane in planes() if not is_picture(plane)]:
        assert time.monotonic() < end, f"{wrong} show no picture"
        yield 0.1


WALK = (
    add_portrait,
    duplicate,
    duplicate_linked,
    duplicate_by_script,
    duplicate_collection,
    save,
    apply_preset,
    paste,
    make_own,
    bake,
    draw_face,
    make_single_user,
    remove_face,
    copy_scene,
    find_faces,
    delete,
)


def walk() -> Steps:
    states = [wiring()]
    for action in WALK:
        print(f"drive: {action.__name__}", flush=True)
        yield from action()
        now = wiring()
        if now != states[-1]:  # saving is no step
            print(f"drive: state {len(states)}", flush=True)
            states.append(now)
        yield from check_pictures()
    yield 1.0
    pointer.screenshot(OUT / "done.png")
    presses = []
    for _ in range(2):
        presses.append((yield from go(states, is_undo=True)))
        presses.append((yield from go(states, is_undo=False)))
        yield 1.0
        pointer.screenshot(OUT / f"redone_{len(presses)}.png")
        yield from check_pictures()
    NOTES["walk"] = {"actions": len(WALK), "presses": presses, "planes": len(planes())}
    for item in (3, 9, 1, 12):
        with in_view():
            bpy.ops.ed.undo_history(item=item)
        yield 0.2
        wiring()
        yield from check_pictures()
    NOTES["history"] = {"is_done": True}
    yield from copy_scene_after_undo()


def copy_scene_after_undo() -> Steps:
    """Copies that undo has brought back wait; those of a new scene do not."""
    yield from press("Z", ctrl=True)
    yield 0.5
    scenes, objects = len(bpy.data.scenes), len(planes())
    with in_view():
        bpy.ops.scene.new(*STEP, type="FULL_COPY")
    yield 1.5
    added = len(bpy.data.scenes) - scenes
    NOTES["scene_after_undo"] = {
        "added": added,
        "has_planes": objects > 0,
        "left": len(copies.pending()),
    }


HUNTED = (*WALK[1:], slide, slide, slide, delete_controller, add_portrait)


def hunt(seconds: float, seed: int) -> Steps:
    """At random until the time is over; every state on the way must be sound."""
    random.seed(seed)
    end = time.monotonic() + seconds
    done: list[str] = []
    yield from add_portrait()
    while time.monotonic() < end:
        kind = random.random()
        if not planes() or kind < 0.25:
            for _ in range(random.randint(1, 8)):
                yield from press("Z", ctrl=True)
                wiring()
            done.append("undo")
        elif kind < 0.4:
            for _ in range(random.randint(1, 8)):
                yield from press("Z", ctrl=True, shift=True)
                wiring()
            done.append("redo")
        elif len(planes()) > 12:
            yield from delete(8)
            done.append("delete many")
        else:
            action = random.choice(HUNTED)
            yield from action()
            done.append(action.__name__)
        if not planes():
            yield from add_portrait()
        wiring()
        print(f"hunt: {done[-1]} {len(planes())}", flush=True)
    yield from check_pictures()
    NOTES["hunt"] = {"actions": len(done)}


def scenario() -> Steps:
    for item in list(bpy.data.objects):
        bpy.data.objects.remove(item)
    with in_view():
        bpy.context.space_data.shading.color_type = "TEXTURE"
    layer = pointer.window().view_layer
    layer.active_layer_collection = layer.layer_collection.children[0]
    pointer.window().scene.frame_end = 2
    bpy.ops.ed.undo_push(message="Empty")
    hunted = os.environ.get("KEYPORTRAIT_HUNT", "").split()
    if hunted:
        yield from hunt(float(hunted[0]), int(hunted[1]))
    else:
        yield from walk()


perform(scenario(), NOTES, OUT)
