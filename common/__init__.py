"""What every job system shares: one model, one protocol, one way to wait.

An application imports its provider (``ontapjobs``, ``bluexp_jobs``, ``cfjobs``) and lives on that one import;
what is written for all of them imports this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import cast as _cast

from common.exports.package_path import PackagePath as _PackagePath

# A host application may have a package of this name too: its other modules must still be found.
__path__ = _cast("list[str]", _PackagePath(__name__, __path__))  # any sequence will do (types.ModuleType)

from common.exports import api as _api
from common.exports.lazy import LazyExports as _LazyExports

if _TYPE_CHECKING:
    from common.config.connect import connect
    from common.config.fleet import Fleet
    from common.config.preload import preload
    from common.exports.api import *
    from common.options import SourceOptions
    from common.polling.watch import Watch
    from common.sources.protocol import JobSource
    from common.telemetry.events import Observer

    __version__: str
else:
    _exports = _LazyExports(
        globals(),
        {
            "config.connect": "connect",
            "config.fleet": "Fleet",
            "config.preload": "preload",
            "model.job": "_FrozenMap",
            "options": "SourceOptions",
            "polling.watch": "Watch",
            "sources.protocol": "JobSource",
            "telemetry.events": "Observer",
        },
        _api.MODULES,
    )

    def __getattr__(name: str) -> object:
        if name == "__version__":
            from common.model.distribution import VERSION

            return VERSION
        return _exports.get(name)

    def __dir__() -> list[str]:
        return _exports.names()


__all__ = [
    "Fleet",
    "JobSource",
    "Observer",
    "SourceOptions",
    "Watch",
    "connect",
    "preload",
]
__all__ += _api.__all__
