"""Reading clips: frames with their true times, upright, in square pixels; and their sound.

numpy and PyAV only. `clip.open_clip` is the door; PyAV is first imported there, so that an engine
without it does everything else.
"""
