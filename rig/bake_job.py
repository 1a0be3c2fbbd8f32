"""One portrait in a bake: what is rendered, from which motions, into which files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..engine.protocol import Array
from ..host.cache import canonical, frame_key
from ..host.sequence import (
    BakeError,
    FrameTask,
    OpenRequest,
    SequenceOutput,
    append_log,
    read_log,
)
from . import clips
from .bake_colour import FileColour, colour_of, light_of
from .bake_settings import BakeSettings, safe_name
from .bake_state import clip_digest, digest_of, joined
from .baked import BakedFiles
from .errors import AddonError
from .opening import open_request
from .portraits import Portrait, picture_size
from .wishes import Wish

MOVIE_FOLDER = ".keyportrait_frames"
# Motion.to_json() of each face.
Motions = list[dict[str, Any]]


@dataclass
class BakeJob:
    """What a bake needs of a portrait, without pointers into Blender's data: undo breaks those.

    output        the picture sequence; for a movie a hidden folder that goes when it is encoded
    colour        what the files hold, and how they are read
    size          (width, height) of the picture, pixels
    source, faces hashes of the picture and of its faces
    face_count    how many faces move
    tasks         one per frame, once the motions are known
    facts         the renderer's, of `probed`
    light         how the picture's values add up, see bake_colour.light_of
    clip          digest of a moving source and its track; "" for a still picture
    """

    uid: str
    name: str
    settings: BakeSettings
    output: SequenceOutput
    renderer: str
    open_request: OpenRequest
    colour: FileColour
    size: tuple[int, int]
    source: str
    faces: str
    face_count: int
    light: dict[str, str]
    clip: str = ""
    tasks: list[FrameTask] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    _identity: dict[str, Any] = field(default_factory=dict)
    _tasks: dict[int, FrameTask] = field(default_factory=dict)
    _digests: dict[int, str] = field(default_factory=dict)

    @property
    def is_movie(self) -> bool:
        """Whether the pictures become a movie."""
        return self.settings.format == "MP4"

    def prepare(self, facts: Mapping[str, str], version: str) -> None:
        """Take in what decides the renderer's pictures besides the motion.

        facts    the engine's, of `probed`
        version  of the extension
        """
        self.facts = dict(facts)
        # The same pictures come from every device of a class, whatever people call it.
        info = {key: value for key, value in facts.items() if key != "device"}
        options = self.open_request.fields["options"]
        self._identity = {"name": self.renderer, "version": version, "options": options, **info}

    def note(self, frame: int, wish: Wish, samples: Sequence[Wish] = ()) -> None:
        """Take in what is shown at an evaluated frame.

        samples  the same at each moment of the frame's exposure; none without motion blur
        """
        self._digests[frame] = digest_of(wish, self.open_request.fields["faces"], self.clip)
        motions = _as_json(wish)
        holds = _all_holds([wish, *samples])
        exposed = _equal_as_one([_as_json(sample) for sample in samples])
        shutter = None
        # Where nothing moves, the picture is that of one moment, with its key.
        if exposed and all(sample is exposed[0] for sample in exposed):
            motions = exposed[0]
        elif exposed:
            shutter = {"samples": exposed, **self.light}
        key = frame_key(
            source=self.source if wish.frame is None else f"{self.source} {wish.frame}",
            faces=[self.faces, holds] if holds else [self.faces],
            motions=motions if shutter is None else [shutter],
            renderer=self._identity,
            output=self.output.settings(),
        )
        self._tasks[frame] = FrameTask(frame, key, motions, shutter, wish.frame, holds)

    def make_tasks(self) -> None:
        """Turn the motions into tasks, one for each frame."""
        self.tasks.clear()
        for frame in self.settings.frames:
            evaluated = self._tasks[self.settings.evaluated_frame(frame)]
            self.tasks.append(replace(evaluated, frame=frame))

    @property
    def files(self) -> BakedFiles:
        """What the finished bake is."""
        first = self.settings.frames[0]
        path = self.movie_path if self.is_movie else self.output.path(first)
        count = len(self.settings.frames)
        digests = joined(self._digests, self.settings.frames)
        return BakedFiles(
            path=path,
            format=self.settings.format,
            frame_start=first,
            frame_count=count,
            colour=self.colour,
            digests=digests,
            is_relative=self.settings.is_relative,
        )

    # --- movies ---------------------------------------------------------------------------------

    @property
    def movie_path(self) -> Path:
        """The movie that is made in the end."""
        return self.settings.folder_of(self.name) / f"{self.output.stem}.mp4"

    @property
    def is_movie_current(self) -> bool:
        """Whether an earlier bake left the movie of just these pictures."""
        if not (self.settings.use_existing and self.movie_path.exists()):
            return False
        return read_log(self._movie_log).get(self.settings.frames[0]) == self._movie_key

    def note_movie(self) -> None:
        """Remember what the movie was made from. Raises OSError."""
        append_log(self._movie_log, self.settings.frames[0], self._movie_key)

    @property
    def _movie_log(self) -> Path:
        return self.movie_path.with_suffix(".mp4.jsonl")

    @property
    def _movie_key(self) -> str:
        content = "\n".join([*(task.key for task in self.tasks), f"{self.settings.fps!r}"])
        return hashlib.sha256(content.encode()).hexdigest()


def job_of(item: Portrait, settings: BakeSettings) -> BakeJob:
    """The job of baking one portrait. Raises BakeError when it cannot be baked."""
    name = item.plane.name
    if not item.controllers:
        raise BakeError(f"'{name}' has no face controllers.", "Find its faces first.")
    try:
        fields, arrays = open_request(item)
    except AddonError as error:
        raise BakeError(error.message, error.hint) from error
    renderer = settings.renderer or item.settings.renderer
    clip, encoding = "", fields.get("encoding", "")
    if clips.is_moving(item.settings):
        clip = clip_digest(item)
        encoding = clips.encoding_of(item.settings.source)
    colour = colour_of(item.settings.output, encoding, settings.format)
    return BakeJob(
        uid=item.identity,
        name=name,
        settings=settings,
        output=_sequence_output(name, settings, colour),
        renderer=renderer,
        open_request=OpenRequest({**fields, "renderer": renderer}, arrays),
        colour=colour,
        size=picture_size(item.plane),
        source=clip or _picture_digest(fields, arrays["image"]),
        faces=hashlib.sha256(json.dumps(canonical(fields["faces"])).encode()).hexdigest(),
        face_count=len(fields["faces"]),
        light=light_of(item.settings.output, encoding),
        clip=clip,
    )


def _picture_digest(fields: Mapping[str, Any], image: Array) -> str:
    digest = hashlib.sha256(f"{image.dtype} {image.shape} {fields['encoding']} ".encode())
    if fields.get("has_emission"):
        digest.update(b"has_emission ")
    digest.update(image.data)
    return digest.hexdigest()


def _as_json(wish: Wish) -> Motions:
    return [motion.to_json() for motion in wish.motions]


def _all_holds(wishes: Sequence[Wish]) -> list[list[str]]:
    """For each face the openings that any of the wishes holds; none at all is []."""
    held = [wish.holds for wish in wishes if wish.holds]
    return [sorted({name for names in face for name in names}) for face in zip(*held, strict=True)]


def _equal_as_one(samples: Sequence[Motions]) -> list[Motions]:
    """Samples that differ by no more than noise become the same: the engine renders them once."""
    known: dict[str, Motions] = {}
    return [known.setdefault(json.dumps(canonical(sample)), sample) for sample in samples]


def _sequence_output(name: str, settings: BakeSettings, colour: FileColour) -> SequenceOutput:
    folder = settings.folder_of(name)
    stem = safe_name(name)
    if settings.format == "MP4":
        return SequenceOutput(folder / MOVIE_FOLDER, stem, "PNG", "8")
    depth = settings.color_depth
    return SequenceOutput(folder, stem, settings.format, depth, colour.color, colour.alpha)


def check_folders(jobs: Sequence[BakeJob]) -> None:
    """Raise BakeError when two portraits would write the same files."""
    owners: dict[str, str] = {}
    for job in jobs:
        # Windows and macOS do not tell capitals apart.
        folder = str(job.output.folder).casefold()
        if folder in owners:
            text = f"'{owners[folder]}' and '{job.name}' would be baked into the same folder."
            raise BakeError(text, "Rename one of them.")
        owners[folder] = job.name
