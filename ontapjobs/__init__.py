"""The jobs of NetApp ONTAP: ``OntapJobs(endpoint, auth=(user, password))``."""

from __future__ import annotations

from typing import TYPE_CHECKING as _TYPE_CHECKING

try:
    from common.providers import register_provider
except ImportError as _error:
    if not (_error.name or "").startswith("common"):
        raise
    import sys as _sys

    _other: object = _sys.modules.get("common")
    _found: object = getattr(_other, "__file__", None) or list(getattr(_other, "__path__", ()))
    raise ImportError(
        f"ontapjobs needs the package 'common' of jobsource, but {_found} stands in its place: "
        "rename that one, or put jobsource before it on the path"
    ) from _error

from common.auth.credentials import Basic, Bearer
from common.exports import set_module as _set_module
from common.model.errors import (
    ActionRefused,
    ActionUncertain,
    AlreadyFinished,
    ApiError,
    AuthenticationError,
    DecodeError,
    JobFailed,
    JobGone,
    JobNotFound,
    JobPartiallyFailed,
    JobsError,
    JobsFailed,
    PermissionDenied,
    RateLimited,
    ServerError,
    SourceError,
    TransportError,
    UnexpectedState,
    Unsupported,
    UsageError,
    WaitTimeout,
    WrongSource,
)
from common.model.job import ErrorArgument, ErrorDetail, Job, JobItem, JobLike
from common.model.refs import JobRef
from common.model.serialize import from_dict, to_dict
from common.model.states import TERMINAL, Action, Capability, JobState
from common.options import InsecureConnectionWarning
from common.polling.policy import PollPolicy
from common.polling.wait import Probe
from common.response.writes import Adopted
from common.sources.many import as_completed, wait_all
from common.telemetry.events import Event, EventKind
from ontapjobs.actions import REFUSALS
from ontapjobs.provider import PROVIDER
from ontapjobs.records import JobError, JobRecord, Named
from ontapjobs.source import OntapJobs
from ontapjobs.wire import STATES, parse_job, parse_jobs

__all__ = [
    "REFUSALS",
    "STATES",
    "TERMINAL",
    "Action",
    "ActionRefused",
    "ActionUncertain",
    "Adopted",
    "AlreadyFinished",
    "ApiError",
    "AuthenticationError",
    "Basic",
    "Bearer",
    "Capability",
    "ClientCredentials",
    "DecodeError",
    "ErrorArgument",
    "ErrorDetail",
    "Event",
    "EventKind",
    "InsecureConnectionWarning",
    "Job",
    "JobError",
    "JobFailed",
    "JobGone",
    "JobItem",
    "JobLike",
    "JobNotFound",
    "JobPartiallyFailed",
    "JobRecord",
    "JobRef",
    "JobState",
    "JobsError",
    "JobsFailed",
    "Named",
    "OntapJobs",
    "PermissionDenied",
    "PollPolicy",
    "Probe",
    "RateLimited",
    "ServerError",
    "SourceError",
    "TransportError",
    "UnexpectedState",
    "Unsupported",
    "UsageError",
    "WaitTimeout",
    "WrongSource",
    "as_completed",
    "from_dict",
    "parse_job",
    "parse_jobs",
    "to_dict",
    "wait_all",
]

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
