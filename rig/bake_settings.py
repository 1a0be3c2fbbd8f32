"""How a bake is done, as plain values: from the scene's settings or from the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import bpy

from ..host.sequence import BakeError

# Windows keeps these names for devices, whatever their ending.
RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{d}{n}" for d in ("COM", "LPT") for n in range(1, 10))}


@dataclass(frozen=True)
class Shutter:
    """How long each picture of a bake is exposed.

    length_frames  time from opening to closing
    position       where the frame lies in it: "START", "CENTER" or "END", as in Blender's render
                   settings
    samples        moments whose pictures are averaged
    """

    length_frames: float = 0.5
    position: str = "CENTER"
    samples: int = 8

    def moments(self, frame: int) -> list[float]:
        """The times to look at, in frames, ascending: middles of equal parts of the exposure."""
        before = {"START": 0.0, "CENTER": 0.5, "END": 1.0}[self.position]
        parts = ((number + 0.5) / self.samples for number in range(self.samples))
        return [frame + (part - before) * self.length_frames for part in parts]


@dataclass(frozen=True)
class BakeSettings:
    """A bake's settings, checked.

    frames       scene frames to make, ascending, without a gap
    step         every step-th frame from the origin is evaluated and held until the next
    origin       where the steps begin; the first frame when None. Parts of one range share it
    format       "PNG", "OPEN_EXR" or "MP4"
    color_depth  bits per channel as Blender names them; not used for MP4
    folder       absolute; every portrait gets a folder in it
    is_relative  whether the folder was given beside the .blend file, by //
    renderer     "" for each portrait's own
    fps          (fps, fps_base) for movies
    shutter      None for pictures of one moment, without motion blur
    """

    frames: tuple[int, ...]
    folder: Path
    step: int = 1
    origin: int | None = None
    format: str = "PNG"
    color_depth: str = "8"
    renderer: str = ""
    fps: tuple[int, float] = (24, 1.0)
    use_existing: bool = True
    use_assign: bool = True
    is_relative: bool = False
    shutter: Shutter | None = None

    def evaluated_frame(self, frame: int) -> int:
        """The frame whose motion is shown at `frame`."""
        origin = self.frames[0] if self.origin is None else self.origin
        return origin + (frame - origin) // self.step * self.step

    @property
    def evaluated_frames(self) -> list[int]:
        """The frames whose motion is needed, ascending."""
        return sorted({self.evaluated_frame(frame) for frame in self.frames})

    def folder_of(self, name: str) -> Path:
        """The folder of one portrait."""
        return self.folder / safe_name(name)


def safe_name(name: str) -> str:
    """An object's name as a file name on every system."""
    safe = re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", name).strip(" .")
    return f"{safe}_" if safe.split(".")[0].upper() in RESERVED or not safe else safe


def settings_of(scene: bpy.types.Scene, frames: tuple[int, ...] = ()) -> BakeSettings:
    """The settings in the Bake panel; other frames than those in it if given. Raises BakeError."""
    bake = scene.keyportrait_bake
    depth = bake.exr_depth if bake.format == "OPEN_EXR" else bake.png_depth
    return BakeSettings(
        frames=frames or frames_of(scene),
        folder=absolute_folder(bake.folder),
        step=bake.frame_step,
        format=bake.format,
        color_depth=depth,
        renderer="" if bake.renderer == "SAME" else bake.renderer,
        fps=(scene.render.fps, scene.render.fps_base),
        use_existing=bake.use_existing,
        use_assign=bake.use_assign,
        is_relative=is_relative(bake.folder),
        shutter=shutter_of(scene),
    )


def shutter_of(scene: bpy.types.Scene) -> Shutter | None:
    """The exposure that is set in the Bake panel; None where motion blur is off."""
    bake = scene.keyportrait_bake
    if not bake.use_motion_blur:
        return None
    return Shutter(bake.motion_blur_shutter, bake.motion_blur_position, bake.motion_blur_samples)


def copy_motion_blur(scene: bpy.types.Scene) -> float:
    """Turn motion blur on, with the exposure of the scene's renders. Returns it in frames."""
    bake, render = scene.keyportrait_bake, scene.render
    bake.use_motion_blur = True
    bake.motion_blur_shutter = render.motion_blur_shutter
    bake.motion_blur_position = render.motion_blur_position
    return bake.motion_blur_shutter


def frames_of(scene: bpy.types.Scene) -> tuple[int, ...]:
    """The frames that are set in the Bake panel. Raises BakeError."""
    bake = scene.keyportrait_bake
    if bake.use_scene_range:
        return frame_range(scene.frame_start, scene.frame_end)
    return frame_range(bake.frame_start, bake.frame_end)


def frame_range(start: int, end: int) -> tuple[int, ...]:
    """All frames from start to end, both included. Raises BakeError."""
    if end < start:
        raise BakeError(
            f"The frame range {start} to {end} is empty.", "Set its end after its start."
        )
    if start < 0:
        raise BakeError(
            f"Frame {start} cannot be baked: files are numbered from 0.",
            "Move the animation to positive frames.",
        )
    return tuple(range(start, end + 1))


def is_relative(folder: str) -> bool:
    """Whether a folder as typed by the user is given relative to the .blend file."""
    return folder.strip().startswith("//")


def absolute_folder(folder: str) -> Path:
    """A folder as typed by the user, made absolute. Raises BakeError."""
    folder = folder.strip()
    if not folder:
        raise BakeError("No output folder is set.", "Choose one in the Bake panel.")
    if is_relative(folder) and not bpy.data.filepath:
        raise BakeError(
            f"The output folder '{folder}' lies beside the .blend file, which is not saved yet.",
            "Save the file, or choose another folder.",
        )
    path = Path(bpy.path.abspath(folder))
    if not path.is_absolute():
        raise BakeError(
            f"The output folder '{folder}' is not absolute.",
            "Begin it with // to put it beside the .blend file.",
        )
    return path
