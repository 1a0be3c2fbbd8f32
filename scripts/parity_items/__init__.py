"""What scripts/parity.py compares: one module per file of a golden folder.

Every module has `rows(golden) -> Iterator[Row]`, goes through the keys that its file holds (so
other seeds and cases work), and yields nothing if the folder lacks the file.
"""

from .golden import UNUSABLE, Golden, GoldenError, Row, compare, reason

__all__ = ["UNUSABLE", "Golden", "GoldenError", "Row", "compare", "reason"]
