"""What one portrait asks the engine, and what is remembered of it until the answer comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ..host.client import Engine, Policy, Ticket
from .opening import clip_fields, open_fields, track_fields
from .wishes import Wish

if TYPE_CHECKING:
    from .images import Picture
    from .portraits import Portrait


NOTHING = Wish()


@dataclass(frozen=True)
class Answer:
    """Tag of a request: whom the pump calls with the reply, and what was asked.

    size  (width, height) of the small picture that was asked for; None: the whole one
    """

    receive: Any
    wish: Wish = NOTHING
    handle: int | None = None
    size: tuple[int, int] | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """Header fields of `render`."""
        more = self.wish.request_fields
        if self.size is not None:
            more["size"] = list(self.size)
        if self.wish.frame is not None:
            more["is_whole"] = True
        motions = [motion.to_json() for motion in self.wish.motions]
        return {"handle": self.handle, "motions": motions, "options": self.wish.options, **more}


def answer_of(ticket: Ticket) -> Answer:
    """The tag of a ticket of this module."""
    return cast("Answer", ticket.tag)


def submit_open(
    client: Engine, item: Portrait, picture: Picture | None, answer: Answer, *, use_drain: bool
) -> Ticket:
    """Let the engine fit a portrait's faces; use_drain: the pump hands the answer on.

    picture  None for a clip, whose frames the engine reads. Raises AddonError where that is gone.
    """
    fields, arrays = open_fields(item), {}
    if picture is None:
        fields |= clip_fields(item)
    else:
        fields |= picture.wire_fields
        arrays["image"] = picture.to_wire()
    return client.submit("open", fields, arrays, tag=answer, use_drain=use_drain)


def submit_track(client: Engine, item: Portrait, answer: Answer, *, use_drain: bool) -> Ticket:
    """Let the engine follow the faces of a portrait's clip. Raises AddonError where it is gone."""
    return client.submit("track", track_fields(item), tag=answer, use_drain=use_drain)


def submit_render(client: Engine, answer: Answer, key: Any) -> Ticket:
    """Ask for a frame.

    key  a newer request with the same one takes this one's place, and the pump hands the answer
         on; None: somebody waits for just this frame
    """
    is_live = key is not None
    return client.submit(
        "render",
        answer.fields,
        policy=Policy.NEWEST if is_live else Policy.ALL,
        key=key,
        tag=answer,
        use_drain=is_live,
    )


def submit_still(client: Engine, answer: Answer) -> Ticket:
    """Ask for all of the small picture at rest, which what moves is laid over."""
    return client.submit("render", {**answer.fields, "is_whole": True}, tag=answer)
