"""`blender -b FILE.blend --command keyportrait …`: baking, performances, without the interface.

Exit status: 0 done, 1 it failed, 2 wrong arguments, 130 interrupted.
"""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path

import bpy

from ..engine.renderer_table import RENDERERS
from ..host.client import EngineError
from ..host.sequence import EXTENSIONS, BakeError
from . import bake, capture_command, portraits, speech_command
from .bake_properties import (
    EXR_DEPTH_ITEMS,
    FORMAT_ITEMS,
    PNG_DEPTH_ITEMS,
    POSITION_ITEMS,
    SAMPLES_LIMITS,
    SHUTTER_LIMITS,
)
from .bake_settings import (
    BakeSettings,
    Shutter,
    absolute_folder,
    frame_range,
    frames_of,
    is_relative,
)
from .errors import AddonError
from .terminal import (
    FAILED,
    INTERRUPTED,
    OK,
    USAGE,
    Progress,
    UsageError,
    save_file,
    say,
    say_error,
    scene_named,
)

COMMAND = "keyportrait"
EPILOG = """\
The .blend file comes before the command. What is left out is taken from the file's Bake panel.

  blender -b shot.blend --command keyportrait list
  blender -b shot.blend --command keyportrait bake --output //baked
  blender -b shot.blend --command keyportrait bake --portrait Ada --frames 1-120 --format OPEN_EXR
  blender -b shot.blend --command keyportrait bake --chunk 3/8
  blender -b shot.blend --command keyportrait bake --save shot_baked.blend
  blender -b shot.blend --command keyportrait capture --face Ada --clip talk.mp4
  blender -b shot.blend --command keyportrait speak talk.wav --face Ada
"""


