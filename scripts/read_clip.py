"""Print what the engine sees in a clip, for anyone who reports a problem with one.

    python scripts/read_clip.py CLIP [--json OUT] [--start S] [--end S] [--no-faces] [--rate FPS]

CLIP is a video, or the first picture of a sequence. OUT gets

    file, size_bytes
    facts       what the file says of itself, see engine/clips/facts.py; width and height are those
                of the upright frames in square pixels
    size        [width, height] of the upright frames
    frames      how many frames were read
    times       seconds of every frame, from the clip's first moment
    steps       {"min_s", "median_s", "max_s", "is_variable"} between frames
    damage      {"packets", "frames", "doubtful", "missing_s", "text"} what could not be read
    sound       {"rate", "channels", "duration_s", "peak", "rms"} or null
    cuts        [{"frame", "time_s"}] frames that begin a new shot
    performers  [{"index", "start_s", "end_s", "seen_share", "time_s", "box", "losses": [{"first",
                "last", "start_s", "end_s", "frames"}]}] the one that fills most of the clip first
    losses      [{…}] stretches in which nobody is seen, in the same form
    speed       {"frames_per_s", "peak_memory_mb"}
    error       {"code", "message", "hint"} where the clip cannot be read; then the exit status is 1
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.clip_reading import MAX_SIDE
from engine.clips.clip import SEQUENCE_RATE, Clip, open_clip
from engine.clips.errors import ClipError
from engine.clips.facts import ClipFrame
from engine.renderer import ReportedError
from engine.tracking.clip_tracks import ClipTracks, read_tracks

SOUND_RATE, SOUND_CHANNELS = 48000, 2
# Steps that differ by more than a container's rounding belong to a variable rate.
VARIABLE_S = 0.0025
LISTED = 8  # losses and cuts that are printed one by one


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Print what the engine sees in a clip.")
    parser.add_argument("clip", type=Path, help="a video, or a sequence's first picture")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    parser.add_argument("--start", type=float, help="first second to read")
    parser.add_argument("--end", type=float, help="second before which to stop")
    parser.add_argument("--rate", type=float, default=SEQUENCE_RATE, help="of a sequence, frames/s")
    parser.add_argument("--no-faces", action="store_true", help="look for no faces: faster")
    options = parser.parse_args(arguments)
    found: dict[str, Any] = {"file": str(options.clip)}
    try:
        found |= read(options.clip, options.rate, (options.start, options.end), options.no_faces)
    except (ClipError, ReportedError) as error:
        found["error"] = {"code": error.code, "message": str(error), "hint": error.hint}
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    if "error" in found:
        print(f"read_clip: {found['error']['message']} {found['error']['hint']}", file=sys.stderr)
        return 1
    print("\n".join(lines_of(found)))
    return 0


def read(
    path: Path, rate: float, part: tuple[float | None, float | None], is_without_faces: bool
) -> dict[str, Any]:
    """Everything but `file` of the result. Raises ClipError, ReportedError."""
    with open_clip(path, rate) as clip:
        times: list[float] = []
        began = time.perf_counter()
        frames = _counted(clip, part, None if is_without_faces else MAX_SIDE, times)
        tracks = None
        if is_without_faces:
            for _ in frames:
                pass
        else:
            tracks = read_tracks(frames)
        spent_s = time.perf_counter() - began
        sound = _sound(clip, part) if clip.facts.has_sound else None
        return {
            "size_bytes": path.stat().st_size,
            "facts": asdict(clip.facts),
            "size": [clip.facts.width, clip.facts.height],
            "frames": len(times),
            "times": times,
            "steps": _steps(times),
            "damage": {**asdict(clip.damage), "text": str(clip.damage)},
            "sound": sound,
            **(_faces(tracks) if tracks is not None else {}),
            "speed": {
                "frames_per_s": len(times) / spent_s,
                "peak_memory_mb": _peak_memory_mb(),
            },
        }


def _counted(
    clip: Clip, part: tuple[float | None, float | None], max_side: int | None, times: list[float]
) -> Iterator[ClipFrame]:
    for frame in clip.frames(*part, max_side):
        times.append(frame.time_s)
        yield frame


def _steps(times: list[float]) -> dict[str, Any]:
    steps = np.diff(times) if len(times) > 1 else np.zeros(1)
    low, middle, high = float(steps.min()), float(np.median(steps)), float(steps.max())
    return {
        "min_s": low,
        "median_s": middle,
        "max_s": high,
        "is_variable": high - low > VARIABLE_S,
    }


def _sound(clip: Clip, part: tuple[float | None, float | None]) -> dict[str, Any]:
    count, peak, power = 0, 0.0, 0.0
    try:
        for block in clip.sound(SOUND_RATE, SOUND_CHANNELS, *part):
            count += len(block)
            peak = max(peak, float(np.abs(block).max()))
            power += float(np.square(block, dtype=np.float64).mean(axis=1).sum())
    except ClipError as error:
        return {"error": str(error)}
    return {
        "rate": SOUND_RATE,
        "channels": SOUND_CHANNELS,
        "duration_s": count / SOUND_RATE,
        "peak": peak,
        "rms": (power / max(1, count)) ** 0.5,
    }


def _faces(tracks: ClipTracks) -> dict[str, Any]:
    performers = []
    for performer, track in zip(tracks.listed(), tracks.performers, strict=True):
        losses = _stretches(~track.is_seen, tracks.times)
        performers.append({**asdict(performer), "losses": losses})
    is_anybody = np.zeros(len(tracks.times), bool)
    for track in tracks.performers:
        is_anybody |= track.is_seen
    return {
        "cuts": [{"frame": cut, "time_s": float(tracks.times[cut])} for cut in tracks.cuts],
        "performers": performers,
        "losses": _stretches(~is_anybody, tracks.times),
    }


def _stretches(is_lost: np.ndarray, times: np.ndarray) -> list[dict[str, Any]]:
    """Runs of frames: first and last, and their times."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_lost, [False]]).astype(np.int8)))
    return [
        {
            "first": int(first),
            "last": int(after) - 1,
            "start_s": float(times[first]),
            "end_s": float(times[after - 1]),
            "frames": int(after - first),
        }
        for first, after in zip(edges[::2], edges[1::2], strict=True)
    ]


