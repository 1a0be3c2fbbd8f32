"""Cameras: which there are, and their frames, the newest alone."""
