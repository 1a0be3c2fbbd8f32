"""Makes portraits out of pictures and the faces found in them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import PurePath

import bpy
import numpy as np

from ..engine.controls import Face
from ..engine.motion import NO_FACE_HINT
from ..engine.renderer_table import PREVIEW
from . import (
    clips,
    content,
    controllers,
    face_tracks,
    images,
    planes,
    riding,
    stance,
    stills,
    structure,
    textures,
)
from .errors import FaceError, PortraitError
from .portraits import (
    Portrait,
    check_editable,
    forget,
    is_placed,
    new_uid,
    picture_size,
    portrait,
)

# Faces that overlap by this part of their common area are the same face.
SAME_FACE_OVERLAP = 0.4


@dataclass
class Finding:
    """What was found in a picture: faces that can be moved, and why the others cannot.

    nothing  what the engine says where there is no face at all
    notes    what to tell beside them, such as cuts of a clip
    """

    faces: list[Face] = field(default_factory=list)
    refused: list[Face] = field(default_factory=list)
    nothing: str = ""
    notes: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, found: list[dict], limit: int = 0) -> Finding:
        """Sort a `detected` answer; limit keeps only that many of the largest (0: all)."""
        finding = cls()
        for data in found:
            face = Face.from_json(data)
            (finding.refused if face.problem else finding.faces).append(face)
        if limit:
            del finding.faces[limit:]
        return finding

    @property
    def reason(self) -> str:
        """Why there is no face, or why the first that was left out cannot be moved; may be ""."""
        if not self.refused:
            return self.nothing
        problem = self.refused[0].problem
        message = problem.get("message", "This face cannot be moved.")
        return f"{message} {problem.get('hint', '')}".strip()

    def check(self, picture_name: str) -> None:
        """Raise FaceError when no face can be moved."""
        if self.faces:
            return
        if self.refused:
            raise FaceError(f"'{picture_name}': {self.reason}")
        raise FaceError(f"No face found in '{picture_name}'.", NO_FACE_HINT)


def add_portrait(
    context: bpy.types.Context,
    image: bpy.types.Image,
    faces: list[Face],
    material_kind: str,
    *,
    renderer: str = PREVIEW,
    row: stance.Row | None = None,
    clip: clips.Place | None = None,
) -> Portrait:
    """A new plane that shows `image`, with a controller for each face.

    material_kind  "EMISSION" or "PRINCIPLED"
    renderer       of engine.renderer_table.RENDERERS
    row            where it stands, as its next plane; None for the 3D cursor
    clip           the place in it, where every frame of the image is used
    Raises AddonError; nothing is left behind then.
    """
    name = PurePath(image.name).stem or image.name
    check_editable(context.collection)
    with _nothing_left_behind():
        if clip is None:
            picture = content.upright(image, is_certain=False)
        else:
            picture = _frame_picture(image, clip, faces)
        output = images.new_image(f"{name} Live", picture, image)
        row = row or stance.row_at_cursor(context.scene)
        place = row.place(*planes.scene_size(picture.size))
        plane = planes.add_plane(context.collection, name, picture.size, place)
        material = planes.add_material(
            name, output, material_kind, is_transparent=picture.is_transparent
        )
        plane.data.materials.append(material)
        plane.keyportrait.portrait.use_orientation = clip is None
        _make_portrait(plane, image, output, picture.size, faces, clip)
        plane.keyportrait.portrait.renderer = renderer
    select_only(context, plane)
    return portrait(plane)


@contextmanager
def _nothing_left_behind() -> Iterator[None]:
    """On an error, remove the data-blocks that were made inside."""
    kinds = (bpy.data.objects, bpy.data.meshes, bpy.data.materials, bpy.data.images)
    before = {item for kind in kinds for item in kind}
    is_done = False
    try:
        yield
        is_done = True
    finally:
        if not is_done:
            for kind in kinds:
                for item in [item for item in kind if item not in before]:
                    kind.remove(item)
            forget()


def _frame_picture(image: bpy.types.Image, place: clips.Place, faces: list[Face]) -> images.Picture:
    """What a plane shows of a clip until the engine has answered, in the size of its frames."""
    picture = stills.read_frame(image, place.number)
    track = face_tracks.read_new(place, faces)
    if track is None or track.size == picture.size:
        return picture
    # Blender neither turns clips upright nor makes their pixels square.
    width, height = track.size
    return replace(picture, pixels=np.zeros((height, width, 4), picture.pixels.dtype))


def use_texture(
    item: bpy.types.Object,
    faces: list[Face],
    source: bpy.types.Image,
    place: clips.Place | None = None,
) -> Portrait:
    """Turn an object with an image texture into a portrait; its material shows the live image.

    place  in the clip, where every frame of the texture is used
    Raises PortraitError; nothing is changed then.
    """
    textures.active_texture(item)
    check_editable(item.active_material)
    if place is None:
        picture = images.read_picture(source)
    else:
        picture = _frame_picture(source, place, faces)
        if tuple(source.size) != picture.size:
            now, then = ("{} x {} px".format(*pair) for pair in (source.size, picture.size))
            raise PortraitError(
                f"Blender shows '{source.name}' as {now}, but it is meant to be seen as {then}.",
                "Use Add Portrait with its file, or convert it to upright, square pixels.",
            )
    # Fails before anything is changed when the mesh cannot carry a picture.
    for face in faces:
        controllers.face_spot(item, face, picture.size)
    name = PurePath(source.name).stem or source.name
    output = images.new_image(f"{name} Live", picture, source)
    node = _own_texture(item)
    node.image = output
    node.image_user.use_auto_refresh = False
    _make_portrait(item, source, output, picture.size, faces, place)
    return portrait(item)


def _own_texture(item: bpy.types.Object) -> bpy.types.ShaderNodeTexImage:
    """The node of an object's texture, in a mesh, material and groups that nothing else uses."""
    if item.data.users > 1 or not item.data.is_editable:
        item.data = item.data.copy()
    slot = next(slot for slot in item.material_slots if slot.material == item.active_material)
    return textures.own_node(slot, textures.active_texture(item))


