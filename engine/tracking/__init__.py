"""Following faces along a clip: shots, tracks, performers, and how their heads and features move.

Frames come from elsewhere, one after the other; numpy and OpenCV only.
"""
