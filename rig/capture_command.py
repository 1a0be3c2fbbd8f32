"""`blender -b FILE.blend --command keyportrait capture …`: capturing without the interface."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy

from ..engine.take import READER_ITEMS, REFERENCE_ITEMS, REGION_ITEMS
from . import portraits
from .capture_choices import Choices, choices_of
from .capture_run import CaptureRun, jobs_for
from .take_choices import FILE, MODE_ITEMS
from .take_job import TakeJob
from .terminal import OK, Progress, UsageError, save_file, say, say_error, scene_named

NAME = "capture"
# Option → property of a capture.
VALUES: dict[str, tuple[str, type, str]] = {
    "--in": ("range_start", float, "seconds of the clip at which the performance begins"),
    "--out": ("range_end", float, "seconds of the clip at which it ends (default: the clip's end)"),
    "--start": ("start_frame", float, "scene frame of its beginning (default: 1)"),
    "--stretch": ("stretch", float, "2 takes twice the time"),
    "--offset": ("face_offset", float, "frames by which each face begins after the one before"),
    "--performer": ("performer", int, "which face of the clip: 1 for the largest"),
    "--smooth": ("smooth", float, "0 as it was read, 1 very smooth (default: 0.5)"),
    "--multiplier": ("multiplier", float, "factor on all motion"),
    "--rest-at": ("reference_s", float, "seconds, with --rest CHOSEN"),
}
LISTS = {
    "--reader": ("reader", [item[0] for item in READER_ITEMS]),
    "--region": ("region", [item[0] for item in REGION_ITEMS]),
    "--rest": ("reference", [item[0] for item in REFERENCE_ITEMS]),
    "--mode": ("mode", [item[0] for item in MODE_ITEMS]),
}
# Option → (property, value, help).
SWITCHES = {
    "--absolute": ("use_relative_motion", False, "the performer's own pose and expression"),
    "--mirror": ("use_mirror", True, "left and right swapped"),
    "--close-lips": ("use_lip_normalization", True, "shut the face's own lips first"),
    "--eyes-by-opening": ("use_eye_retargeting", True, "lids follow the performer's openings"),
    "--lips-by-opening": ("use_lip_retargeting", True, "lips follow the performer's openings"),
    "--expression-friendly": ("is_expression_friendly", True, "scale expressions by face size"),
    "--no-detail": ("use_detail", False, "sliders alone, with few keys"),
    "--nla": ("use_track", True, "as a strip on a new NLA track"),
    "--true-times": ("use_whole_frames", False, "keys at the clip's frames, not the scene's"),
    "--no-markers": ("use_markers", False, "no markers at cuts and losses"),
    "--set-scene-range": ("use_scene_range", True, "let the scene begin and end with it"),
}


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the parser of this command to those of `--command keyportrait`."""
    parser = commands.add_parser(NAME, help="carry a clip's performance over to faces")
    parser.add_argument("--clip", required=True, metavar="FILE", help="clip, picture or template")
    add_face_argument(parser)
    for option, (target, kind, text) in VALUES.items():
        parser.add_argument(option, dest=target, type=kind, metavar="N", help=text)
    for option, (target, choices) in LISTS.items():
        parser.add_argument(option, dest=target, choices=choices)
    for option, (target, value, text) in SWITCHES.items():
        parser.add_argument(option, dest=target, action="store_const", const=value, help=text)
    parser.add_argument(
        "--output", metavar="FILE", default="", help="save under this name (default: the file)"
    )
    return parser


def add_face_argument(parser: argparse.ArgumentParser) -> None:
    """Let a command take names for faces_named."""
    parser.add_argument(
        "--face", nargs="+", metavar="NAME", default=[],
        help="face controllers, or planes with one face (default: the scene's only face)",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Capture, and save the file. Returns the exit status; raises UsageError and AddonError."""
    scene = scene_named(options.scene)
    faces = faces_named(scene, options.face)
    choices = _choices(faces[0], options)
    with bpy.context.temp_override(scene=scene):
        return finish(jobs_for(bpy.context, faces, choices), options.output)


def finish(jobs: Sequence[TakeJob], output: str) -> int:
    """Do some jobs, and save the file.

    output  name for the file, "" for its own
    Returns the exit status; raises UsageError and AddonError.
    """
    running = CaptureRun(jobs, is_blocking=True)
    try:
        running.run(Progress())
    except KeyboardInterrupt:
        running.cancel()
        raise
    summary = running.finish(bpy.context, is_again=False)
    for warning in summary.warnings:
        say_error(f"Warning: {warning}")
    say(f"{summary.text}.")
    save_file(output, "--output")
    return OK


def _choices(face: bpy.types.Object, options: argparse.Namespace) -> Choices:
    given = {name: value for name, value in vars(options).items() if value is not None}
    defaults = choices_of(PropertyDefaults(face.keyportrait_capture))
    chosen = {name: given[name] for name in given if name in Choices.__dataclass_fields__}
    path = str(Path(options.clip).absolute())
    choices = replace(defaults, **chosen)
    choices = replace(choices, source=FILE, filepath=path)
    if choices.performer < 1 or not 0.0 <= choices.smooth <= 1.0 or choices.stretch <= 0.0:
        raise UsageError("--performer begins at 1, --smooth is 0 to 1, --stretch above 0.")
    if choices.multiplier < 0.0 or choices.multiplier > 10.0:
        raise UsageError("--multiplier is 0 to 10.")
    return choices


class PropertyDefaults:
    """The defaults of a property group, whatever a file has set."""

    def __init__(self, group: bpy.types.PropertyGroup) -> None:
        self._properties = group.bl_rna.properties

    def __getattr__(self, name: str) -> Any:
        return getattr(self._properties[name], "default", None)


def faces_named(scene: bpy.types.Scene, names: list[str]) -> list[bpy.types.Object]:
    """Face controllers of a scene by their names; its only one for none. Raises UsageError."""
    known: dict[str, bpy.types.Object] = {}
    for item in portraits.portraits_of(scene):
        known.update({controller.name: controller for controller in item.controllers})
        if len(item.controllers) == 1:
            known.setdefault(item.plane.name, item.controllers[0])
    own = list(dict.fromkeys(known.values()))
    have = ", ".join(f"'{face.name}'" for face in own) or "none"
    missing = [name for name in names if name not in known]
    if missing:
        lacking = ", ".join(f"'{name}'" for name in missing)
        raise UsageError(f"There is no face {lacking} in '{scene.name}'. There are: {have}.")
    if not names and len(own) != 1:
        raise UsageError(f"Name the faces with --face. There are: {have}.")
    faces = list(dict.fromkeys(known[name] for name in names)) if names else own
    linked = [face.name for face in faces if not face.is_editable]
    if linked:
        raise UsageError(f"'{linked[0]}' is linked from another file: make it local first.")
    return faces
