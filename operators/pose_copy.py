"""Copy the pose and expression of a face in a picture onto the selected faces."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..compat import registration_of
from ..engine.take import REGION_ITEMS, PerformanceSource, TakeOptions
from ..preferences import preferences
from ..rig import engine as engine_process
from ..rig import live, portraits, take_pose, takes
from ..rig.controllers import face_of
from ..rig.errors import AddonError
from ._base import poll_face
from ._detect import RequestRun
from ._long_run import RunsLong
from .expression import key_frame


class KEYPORTRAIT_OT_copy_from_picture(RunsLong, ImportHelper, bpy.types.Operator):
    """Bring the selected faces to the pose and expression of a face in another picture. \
Sliders are set, and keyed with Auto Keying"""

    bl_idname = "keyportrait.copy_from_picture"
    bl_label = "Copy from Picture"
    bl_options = {"UNDO"}

    stop_text = "Nothing was copied"
    filter_image: BoolProperty(
        name="Pictures", description="Show pictures", default=True, options={"HIDDEN"}
    )
    filter_folder: BoolProperty(default=True, options={"HIDDEN"})
    filter_glob: StringProperty(default="", options={"HIDDEN"})
    region: EnumProperty(name="Region", items=REGION_ITEMS, description="What is copied")
    factor: FloatProperty(
        name="Strength", default=1.0, min=0.0, max=2.0, subtype="FACTOR",
        description="How much of the way from the face's own to the picture's pose",
    )  # fmt: skip
    face: IntProperty(
        name="Face", default=1, min=1, description="Which face of the picture; 1 is the largest"
    )
    use_mirror: BoolProperty(name="Mirror", description="The picture as seen in a mirror")
    use_key: BoolProperty(name="Key", description="Set keyframes on the current frame")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_face(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if self.properties.is_property_set("filepath"):
            return self.execute(context)
        return super().invoke(context, event)

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column()
        column.use_property_split = True
        for name in ("region", "factor", "face", "use_mirror", "use_key"):
            column.prop(self, name)

    def _begin(self, context: bpy.types.Context) -> RequestRun:
        path = Path(bpy.path.abspath(self.filepath))
        if not path.is_file():
            raise AddonError(f"There is no file '{path}'.", "Choose a picture with a face.")
        self._names = [item.name for item in portraits.editable_controllers(context)]
        options = TakeOptions(
            region=self.region, multiplier=self.factor,
            use_relative_motion=False, use_mirror=self.use_mirror,
        )  # fmt: skip
        source = PerformanceSource(str(path), performer=self.face - 1, is_still=True)
        fields = {
            "source": source.to_json(),
            "faces": [face_of(bpy.data.objects[name]).to_json() for name in self._names],
            "options": options.to_json(),
        }
        client = self._client()
        ticket = client.submit("capture", fields, use_drain=False)
        return RequestRun(client, ticket, f"Looking at '{path.name}'")

    def _client(self):
        if self.is_blocking:
            return engine_process.start_ready(preferences().open_timeout_s)
        client = engine_process.start()
        return client if client.error is None else engine_process.restart()

    def _finish(self, context: bpy.types.Context, run: RequestRun) -> set[str]:
        found = takes.FaceTake.read(run.ticket.result())
        frame = key_frame(context, self.use_key)
        held: set[str] = set()
        for name, take in zip(self._names, found, strict=True):
            controller = bpy.data.objects.get(name)
            if controller is None:
                raise AddonError(f"'{name}' was deleted meanwhile.", "Copy again.")
            held.update(take_pose.apply_pose(controller, take, self.region, frame))
        if held:
            names = ", ".join(sorted(held))
            self.report({"WARNING"}, f"Left alone, since drivers set them: {names}")
        live.refresh_later()
        what = f"'{self._names[0]}'" if len(found) == 1 else f"{len(found)} faces"
        self.report({"INFO"}, f"Copied '{Path(self.filepath).name}' onto {what}")
        return {"FINISHED"}


register, unregister = registration_of((KEYPORTRAIT_OT_copy_from_picture,))
