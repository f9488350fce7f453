"""The jobs of NetApp ONTAP: ``OntapJobs(endpoint, auth=(user, password))``."""

from __future__ import annotations

from typing import TYPE_CHECKING as _TYPE_CHECKING

try:
    from common.registry import register_provider
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
from ontapjobs.provider import PROVIDER
from ontapjobs.records import JobError
from ontapjobs.records import JobRecord
from ontapjobs.records import Named
from ontapjobs.refusals import REFUSALS
from ontapjobs.source import OntapJobs
from ontapjobs.wire import STATES
from ontapjobs.wire import parse_job
from ontapjobs.wire import parse_jobs

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
    from common.oauth import ClientCredentials
else:

    def __getattr__(name: str) -> object:
        # Most sign in with a password: the others import what renews tokens when they name it.
        if name == "ClientCredentials":
            from common.oauth import ClientCredentials

            return ClientCredentials
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
