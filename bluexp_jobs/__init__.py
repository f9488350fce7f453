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

from bluexp_jobs.auth import AgentPassword, RefreshToken, ServiceAccount
from bluexp_jobs.provider import PROVIDER
from bluexp_jobs.records import Batch, File, JobRecord, MultiVolumeBackup, Restore, Source, Target, Volume
from bluexp_jobs.source import BlueXPJobs
from bluexp_jobs.wire import STATES, parse_job, parse_jobs
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
    "AgentPassword",
    "AlreadyFinished",
    "ApiError",
    "AuthenticationError",
    "Basic",
    "Batch",
    "Bearer",
    "BlueXPJobs",
    "Capability",
    "DecodeError",
    "ErrorArgument",
    "ErrorDetail",
    "Event",
    "EventKind",
    "File",
    "InsecureConnectionWarning",
    "Job",
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
    "MultiVolumeBackup",
    "PermissionDenied",
    "PollPolicy",
    "Probe",
    "RateLimited",
    "RefreshToken",
    "Restore",
    "ServerError",
    "ServiceAccount",
    "Source",
    "SourceError",
    "Target",
    "TransportError",
    "UnexpectedState",
    "Unsupported",
    "UsageError",
    "Volume",
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
