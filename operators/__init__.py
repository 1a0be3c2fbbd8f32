"""What the artist can do. One file per feature; the base class is in _base.py."""
