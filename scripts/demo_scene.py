"""The demo inside Blender: install the zip, key one portrait, capture onto another, render it all.

Started by demo.py with a throw-away BLENDER_USER_RESOURCES; lines that begin with "@demo" are
progress for the terminal.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
import traceback
from pathlib import Path

import bpy
from demo_captured import bake_clip, perform, put_beside
from demo_gallery import FPS, build_gallery
from demo_performance import LAST_FRAME, key_performance
from mathutils import Matrix, Vector

ADD_ON = "bl_ext.user_default.keyportrait"
PICTURE_HEIGHT_M = 1.0
QUICK_STEP = 4
ENCODING_TIMEOUT_S = 120


def tell(text: str) -> None:
    """One progress line for demo.py."""
    print(f"\n@demo {text}", flush=True)


def install(path: Path) -> None:
    """Install the extension's zip as an artist does; fails unless it is really enabled."""
    bpy.ops.extensions.package_install_files(
        filepath=str(path), repo="user_default", enable_on_install=True
    )
    if ADD_ON not in bpy.context.preferences.addons:
        raise RuntimeError(f"{path} was not installed")


def add_portrait(picture: Path) -> tuple[bpy.types.Object, bpy.types.Object]:
    """Press Add Portrait; returns the plane and its face controller."""
    bpy.ops.keyportrait.add_portrait(filepath=str(picture), material="PRINCIPLED")
    plane = bpy.context.active_object
    if plane is None or len(plane.keyportrait.portrait.faces) != 1:
        raise RuntimeError(f"{picture.name} did not become a portrait with one face")
    return plane, plane.keyportrait.portrait.faces[0].controller


def picture_corners(plane: bpy.types.Object) -> tuple[Vector, Vector, Vector]:
    """Lower left, lower right and upper left corner of the picture in the plane's own space."""
    layer = plane.data.uv_layers.active
    corners = {}
    for loop in plane.data.loops:
        u, v = layer.data[loop.index].uv
        corners[round(u), round(v)] = plane.data.vertices[loop.vertex_index].co.copy()
    return corners[0, 0], corners[1, 0], corners[0, 1]


def hang_upright(plane: bpy.types.Object) -> tuple[float, float]:
    """Hang the picture on the wall, facing -Y, PICTURE_HEIGHT_M high; returns width and height."""
    origin, right, up = picture_corners(plane)
    width, height = (right - origin).length, (up - origin).length
    across, upwards = (right - origin) / width, (up - origin) / height
    # The stub also knows the cross product of 2D vectors, which is a number.
    outwards: Vector = across.cross(upwards)  # type: ignore[assignment]
    axes = (across, upwards, outwards)
    local = Matrix([axis.to_tuple() for axis in axes]).transposed().to_4x4()
    local.translation = (right + up) / 2
    wall = Matrix(((1, 0, 0), (0, 0, -1), (0, 1, 0))).to_4x4()
    factor = PICTURE_HEIGHT_M / height
    plane.matrix_world = wall @ Matrix.Scale(factor, 4) @ local.inverted()
    plane.location.y -= 0.002
    bpy.context.view_layer.update()
    return width * factor, height * factor


def render_frames(folder: Path, frames: list[int]) -> None:
    """Render frames to PNG files, telling the progress."""
    scene = bpy.context.scene
    scene.render.image_settings.file_format = "PNG"
    started = time.monotonic()
    for index, frame in enumerate(frames, start=1):
        scene.frame_set(frame)
        scene.render.filepath = str(folder / f"frame_{frame:04d}.png")
        bpy.ops.render.render(write_still=True)
        tell(f"frame {index} of {len(frames)}")
    tell(f"Rendered {len(frames)} frames, {(time.monotonic() - started) / len(frames):.1f} s each")


def encode_film(folder: Path, path: Path, fps: int) -> None:
    """Put the rendered frames into an MP4 film, as the add-on bakes one."""
    movie = importlib.import_module(f"{ADD_ON}.rig.movie")
    names = sorted(file.name for file in folder.glob("*.png"))
    picture = bpy.data.images.load(str(folder / names[0]))
    encoder = movie.MovieEncoder(
        movie.MovieJob(str(folder), names, str(path), *picture.size, fps=fps)
    )
    try:
        if not encoder.wait(ENCODING_TIMEOUT_S):
            raise RuntimeError(f"{path.name} was not encoded in {ENCODING_TIMEOUT_S} s")
        encoder.finish()
    finally:
        encoder.close()
        bpy.data.images.remove(picture)


def main() -> None:
    """Command line, after the script's name."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--zip", type=Path, required=True)
    parser.add_argument("--picture", type=Path, required=True)
    parser.add_argument("--painting", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="every fourth frame at half the size")
    options = parser.parse_args()

    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.context.preferences.filepaths.save_version = 0
    tell(f"Blender {bpy.app.version_string}: installing {options.zip.name}")
    install(options.zip)
    blend = options.output / "keyportrait_demo.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    plane, controller = add_portrait(options.picture)
    tell(f"Added '{plane.name}' with the face controller '{controller.name}'")
    width, height = hang_upright(plane)
    face = controller.matrix_world.translation
    build_gallery(width, height, (face.x, face.z), LAST_FRAME)
    key_performance(controller)
    tell(f"Keyed a performance of {LAST_FRAME / FPS:.1f} s; baking it to a clip")
    bakes = options.output / "bakes"
    clip = bake_clip(plane, bakes)
    painting, painted_face = add_portrait(options.painting)
    tell(f"Capturing {clip.name} onto '{painting.name}'")
    performed = perform(painting, painted_face, clip, bakes)
    tell("The painting does what the photograph did; rendering the room with Cycles")
    bpy.context.scene.render.filepath = "//frames/frame_"
    bpy.ops.wm.save_mainfile(compress=True)
    step = QUICK_STEP if options.quick else 1
    if options.quick:
        bpy.context.scene.render.resolution_percentage = 50
    render_frames(options.output / "frames", list(range(1, LAST_FRAME + 1, step)))
    put_beside(options.output / "frames", performed)
    tell("Encoding the film")
    encode_film(options.output / "frames", options.output / "keyportrait_demo.mp4", FPS // step)
    bpy.ops.preferences.addon_disable(module=ADD_ON)


if __name__ == "__main__":
    status = 1
    try:
        main()
        status = 0
    finally:
        sys.stdout.flush()
        if status:
            traceback.print_exc()
        # A bpy that leaves with handlers registered may hang; everything is on disk by now.
        os._exit(status)
