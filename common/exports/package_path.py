"""Where the modules of ``common`` are looked for: first here, then in a host's package of the same name."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterable, Iterator, MutableSequence
from pathlib import Path
from typing import Any


class PackagePath(MutableSequence[str]):
    """A package's ``__path__`` that follows ``sys.path``, as that of a namespace package does.

    Its own folders come first, so that no other package takes the place of a module here. Those of other
    packages of this name are looked for each time, but only once a module is not found in its own: importing
    the package itself costs nothing, and a folder that comes onto ``sys.path`` later counts from then on.
    """

    def __init__(self, package: str, own: Iterable[str]) -> None:
        self._package = package
        self._own = list(own)

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from pkgutil.extend_path(self._own, self._package)[len(self._own) :]

    def __getitem__(self, index: Any) -> Any:
        return list(self)[index]

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __setitem__(self, index: Any, folder: Any) -> None:
        self._own[index] = folder

    def __delitem__(self, index: Any) -> None:
        del self._own[index]

    def insert(self, index: int, value: str) -> None:
        """Insert a folder among its own."""
        self._own.insert(index, value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self)!r})"


def check_package() -> None:
    """Raise `ImportError` where the ``__init__.py`` of this very package is not ours, or is missing.

    A host's package of the same name in another folder, which extends its path to this one, is welcome.
    """
    name = __name__.rpartition(".")[0].rpartition(".")[0]
    package = sys.modules[name]
    if isinstance(package.__path__, PackagePath):
        return
    if package.__file__ is None or Path(package.__file__).parent == Path(__file__).parents[1]:
        raise ImportError(f"the package {name!r} has another __init__.py than ours, or none", name=name)
