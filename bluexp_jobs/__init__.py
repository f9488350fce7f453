"""The jobs of NetApp BlueXP backup and recovery: ``BlueXPJobs(account=…, agent=…, auth=…)``."""

from __future__ import annotations

try:
    from common.providers import register_provider
except ImportError as _error:
    if not (_error.name or "").startswith("common"):
        raise
    import sys as _sys

    _other: object = _sys.modules.get("common")
    _found: object = getattr(_other, "__file__", None) or list(getattr(_other, "__path__", ()))
    raise ImportError(
        f"bluexp_jobs needs the package 'common' of jobsource, but {_found} stands in its place: "
        "rename that one, or put jobsource before it on the path"
    ) from _error

from bluexp_jobs.auth import AgentPassword, RefreshToken, ServiceAccount, UserPassword
from bluexp_jobs.provider import PROVIDER
from bluexp_jobs.records import Batch, File, JobRecord, MultiVolumeBackup, Restore, Source, Target, Volume
from bluexp_jobs.source import BlueXPJobs
from bluexp_jobs.wire import STATES, parse_job, parse_jobs
from common.exports import api as _api
from common.exports.api import *
from common.exports.set_module import set_module as _set_module

__all__ = [
    "STATES",
    "AgentPassword",
    "Batch",
    "BlueXPJobs",
    "File",
    "JobRecord",
    "MultiVolumeBackup",
    "RefreshToken",
    "Restore",
    "ServiceAccount",
    "Source",
    "Target",
    "UserPassword",
    "Volume",
    "parse_job",
    "parse_jobs",
]
__all__ += _api.__all__

_set_module(globals())
register_provider(PROVIDER)
