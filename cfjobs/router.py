"""Read the errors of the platform's router, which it sends in place of the API's response.

gorouter names the error in the header ``X-Cf-RouterError`` (its source: ``handlers/lookup.go``,
``routeservice.go``, ``max_request_size.go``, ``paniccheck.go``; ``proxy/round_tripper/error_handler.go``).
Such a response is never the API's, whatever its body is. Most errors occur before a server is chosen; after
``endpoint_failure`` follows, in brackets, the error of Go's HTTP client for the last try (since August 2021).
"""

from __future__ import annotations

import attrs

from common.response.http_response import HttpResponse

HEADER = "x-cf-routererror"
MAX_WORD = 300
"""How many characters of the header an exception shows."""

NOT_FORWARDED = frozenset(
    {"unknown_route", "no_endpoints", "empty_host", "connection limit reached"}
    | {"max-request-size-exceeded", "invalid_cf_app_instance_header", "invalid_cf_process_instance_header"}
    | {"route_service_unsupported", "invalid_route_service_signature", "expired_route_service_signature"}
)
"""The errors, in lower case, with which the router has not chosen a server."""

NOT_SENT = (
    "dial ",
    "no endpoints available",
    "incomplete request (",
    "tls: failed to verify certificate",
    "x509: ",
    "tls: first record does not look like a tls handshake",
    "net/http: tls handshake timeout",
    "remote error: tls: bad certificate",
    "remote error: tls: unknown certificate authority",
    "remote error: tls: certificate required",
    "remote error: tls: handshake failure",
)
"""How an ``endpoint_failure`` begins, in lower case, after which no server has the request.

They are those that gorouter itself tries again with any method (``proxy/fails/classifier_group.go``: "before
any http request data has been sent"), so that the tries before the last one were no other.
"""

_FAILURE = "endpoint_failure ("
_REMARK = "deprecated-semicolon-params"
"""A remark beside the API's own response, about a path with a semicolon (``handlers/query_param.go``)."""


@attrs.frozen
class RouterError:
    """An error of the router. ``forwarded``: whether a server of the API may have got the request."""

    word: str
    forwarded: bool


def read_router_error(response: HttpResponse) -> RouterError | None:
    """Return the router's error, None if the response is the API's own."""
    values = (value.strip().removesuffix(_REMARK).rstrip(", ") for value in response.header_values(HEADER))
    words = [value for value in values if value]
    if not words:
        return None
    text = ", ".join(words)
    shown = text[:MAX_WORD] if response.redact is None else response.redact(text, MAX_WORD)
    return RouterError(" ".join(shown.split()), not all(map(_before_sending, words)))


def _before_sending(word: str) -> bool:
    folded = word.casefold()
    return folded in NOT_FORWARDED or (
        folded.startswith(_FAILURE) and folded.removeprefix(_FAILURE).startswith(NOT_SENT)
    )
