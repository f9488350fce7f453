"""The keywords that every source takes, checked before any request."""

from __future__ import annotations

import importlib.util
import inspect
import math
import os
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from inspect import Parameter
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, TypeGuard, TypeVar, cast
from urllib.parse import unquote, unquote_to_bytes, urlsplit

import attrs

from common.model.endpoints import endpoint_url, is_loopback, origin
from common.model.errors import UsageError
from common.model.states import Action, JobState
from common.model.tracebacks import stacklevel
from common.polling.policy import LONGEST, PollPolicy
from common.set_module import set_module
from common.telemetry.callbacks import is_async

if TYPE_CHECKING:
    import ssl

    import httpx

    from common.telemetry.events import Observer

_F = TypeVar("_F", bound=Callable[..., Any])

Verify: TypeAlias = "bool | str | os.PathLike[str] | ssl.SSLContext"
"""True, False (by name only), a CA file or folder, or a context of the caller's own."""


Cert = str | os.PathLike[str] | tuple[str, str] | tuple[str, str, str]
"""A client certificate: one PEM file, or certificate and key files, with the key's password if it has one."""


LARGEST = sys.float_info.max
"""Seconds: a longer timeout is no deadline."""
MAX_SOCKS_AUTH = 255
PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")


class InsecureConnectionWarning(UserWarning):
    """Credentials are sent unencrypted, or to a server whose certificate is not checked."""


class SourceOptions(TypedDict, total=False):
    """The keywords of every source; each may be left out, and None is as if it were.

    - ``verify``: True, a CA file or folder, an ``ssl.SSLContext``, or False, which switches verification off.
      It is also used for a token endpoint at another origin; there a CA file is trusted beside the well-known
      authorities.
    - ``cert``: a client certificate: a PEM file, (certificate, key) or (certificate, key, password). These
      files and those of ``verify`` are checked before new connections, at most once a second, and read again
      when they have changed.
    - ``http``: your own ``httpx.AsyncClient``, which the source never closes. It cannot be combined with
      ``verify``, ``cert``, ``transport`` and ``proxy``.
    - ``transport``: an httpx transport, such as a simulator's. ``proxy``: a proxy's URL.
    - ``trust_env``: False to ignore the environment: proxies, ``SSL_CERT_FILE``, ``SSL_CERT_DIR`` and
      ``JOBSOURCE_HTTP``.
    - ``request_timeout``: seconds for one request, from its start to the end of the response (30).
    - ``concurrency``: the maximum number of requests in flight (8).
    - ``user_agent``: the product to put before jobsource in User-Agent.
    - ``aliases``: other origins of the same system, accepted in refs.
    - ``states``: more words for states, such as ``{"PARTIALLY_DONE": JobState.PARTIAL}``.
    - ``policy``: how often to poll. ``observer``: a function that is called with each event.
    """

    verify: Verify
    cert: Cert | None
    http: httpx.AsyncClient | Any | None
    transport: httpx.AsyncBaseTransport | None
    proxy: str | None
    trust_env: bool
    request_timeout: float
    concurrency: int
    user_agent: str | None
    aliases: Iterable[str]
    states: Mapping[str, JobState]
    policy: PollPolicy | None
    observer: Observer | None


def shows_keywords(options: type, *, and_others: bool = False) -> Callable[[_F], _F]:
    """Return a decorator of a function whose ``**`` argument takes the keywords of a TypedDict.

    Type checkers read ``Unpack[…]``, of which ``help()`` and editors at run time show no more than the name.
    So the signature gets each keyword, with the default None, which is as if it were left out; with
    ``and_others`` the function takes more than these, and shows its ``**`` argument too.
    """

    def show(function: _F) -> _F:
        signature = inspect.signature(function)
        *own, others = signature.parameters.values()
        keywords = [
            Parameter(
                name,
                Parameter.KEYWORD_ONLY,
                default=None,
                annotation=getattr(hint, "__forward_arg__", hint),  # as it was written
            )
            for name, hint in options.__annotations__.items()
            if name not in signature.parameters
        ]
        parameters = [*own, *keywords, *([others] if and_others else [])]
        cast("Any", function).__signature__ = signature.replace(parameters=parameters)
        return function

    return show


def read_aliases(aliases: Iterable[str]) -> frozenset[str]:
    """Return ``aliases=`` as endpoints. Raise `UsageError` for anything but a collection of endpoints."""
    if isinstance(aliases, str | bytes) or not isinstance(aliases, Iterable):
        raise UsageError("aliases= must be a collection of endpoints, not one text")
    return frozenset(endpoint_url(alias) for alias in aliases)


