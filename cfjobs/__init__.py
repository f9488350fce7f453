"""The jobs of Cloud Foundry v3: ``CFJobs(endpoint, auth=Bearer(token))``."""

from __future__ import annotations

from typing import TYPE_CHECKING as _TYPE_CHECKING

try:
    from common.exports import api as _api
    from common.exports.lazy import LazyExports as _LazyExports
    from common.exports.package_path import check_package as _check_package

    _check_package()

    from cfjobs.provider import PROVIDER
    from common.providers import register_provider
except Exception as _error:
    from pathlib import Path as _Path
    from runpy import run_path as _run_path

    _conflicts = _Path(__file__).parents[1] / "common" / "exports" / "conflicts.py"
    if _conflicts.is_file():
        _run_path(str(_conflicts))["explain"](__name__, _error)
    raise

if _TYPE_CHECKING:
    from cfjobs.auth.assertion import UAAAssertion
    from cfjobs.auth.uaa import UAAClientCredentials, UAAPasscode, UAAPassword, UAARefreshToken
    from cfjobs.source import CFJobs
    from cfjobs.wire import STATES, JobError, JobRecord, Link, parse_job, record
    from common.exports.api import *
else:
    _exports = _LazyExports(
        globals(),
        {
            "auth.assertion": "UAAAssertion",
            "auth.uaa": "UAAClientCredentials UAAPasscode UAAPassword UAARefreshToken",
            "source": "CFJobs",
            "wire": "STATES JobError JobRecord Link parse_job record",
        },
        others=_api.shared,
    )

    def __getattr__(name: str) -> object:
        return _exports.get(name)

    def __dir__() -> list[str]:
        return _exports.names()


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

register_provider(PROVIDER)
