"""The jobs of NetApp BlueXP backup and recovery: ``BlueXPJobs(account=…, agent=…, auth=…)``."""

from __future__ import annotations

try:
    from bluexp_jobs.auth import AgentPassword, RefreshToken, ServiceAccount, UserPassword
    from bluexp_jobs.provider import PROVIDER
    from bluexp_jobs.records import Batch, File, JobRecord, MultiVolumeBackup, Restore, Source, Target, Volume
    from bluexp_jobs.source import BlueXPJobs
    from bluexp_jobs.wire import STATES, parse_job, parse_jobs, record
    from common.exports import api as _api
    from common.exports.api import *
    from common.exports.package_path import check_package as _check_package
    from common.exports.set_module import set_module as _set_module
    from common.providers import register_provider

    _check_package()
except Exception as _error:
    from pathlib import Path as _Path
    from runpy import run_path as _run_path

    _conflicts = _Path(__file__).parents[1] / "common" / "exports" / "conflicts.py"
    if _conflicts.is_file():
        _run_path(str(_conflicts))["explain"](__name__, _error)
    raise

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
    "record",
]
__all__ += _api.__all__

_set_module(globals())
register_provider(PROVIDER)
