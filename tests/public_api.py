"""The public API as text: ``python -m tests.public_api`` writes it to ``public_api.txt`` beside this file.

The text is to change only where something changes that users type or see. So it tells neither in which module
a thing is written nor whether an attribute is a property, and it is the same on each supported Python.
Annotations stand as they were written, but without the names of modules, and ``Unpack`` of a TypedDict as the
keywords that are in it.
"""

from __future__ import annotations

import ast
import enum
import functools
import importlib
import inspect
import os
import re
import subprocess
import sys
import textwrap
import tomllib
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

ROOT = Path(__file__).parents[1]
SNAPSHOT = Path(__file__).with_name("public_api.txt")
PACKAGES = ("common", "ontapjobs", "bluexp_jobs", "cfjobs")
MODULES = (
    *PACKAGES,
    "common.testing",
    "common.testing.plugin",
    "common.simulator",
    "common.simulator.faults",
    "ontapjobs.simulator",
    "bluexp_jobs.simulator",
    "cfjobs.simulator",
)
ELSEWHERE = (
    "common.options.SourceOptions",
    "common.simulator.tokens.TokenDesk",
    "common.telemetry.otel.OpenTelemetryObserver",
)
"""What docstrings and the documentation name by the module it is in, which therefore stays."""
VERBS = (
    "get",
    "wait",
    "watch",
    "list",
    "count",
    "cancel",
    "pause",
    "resume",
    "start",
    "profiles",
    "simulate",
)
COMMANDS = (*(("common", verb) for verb in (*VERBS, "demo", "completion")), ("common.simulator",))
SOURCES = ("OntapJobs", "BlueXPJobs", "CFJobs", "ScriptedSource")
OF_A_SOURCE = frozenset(
    {
        *("list", "count", "act", "pause", "resume", "cancel", "start", "adopt", "get", "wait", "watch"),
        *("cancel_all", "pause_all", "resume_all"),
        *("ref", "aclose", "capabilities", "policy", "endpoint", "provider", "scope", "aliases", "states"),
        *("observer", "concurrency", "from_cf_config", "absent", "present", "last_operation"),
        *("add_job", "forget", "journal", "latency", "polls"),  # of a scripted one
    }
)
"""What users need of a source. The rest is how the base classes ask a provider, and is not for them."""
CREDENTIALS = (
    *("ClientCredentials", "AgentPassword", "RefreshToken", "ServiceAccount"),
    *("UAAClientCredentials", "UAAPassword", "UAARefreshToken"),
)
"""Users make these and pass them on. What else they have than their constructor's values is not for users."""
SPECIAL = frozenset(
    {
        *("__init__", "__call__", "__str__", "__len__", "__getitem__", "__contains__", "__await__"),
        *("__iter__", "__next__", "__aiter__", "__anext__"),
        *("__enter__", "__exit__", "__aenter__", "__aexit__"),
    }
)
NOT_MADE_BY_USERS = frozenset({"Injection", "Watch"})
"""Their constructors are left out."""
WIDTH = 110
MODULE_NAMES = re.compile(r"\b(?:[a-z_]\w*\.)+(?=[A-Za-z_])")


def public_api() -> str:
    """All of it."""
    head = "# Made by `python -m tests.public_api`. A change here is a change for users."
    return "\n".join([head, *_all(), ""])


def _all() -> Iterator[str]:
    found: dict[tuple[str, int], str] = {}
    for name in MODULES:
        yield f"\n## {name}\n"
        module = importlib.import_module(name)
        for public in sorted(getattr(module, "__all__", None) or ("VirtualTime", *_fixtures(module))):
            value = getattr(module, public)
            path = f"{name}.{public}"
            # What other packages export again is told once.
            known = found.setdefault((public, id(value)), path)
            again = known != path and not isinstance(value, types.ModuleType)
            yield from [f"{public} = {known}"] if again else _described(public, value)
    yield "\n## Also found in these modules\n"
    for path in ELSEWHERE:
        module_name, _, public = path.rpartition(".")
        value = getattr(importlib.import_module(module_name), public)
        known = found.setdefault((public, id(value)), path)
        yield from [f"{path} = {known}"] if known != path else _described(path, value)
    yield "\n## Commands\n"
    yield from _commands()


def _described(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, types.ModuleType):
        yield f"{name}: module {value.__name__}"
    elif inspect.isclass(value):
        yield from _class(name, value)
    elif inspect.isfunction(value):
        yield from _function(name, value)
    elif type(value).__name__ == "FixtureFunctionDefinition":
        yield f"fixture {name}"
    elif isinstance(value, str | int | float):
        yield f"{name} = {value!r}"
    elif isinstance(value, Mapping | frozenset):
        kind = "Mapping" if isinstance(value, Mapping) else "frozenset"
        yield f"{name}: {kind} of {', '.join(sorted(map(str, value)))}"
    else:
        yield f"{name} = {_shown(value)}"


