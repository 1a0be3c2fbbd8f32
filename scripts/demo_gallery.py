"""The room of the demo: a framed picture under a brass picture lamp, and a camera that moves in.

Runs inside Blender. The picture stands upright at the origin, faces -Y and is 1 m high.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import bpy
from mathutils import Vector

FPS = 24
RESOLUTION = (640, 360)
SAMPLES = 8

# Cross-section of the frame: (outwards from the picture's edge, towards the viewer), metres.
FRAME_PROFILE = (
    (-0.006, 0.004),
    (0.004, 0.016),
    (0.012, 0.012),
    (0.018, 0.020),
    (0.050, 0.034),
    (0.068, 0.058),
    (0.082, 0.064),
    (0.094, 0.058),
    (0.100, 0.030),
    (0.100, -0.020),
)


def make_material(
    name: str, color: Sequence[float], *, roughness: float = 0.6, metallic: float = 0.0
) -> bpy.types.Material:
    """A principled material of one linear RGB colour."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    shader = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*color, 1.0)
    shader.inputs["Roughness"].default_value = roughness
    shader.inputs["Metallic"].default_value = metallic
    return material


def add_plaster(material: bpy.types.Material, *, contrast: float) -> None:
    """Uneven paint: large soft patches in the colour and a fine bump."""
    nodes, links = material.node_tree.nodes, material.node_tree.links
    shader = nodes["Principled BSDF"]
    red, green, blue, _ = shader.inputs["Base Color"].default_value
    position = nodes.new("ShaderNodeTexCoord").outputs["Object"]

    patches = nodes.new("ShaderNodeTexNoise")
    patches.inputs["Scale"].default_value = 1.7
    patches.inputs["Detail"].default_value = 5.0
    ramp = nodes.new("ShaderNodeValToRGB")
    for element, factor in zip(ramp.color_ramp.elements, (1 - contrast, 1 + contrast), strict=True):
        element.color = (red * factor, green * factor, blue * factor, 1.0)
    links.new(position, patches.inputs["Vector"])
    links.new(patches.outputs["Fac"], ramp.inputs["Fac"])
    links.new(ramp.outputs["Color"], shader.inputs["Base Color"])

    grain = nodes.new("ShaderNodeTexNoise")
    grain.inputs["Scale"].default_value = 45.0
    grain.inputs["Detail"].default_value = 3.0
    bump = nodes.new("ShaderNodeBump")
    bump.inputs["Strength"].default_value = 0.12
    bump.inputs["Distance"].default_value = 0.01
    links.new(position, grain.inputs["Vector"])
    links.new(grain.outputs["Fac"], bump.inputs["Height"])
    links.new(bump.outputs["Normal"], shader.inputs["Normal"])


