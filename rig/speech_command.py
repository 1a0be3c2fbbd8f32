"""`blender -b FILE.blend --command keyportrait speak …`: speech without the interface."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy

from ..engine.speech_options import LANGUAGE_ITEMS, MAX_SEED, METHOD_ITEMS, SPEECH_AMOUNTS
from .capture_command import PropertyDefaults, add_face_argument, faces_named, finish
from .speech_choices import SOUND, Speech, speech_of
from .speech_run import jobs_for
from .take_choices import FILE, MODE_ITEMS, STRIP
from .terminal import UsageError, scene_named

NAME = "speak"
# Option → property of speech.
VALUES: dict[str, tuple[str, type, str]] = {
    "--in": ("range_start", float, "second of the sound at which the speech begins"),
    "--out": ("range_end", float, "second of the sound at which it ends (default: its end)"),
    "--start": ("start_frame", float, "scene frame of its beginning (default: 1)"),
    "--offset": ("face_offset", float, "frames by which each face begins after the one before"),
    "--seed": ("seed", int, "of blinks and head motion"),
}
LISTS = {
    "--language": ("language", [item[0] for item in LANGUAGE_ITEMS]),
    "--method": ("method", [item[0] for item in METHOD_ITEMS]),
    "--mode": ("mode", [item[0] for item in MODE_ITEMS]),
}
# Option → (property, value, help).
SWITCHES = {
    "--nla": ("use_track", True, "as a strip on a new NLA track"),
    "--true-times": ("use_whole_frames", False, "keys where the sounds are, not on whole frames"),
    "--set-scene-range": ("use_scene_range", True, "let the scene begin and end with it"),
}


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the parser of this command to those of `--command keyportrait`."""
    parser = commands.add_parser(NAME, help="let faces speak what a sound says")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "file", nargs="?", metavar="FILE", help="a sound, a movie with sound, or mouth shapes"
    )
    source.add_argument("--strip", metavar="NAME", help="a sound or movie strip of the sequencer")
    source.add_argument("--sound", metavar="NAME", help="a sound of the .blend file")
    add_face_argument(parser)
    for amount in SPEECH_AMOUNTS:
        text = f"{amount.minimum:g} to {amount.maximum:g}"
        name = f"--{amount.name.replace('_', '-')}"
        parser.add_argument(name, dest=amount.name, type=float, metavar="N", help=text)
    for option, (target, kind, text) in VALUES.items():
        parser.add_argument(option, dest=target, type=kind, metavar="N", help=text)
    for option, (target, choices) in LISTS.items():
        parser.add_argument(option, dest=target, choices=choices)
    for option, (target, value, text) in SWITCHES.items():
        parser.add_argument(option, dest=target, action="store_const", const=value, help=text)
    parser.add_argument("--table", metavar="FILE", help="a table of visemes of your own")
    parser.add_argument(
        "--output", metavar="FILE", default="", help="save under this name (default: the file)"
    )
    return parser


def run(options: argparse.Namespace) -> int:
    """Speak, and save the file. Returns the exit status; raises UsageError and AddonError."""
    scene = scene_named(options.scene)
    faces = faces_named(scene, options.face)
    speech = _speech(faces[0], options)
    with bpy.context.temp_override(scene=scene):
        return finish(jobs_for(bpy.context, faces, speech), options.output)


def _speech(face: bpy.types.Object, options: argparse.Namespace) -> Speech:
    given = {name: value for name, value in vars(options).items() if value is not None}
    chosen = {name: given[name] for name in given if name in Speech.__dataclass_fields__}
    for amount in SPEECH_AMOUNTS:
        if not amount.minimum <= chosen.get(amount.name, 1.0) <= amount.maximum:
            limits = f"{amount.minimum:g} to {amount.maximum:g}"
            raise UsageError(f"--{amount.name.replace('_', '-')} is {limits}.")
    if not 0 <= chosen.get("seed", 0) <= MAX_SEED:
        raise UsageError(f"--seed is 0 to {MAX_SEED}.")
    speech = replace(speech_of(PropertyDefaults(face.keyportrait_speech)), **chosen)
    if options.table:
        speech = replace(speech, visemes=str(Path(options.table).absolute()))
    if options.strip:
        return replace(speech, source=STRIP)
    if options.sound:
        return replace(speech, source=SOUND)
    return replace(speech, source=FILE, filepath=str(Path(options.file).absolute()))
