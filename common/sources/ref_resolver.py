"""Whose job it is: what a source takes for a job of its own, and the complete refs that it makes of that."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from common.model.errors import UsageError, WrongSource
from common.model.job import Job, JobLike
from common.model.refs import JobRef, Scope
from common.options import read_aliases
from common.providers import is_ref

BRIEF = 200
"""How many characters of a ref that is not ours an error quotes."""
MAX_ID = 1024
"""No id of any provider comes near so many characters."""


class Owner:
    """One endpoint of a provider, by the names that it has, and there the part that ``scope`` says."""

    provider: ClassVar[str]

    def __init__(self, endpoint: str, *, scope: Scope = (), aliases: Collection[str] = ()) -> None:
        self.endpoint = endpoint
        self.scope = scope
        self.aliases: frozenset[str] = read_aliases(aliases)
        self._first: JobRef | None = None

    @classmethod
    def canonical_scope(cls, scope: Scope) -> Scope:
        """The one form of a scope that may be written in several."""
        return scope

    def ref(self, job: JobLike) -> JobRef:
        """The ref of a job of this source, complete. No I/O.

        Raises `WrongSource` where it belongs to another provider, endpoint or scope, `UsageError` where it
        is no job's name at all.
        """
        if isinstance(job, Job):
            job = job.ref
        elif isinstance(job, str):
            if not is_ref(job):
                return self._own(job)
            job = JobRef.parse(job)
        elif not isinstance(job, JobRef):
            raise UsageError(
                f"a job is named by a JobRef, its text, an id or a Job, not by {type(job).__name__}"
            )
        self._check_owner(job)
        return self._own(job.id)

    def _own(self, id: str) -> JobRef:
        _check_id(id)
        if self._first is None:
            self._first = JobRef(self.provider, self.endpoint, id, self.scope)
        return self._first.sibling(id)

    def __repr__(self) -> str:
        scope = "".join(f", {name}={value!r}" for name, value in self.scope)
        return f"<{type(self).__name__} {self.endpoint!r}{scope}>"

    def _check_owner(self, ref: JobRef) -> None:
        if ref.provider != self.provider:
            raise WrongSource(
                f"{_brief(ref)}: a job of {ref.provider!r}, asked of {self.provider!r}", ref=ref
            )
        if ref.endpoint and ref.endpoint != self.endpoint and ref.endpoint not in self.aliases:
            raise WrongSource(
                f"{_brief(ref)}: a job of {ref.endpoint}, asked of {self.endpoint}; if both are one system, "
                "name the other one in aliases=",
                ref=ref,
            )
        own = dict(self.canonical_scope(self.scope))
        foreign = [name for name, part in self.canonical_scope(ref.scope) if own.get(name) != part]
        if foreign:
            raise WrongSource(f"{_brief(ref)}: a job of another {' and '.join(foreign)}", ref=ref)


def _brief(ref: JobRef) -> str:
    text = str(ref)
    return text if len(text) <= BRIEF else f"{text[:BRIEF]}…"


def _check_id(id: str) -> None:
    if not id:
        raise UsageError("the job's id is empty: pass the id that the server gave, as text")
    if len(id) > MAX_ID:
        raise UsageError(f"the job's id is {len(id)} characters long: pass the id, not a reply or a document")
    if id in (".", ".."):
        # The one text that no encoding keeps from being read as a folder on the way.
        raise UsageError(f"{id!r} is no job's id: pass the id that the server gave")
