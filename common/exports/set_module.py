"""Which module a public class says that it is from: the package that users import it from."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any


def set_module(package: Mapping[str, Any]) -> None:
    """Make a package, given by its ``globals()``, the ``__module__`` of its own classes in ``__all__``.

    Pickles find a class by this name, and tracebacks show it, as in ``common.JobFailed``: neither may depend
    on the file that a class is written in, which can change between releases.
    """
    name = package["__name__"]
    for public in package["__all__"]:
        kind = package.get(public)  # None for one that is imported when somebody asks for it
        if not isinstance(kind, type) or not kind.__module__.startswith(f"{name}."):
            continue
        # Annotations are text, which typing.get_type_hints() looks up in the module that `__module__` names.
        # A package does not have all names, such as `datetime`: they are looked up here, before the change.
        # Exceptions are left alone, for they name what is public, which the package has and their own module
        # has not; and so is a TypedDict (a dict), which remembers where it was written.
        if kind.__annotations__ and not issubclass(kind, (BaseException, dict)):
            kind.__annotations__ = inspect.get_annotations(kind, eval_str=True)
        kind.__module__ = name
