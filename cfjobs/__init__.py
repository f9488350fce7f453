"""The jobs of Cloud Foundry v3: ``CFJobs(endpoint, auth=Bearer(token))``."""

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
        f"cfjobs needs the package 'common' of jobsource, but {_found} stands in its place: "
        "rename that one, or put jobsource before it on the path"
    ) from _error

from cfjobs.auth import UAAClientCredentials, UAAPassword, UAARefreshToken
from cfjobs.provider import PROVIDER
from cfjobs.source import CFJobs
from cfjobs.wire import STATES, JobError, JobRecord, Link, parse_job
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

__all__ = [
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
    "CFJobs",
    "Capability",
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
    "Link",
    "PermissionDenied",
    "PollPolicy",
    "Probe",
    "RateLimited",
    "ServerError",
    "SourceError",
    "TransportError",
    "UAAClientCredentials",
    "UAAPassword",
    "UAARefreshToken",
    "UnexpectedState",
    "Unsupported",
    "UsageError",
    "WaitTimeout",
    "WrongSource",
    "as_completed",
    "from_dict",
    "parse_job",
    "to_dict",
    "wait_all",
]

_set_module(globals())
register_provider(PROVIDER)
