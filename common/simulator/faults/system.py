"""Faults of the system itself: what it says is well formed, and old, short, too much, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from attrs.validators import optional

from common.simulator.faults.base import Ask, Fault, not_negative, text, whole
from common.simulator.faults.match import ids_in
from common.simulator.messages import Quirks, Request, Response

if TYPE_CHECKING:
    from common.simulator.simulator import Simulator


@attrs.frozen
class Stale(Fault):
    """What the system would have said to a GET so many seconds ago, such as a page out of a cache."""

    seconds: float = attrs.field(validator=not_negative)

    def fits(self, system: Simulator, request: Request) -> bool:
        """Whether it is a GET."""
        return request.method == "GET"

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Ask as if it were then."""
        return await ask(attrs.evolve(request, at=request.at - self.seconds))


@attrs.frozen
class ShortPage(Fault):
    """A page of a list that ends early, after so many records or none, though more follow."""

    records: int = attrs.field(default=0, validator=whole)

    def check(self, system: Simulator) -> None:
        """Raise `ValueError` where lists have no pages."""
        system.need("pages")

    def fits(self, system: Simulator, request: Request) -> bool:
        """Whether it is for a list."""
        return system.is_list(request)

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Ask for less."""
        return await ask(attrs.evolve(request, quirks=attrs.evolve(request.quirks, page=self.records)))


@attrs.frozen
class IgnoreFilter(Fault):
    """A filter of a list that is not applied; without a name, the one that asks for jobs by id."""

    name: str | None = attrs.field(default=None, validator=optional(text))

    def check(self, system: Simulator) -> None:
        """Raise `ValueError` where lists have no filters, or none by id."""
        system.need("filters")
        if self.name is None and system.id_filter is None:
            raise ValueError(f"{type(system).__name__} has no filter by id: name the one to be ignored")

    def fits(self, system: Simulator, request: Request) -> bool:
        """Whether it is for a list, with this filter."""
        return system.is_list(request) and (self.name or system.id_filter) in request.query

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Ask without it."""
        ignores = request.quirks.ignores | {str(self.name or system.id_filter)}
        quirks: Quirks = attrs.evolve(request.quirks, ignores=ignores)
        return await ask(attrs.evolve(request, quirks=quirks))


@attrs.frozen
class ExpireTokens(Fault):
    """Every token that was handed out expires, and the one that this request brings along too."""

    def check(self, system: Simulator) -> None:
        """Raise `ValueError` where no tokens are looked at."""
        system.need("tokens")

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Let them expire, and ask."""
        system.expire_tokens(request.headers.get("authorization", ""))
        return await ask(request)


@attrs.frozen
class Forget(Fault):
    """A job that the system forgets before its time; without an id, those that the request is about."""

    job: str | None = attrs.field(default=None, validator=optional(text))

    def fits(self, system: Simulator, request: Request) -> bool:
        """Whether there is such a job."""
        wanted = ids_in(request) if self.job is None else {self.job}
        return not wanted.isdisjoint(system.jobs)

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Forget, and ask."""
        for id in ids_in(request) if self.job is None else {self.job}:
            system.jobs.pop(id, None)
        return await ask(request)
