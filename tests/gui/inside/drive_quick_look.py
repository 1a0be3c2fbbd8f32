"""A large picture in a real window: small while it moves, whole at rest, undo in between.

Started by run.sh; writes report.json and screenshots to FOLDER/out and ends Blender.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import bpy

FOLDER = Path(sys.argv[-1])
OUT = FOLDER / "out"
sys.path.insert(0, str(FOLDER))

import pointer  # noqa: E402
from performing import perform  # noqa: E402
from pointer import Steps  # noqa: E402
from stage import face, output_pixels, things, wait_for  # noqa: E402

SIDE = 2000
NOTES: dict[str, dict] = {}
live = importlib.import_module("bl_ext.user_default.keyportrait.rig.live")


def output() -> bpy.types.Image:
    return things("PORTRAIT")[0].keyportrait.portrait.output


def session() -> object:
    return live.session(live.portraits.portrait(things("PORTRAIT")[0]))


def size() -> list[int]:
    return list(output().size)


def move(**values: float) -> Steps:
    """Set sliders, and wait for the first picture of them."""
    controller = face()
    for name, value in values.items():
        controller[name] = value
    controller.update_tag()
    before = session().shown
    yield 0.02
    yield from wait_for(lambda: session().shown not in {before, None}, "a picture", 0.02)


def rest() -> Steps:
    yield 0.1
    yield from wait_for(lambda: not live.is_pending(), "the whole picture")
    yield 0.3


def prepare() -> Steps:
    for item in list(bpy.data.objects):
        bpy.data.objects.remove(item)
    large = bpy.data.images.load(str(FOLDER / "astronaut.jpg"))
    large.scale(SIDE, SIDE)
    large.filepath_raw, large.file_format = str(FOLDER / "large.png"), "PNG"
    large.save()
    bpy.data.images.remove(large)
    with pointer.override("VIEW_3D"):
        bpy.ops.keyportrait.add_portrait(filepath=str(FOLDER / "large.png"), use_view=False)
        bpy.ops.view3d.view_axis(type="FRONT")
        bpy.ops.view3d.view_selected()
    bpy.context.scene.view_settings.view_transform = "Standard"
    area = pointer.find_area("VIEW_3D")
    space, region = area.spaces.active, pointer.find_region(area, "WINDOW")
    space.overlay.show_overlays = space.show_gizmo = space.show_region_ui = False
    space.shading.type = "MATERIAL"
    top = pointer.window().height - region.y - region.height
    yield from wait_for(lambda: things("FACE"), "a face")
    yield from wait_for(lambda: not pointer.window().modal_operators, "the portrait")
    yield from rest()
    bpy.ops.ed.undo_push(message="Look at the portrait")
    view = [region.x, top, region.x + region.width, top + region.height]
    NOTES["prepare"] = {"view": view, "size": size()}


def drag() -> Steps:
    sizes = []
    for step in range(1, 9):
        yield from move(smile=step / 10, head_yaw=1.5 * step, mouth_open=step / 20)
        sizes.append(size())
    pointer.screenshot(OUT / "1_moving.png")
    yield from rest()
    yield 1.0
    pointer.screenshot(OUT / "2_rest.png")
    NOTES["drag"] = {"sizes": sizes, "rest": size()}
    bpy.ops.ed.undo_push(message="Drag")


def undo_while_small() -> Steps:
    rested = output_pixels()
    yield from move(smile=0.0, head_yaw=-10.0)
    small = size()
    bpy.ops.ed.undo_push(message="Turn")
    with pointer.override("VIEW_3D"):
        bpy.ops.ed.undo()
    yield from rest()
    is_back = len(rested) == len(output_pixels()) and bool((output_pixels() == rested).all())
    with pointer.override("VIEW_3D"):
        bpy.ops.ed.redo()
    yield from rest()
    is_turned = len(rested) == len(output_pixels()) and bool((output_pixels() != rested).any())
    NOTES["undo"] = {"small": small, "is_back": is_back, "is_turned": is_turned, "size": size()}


def packed() -> Steps:
    """A saved file packs the image, which is then no generated one."""
    yield from move(smile=0.6)
    before = size()
    bpy.ops.wm.save_as_mainfile(filepath=str(FOLDER / "saved.blend"))
    saved, source = size(), output().source
    yield from move(smile=0.3)
    moving = size()
    yield from rest()
    NOTES["packed"] = {"before": before, "saved": saved, "source": source, "moving": moving}
    NOTES["packed"]["rest"] = size()


def image_editor() -> Steps:
    area = next(a for a in pointer.window().screen.areas if a.type != "VIEW_3D" and a.width > 200)
    former, area.type = area.type, "IMAGE_EDITOR"
    area.spaces.active.image = output()
    yield 0.3
    yield from move(smile=0.9)
    NOTES["image_editor"] = {"size": size()}
    yield from rest()
    area.type = former


STEPS = (prepare, drag, undo_while_small, packed, image_editor)


def scenario() -> Steps:
    for step in STEPS:
        print(f"drive: {step.__name__}", flush=True)
        yield from step()


perform(scenario(), NOTES, OUT)
