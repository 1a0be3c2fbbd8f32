"""Keeps the pictures on the planes in step with the controllers.

In the interface nothing here waits: wishes go to the engine, the pump brings the pictures. While
rendering and in the background every frame waits for its own picture. `traffic` keeps the render
thread and the pump apart.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import bpy

from ..host.client import EngineError
from . import bake_state, content, main_thread, portraits, pump, puppets, refit, riding
from .errors import AddonError, OtherPictureError
from .images import Canvas, is_blank
from .motions import wish_of
from .portraits import Portrait
from .problem import Problem
from .session import Session

log = logging.getLogger(__name__)

traffic = threading.RLock()
_sessions: dict[str, Session] = {}
_is_refresh_due = False
_pauses = 0


@contextmanager
def _traffic_if_free() -> Iterator[bool]:
    """Take the lock if no render thread holds it; else everything is refreshed later."""
    global _is_refresh_due
    is_free = traffic.acquire(blocking=False)
    if not is_free:
        _is_refresh_due = True
    try:
        yield is_free
    finally:
        if is_free:
            traffic.release()


def session(item: Portrait) -> Session:
    """The running state of a portrait, made when it has none."""
    uid = item.identity
    if uid not in _sessions:
        _sessions[uid] = Session(uid)
    return _sessions[uid]


def problem_of(plane: bpy.types.Object) -> Problem | None:
    """What keeps a portrait from moving, None when all is well. For panels."""
    found = _sessions.get(portraits.identity_of(plane))
    return None if found is None else found.problem


def progress_of(plane: bpy.types.Object) -> tuple[float, str] | None:
    """(fraction, text) while a portrait's picture is being opened. For panels."""
    found = _sessions.get(portraits.identity_of(plane))
    return None if found is None else found.progress


def renderer_of(plane: bpy.types.Object) -> dict[str, str]:
    """name, device, precision, model_set at work for a portrait; empty before. For panels."""
    found = _sessions.get(portraits.identity_of(plane))
    return {} if found is None else found.renderer


def face_problem_of(plane: bpy.types.Object, index: int) -> str:
    """Why a face of a portrait cannot be moved, "" where it can. For panels."""
    found = _sessions.get(portraits.identity_of(plane))
    problems = [] if found is None else found.face_problems
    return problems[index] if index < len(problems) else ""


def reading_of(controller: bpy.types.Object) -> tuple[float, ...]:
    """What the networks have read of a face, as in Face.reading; () where they have not."""
    plane = controller.keyportrait.face.portrait
    found = None if plane is None else _sessions.get(portraits.identity_of(plane))
    if found is None:
        return ()
    controllers = portraits.portrait(plane).controllers
    by_face = dict(zip(controllers, found.readings, strict=False))
    return by_face.get(controller, ())


def notices_of(plane: bpy.types.Object) -> list[str]:
    """What the engine wants the user to know about a portrait. For panels."""
    found = _sessions.get(portraits.identity_of(plane))
    return [] if found is None else found.notices


def shows_any(changed: set[int] | None) -> bool:
    """Whether a portrait's picture is among changed images; see content.note_updates."""
    if changed is None:
        return True
    sources = (item.settings.source for item in portraits.all_portraits() if changed)
    return any(source is not None and source.session_uid in changed for source in sources)


def is_pending() -> bool:
    """True while any portrait awaits an answer."""
    return any(item.is_pending for item in _sessions.values())