def _fixtures(module: types.ModuleType) -> list[str]:
    return sorted(
        name for name, value in vars(module).items() if type(value).__name__ == "FixtureFunctionDefinition"
    )


# --- classes


def _class(name: str, kind: type[Any]) -> Iterator[str]:
    if typing.is_typeddict(kind):
        yield f"{name}: TypedDict"
        yield from (f"    {line}" for line in _typed_keys(kind))
        return
    if issubclass(kind, enum.Enum):
        yield f"{name}: {kind.__mro__[1].__name__}"
        yield from (f"    {member.name} = {member.value!r}" for member in kind)
    else:
        bases = kind.__bases__ if issubclass(kind, BaseException) else _public_bases(kind)
        named = ", ".join(base.__name__ for base in bases)
        yield f"class {name}({named})" if named else f"class {name}"
    # What a class has of a public base, and as that has it, is told there.
    inherited = [_members(base) for base in _public_bases(kind)]
    for member, lines in sorted(_members(kind).items(), key=lambda pair: (pair[0] != "__init__", pair[0])):
        if _is_for_users(kind, member) and all(base.get(member) != lines for base in inherited):
            yield from (f"    {line}" for line in lines)


def _is_for_users(kind: type[Any], member: str) -> bool:
    if member in SPECIAL:
        return True
    if kind.__name__ in CREDENTIALS:
        return member in inspect.signature(kind).parameters and not callable(getattr(kind, member, None))
    return kind.__name__ not in SOURCES or member in OF_A_SOURCE


def _public_bases(kind: type[Any]) -> list[type[Any]]:
    return [base for base in kind.__mro__[1:] if base in _public_classes()]


@functools.cache
def _public_classes() -> frozenset[type[Any]]:
    modules = {name: importlib.import_module(name) for name in MODULES}
    values = [getattr(module, name) for module in modules.values() for name in getattr(module, "__all__", ())]
    return frozenset(value for value in values if inspect.isclass(value))


def _members(kind: type[Any]) -> dict[str, list[str]]:
    """The lines of each member that a class has of us, also by inheritance."""
    members: dict[str, list[str]] = {}
    hints: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.partition(".")[0] in PACKAGES:
            hints |= _hints(base)
            members |= _own_members(kind, base, hints)
    if kind.__name__ in NOT_MADE_BY_USERS or getattr(kind, "_is_protocol", False):
        members.pop("__init__", None)
    return members


def _own_members(kind: type[Any], base: type[Any], hints: Mapping[str, Any]) -> dict[str, list[str]]:
    own = vars(base)
    told = {name: _attribute(name, hints.get(name, hint)) for name, hint in _set_in_init(base).items()}
    for name, value in own.items():
        if isinstance(value, property):
            told[name] = _attribute(name, _annotations(value.fget).get("return"))
        elif isinstance(value, types.MemberDescriptorType):
            told.setdefault(name, _attribute(name, hints.get(name)))
        elif isinstance(value, classmethod | staticmethod):
            word = type(value).__name__
            told[name] = [*_function(name, value.__func__, bound=word == "classmethod", before=f"{word} ")]
        elif inspect.isfunction(value):
            told[name] = [*_function(name, value, bound=True)]
        elif name not in SPECIAL and not (isinstance(kind, enum.EnumMeta) and isinstance(value, kind)):
            told[name] = _attribute(name, hints.get(name), value)
    for name in own.get("__annotations__") or ():
        told.setdefault(name, _attribute(name, hints.get(name)))
    return {name: lines for name, lines in told.items() if name in SPECIAL or not name.startswith("_")}


def _attribute(name: str, hint: Any, value: object = inspect.Parameter.empty) -> list[str]:
    text = re.sub(r"^ClassVar\[(.*)\]$", r"\1", _shown(hint)) if hint is not None else ""
    typed = f"{name}: {text}" if text else name
    simple = value is None or isinstance(value, bool | int | float | str)
    return [f"{typed} = {value!r}" if simple else typed]


def _hints(kind: type[Any]) -> dict[str, Any]:
    own = vars(kind).get("__annotations__") or {}
    try:
        found = typing.get_type_hints(kind)
    except NameError:  # what is imported for type checkers only
        return dict(own)
    return {name: found[name] for name in own}


def _set_in_init(kind: type[Any]) -> dict[str, Any]:
    """The attributes that a hand-written ``__init__`` sets, with the types that it says they have."""
    init = vars(kind).get("__init__")
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(init))) if init else ast.Module([], [])
    except OSError:  # attrs wrote it
        return {}
    given = _annotations(init)
    found: dict[str, Any] = {}
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self":
                hint = None
                if isinstance(node, ast.AnnAssign):
                    hint = ast.unparse(node.annotation)
                elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
                    hint = given.get(node.value.id)
                found.setdefault(target.attr, hint)
    return found


