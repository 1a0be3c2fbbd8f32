"""The live picture of a strip's portrait over the Sequencer's own preview, where the strip lies.

Blender shows the strip's file there, or the last bake. While sliders move, the picture that the
plane shows is drawn over it; nothing of the edit is changed, and renders have none of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import bpy

from .. import compat
from . import portraits, strip_following, strip_links

_SILENT = {"SOUND"}
# Pictures are scene-linear on the graphics card. Where there is no shader that encodes them, the
# region's own frame buffer does.
_SHADERS = ("IMAGE_COLOR_SCENE_LINEAR_TO_REC709_SRGB", "IMAGE_COLOR")

_handle: Any = None


class Quad(NamedTuple):
    """Where a picture lies in the preview.

    corners  4 points in pixels of the edit, its middle at 0, y up
    uvs      where in the picture each lies, 0..1, y up
    """

    corners: list[tuple[float, float]]
    uvs: list[tuple[float, float]]


def quad_of(strip: Any, size: tuple[int, int]) -> Quad:
    """Where a strip shows its portrait's picture of (width, height) pixels."""
    width, height = size
    crop, transform = strip.crop, strip.transform
    left, right = crop.min_x / width, 1.0 - crop.max_x / width
    bottom, top = crop.min_y / height, 1.0 - crop.max_y / height
    spots = [(left, bottom), (right, bottom), (right, top), (left, top)]
    pivot = [(transform.origin[0] - 0.5) * width, (transform.origin[1] - 0.5) * height]
    cosine, sine = math.cos(transform.rotation), math.sin(transform.rotation)
    mirror = -1.0 if strip.use_flip_x else 1.0, -1.0 if strip.use_flip_y else 1.0
    corners = []
    for u, v in spots:
        x = ((u - 0.5) * width - pivot[0]) * transform.scale_x
        y = ((v - 0.5) * height - pivot[1]) * transform.scale_y
        turned = cosine * x - sine * y, sine * x + cosine * y
        shift = pivot[0] + transform.offset_x, pivot[1] + transform.offset_y
        # Blender mirrors the whole frame, after the strip was put in its place.
        corners.append(tuple(m * (t + s) for m, t, s in zip(mirror, turned, shift, strict=True)))
    if not strip_links.is_bake(strip) and strip_following.is_rendered(strip):
        # Its pictures are mirrored already.
        spots = [
            (u if mirror[0] > 0 else 1.0 - u, v if mirror[1] > 0 else 1.0 - v) for u, v in spots
        ]
    return Quad(corners, spots)


def shown_strips(scene: bpy.types.Scene) -> list[tuple[Any, bpy.types.Object]]:
    """(strip, plane) of the pictures to draw at a scene's frame, the lowest first.

    Those below a strip that has no portrait are left out: it lies above them.
    """
    found = []
    for strip in _visible_from_the_top(scene):
        plane = strip_links.plane_of_strip(strip)
        if plane is None:
            break
        settings = portraits.portrait(plane).settings
        if settings.use_live and not settings.use_baked and settings.output is not None:
            found.append((strip, plane))
    return found[::-1]


def _visible_from_the_top(scene: bpy.types.Scene) -> Iterator[Any]:
    editor = scene.sequence_editor
    if editor is None or not scene.keyportrait_strips.use_preview:
        return
    holder = editor.meta_stack[-1] if len(editor.meta_stack) else editor
    strips = [s for s in compat.strips_in(holder) if not s.mute and s.type not in _SILENT]
    for strip in sorted(strips, key=lambda strip: strip.channel, reverse=True):
        place = compat.strip_place(strip)
        if place.left <= scene.frame_current < place.right:
            yield strip


def _draw() -> None:
    context = bpy.context
    scene, space = compat.sequencer_scene(context), context.space_data
    if scene != context.scene or space.display_mode != "IMAGE" or space.display_channel > 0:
        return
    render = scene.render
    aspect = render.pixel_aspect_x / render.pixel_aspect_y
    for strip, plane in shown_strips(scene):
        quad = quad_of(strip, portraits.picture_size(plane))
        corners = [(x * aspect, y) for x, y in quad.corners]
        _draw_picture(plane.keyportrait.portrait.output, corners, quad.uvs, strip.blend_alpha)


def _draw_picture(
    image: bpy.types.Image,
    corners: list[tuple[float, float]],
    uvs: list[tuple[float, float]],
    opacity: float,
) -> None:
    import gpu
    from gpu_extras.batch import batch_for_shader

    shader = _shader()
    points = [(x, y, 0.0) for x, y in corners]
    batch = batch_for_shader(shader, "TRI_FAN", {"pos": points, "texCoord": uvs})
    gpu.state.blend_set("ALPHA_PREMULT" if image.alpha_mode == "PREMUL" else "ALPHA")
    shader.bind()
    shader.uniform_sampler("image", gpu.texture.from_image(image))
    faded = opacity if image.alpha_mode == "PREMUL" else 1.0
    shader.uniform_float("color", (faded, faded, faded, opacity))
    batch.draw(shader)
    gpu.state.blend_set("NONE")


def _shader() -> Any:
    import gpu

    for name in _SHADERS[:-1]:
        try:
            return gpu.shader.from_builtin(name)
        except ValueError:  # Blender's own, by version
            continue
    return gpu.shader.from_builtin(_SHADERS[-1])


def register() -> None:
    global _handle
    if not bpy.app.background:
        add = bpy.types.SpaceSequenceEditor.draw_handler_add
        _handle = add(_draw, (), "PREVIEW", "POST_VIEW")


def unregister() -> None:
    global _handle
    if _handle is not None:
        bpy.types.SpaceSequenceEditor.draw_handler_remove(_handle, "PREVIEW")
    _handle = None
