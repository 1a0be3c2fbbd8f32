"""Add a portrait from a picture, or turn an object's texture into one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import bpy
from bpy.props import BoolProperty, CollectionProperty, EnumProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..engine.renderer_table import RENDERER_ITEMS
from ..preferences import MATERIAL_ITEMS, has_setup, preferences
from ..rig import creation, images, live, portraits, textures
from ..rig.errors import AddonError
from ._base import poll_object_mode, poll_portrait
from ._detect import FindsFaces, Source

PICTURES = "*.png;*.jpg;*.jpeg;*.exr;*.tif;*.tiff;*.webp;*.bmp;*.tga;*.hdr;*.jp2;*.psd"


class KEYPORTRAIT_OT_add_portrait(FindsFaces, ImportHelper, bpy.types.Operator):
    """Put a picture on a plane and give each face in it a controller"""

    bl_idname = "keyportrait.add_portrait"
    bl_label = "Add Portrait"
    bl_options = {"UNDO"}

    filter_glob: StringProperty(default=PICTURES, options={"HIDDEN"})
    files: CollectionProperty(
        type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"}
    )
    directory: StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})
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
        description="Let solid viewports show textures, so that the picture is seen",
        default=True,
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_object_mode(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not self.properties.is_property_set("material"):
            self.material = preferences().default_material
        if self.image or self.properties.is_property_set("filepath"):
            return self.execute(context)
        return super().invoke(context, event)

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.use_property_split = True
        self.layout.prop(self, "material")
        if has_setup():
            self.layout.prop(self, "renderer")
        self.layout.prop(self, "max_faces")
        self.layout.prop(self, "show_texture")

    def sources(self, context: bpy.types.Context) -> list[Source]:
        if self.image:
            return [lambda: (image_named(self.image), False)]
        names = [file.name for file in self.files if file.name]
        paths = [str(Path(self.directory, name)) for name in names] or [self.filepath]
        return [partial(images.load_file, path) for path in paths]

    def wanted_renderer(self) -> str:
        return self.renderer

    def finish(
        self, context: bpy.types.Context, image: bpy.types.Image, finding: creation.Finding
    ) -> str:
        item = creation.add_portrait(
            context, image, finding.faces, self.material, renderer=self.renderer
        )
        if self.show_texture and context.screen is not None:
            show_textures(context.screen)
        return f"Added '{item.plane.name}'"


class KEYPORTRAIT_OT_use_texture(FindsFaces, bpy.types.Operator):
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
        image = textures.active_texture(context.active_object).node.image
        return [lambda: (image, False)]

    def finish(
        self, context: bpy.types.Context, image: bpy.types.Image, finding: creation.Finding
    ) -> str:
        item = bpy.data.objects.get(self.item_name)
        if item is None:
            raise AddonError(f"'{self.item_name}' was deleted meanwhile.")
        creation.use_texture(item, finding.faces, image)
        return f"'{item.name}' is a portrait now"


class KEYPORTRAIT_OT_find_faces(FindsFaces, bpy.types.Operator):
    """Look for faces in the portrait's picture again; controllers that exist are kept"""

    bl_idname = "keyportrait.find_faces"
    bl_label = "Find Faces Again"
    bl_options = {"UNDO"}
    max_faces = 0
    needs_faces = True

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_portrait(cls, context)

    def sources(self, context: bpy.types.Context) -> list[Source]:
        item = portraits.portrait(portraits.active_plane(context))
        portraits.check_whole(item)
        self.uid = item.identity
        self.renderer = item.settings.renderer
        return [lambda: (item.settings.source, False)]

    def wanted_renderer(self) -> str:
        return self.renderer

    def finish(
        self, context: bpy.types.Context, image: bpy.types.Image, finding: creation.Finding
    ) -> str:
        item = portraits.find(self.uid)
        if item is None:
            raise AddonError("The portrait was deleted meanwhile.")
        count = creation.add_faces(item.plane, finding.faces)
        live.refresh_later()
        return f"Added {count} controllers to '{item.plane.name}'"


def image_named(name: str) -> bpy.types.Image:
    """An image data-block that can be a portrait. Raises AddonError."""
    image = bpy.data.images.get(name)
    if image is None:
        raise AddonError(f"There is no image '{name}' in this file.", "Choose another.")
    images.check_readable(image)
    return image


def show_textures(screen: bpy.types.Screen) -> None:
    """Let the solid viewports of a screen show textures."""
    for area in screen.areas:
        if area.type == "VIEW_3D" and area.spaces.active.shading.type == "SOLID":
            area.spaces.active.shading.color_type = "TEXTURE"


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
