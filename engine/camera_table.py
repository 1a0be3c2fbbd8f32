"""The camera on the wire: its messages, and what it can be. Standard library only."""

from __future__ import annotations

# Environment variable: a clip or a picture of a sequence that stands in for every camera.
STAND_IN_VARIABLE = "KEYPORTRAIT_CAMERA"

# States of a camera. None of them is an error: the engine goes on trying, and all but OFF may
# become RUNNING by themselves.
OFF, OPENING, RUNNING, NO_FACE, DARK = "OFF", "OPENING", "RUNNING", "NO_FACE", "DARK"
UNPLUGGED, BUSY, REFUSED = "UNPLUGGED", "BUSY", "REFUSED"
STATES = {
    OFF: "The camera is off",
    OPENING: "The camera is being opened",
    RUNNING: "Following the face",
    NO_FACE: "No face is seen",
    DARK: "The picture is too dark",
    UNPLUGGED: "The camera is not there",
    BUSY: "Another program uses the camera",
    REFUSED: "The camera may not be used",
}
# In these the camera is open: its light is on.
IN_USE = (RUNNING, NO_FACE, DARK)

# Requests that a thread of their own answers: they wait for no picture and hold none up.
BESIDE = frozenset(
    {"camera_start", "camera_poll", "camera_neutral", "camera_record", "camera_stop"}
)

# Wanted sizes of the camera's picture, (width, height).
SIZES = ((640, 480), (1280, 720), (1920, 1080))

# Rows of protocol.MESSAGE_TYPES.
CAMERA_MESSAGES = (
    ("camera_devices", "camera_listed", (), (), "Which cameras there are."),
    ("camera_listed", "", ("devices",), (), "devices: list of {id, name}."),
    (
        "camera_start",
        "camera_done",
        ("device", "size"),
        (),
        "Open a camera by its id; size: [width, height], as near as it can. Returns at once.",
    ),
    ("camera_done", "", (), (), "Answer to what the camera was told."),
    (
        "camera_poll",
        "camera_sample",
        ("faces", "options", "smooth"),
        (),
        "What the faces shall do now: Face.to_json() each, TakeOptions.to_json(), 0..1. Optional "
        "fields preview: [width, height], asks for the camera's picture, mirrored; after: number "
        "of the frame that is known, of which nothing is wanted.",
    ),
    (
        "camera_sample",
        "",
        ("state", "message", "hint", "number", "time_s", "latency_s", "motions", "fps", "dropped"),
        (),
        "state: of STATES; number and time_s (time.monotonic()) of the newest frame that was read; "
        "motions: Motion.to_json() of each face, or none yet.",
    ),
    (
        "camera_neutral",
        "camera_done",
        ("countdown_s",),
        (),
        "Take the performer's face as it is after so many seconds as neutral.",
    ),
    (
        "camera_record",
        "camera_done",
        ("start_s",),
        (),
        "Keep what the performer does from a moment of time.monotonic() on. Optional field video: "
        "path of an MP4 that keeps the pictures, too.",
    ),
    (
        "camera_take",
        "camera_taken",
        ("path", "smooth"),
        (),
        "End the recording and write it as a performance (.npz). Optional field end_s.",
    ),
    (
        "camera_taken",
        "",
        ("path", "frame_count", "seen_count", "first_s", "last_s", "notices"),
        (),
        "first_s, last_s: seconds from the recording's start to its first and last moment.",
    ),
    ("camera_stop", "camera_done", (), (), "Close the camera."),
)
