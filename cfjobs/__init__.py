"""The jobs of Cloud Foundry v3: ``CFJobs(endpoint, auth=Bearer(token))``."""

from __future__ import annotations

try:
    from cfjobs.auth.assertion import UAAAssertion
    from cfjobs.auth.uaa import UAAClientCredentials, UAAPasscode, UAAPassword, UAARefreshToken
    from cfjobs.provider import PROVIDER
    from cfjobs.source import CFJobs
    from cfjobs.wire import STATES, JobError, JobRecord, Link, parse_job, record
    from common.exports import api as _api
    from common.exports.api import *
    from common.exports.package_path import check_package as _check_package
    from common.exports.set_module import set_module as _set_module
    from common.providers import register_provider

    _check_package()
except Exception as _error:
    from pathlib import Path as _Path
    from runpy import run_path as _run_path

    _conflicts = _Path(__file__).parents[1] / "common" / "exports" / "conflicts.py"
    if _conflicts.is_file():
        _run_path(str(_conflicts))["explain"](__name__, _error)
    raise

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
    "record",
]
__all__ += _api.__all__

_set_module(globals())
register_provider(PROVIDER)
