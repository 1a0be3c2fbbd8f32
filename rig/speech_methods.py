"""The methods of speech: which can be used now, and a row to choose one from."""

from __future__ import annotations

from typing import Any, NamedTuple

import bpy

from ..engine.speech_options import AUDIO2FACE, METHOD_ITEMS
from ..preferences import has_setup


class Problem(NamedTuple):
    """Why a method cannot be used, and what to do."""

    text: str
    hint: str


def method_problem(method: str) -> Problem | None:
    """Why a method cannot be used now, as far as is known without waiting; None where it can."""
    if method != AUDIO2FACE:
        return None
    if not has_setup():
        text = "This edition of KeyPortrait comes without networks."
        return Problem(text, "Install the full edition for Audio2Face-3D.")
    # The edition without networks lacks this module.
    from . import audio2face

    text = audio2face.problem()
    return Problem(f"{text}.", "See Set Up LivePortrait in the Engine panel.") if text else None


def draw_methods(layout: bpy.types.UILayout, holder: Any) -> Problem | None:
    """A row of all methods, grey where they cannot be used; why the first of those cannot.

    holder  an operator, or a face's `keyportrait_speech`
    """
    row = layout.row(align=True)
    found: Problem | None = None
    for name, *_ in METHOD_ITEMS:
        problem = method_problem(name)
        item = row.row(align=True)
        item.enabled = problem is None
        item.prop_enum(holder, "method", name)
        found = found or problem
    return found