def _make_portrait(
    plane: bpy.types.Object,
    source: bpy.types.Image,
    output: bpy.types.Image,
    size_px: tuple[int, int],
    faces: list[Face],
    place: clips.Place | None,
) -> None:
    plane.keyportrait.kind = "PORTRAIT"
    structure.tell_about(plane)
    settings = plane.keyportrait.portrait
    settings.uid = new_uid()
    settings.source = source
    settings.output = output
    settings.size = size_px
    settings.found_in = content.file_name(source)
    if place is not None:
        clips.take_place(settings.clip, place)
    forget()
    add_faces(plane, faces)
    if faces:
        riding.ride(portrait(plane))


def add_faces(plane: bpy.types.Object, faces: list[Face]) -> list[bpy.types.Object]:
    """Add controllers for faces that have none yet, left to right; those that were added."""
    known = [controllers.face_of(c) for c in portrait(plane).controllers]
    fresh = [face for face in faces if not any(is_same_face(face, old) for old in known)]
    return add_fresh(plane, sorted(fresh, key=lambda face: face.box[0]))


def add_fresh(plane: bpy.types.Object, faces: list[Face]) -> list[bpy.types.Object]:
    """Add controllers for faces that are known to have none; those that were added."""
    many = len(faces) + len(portrait(plane).controllers) > 1
    return [controllers.add_controller(plane, face, free_label(plane, many)) for face in faces]


def free_label(plane: bpy.types.Object, is_one_of_many: bool) -> str:
    """The first name for a face that no controller in the scene has.

    Deleted controllers linger while their portrait points at them; they give up their names.
    """
    first = f"{plane.name} Face"
    if not is_one_of_many and _is_free(first):
        return first
    start = 1 if _is_free(first) else 2
    return next(label for n in itertools.count(start) if _is_free(label := f"{first} {n}"))


def _is_free(label: str) -> bool:
    other = bpy.data.objects.get((label, None))
    if other is not None and not is_placed(other):
        other.name = f"{label} (deleted)"
        return True
    return other is None


def is_same_face(first: Face, second: Face) -> bool:
    """Whether two boxes cover the same face."""
    ax0, ay0, ax1, ay1 = first.box
    bx0, by0, bx1, by1 = second.box
    width = min(ax1, bx1) - max(ax0, bx0)
    height = min(ay1, by1) - max(ay0, by0)
    if width <= 0 or height <= 0:
        return False
    common = width * height
    union = (ax1 - ax0) * (ay1 - ay0) + (bx1 - bx0) * (by1 - by0) - common
    return common / union > SAME_FACE_OVERLAP


def hand_drawn_face(plane: bpy.types.Object, box: tuple[float, float, float, float]) -> Face:
    """A face with a box given in picture pixels. Raises PortraitError when it is outside."""
    width, height = picture_size(plane)
    x0, y0, x1, y1 = box
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise PortraitError(
            f"The box {box} is not inside the picture of {width} x {height} px.",
            "Give left, top, right and bottom in pixels.",
        )
    return Face(box=box)


def add_drawn_face(plane: bpy.types.Object, face: Face) -> bpy.types.Object:
    """A controller for what the artist has drawn a box around. Raises PortraitError."""
    label = free_label(plane, bool(portrait(plane).controllers))
    return controllers.add_controller(plane, face, label)


def select_only(context: bpy.types.Context, *items: bpy.types.Object) -> None:
    """Select these objects and make the first active, in the scene of the window if it has them."""
    layer = context.view_layer
    if layer.objects.get(items[0].name) != items[0]:
        # Since 5.0 the Sequencer may show the strips, and portraits, of another scene.
        layer = items[0].users_scene[0].view_layers[0]
    # Asked for one object, the layer forgets those that were removed; a walk through it does not
    # wait for that, and would crash.
    items[0].select_get(view_layer=layer)
    for other in list(layer.objects):
        if other.select_get(view_layer=layer):
            other.select_set(False, view_layer=layer)
    for item in items:
        item.select_set(True, view_layer=layer)
    layer.objects.active = items[0]
