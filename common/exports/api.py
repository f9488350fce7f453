"""What an application that imports one provider's package needs of ``common``; each provider exports it."""

from __future__ import annotations

from common.auth.credentials import Basic, Bearer
from common.hosts.loop_thread import PortalFuture
from common.hosts.portal import Portal, portal
from common.hosts.shared import close_shared, shared_source
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
    SourceClosed,
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
from common.sources.sets.get_all import get_all
from common.sources.sets.job_set import JobSet
from common.sources.sets.wait_all import as_completed, wait_all
from common.telemetry.events import Event, EventKind

__all__ = [
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
    "DecodeError",
    "ErrorArgument",
    "ErrorDetail",
    "Event",
    "EventKind",
    "InsecureConnectionWarning",
    "Job",
    "JobFailed",
    "JobGone",
    "JobItem",
    "JobLike",
    "JobNotFound",
    "JobPartiallyFailed",
    "JobRef",
    "JobSet",
    "JobState",
    "JobsError",
    "JobsFailed",
    "PermissionDenied",
    "PollPolicy",
    "Portal",
    "PortalFuture",
    "Probe",
    "RateLimited",
    "ServerError",
    "SourceClosed",
    "SourceError",
    "TransportError",
    "UnexpectedState",
    "Unsupported",
    "UsageError",
    "WaitTimeout",
    "WrongSource",
    "as_completed",
    "close_shared",
    "from_dict",
    "get_all",
    "portal",
    "shared_source",
    "to_dict",
    "wait_all",
]