def read_states(states: Mapping[str, JobState]) -> dict[str, JobState]:
    """Return ``states=`` with its words in lower case. Raise `UsageError` for anything but states by word."""
    try:
        return {word.lower(): JobState(state) for word, state in states.items()}
    except (AttributeError, ValueError):
        raise UsageError("states= must map the server's words to JobState members") from None


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def proxy_problem(proxy: object) -> str | None:
    """Return why a proxy cannot be used, as the end of a sentence about it; None where it can be.

    Its text is never quoted but for the scheme: it may hold a password, or the path of a key.
    """
    scheme = proxy.partition("://")[0].lower() if isinstance(proxy, str) and "://" in proxy else ""
    if scheme.startswith("ssh+") and scheme.removeprefix("ssh+") in PROXY_SCHEMES:
        return (
            f"has the scheme {scheme!r}, for a tunnel that is not opened here: open it yourself "
            "(ssh -D 1080 …), and name it as 'socks5://127.0.0.1:1080'"
        )
    if not _is_proxy(proxy):
        return f"must be a proxy's URL, '[user:password@]host[:port]' behind {', '.join(PROXY_SCHEMES)} and '://'"
    if not scheme.startswith("socks"):
        return None
    user = urlsplit(str(proxy)).netloc.rpartition("@")[0]
    if any(len(unquote_to_bytes(part)) > MAX_SOCKS_AUTH for part in user.split(":", 1)):
        return (
            f"has a user name or password of more than {MAX_SOCKS_AUTH} bytes, too long for SOCKS (RFC 1929)"
        )
    if importlib.util.find_spec("socksio") is None:
        return "is a SOCKS proxy, which needs another package: pip install 'httpx[socks]'"
    return None


def _is_proxy(proxy: object) -> bool:
    """Whether this is a proxy's URL, also for httpx, which raises several exceptions for others."""
    if not isinstance(proxy, str) or not proxy.isprintable() or " " in proxy:
        return False
    import httpx  # lazily: it takes long, but a proxy needs it in any case

    try:
        parts = urlsplit(proxy)
        # A proxy's host is what an endpoint's is; name and password are for HTTP Basic, in UTF-8.
        origin(f"http://{parts.netloc.rpartition('@')[2]}")
        unquote(parts.netloc).encode()
        httpx.Proxy(proxy)
    except (ValueError, UsageError, httpx.InvalidURL):
        return False
    return parts.scheme in PROXY_SCHEMES and parts.path in ("", "/") and not (parts.query or parts.fragment)


_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "request_timeout": (
        lambda value: _is_number(value) and 0 < value < LONGEST,
        "a number of seconds above 0",
    ),
    "concurrency": (
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 1,
        "a whole number of requests, at least 1",
    ),
    "trust_env": (lambda value: isinstance(value, bool), "True or False"),
    "user_agent": (
        lambda value: isinstance(value, str) and value.isascii() and value.isprintable(),
        "printable ASCII text on one line",
    ),
    "policy": (
        lambda value: isinstance(value, PollPolicy),
        "a PollPolicy, such as PollPolicy(initial=1.0, maximum=30.0)",
    ),
    "observer": (callable, "a function that takes one Event"),
    "transport": (
        lambda value: hasattr(value, "handle_async_request"),
        "an asynchronous httpx transport, such as a simulator's transport()",
    ),
}
"""For each keyword: the test of its value, and what the error says that it must be.

No error quotes the value, which may be a secret. ``verify``, ``cert``, ``http`` and ``proxy`` are checked
elsewhere.
"""


@attrs.frozen(kw_only=True, repr=False)
class Options:
    """The values of `SourceOptions` after `read_options`, with the default of each that was left out."""

    verify: Any = True
    cert: Any = attrs.field(default=None, repr=False)
    http: Any = attrs.field(default=None, repr=False)
    transport: Any = None
    proxy: str | None = attrs.field(default=None, repr=False)
    trust_env: bool = True
    request_timeout: float = 30.0
    concurrency: int = 8
    user_agent: str | None = None
    aliases: frozenset[str] = attrs.field(factory=frozenset[str], converter=read_aliases)
    states: Mapping[str, JobState] = attrs.field(factory=dict[str, JobState], converter=read_states)
    policy: PollPolicy | None = None
    observer: Any = None


