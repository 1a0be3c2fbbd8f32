"""Movies on the wire: the request that makes one, and how it is coded. Standard library only."""

from __future__ import annotations

H264, PRORES = "H264", "PRORES"
# Coding → what the file's name ends with.
MOVIE_SUFFIXES = {H264: ".mp4", PRORES: ".mov"}

# Rows of protocol.MESSAGE_TYPES.
MOVIE_MESSAGES = (
    (
        "write_movie",
        "movie_written",
        ("path", "folder", "names", "rate", "codec"),
        (),
        "Make a movie of pictures, one per frame. rate: [numerator, denominator] frames per "
        "second; codec: H264 or PRORES (4444, with alpha). Optional field sound: {path, start_s}, "
        "a clip and the second of it that is heard at the first frame, below 0 it begins later; "
        "is_optional: a clip without sound makes a movie without.",
    ),
    (
        "movie_written",
        "",
        ("path", "frame_count", "sound"),
        (),
        "sound: how it was taken over: copied, lossless, or empty for none.",
    ),
)
