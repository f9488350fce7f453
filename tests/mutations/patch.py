"""Puts a mutant into a module that is imported already, and into those that have its values."""

from __future__ import annotations

import functools
import gc
import inspect
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from tests.mutations.operators import Mutant


def compiled(mutant: Mutant, root: Path) -> CodeType:
    """Return a mutant's code."""
    path = root / mutant.path
    return compile(mutant.tree(path.read_text(encoding="utf-8")), str(path), "exec")


def put_in(mutant: Mutant, root: Path) -> bool:
    """Change the functions of this process, or what their module computes when it is imported.

    Return whether something was changed: a function cannot be if the mutant uses other variables of what is
    around it.
    """
    code = compiled(mutant, root)
    if mutant.function is not None:
        return _replace_functions(code)
    _replace_values(mutant.path.removesuffix(".py").replace("/", "."), code)
    return True


def caches(files: Collection[str]) -> list[functools._lru_cache_wrapper[Any]]:
    """Return the caches around functions of these files."""
    found: list[functools._lru_cache_wrapper[Any]] = []
    for each in gc.get_objects():
        if isinstance(each, functools._lru_cache_wrapper):
            function = inspect.unwrap(each)
            if isinstance(function, FunctionType) and function.__code__.co_filename in files:
                found.append(each)
    return found


def _replace_functions(code: CodeType) -> bool:
    """Give each function the code that has its name and its place; closures around it stay."""
    for cache in caches({code.co_filename}):
        cache.cache_clear()
    replaced = False
    live: dict[tuple[str, str, int], list[FunctionType]] = {}
    for each in gc.get_objects():
        if type(each) is FunctionType:
            live.setdefault(_place(each.__code__), []).append(each)
    for new in _codes(code):
        for function in live.get(_place(new), ()):
            if function.__code__ != new and len(function.__code__.co_freevars) == len(new.co_freevars):
                function.__code__ = new
                replaced = True
    return replaced


def _place(code: CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _codes(code: CodeType) -> Iterator[CodeType]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each
            yield from _codes(each)


def _replace_values(name: str, code: CodeType) -> None:
    """Run the module once more, aside, and copy what comes out differently."""
    module = sys.modules[name]
    aside = ModuleType(name)
    aside.__dict__.update({key: vars(module)[key] for key in ("__file__", "__package__", "__spec__")})
    exec(code, aside.__dict__)  # noqa: S102 - our own module
    for key, new in list(vars(aside).items()):
        old = vars(module).get(key)
        if isinstance(new, FunctionType) and isinstance(old, FunctionType):
            old.__defaults__, old.__kwdefaults__ = new.__defaults__, new.__kwdefaults__
        elif isinstance(new, type) and isinstance(old, type) and new.__module__ == name:
            _replace_members(old, new)
        elif not key.startswith("__") and _differ(old, new):
            _replace_everywhere(key, old, new)


def _replace_members(old: type, new: type) -> None:
    for key, value in list(vars(new).items()):
        current = vars(old).get(key)
        if key == "__init__" and isinstance(value, FunctionType) and "attrs" in value.__code__.co_filename:
            setattr(old, key, value)  # it has the fields' defaults
        elif isinstance(value, FunctionType) and isinstance(current, FunctionType):
            current.__defaults__, current.__kwdefaults__ = value.__defaults__, value.__kwdefaults__
        elif not key.startswith("__") and _plain(value) and _differ(current, value):
            setattr(old, key, value)


def _replace_everywhere(key: str, old: object, new: object) -> None:
    for module in list(sys.modules.values()):
        if vars(module).get(key) is old:
            setattr(module, key, new)
        for each in list(vars(module).values()):
            if isinstance(each, type) and not _plain(old):
                for name, value in list(vars(each).items()):
                    if value is old:
                        setattr(each, name, new)


def _plain(value: object) -> bool:
    return isinstance(value, bool | int | float | str | bytes | None)


def _differ(old: object, new: object) -> bool:
    return type(old) is type(new) and repr(old) != repr(new)
