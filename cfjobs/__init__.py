"""The jobs of Cloud Foundry v3: ``CFJobs(endpoint, auth=Bearer(token))``."""

from __future__ import annotations

try:
    from common.registry import register_provider
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

from cfjobs.auth import UAAClientCredentials
from cfjobs.auth import UAAPassword
from cfjobs.auth import UAARefreshToken
from cfjobs.provider import PROVIDER
from cfjobs.source import CFJobs
from cfjobs.wire import STATES
from cfjobs.wire import JobError
from cfjobs.wire import JobRecord
from cfjobs.wire import Link
from cfjobs.wire import parse_job
from common.auth import Basic
from common.auth import Bearer
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
from common.exports import set_module as _set_module
from common.gathering import as_completed
from common.gathering import wait_all
from common.handover import Adopted
from common.model import TERMINAL
from common.model import Action
from common.model import Capability
from common.model import ErrorArgument
from common.model import ErrorDetail
from common.model import Job
from common.model import JobItem
from common.model import JobLike
from common.model import JobRef
from common.model import JobState
from common.options import InsecureConnectionWarning
from common.polling import PollPolicy
from common.serial import from_dict
from common.serial import to_dict
from common.source import Probe

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
