"""Import what a package exports when somebody names it (PEP 562).

Type checkers read the imports under ``TYPE_CHECKING`` in the package; the tables that are used when it runs
are compared with these in the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

Modules = Mapping[str, str]
"""The names that a package exports, separated by spaces, by the module that has them: ``"model.job"``."""


class LazyExports:
    """What a package, given by its ``globals()``, exports of its own ``modules``.

    ``others`` is called for any other name in its ``__all__``. All names of one subpackage, such as
    ``model``, are set at once, since ``typing.get_type_hints`` of an exception looks its names up there.
    """

    def __init__(
        self,
        package: dict[str, Any],
        *modules: Modules,
        others: Callable[[str], object] | None = None,
    ) -> None:
        self._package = package
        self._name: str = package["__name__"]
        self._modules = {
            name: module for table in modules for module, names in table.items() for name in names.split()
        }
        self._others = others

    def get(self, name: str) -> object:
        """Return what the package exports by this name; ``__getattr__`` of the package.

        It is a variable of the package from then on. Two threads at the same time get the same object.
        """
        package = self._package
        if name in self._modules:
            subpackage = self._modules[name].partition(".")[0]
            for each, module in self._modules.items():
                if module.partition(".")[0] == subpackage:
                    package.setdefault(each, getattr(import_module(f"{self._name}.{module}"), each))
        elif self._others is not None and name in package["__all__"]:
            package.setdefault(name, self._others(name))
        else:
            raise AttributeError(f"module {self._name!r} has no attribute {name!r}")
        return package[name]

    def names(self) -> list[str]:
        """Return the names of the package, those that are not imported yet too; its ``__dir__``."""
        return sorted({*self._package, *self._package["__all__"]})
