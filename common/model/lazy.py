"""Frozen objects by the thousand: filled as drafts, and read only as far as somebody looks.

A constructor that checks, converts and freezes takes longer than reading the JSON behind it. A draft takes
its values as they are, and becomes the frozen object once it is filled: it is for decoders, which know their
values to be right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

_set = object.__setattr__


class Unchecked:
    """Base of a frozen class with slots of which there may be drafts."""

    __slots__ = ("__weakref__",)  # here, for attrs would add it to the frozen class alone


def unchecked(kind: type[Unchecked]) -> Any:
    """A class whose instances take any values, and then become a ``kind`` by ``draft.__class__ = kind``.

    "``__class__`` assignment works only if both classes have the same ``__slots__``" (Python's data model).
    """
    slots: Any = vars(kind)["__slots__"]
    return type(f"Unchecked{kind.__name__}", kind.__bases__, {"__slots__": slots})


class LazyFields(Unchecked):
    """Base of a class with parts that have no value before somebody asks for them.

    ``_readers`` says how each is read from ``_source``: from what the server sent, which no one may change,
    and once ``record`` was read, from that. What a constructor made is whole, and has neither.
    """

    __slots__ = ("_readers", "_source")
    _readers: Mapping[str, Callable[[Any], Any]]
    _source: Any

    if not TYPE_CHECKING:  # or a type checker would take any name for an attribute

        def __getattr__(self, name: str) -> Any:
            # Python asks here for what has no value. Threads may ask at once: they read the same.
            if name == "_readers":
                return {}
            read = self._readers.get(name)
            if read is None:
                return object.__getattribute__(self, name)
            value = read(self._source)
            _set(self, name, value)
            if name == "record":
                _set(self, "_source", value)
            return value
