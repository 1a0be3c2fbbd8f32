"""Speed inside Blender, on the installed zip: slider to image, bakes cold and from the cache.

Run by bench.py in bpy with a throw-away BLENDER_USER_RESOURCES; prints one JSON object on a line
that begins with "@bench".
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import bpy
from demo_scene import install
from leaving import run_and_leave

SLIDER_MOVES = 30
BAKE_FRAMES = 100


def slider_to_image(controller: bpy.types.Object) -> float:
    """Median milliseconds from setting controls to the finished picture on the plane."""
    times = []
    for index in range(SLIDER_MOVES):
        started = time.perf_counter()
        controller["smile"] = 0.1 + index / SLIDER_MOVES * 0.5
        controller["head_yaw"] = float(index % 20 - 10)
        controller.update_tag()
        # In the background the handler of this update waits for the picture.
        bpy.context.view_layer.update()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e3


def bake_seconds(folder: Path) -> float:
    """Time of one bake to a folder."""
    bpy.context.scene.keyportrait_bake.folder = str(folder)
    started = time.perf_counter()
    if bpy.ops.keyportrait.bake() != {"FINISHED"}:
        raise RuntimeError("the bake failed")
    return time.perf_counter() - started


def key_motion(controller: bpy.types.Object) -> None:
    """A motion of which no two frames are equal."""
    for frame, yaw, smile in ((1, -12.0, 0.0), (BAKE_FRAMES, 12.0, 0.6)):
        controller["head_yaw"], controller["smile"] = yaw, smile
        controller.keyframe_insert('["head_yaw"]', frame=frame)
        controller.keyframe_insert('["smile"]', frame=frame)


def main() -> None:
    """Arguments: the zip, the picture."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    install(Path(sys.argv[1]))
    started = time.perf_counter()
    bpy.ops.keyportrait.add_portrait(filepath=sys.argv[2])
    result: dict[str, float] = {"add portrait": (time.perf_counter() - started) * 1e3}
    controller = next(item for item in bpy.data.objects if item.keyportrait.kind == "FACE")
    result["slider to image"] = slider_to_image(controller)
    key_motion(controller)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, BAKE_FRAMES
    scene.keyportrait_bake.scope = "ALL"
    scene.keyportrait_bake.use_assign = False
    with tempfile.TemporaryDirectory(prefix="keyportrait-bench-") as folder:
        result["bake cold"] = BAKE_FRAMES / bake_seconds(Path(folder, "cold"))
        result["bake cached"] = BAKE_FRAMES / bake_seconds(Path(folder, "cached"))
        result["bake unchanged"] = BAKE_FRAMES / bake_seconds(Path(folder, "cached"))
    print(f"\n@bench {json.dumps(result)}", flush=True)
    bpy.ops.preferences.addon_disable(module="bl_ext.user_default.keyportrait")


if __name__ == "__main__":
    run_and_leave(main)
