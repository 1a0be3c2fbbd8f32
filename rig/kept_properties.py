"""bpy.props of which library overrides keep the values.

Without it an override goes back to its library when the file is opened again: a face would point
at the library's plane, and a portrait at the library's faces.
"""

from __future__ import annotations

from functools import partial

from bpy import props

_KEPT = {"LIBRARY_OVERRIDABLE"}

BoolProperty = partial(props.BoolProperty, override=_KEPT)
CollectionProperty = partial(props.CollectionProperty, override=_KEPT | {"USE_INSERTION"})
EnumProperty = partial(props.EnumProperty, override=_KEPT)
FloatProperty = partial(props.FloatProperty, override=_KEPT)
FloatVectorProperty = partial(props.FloatVectorProperty, override=_KEPT)
IntProperty = partial(props.IntProperty, override=_KEPT)
IntVectorProperty = partial(props.IntVectorProperty, override=_KEPT)
PointerProperty = partial(props.PointerProperty, override=_KEPT)
StringProperty = partial(props.StringProperty, override=_KEPT)
