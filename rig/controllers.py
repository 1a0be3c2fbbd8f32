"""Face controllers: Empties whose custom properties and transforms move one face each."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any

import bpy
from mathutils import Matrix

from .. import compat
from ..engine.controls import CONTROLS, Face
from ..engine.motion import KEYPOINT_COUNT
from ..engine.take import AMOUNTS, EXPRESSION, TRANSLATION
from .errors import PortraitError
from .holds import HOLD_NAMES, HOLDS
from .own_transform import rides, set_own, without_deltas
from .placement import Spot, UvSurface
from .portraits import all_portraits, forget, open_collections, picture_size, portrait

log = logging.getLogger(__name__)

# LivePortrait's crop is 2.3 times the box of the face without its forehead.
CROP_SCALE = 2.3
BROW_TO_CHIN = 0.83
# Opening ratios are shown with two digits; see engine.controls.RATIO_TOLERANCE.
RATIO_DIGITS = 2
# A plain custom property, so that its driver stays valid where the extension is not installed.
DEPENDENCY = "keyportrait_faces"
PROPERTIES = (*(control.name for control in CONTROLS), *(amount.name for amount in AMOUNTS))
SIZES = {EXPRESSION: 3 * KEYPOINT_COUNT, TRANSLATION: 3}
DESCRIPTIONS = {
    EXPRESSION: "What a captured performance does beyond the sliders, in LivePortrait's exp",
    TRANSLATION: "How a captured performance moves the head, in half crop widths",
}
DEPENDENCY_PATH = f'["{DEPENDENCY}"]'
# How a controller's rest is stored, see rest.py; 0 until KeyPortrait 0.1.
REST_VERSION = 1
IDENTITY = Matrix.Identity(4)
MIRROR = Matrix.Diagonal((-1.0, 1.0, 1.0, 1.0))
# LivePortrait's frame is x right, y down, z away from the viewer; Blender's is x right, y up and
# z towards the viewer.
FLIP = Matrix.Diagonal((1.0, -1.0, -1.0))


def add_controller(plane: bpy.types.Object, face: Face, label: str) -> bpy.types.Object:
    """Make the controller of one face, parented to the plane and standing at the face.

    label  name of the new Empty
    Raises PortraitError when the plane's UV map cannot carry a picture.
    """
    spot = face_spot(plane, face, picture_size(plane))
    controller = bpy.data.objects.new(label, None)
    for collection in open_collections(plane):
        collection.objects.link(controller)
    controller.parent = plane
    # The controller's own transform is identity at rest: clearing it means rest.
    controller.matrix_parent_inverse = spot.frame
    controller.empty_display_type = "SPHERE"
    controller.show_in_front = True
    controller.hide_render = False
    settings = controller.keyportrait
    settings.kind = "FACE"
    settings.face.portrait = plane
    settings.face.data = face_to_text(face)
    settings.face.rest_matrix = spot.frame
    settings.face.rest_version = REST_VERSION
    _measure(controller, face, spot)
    write_controls(controller, face)
    plane.keyportrait.portrait.faces.add().controller = controller
    forget()
    link_evaluation(plane)
    return controller


def take_face(controller: bpy.types.Object, face: Face) -> None:
    """Let a controller move another face; rest.settle brings it there, with its motion and keys.

    Raises PortraitError when the plane's UV map cannot carry a picture.
    """
    plane = controller.keyportrait.face.portrait
    before = control_defaults(face_of(controller))
    animated = compat.driven_paths(controller)
    for name, value in control_defaults(face).items():
        if controller.get(name) == before[name] and f'["{name}"]' not in animated:
            controller[name] = value
    write_controls(controller, face)
    controller.keyportrait.face.data = face_to_text(face)
    _measure(controller, face, face_spot(plane, face, picture_size(plane)))


def forget_frame(controller: bpy.types.Object) -> None:
    """Let a face count as found in the frame of its portrait: it has another picture."""
    face = face_of(controller)
    if face.frame is not None:
        controller.keyportrait.face.data = face_to_text(replace(face, frame=None))


def _measure(controller: bpy.types.Object, face: Face, spot: Spot) -> None:
    """The sizes of a controller, in units of the plane."""
    x0, y0, x1, y1 = face.box
    controller.empty_display_size = 0.5 * max(x1 - x0, y1 - y0) * spot.unit_per_px[0]
    settings, half_px = controller.keyportrait.face, half_crop_px(face)
    settings.half_crop, settings.half_crop_y = (
        max(half_px * unit, 1e-6) for unit in spot.unit_per_px
    )


def face_spot(plane: bpy.types.Object, face: Face, image_size: tuple[int, int]) -> Spot:
    """Where the middle of a face lies on the plane."""
    x0, y0, x1, y1 = face.box
    return UvSurface(plane, image_size).spot(0.5 * (x0 + x1), 0.5 * (y0 + y1))


def half_crop_px(face: Face) -> float:
    """Half the width of LivePortrait's crop around a face, in picture pixels."""
    x0, y0, x1, y1 = face.box
    return 0.5 * CROP_SCALE * max(x1 - x0, BROW_TO_CHIN * (y1 - y0))


