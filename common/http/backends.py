"""Make the backends of one source: for its own endpoint, and for token endpoints elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from common.http.backend import HttpBackend
from common.http.direct.h11_backend import H11Backend
from common.http.selection import needs_httpx
from common.http.tls import tls_context
from common.options import Options


class Backends:
    """Makes the backends of one source, for each event loop that it is used on.

    ``auth`` is that of `HttpxBackend`. ``signs_in`` is whether there is a token endpoint, and ``token_url``
    its URL if that is known already. ``keepalive`` is how long an idle connection is kept, in seconds.

    Raise `UsageError` for TLS files that cannot be loaded, and for proxies of the environment that cannot be
    used: now, rather than in the middle of a wait.
    """

    def __init__(
        self,
        options: Options,
        *,
        endpoint: str,
        keepalive: float,
        auth: Mapping[str, Any],
        signs_in: bool,
        token_url: str | None,
    ) -> None:
        self._endpoint = endpoint
        self._keepalive = keepalive
        self._auth = auth
        self._auth_of_httpx = auth.get("auth") is not None
        self._own_by_httpx = self._needs_httpx(options, endpoint)
        if self._own_by_httpx or (token_url and self._needs_httpx(options, token_url)):
            from common.http.over_httpx.httpx_backend import library_of

            library_of(options.http)  # imported now: it takes too long to do it within a request
        self._own_options = self._public_options = options
        if options.http is not None or options.transport is not None:
            return
        if endpoint.startswith("https:"):
            tls = tls_context(options.verify, options.cert, trust_env=options.trust_env)
            self._own_options = attrs.evolve(options, verify=tls, cert=None)
        if signs_in and not (isinstance(options.verify, bool) and options.cert is None):
            tls = tls_context(options.verify, options.cert, public=True, trust_env=options.trust_env)
            self._public_options = attrs.evolve(options, verify=tls, cert=None)

    def own(self) -> HttpBackend:
        """Return a backend for the source's own endpoint, on the running event loop."""
        return self._create(self._endpoint, self._own_options, self._auth, by_httpx=self._own_by_httpx)

    def elsewhere(self, origin: str) -> HttpBackend:
        """Return a backend for another origin, to which only a request's own credentials are sent.

        It has a proxy, a scheme and a certificate of its own: a private CA of a cluster, or no TLS there,
        says nothing about how its token issuer is to be trusted.
        """
        options = self._public_options
        return self._create(origin, options, {"auth": None}, by_httpx=self._needs_httpx(options, origin))

    def _create(
        self, endpoint: str, options: Options, auth: Mapping[str, Any], *, by_httpx: bool
    ) -> HttpBackend:
        if by_httpx:
            from common.http.over_httpx.httpx_backend import HttpxBackend

            return HttpxBackend.create(options, endpoint=endpoint, keepalive=self._keepalive, auth=auth)
        return H11Backend(options, endpoint=endpoint, keepalive=self._keepalive)

    def _needs_httpx(self, options: Options, endpoint: str) -> bool:
        return needs_httpx(options, endpoint=endpoint, auth_of_httpx=self._auth_of_httpx)
