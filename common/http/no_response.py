"""Make the exception for a request without a response, and find out whether it is a misconfiguration."""

from __future__ import annotations

import re
import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import h11

from common.http.backend import HttpFailure, TlsMismatch
from common.model.errors import TransportError
from common.response.http_response import HttpResponse

if TYPE_CHECKING:
    from common.http.log import Redact

MAX_DETAIL = 300
"""How many characters of an HTTP library's message are shown."""
MAX_CHAIN = 8
"""How many causes of an exception are looked at."""

NO_SUCH_HOST: frozenset[int] = frozenset(
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA") if hasattr(socket, name)
)
"""The resolver's errors for a name that does not exist, or has no address. EAI_AGAIN is none of them."""
NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})
"""OpenSSL's reasons for a reply to a handshake that is not TLS; the second since 3.2."""
EXPIRED, NOT_YET_VALID, OTHER_HOST, OTHER_ADDRESS = 10, 9, 62, 64
"""OpenSSL's verify codes (``X509_V_ERR_…``) for problems that another CA file would not solve."""
_PLAIN_REFUSED = re.compile(
    rb"plain http request|speaking plain http|http request to an https server|port requires tls",
    re.IGNORECASE,
)
"""How servers answer plain http where they expect TLS, with 400: nginx, Apache, Go's ``net/http``, Tomcat,
Cheroot."""
_BINARY = "illegal request line"
"""h11's message for a response that begins with a control character, as a TLS record does."""


def transport_error(failure: HttpFailure, method: str, url: str, *, redact: Redact) -> TransportError:
    """Return the exception for a request without a response; ``url`` is quoted in it.

    If the cause is a misconfiguration, it is ``misconfigured``, and its text says what to do.
    """
    if failure.closed:
        detail = redact(str(failure.error), MAX_DETAIL)
        reason = f" ({detail})" if detail else ""
        return TransportError(f"{method} {url}: the client was closed during the request{reason}")
    chain: list[BaseException] = []
    cause: BaseException | None = failure.error
    while cause is not None and len(chain) < MAX_CHAIN:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    texts = [str(each) for each in chain]
    # aiohttp, below a client of the caller's, writes "ssl:default" for plain http too.
    text = next(filter(None, texts), "").replace(" ssl:default", "")
    detail = " ".join(redact(text, MAX_DETAIL).split())
    # Beginning with the first cause, since a library's own exception only repeats its text.
    advices = (_advice(each, url, sent=failure.sent) for each in reversed(chain))
    advice = next(filter(None, advices), None)
    if advice is None and url.startswith("http://") and _is_binary(failure.error):
        advice = _expects_tls(url)
    hint = f"; {advice}" if advice else ""
    return TransportError(
        f"{method} {url}: {type(failure.error).__name__}{': ' if detail else ''}{detail}{hint}",
        sent=failure.sent and not advice,
        dropped=failure.dropped,
        misconfigured=advice is not None,
    )


def plain_http_refused(response: HttpResponse, method: str, url: str) -> TransportError | None:
    """Return the exception where a server answers plain http by saying that it expects TLS, else None."""
    if not url.startswith("http://"):
        return None
    upgrade = response.status == 426 and "TLS/" in (response.header("upgrade") or "").upper()
    if not upgrade and not (response.status == 400 and _PLAIN_REFUSED.search(response.body)):
        return None
    return TransportError(
        f"{method} {url}: answered {response.status}: {_expects_tls(url)}", sent=False, misconfigured=True
    )


def _advice(cause: BaseException, url: str, *, sent: bool) -> str | None:
    """Return what to do about the misconfiguration that an exception shows, None for any other cause."""
    if isinstance(cause, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(cause):
        return _about_certificate(getattr(cause, "verify_code", 0))
    if isinstance(cause, socket.gaierror):
        return _NO_HOST if cause.errno in NO_SUCH_HOST else None
    if isinstance(cause, UnicodeError):  # of the resolver: what else is sent was checked before
        return None if sent else _NO_HOST
    if url.startswith("http://"):
        return _expects_tls(url) if isinstance(cause, TlsMismatch) else None
    no_tls = isinstance(cause, ssl.SSLError) and getattr(cause, "reason", "") in NOT_TLS and not sent
    if isinstance(cause, TlsMismatch) or no_tls:
        return (
            f"the server does not use TLS on this port: use {_origin(url, 'http')} for requests without "
            "encryption, or the server's TLS port"
        )
    return None


def _is_binary(error: BaseException) -> bool:
    """Whether an HTTP library found a response that is not text; it does not tell the byte."""
    return str(error).startswith(_BINARY) and not isinstance(error, h11.RemoteProtocolError)


_NO_HOST = "the host does not exist: check the spelling of its name, and the DNS server of this machine"


def _about_certificate(verify_code: int) -> str:
    if verify_code in (OTHER_HOST, OTHER_ADDRESS):
        return (
            "the certificate is for other names: use one of those, or pass verify= an ssl.SSLContext with "
            "check_hostname off"
        )
    if verify_code in (EXPIRED, NOT_YET_VALID):
        return (
            "replace the certificate on the server, or correct this machine's clock if it is wrong; only "
            "verify=False would accept the certificate"
        )
    return "pass verify='ca.pem', the certificate of the server's CA"


def _expects_tls(url: str) -> str:
    return f"the server expects TLS on this port: use {_origin(url, 'https')}"


def _origin(url: str, scheme: str) -> str:
    return f"{scheme}://{urlsplit(url).netloc}"
