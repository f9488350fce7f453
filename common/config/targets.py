"""What a caller may name a system by: a source's URL, a job's reference, or a bare origin."""

from __future__ import annotations

import re

import attrs

from common.model.endpoints import origin
from common.model.errors import UsageError
from common.model.refs import JobRef, Scope
from common.providers import known_names

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9]*)(\+http)?://")
_NO_JOB = "any"


@attrs.frozen
class Target:
    """Where to: ``provider`` is "" for a bare origin, ``endpoint`` "" where a ref leaves it open."""

    provider: str
    endpoint: str
    scope: Scope = ()
    ref: JobRef | None = None

    def __str__(self) -> str:
        if not self.provider:
            return self.endpoint
        path, mark, query = str(JobRef(self.provider, self.endpoint, _NO_JOB, self.scope)).partition("?")
        return f"{path.removesuffix(_NO_JOB)}{mark}{query}"


def read_target(target: object) -> Target:
    """The system that a text or a ref names. Raises `UsageError`, which never quotes it back.

    A source's URL is a ref without its job: ``ontap://cluster1``, or with a scope
    ``bluexp://api.bluexp.netapp.com/account-x1/?agent=a1``.
    """
    if isinstance(target, JobRef):
        return _of(target, target)
    if not isinstance(target, str):
        raise UsageError(
            f"a system is named by a URL, a JobRef or its text, not by {type(target).__name__}: "
            "pass 'ontap://host', or profile='name'"
        )
    found = _SCHEME.match(target)
    if found is None:
        raise UsageError(
            "the target is neither a source's URL nor a job's reference: write it as 'ontap://host', "
            "or pass profile='name' for a profile"
        )
    if found[1].lower() in ("http", "https") and not found[2]:
        return Target("", origin(target))
    if found[1] not in known_names():
        names = ", ".join(f"{name}://" for name in sorted(known_names())) or "none"
        raise UsageError(f"the target's scheme is no installed provider's: there are {names}")
    path, mark, query = target.partition("?")
    if "/" not in path[found.end() :]:
        path += "/"
    if path.endswith("/"):
        return _of(JobRef.parse(f"{path}{_NO_JOB}{mark}{query}"), None)
    ref = JobRef.parse(target)
    return _of(ref, ref)


def _of(named: JobRef, ref: JobRef | None) -> Target:
    return Target(named.provider, named.endpoint, named.scope, ref)
