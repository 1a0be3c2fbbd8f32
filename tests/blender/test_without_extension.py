"""A saved file opened where KeyPortrait is not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest

LOOK = """
import json, sys, bpy, numpy as np
bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
plane = bpy.data.objects["astronaut"]
(image,) = [n.image for n in plane.active_material.node_tree.nodes if n.type == "TEX_IMAGE"]
pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
image.pixels.foreach_get(pixels)
np.save(sys.argv[2], pixels)
print("FOUND" + json.dumps({"about": plane["keyportrait_about"],
      "has_extension": hasattr(bpy.types.Object, "keyportrait")}), flush=True)
import os
os._exit(0)
"""


def look(path: Path) -> tuple[dict, np.ndarray]:
    """What a Blender without extensions finds on the plane: notes, and the texture's pixels."""
    target = path.with_suffix(".npy")
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(path.parent / "nothing")}
    command = [sys.executable, "-c", LOOK, str(path), str(target)]
    result = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=120, env=environment
    )
    line = next(line for line in result.stdout.splitlines() if line.startswith("FOUND"))
    return json.loads(line.removeprefix("FOUND")), np.load(target)


def flat(image: bpy.types.Image) -> np.ndarray:
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels


@pytest.mark.parametrize("is_undone", [False, True], ids=["moved", "undone"])
def test_the_last_picture_is_shown_and_the_plane_says_what_is_missing(
    add_portrait, tmp_path: Path, is_undone: bool
) -> None:
    plane, (controller,) = add_portrait()
    path = tmp_path / "portrait.blend"
    bpy.ops.ed.undo_push(message="Add")
    if is_undone:
        bpy.ops.wm.save_as_mainfile(filepath=str(path))
        bpy.ops.ed.undo_push(message="Save")
    controller["mouth_open"] = 1.0
    controller.update_tag()
    bpy.context.view_layer.update()
    bpy.ops.ed.undo_push(message="Open the mouth")
    if is_undone:
        bpy.ops.ed.undo()
        bpy.ops.ed.undo()
        bpy.context.view_layer.update()
    plane = bpy.data.objects["astronaut"]
    shown = flat(plane.keyportrait.portrait.output)
    is_moved = np.abs(shown - flat(plane.keyportrait.portrait.source)).max() > 0.1
    assert is_moved is not is_undone
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    notes, found = look(path)
    assert not notes["has_extension"]
    assert "Install KeyPortrait" in notes["about"]
    assert np.abs(found - shown).max() < 1e-6


def test_saving_again_packs_nothing_anew(add_portrait, tmp_path: Path) -> None:
    plane, _ = add_portrait()
    path = str(tmp_path / "portrait.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    packed = plane.keyportrait.portrait.output.packed_file.as_pointer()
    bpy.ops.wm.save_as_mainfile(filepath=path)
    assert plane.keyportrait.portrait.output.packed_file.as_pointer() == packed
