"""The performance of the demo: a few seconds of acting as keyframes on a face controller.

Values are absolute control values; the photograph already smiles, so the smile first relaxes.
"""

from __future__ import annotations

import bpy

LAST_FRAME = 112

# Control → (frame, value) keys. Eyes lead the head by a few frames; blinks cover the turns.
KEYS: dict[str, tuple[tuple[int, float], ...]] = {
    "head_yaw": ((8, 0.0), (21, 17.0), (34, 16.0), (47, -9.0), (62, -6.0), (73, 0.0), (112, 2.0)),
    "head_pitch": ((1, 2.0), (14, 4.0), (23, -1.0), (41, 4.0), (50, -1.0), (66, 1.5), (75, -2.0),
                   (82, 1.5), (89, -2.0), (98, 1.5), (112, 0.0)),
    "head_roll": ((8, 0.0), (23, -2.5), (48, 4.0), (56, 6.0), (66, 5.0), (76, -1.5), (112, 0.0)),
    "gaze_x": ((5, 0.0), (10, -0.6), (24, -0.45), (33, -0.3), (39, 0.5), (52, 0.1), (64, 0.0)),
    "blink": ((9, 0.0), (12, 1.0), (16, 0.0), (35, 0.0), (38, 1.0), (42, 0.0), (99, 0.0),
              (102, 1.0), (106, 0.0)),
    "wink_right": ((53, 0.0), (57, 1.0), (62, 1.0), (68, 0.0)),
    "smile": ((1, -0.4), (28, -0.4), (44, 0.0), (55, 0.22), (66, 0.2), (73, -0.15), (95, -0.2),
              (104, 0.05)),
    "brows": ((10, 0.0), (16, 0.5), (28, 0.1), (52, 0.0), (58, -0.25), (68, 0.0), (75, 0.6),
              (83, 0.1), (90, 0.55), (100, 0.1)),
    # "Hello there": he - llo - there. Below 0 the lips close over the teeth.
    "mouth_open": ((1, -0.5), (28, -0.45), (42, 0.0), (66, 0.0), (69, -0.25), (74, 0.24),
                   (77, 0.1), (81, 0.2), (85, -0.1), (87, 0.06), (91, 0.26), (96, 0.1),
                   (100, -0.3), (107, 0.0)),
    "grin": ((70, 0.0), (74, 0.3), (78, 0.0), (88, 0.0), (91, 0.3), (97, 0.0)),
    "purse": ((76, 0.0), (82, 0.9), (87, 0.0)),
}  # fmt: skip


def key_performance(controller: bpy.types.Object) -> None:
    """Key every control of KEYS on the controller with smooth F-curves."""
    for control, keys in KEYS.items():
        for frame, value in keys:
            controller[control] = value
            controller.keyframe_insert(f'["{control}"]', frame=frame)
