"""What every job system shares: one model, one protocol, one way to wait.

An application imports its provider (``ontapjobs``, ``bluexp_jobs``, ``cfjobs``) and lives on that one import;
what is written for all of them imports this.
"""

from __future__ import annotations

from typing import cast as _cast

from common.exports.package_path import PackagePath as _PackagePath

# A host application may have a package of this name too: its other modules must still be found.
__path__ = _cast("list[str]", _PackagePath(__name__, __path__))  # any sequence will do (types.ModuleType)

from common.config.connect import connect
from common.config.fleet import Fleet
from common.config.preload import preload
from common.exports import api as _api
from common.exports.api import *
from common.exports.set_module import set_module as _set_module
from common.model.job import FrozenMap as _FrozenMap
from common.options import SourceOptions
from common.polling.watch import Watch
from common.sources.protocol import JobSource
from common.telemetry.events import Observer

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

_set_module(globals())
# What a job's links are: it is not public, but a pickle of a job has to find it by a name that stays.
_FrozenMap.__module__, _FrozenMap.__qualname__ = __name__, "_FrozenMap"
