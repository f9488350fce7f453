"""A simulated system without a provider: it answers with its jobs, and any POST is a write."""

from __future__ import annotations

from typing import ClassVar

from common.simulator.messages import Request, Response, json_response
from common.simulator.simulator import Simulator
from common.simulator.system import Feature


class Echo(Simulator):
    """``writes`` counts what was really done; ``/quirks`` tells what is wrong with a request."""

    features: ClassVar[frozenset[Feature]] = frozenset({"filters", "pages", "tokens"})
    id_filter: ClassVar[str | None] = "id"
    writes = 0
    expired: tuple[str, ...] = ()

    def is_list(self, request: Request) -> bool:
        return request.path in {"/", "/quirks"}

    def expire_tokens(self, *authorizations: str) -> None:
        self.expired = authorizations

    async def respond(self, request: Request) -> Response:
        if request.method == "POST":
            self.writes += 1
            new = self.job_for_write(request)
            if isinstance(new, Response):
                return new
            return json_response(202, {"id": self.add_job(new.script, id=new.id, **new.fields)})
        if request.path == "/quirks":
            return json_response(200, [request.quirks.page, sorted(request.quirks.ignores)])
        moments = {id: job.at(request.at) for id, job in self.jobs.items()}
        return json_response(200, {id: found.state for id, found in moments.items() if found})
