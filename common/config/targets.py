"""Read the address of a system: a source's URL, a job's reference, or a bare origin."""

from __future__ import annotations

import re

import attrs

from common.model.endpoints import endpoint_url
from common.model.errors import UsageError
from common.model.refs import JobRef, Scope
from common.providers import get_provider, is_installed, provider_names

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9]*)(\+http)?://")
_NO_JOB = "any"


@attrs.frozen
class SystemAddress:
    """One system: ``provider`` is "" for a bare origin, ``endpoint`` "" where a ref does not state it."""

    provider: str
    endpoint: str
    scope: Scope = ()
    ref: JobRef | None = None

    def __str__(self) -> str:
        if not self.provider:
            return self.endpoint
        path, mark, query = str(JobRef(self.provider, self.endpoint, _NO_JOB, self.scope)).partition("?")
        return f"{path.removesuffix(_NO_JOB)}{mark}{query}"


def read_address(target: object) -> SystemAddress:
    """Return the system that a text or a ref names. Raise `UsageError`, which never quotes the text.

    A source's URL is a ref without its job: ``ontap://cluster1``, or with a scope
    ``bluexp://api.bluexp.netapp.com/account-x1?agent=a1``, or with the path of an endpoint
    ``ontap://um/api/gateways/1cd8a442//``, whose slashes at the end may be left out where it is so long that
    it can be nothing else. One segment is the account where the provider has accounts, else a job's id.
    """
    if isinstance(target, JobRef):
        return _address(target, target)
    if not isinstance(target, str):
        raise UsageError(
            f"the target must be a URL, a JobRef or its text, not {type(target).__name__}: "
            "use 'ontap://host', or profile='name'"
        )
    match = _SCHEME.match(target)
    if match is None:
        raise UsageError(
            "the target is neither a source's URL nor a job's reference: write it as 'ontap://host', "
            "or use profile='name' for a profile"
        )
    if match[1].lower() in ("http", "https") and not match[2]:
        return SystemAddress("", endpoint_url(target))
    if not is_installed(match[1]):
        names = ", ".join(f"{name}://" for name in sorted(provider_names())) or "none"
        raise UsageError(f"the target's scheme belongs to no installed provider: use one of {names}")
    path, mark, query = target.partition("?")
    _, slash, rest = path[match.end() :].partition("/")
    if not slash:
        path += "/"
    elif "//" not in rest and rest.count("/") >= 2:
        path = f"{path.removesuffix('/')}//"
    elif (last := rest.rpartition("//")[2]) and "/" not in last and _has_account(match[1]):
        path += "/"
    if path.endswith("/"):
        return _address(JobRef.parse(f"{path}{_NO_JOB}{mark}{query}"), None)
    ref = JobRef.parse(target)
    return _address(ref, ref)


def _has_account(provider: str) -> bool:
    driver = get_provider(provider).driver
    return driver is not None and driver().has_account


def _address(named: JobRef, ref: JobRef | None) -> SystemAddress:
    scope = named.scope
    if scope and ref is not None:
        # What belongs to the job alone says nothing about its system.
        driver = get_provider(named.provider).driver
        own = driver().job_scope if driver is not None else ()
        scope = tuple(pair for pair in scope if pair[0] not in own)
    return SystemAddress(named.provider, named.endpoint, scope, ref)
