"""Edit every clip of a folder as an artist would, and look whether the results hold.

    python scripts/video_check.py CLIPS_DIR OUT_DIR [--frames 60]

The engine finds the largest face of each clip, follows it, opens it and renders frames, all over
the wire, as for Blender; in the longest stretch that shows the face without a cut, at most so many
frames. OUT_DIR gets

    summary.json  {"clips": [{"clip", "size", "frame_count", "frames", "track_fps", "render_fps",
                  "identity", "smile", "lips", "eyes", "head"}, …], "below": [...],
                  "failed": [{"clip", "message"}]}
    table.txt     the same for reading, with the floors that were missed
    sheets/       for each clip its frames above those of each edit, and a few neighbouring ones

identity: a neutral motion gave every frame bit-identical. smile: rise_cm, up and out, of the
corners of the mouth where all of it is there, follows (correlation of rise and amount), is_clean
(every frame outside of the stretch bit-identical). lips: opening in cm, 95th percentile of both,
for clips that speak. eyes: the least opening ratio of both, for clips that blink. head: how far the
head turns, standard deviation in degrees, of both. Each edit has its jitter, in times the source's
own, and its flicker: grey levels by which touched pixels outside of the face go to and fro more
than the source's, where that stands still; and flicker_share, those of them whose change one sees.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from video_clip import ClipError, VideoClip, Wire
from video_edits import EDITS, Flicker, Look, amounts_of, face_area, motion_of, shown
from video_sheets import Sheet

from engine.renderer import ReportedError

FRAMES = 60
FEWEST_FRAMES = 8  # in which something can be measured over time
JITTER_LIMIT = 1.1
FLICKER_LIMIT = 1.5
LEAST_RISE_CM = 0.1
SPEAKS_CM, SILENT_SHARE = 0.35, 0.5  # lips that far open speak; how much of it may be left
BLINKS_SHARE, HELD_SHARE = 0.6, 0.7  # of the usual opening: less is a blink; what must be left
TURNS_DEG, STEADY_SHARE = 1.5, 0.6


def main() -> int:
    """Run over the folder; returns the process's exit status."""
    parser = argparse.ArgumentParser(description="Edit clips and measure the results.")
    parser.add_argument("clips", type=Path, help="folder of clips")
    parser.add_argument("out", type=Path, help="folder for the results; made when missing")
    parser.add_argument("--frames", type=int, default=FRAMES, help="looked at in each clip")
    arguments = parser.parse_args()
    folder: Path = arguments.clips
    paths = sorted(p for p in folder.glob("*") if p.is_file() and not p.name.startswith("."))
    if not paths:
        print(f"video check: no clips in '{folder}'", file=sys.stderr)
        return 1
    run(paths, arguments.out, max(arguments.frames, 1))
    return 0


def run(paths: list[Path], out: Path, frames: int) -> dict[str, Any]:
    """Check every clip, write the results, and return summary.json's value."""
    out.mkdir(parents=True, exist_ok=True)
    clips: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as name:
        wire = Wire(Path(name))
        try:
            for index, path in enumerate(paths, 1):
                print(f"[{index}/{len(paths)}] {path.name}", end=" ", flush=True)
                try:
                    clips.append(check(path, wire, Path(name), out / "sheets", frames))
                    print(_line(clips[-1]))
                except (ClipError, ReportedError, OSError) as error:
                    failed.append({"clip": path.name, "message": str(error)})
                    print(f"failed: {error}")
        finally:
            wire.stop()
    below = [f"{clip['clip']}: {text}" for clip in clips for text in missed(clip)]
    summary = {"clips": clips, "below": below, "failed": failed}
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    table = table_of(summary)
    (out / "table.txt").write_text(table, encoding="utf-8")
    print(f"\n{table}\nResults are in {out}")
    return summary


def check(path: Path, wire: Wire, folder: Path, sheets: Path, limit: int) -> dict[str, Any]:
    """One clip's figures. Raises ClipError, ReportedError or OSError."""
    clip = VideoClip(path, wire, folder, limit)
    try:
        amounts = amounts_of(len(clip.rows))
        own, looks = Look(), {edit: Look() for edit in EDITS}
        flickers = {edit: Flicker() for edit in EDITS}
        sheet = Sheet(clip, EDITS)
        is_same = is_clean = True
        spent_s = 0.0
        for number, row in enumerate(clip.rows.tolist()):
            pixels = clip.source.at(row).pixels
            neutral = clip.render(row, motion_of(clip, "smile", row, 0.0)[0], is_whole=True)
            is_same &= np.array_equal(neutral, pixels)
            source = shown(pixels, clip)
            own.add(source, clip, row)
            sheet.add(number, "source", source)
            face = face_area(clip, row)
            is_whole = amounts[number] == 1.0
            for edit in EDITS:
                motion, holds = motion_of(clip, edit, row, float(amounts[number]))
                begun = time.perf_counter()
                result = clip.render(row, motion, holds)
                spent_s += time.perf_counter() - begun
                if edit == "smile" and not amounts[number]:
                    is_clean &= np.array_equal(result, pixels)
                view = shown(result, clip)
                looks[edit].add(view, clip, row)
                if edit != "smile" or is_whole:
                    flickers[edit].add(source, view, face)
                else:
                    flickers[edit].skip()
                sheet.add(number, edit, view)
        sheet.write(sheets)
        figures = {
            "clip": clip.name,
            "size": list(clip.source.size),
            "frame_count": clip.source.frame_count,
            "frames": len(clip.rows),
            "track_fps": clip.track_fps,
            "render_fps": len(EDITS) * len(clip.rows) / spent_s,
            "identity": is_same,
        }
        for edit in EDITS:
            figures[edit] = _figures(edit, own, looks[edit], amounts) | {
                "jitter": _jitter(edit, own, looks[edit], amounts),
                "flicker": flickers[edit].mean,
                "flicker_share": flickers[edit].seen_share,
            }
        figures["smile"]["is_clean"] = is_clean
        return _rounded(figures)
    finally:
        clip.close()


