"""Resolve a ref, its text, an id or a Job to a complete JobRef of one source, or refuse it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import NoReturn

import attrs

from common.model.errors import UsageError, WrongSource
from common.model.job import Job, JobLike
from common.model.refs import JobRef, Scope
from common.options import read_aliases
from common.providers import is_ref

MAX_QUOTED = 200
"""How many characters of a ref of another source an error quotes at most."""
MAX_ID = 1024
"""The limit of an id in characters; those of all providers are far shorter."""

SystemScope = frozenset[tuple[str, str]]
"""The parts of a scope that belong to a system, in canonical form."""
_NO_SCOPE: SystemScope = frozenset()


@attrs.frozen(repr=False)
class ScopeRule:
    """How a provider reads the scope of a ref.

    ``canonical`` returns the one form of a scope that can be written in several. ``job_parts`` are the names
    of its parts that belong to a job, and not to the system. The rules of all sources of one provider are
    equal, so that a `Router` needs one table for them.
    """

    canonical: Callable[[Scope], Scope] = tuple
    job_parts: frozenset[str] = frozenset()

    def of_system(self, scope: Scope) -> SystemScope:
        """Return the parts that belong to the system."""
        if not scope:
            return _NO_SCOPE
        return frozenset(pair for pair in self.canonical(scope) if pair[0] not in self.job_parts)

    def of_job(self, scope: Scope) -> Scope:
        """Return the parts that belong to the job."""
        return tuple(pair for pair in self.canonical(scope) if pair[0] in self.job_parts)


class RefResolver:
    """Decides which jobs belong to a source: those of one provider, endpoint (or an alias of it) and scope.

    ``canonical_scope`` and ``job_scope`` are those of `ScopeRule`. ``check_ref`` raises `UsageError` for a
    hint, or a part of a job's scope, that the provider does not know.
    """

    def __init__(
        self,
        provider: str,
        endpoint: str,
        *,
        scope: Scope = (),
        aliases: Iterable[str] = (),
        canonical_scope: Callable[[Scope], Scope] = tuple,
        job_scope: Collection[str] = (),
        check_ref: Callable[[JobRef], None] | None = None,
    ) -> None:
        self.provider = provider
        self.endpoint = endpoint
        self._template = JobRef(provider, endpoint, "any", scope)
        self.scope: Scope = self._template.scope
        self.aliases: frozenset[str] = read_aliases(aliases)
        self.rule: ScopeRule = ScopeRule(canonical_scope, frozenset(job_scope))
        self._system_scope = self.rule.of_system(self.scope)
        self._check_ref = check_ref

    def resolve(self, job: JobLike) -> JobRef:
        """Return the complete ref of a job of this source.

        Raise `WrongSource` if it belongs to another provider, endpoint or scope, `UsageError` if it names no
        job.
        """
        job = ref_or_id(job)
        if isinstance(job, str):
            return self._complete(job)
        if job.provider != self.provider or job.endpoint != self.endpoint or job.scope != self.scope:
            self._check_owner(job)
        elif not job.hints and _is_id(job.id):
            return job
        ref = self._complete(job.id)
        if job.hints or (self.rule.job_parts and job.scope != self.scope):
            return self._with_job_parts(ref, job)
        return ref

    def _with_job_parts(self, ref: JobRef, job: JobRef) -> JobRef:
        """Return ``ref`` with the hints of ``job``, and with the parts of its scope that are the job's."""
        ref = attrs.evolve(ref, scope=(*self.scope, *self.rule.of_job(job.scope)), hints=job.hints)
        if self._check_ref is not None:
            self._check_ref(ref)
        return ref

    def _complete(self, id: str) -> JobRef:
        if not _is_id(id):
            _refuse_id(id)
        return self._template.sibling(id)

    def _check_owner(self, ref: JobRef) -> None:
        if ref.provider != self.provider:
            raise WrongSource(
                f"{shortened(ref)}: this job is of {ref.provider!r}, but the source is for {self.provider!r}",
                ref=ref,
            )
        if ref.endpoint and ref.endpoint != self.endpoint and ref.endpoint not in self.aliases:
            raise WrongSource(
                f"{shortened(ref)}: this job is of {ref.endpoint}, but the source is for {self.endpoint}; if "
                "both are the same system, add the other one to aliases=",
                ref=ref,
            )
        foreign = self.rule.of_system(ref.scope) - self._system_scope
        if foreign:
            names = " and ".join(name for name, _ in self.rule.canonical(ref.scope) if name in dict(foreign))
            raise WrongSource(f"{shortened(ref)}: this job is of another {names} than the source", ref=ref)


def _is_id(id: str) -> bool:
    return 0 < len(id) <= MAX_ID and id not in (".", "..")


def ref_or_id(job: JobLike) -> JobRef | str:
    """Return the ref by which a job is named, complete or not, or a bare id: text that is not a ref.

    Raise `UsageError` for what names no job.
    """
    if isinstance(job, JobRef):
        return job
    if isinstance(job, Job):
        return job.ref
    if isinstance(job, str):
        # The check for "://" is quick; the look-up of the known providers is not.
        return JobRef.parse(job) if "://" in job and is_ref(job) else job
    raise UsageError(f"a job is named by a JobRef, its text, an id or a Job, not by {type(job).__name__}")


def shortened(ref: JobRef) -> str:
    """Return the text of a ref for an error."""
    text = str(ref)
    return text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}…"


def _refuse_id(id: str) -> NoReturn:
    if not id:
        raise UsageError("the job's id is empty: use the id that the server returned")
    if len(id) > MAX_ID:
        raise UsageError(
            f"the job's id is {len(id)} characters long: use the id, not a response or a document"
        )
    # "." and ".." stay dot segments of a path even when they are percent-encoded (RFC 3986, 6.2.2.2), so a
    # request with one would go to another path.
    raise UsageError(f"{id!r} is not a job id: use the id that the server returned")