def face_to_text(face: Face) -> str:
    """A face for storing on its controller."""
    return json.dumps(face.to_json(), separators=(",", ":"))


def face_of(controller: bpy.types.Object) -> Face:
    """The face that a controller moves. Raises PortraitError when it is damaged."""
    try:
        return Face.from_json(json.loads(controller.keyportrait.face.data))
    except (ValueError, TypeError) as error:
        raise PortraitError(
            f"'{controller.name}' no longer knows its face.", "Remove it and find faces again."
        ) from error


def control_defaults(face: Face) -> dict[str, float]:
    """The neutral value of every control of a face, by name."""
    own = {
        "eyes_open": round(face.eyes_open, RATIO_DIGITS),
        "lips_open": round(face.lips_open, RATIO_DIGITS),
    }
    return {control.name: own.get(control.name, float(control.default)) for control in CONTROLS}


def write_controls(controller: bpy.types.Object, face: Face) -> None:
    """Give a controller its custom properties at rest, with ranges and descriptions.

    Properties that exist keep their values.
    """
    defaults = control_defaults(face)
    for control in CONTROLS:
        if control.name not in controller:
            controller[control.name] = defaults[control.name]
        low, high = control.soft_range
        settings: dict[str, Any] = {
            "min": float(control.minimum),
            "max": float(control.maximum),
            "soft_min": float(low),
            "soft_max": float(high),
            "default": defaults[control.name],
            "description": control.description,
            "subtype": "NONE",
            "precision": 1 if control.unit == "deg" else 2,
            "step": 100.0 if control.unit == "deg" else 1.0,
        }
        controller.id_properties_ui(control.name).update(**settings)
        controller.property_overridable_library_set(f'["{control.name}"]', True)
    _write_take_properties(controller)
    plane = controller.keyportrait.face.portrait
    if plane is not None and plane.keyportrait.portrait.clip.is_used:
        _write_holds(controller)


def _write_holds(controller: bpy.types.Object) -> None:
    """What only faces of moving sources have."""
    for hold in HOLDS:
        if hold.name not in controller:
            controller[hold.name] = hold.default
        controller.id_properties_ui(hold.name).update(
            min=0.0, max=1.0, default=hold.default, description=hold.description
        )
        controller.property_overridable_library_set(f'["{hold.name}"]', True)


def _write_take_properties(controller: bpy.types.Object) -> None:
    """What takes and amounts live in.

    Faces have it from the start: library overrides keep only what their library has, too.
    """
    for name, size in SIZES.items():
        if name not in controller:
            controller[name] = [0.0] * size
        ui = controller.id_properties_ui(name)
        ui.update(description=DESCRIPTIONS[name], default=[0.0] * size)
    for amount in AMOUNTS:
        if amount.name not in controller:
            controller[amount.name] = 1.0
        controller.id_properties_ui(amount.name).update(
            min=0.0, max=1.0, default=1.0, description=amount.description
        )
    for record in (controller.keyportrait_capture, controller.keyportrait_speech):
        record.frame_offset = record.frame_offset  # makes the group, for the same reason
    for name in (*SIZES, *(amount.name for amount in AMOUNTS)):
        controller.property_overridable_library_set(f'["{name}"]', True)


def complete(controller: bpy.types.Object) -> None:
    """Give a controller of an older version the properties that it does not know, at rest.

    Those of other files do without. Library overrides lose them again when the file is closed,
    but not the curves that move them.
    """
    if controller.library is not None or all(n in controller for n in (*PROPERTIES, *SIZES)):
        return
    write_controls(controller, face_of(controller))
    plane = controller.keyportrait.face.portrait
    if plane is not None and plane.is_editable:
        link_evaluation(plane)


def complete_all() -> None:
    """complete for every face of the file; damaged ones stay as they are."""
    for item in all_portraits():
        for controller in item.controllers:
            try:
                complete(controller)
            except PortraitError as error:
                log.info("'%s' gets no new controls: %s", controller.name, error)


def remove_controller(controller: bpy.types.Object) -> None:
    """Delete a controller; its face goes back to rest."""
    plane = controller.keyportrait.face.portrait
    if plane is not None:
        links = plane.keyportrait.portrait.faces
        for index in reversed(range(len(links))):
            if links[index].controller in (controller, None):
                links.remove(index)
    bpy.data.objects.remove(controller)
    forget()
    if plane is not None:
        link_evaluation(plane)


def reset_handle(controller: bpy.types.Object) -> None:
    """Put the Empty itself back to where it stands at rest; its properties stay."""
    place_handle(controller, IDENTITY)


def place_handle(controller: bpy.types.Object, motion: Matrix) -> None:
    """Put the Empty where it means a motion, whatever it is parented to.

    motion  as from handle_matrix: relative to rest; identity is rest
    """
    rest, plane = controller.keyportrait.face.rest_matrix, _plane_of(controller)
    if stands_on_plane(controller):
        offset = handle_offset(controller)
        # Library overrides are left as they were made.
        if controller.matrix_parent_inverse != rest @ offset:
            offset = rest.inverted_safe() @ controller.matrix_parent_inverse
        basis = _right_handed(offset.inverted_safe() @ motion)
        if rides(controller):
            set_own(controller, basis)
        else:
            controller.matrix_basis = basis
        return
    # Parents that were moved by a script are where they were before the next update.
    bpy.context.view_layer.update()
    controller.matrix_world = _right_handed(plane.matrix_world @ rest @ motion)


