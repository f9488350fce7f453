"""What every job system shares: one model, one protocol, one way to wait.

An application imports its provider (``ontapjobs``, ``bluexp_jobs``, ``cfjobs``) and lives on that one import;
what is written for all of them imports this.
"""

from __future__ import annotations

import pkgutil

# A host application may have a package of this name too: its other modules must still be found.
__path__ = pkgutil.extend_path(__path__, __name__)

from common.auth import Basic
from common.auth import Bearer
from common.connect import connect
from common.errors import ActionRefused
from common.errors import ActionUncertain
from common.errors import AlreadyFinished
from common.errors import ApiError
from common.errors import AuthenticationError
from common.errors import DecodeError
from common.errors import JobFailed
from common.errors import JobGone
from common.errors import JobNotFound
from common.errors import JobPartiallyFailed
from common.errors import JobsError
from common.errors import JobsFailed
from common.errors import PermissionDenied
from common.errors import RateLimited
from common.errors import ServerError
from common.errors import SourceError
from common.errors import TransportError
from common.errors import UnexpectedState
from common.errors import Unsupported
from common.errors import UsageError
from common.errors import WaitTimeout
from common.errors import WrongSource
from common.events import Event
from common.events import EventKind
from common.events import Observer
from common.exports import set_module as _set_module
from common.fleet import Fleet
from common.gathering import as_completed
from common.gathering import wait_all
from common.handover import Adopted
from common.model import TERMINAL
from common.model import Action
from common.model import Capability
from common.model import ErrorArgument
from common.model import ErrorDetail
from common.model import FrozenMap as _FrozenMap
from common.model import Job
from common.model import JobItem
from common.model import JobLike
from common.model import JobRef
from common.model import JobState
from common.options import InsecureConnectionWarning
from common.options import SourceOptions
from common.polling import PollPolicy
from common.serial import from_dict
from common.serial import to_dict
from common.source import JobSource
from common.source import Probe
from common.waiting import Watch

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
