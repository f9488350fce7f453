"""Make frozen objects cheaply: without their constructor, and with fields that are read on access.

A `Job` is an immutable attrs class whose constructor checks and converts its arguments. That is right for
callers, and too slow for a decoder that makes a thousand jobs of a page: the constructor takes longer than
parsing the JSON. Two tools avoid it.

**Unchecked construction.** ``unchecked(Job)`` returns a class with the same slots but without the
constructor and without ``__setattr__``'s refusal. A decoder, which knows its values to be valid, sets them
as plain attributes, and then turns the object into a real ``Job`` by ``draft.__class__ = Job``. Python
allows this for classes with equal ``__slots__``. From then on the object is frozen, and cannot be told from
one that the constructor made.

**Lazy fields.** A subclass of `LazyFields` may leave fields without a value. Python calls ``__getattr__``
only for those; it reads the value from the source data by the function in ``_readers``, and stores it.
Equality, pickling and copying need no special case: they access every field, and thereby read it.

Both are used by ``ontapjobs.records.fast_path``, which has the measured figure.
``tests/common/model/test_lazy.py`` tests that such objects are equal to constructed ones in every respect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

_set = object.__setattr__


class Unchecked:
    """Base class of a frozen class with slots that `unchecked` can be applied to."""

    __slots__ = ("__weakref__",)  # here, since attrs would add it to the frozen class only


def unchecked(kind: type[Unchecked]) -> Any:
    """Return a class whose instances accept any values, and become a ``kind`` by ``draft.__class__ = kind``.

    "``__class__`` assignment works only if both classes have the same ``__slots__``" (Python's data model).
    """
    slots: Any = vars(kind)["__slots__"]
    return type(f"Unchecked{kind.__name__}", kind.__bases__, {"__slots__": slots})


class LazyFields(Unchecked):
    """Base class of a class with fields that are read on access.

    ``_readers`` has a function for each such field, which reads it from ``_source``: what the server sent,
    which nobody may change, or the field ``record`` once that was read. An object from the constructor has
    neither.
    """

    __slots__ = ("_readers", "_source")
    _readers: Mapping[str, Callable[[Any], Any]]
    _source: Any

    if not TYPE_CHECKING:  # otherwise a type checker would accept any name as an attribute

        def __getattr__(self, name: str) -> Any:
            # Called only for a name without a value. Threads may do so at the same time: they read the same.
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