def refresh(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
    """Let every live portrait of a scene follow its controllers, without waiting.

    While a render runs in the window, later: Blender forbids writing then, whenever it likes.
    """
    global _is_refresh_due
    if main_thread.is_render_running():
        _is_refresh_due = True
        pump.start()
        return
    with _traffic_if_free() as is_free:
        for item in portraits.portraits_of(scene) if is_free else ():
            if item.settings.use_baked:
                bake_state.look(item)
                bake_state.note(item, depsgraph, scene.frame_current)
            elif item.settings.use_live:
                _want(item, depsgraph)
    if is_pending():
        pump.start()


def _want(item: Portrait, depsgraph: bpy.types.Depsgraph) -> None:
    try:
        session(item).give_ratios(item)
        session(item).want(item, wish_of(item, depsgraph, puppets=puppets.current()))
    except AddonError as error:
        session(item).problem = Problem.of(error)


def refresh_now(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
    """Bring every portrait of a scene up to date before returning.

    Raises AddonError or EngineError of the first portrait that cannot be, after the others.
    """
    portraits.forget()
    first_error: AddonError | EngineError | None = None
    for item in portraits.portraits_of(scene):
        try:
            bake_state.check_there(item)
            if not item.settings.use_baked:
                show_now(item, depsgraph)
        except (AddonError, EngineError) as error:
            first_error = first_error or error
    if first_error is not None:
        raise first_error


def show(item: Portrait, depsgraph: bpy.types.Depsgraph) -> None:
    """Let one portrait follow its controllers, without waiting."""
    with _traffic_if_free() as is_free:
        if is_free:
            _want(item, depsgraph)
    if is_pending():
        pump.start()


def reload(item: Portrait) -> None:
    """Read a portrait's picture again at the next wish, and forget what failed."""
    with traffic:
        session(item).forget_picture()
        session(item).retry()


def show_now(item: Portrait, depsgraph: bpy.types.Depsgraph) -> None:
    """Bring one portrait up to date before returning. Raises AddonError or EngineError."""
    with traffic:
        try:
            if bpy.app.background:
                session(item).read_faces(item)
            session(item).track_now(item)
            wish = wish_of(item, depsgraph)
        except (AddonError, EngineError) as error:
            session(item).problem = Problem.of(error)
            raise
        try:
            session(item).show_now(item, wish)
        except OtherPictureError:
            if not bpy.app.background:
                raise
            refit.begin(item.plane)
            session(item).show_now(item, wish_of(item, depsgraph))


def follow_faces(item: Portrait) -> None:
    """After faces of a clip were added: follow them, in the background at once.

    For operators. Raises AddonError or EngineError.
    """
    if bpy.app.background:
        with traffic:
            session(item).track_now(item)
    # Where they are not followed yet, the session does both.
    riding.ride(item)
    refresh_later()


@contextmanager
def paused() -> Iterator[None]:
    """Follow nothing meanwhile: a bake walks through frames whose pictures nobody looks at."""
    global _pauses
    _pauses += 1
    try:
        yield
    finally:
        _pauses -= 1


def follow(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
    """Refresh as it is right here: live in the interface and while a camera moves faces, which
    comes first there, else waiting."""
    if _pauses:
        return
    if not bpy.app.background or puppets.current():
        refresh(scene, depsgraph)
        return
    try:
        refresh_now(scene, depsgraph)
    except (AddonError, EngineError) as error:
        log.error("%s", error)


def refresh_later() -> None:
    """Refresh the current scene soon, from a timer; in the background, at once."""
    global _is_refresh_due
    if bpy.app.background:
        follow(bpy.context.scene, bpy.context.evaluated_depsgraph_get())
        return
    _is_refresh_due = True
    pump.start()


def rest_all() -> None:
    """Bring the whole pictures of portraits that rest again."""
    with _traffic_if_free() as is_free:
        for found in list(_sessions.values()) if is_free else ():
            item = portraits.find(found.uid) if found.look.is_due else None
            if item is not None and any(c.name in puppets.current() for c in item.controllers):
                continue  # a camera moves it, however seldom a slow window lets it be drawn
            if item is not None:
                found.rest(item)
            elif found.look.is_due:
                found.look.give_up()


def complete_all() -> None:
    """Show whole pictures, not the small ones of a move, before the file is saved."""
    if not any(item.look.is_shown for item in _sessions.values()):
        return
    with traffic:
        for item in portraits.all_portraits():
            found = _sessions.get(item.identity)
            if found is not None:
                found.complete(item)


def take_due_refresh() -> bool:
    """Whether a refresh was asked for since the last call."""
    global _is_refresh_due
    was_due, _is_refresh_due = _is_refresh_due, False
    return was_due


def push_all() -> None:
    """Write all pictures again: undo and redo bring old pixels back, or none."""
    with _traffic_if_free() as is_free:
        for item in portraits.all_portraits() if is_free else ():
            found = _sessions.get(item.identity)
            if found is not None:
                found.turns.note_undo()
                found.push(item)
            fill_blank(item.settings)
        for copy in portraits.copies() if is_free else ():
            fill_blank(copy.plane.keyportrait.portrait)


def fill_blank(settings: bpy.types.PropertyGroup) -> None:
    """Let a live image that has lost its pixels show the still picture, until it is moved again."""
    if settings.output is None or settings.source is None or not is_blank(settings.output):
        return
    try:
        Canvas(content.read_source(settings)).push(settings.output)
    except AddonError as error:
        log.warning("%s", error)


def push_turned(is_cycles_shown: bool) -> bool:
    """Write the pictures that Cycles' viewport must see again; whether one may need it later.

    Where it is shown no more, the images get their own alpha modes back.
    """
    with _traffic_if_free() as is_free:
        if not is_free:
            return True
        turned = [item for item in _sessions.values() if item.turns.home]
        for found in turned:
            item = portraits.find(found.uid)
            if item is not None and (found.turns.is_due or not is_cycles_shown):
                found.push(item)
    return any(item.turns.home for item in turned)


def restore_modes() -> None:
    """Give all images their own alpha modes back, before the file is saved."""
    if not any(item.turns.home for item in _sessions.values()):
        return
    with _traffic_if_free() as is_free:
        for item in portraits.all_portraits() if is_free else ():
            found = _sessions.get(item.identity)
            if found is not None:
                found.restore_mode(item)


def retry_all() -> None:
    """Ask the engine again for everything, after it was restarted."""
    with traffic:
        for item in _sessions.values():
            item.retry()
    refresh_later()


def forget_all() -> None:
    """Drop every session: another file is open, or the extension goes."""
    with traffic:
        for item in _sessions.values():
            item.close()
        _sessions.clear()
    content.forget_all()


def forget_gone() -> None:
    """Drop the sessions of portraits that no longer exist."""
    uids = {item.identity for item in portraits.all_portraits()}
    with traffic:
        for uid in [uid for uid in _sessions if uid not in uids]:
            _sessions.pop(uid).close()
