"""Another picture on a portrait: its plane takes the new shape, its controllers go to the faces.

The first part is done at once and belongs to the undo step of whatever gave the picture. The second
needs the engine: an operator without an undo step of its own looks for the faces, so that one undo
brings everything back. Meanwhile the portrait shows the still picture. No controller is made or
removed, for each may be animated: what does not fit is told.
"""

from __future__ import annotations

import logging

import bpy

from ..host.client import EngineError
from ..preferences import preferences
from . import clips, content, controllers, planes, portraits, rest, riding
from . import engine as engine_process
from .creation import Finding
from .errors import AddonError, OtherPictureError
from .images import Picture, new_image
from .matching import pair_faces, scaled_face
from .stills import MOVING, read_frame, still_of, user_of

log = logging.getLogger(__name__)

WAIT_S = 0.2
# Portraits whose picture has become another one by itself, by identity.
_others: set[str] = set()


def begin(plane: bpy.types.Object) -> None:
    """A portrait's picture is another one, or has another size: fit plane and faces to it."""
    settings = plane.keyportrait.portrait
    # Lost, in the making, or no picture at all.
    if None in {settings.source, settings.output} or settings.source == settings.output:
        return
    try:
        place = clips.place_of(settings.source, user_of(settings.source), _now())
        if place is None and settings.source.source in MOVING:
            # A sequence of one picture. Calls this again.
            settings.source = still_of(settings.source, None, _now())
            return
        take_size(plane, _new_picture(settings, place).size)
    except AddonError as error:  # which the live view tells, too
        log.info("%s", error)
        return
    for controller in portraits.portrait(plane).controllers:
        controllers.forget_frame(controller)
    settings.is_fitted = False
    ask()


def _now() -> int:
    return bpy.context.scene.frame_current


def _new_picture(settings: bpy.types.PropertyGroup, place: clips.Place | None) -> Picture:
    """What a portrait's new picture shows; of a clip its frames begin at once.

    A movie or sequence makes it a portrait that moves, any other picture one that does not.
    """
    item = portraits.portrait(settings.id_data)
    if place is None:
        clips.take_place(settings.clip, None)
        riding.stop(item)
        picture = content.read_source(settings)
    else:
        clips.take_place(settings.clip, place)
        picture = read_frame(settings.source, place.number)
        for controller in item.controllers:
            controllers.write_controls(controller, controllers.face_of(controller))
    _fit_output(settings, picture)
    return picture


def _fit_output(settings: bpy.types.PropertyGroup, picture: Picture) -> None:
    """Let a portrait's live image hold pictures of this kind, in the colour space of its source."""
    output = settings.output
    is_float = picture.encoding == "linear"
    if output.is_float != is_float:
        name = output.name
        settings.output = new_image(name, picture, settings.source)
        output.user_remap(settings.output)
        bpy.data.images.remove(output)
        settings.output.name = name
    elif not is_float:
        space = settings.source.colorspace_settings.name
        if output.colorspace_settings.name != space:
            output.colorspace_settings.name = space


def take_size(plane: bpy.types.Object, size_px: tuple[int, int]) -> None:
    """Give a plane the shape of its new picture, and its faces the same places in it."""
    settings = plane.keyportrait.portrait
    old = (settings.size[0], settings.size[1])
    if not all(old):
        old = (settings.output.size[0], settings.output.size[1])
    settings.size = size_px
    settings.found_in = content.file_name(settings.source)
    if old == size_px:
        return
    planes.reshape(plane, old, size_px)
    for controller in portraits.portrait(plane).controllers:
        face = controllers.face_of(controller)
        controllers.take_face(controller, scaled_face(face, old, size_px))
    rest.settle()


def fit(plane: bpy.types.Object, finding: Finding) -> str:
    """Let every controller take the face that was found for it; what became of them."""
    settings = plane.keyportrait.portrait
    items = portraits.portrait(plane).controllers
    faces = [controllers.face_of(controller) for controller in items]
    pairing = pair_faces(faces, finding.faces)
    for index, face in pairing.pairs:
        controllers.take_face(items[index], face)
    rest.settle()
    settings.is_fitted = True
    lost = [items[index].name for index in pairing.lonely]
    text = f"'{plane.name}' shows '{settings.source.name}'"
    if lost:
        text += f"; no face was found for {', '.join(lost)}: remove or draw it"
    if pairing.fresh:
        text += f"; {pairing.fresh} more found: press Find to add them"
    return text


def settle(plane: bpy.types.Object) -> None:
    """Go on without having looked for faces: they keep their places."""
    plane.keyportrait.portrait.is_fitted = True


def unfitted() -> list[portraits.Portrait]:
    """The portraits whose faces are to be looked for in a new picture."""
    return [item for item in portraits.all_portraits() if not item.settings.is_fitted]


def became_another(item: portraits.Portrait) -> None:
    """The live view has seen another picture in the same image: fit to it from a timer."""
    _others.add(item.identity)
    _ask_later()


def whole_picture(item: portraits.Portrait) -> Picture:
    """content.read_whole; in the background another picture is fitted first."""
    try:
        return content.read_whole(item)
    except OtherPictureError:
        if not bpy.app.background:
            became_another(item)
            raise
    begin(item.plane)
    return content.read_whole(item)


def ask() -> None:
    """Have faces looked for: in the background at once, else as soon as nothing is under way."""
    if bpy.app.background:
        for item in unfitted():
            _fit_now(item)
    else:
        _ask_later()


def ask_again() -> None:
    """After undo, redo, load: go on with what was under way."""
    if unfitted() and not bpy.app.background:
        _ask_later()


def _ask_later() -> None:
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=0.0)


def _tick() -> float | None:
    from .copies import is_busy

    if is_busy():
        return WAIT_S
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
        for item in portraits.all_portraits():
            if item.identity in _others:
                begin(item.plane)
                bpy.ops.ed.undo_push(message="Another Picture")
        _others.clear()
        for item in unfitted():
            _look(item)
    return None


def _fit_now(item: portraits.Portrait) -> None:
    """Look for the faces of a new picture and wait for them.

    A handler of an evaluation may call this. So it is no operator, which would evaluate once more:
    inside a handler that crashes Blender, surely on meshes of some 100 000 vertices.
    """
    try:
        log.warning("%s", fit(item.plane, _faces_now(item)))
        if clips.is_moving(item.settings):
            from . import live

            live.follow_faces(item)
    except (AddonError, EngineError) as error:
        log.warning("%s", error)
        settle(item.plane)


def _faces_now(item: portraits.Portrait) -> Finding:
    settings = item.settings
    timeout_s = preferences().open_timeout_s
    client = engine_process.start_ready(timeout_s)
    fields = {"name": settings.source.name, "renderer": settings.renderer}
    arrays = {}
    place = clips.found_place(item)
    if place is not None:
        fields |= {"clip": place.clip.wire_fields, "frame": place.frame}
    else:
        picture = content.read_source(settings)
        fields |= picture.wire_fields
        arrays["image"] = picture.to_wire()
    ticket = client.submit("detect", fields, arrays, use_drain=False)
    try:
        return Finding.read(client.wait(ticket, timeout_s).fields["faces"])
    except EngineError as error:
        if error.code != "no_face":
            raise
        return Finding(nothing=error.message)


def _look(item: portraits.Portrait) -> None:
    try:
        bpy.ops.keyportrait.fit_picture("INVOKE_DEFAULT", identity=item.identity)
    except RuntimeError as error:  # what the operator reports
        log.warning("%s", error)
        settle(item.plane)


def unregister() -> None:
    """End the timer, if any."""
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    _others.clear()
