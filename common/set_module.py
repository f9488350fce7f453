"""Which module a public class says that it is from: the package that users import it from."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

_COMMON = __name__.rpartition(".")[0]
_BESIDE = _COMMON.rpartition(".")[0]
"""What the four packages are in: "" unless they are vendored."""


def set_module(*classes: type) -> None:
    """Make its package, such as ``common``, the ``__module__`` of each class.

    Called at the end of the module that has them, so it holds whoever imports that. Pickles find a class by
    this name, and tracebacks show it, as in ``common.JobFailed``: neither may depend on the file that a class
    is written in, which can change between releases. Where a host's own package called ``common`` finds our
    modules by its path, it does not export our names: classes keep the modules that they are written in.
    """
    for kind in classes:
        names = kind.__module__.removeprefix(f"{_BESIDE}.").split(".")
        package = f"{_BESIDE}.{names[0]}" if _BESIDE else names[0]
        if package == _COMMON and not _is_ours():
            continue
        # Annotations are text, which typing.get_type_hints() looks up in the module that `__module__` names.
        # A package does not have all names, such as `datetime`: they are looked up here, before the change.
        # Exceptions are left alone, for they name what is public, which the package has and their own module
        # has not; and so is a TypedDict (a dict), which remembers where it was written.
        if kind.__annotations__ and not issubclass(kind, (BaseException, dict)):
            kind.__annotations__ = inspect.get_annotations(kind, eval_str=True)
        kind.__module__ = package


def _is_ours() -> bool:
    file = sys.modules[_COMMON].__file__
    return file is not None and Path(file).parent == Path(__file__).parent
