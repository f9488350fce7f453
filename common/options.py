"""The keywords that every source takes, checked before any request."""

from __future__ import annotations

import importlib.util
import math
import os
import sys
import warnings
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, TypeGuard
from urllib.parse import urlsplit

import attrs

from common.model.endpoints import is_loopback, origin
from common.model.errors import UsageError
from common.model.states import Action, JobState
from common.polling.policy import LONGEST, PollPolicy

if TYPE_CHECKING:
    import ssl

    import httpx

    from common.telemetry.events import Observer

Verify: TypeAlias = "bool | str | os.PathLike[str] | ssl.SSLContext"
"""True, False (by name only), a CA file or folder, or a context of the caller's own."""


Cert = str | os.PathLike[str] | tuple[str, str] | tuple[str, str, str]
"""A client certificate: one PEM file, or certificate and key files, with the key's password if it has one."""


LARGEST = sys.float_info.max
"""A time allowed above this is none."""
PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")


class InsecureConnectionWarning(UserWarning):
    """Credentials travel in the clear, or to a server whose certificate nobody looked at."""


class SourceOptions(TypedDict, total=False):
    """The keywords shared by all sources; each may be left out.

    - ``verify``: True, a CA file or folder, an ``ssl.SSLContext``, or False (by name only). For a token
      endpoint elsewhere it counts too; there a CA file is believed beside the well-known authorities.
    - ``cert``: a client certificate: a PEM file, (certificate, key) or (certificate, key, password).
    - ``http``: the caller's own ``httpx.AsyncClient``; never closed here; excludes the next two and the
      former two.
    - ``transport``: an httpx transport, such as a simulator's. ``proxy``: a proxy's URL.
    - ``request_timeout``: seconds for one request, all of it (30).
    - ``concurrency``: requests in flight at most (8).
    - ``user_agent``: put before ours.
    - ``aliases``: other origins of the same system, accepted in refs.
    - ``states``: more words for states, such as ``{"PARTIALLY_DONE": JobState.PARTIAL}``.
    - ``policy``: how often to ask. ``observer``: told of each event.
    """

    verify: Verify
    cert: Cert | None
    http: httpx.AsyncClient | Any | None
    transport: httpx.AsyncBaseTransport | None
    proxy: str | None
    request_timeout: float
    concurrency: int
    user_agent: str | None
    aliases: Iterable[str]
    states: Mapping[str, JobState]
    policy: PollPolicy | None
    observer: Observer | None


@attrs.frozen(kw_only=True, repr=False)
class Options:
    """`SourceOptions` after the check, with defaults filled in."""

    verify: Any = True
    cert: Any = None
    http: Any = None
    transport: Any = None
    proxy: str | None = None
    request_timeout: float = 30.0
    concurrency: int = 8
    user_agent: str | None = None
    aliases: frozenset[str] = frozenset()
    states: Mapping[str, JobState] = attrs.field(factory=dict[str, JobState])
    policy: PollPolicy | None = None
    observer: Any = None


def read_options(given: Mapping[str, Any], *, endpoint: str) -> Options:
    """The checked options of a source. Raises `UsageError` for an unknown, clashing or senseless one."""
    known = SourceOptions.__annotations__
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise UsageError(f"unknown keyword {unknown[0]!r}: a source takes {', '.join(sorted(known))}")
    options = {name: value for name, value in given.items() if value is not None}
    _check_client(options)
    timeout = options.get("request_timeout", 30.0)
    if not _is_number(timeout) or not 0 < timeout < LONGEST:
        raise UsageError("request_timeout= must be a number of seconds above 0")
    concurrency = options.get("concurrency", 8)
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        raise UsageError("concurrency= must be a whole number of requests, at least 1")
    agent = options.get("user_agent", "")
    if not isinstance(agent, str) or not (agent.isascii() and agent.isprintable()):
        raise UsageError("user_agent= must be printable ASCII text on one line")
    if "policy" in options and not isinstance(options["policy"], PollPolicy):
        raise UsageError("policy= must be a PollPolicy, such as PollPolicy(initial=1.0, maximum=30.0)")
    if "observer" in options and not callable(options["observer"]):
        raise UsageError("observer= must be a function that takes one Event")
    if "transport" in options and not hasattr(options["transport"], "handle_async_request"):
        raise UsageError(
            "transport= must be an asynchronous httpx transport, such as a simulator's transport()"
        )
    if "proxy" in options:
        _check_proxy(options["proxy"])
    if "aliases" in options:
        options["aliases"] = read_aliases(options["aliases"])
    if "states" in options:
        options["states"] = read_states(options["states"])
    if "cert" in options and not endpoint.startswith("https://"):
        raise UsageError("cert= is shown in a TLS handshake, and there is none with an http:// endpoint")
    _warn_if_insecure(endpoint, options.get("verify", True))
    return Options(**options)


