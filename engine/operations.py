"""What the engine does for each request of the protocol."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from .motion import NO_FACE_HINT, Face, Motion
from .protocol import PROTOCOL_VERSION, Array, Message
from .renderer import NOTHING, Rectangle, Renderer, ReportedError, SourceImage, no_step
from .renderer_table import CATS, FINAL, PEOPLE, PREVIEW, RENDERERS
from .renderers import (
    create,
    describe_engine,
    missing_module,
    probe,
    release_version,
)
from .request_fields import (
    picture_name,
    read_box,
    read_faces,
    read_holds,
    read_shutter,
    read_source,
    read_upcoming,
    read_wish,
)
from .take import PerformanceSource, TakeOptions

if TYPE_CHECKING:
    import numpy as np

    from .camera_requests import CameraRequests
    from .compose import Composition
    from .liveportrait.model_set import ModelSet
    from .liveportrait.renderer import LivePortraitRenderer
    from .network_reading import FindReader, MotionReader
    from .opened import Opened
    from .shutter import Shutter
    from .tracking.clip_tracks import Performer
    from .wish import Wish

# report(fraction, text) tells the host; it raises ReportedError when the request was cancelled.
Report = Callable[[float, str], None]
Later = Callable[[], Message]

# What was not found, and what to do about it, by what a renderer looks for.
NOT_FOUND = {
    PEOPLE: ("face", NO_FACE_HINT),
    CATS: ("cat's face", "Draw a box around the animal's face."),
}


class Operations:
    """The opened pictures of one connection and everything that can be asked about them."""

    def __init__(self) -> None:
        self._handles = itertools.count(1)
        self._opened: dict[int, Opened] = {}
        self._opened_by: dict[int, Renderer] = {}
        self._renderers: dict[str, Renderer] = {}
        self._camera: CameraRequests | None = None

    @classmethod
    def hello(cls, message: Message) -> tuple[Operations, dict[str, Any]]:
        """Check the host's protocol and everything that the engine needs.

        Returns the operations and the fields of `ready`. Raises ReportedError (version_skew,
        not_installed, no_models).
        """
        theirs = message.fields["protocol"]
        if theirs != PROTOCOL_VERSION:
            text = f"Blender speaks protocol {theirs}, the engine protocol {PROTOCOL_VERSION}."
            hint = "Reinstall the extension and restart Blender."
            raise ReportedError("version_skew", text, hint)
        fields = {
            "protocol": PROTOCOL_VERSION,
            "version": release_version(),
            "capabilities": describe_engine(),
        }
        return cls(), fields

    def answer(self, message: Message, report: Report) -> Message | Later:
        """The successful reply to a request, or a function that makes it.

        The function may run in another thread while the next request is worked on. Both raise
        ReportedError.
        """
        if message.type == "detect":
            return self._detect(message, report)
        if message.type == "open":
            return self._open(message, report)
        if message.type == "render":
            return self._render(message, report)
        if message.type == "capture":
            return _capture(message, report, self._motion_reader)
        if message.type == "track":
            from .opening import track

            return track(message, report)
        if message.type == "performers":
            return _list_performers(message, report)
        if message.type == "store":
            return _store(message, report)
        if message.type == "write_movie":
            from .movie_requests import answer_movie

            return answer_movie(message, report)
        if message.type.startswith("camera_"):
            return self._camera_requests().answer(message)
        if message.type == "probe":
            name = check_renderer(message.fields["renderer"])
            return Message("probed", message.id, {"renderer": name, "facts": probe(name, report)})
        if message.type == "close":
            handle = message.fields["handle"]
            self._opened_as(handle).close()
            del self._opened[handle], self._opened_by[handle]
            return Message("closed", message.id, {"handle": handle})
        raise ReportedError("bad_request", f"'{message.type}' cannot be asked now.")

    def close(self) -> None:
        """End what runs beside the requests."""
        if self._camera is not None:
            self._camera.close()

    def _detect(self, message: Message, report: Report) -> Message:
        wanted = check_renderer(message.fields.get("renderer", PREVIEW))
        finds = RENDERERS[wanted].finds
        from .opening import read_picture

        image = read_picture(message, report)
        if "box" in message.fields:
            faces = [fit_drawn(image, read_box(message.fields["box"]), finds)]
        else:
            faces = find_faces(image, finds, report)
        if not faces:
            what, hint = NOT_FOUND[finds]
            raise ReportedError("no_face", f"No {what} found in {picture_name(message)}.", hint)
        return Message("detected", message.id, {"faces": [face.to_json() for face in faces]})

    def _open(self, message: Message, report: Report) -> Message:
        from .opened import OpenedPicture
        from .opening import fit_faces, open_clip, read_picture

        faces = read_faces(message)
        name = message.fields["renderer"]
        opened: Opened
        facts: dict[str, object] = {}
        if "clip" in message.fields:
            renderer = self._renderer(name, report)
            opened = clip = open_clip(message, faces, renderer, report)
            facts = clip.source.facts
        else:
            image = read_picture(message, report)
            renderer = self._renderer(name, report)
            opened = OpenedPicture(fit_faces(image, faces, renderer, report))
        handle = next(self._handles)
        self._opened[handle], self._opened_by[handle] = opened, renderer
        fields = {
            "handle": handle,
            "faces": [face.to_json() for face in opened.first.faces],
            "renderer": {"name": name, **renderer.description, "batch_size": renderer.batch_size},
            **facts,
        }
        return Message("opened", message.id, fields)

    def _render(self, message: Message, report: Report) -> Message | Later:
        handle, options = message.fields["handle"], message.fields["options"]
        opened = self._opened_as(handle)
        wish = read_wish(message, opened)
        upcoming = read_upcoming(options, opened)
        holds = read_holds(options, opened.face_count)
        save = options.get("save") if isinstance(options, dict) else None
        renderer = self._opened_by[handle]
        shutter = None if save is None else read_shutter(options, opened.face_count)
        size = None
        if save is None and "size" in message.fields:
            size = read_size(message.fields["size"], opened.size)
        step = no_step if save is None else partial(report, 0.0, "Fitting the faces")
        if save is not None and shutter is None and renderer.is_parallel:
            taken = opened.take(wish.source_frame, step)
            if taken is not None:
                moved = replace(wish, motions=opened.motions_of(wish, taken, holds))
                return partial(_render_beside, message, opened, taken, moved, save)
        if save is not None and shutter is None:
            opened.prepare([wish, *upcoming], holds, step)
        composition = opened.at(wish.source_frame, size, step)
        own = partial(opened.motions_of, composition=composition, holds=holds)
        motions = own(wish)
        following = [own(item) for item in upcoming if item.source_frame == wish.source_frame]
        if save is not None and shutter is not None:
            samples = tuple(own(replace(wish, motions=sample)) for sample in shutter.samples)
            shutter = replace(shutter, samples=samples)
            write = _expose(composition, shutter, following, renderer, report, save)
        else:
            composition.prepare([motions, *following])
            composition.render(motions)
            notices = [*renderer.notices, *composition.notices]
            if save is None and message.fields.get("is_whole") is True:
                whole = Rectangle(0, 0, *composition.size)
                return frame(message, whole, composition.canvas, notices)
            if save is None:
                pixels = composition.changed_pixels()
                return frame(message, composition.rectangle, pixels, notices)
            write = composition.writer(save)
        nothing = composition.canvas[:0, :0]

        def finish() -> Message:
            write()
            return frame(message, NOTHING, nothing, [*renderer.notices, *composition.notices])

        return finish

    def _opened_as(self, handle: object) -> Opened:
        opened = self._opened.get(handle) if isinstance(handle, int) else None
        if opened is None:
            text = f"The engine has no open picture {handle}."
            raise ReportedError("unknown_handle", text, "It is opened again at the next change.")
        return opened

    def _renderer(self, wanted: object, report: Report) -> Renderer:
        name = check_renderer(wanted)
        if name not in self._renderers:
            self._renderers[name] = create(name, report)
        return self._renderers[name]

    def _camera_requests(self) -> CameraRequests:
        from .camera_requests import CameraRequests

        self._camera = self._camera or CameraRequests()
        return self._camera

    def _motion_reader(self, report: Report) -> MotionReader:
        """M, of the networks that render; they are loaded when a clip has to be read."""
        from .network_reading import MotionReader

        facts = probe(FINAL, report)

        def load(report: Report) -> ModelSet:
            return cast("LivePortraitRenderer", self._renderer(FINAL, report)).models

        return MotionReader(f"{facts['weights']} {facts['precision']}", load)


def _capture(message: Message, report: Report, find_reader: FindReader) -> Message:
    from .capture import capture
    from .clip_reading import known_performers

    source = read_source(message)
    try:
        options = TakeOptions.from_json(message.fields["options"])
    except (TypeError, ValueError) as error:
        raise ReportedError("bad_request", f"Unreadable options: {error}.") from error
    takes = capture(source, read_faces(message), options, report, find_reader)
    arrays = {name: to_array(array) for name, array in takes.arrays.items()}
    fields = {
        "columns": list(takes.columns),
        "reference": takes.reference,
        "cuts": list(takes.cuts),
        "notices": list(takes.notices),
    }
    performers = known_performers(source)
    if performers:
        fields["performers"] = [asdict(performer) for performer in performers]
    if len(performers) > 1:
        arrays["pictures"] = _pictures_of(source, performers, report)
    return Message("captured", message.id, fields, arrays)


def _list_performers(message: Message, report: Report) -> Message:
    from .clip_reading import list_performers

    source = read_source(message)
    performers = list_performers(source, report)
    fields = {"performers": [asdict(performer) for performer in performers]}
    pictures = _pictures_of(source, performers, report)
    return Message("listed", message.id, fields, {"pictures": pictures})


def _pictures_of(
    source: PerformanceSource, performers: Sequence[Performer], report: Report
) -> Array:
    from .performer_pictures import pictures_of

    return to_array(pictures_of(source, performers, lambda _part, text: report(1.0, text)))


def _store(message: Message, report: Report) -> Message:
    from .storing import store_message

    try:
        face = Face.from_json(message.fields["face"])
    except (TypeError, ValueError, AttributeError) as error:
        raise ReportedError("bad_request", f"Unreadable face: {error}.") from error
    performance = store_message(message, face, report)
    fields = {"path": message.fields["path"], "frame_count": len(performance)}
    return Message("stored", message.id, fields)


def _render_beside(
    message: Message, opened: Opened, composition: Composition, wish: Wish, save: dict[str, Any]
) -> Message:
    """Make and write a picture of which nobody else has the composition, in whatever thread."""
    composition.render(wish.motions)
    composition.write(save)
    notices = composition.notices
    reply = frame(message, NOTHING, composition.canvas[:0, :0], notices)
    opened.give_back(wish.source_frame, composition)
    return reply


def _expose(
    composition: Composition,
    shutter: Shutter,
    upcoming: Sequence[Sequence[Motion]],
    renderer: Renderer,
    report: Report,
    save: dict[str, Any],
) -> Callable[[], None]:
    """A function that writes the picture of an open shutter."""
    from .shutter import expose

    exposure = expose(composition, shutter, upcoming, renderer.batch_size, report)
    return composition.writer(save, exposure.rectangle, exposure.developed())


def check_renderer(name: object) -> str:
    """The name of a renderer that there is. Raises ReportedError "unknown_renderer"."""
    if isinstance(name, str) and name in RENDERERS:
        return name
    text = f"There is no renderer '{name}'."
    raise ReportedError("unknown_renderer", text, f"Choose one of {', '.join(RENDERERS)}.")


def find_faces(image: SourceImage, finds: str = PEOPLE, report: Report | None = None) -> list[Face]:
    """Faces in a picture: of PEOPLE or of CATS, see engine.renderer_table."""
    from .faces import find

    if finds == PEOPLE:
        return find.find_faces(image, report)
    try:
        from .liveportrait.cat_faces import find_cat_faces
    except ImportError as error:
        raise missing_module(error) from error
    return find_cat_faces(find.view_8bit(image))


def fit_drawn(
    image: SourceImage, box: tuple[float, float, float, float], finds: str = PEOPLE
) -> Face:
    """The face in a box that was drawn by hand. Raises ReportedError "bad_face"."""
    from .faces import find

    # Nothing here reads animals' features; the networks move the box as it is.
    return find.fit_drawn(image, box) if finds == PEOPLE else Face(box)


def read_size(values: object, most: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of 1 to `most` pixels. Raises ReportedError "bad_request"."""
    numbers = list(values) if isinstance(values, list | tuple) else []
    if len(numbers) == 2 and all(type(number) is int for number in numbers):
        width, height = numbers
        if 1 <= width <= most[0] and 1 <= height <= most[1]:
            return width, height
    raise ReportedError("bad_request", f"The size is not a width and a height up to {most}.")


def frame(
    message: Message, rectangle: Rectangle, pixels: np.ndarray, notices: Sequence[str] = ()
) -> Message:
    """The reply to `render`: what differs from the source, or nothing."""
    fields: dict[str, Any] = {"rectangle": [int(value) for value in rectangle]}
    if notices:
        fields["notices"] = list(notices)
    return Message("frame", message.id, fields, {"pixels": to_array(pixels)})


def to_array(pixels: np.ndarray) -> Array:
    """A numpy array for the wire; the memory is shared where it is contiguous."""
    import numpy as np

    data = np.ascontiguousarray(pixels).data.cast("B") if pixels.size else b""
    return Array(pixels.dtype.name, pixels.shape, data)