# --- functions


def _function(name: str, function: Any, *, bound: bool = False, before: str = "") -> Iterator[str]:
    for overload in typing.get_overloads(function) or [function]:
        word = "async " if inspect.iscoroutinefunction(overload) else ""
        yield from _signature(f"{before}{word}{name}", overload, bound=bound)


def _signature(head: str, function: Any, *, bound: bool) -> Iterator[str]:
    signature = inspect.signature(function)
    written: list[str] = []
    star = slash = False
    for parameter in list(signature.parameters.values())[1 if bound else 0 :]:
        if slash and parameter.kind is not parameter.POSITIONAL_ONLY:
            written.append("/")
        slash = parameter.kind is parameter.POSITIONAL_ONLY
        keywords = _keywords(parameter, function)
        if (parameter.kind is parameter.KEYWORD_ONLY or keywords) and not star:
            written.append("*")
        star = star or bool(keywords) or parameter.kind in (parameter.VAR_POSITIONAL, parameter.KEYWORD_ONLY)
        written += keywords or [_parameter(parameter)]
    returned = signature.return_annotation
    end = ")" if returned is signature.empty else f") -> {_shown(returned)}"
    line = f"{head}({', '.join(written)}{end}"
    if len(line) <= WIDTH:
        yield line
    else:
        yield f"{head}("
        yield from (f"    {part}," for part in written)
        yield end


def _keywords(parameter: inspect.Parameter, function: Any) -> list[str]:
    """The keywords behind ``**options: Unpack[Options]``: they are what users type, and not that name."""
    unpacked = re.fullmatch(r"Unpack\[(\w+)\]", _shown(parameter.annotation))
    if parameter.kind is not parameter.VAR_KEYWORD or not unpacked:
        return []
    return [f"{line} = ..." for line in _typed_keys(inspect.unwrap(function).__globals__[unpacked[1]])]


def _parameter(parameter: inspect.Parameter) -> str:
    stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
    stars = "**" if parameter.kind is parameter.VAR_KEYWORD else stars
    typed = "" if parameter.annotation is parameter.empty else f": {_shown(parameter.annotation)}"
    default = "" if parameter.default is parameter.empty else f" = {_default(parameter.default)}"
    return f"{stars}{parameter.name}{typed}{default}"


def _typed_keys(kind: Any) -> Iterator[str]:
    for name, hint in sorted(kind.__annotations__.items()):
        yield f"{name}: {_shown(getattr(hint, '__forward_arg__', hint))}"


def _annotations(function: Callable[..., Any] | None) -> dict[str, Any]:
    return dict(getattr(function, "__annotations__", {}))


# --- values and annotations


def _shown(hint: Any) -> str:
    """An annotation or an alias, as it was written or as the one form of it, without modules' names."""
    plain = isinstance(hint, type) and not typing.get_args(hint)
    text = hint if isinstance(hint, str) else inspect.formatannotation(hint) if plain else repr(hint)
    text = re.sub(r"ForwardRef\('([^']*)'[^)]*\)", r"\1", text).replace("NoneType", "None")
    return MODULE_NAMES.sub("", text).replace("'", '"')


def _default(value: object) -> str:
    if value is attrs.NOTHING:  # made anew for each instance
        return "..."
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, str | bytes):
        return repr(value)
    if isinstance(value, frozenset | set):
        return f"{{{', '.join(sorted(map(_default, value)))}}}"
    if inspect.isclass(value) or inspect.isfunction(value):
        return str(value.__name__)
    return MODULE_NAMES.sub("", re.sub(r" at 0x[0-9a-f]+", "", repr(value)))


# --- what is typed in a shell


def _commands() -> Iterator[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    yield from (f"command {name}" for name in sorted(project["scripts"]))
    for group, points in sorted(project["entry-points"].items()):
        yield f"entry points {group}: {', '.join(sorted(points))}"
    yield f"extras: {', '.join(sorted(project['optional-dependencies']))}"
    for module, *words in COMMANDS:
        yield f"python -m {' '.join([module, *words])}: {', '.join(_options(module, words))}"


def _options(module: str, words: Iterable[str]) -> list[str]:
    """The options that a command's help names, and its subcommands."""
    done = subprocess.run(  # noqa: S603  # this interpreter, on our own modules
        [sys.executable, "-m", module, *words, "--help"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    usage = done.stdout.partition("\n\n")[0]
    choices = re.findall(r"\{([\w,]+)\}", usage)
    commands = [word for group in choices for word in group.split(",")]
    lines = re.findall(r"^  (--[\w-]+)", done.stdout.partition("Examples:")[0], re.MULTILINE)
    return commands + sorted({*re.findall(r"--[\w-]+", usage), *lines})


if __name__ == "__main__":
    SNAPSHOT.write_text(public_api(), encoding="utf-8")
