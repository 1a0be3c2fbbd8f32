"""Portraits and face controllers in Blender's data, and the traffic with the engine."""
