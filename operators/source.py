"""Add a portrait from a picture, or turn an object's texture into one."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, CollectionProperty, EnumProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from .. import compat
from ..engine.renderer_table import RENDERER_ITEMS
from ..preferences import MATERIAL_ITEMS, has_setup, preferences
from ..rig import (
    clips,
    content,
    creation,
    framing,
    image_files,
    later_faces,
    live,
    planes,
    portraits,
    stance,
    stills,
    textures,
)
from ..rig.errors import AddonError
from ..rig.images import Picture, read_picture
from ._base import poll_object_mode, poll_portrait
from ._detect import FindsFaces, Source, started_engine
from ._track import FollowMoreRun, FollowsFaces

PICTURES = (
    "*.png;*.jpg;*.jpeg;*.exr;*.tif;*.tiff;*.webp;*.bmp;*.tga;*.hdr;*.jp2;*.psd;"
    "*.mp4;*.m4v;*.mov;*.mkv;*.webm;*.avi;*.mpg;*.mpeg;*.ogv"
)

# The file browser's own number for its thumbnails.
THUMBNAILS = 3


class KEYPORTRAIT_OT_add_portrait(FollowsFaces, ImportHelper, bpy.types.Operator):
    """Put a picture on a plane and give each face in it a controller"""

    bl_idname = "keyportrait.add_portrait"
    bl_label = "Add Portrait"
    bl_options = {"UNDO"}

    filepath: StringProperty(
        name="File Path",
        description="The picture's file",
        subtype="FILE_PATH",
        options={"HIDDEN", "SKIP_SAVE", *compat.relative_path_options()},
    )
    filter_glob: StringProperty(default=PICTURES, options={"HIDDEN"})
    files: CollectionProperty(
        type=bpy.types.OperatorFileListElement,
        description="Names of several files in one folder",
        options={"HIDDEN", "SKIP_SAVE"},
    )
    directory: StringProperty(
        subtype="DIR_PATH", description="The folder of files", options={"HIDDEN", "SKIP_SAVE"}
    )
    relative_path: BoolProperty(
        name="Relative Path",
        description="Store the file's path relative to the .blend file, once that is saved",
        default=True,
        options={"SKIP_SAVE"},
    )
    image: StringProperty(
        name="Image",
        description="Name of an image in this file, instead of a file",
        options={"SKIP_SAVE"},
    )
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
    show_texture: BoolProperty(
        name="Show in Solid View",
        description="Let the solid viewports of all workspaces show textures, flatly lit, "
        "so that the picture is seen as it is",
        default=True,
    )
    use_view: BoolProperty(
        name="Face the View",
        description="Turn the plane to the viewport and move it out of other objects. "
        "Off, it faces the front view and stands on the 3D cursor",
        default=True,
    )
    use_camera: BoolProperty(
        name="Add Camera", description="Add a camera whose frame the picture just fits"
    )
    use_resolution: BoolProperty(
        name="Render at Picture Size",
        description="Set the render's resolution to that of the picture, the first of several",
    )
    display_type: EnumProperty(
        items=(("THUMBNAIL", "Thumbnails", "Pictures", "NONE", THUMBNAILS),),
        description="How the file browser shows files",
        options={"HIDDEN", "SKIP_SAVE"},
    )

    _row: stance.Row | None = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_object_mode(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not self.properties.is_property_set("material"):
            self.material = preferences().default_material
        if self.image or self.properties.is_property_set("filepath"):
            return self.execute(context)
        if not self.properties.is_property_set("relative_path"):
            self.relative_path = context.preferences.filepaths.use_relative_paths
        return super().invoke(context, event)

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "material")
        if has_setup():
            layout.prop(self, "renderer")
        layout.prop(self, "max_faces")
        layout.prop(self, "use_still", text="Still of a Movie")
        column = layout.column(heading="Plane")
        column.prop(self, "use_view")
        column.prop(self, "show_texture", text="In Solid View")
        column = layout.column(heading="Camera")
        column.prop(self, "use_camera", text="Add")
        column.prop(self, "use_resolution", text="Picture's Size")
        layout.prop(self, "relative_path")

    def sources(self, context: bpy.types.Context) -> list[Source]:
        if self.image:
            image, still = self.image, self.use_still
            return [
                self.follow(
                    lambda: stills.open_image(
                        image_named(image), None, context.scene, use_still=still
                    ),
                    None,
                    context.scene,
                )
            ]
        use_relative = None
        if self.properties.is_property_set("relative_path"):
            use_relative = self.relative_path
        names = [file.name for file in self.files if file.name]
        paths = [str(Path(self.directory, name)) for name in names] or [self.filepath]
        open_file = partial(
            stills.open_file,
            use_relative=use_relative,
            scene=context.scene,
            use_still=self.use_still,
        )
        return [self.follow(partial(open_file, path), None, context.scene) for path in paths]

    def wanted_renderer(self) -> str:
        return self.renderer

    def finish(
        self, context: bpy.types.Context, image: bpy.types.Image, finding: creation.Finding
    ) -> str:
        if self._row is None:
            self._row, self._made = self._new_row(context), []
        item = creation.add_portrait(
            context,
            image,
            finding.faces,
            self.material,
            renderer=self.renderer,
            row=self._row,
            clip=self.place(image),
        )
        self._made.append(item.plane)
        return f"Added '{item.plane.name}'"

    def _new_row(self, context: bpy.types.Context) -> stance.Row:
        """Where the planes will stand: before the viewport that the operator was called in."""
        space = context.space_data
        if not self.use_view or bpy.app.background or space is None or space.type != "VIEW_3D":
            return stance.row_at_cursor(context.scene)
        found = [look.image() for look in self._looks.looks if look.error is None]
        sizes = [planes.scene_size(content.upright_size(image)) for image in found]
        return stance.row_before_viewer(context, space.region_3d, sizes)

    def conclude(self, context: bpy.types.Context) -> None:
        first = self._made[0]
        creation.select_only(context, *self._made)
        if self.use_resolution:
            framing.set_resolution(context.scene, portraits.picture_size(first))
        if self.use_camera:
            framing.add_camera(context, f"{first.name} Camera", self._row)
        if self.show_texture:
            show_textures()


class KEYPORTRAIT_OT_use_texture(FollowsFaces, bpy.types.Operator):
    """Drive the image texture of the active object"""

    bl_idname = "keyportrait.use_texture"
    bl_label = "Use Active Object's Texture"
    bl_options = {"UNDO"}

    max_faces: IntProperty(
        name="Most Faces", description="Only this many of the largest faces; 0 for all", min=0
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        item = context.active_object
        if item is None or item.type != "MESH":
            cls.poll_message_set("No mesh is active: select an object with an image texture")
            return False
        if item.keyportrait.kind != "NONE":
            cls.poll_message_set(f"'{item.name}' is a portrait already")
            return False
        if not item.is_editable:
            cls.poll_message_set(f"'{item.name}' is linked from another file: make it local first")
            return False
        return poll_object_mode(cls, context)

    def sources(self, context: bpy.types.Context) -> list[Source]:
        self.item_name = context.active_object.name
        node = textures.active_texture(context.active_object).node
        user = node.image_user
        open_image = partial(
            stills.open_image, node.image, user, context.scene, use_still=self.use_still
        )
        return [self.follow(open_image, user, context.scene)]

    def finish(
        self, context: bpy.types.Context, image: bpy.types.Image, finding: creation.Finding
    ) -> str:
        item = bpy.data.objects.get(self.item_name)
        if item is None:
            raise AddonError(f"'{self.item_name}' was deleted meanwhile.")
        creation.use_texture(item, finding.faces, image, self.place(image))
        live.refresh_later()
        text = f"'{item.name}' is a portrait now"
        if not finding.faces and image_files.file_orientation(image) != content.UPRIGHT:
            # Its UV map fits the pixels as they lie, so they stay so.
            text += f"; '{image.name}' lies on its side: turn it upright in an image editor first"
        return text

    def read(self, image: bpy.types.Image) -> Picture:
        return read_picture(image)


class KEYPORTRAIT_OT_find_faces(FindsFaces, bpy.types.Operator):
    (
        """Look for faces in the portrait's picture again, of a clip in the frame that is shown; """
        """controllers that exist are kept"""
    )

    bl_idname = "keyportrait.find_faces"
    bl_label = "Find Faces Again"
    bl_options = {"UNDO"}
    max_faces = 0
    needs_faces = True
    _look: later_faces.Look | None = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_portrait(cls, context)

    def sources(self, context: bpy.types.Context) -> list[Source]:
        item = portraits.portrait(portraits.active_plane(context))
        portraits.check_whole(item)
        self.uid = item.identity
        self.renderer = item.settings.renderer
        return [lambda: (item.settings.source, False)]

    def place(self, image: bpy.types.Image) -> clips.Place | None:
        item = portraits.find(self.uid)
        self._look = None if item is None else later_faces.look_of(item)
        return None if self._look is None else self._look.place

    def ask_in_clip(self, place: clips.Place, fields: dict[str, Any], text: str) -> FollowMoreRun:
        client = started_engine(is_blocking=self.is_blocking)
        return FollowMoreRun(client, self._look, fields, text)

    def read(self, image: bpy.types.Image) -> Picture:
        item = portraits.find(self.uid)
        return content.read_source(item.settings) if item is not None else content.upright(image)

    def wanted_renderer(self) -> str:
        return self.renderer

    def finish(
        self, context: bpy.types.Context, image: bpy.types.Image, finding: creation.Finding
    ) -> str:
        item = portraits.find(self.uid)
        if item is None:
            raise AddonError("The portrait was deleted meanwhile.")
        if self._look is None:
            added = creation.add_faces(item.plane, finding.faces)
        else:
            added = creation.add_fresh(item.plane, self._look.fresh(finding.faces))
        live.follow_faces(portraits.portrait(item.plane))
        kept = [f"kept '{controller.name}'" for controller in item.controllers]
        what = [*(f"added '{controller.name}'" for controller in added), *kept]
        return f"'{item.plane.name}': {', '.join(what)}"


def image_named(name: str) -> bpy.types.Image:
    """An image data-block that can be a portrait. Raises AddonError."""
    image = bpy.data.images.get(name)
    if image is None:
        raise AddonError(f"There is no image '{name}' in this file.", "Choose another.")
    return image


def show_textures() -> None:
    """Let the solid viewports of all workspaces show textures in their own colours."""
    for screen in bpy.data.screens:
        for area in screen.areas:
            for space in area.spaces:
                if space.type == "VIEW_3D" and space.shading.type != "WIREFRAME":
                    space.shading.color_type = "TEXTURE"
                    space.shading.light = "FLAT"


def _draw_menu(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    self.layout.operator(
        KEYPORTRAIT_OT_add_portrait.bl_idname, text="Portrait (KeyPortrait)", icon="USER"
    )


CLASSES = (KEYPORTRAIT_OT_add_portrait, KEYPORTRAIT_OT_use_texture, KEYPORTRAIT_OT_find_faces)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.VIEW3D_MT_image_add.append(_draw_menu)


def unregister() -> None:
    bpy.types.VIEW3D_MT_image_add.remove(_draw_menu)
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
