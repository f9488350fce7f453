"""The jobs of NetApp ONTAP: ``OntapJobs(endpoint, auth=(user, password))``."""

from __future__ import annotations

from typing import TYPE_CHECKING as _TYPE_CHECKING

try:
    from common.exports import api as _api
    from common.exports.lazy import LazyExports as _LazyExports
    from common.exports.package_path import check_package as _check_package

    _check_package()

    from common.providers import register_provider
    from ontapjobs.provider import PROVIDER
except Exception as _error:
    from pathlib import Path as _Path
    from runpy import run_path as _run_path

    _conflicts = _Path(__file__).parents[1] / "common" / "exports" / "conflicts.py"
    if _conflicts.is_file():
        _run_path(str(_conflicts))["explain"](__name__, _error)
    raise

if _TYPE_CHECKING:
    from common.exports.api import *
    from ontapjobs.actions.bulk import BulkResult
    from ontapjobs.actions.single import REFUSALS
    from ontapjobs.auth import ClientCredentials
    from ontapjobs.records.job_record import JobError, JobRecord, Named, SubJob
    from ontapjobs.source import OntapJobs
    from ontapjobs.wire import STATES, parse_job, parse_jobs, record
else:
    _exports = _LazyExports(
        globals(),
        {
            "actions.bulk": "BulkResult",
            "actions.single": "REFUSALS",
            "auth": "ClientCredentials",
            "records.job_record": "JobError JobRecord Named SubJob",
            "source": "OntapJobs",
            "wire": "STATES parse_job parse_jobs record",
        },
        others=_api.shared,
    )

    def __getattr__(name: str) -> object:
        return _exports.get(name)

    def __dir__() -> list[str]:
        return _exports.names()


__all__ = [
    "REFUSALS",
    "STATES",
    "BulkResult",
    "ClientCredentials",
    "JobError",
    "JobRecord",
    "Named",
    "OntapJobs",
    "SubJob",
    "parse_job",
    "parse_jobs",
    "record",
]
__all__ += _api.__all__

register_provider(PROVIDER)
