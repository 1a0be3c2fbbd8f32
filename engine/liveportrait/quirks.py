"""Habits of the official implementation that users would call bugs, each behind one switch.

docs/quirks.md has one row per field. Parity runs with OFFICIAL, everything else with SENSIBLE.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Quirks:
    """True reproduces the official behaviour.

    ignores_crop_x_offset        the crop's horizontal offset option has no effect
    guesses_point_layouts        any landmark set of more than 101 points is read as 101 points
    keeps_translation_z          t_z moves the result (sliders, lip silence) but not the source
    rounds_slider_ratios         the source's opening ratios are rounded to two digits first
    """

    ignores_crop_x_offset: bool = False
    guesses_point_layouts: bool = False
    keeps_translation_z: bool = False
    rounds_slider_ratios: bool = False


SENSIBLE = Quirks()
OFFICIAL = Quirks(**{field.name: True for field in fields(Quirks)})
