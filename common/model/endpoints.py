"""Check and normalise an endpoint: an origin (scheme, host and port), perhaps with a path.

Parts that could hold a secret (user, query, fragment) are refused.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from common.model.errors import UsageError

_DEFAULT_PORTS = {"https": 443, "http": 80}
_BRACKETED = re.compile(r"\[[^\[\]]+\](:\d*)?")
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_PREFIX = re.compile(r"(/(?!\.{1,2}(/|$))[\w\-.~!$&'()*+,=:]+)+", re.ASCII)
"""The path of an endpoint: plain segments, none of which is ``.`` or ``..``, without percent-encoding."""
_HOST = re.compile(rf"(?=.{{1,254}}$){_LABEL}(\.{_LABEL})*\.?")


def origin(text: str) -> str:
    """Return the origin ``https://host[:port]`` that a user typed; without a scheme it gets ``https://``.

    The result is in lower case, without a default port. Raise `UsageError` for anything but an origin.
    """
    if not isinstance(text, str) or not text.strip():
        raise UsageError(
            "the endpoint is empty: use a host name or a URL such as 'https://cluster1.example.com'"
        )
    return _read_origin(text)


def endpoint_url(text: str) -> str:
    """Return the endpoint ``https://host[:port][/path]`` that a user typed, as `origin` does.

    The path is the one below which a gateway or a proxy serves the API (``https://um/api/gateways/{uuid}``).
    The result has no slash at its end. Raise `UsageError` for anything else; the message never quotes it.
    """
    start = text.find("/", text.find("://") + 3 if "://" in text else 0) if isinstance(text, str) else -1
    if start < 0 or text[start:] == "/":
        return origin(text)
    head, prefix = origin(text[:start]), text[start:].removesuffix("/")
    if not _PREFIX.fullmatch(prefix):
        raise UsageError(
            "the endpoint's path must have plain segments only: no query, no fragment, no '.' or '..', no "
            "empty segment, no percent-encoding"
        )
    return head + prefix


def split_endpoint(endpoint: str) -> tuple[str, str]:
    """Return the origin and the path of what `endpoint_url` returned; the path is "" for none."""
    scheme, _, rest = endpoint.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}", f"/{path}" if slash else ""


@functools.lru_cache(maxsize=4096)
def _read_origin(text: str) -> str:
    if any(ord(c) <= 32 or ord(c) == 127 for c in text):
        raise UsageError(
            "the endpoint contains white space or control characters: write it as 'https://host[:port]'"
        )
    url = text if "://" in text else f"https://{text}"
    _refuse_bare_ipv6(url)
    try:
        parts = urlsplit(url)
        port = parts.port
        if port == 0:
            raise ValueError("port 0")
    except ValueError:
        raise UsageError(
            "the endpoint is not a URL: write it as 'https://host[:port]', with a port from 1 to 65535"
        ) from None
    _refuse_extras(parts)
    host = _host(parts)
    default = _DEFAULT_PORTS[parts.scheme]
    return f"{parts.scheme}://{host}" if port in (None, default) else f"{parts.scheme}://{host}:{port}"


def _refuse_bare_ipv6(url: str) -> None:
    # Before urlsplit, which takes what is behind a colon for a port.
    host = re.split("[/?#]", url.partition("://")[2], maxsplit=1)[0]
    if host.count(":") < 2:
        return
    for text in (host, host.rpartition(":")[0]):  # the last number may be a port
        try:
            address = ipaddress.IPv6Address(text)
        except ValueError:
            continue
        raise UsageError(
            "the endpoint is an IPv6 address without brackets: write it as "
            f"'https://[{address}]', with a port behind the brackets"
        )


def _refuse_extras(parts: SplitResult) -> None:
    # Never quoted back: what is refused here may hold a password or a token.
    if "@" in parts.netloc:
        raise UsageError("the endpoint holds a user name or password: pass them as auth=(user, password)")
    if parts.scheme not in _DEFAULT_PORTS:
        raise UsageError("the endpoint must begin with https:// (or http:// where the server has no TLS)")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise UsageError(
            "the endpoint must be an origin: 'https://host[:port]' without path, query or fragment"
        )


def _host(parts: SplitResult) -> str:
    host = (parts.hostname or "").lower()
    if "[" in parts.netloc or "]" in parts.netloc:
        if not _BRACKETED.fullmatch(parts.netloc):
            raise UsageError(
                "the endpoint's brackets must enclose an IPv6 address: write for example 'https://[2001:db8::1]'"
            )
        try:
            return f"[{ipaddress.IPv6Address(host)}]"
        except ValueError:
            raise UsageError(
                "the endpoint's IPv6 address is invalid: write for example 'https://[2001:db8::1]'"
            ) from None
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            host = ""
    if not _HOST.fullmatch(host):
        raise UsageError("the endpoint has no valid host name: write it as 'https://host[:port]'")
    return host


def is_loopback(endpoint: str) -> bool:
    """Whether an origin is on this machine, where plain http reveals a secret to nobody else."""
    host = (urlsplit(endpoint).hostname or "").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
