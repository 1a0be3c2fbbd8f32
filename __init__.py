"""KeyPortrait brings still portraits to life: every motion of a face is an F-curve.

    registration.py  what is registered, in which order, and undone in reverse
    compat.py        the differences between Blender 4.2 and 5.2, and nothing else
    preferences.py   what the artist sets once
    operators/       one file per feature: thin, report errors, offer undo
    panels/          one file per feature, same names: draw what the state is, never compute
    rig/             portraits, face controllers, pictures, sessions, handlers (bpy and numpy)
    host/            the engine process: start, talk, wait, kill; the disk cache (stdlib)
    engine/          everything that computes: `python -m engine`; never imports bpy

Arrows go one way: panels and operators to rig, rig to host, host to engine.protocol. Nothing here
imports bpy at module level, so that the checkout can be a Python package outside Blender too.
"""


def register() -> None:
    """Called by Blender when the extension is enabled."""
    from . import registration

    registration.register()


def unregister() -> None:
    """Called by Blender when the extension is disabled."""
    from . import registration

    registration.unregister()
