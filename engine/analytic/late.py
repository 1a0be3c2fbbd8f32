"""Attributes that are made when somebody first asks for them.

functools.cached_property does the same, but up to Python 3.11 it makes the attributes of all
instances one after the other: frames of a clip that are drawn side by side would wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class late(Generic[T]):
    """As functools.cached_property, without its lock: one thread at a time uses an instance."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._name = ""
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> T:
        made = self._make(instance)
        instance.__dict__[self._name] = made
        return made
