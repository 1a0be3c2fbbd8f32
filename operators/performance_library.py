"""The performance library: save what a face does as an asset, and put assets on faces."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

from ..compat import registration_of
from ..rig import library_applying, live, performance_library, portraits
from ..rig.clip_sources import scene_fps
from ..rig.errors import AddonError
from ..rig.face_curves import pose_of
from ._base import ReportsErrors, poll_face
from .expression import key_frame

TAKE, POSE = "TAKE", "POSE"
KIND_ITEMS = (
    (TAKE, "Performance", "The keys of the face's action, or of its uppermost NLA strip"),
    (POSE, "Pose", "What the face does at the current frame"),
)
FILE, LIBRARY = "FILE", "LIBRARY"
PLACE_ITEMS = (
    (FILE, "This File", "As an asset of the current file"),
    (LIBRARY, "Asset Library", "Into a folder of one of your asset libraries, for all files"),
)


class KEYPORTRAIT_OT_save_performance(ReportsErrors, bpy.types.Operator):
    """Keep what the active face does as an action asset, with a picture of it"""

    bl_idname = "keyportrait.save_performance"
    bl_label = "Save to Library"
    bl_options = {"REGISTER", "UNDO"}

    name: StringProperty(
        name="Name", default="My Performance", maxlen=60, description="Name of the asset"
    )
    kind: EnumProperty(name="Save", items=KIND_ITEMS, description="What is saved")
    frame_start: IntProperty(name="Start", description="First frame that is saved")
    frame_end: IntProperty(name="End", description="Last frame that is saved")
    place: EnumProperty(name="Where", items=PLACE_ITEMS, description="Where it is saved")
    library: StringProperty(
        name="Library", description="Name of the asset library; empty for the first"
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_face(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        controller = portraits.active_controller(context)
        span = performance_library.take_span(controller)
        if span is None and not self.properties.is_property_set("kind"):
            self.kind = POSE
        self._fill_range(controller)
        return context.window_manager.invoke_props_dialog(self)

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column()
        column.use_property_split = True
        column.prop(self, "name")
        column.row().prop(self, "kind", expand=True)
        if self.kind == TAKE:
            column.prop(self, "frame_start")
            column.prop(self, "frame_end")
        column.row().prop(self, "place", expand=True)
        if self.place == LIBRARY:
            column.prop_search(self, "library", context.preferences.filepaths, "asset_libraries")

    def _fill_range(self, controller: bpy.types.Object) -> None:
        span = performance_library.take_span(controller) or (1.0, 1.0)
        for name, frame in zip(("frame_start", "frame_end"), span, strict=True):
            if not self.properties.is_property_set(name):
                setattr(self, name, round(frame))

    def _run(self, context: bpy.types.Context) -> set[str]:
        controller = portraits.active_controller(context)
        library = self._library(context) if self.place == LIBRARY else None
        action = self._new_action(context, controller)
        performance_library.mark(action, controller)
        where = "this file"
        if library is not None:
            where = f"'{performance_library.write(action, library)}'"
            bpy.data.actions.remove(action)
        else:
            action.use_fake_user = True
        self.report({"INFO"}, f"Saved '{self.name}' in {where}")
        return {"FINISHED"}

    def _new_action(
        self, context: bpy.types.Context, controller: bpy.types.Object
    ) -> bpy.types.Action:
        name, fps = self.name.strip() or "My Performance", scene_fps(context.scene)
        if self.kind == POSE:
            values = pose_of(controller, context.evaluated_depsgraph_get())
            return performance_library.new_pose(controller, values, name, fps)
        self._fill_range(controller)
        if self.frame_end < self.frame_start:
            raise AddonError("The range of frames is empty.", "Let it end after it starts.")
        span = float(self.frame_start), float(self.frame_end)
        return performance_library.new_take(controller, name, span, fps)

    def _library(self, context: bpy.types.Context) -> bpy.types.UserAssetLibrary:
        libraries = context.preferences.filepaths.asset_libraries
        found = libraries.get(self.library) if self.library else next(iter(libraries), None)
        if found is None:
            raise AddonError(
                f"There is no asset library '{self.library}'." if self.library
                else "There is no asset library.",
                "Add one in Preferences > File Paths > Asset Libraries.",
            )  # fmt: skip
        return found


class AppliesPerformance(ReportsErrors):
    """An operator that puts a performance on the selected faces: write `_action`."""

    start_frame: FloatProperty(
        name="Start Frame", description="Scene frame at which it begins; the current one", step=100
    )
    use_track: BoolProperty(
        name="As NLA Strip", description="On a new NLA track above what is there"
    )
    use_key: BoolProperty(name="Key", description="Set keyframes for a pose")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_face(cls, context)

    def _action(self, context: bpy.types.Context) -> bpy.types.Action:
        """The action to apply; one that was loaded for this has no users. Raises AddonError."""
        raise NotImplementedError

    def _run(self, context: bpy.types.Context) -> set[str]:
        if not self.properties.is_property_set("start_frame"):
            self.start_frame = context.scene.frame_current
        action = self._action(context)
        name = action.name
        faces = portraits.editable_controllers(context)
        self._put(context, action, faces)
        live.refresh_later()
        what = f"'{faces[0].name}'" if len(faces) == 1 else f"{len(faces)} faces"
        self.report({"INFO"}, f"'{name}' on {what}")
        return {"FINISHED"}

    def _put(
        self,
        context: bpy.types.Context,
        action: bpy.types.Action,
        faces: list[bpy.types.Object],
    ) -> None:
        is_kept = action.asset_data is not None or action.users > 0
        for controller in faces:
            if library_applying.is_pose(action):
                frame = key_frame(context, self.use_key)
                library_applying.apply_pose(action, controller, frame)
            else:
                library_applying.apply_take(
                    action, controller, self.start_frame, scene_fps(context.scene),
                    use_track=self.use_track,
                )  # fmt: skip
        if not is_kept:
            bpy.data.actions.remove(action)


class KEYPORTRAIT_OT_apply_performance(AppliesPerformance, bpy.types.Operator):
    """Put a performance or a pose of the library on the selected faces, at the current frame"""

    bl_idname = "keyportrait.apply_performance"
    bl_label = "Apply Performance"
    bl_options = {"REGISTER", "UNDO"}

    name: StringProperty(name="Name", description="Name of the action")
    filepath: StringProperty(
        name="File", description="The .blend file with it; empty for this file", subtype="FILE_PATH"
    )

    def _action(self, context: bpy.types.Context) -> bpy.types.Action:
        path = bpy.path.abspath(self.filepath) if self.filepath else ""
        return performance_library.load(self.name, path)


class KEYPORTRAIT_OT_apply_performance_asset(AppliesPerformance, bpy.types.Operator):
    """Put the asset that is active in the Asset Browser on the selected faces"""

    bl_idname = "keyportrait.apply_performance_asset"
    bl_label = "Apply to Selected Faces"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        asset = getattr(context, "asset", None)
        if asset is None or asset.id_type != "ACTION":
            cls.poll_message_set("No action is active: click one in an Asset Browser")
            return False
        return poll_face(cls, context)

    def _action(self, context: bpy.types.Context) -> bpy.types.Action:
        asset = context.asset
        if asset.local_id is not None:
            return asset.local_id
        return performance_library.load(asset.name, asset.full_library_path)


def draw_asset_entry(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    """The entry in the Asset Browser's context menu, for actions."""
    asset = getattr(context, "asset", None)
    if asset is not None and asset.id_type == "ACTION":
        self.layout.separator()
        self.layout.operator(KEYPORTRAIT_OT_apply_performance_asset.bl_idname, icon="USER")


CLASSES = (
    KEYPORTRAIT_OT_save_performance,
    KEYPORTRAIT_OT_apply_performance,
    KEYPORTRAIT_OT_apply_performance_asset,
)
_register, _unregister = registration_of(CLASSES)


def register() -> None:
    _register()
    bpy.types.ASSETBROWSER_MT_context_menu.append(draw_asset_entry)


def unregister() -> None:
    bpy.types.ASSETBROWSER_MT_context_menu.remove(draw_asset_entry)
    _unregister()
