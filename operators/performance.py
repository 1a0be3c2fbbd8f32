"""Capture a performance from a file onto the selected faces, as F-curves."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..compat import registration_of
from ..engine.take import FIRST, REFERENCE_ITEMS, REGION_ITEMS, PerformanceSource, TakeOptions
from ..preferences import preferences
from ..rig import engine as engine_process
from ..rig import live, portraits, takes
from ..rig.controllers import face_of
from ..rig.errors import AddonError
from ._base import poll_face
from ._detect import RequestRun
from ._long_run import RunsLong

TEMPLATES = "*.pkl;*.npz;*.csv"


class KEYPORTRAIT_OT_capture(RunsLong, ImportHelper, bpy.types.Operator):
    """Carry a performance over to the selected faces: a motion template of LivePortrait becomes \
curves that can be edited"""

    bl_idname = "keyportrait.capture"
    bl_label = "Capture"
    bl_options = {"UNDO"}

    stop_text = "The capture was cancelled"
    filter_glob: StringProperty(default=TEMPLATES, options={"HIDDEN"})
    start_frame: FloatProperty(
        name="Start", description="Scene frame at which the performance begins"
    )
    region: EnumProperty(
        name="Region", items=REGION_ITEMS, description="What is carried over to the face"
    )
    reference: EnumProperty(
        name="Rest",
        items=REFERENCE_ITEMS,
        default=FIRST,
        description="The frame that counts as the performer's rest: the face moves by the "
        "difference to it",
    )
    multiplier: FloatProperty(
        name="Multiplier", default=1.0, min=0.0, max=10.0, soft_max=2.0,
        description="Factor on all motion",
    )  # fmt: skip
    use_detail: BoolProperty(
        name="Detail",
        default=True,
        description="Also carry over what the sliders cannot say, in curves with a key per frame",
    )
    use_track: BoolProperty(
        name="As NLA Strip",
        description="Put the performance on a new NLA track above what is there",
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_face(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not self.properties.is_property_set("start_frame"):
            self.start_frame = context.scene.frame_current
        if self.properties.is_property_set("filepath"):
            return self.execute(context)
        return super().invoke(context, event)

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column()
        column.use_property_split = True
        for name in ("start_frame", "region", "reference", "multiplier"):
            column.prop(self, name)
        column.prop(self, "use_detail")
        column.prop(self, "use_track")

    def _begin(self, context: bpy.types.Context) -> RequestRun:
        path = Path(bpy.path.abspath(self.filepath))
        if not path.is_file():
            raise AddonError(
                f"There is no file '{path}'.",
                "Choose a motion template (.pkl) or a performance (.npz).",
            )
        if not self.properties.is_property_set("start_frame"):
            self.start_frame = context.scene.frame_current
        self._names = [item.name for item in portraits.editable_controllers(context)]
        faces = [face_of(bpy.data.objects[name]).to_json() for name in self._names]
        fields = {
            "source": PerformanceSource(str(path)).to_json(),
            "faces": faces,
            "options": self._options.to_json(),
        }
        if self.is_blocking:
            client = engine_process.start_ready(preferences().open_timeout_s)
        else:
            client = engine_process.start()
            if client.error is not None:
                client = engine_process.restart()
        ticket = client.submit("capture", fields, use_drain=False)
        return RequestRun(client, ticket, f"Reading '{path.name}'")

    def _finish(self, context: bpy.types.Context, run: RequestRun) -> set[str]:
        answer = run.ticket.result()
        found = takes.FaceTake.read(answer)
        for notice in answer.fields.get("notices", ()):
            self.report({"WARNING"}, notice)
        render = context.scene.render
        for name, take in zip(self._names, found, strict=True):
            controller = bpy.data.objects.get(name)
            if controller is None:
                raise AddonError(f"'{name}' was deleted meanwhile.", "Capture again.")
            takes.write_take(
                controller, take, self._options,
                name=Path(self.filepath).stem, start_frame=self.start_frame,
                fps=render.fps / render.fps_base,
                use_detail=self.use_detail, use_track=self.use_track,
            )  # fmt: skip
        live.refresh_later()
        last = self.start_frame + found[0].times[-1] * render.fps / render.fps_base
        what = f"'{self._names[0]}'" if len(found) == 1 else f"{len(found)} faces"
        text = f"{len(found[0].times)} frames of '{Path(self.filepath).name}' on {what}"
        self.report({"INFO"}, f"Captured {text}, frames {self.start_frame:g} to {last:.0f}")
        return {"FINISHED"}

    @property
    def _options(self) -> TakeOptions:
        return TakeOptions(self.region, self.multiplier, self.reference)


register, unregister = registration_of((KEYPORTRAIT_OT_capture,))
