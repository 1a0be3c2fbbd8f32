"""Whether the scene's view shows an emitted picture in the picture's own colours."""

from __future__ import annotations

import bpy

from .errors import PortraitError

# Raw is chosen by those who want to see numbers.
TRUE_VIEWS = frozenset({"Standard", "Raw"})
NEUTRAL = {"look": "None", "exposure": 0.0, "gamma": 1.0}
SWITCHES = ("use_curve_mapping", "use_white_balance")


def is_true(scene: bpy.types.Scene) -> bool:
    """Whether the view leaves display colours as they are: no tone mapping, no grading."""
    view = scene.view_settings
    if view.view_transform not in TRUE_VIEWS:
        return False
    is_graded = any(getattr(view, name) != value for name, value in NEUTRAL.items())
    return not is_graded and not any(getattr(view, name, False) for name in SWITCHES)


def shows_other_colours(scene: bpy.types.Scene, plane: bpy.types.Object) -> bool:
    """Whether a portrait that emits an 8-bit picture is seen in colours not its own."""
    output = plane.keyportrait.portrait.output
    if output is None or output.is_float or is_true(scene):
        return False
    return any(_is_emitted(slot.material, output) for slot in plane.material_slots)


def _is_emitted(material: bpy.types.Material | None, image: bpy.types.Image) -> bool:
    tree = material.node_tree if material is not None else None
    return tree is not None and any(
        link.to_node.type == "EMISSION" and getattr(link.from_node, "image", None) == image
        for link in tree.links
    )


def set_standard(scene: bpy.types.Scene) -> None:
    """Let the view show display colours as they are. Raises PortraitError."""
    view = scene.view_settings
    try:
        view.view_transform = "Standard"
    except TypeError as error:
        raise PortraitError(
            f"The colour management of '{scene.name}' has no view 'Standard'.",
            "Choose the view that shows display colours unchanged in the Render properties.",
        ) from error
    for name, value in NEUTRAL.items():
        setattr(view, name, value)
    for name in SWITCHES:
        if hasattr(view, name):
            setattr(view, name, False)
