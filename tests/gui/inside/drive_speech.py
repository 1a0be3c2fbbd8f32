"""Speech by real clicks: choose a sound strip, Speak, see its curves and the mouth, again, undo.

Started by run.sh; writes report.json and screenshots to FOLDER/out and ends Blender. The sound
was spoken by a machine, tests/data/spoken.ogg.
"""

from __future__ import annotations

import sys
import wave
from pathlib import Path

import bpy
import numpy as np

FOLDER = Path(sys.argv[-1])
OUT = FOLDER / "out"
sys.path.insert(0, str(FOLDER))

import pointer  # noqa: E402
from performing import perform  # noqa: E402
from pointer import Steps, Widgets  # noqa: E402
from stage import (  # noqa: E402
    curves,
    face,
    live_at_rest,
    look_at_portrait,
    modal_operators,
    output_pixels,
    scroll_down,
    view,
    view_middle,
    wait_for,
)

# Columns of the sidebar, parts of its width.
LEFT, MIDDLE, RIGHT = 0.3, 0.46, 0.72
START = 11  # scene frame of the strip
OPEN = '["mouth_open"][0]'
NOTES: dict[str, dict] = {}


def shoot(name: str) -> None:
    pointer.screenshot(OUT / f"{name}.png")


def strip() -> object:
    return bpy.context.scene.sequence_editor.sequences_all["words"]


def opening(frame: float) -> float:
    animation = face().animation_data
    curve = next(c for c in animation.action.fcurves if c.data_path == '["mouth_open"]')
    return curve.evaluate(frame)


def prepare() -> Steps:
    """A portrait that fills the view, its curves beside it, a sound strip below."""
    with pointer.override("VIEW_3D"):
        bpy.ops.keyportrait.add_portrait(filepath=str(FOLDER / "astronaut.jpg"))
    for name in ("Cube", "Light", "Camera"):
        bpy.data.objects.remove(bpy.data.objects[name])
    scene = bpy.context.scene
    scene.render.fps = 25
    editor = scene.sequence_editor_create()
    made = editor.sequences.new_sound("words", str(FOLDER / "spoken.ogg"), 1, START)
    made.show_waveform = True
    made.select = False
    editor.active_strip = None
    scene.frame_start, scene.frame_end = 1, made.frame_final_end
    pointer.find_area("PROPERTIES").ui_type = "FCURVES"
    yield from look_at_portrait("SEQUENCE_EDITOR")
    with pointer.override("SEQUENCE_EDITOR"):
        bpy.ops.sequencer.view_all()
    yield 1.0
    bpy.ops.ed.undo_push(message="Prepare")


def click_the_strip() -> Steps:
    area = pointer.find_area("SEQUENCE_EDITOR")
    region = pointer.find_region(area, "WINDOW")
    middle = (strip().frame_final_start + strip().frame_final_end) / 2
    x, y = region.view2d.view_to_region(middle, strip().channel + 0.3, clip=False)
    yield from pointer.click(region.x + x, region.y + y)
    yield 0.5
    active = bpy.context.scene.sequence_editor.active_strip
    NOTES["click_the_strip"] = {"active": active.name if active else "", "select": strip().select}


def widgets() -> Steps:
    """Find what lies in one column of the scrolled-down sidebar; the value is the dictionary.

    It goes through everything that is split into label and value, and the right one of two buttons.
    """
    found: Widgets = {}
    yield from scroll_down()
    region = pointer.find_region(view(), "UI")
    yield from pointer.find_widgets(view(), region, found, offsets=(RIGHT,), step=12)
    return found


def open_speech_panel() -> Steps:
    """Open Performance, and in it Speak; the value is what the sidebar holds then."""
    found = yield from widgets()
    for distance in (34, 26, 42, 50):
        if any("keyportrait.recapture" in name for name in found):
            break
        x, y = min(found.values(), key=lambda place: place[1])
        yield from pointer.click(x, y - distance)
        found = yield from widgets()
    for distance in (61, 67, 56):
        if any("keyportrait.speak_again" in name for name in found):
            return found
        x, y = pointer.find_widget(found, "keyportrait.recapture")
        yield from pointer.click(x, y - distance)
        found = yield from widgets()
    return found


def click_left_of(found: Widgets, name: str, offset: float) -> Steps:
    """Click in the row of a widget, at a part of the sidebar's width."""
    region = pointer.find_region(view(), "UI")
    yield from pointer.click(
        region.x + int(offset * region.width), pointer.find_widget(found, name)[1]
    )


