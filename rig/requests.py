"""What one portrait asks the engine, and what is remembered of it until the answer comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ..host.client import Engine, Policy, Ticket
from .opening import open_fields

if TYPE_CHECKING:
    from ..engine.controls import Motion
    from .images import Picture
    from .portraits import Portrait


@dataclass(frozen=True)
class Answer:
    """Tag of a request: whom the pump calls with the reply, and what was asked.

    size  (width, height) of the small picture that was asked for; None: the whole one
    """

    receive: Any
    motions: tuple[Motion, ...] = ()
    handle: int | None = None
    size: tuple[int, int] | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """Header fields of `render`."""
        small = {} if self.size is None else {"size": list(self.size)}
        motions = [motion.to_json() for motion in self.motions]
        return {"handle": self.handle, "motions": motions, "options": {}, **small}


def answer_of(ticket: Ticket) -> Answer:
    """The tag of a ticket of this module."""
    return cast("Answer", ticket.tag)


def submit_open(
    client: Engine, item: Portrait, picture: Picture, answer: Answer, *, use_drain: bool
) -> Ticket:
    """Let the engine fit a portrait's faces; use_drain: the pump hands the answer on."""
    return client.submit(
        "open",
        {**open_fields(item), **picture.wire_fields},
        {"image": picture.to_wire()},
        tag=answer,
        use_drain=use_drain,
    )


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
