"""Where the modules of ``common`` are looked for: first here, then in a host's package of the same name."""

from __future__ import annotations

import functools
import pkgutil
import sys
from collections.abc import Iterable, Iterator, MutableSequence
from importlib.machinery import FileFinder
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
    """Raise `ImportError` where something stands in the place of this very package, or of modules of it.

    That is an ``__init__.py`` which is not ours, or none; a module of the same name in a host's package that
    extends its path to this one, which is welcome otherwise; and files that another distribution has
    overwritten. Nothing is imported for that: modules are imported when their names are used, and it must be
    known before.
    """
    name = __name__.rpartition(".")[0].rpartition(".")[0]
    package = sys.modules[name]
    own = Path(__file__).parents[1]
    if not isinstance(package.__path__, PackagePath):
        if package.__file__ is None or Path(package.__file__).parent == own:
            raise ImportError(f"the package {name!r} has another __init__.py than ours, or none", name=name)
        for module in pkgutil.iter_modules(package.__path__):  # the first of a name is the one that counts
            finder = module.module_finder
            if isinstance(finder, FileFinder) and Path(finder.path) != own and _has(own, module.name):
                found = f"{name}.{module.name}"
                raise ImportError(f"{found} is in {finder.path}, and not in {own}", name=found)
    if not _sizes_are_as_installed(own):
        from common.exports.conflicts import overwriting_distribution

        if (other := overwriting_distribution()) is not None:
            raise ImportError(f"{other} has other files than ours", name=name)


def _has(folder: Path, module: str) -> bool:
    return (folder / f"{module}.py").is_file() or (folder / module / "__init__.py").is_file()


@functools.cache
def _sizes_are_as_installed(own: Path) -> bool:
    """Whether each module in a folder has the size that pip recorded; True where there is no such record.

    It takes some two milliseconds, and what ``importlib.metadata`` would take for it twenty.
    """
    for record in own.parent.glob("jobsource-*.dist-info/RECORD"):
        for line in record.read_text("utf-8").splitlines():
            path, _, rest = line.partition(",")
            size = rest.rpartition(",")[2]
            if not (path.startswith(f"{own.name}/") and path.endswith(".py") and size):
                continue
            try:
                if own.parent.joinpath(path).stat().st_size != int(size):
                    return False
            except OSError:
                return False
    return True