def read_timeout(timeout: object) -> float | None:
    """A wait's ``timeout=`` in seconds, None for no deadline. Raises `UsageError` for nonsense."""
    if timeout is None:
        return None
    if not _is_number(timeout) or (isinstance(timeout, float) and math.isnan(timeout)):
        raise UsageError("timeout= must be a number of seconds, or None for no deadline")
    if timeout < 0:
        raise UsageError("timeout= must not be below 0: give seconds from now")
    return None if timeout > LARGEST else float(timeout)


def read_action(action: str) -> Action:
    """What ``act`` is to do. Raises `UsageError` for what is no `Action`."""
    try:
        return Action(action)
    except ValueError:
        raise UsageError(f"unknown action {action!r}: pass Action.PAUSE, RESUME or CANCEL") from None


def read_states(states: Mapping[str, JobState]) -> dict[str, JobState]:
    """``states=`` with its words folded to lower case."""
    try:
        return {word.lower(): JobState(state) for word, state in states.items()}
    except (AttributeError, ValueError):
        raise UsageError("states= must map the server's words to JobState members") from None


def read_until(until: Collection[JobState] | None) -> frozenset[JobState] | None:
    """``until=`` as a set of states. Raises `UsageError` for anything else, or for an empty one."""
    if until is None:
        return None
    try:
        wanted = frozenset(JobState(state) for state in ([until] if isinstance(until, str) else until))
    except (ValueError, TypeError):
        raise UsageError("until= must be a collection of JobState members") from None
    if not wanted:
        raise UsageError("until= names no state: leave it out to wait for any end")
    return wanted


def read_aliases(aliases: Iterable[str]) -> frozenset[str]:
    """``aliases=`` as origins."""
    if isinstance(aliases, str | bytes) or not isinstance(aliases, Iterable):
        raise UsageError("aliases= must be a collection of endpoints, not one text")
    return frozenset(origin(alias) for alias in aliases)


def _check_client(options: Mapping[str, Any]) -> None:
    if "http" in options:
        clash = [name for name in ("verify", "cert", "proxy", "transport") if name in options]
        if clash:
            raise UsageError(f"{clash[0]}= beside http=: set it on your own client, or leave http= out")
    if "transport" in options:
        clash = [name for name in ("verify", "cert", "proxy") if name in options]
        if clash:
            raise UsageError(
                f"{clash[0]}= beside transport=: set it on your own transport, or leave that out"
            )


def _warn_if_insecure(endpoint: str, verify: object) -> None:
    if endpoint.startswith("http://") and not is_loopback(endpoint):
        message = f"{endpoint} is plain http: credentials travel in the clear"
    elif verify is False and endpoint.startswith("https://"):
        message = f"verify=False: the certificate of {endpoint} is not checked; verify='ca.pem' is safer"
    else:
        return
    warnings.warn(message, InsecureConnectionWarning, stacklevel=5)


def _check_proxy(proxy: object) -> None:
    # Never quoted back: it may hold a password.
    try:
        parts = urlsplit(proxy) if isinstance(proxy, str) else None
        usable = parts is not None and parts.scheme in PROXY_SCHEMES and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(f"proxy= must be the URL of one, beginning with {' or '.join(PROXY_SCHEMES)}://")
    if str(proxy).startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise UsageError(
            "proxy= names a SOCKS proxy, which needs another package: pip install 'httpx[socks]'"
        )


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
