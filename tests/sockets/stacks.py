"""The stacks under a source, as data: whose connections they are, TLS or not, through a proxy or not."""

from __future__ import annotations

import importlib
import os
import ssl
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from unittest import mock

import attrs
import httpx

from common.sources.http import HttpSource
from ontapjobs import OntapJobs

CONCURRENCY = 3
"""How many requests of a source are in flight at most: few, so that places that are lost are missed."""


@attrs.frozen
class Stack:
    """One way from a source to its socket. ``client`` names the library of a caller's own client.

    ``transport``: a transport of httpx that the caller made.
    """

    name: str
    variable: str | None = None
    """The value of JOBSOURCE_HTTP."""
    client: str | None = None
    proxied: bool = False
    tls: bool = False
    transport: bool = False

    @asynccontextmanager
    async def source(
        self, url: str, *, ca: str, proxy: str | None = None, **keywords: Any
    ) -> AsyncGenerator[HttpSource, None]:
        """A source on this stack; ``ca`` is a file."""
        keywords = {"auth": ("u", "p"), "concurrency": CONCURRENCY, **keywords}
        with self.environment():
            if self.client is None:
                if self.transport:
                    keywords["transport"] = httpx.AsyncHTTPTransport(
                        verify=ssl.create_default_context(cafile=ca) if self.tls else False,
                        limits=httpx.Limits(max_connections=CONCURRENCY),
                    )
                elif self.tls:
                    keywords["verify"] = ca
                if self.proxied:
                    keywords["proxy"] = proxy
                async with OntapJobs(url, **keywords) as source:
                    yield source
                return
            library = importlib.import_module(self.client)
            context = ssl.create_default_context(cafile=ca) if self.tls else False
            limits = library.Limits(max_connections=CONCURRENCY)
            async with (
                library.AsyncClient(
                    verify=context, limits=limits, proxy=proxy if self.proxied else None, trust_env=False
                ) as client,
                OntapJobs(url, http=client, **keywords) as source,
            ):
                yield source

    @contextmanager
    def environment(self) -> Generator[None, None, None]:
        """The environment that selects this stack."""
        with mock.patch.dict(os.environ):
            os.environ.pop("JOBSOURCE_HTTP", None)
            if self.variable is not None:
                os.environ["JOBSOURCE_HTTP"] = self.variable
            yield


PLAIN = (
    Stack("direct", "direct"),
    Stack("httpx", "httpx"),
    Stack("own-transport", transport=True),
    Stack("own-httpx", client="httpx"),
    Stack("own-httpx2", client="httpx2"),
    Stack("proxy", "httpx", proxied=True),
    Stack("own-httpx-proxy", client="httpx", proxied=True),
    Stack("own-httpx2-proxy", client="httpx2", proxied=True),
)
STACKS = tuple(
    attrs.evolve(stack, name=f"{stack.name}{'-tls' * tls}", tls=tls)
    for stack in PLAIN
    for tls in (False, True)
)


QUICK_STACKS = tuple(stack for stack in STACKS if not stack.proxied and not stack.tls)


def name_of(stack: Stack) -> str:
    """The id of a stack in a test's name."""
    return stack.name


def occupied(source: HttpSource) -> list[str]:
    """What of a source's limiter, poller and pools is taken: nothing, while it has nothing to do.

    This is the only place that looks at internals.
    """
    found: list[str] = []
    state = source._client._state
    if state is None:
        return found
    if state.limiter.value != CONCURRENCY:
        found.append(f"limiter: {state.limiter.value} of {CONCURRENCY} places are free")
    poller = source._poller
    if poller is not None and not poller.idle:
        found.append("the poller is not idle")
    for backend in (state.backend, *state.other_origins.values()):
        found += _OCCUPIED[type(backend).__name__](backend)
    return found


def _in_httpx(backend: Any) -> list[str]:
    client = backend._client
    found: list[str] = []
    for transport in (client._transport, *filter(None, client._mounts.values())):
        pool = transport._pool
        taken = [repr(each) for each in pool.connections if not each.is_idle() and not each.is_closed()]
        found += [f"pool: {each}" for each in taken]
        found += [f"pool: a request is left: {each}" for each in pool._requests]
    return found


def _in_h11(backend: Any) -> list[str]:
    return [f"connections: {each}" for each in backend._in_use]


_OCCUPIED = {"HttpxBackend": _in_httpx, "H11Backend": _in_h11}
