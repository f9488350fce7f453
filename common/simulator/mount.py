"""A path below which a simulated system is served, as by a gateway or a proxy: the way in and out."""

from __future__ import annotations

from typing import Any

import attrs

from common.model.endpoints import endpoint_url, split_endpoint
from common.model.errors import UsageError
from common.simulator.messages import Request, Response, json_response


@attrs.frozen
class Mount:
    """``prefix`` is the path outside, such as ``/proxy``; ``root`` what it stands for inside, or ""."""

    prefix: str = ""
    root: str = ""

    def enter(self, request: Request) -> Request | None:
        """Return the request as the system itself sees it. None where its path is not below the prefix."""
        path, raw_path = self._inner(request.path), self._inner(request.raw_path)
        if path is None or raw_path is None:
            return None
        return attrs.evolve(request, path=path, raw_path=raw_path)

    def leave(self, response: Response, origin: str) -> Response:
        """Return the response with its links, those in the body and ``Location``, as they are outside."""
        location = response.header("location")
        if location is not None:
            response = response.replacing({"Location": self._outer(location, origin)})
        if "json" not in (response.header("content-type") or ""):
            return response
        try:
            data = self._outer_links(response.json(), origin)
        except ValueError:
            return response  # a fault has broken the body
        rewritten = json_response(response.status, data)
        return attrs.evolve(response, body=rewritten.body)

    def _inner(self, path: str) -> str | None:
        if not f"{path}/".startswith(f"{self.prefix}/"):
            return None
        return (self.root + path[len(self.prefix) :]) or "/"

    def _outer(self, href: str, origin: str) -> str:
        own = href.removeprefix(origin)
        if own and not own.startswith("/"):
            return href  # to another server
        start = href[: len(href) - len(own)]
        return f"{start}{self.prefix}{own[len(self.root) :] if own.startswith(f'{self.root}/') else own}"

    def _outer_links(self, data: Any, origin: str) -> Any:
        if isinstance(data, list):
            return [self._outer_links(each, origin) for each in data]
        if not isinstance(data, dict):
            return data
        return {
            name: self._outer(value, origin)
            if name == "href" and isinstance(value, str)
            else self._outer_links(value, origin)
            for name, value in data.items()
        }


def check_prefix(prefix: str) -> str:
    """Return a prefix without a slash at its end. Raise `ValueError` for one that no endpoint can have."""
    try:
        checked = split_endpoint(endpoint_url(f"http://any{prefix}"))[1] if prefix else ""
    except (UsageError, TypeError):
        checked = ""
    if prefix and (not checked or not prefix.startswith("/")):
        raise ValueError(f"prefix is a path such as '/proxy', of plain segments, not {prefix!r:.60}")
    return checked
