"""What an application that imports one provider's package needs of ``common``; each provider exports it.

None of it is imported before it is named.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from common.exports.lazy import LazyExports, Modules
from common.exports.package_path import PackagePath

if TYPE_CHECKING:
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
    from common.polling.policy import PollPolicy, Probe
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

MODULES: Modules = {
    "auth.credentials": "Basic Bearer",
    "hosts.loop_thread": "PortalFuture",
    "hosts.portal": "Portal portal",
    "hosts.shared": "close_shared shared_source",
    "model.errors": (
        "ActionRefused ActionUncertain AlreadyFinished ApiError AuthenticationError DecodeError "
        "JobFailed JobGone JobNotFound JobPartiallyFailed JobsError JobsFailed PermissionDenied "
        "RateLimited ServerError SourceClosed SourceError TransportError UnexpectedState "
        "Unsupported UsageError WaitTimeout WrongSource"
    ),
    "model.job": "ErrorArgument ErrorDetail Job JobItem JobLike",
    "model.refs": "JobRef",
    "model.serialize": "from_dict to_dict",
    "model.states": "TERMINAL Action Capability JobState",
    "options": "InsecureConnectionWarning",
    "polling.policy": "PollPolicy Probe",
    "response.writes": "Adopted",
    "sources.sets.get_all": "get_all",
    "sources.sets.job_set": "JobSet",
    "sources.sets.wait_all": "as_completed wait_all",
    "telemetry.events": "Event EventKind",
}
"""Where each is, in `common`."""

_COMMON = __name__.rpartition(".exports.")[0]


def shared(name: str) -> object:
    """Return what all packages export by a name of `__all__`."""
    package = sys.modules[_COMMON]
    if isinstance(package.__path__, PackagePath):
        return getattr(package, name)
    return _exports.get(name)  # a host's own package finds our modules by its path, and has not our names


_exports = LazyExports({"__name__": _COMMON, "__all__": __all__}, MODULES)
