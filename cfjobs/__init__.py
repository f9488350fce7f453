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

from cfjobs.auth.assertion import UAAAssertion
from cfjobs.auth.uaa import UAAClientCredentials, UAAPasscode, UAAPassword, UAARefreshToken
from cfjobs.provider import PROVIDER
from cfjobs.source import CFJobs
from cfjobs.wire import STATES, JobError, JobRecord, Link, parse_job
from common.exports import api as _api
from common.exports.api import *
from common.exports.set_module import set_module as _set_module

__all__ = [
    "STATES",
    "CFJobs",
    "JobError",
    "JobRecord",
    "Link",
    "UAAAssertion",
    "UAAClientCredentials",
    "UAAPasscode",
    "UAAPassword",
    "UAARefreshToken",
    "parse_job",
]
__all__ += _api.__all__

_set_module(globals())
register_provider(PROVIDER)