def _figures(edit: str, own: Look, look: Look, amounts: np.ndarray) -> dict[str, Any]:
    """What one edit is for, see the top."""
    if edit == "smile":
        rise = look.smile() - own.smile()
        is_varied = len(rise) >= FEWEST_FRAMES and rise.std() > 0.0
        follows = float(np.corrcoef(rise, amounts)[0, 1]) if is_varied else float("nan")
        whole = rise[amounts > 0.99] if (amounts > 0.99).any() else rise
        return {"rise_cm": float(np.median(whole)), "follows": follows}
    if edit == "lips":
        was, has = (float(np.percentile(item.lips(), 95)) for item in (own, look))
        return {"source_cm": was, "result_cm": has, "counts": was > SPEAKS_CM}
    if edit == "eyes":
        was, has = (float(item.eyes().min()) for item in (own, look))
        usual = float(np.percentile(own.eyes(), 75))
        counts = was < BLINKS_SHARE * usual
        return {"usual": usual, "source_least": was, "result_least": has, "counts": counts}
    was, has = (float(np.array(item.pose).std(axis=0).max()) for item in (own, look))
    return {"source_deg": was, "result_deg": has, "counts": was > TURNS_DEG}


def _jitter(edit: str, own: Look, look: Look, amounts: np.ndarray) -> float:
    """In times the source's own; the smile's only where all of it is there."""
    whole = amounts > 0.99 if edit == "smile" else np.ones(len(amounts), bool)
    rows = np.flatnonzero(whole)
    return look.jitter(rows) / max(own.jitter(rows), 1e-6)


def missed(clip: dict[str, Any]) -> list[str]:
    """The floors that a clip does not keep, in words."""
    smile, lips, eyes, head = (clip[edit] for edit in EDITS)
    found = []
    if not clip["identity"]:
        found.append("a neutral motion changes pixels")
    if not smile["is_clean"]:
        found.append("the smile changes frames outside of its stretch")
    if clip["frames"] < FEWEST_FRAMES:
        return found
    if smile["rise_cm"] < LEAST_RISE_CM:
        found.append(f"the smile rises by {smile['rise_cm']} cm instead of {LEAST_RISE_CM}")
    if lips["counts"] and lips["result_cm"] > SILENT_SHARE * lips["source_cm"]:
        found.append(f"silenced lips open by {lips['result_cm']} of {lips['source_cm']} cm")
    if eyes["counts"] and eyes["result_least"] < HELD_SHARE * eyes["usual"]:
        found.append(f"held eyes shut to {eyes['result_least']} of {eyes['usual']}")
    if head["counts"] and head["result_deg"] > STEADY_SHARE * head["source_deg"]:
        found.append(f"a steady head turns by {head['result_deg']} of {head['source_deg']}°")
    for edit in EDITS:
        # A head that is held leaves none of its own motion to compare with.
        jitter = None if edit == "head" else clip[edit]["jitter"]
        if jitter is not None and jitter > JITTER_LIMIT:
            found.append(f"{edit}: jitter {jitter} times the source's")
        # Nor do what it uncovers and covers stand still.
        if edit != "head" and clip[edit]["flicker"] > FLICKER_LIMIT:
            found.append(f"{edit}: still pixels flicker by {clip[edit]['flicker']} grey levels")
    return found


def table_of(summary: dict[str, Any]) -> str:
    """The results for reading."""
    lines = [_line(clip) for clip in summary["clips"]]
    lines += [f"failed: {item['clip']}: {item['message']}" for item in summary["failed"]]
    lines += [f"below the floor: {text}" for text in summary["below"]]
    return "\n".join(lines) + "\n"


def _line(clip: dict[str, Any]) -> str:
    smile, lips, eyes, head = (clip[edit] for edit in EDITS)
    cells = [
        f"{clip['clip']}: {clip['frames']} of {clip['frame_count']} frames",
        f"followed {clip['track_fps']} and rendered {clip['render_fps']} per second",
        f"identity {clip['identity']}",
        f"smile +{smile['rise_cm']} cm, follows {smile['follows']}, clean {smile['is_clean']}",
        f"lips {lips['source_cm']} -> {lips['result_cm']} cm",
        f"eyes {eyes['source_least']} -> {eyes['result_least']} of {eyes['usual']}",
        f"head {head['source_deg']} -> {head['result_deg']}°",
        "jitter " + ", ".join(f"{edit} {clip[edit]['jitter']}" for edit in EDITS),
        "flicker " + ", ".join(f"{edit} {clip[edit]['flicker']}" for edit in EDITS),
    ]
    return "\n    ".join(cells)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, float):
        return round(value, 4) if np.isfinite(value) else None
    return bool(value) if isinstance(value, np.bool_) else value


if __name__ == "__main__":
    cv2.setNumThreads(2)
    raise SystemExit(main())
