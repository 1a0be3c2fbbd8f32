"""The engine process as Blender sees it: start it, ask it, end it; bakes and their cache."""
