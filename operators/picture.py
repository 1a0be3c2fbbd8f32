"""Fit a portrait to another picture: what follows when the Picture field was changed."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty

from ..compat import registration_of
from ..rig import clips, content, live, portraits, refit
from ..rig.creation import Finding
from ..rig.errors import AddonError
from ..rig.images import Picture
from ._detect import FindsFaces, Source


class KEYPORTRAIT_OT_fit_picture(FindsFaces, bpy.types.Operator):
    """Look for the faces of a new picture and bring the controllers there"""

    bl_idname = "keyportrait.fit_picture"
    bl_label = "Fit New Picture"
    # Without an undo step of its own: it belongs to that of the new picture.
    bl_options = {"INTERNAL"}
    stop_text = "The faces stay where they were in the old picture; press Find to look again"
    max_faces = 0

    identity: StringProperty(
        name="Portrait",
        description="Identity of the portrait whose picture is new",
        options={"HIDDEN", "SKIP_SAVE"},
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return self.execute(context)

    def _item(self) -> portraits.Portrait:
        item = portraits.find(self.identity)
        if item is None:
            raise AddonError("The portrait was deleted meanwhile.")
        return item

    def sources(self, context: bpy.types.Context) -> list[Source]:
        item = self._item()
        return [lambda: (item.settings.source, False)]

    def place(self, image: bpy.types.Image) -> clips.Place | None:
        return clips.found_place(self._item())

    def read(self, image: bpy.types.Image) -> Picture:
        return content.read_source(self._item().settings)

    def wanted_renderer(self) -> str:
        return self._item().settings.renderer

    def finish(self, context: bpy.types.Context, image: bpy.types.Image, finding: Finding) -> str:
        text = refit.fit(self._item().plane, finding)
        live.follow_faces(self._item())
        return text

    def _drop(self) -> None:
        item = portraits.find(self.identity)
        if item is not None:
            refit.settle(item.plane)
            live.refresh_later()


register, unregister = registration_of((KEYPORTRAIT_OT_fit_picture,))