def speak() -> Steps:
    found = yield from open_speech_panel()
    shoot("1_panel")
    amounts = sorted(found)
    yield from click_left_of(found, "keyportrait_speech.source", MIDDLE)
    source = face().keyportrait_speech.source
    found = yield from widgets()
    shoot("2_strip_chosen")
    yield from click_left_of(found, "keyportrait.speak_again", LEFT)
    yield from wait_for(curves, "curves")
    yield from wait_for(lambda: not modal_operators(), "the end of the speech")
    yield 1.0
    said = curves()
    first, last = min(f[0] for f in said.values()), max(f[-1] for f in said.values())
    widest = max(range(int(first), int(last)), key=opening)
    scene, pictures = bpy.context.scene, {}
    for frame in (1, widest):
        scene.frame_set(frame)
        yield from live_at_rest()
        pictures[frame] = output_pixels()
    with pointer.override("GRAPH_EDITOR"):
        bpy.ops.anim.channels_expand()
        bpy.ops.graph.view_all()
    yield 1.5
    shoot("3_spoken")
    NOTES["speak"] = {
        "widgets": amounts,
        "source": source,
        "paths": sorted({path.rpartition("[")[0] for path in said}),
        "first": first,
        "last": last,
        "strip": [strip().frame_final_start, strip().frame_final_end],
        "keys_per_second": max(len(f) for f in said.values()) / ((last - first) / 25),
        "widest": opening(widest),
        "moved_pixels": int((np.abs(pictures[1] - pictures[widest]) > 0.05).sum()),
        "text": face().keyportrait_speech.captured,
    }


def speak_again_and_undo() -> Steps:
    frames = curves()[OPEN]
    widest = max(frames, key=opening)
    before = opening(widest)
    face().keyportrait_speech.jaw = 0.5
    bpy.ops.ed.undo_push(message="Jaw")
    found = yield from widgets()
    yield from pointer.click(*pointer.find_widget(found, "keyportrait.speak_again"))
    yield from wait_for(lambda: opening(widest) < 0.8 * before, "less of a jaw")
    yield 1.0
    again, actions = opening(widest), len(bpy.data.actions)
    yield from pointer.key("Z", *view_middle(), ctrl=True)
    yield 1.0
    undone = opening(widest)
    yield from pointer.key("Z", *view_middle(), ctrl=True)
    yield from pointer.key("Z", *view_middle(), ctrl=True)
    yield 1.0
    NOTES["speak_again_and_undo"] = {
        "before": before,
        "again": again,
        "actions": actions,
        "undone": undone,
        "curves_after_all": len(curves()),
    }


def a_retimed_strip() -> Steps:
    """At half the speed it lasts twice as long; Blender says how it sounds."""
    with pointer.override("SEQUENCE_EDITOR"):
        strip().select = True
        bpy.context.scene.sequence_editor.active_strip = strip()
        bpy.ops.sequencer.retiming_segment_speed_set(speed=50.0, keep_retiming=False)
    bpy.ops.ed.undo_push(message="Slow")
    yield 0.5
    found = yield from widgets()
    yield from click_left_of(found, "keyportrait.speak_again", LEFT)
    yield from wait_for(curves, "curves")
    yield 1.0
    said = curves()
    NOTES["a_retimed_strip"] = {
        "first": min(f[0] for f in said.values()),
        "last": max(f[-1] for f in said.values()),
        "strip": [strip().frame_final_start, strip().frame_final_end],
        "scene": [bpy.context.scene.frame_start, bpy.context.scene.frame_end],
        "muted": strip().mute,
    }


def escape_while_speaking() -> Steps:
    """Ten minutes of a hum, stopped in the middle: nothing has changed."""
    path = FOLDER / "long.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        second = (np.sin(np.arange(8000) / 8.0) * np.linspace(0, 9000, 8000)).astype("<i2")
        for _ in range(600):
            file.writeframes(second.tobytes())
    before, actions = curves(), len(bpy.data.actions)
    with pointer.override("VIEW_3D"):
        bpy.ops.keyportrait.speak("INVOKE_DEFAULT", filepath=str(path), start_frame=1)
    yield 0.5
    running = modal_operators()
    yield from pointer.key("ESC", *view_middle())
    yield 1.0
    NOTES["escape_while_speaking"] = {
        "running": running,
        "left": modal_operators(),
        "is_same": curves() == before and len(bpy.data.actions) == actions,
    }


STEPS = (
    prepare,
    click_the_strip,
    speak,
    speak_again_and_undo,
    a_retimed_strip,
    escape_while_speaking,
)


def scenario() -> Steps:
    for step in STEPS:
        print(f"drive: {step.__name__}", flush=True)
        yield from step()


perform(scenario(), NOTES, OUT)