def _peak_memory_mb() -> float:
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def lines_of(found: dict[str, Any]) -> list[str]:
    """The result for the terminal."""
    facts, steps = found["facts"], found["steps"]
    stored = " x ".join(str(n) for n in facts["stored_size"])
    turned = f", turned by {facts['rotation']}°" if facts["rotation"] else ""
    turned += ", mirrored" if facts["is_mirrored"] else ""
    if facts["pixel_aspect"] != 1.0:
        turned += f", pixels {facts['pixel_aspect']:.3f} wide"
    lines = [
        f"{found['file']}: {facts['container']}, {facts['codec']}, {facts['pixel_format']}"
        + (", HDR" if facts["is_hdr"] else "")
        + (", with alpha" if facts["has_alpha"] else ""),
        f"size     {facts['width']} x {facts['height']} upright, stored {stored}{turned}",
        f"frames   {found['frames']} read (about {facts['frame_count']} by the file), "
        f"{facts['frame_rate']:.3f} per second by the file, {facts['duration_s']:.3f} s",
        f"times    {found['times'][0]:.4f} s to {found['times'][-1]:.4f} s; steps "
        f"{steps['min_s']:.4f} to {steps['max_s']:.4f} s"
        + (", a variable rate" if steps["is_variable"] else ""),
        f"damage   {found['damage']['text'] or 'none'}",
    ]
    if facts["missing"]:
        lines.append(f"gaps     {len(facts['missing'])} numbers of the sequence are missing")
    lines.append(f"sound    {_sound_line(found['sound'])}")
    lines += _face_lines(found) if "performers" in found else []
    speed = found["speed"]
    return [*lines, f"speed    {speed['frames_per_s']:.1f} frames/s"]


def _sound_line(sound: dict[str, Any] | None) -> str:
    if sound is None:
        return "none"
    if "error" in sound:
        return str(sound["error"])
    return f"{sound['duration_s']:.3f} s, peak {sound['peak']:.3f}, rms {sound['rms']:.4f}"


def _face_lines(found: dict[str, Any]) -> list[str]:
    cuts = [f"{cut['time_s']:.2f} s" for cut in found["cuts"]]
    lines = [f"cuts     {len(cuts)}{_listed(cuts)}", f"faces    {len(found['performers'])}"]
    for performer in found["performers"]:
        losses = [f"{loss['start_s']:.2f}-{loss['end_s']:.2f} s" for loss in performer["losses"]]
        lines.append(
            f"  no. {performer['index'] + 1}  {performer['start_s']:.2f} s to "
            f"{performer['end_s']:.2f} s, seen in {performer['seen_share']:.0%} of the frames; "
            f"losses {len(losses)}{_listed(losses)}"
        )
    return lines


def _listed(parts: list[str]) -> str:
    if not parts:
        return ""
    more = f" and {len(parts) - LISTED} more" if len(parts) > LISTED else ""
    return f": {', '.join(parts[:LISTED])}{more}"


if __name__ == "__main__":
    sys.exit(main())
