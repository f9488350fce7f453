"""Decide which backend sends requests: our own connections, or httpx where these lack a feature."""

from __future__ import annotations

import os
import sys
from urllib.parse import urlsplit

from common.model.errors import UsageError
from common.options import Options, proxy_problem

BACKEND_VARIABLE = "JOBSOURCE_HTTP"
"""An environment variable: ``httpx`` or ``direct``, the connections of our own."""
MOCK_LIBRARIES = ("respx", "pytest_httpx")
"""Libraries by which tests replace the network below httpx; they would not see our own connections."""


def needs_httpx(options: Options, *, endpoint: str, auth_of_httpx: bool = False) -> bool:
    """Whether httpx must send the requests to this endpoint.

    It must for the caller's own client or transport, for an ``httpx.Auth``, for proxies (also those of the
    environment, which it has the rules for), if ``JOBSOURCE_HTTP`` asks for it, and if tests may have
    replaced the network below it. Without ``trust_env`` the environment is not read. Raise `UsageError` for
    an unknown value of ``JOBSOURCE_HTTP``, and for an invalid proxy.
    """
    wanted = os.environ.get(BACKEND_VARIABLE, "").strip().lower() if options.trust_env else ""
    if wanted not in ("", "aiohttp", "direct", "httpx"):  # aiohttp: a backend of earlier releases
        raise UsageError(
            f"the environment has {BACKEND_VARIABLE}={wanted[:40]!r}: "
            "set it to 'httpx' or 'direct', or unset it"
        )
    if options.http is not None or options.transport is not None or options.proxy is not None:
        return True
    if options.trust_env and may_use_proxy(endpoint):
        _check_environment()
        return True
    mocked = not wanted and is_mocked()
    return wanted == "httpx" or mocked or auth_of_httpx


def is_mocked() -> bool:
    """Whether tests may replace the network below httpx."""
    return any(name in sys.modules for name in MOCK_LIBRARIES)


def _check_environment() -> None:
    """Raise `UsageError` for any proxy of the environment that cannot be used.

    All are checked, because httpx makes a pool for each, whichever a request goes through.
    """
    from urllib.request import getproxies

    proxies = getproxies()
    for name in ("http", "https", "all"):
        url = proxies.get(name)
        if url and (problem := proxy_problem(url if "://" in url else f"http://{url}")):
            raise UsageError(f"{_variable(name)} {problem}; or unset it, or name the server in NO_PROXY")


def _variable(name: str) -> str:
    """Return the variable with the proxy for a scheme; there may be several, in different letter case."""
    found = [each for each in os.environ if each.lower() == f"{name}_proxy" and os.environ[each]]
    found.sort(key=lambda each: each.endswith("_proxy"))  # one in lower case goes before the others
    return f"the environment's {found[-1]}" if found else f"the system's proxy for {name}"


def may_use_proxy(endpoint: str) -> bool:
    """Whether requests may have to go through a proxy of the environment (such as ``HTTPS_PROXY``).

    False only where every interpretation of ``NO_PROXY`` excludes the endpoint.
    """
    named = {name.lower() for name in os.environ if name.lower().endswith("_proxy")} - {"no_proxy"}
    if not named and os.name == "posix" and sys.platform != "darwin":
        return False  # Windows and macOS have proxies in their settings too
    from urllib.request import getproxies  # lazily: the import is slow

    proxies = getproxies()
    parts = urlsplit(endpoint)
    if not any(proxies.get(name) for name in (parts.scheme, "all")):
        return False
    host = parts.hostname or ""
    names = [name.strip() for name in proxies.get("no", "").split(",")]
    return not any(name in {"*", host} or _is_within(host, name.lstrip(".")) for name in names)


def _is_within(host: str, domain: str) -> bool:
    return bool(domain) and host.endswith(f".{domain}")