def handle_matrix(
    controller: bpy.types.Object, depsgraph: bpy.types.Depsgraph | None = None
) -> Matrix:
    """The Empty's transform relative to rest, in the picture's frame: x right, y up, z outwards.

    Mirrored planes and pictures do not mirror it. Without a depsgraph, as the objects themselves
    have it, for changing them.
    """
    rest, plane = controller.keyportrait.face.rest_matrix, _plane_of(controller)
    is_child = stands_on_plane(controller)
    if depsgraph is not None and not (is_child and _is_settled_since(controller, depsgraph)):
        controller, plane = controller.evaluated_get(depsgraph), plane.evaluated_get(depsgraph)
    if is_child and not (depsgraph is not None and len(controller.constraints)):
        # The same without the rounding of a place far away.
        in_plane = controller.matrix_parent_inverse @ controller.matrix_basis
    else:
        in_plane = plane.matrix_world.inverted_safe() @ controller.matrix_world
    if rides(controller):
        stand = rest @ handle_offset(controller)
        in_plane = stand @ without_deltas(stand.inverted_safe() @ in_plane, controller)
    return relative_to(rest, in_plane)


def _is_settled_since(controller: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> bool:
    """Whether a controller was given another rest since it was evaluated, as in handlers."""
    evaluated = controller.evaluated_get(depsgraph)
    return evaluated.matrix_parent_inverse != controller.matrix_parent_inverse


def _plane_of(controller: bpy.types.Object) -> bpy.types.Object:
    plane = controller.keyportrait.face.portrait
    if plane is None:
        raise PortraitError(f"The plane of '{controller.name}' was deleted.", "Delete it too.")
    return plane


def relative_to(rest: Matrix, in_plane: Matrix) -> Matrix:
    """A place in the plane's space relative to a rest; both may be mirrored."""
    return _right_handed(rest.inverted_safe() @ in_plane)


def is_mirrored(controller: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> bool:
    """Whether the picture's right is the Empty's left."""
    plane = controller.keyportrait.face.portrait.evaluated_get(depsgraph)
    rest = plane.matrix_world @ controller.keyportrait.face.rest_matrix
    world = controller.evaluated_get(depsgraph).matrix_world
    return rest.determinant() * world.determinant() < 0.0


def stands_on_plane(controller: bpy.types.Object) -> bool:
    """Whether a controller is a plain child of its plane, not of a bone, Empty or vertex."""
    plane = controller.keyportrait.face.portrait
    return plane is not None and controller.parent == plane and controller.parent_type == "OBJECT"


def handle_offset(controller: bpy.types.Object) -> Matrix:
    """What lies between the rest and the transform of a controller on its plane.

    Identity but for mirrored pictures, and for old files whose keys count from elsewhere.
    """
    offset = controller.keyportrait.face.handle_offset
    return offset.copy() if any(any(row) for row in offset) else IDENTITY.copy()


def _right_handed(matrix: Matrix) -> Matrix:
    return matrix @ MIRROR if matrix.determinant() < 0.0 else matrix


def link_evaluation(plane: bpy.types.Object) -> None:
    """Let the plane depend on its controllers and their gaze targets, by a driver.

    Blender does not evaluate objects that are hidden from the viewport or the render unless
    something visible depends on them; without this, hiding a controller would freeze the face.
    """
    if DEPENDENCY in plane:
        plane.driver_remove(DEPENDENCY_PATH)
    items: list[bpy.types.Object] = []
    for controller in portrait(plane).controllers:
        items.append(controller)
        target = controller.keyportrait.face.gaze_target
        if target is not None:
            items.append(target)
    if not items:
        return
    plane[DEPENDENCY] = 0.0
    plane.id_properties_ui(DEPENDENCY).update(
        description="Keeps the face controllers moving while they are hidden; nothing to set"
    )
    driver = plane.driver_add(DEPENDENCY_PATH).driver
    driver.type = "SUM"
    for item in items:
        variable = driver.variables.new()
        variable.type = "TRANSFORMS"
        variable.targets[0].id = item
        if item.keyportrait.kind == "FACE":
            _depend_on_controls(driver, item)


def _depend_on_controls(driver: bpy.types.Driver, controller: bpy.types.Object) -> None:
    # One by one: Blender evaluates only the curves of properties that something depends on.
    paths = [f'["{name}"]' for name in (*PROPERTIES, *HOLD_NAMES) if name in controller]
    # One number of an array keeps all of them evaluated.
    paths += [f'["{name}"][0]' for name in (EXPRESSION, TRANSLATION) if name in controller]
    for path in paths:
        variable = driver.variables.new()
        variable.targets[0].id = controller
        variable.targets[0].data_path = path