def make_parser() -> argparse.ArgumentParser:
    """The parser of everything behind `--command keyportrait`."""
    parser = argparse.ArgumentParser(
        prog="blender -b FILE.blend --command keyportrait",
        description="Let the faces of a .blend file perform and speak, and bake its portraits.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_scene(commands.add_parser("list", help="list the portraits of the file"))
    _add_scene(capture_command.add_parser(commands))
    _add_scene(speech_command.add_parser(commands))
    command = commands.add_parser("bake", help="render portraits to files")
    _add_scene(command)
    command.add_argument(
        "--portrait", nargs="+", metavar="NAME", default=[], help="planes to bake (default: all)"
    )
    command.add_argument(
        "--frames", type=frames_argument, metavar="A-B[xSTEP]", help="such as 1-100, 1-100x2 or 7"
    )
    command.add_argument(
        "--chunk", type=chunk_argument, metavar="I/N", help="only the I-th of N parts of the range"
    )
    command.add_argument("--format", choices=[item[0] for item in FORMAT_ITEMS])
    depths = sorted({item[0] for item in (*PNG_DEPTH_ITEMS, *EXR_DEPTH_ITEMS)}, key=int)
    command.add_argument("--depth", choices=depths, help="bits per channel")
    command.add_argument("--output", metavar="DIR", help="folder; // is beside the .blend file")
    command.add_argument("--renderer", choices=list(RENDERERS))
    command.add_argument(
        "--shutter", type=shutter_argument, metavar="FRAMES", help="motion blur; 0 is none"
    )
    positions = [item[0] for item in POSITION_ITEMS]
    command.add_argument("--shutter-position", choices=positions, help="of the frame in it")
    command.add_argument("--samples", type=samples_argument, metavar="N", help="of motion blur")
    command.add_argument(
        "--again", action="store_true", help="also make frames that are finished already"
    )
    command.add_argument(
        "--save",
        nargs="?",
        const="",
        metavar="FILE",
        help="show the bake on the planes and save the .blend, as FILE if given",
    )
    return parser


def _add_scene(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scene", metavar="NAME", help="(default: the file's active scene)")


def frames_argument(text: str) -> tuple[int, int, int]:
    """(start, end, step) of A, A-B or A-BxSTEP."""
    match = re.fullmatch(r"(\d+)(?:-(\d+)(?:x(\d+))?)?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"'{text}' is not A, A-B or A-BxSTEP")
    start = int(match[1])
    end = int(match[2] or start)
    step = int(match[3] or 1)
    if end < start or step < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is an empty range")
    return start, end, step


def shutter_argument(text: str) -> float:
    """Frames that the shutter is open, 0 to SHUTTER_LIMITS[1]."""
    try:
        length_frames = float(text)
    except ValueError:
        length_frames = math.nan
    if not (length_frames == 0.0 or SHUTTER_LIMITS[0] <= length_frames <= SHUTTER_LIMITS[1]):
        low, high = SHUTTER_LIMITS
        raise argparse.ArgumentTypeError(f"'{text}' is not 0, or {low:g} to {high:g} frames")
    return length_frames


def samples_argument(text: str) -> int:
    """How many moments are averaged, in SAMPLES_LIMITS."""
    low, high = SAMPLES_LIMITS
    if not text.isdecimal() or not low <= int(text) <= high:
        raise argparse.ArgumentTypeError(f"'{text}' is not {low} to {high}")
    return int(text)


def chunk_argument(text: str) -> tuple[int, int]:
    """(i, n) of I/N, 1 ≤ i ≤ n."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"'{text}' is not I/N with I from 1 to N")
    return int(match[1]), int(match[2])


def run(arguments: list[str]) -> int:
    """Blender calls this with what follows the command's name. Returns the exit status."""
    try:
        options = make_parser().parse_args(arguments)
    except SystemExit as end:  # argparse has said why; Blender itself must end in order
        return end.code if isinstance(end.code, int) else USAGE
    try:
        if options.command == "list":
            return _list(options)
        if options.command == capture_command.NAME:
            return capture_command.run(options)
        if options.command == speech_command.NAME:
            return speech_command.run(options)
        return _bake(options)
    except UsageError as error:
        say_error(str(error))
        return USAGE
    except (BakeError, AddonError, EngineError) as error:
        say_error(str(error))
        return FAILED
    except KeyboardInterrupt:
        is_bake = options.command == "bake"
        bake.cancel_active()
        kept = "Finished frames are kept; bake again to go on." if is_bake else "Nothing was saved."
        say_error(f"Interrupted. {kept}")
        return INTERRUPTED


def _list(options: argparse.Namespace) -> int:
    scene = scene_named(options.scene)
    items = portraits.portraits_of(scene)
    for item in items:
        source = item.settings.source
        size = "{} x {} px".format(*portraits.picture_size(item.plane)) if source else "no picture"
        faces = ", ".join(controller.name for controller in item.controllers) or "no faces"
        state = "baked" if item.settings.use_baked else "live"
        say(f"{item.plane.name}\t{size}\t{item.settings.renderer}\t{state}\t{faces}")
    if not items:
        say_error(f"There is no portrait in the scene '{scene.name}'.")
    return OK if items else FAILED


def _bake(options: argparse.Namespace) -> int:
    scene = scene_named(options.scene)
    items = _portraits(scene, options.portrait)
    settings = _settings(scene, options)
    running = bake.begin(scene, items, settings)
    running.run(Progress())
    for warning in running.summary.warnings:
        say_error(f"Warning: {warning}")
    say(f"{running.summary.text}.")
    for files in running.files.values():
        say(str(files.path))
    if options.save is not None:
        save_file(options.save, "--save")
    return OK


def _portraits(scene: bpy.types.Scene, names: list[str]) -> list[portraits.Portrait]:
    items = portraits.portraits_of(scene)
    known = {item.plane.name: item for item in items}
    missing = [name for name in names if name not in known]
    if missing:
        have = ", ".join(f"'{name}'" for name in known) or "none"
        lacking = ", ".join(f"'{name}'" for name in missing)
        raise UsageError(f"There is no portrait {lacking} in '{scene.name}'. There are: {have}.")
    if not items:
        raise UsageError(f"There is no portrait in the scene '{scene.name}'.")
    return [known[name] for name in dict.fromkeys(names)] if names else items


def _settings(scene: bpy.types.Scene, options: argparse.Namespace) -> BakeSettings:
    panel = scene.keyportrait_bake
    kind = options.format or panel.format
    default_depth = panel.exr_depth if kind == "OPEN_EXR" else panel.png_depth
    depth = options.depth or default_depth
    allowed = [i[0] for i in (EXR_DEPTH_ITEMS if kind == "OPEN_EXR" else PNG_DEPTH_ITEMS)]
    if kind in EXTENSIONS and depth not in allowed:
        raise UsageError(f"{kind} has no depth of {depth} bits; choose {' or '.join(allowed)}.")
    if kind == "MP4" and options.depth:
        raise UsageError("MP4 has no choice of depth.")
    if options.chunk and (kind == "MP4" or options.save is not None):
        raise UsageError("A chunk is only part of a bake: it cannot be an MP4 or be saved.")
    step = panel.frame_step
    if options.frames:
        start, end, step = options.frames
        frames = frame_range(start, end)
    else:
        frames = frames_of(scene)
    folder = _output_folder(options.output) if options.output else absolute_folder(panel.folder)
    return BakeSettings(
        frames=chunk_of(frames, *options.chunk) if options.chunk else frames,
        origin=frames[0],
        folder=folder,
        step=step,
        format=kind,
        color_depth=depth,
        renderer=options.renderer or ("" if panel.renderer == "SAME" else panel.renderer),
        fps=(scene.render.fps, scene.render.fps_base),
        use_existing=not options.again,
        use_assign=options.save is not None,
        is_relative=is_relative(options.output or panel.folder),
        shutter=_shutter(scene, options),
    )


def _shutter(scene: bpy.types.Scene, options: argparse.Namespace) -> Shutter | None:
    """The panel's exposure with what was said; --shutter turns it on, 0 off."""
    panel = scene.keyportrait_bake
    is_on = panel.use_motion_blur if options.shutter is None else options.shutter > 0.0
    if not is_on:
        if options.samples or options.shutter_position:
            raise UsageError("Without motion blur there are no samples: add --shutter FRAMES.")
        return None
    return Shutter(
        options.shutter or panel.motion_blur_shutter,
        options.shutter_position or panel.motion_blur_position,
        options.samples or panel.motion_blur_samples,
    )


def chunk_of(frames: tuple[int, ...], index: int, count: int) -> tuple[int, ...]:
    """The index-th (from 1) of `count` consecutive parts, as equal as can be."""
    begin, end = ((len(frames) * i) // count for i in (index - 1, index))
    if begin == end:
        raise UsageError(f"{len(frames)} frames cannot be divided into {count} chunks.")
    return frames[begin:end]


def _output_folder(text: str) -> Path:
    # On a command line, plain paths are relative to the working directory.
    return absolute_folder(text) if is_relative(text) else Path(text).absolute()


_handle: object = None


def register() -> None:
    global _handle
    _handle = bpy.utils.register_cli_command(COMMAND, run)


def unregister() -> None:
    global _handle
    bpy.utils.unregister_cli_command(_handle)
    _handle = None
