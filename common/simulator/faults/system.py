"""Faults of the system itself: a well-formed response that is old, short, unfiltered, or a refusal."""

from __future__ import annotations

import attrs
from attrs.validators import optional

from common.simulator.faults.base import Ask, Fault, not_negative, text, whole
from common.simulator.faults.match import ids_in
from common.simulator.messages import Quirks, Request, Response
from common.simulator.system import System


@attrs.frozen
class Stale(Fault):
    """The response that a GET had ``seconds`` ago, such as one from a cache.

    For a time before the job started it is "no such job", as from a node that lags behind.
    """

    seconds: float = attrs.field(validator=not_negative)

    def applies_to(self, system: System, request: Request) -> bool:
        """Whether this is a GET."""
        return request.method == "GET"

    async def apply(self, system: System, ask: Ask, request: Request) -> Response:
        """Return the system's response at that time."""
        return await ask(attrs.evolve(request, at=request.at - self.seconds))


@attrs.frozen
class ShortPage(Fault):
    """A page of a list that ends after ``records`` (default: none), although more pages follow."""

    records: int = attrs.field(default=0, validator=whole)

    def check(self, system: System) -> None:
        """Raise `ValueError` where the system's lists have no pages."""
        system.require("pages")

    def applies_to(self, system: System, request: Request) -> bool:
        """Whether this asks for a list."""
        return system.is_list(request)

    async def apply(self, system: System, ask: Ask, request: Request) -> Response:
        """Return the system's response with a shorter page."""
        return await ask(attrs.evolve(request, quirks=attrs.evolve(request.quirks, page=self.records)))


@attrs.frozen
class IgnoreFilter(Fault):
    """A list filter that is ignored; without a name, the one that selects jobs by id."""

    name: str | None = attrs.field(default=None, validator=optional(text))

    def check(self, system: System) -> None:
        """Raise `ValueError` where the system's lists have no filters, or none by id."""
        system.require("filters")
        if self.name is None and system.id_filter is None:
            raise ValueError(f"{type(system).__name__} has no filter by id: name the filter to ignore")

    def applies_to(self, system: System, request: Request) -> bool:
        """Whether this asks for a list with this filter."""
        return system.is_list(request) and (self.name or system.id_filter) in request.query

    async def apply(self, system: System, ask: Ask, request: Request) -> Response:
        """Return the system's response without this filter."""
        ignores = request.quirks.ignores | {str(self.name or system.id_filter)}
        quirks: Quirks = attrs.evolve(request.quirks, ignores=ignores)
        return await ask(attrs.evolve(request, quirks=quirks))


@attrs.frozen
class ExpireTokens(Fault):
    """All tokens expire, including the one of this request."""

    def check(self, system: System) -> None:
        """Raise `ValueError` where the system has no tokens."""
        system.require("tokens")

    async def apply(self, system: System, ask: Ask, request: Request) -> Response:
        """Let the tokens expire, and return the system's response."""
        system.expire_tokens(request.headers.get("authorization", ""))
        return await ask(request)


@attrs.frozen
class Forget(Fault):
    """A job that the system deletes too early; without an id, all jobs that the request concerns."""

    job: str | None = attrs.field(default=None, validator=optional(text))

    def applies_to(self, system: System, request: Request) -> bool:
        """Whether the system has such a job."""
        return not self._ids(request).isdisjoint(system.jobs)

    async def apply(self, system: System, ask: Ask, request: Request) -> Response:
        """Delete the jobs, and return the system's response."""
        for id in self._ids(request):
            system.jobs.pop(id, None)
        return await ask(request)

    def _ids(self, request: Request) -> frozenset[str]:
        return ids_in(request) if self.job is None else frozenset({self.job})