def add_mesh(
    name: str, vertices: Sequence[Sequence[float]], faces: Sequence[Sequence[int]], material
) -> bpy.types.Object:
    """A mesh object from vertices and faces, linked to the scene."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([tuple(v) for v in vertices], [], [tuple(f) for f in faces])
    mesh.materials.append(material)
    mesh.validate()
    target = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(target)
    return target


def add_box(name: str, low: Sequence[float], high: Sequence[float], material) -> bpy.types.Object:
    """An axis-aligned box with softened edges."""
    corners = [
        (x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])
    ]
    faces = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    box = add_mesh(name, corners, faces, material)
    bevel = box.modifiers.new("Soft edges", "BEVEL")
    bevel.width = 0.004
    bevel.segments = 2
    return box


def add_tube(name: str, start: Vector, end: Vector, radius: float, material) -> bpy.types.Object:
    """A smooth cylinder between two points."""
    axis = end - start
    turn = axis.to_track_quat("Z", "Y")
    corners = 32
    ring = [Vector((math.cos(a), math.sin(a), 0.0)) * radius for a in circle(corners)]
    vertices = [(center + turn @ point).to_tuple() for center in (start, end) for point in ring]
    sides = [
        (i, (i + 1) % corners, (i + 1) % corners + corners, i + corners) for i in range(corners)
    ]
    caps = [tuple(reversed(range(corners))), tuple(range(corners, 2 * corners))]
    tube = add_mesh(name, vertices, [*sides, *caps], material)
    for polygon in tube.data.polygons:
        polygon.use_smooth = len(polygon.vertices) == 4
    return tube


def circle(corners: int) -> list[float]:
    """Evenly spread angles of a full turn, radians."""
    return [2.0 * math.pi * index / corners for index in range(corners)]


def add_frame(width: float, height: float, material) -> bpy.types.Object:
    """The moulding: FRAME_PROFILE swept around the picture with mitred corners."""
    vertices: list[tuple[float, float, float]] = []
    for out, depth in FRAME_PROFILE:
        x, z = width / 2 + out, height / 2 + out
        vertices += [(-x, -depth, -z), (x, -depth, -z), (x, -depth, z), (-x, -depth, z)]
    faces = []
    for ring in range(len(FRAME_PROFILE) - 1):
        for corner in range(4):
            following = (corner + 1) % 4
            a, b = ring * 4 + corner, ring * 4 + following
            faces.append((a, b, b + 4, a + 4))
    return add_mesh("Frame", vertices, faces, material)


def add_lamp(height: float, brass) -> None:
    """A brass picture lamp over the frame and the warm light that falls from it."""
    top = height / 2 + 0.1
    shade_y, shade_z = -0.26, top + 0.10
    add_tube(
        "Lamp shade",
        Vector((-0.24, shade_y, shade_z)),
        Vector((0.24, shade_y, shade_z)),
        0.026,
        brass,
    )
    add_tube("Lamp arm", Vector((0, 0, top + 0.04)), Vector((0, shade_y, shade_z)), 0.008, brass)
    add_tube(
        "Lamp foot", Vector((0, 0.015, top + 0.04)), Vector((0, -0.012, top + 0.04)), 0.03, brass
    )
    light = bpy.data.lights.new("Picture lamp", "AREA")
    light.shape = "RECTANGLE"
    light.size, light.size_y = 0.46, 0.04
    light.energy = 8.0
    light.color = (1.0, 0.80, 0.58)
    lamp = bpy.data.objects.new("Picture lamp", light)
    lamp.location = (0.0, shade_y - 0.005, shade_z - 0.03)
    lamp.rotation_euler = (math.radians(24), 0.0, 0.0)
    bpy.context.scene.collection.objects.link(lamp)


def add_soft_light(name: str, location: Sequence[float], size: float, energy: float, color) -> None:
    """A square area light that looks at the picture."""
    light = bpy.data.lights.new(name, "AREA")
    light.size, light.energy, light.color = size, energy, color
    target = bpy.data.objects.new(name, light)
    target.location = location
    target.rotation_euler = (-Vector(location)).to_track_quat("-Z", "Y").to_euler()
    bpy.context.scene.collection.objects.link(target)


def add_walls(height: float) -> None:
    """A dark green wall with a dado rail and panelling below."""
    paint = make_material("Wall paint", (0.018, 0.052, 0.050), roughness=0.75)
    add_plaster(paint, contrast=0.22)
    wood = make_material("Panelling", (0.012, 0.032, 0.031), roughness=0.4)
    gold = make_material("Gilt line", (0.60, 0.38, 0.13), roughness=0.35, metallic=1.0)
    wall_y, rail = 0.02, -height / 2 - 0.34
    add_mesh(
        "Wall",
        [(-5, wall_y, -3), (5, wall_y, -3), (5, wall_y, 4), (-5, wall_y, 4)],
        [(0, 1, 2, 3)],
        paint,
    )
    add_box("Dado rail", (-5, -0.04, rail - 0.05), (5, wall_y, rail), wood)
    add_box("Gilt line", (-5, -0.016, rail + 0.025), (5, wall_y, rail + 0.037), gold)
    for index in range(-3, 4):
        left = index * 0.95 - 0.42
        add_box("Panel", (left, -0.012, rail - 1.0), (left + 0.84, wall_y, rail - 0.12), wood)


def add_camera(path: Sequence[tuple[int, Sequence[float], Sequence[float]]], lens: float) -> None:
    """A camera that eases through (frame, location, looked-at point)."""
    data = bpy.data.cameras.new("Camera")
    data.lens = lens
    camera = bpy.data.objects.new("Camera", data)
    bpy.context.scene.collection.objects.link(camera)
    bpy.context.scene.camera = camera
    for frame, location, target in path:
        camera.location = location
        direction = Vector(target) - Vector(location)
        camera.rotation_euler = direction.to_track_quat("-Z", "Y").to_euler()
        camera.keyframe_insert("location", frame=frame)
        camera.keyframe_insert("rotation_euler", frame=frame)


def set_up_render(last_frame: int) -> None:
    """Cycles on the CPU; a fixed seed and a denoiser keep what is still still at few samples."""
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = SAMPLES
    scene.cycles.use_adaptive_sampling = True
    scene.cycles.adaptive_threshold = 0.05
    scene.cycles.use_denoising = True
    scene.cycles.denoiser = "OPENIMAGEDENOISE"
    scene.cycles.denoising_prefilter = "FAST"
    scene.cycles.max_bounces = 4
    scene.cycles.diffuse_bounces = 2
    scene.cycles.caustics_reflective = False
    scene.cycles.caustics_refractive = False
    scene.render.resolution_x, scene.render.resolution_y = RESOLUTION
    scene.render.fps = FPS
    scene.frame_start, scene.frame_end = 1, last_frame
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.exposure = -0.45
    scene.view_settings.look = "AgX - Medium High Contrast"


def build_gallery(width: float, height: float, face: Sequence[float], last_frame: int) -> None:
    """Everything around the picture.

    width, height  of the picture, metres
    face           (x, z) of the face on the picture, metres from the picture's middle
    """
    gilt = make_material("Gilded wood", (0.55, 0.33, 0.11), roughness=0.32, metallic=1.0)
    add_plaster(gilt, contrast=0.25)
    add_frame(width, height, gilt)
    add_walls(height)
    add_lamp(height, make_material("Brass", (0.62, 0.42, 0.18), roughness=0.2, metallic=1.0))
    add_soft_light("Window", (-2.6, -2.4, 1.6), 1.6, 75.0, (0.82, 0.90, 1.0))
    add_soft_light("Room", (2.4, -3.0, 0.6), 2.0, 22.0, (1.0, 0.86, 0.70))
    world = bpy.data.worlds.new("Room")
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.02, 0.024, 0.03, 1.0)
    bpy.context.scene.world = world
    x, z = face
    add_camera(
        (
            (1, (-0.85, -3.7, 0.10), (0.03, 0.0, 0.05)),
            (int(last_frame * 0.24), (-0.20, -1.75, 0.2), (x * 0.75, 0.0, z * 0.75)),
            (last_frame, (x - 0.02, -1.12, z + 0.02), (x, 0.0, z - 0.04)),
        ),
        lens=50.0,
    )
    set_up_render(last_frame)
