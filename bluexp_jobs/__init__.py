"""The jobs of NetApp BlueXP backup and recovery: ``BlueXPJobs(account=…, agent=…, auth=…)``."""

from __future__ import annotations

from typing import TYPE_CHECKING as _TYPE_CHECKING

try:
    from common.exports import api as _api
    from common.exports.lazy import LazyExports as _LazyExports
    from common.exports.package_path import check_package as _check_package

    _check_package()

    from bluexp_jobs.provider import PROVIDER
    from common.providers import register_provider
except Exception as _error:
    from pathlib import Path as _Path
    from runpy import run_path as _run_path

    _conflicts = _Path(__file__).parents[1] / "common" / "exports" / "conflicts.py"
    if _conflicts.is_file():
        _run_path(str(_conflicts))["explain"](__name__, _error)
    raise

if _TYPE_CHECKING:
    from bluexp_jobs.auth import AgentPassword, RefreshToken, ServiceAccount, UserPassword
    from bluexp_jobs.records import Batch, File, JobRecord, MultiVolumeBackup, Restore, Source, Target, Volume
    from bluexp_jobs.source import BlueXPJobs
    from bluexp_jobs.wire import STATES, parse_job, parse_jobs, record
    from common.exports.api import *
else:
    _exports = _LazyExports(
        globals(),
        {
            "auth": "AgentPassword RefreshToken ServiceAccount UserPassword",
            "records": "Batch File JobRecord MultiVolumeBackup Restore Source Target Volume",
            "source": "BlueXPJobs",
            "wire": "STATES parse_job parse_jobs record",
        },
        others=_api.shared,
    )

    def __getattr__(name: str) -> object:
        return _exports.get(name)

    def __dir__() -> list[str]:
        return _exports.names()


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

register_provider(PROVIDER)