def read_options(keywords: Mapping[str, Any], *, endpoint: str) -> Options:
    """Return the checked keywords of a source; None counts as left out.

    Raise `UsageError` for an unknown keyword, for two that cannot be combined, and for an invalid value. Give
    an `InsecureConnectionWarning`, at the line that makes the source, where its connection is not protected.
    """
    known = SourceOptions.__annotations__
    unknown = sorted(set(keywords) - set(known))
    if unknown:
        raise UsageError(f"unknown keyword {unknown[0]!r}: a source takes {', '.join(sorted(known))}")
    given = {name: value for name, value in keywords.items() if value is not None}
    _refuse_combined(given, "http", ("verify", "cert", "proxy", "transport"), "client")
    _refuse_combined(given, "transport", ("verify", "cert", "proxy"), "transport")
    for name, (test, what) in _RULES.items():
        if name in given and not test(given[name]):
            raise UsageError(f"{name}= must be {what}")
    if "proxy" in given and (problem := proxy_problem(given["proxy"])):
        raise UsageError(f"proxy= {problem}")
    options = Options(**given)
    if options.cert is not None and not endpoint.startswith("https://"):
        raise UsageError(
            "cert= needs an https:// endpoint: a client certificate is part of the TLS handshake"
        )
    _warn_if_insecure(endpoint, options.verify)
    return options


def _refuse_combined(given: Mapping[str, Any], name: str, others: Iterable[str], what: str) -> None:
    clash = [other for other in others if other in given and name in given]
    if clash:
        raise UsageError(
            f"{clash[0]}= cannot be combined with {name}=: set it on your own {what}, or leave {name}= out"
        )


def _warn_if_insecure(endpoint: str, verify: object) -> None:
    if endpoint.startswith("http://") and not is_loopback(endpoint):
        message = f"{endpoint} is plain http: credentials are sent unencrypted"
    elif verify is False and endpoint.startswith("https://"):
        message = f"verify=False: the certificate of {endpoint} is not checked; verify='ca.pem' is safer"
    else:
        return
    # The caller of the source's class: above read_options, HttpSource.__init__ and that class's __init__.
    warnings.warn(message, InsecureConnectionWarning, stacklevel=stacklevel(5))


def read_timeout(timeout: object) -> float | None:
    """Return a wait's ``timeout=`` in seconds, None for no deadline. Raise `UsageError` for anything else."""
    if timeout is None:
        return None
    if not _is_number(timeout) or (isinstance(timeout, float) and math.isnan(timeout)):
        raise UsageError("timeout= must be a number of seconds, or None for no deadline")
    if timeout < 0:
        raise UsageError("timeout= must not be below 0: give seconds from now")
    return None if timeout > LARGEST else float(timeout)


def read_deadline(deadline: object, timeout: object = None) -> datetime:
    """Return a wait's ``deadline=``. Raise `UsageError` for anything but an aware datetime, and for both."""
    if timeout is not None:
        raise UsageError("deadline= and timeout= cannot be combined: use one of them")
    if not isinstance(deadline, datetime):
        raise UsageError("deadline= must be an aware datetime; seconds from now are timeout=")
    if deadline.utcoffset() is None:
        raise UsageError(
            "deadline= has no time zone: pass an aware datetime, as datetime.now(UTC) + timedelta(hours=1) is"
        )
    return deadline


def check_on_update(function: object) -> None:
    """Raise `UsageError` for an ``on_update=`` that is neither a plain function nor left out."""
    if function is None:
        return
    if is_async(function):
        raise UsageError("on_update must be a plain function: an async one would have to be awaited")
    if not callable(function):
        raise UsageError("on_update must be a plain function of the job")


def check_on_cancel(on_cancel: object) -> None:
    """Raise `UsageError` for an ``on_cancel=`` that is neither one of its words nor a plain function."""
    if on_cancel not in ("leave", "cancel") and (not callable(on_cancel) or is_async(on_cancel)):
        raise UsageError("on_cancel= must be 'leave', 'cancel' or a plain function that returns a bool")


def read_action(action: str) -> Action:
    """Return the `Action` of this name. Raise `UsageError` where there is none."""
    try:
        return Action(action)
    except ValueError:
        raise UsageError(f"unknown action {action!r}: pass Action.PAUSE, RESUME or CANCEL") from None


def read_until(until: Collection[JobState] | None) -> frozenset[JobState] | None:
    """Return ``until=`` as a set of states. Raise `UsageError` for anything else, or for an empty one."""
    if until is None:
        return None
    try:
        wanted = frozenset(JobState(state) for state in ([until] if isinstance(until, str) else until))
    except (ValueError, TypeError):
        raise UsageError("until= must be a collection of JobState members") from None
    if not wanted:
        raise UsageError("until= is empty: leave it out to wait until the job ends")
    return wanted


set_module(InsecureConnectionWarning, SourceOptions)
