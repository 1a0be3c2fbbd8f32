"""Strips of the Video Sequencer: animate their faces, and bake them back as strips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty

from .. import compat
from ..engine.renderer_table import RENDERER_ITEMS
from ..preferences import MATERIAL_ITEMS, preferences
from ..rig import (
    creation,
    frame_cache,
    live,
    strip_bake,
    strip_driving,
    strip_following,
    strip_links,
    strip_portraits,
    strip_reading,
    strip_rendering,
)
from ..rig.capture_choices import choices_of
from ..rig.capture_run import CaptureRun, jobs_for
from ..rig.errors import AddonError
from ..rig.take_choices import STRIP
from ._base import ReportsErrors, poll_object_mode
from ._detect import LooksRun, Source
from ._long_run import RunsLong
from ._strip_look import RenderThenLook
from ._track import FollowsFaces
from .bake import BUSY
from .capture import Captures

NO_STRIP = "No strip is active: select one in the Video Sequencer"


def poll_strip(cls: type, context: bpy.types.Context) -> bool:
    """True when a strip of the sequencer is active and its scene can be changed."""
    strip, scene = compat.active_strip(context)
    if strip is None:
        cls.poll_message_set(NO_STRIP)
        return False
    if not scene.is_editable:
        cls.poll_message_set(f"'{scene.name}' is linked from another file: make it local first")
        return False
    return True


def poll_strip_portrait(cls: type, context: bpy.types.Context) -> bool:
    """True when the active strip has a portrait, or is the bake of one."""
    strip, _ = compat.active_strip(context)
    if strip_links.plane_of_strip(strip) is None:
        cls.poll_message_set(f"The strip '{strip.name}' has no portrait: press Animate Strip")
        return False
    return True


class KEYPORTRAIT_OT_animate_strip(FollowsFaces, bpy.types.Operator):
    """Give each face in the active strip a controller, on a plane in the strip's scene"""

    bl_idname = "keyportrait.animate_strip"
    bl_label = "Animate Strip"
    bl_options = {"UNDO"}

    material: EnumProperty(
        name="Material", items=MATERIAL_ITEMS, description="How the plane shows the picture"
    )
    renderer: EnumProperty(
        name="Renderer",
        items=RENDERER_ITEMS,
        description="What moves the faces; Animal looks for cats' faces",
    )
    max_faces: IntProperty(
        name="Most Faces", description="Only this many of the largest faces; 0 for all", min=0
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not poll_strip(cls, context):
            return False
        strip, _ = compat.active_strip(context)
        if strip.type == "SOUND":
            cls.poll_message_set(f"The strip '{strip.name}' is a sound: select one with pictures")
            return False
        if strip_links.plane_of_strip(strip) is not None:
            cls.poll_message_set(f"The strip '{strip.name}' has a portrait already")
            return False
        return poll_object_mode(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not self.properties.is_property_set("material"):
            self.material = preferences().default_material
        return self.execute(context)

    def _begin(self, context: bpy.types.Context) -> LooksRun | RenderThenLook:
        strip, scene = compat.active_strip(context)
        self._strip_name, self._scene_name = strip.name, scene.name
        self._reason = strip_reading.why_unreadable(strip)
        if self._reason:
            begin = super()._begin
            render = strip_rendering.StripRender(scene, strip)
            return RenderThenLook(render, lambda: self._look(render.pictures(), begin, context))
        return self._look(strip_reading.read(strip), super()._begin, context)

    def _look(
        self,
        pictures: strip_reading.StripPictures,
        begin: Callable[[bpy.types.Context], LooksRun],
        context: bpy.types.Context,
    ) -> LooksRun:
        self._pictures = pictures
        return begin(context)

    def sources(self, context: bpy.types.Context) -> list[Source]:
        scene = bpy.data.scenes[self._scene_name]
        open_pictures = partial(
            strip_portraits.open_pictures, self._pictures, scene, use_still=self.use_still
        )
        return [self.follow(open_pictures, self._pictures, scene)]

    def wanted_renderer(self) -> str:
        return self.renderer

    def finish(
        self, context: bpy.types.Context, image: bpy.types.Image, finding: creation.Finding
    ) -> str:
        scene = bpy.data.scenes[self._scene_name]
        strip_portraits.strip_of(scene, self._strip_name)
        with strip_portraits.in_scene(context, scene):
            item = creation.add_portrait(
                bpy.context,
                image,
                finding.faces,
                self.material,
                renderer=self.renderer,
                clip=self.place(image),
            )
        is_rendered = bool(self._reason)
        strip_portraits.adopt(scene, self._strip_name, item.plane, is_rendered=is_rendered)
        live.refresh_later()
        text = f"'{self._strip_name}' has the portrait '{item.plane.name}'"
        if self._reason:
            folder = self._pictures.path.parent
            text = f"{text}, of pictures that Blender rendered to '{folder}', since the strip "
            text += self._reason
        return text


class KEYPORTRAIT_OT_bake_strip(RunsLong, bpy.types.Operator):
    """Render the portrait of the active strip to pictures, and put them as a strip above it. \
Esc stops; baking again goes on where it stopped, and swaps the pictures in place"""

    bl_idname = "keyportrait.bake_strip"
    bl_label = "Bake to Strip"
    bl_options = {"UNDO"}

    strip: StringProperty(
        name="Strip",
        description="Name of a strip with a portrait; empty for the active one",
        options={"SKIP_SAVE"},
    )

    stop_text = "Bake stopped: finished frames are kept, bake again to go on"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if strip_bake.active() is not None:
            cls.poll_message_set(BUSY)
            return False
        return poll_strip(cls, context) and poll_strip_portrait(cls, context)

    def _begin(self, context: bpy.types.Context) -> strip_bake.StripBake:
        strip, scene = compat.active_strip(context)
        if self.strip:
            strip = strip_portraits.strip_of(scene, self.strip)
        return strip_bake.begin(scene, strip_bake.source_strip(scene, strip))

    def _finish(self, context: bpy.types.Context, run: strip_bake.StripBake) -> set[str]:
        strip, is_new = run.put()
        for warning in (*run.warnings, *run.summary.warnings):
            self.report({"WARNING"}, warning)
        how = "the new strip" if is_new else "the strip"
        self.report({"INFO"}, f"{run.summary.text}, as {how} '{strip.name}'")
        frame_cache.measure()
        return {"FINISHED"}


class KEYPORTRAIT_OT_follow_strip(ReportsErrors, bpy.types.Operator):
    """Let the active strip's portrait show the strip's own frames again, and move the keys of its \
faces as far as the strip was moved"""

    bl_idname = "keyportrait.follow_strip"
    bl_label = "Follow Strip"
    bl_options = {"REGISTER", "UNDO"}

    use_keys: BoolProperty(
        name="Move Keys", default=True, description="Move the keys of the faces, too"
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_strip(cls, context) and poll_strip_portrait(cls, context)

    def _run(self, context: bpy.types.Context) -> set[str]:
        strip, scene = compat.active_strip(context)
        strip = strip_bake.source_strip(scene, strip)
        obstacle = strip_following.follow(strip)
        shift = strip_following.move_keys(strip) if self.use_keys else 0
        live.refresh_later()
        if obstacle:
            self.report({"WARNING"}, obstacle)
        else:
            self.report({"INFO"}, f"Keys moved by {shift} frames")
        return {"FINISHED"}


class KEYPORTRAIT_OT_drive_with_strip(Captures, bpy.types.Operator):
    """Capture the performer's strip onto the face of the other selected strip, or onto the \
active face. Keys lie where the performer's strip lies"""

    bl_idname = "keyportrait.drive_with_strip"
    bl_label = "Drive with Strip"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        try:
            strip_driving.performance_strip(context)
            strip_driving.driven_faces(context)
        except AddonError as error:
            cls.poll_message_set(str(error))
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return self.execute(context)

    def _begin(self, context: bpy.types.Context) -> CaptureRun:
        strip = strip_driving.performance_strip(context)
        faces = strip_driving.driven_faces(context)
        choices = choices_of(faces[0].keyportrait_capture)
        choices = replace(choices, source=STRIP, strip=strip.name)
        return CaptureRun(jobs_for(context, faces, choices), is_blocking=self.is_blocking)


def _draw_menu(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    self.layout.separator()
    self.layout.operator(KEYPORTRAIT_OT_animate_strip.bl_idname, icon="USER")
    self.layout.operator(KEYPORTRAIT_OT_drive_with_strip.bl_idname, icon="OUTLINER_DATA_ARMATURE")
    self.layout.operator(KEYPORTRAIT_OT_bake_strip.bl_idname, icon="RENDER_ANIMATION")


CLASSES = (
    KEYPORTRAIT_OT_animate_strip,
    KEYPORTRAIT_OT_follow_strip,
    KEYPORTRAIT_OT_drive_with_strip,
    KEYPORTRAIT_OT_bake_strip,
)
_register, _unregister = compat.registration_of(CLASSES)


def register() -> None:
    _register()
    bpy.types.SEQUENCER_MT_strip.append(_draw_menu)


def unregister() -> None:
    bpy.types.SEQUENCER_MT_strip.remove(_draw_menu)
    _unregister()
