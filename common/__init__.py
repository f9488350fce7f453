"""What every job system shares: one model, one protocol, one way to wait.

An application imports its provider (``ontapjobs``, ``bluexp_jobs``, ``cfjobs``) and lives on that one import;
what is written for all of them imports this.
"""

from __future__ import annotations

import pkgutil

# A host application may have a package of this name too: its other modules must still be found.
__path__ = pkgutil.extend_path(__path__, __name__)

from common.auth.credentials import Basic, Bearer
from common.config.connect import connect
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
from common.model.job import FrozenMap as _FrozenMap
from common.model.refs import JobRef
from common.model.serialize import from_dict, to_dict
from common.model.states import TERMINAL, Action, Capability, JobState
from common.options import InsecureConnectionWarning, SourceOptions
from common.polling.policy import PollPolicy
from common.polling.wait import Probe, Watch
from common.response.writes import Adopted
from common.sources.fleet import Fleet
from common.sources.many import as_completed, wait_all
from common.sources.protocol import JobSource
from common.telemetry.events import Event, EventKind, Observer

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
    "Fleet",
    "InsecureConnectionWarning",
    "Job",
    "JobFailed",
    "JobGone",
    "JobItem",
    "JobLike",
    "JobNotFound",
    "JobPartiallyFailed",
    "JobRef",
    "JobSource",
    "JobState",
    "JobsError",
    "JobsFailed",
    "Observer",
    "PermissionDenied",
    "PollPolicy",
    "Probe",
    "RateLimited",
    "ServerError",
    "SourceError",
    "SourceOptions",
    "TransportError",
    "UnexpectedState",
    "Unsupported",
    "UsageError",
    "WaitTimeout",
    "Watch",
    "WrongSource",
    "as_completed",
    "connect",
    "from_dict",
    "to_dict",
    "wait_all",
]

_set_module(globals())
# What a job's links are: it is not public, but a pickle of a job has to find it by a name that stays.
_FrozenMap.__module__, _FrozenMap.__qualname__ = __name__, "_FrozenMap"
