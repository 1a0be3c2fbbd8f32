"""Speech: the phones of a sound, and what a mouth does to say them.

Numpy alone; sounds are opened and resampled by engine/clips.
"""
