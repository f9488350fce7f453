"""`preload`: import at once what is otherwise imported when it is first needed."""

from __future__ import annotations

import pkgutil
from contextlib import suppress
from importlib import import_module

from common.providers import installed_providers

LATER = (
    "anyio._backends._asyncio",
    "anyio._backends._trio",
    "anyio.from_thread",
    "asyncio",
    "cattrs.gen",
    "concurrent.futures.thread",
    "cryptography.hazmat.primitives.asymmetric.rsa",
    "cryptography.hazmat.primitives.serialization",
    "difflib",
    "email.utils",
    "encodings.idna",
    "httpx",
    "importlib.metadata",
    "jwt",
    "keyring",
    "msgspec.json",
    "opentelemetry.metrics",
    "opentelemetry.propagate",
    "opentelemetry.trace",
    "platformdirs",
    "ssl",
    "tomllib",
    "trio.lowlevel",
    "urllib.request",
    "uuid",
)
"""Modules that functions of ours, or of libraries, import when they are called; some may not be installed."""
_COMMON = __name__.rsplit(".", 2)[0]
NOT_PRELOADED = frozenset(
    {
        "__main__",
        "airflow",
        "cli",
        "dagster",
        "demo",
        "entry_points",
        "integrations",
        "prefect",
        "simulator",
        "temporal",
        "testing",
    }
)
"""Modules and packages that no source needs, or only an orchestrator, whose host imports them itself."""


def preload() -> None:
    """Import all that sources, waits, `to_dict` and `from_dict` would import when they first need it.

    Call it where later imports are refused, such as in a workflow's sandbox. It imports all installed
    providers and optional libraries, but not the simulators, `common.testing` and the command. It takes some
    300 ms, once.
    """
    for name in LATER:
        with suppress(ImportError):
            import_module(name)
    for name in (_COMMON, *(provider.source().__module__ for provider in installed_providers())):
        _import_all(name)
        package = import_module(name)
        for export in getattr(package, "__all__", ()):
            getattr(package, export)  # makes it a variable of the package: see `LazyExports`


def _import_all(name: str) -> None:
    """Import a module and, if it is a package, the modules in its own folder."""
    module = import_module(name)
    for folder in list(getattr(module, "__path__", ()))[:1]:
        for each in pkgutil.iter_modules([folder], f"{name}."):
            if each.name.rpartition(".")[2] not in NOT_PRELOADED:
                _import_all(each.name)
