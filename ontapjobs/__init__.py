"""The jobs of NetApp ONTAP: ``OntapJobs(endpoint, auth=(user, password))``."""

from __future__ import annotations

from typing import TYPE_CHECKING as _TYPE_CHECKING

try:
    from common.exports import api as _api
    from common.exports.api import *
    from common.exports.package_path import check_package as _check_package
    from common.exports.set_module import set_module as _set_module
    from common.providers import register_provider
    from ontapjobs.actions.bulk import BulkResult
    from ontapjobs.actions.single import REFUSALS
    from ontapjobs.provider import PROVIDER
    from ontapjobs.records.job_record import JobError, JobRecord, Named, SubJob
    from ontapjobs.source import OntapJobs
    from ontapjobs.wire import STATES, parse_job, parse_jobs, record

    _check_package()
except Exception as _error:
    from pathlib import Path as _Path
    from runpy import run_path as _run_path

    _conflicts = _Path(__file__).parents[1] / "common" / "exports" / "conflicts.py"
    if _conflicts.is_file():
        _run_path(str(_conflicts))["explain"](__name__, _error)
    raise

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

_set_module(globals())
register_provider(PROVIDER)


if _TYPE_CHECKING:
    from common.auth.client_credentials import ClientCredentials
else:

    def __getattr__(name: str) -> object:
        # Most sign in with a password: the others import what renews tokens when they name it.
        if name == "ClientCredentials":
            from common.auth.client_credentials import ClientCredentials

            return ClientCredentials
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
