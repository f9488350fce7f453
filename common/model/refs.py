"""The reference of a job outside its server: text that a database or a queue can store."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

import attrs

from common.model.endpoints import origin
from common.model.errors import UsageError
from common.model.lazy import Unchecked, unchecked
from common.model.tracebacks import without_frames

ACCOUNT = "account"
"""The part of a scope that is written in the path of a ref; all others go in its query."""

_PROVIDER = re.compile(r"[a-z][a-z0-9]*")
_REF = re.compile(
    r"(?P<provider>[a-z][a-z0-9]*)(?P<plain>\+http)?://(?P<host>[^/?#]*)/(?P<rest>.*)",
    re.ASCII | re.DOTALL,
)

Scope = tuple[tuple[str, str], ...]


def encode_segment(text: str) -> str:
    """Return any text as one path segment: ``/`` becomes ``%2F``; ``~`` and ``.`` stay."""
    return quote(text, safe="", errors="surrogatepass")


def decode_segment(text: str) -> str:
    """Return the text of `encode_segment`'s result. Raise `UnicodeDecodeError` for what it never returns."""
    return unquote(text, errors="surrogatepass")


def _scope(value: Any) -> Scope:
    if value == ():
        return ()
    pairs = value.items() if isinstance(value, Mapping) else value
    try:
        named = {str(name): str(part) for name, part in pairs}
    except (TypeError, ValueError):
        raise UsageError(
            "a scope must be pairs of name and value, such as (('account', 'account-x1'),)"
        ) from None
    # In one order, so that refs with equal scopes are equal, whether they came as text or as arguments.
    return tuple(sorted(named.items(), key=lambda pair: (pair[0] != ACCOUNT, pair)))


def _origin_or_none(value: Any) -> str:
    return "" if value == "" else origin(value)


@attrs.frozen
class JobRef(Unchecked):
    """The reference of one job of one server. It contains no secret, and can be hashed and pickled.

    ``endpoint`` is an origin such as ``https://cluster1.example.com``, or "" for the source's own.
    ``scope`` narrows an endpoint to a tenant: pairs of name and value (BlueXP: account and agent).
    ``str(ref)`` is a URI, ``ontap://cluster1.example.com/b5145e1d-…``, which `JobRef.parse` reads.
    Raise `UsageError` for an empty id or an endpoint that is not an origin.
    """

    provider: str
    endpoint: str = attrs.field(converter=_origin_or_none)
    id: str
    scope: Scope = attrs.field(default=(), converter=_scope)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.provider, str) or not _PROVIDER.fullmatch(self.provider):
            raise UsageError("a provider's name must be lower-case letters and digits, such as 'ontap'")
        if not isinstance(self.id, str) or not self.id:
            raise UsageError("the job's id is empty: pass the id that the server returned, as text")

    def __str__(self) -> str:
        secure, _, host = self.endpoint.rpartition("://")
        scheme = f"{self.provider}+http" if secure == "http" else self.provider
        path = [part for name, part in self.scope if name == ACCOUNT]
        query = [pair for pair in self.scope if pair[0] != ACCOUNT]
        text = f"{scheme}://{host}/{'/'.join(map(encode_segment, [*path, self.id]))}"
        return f"{text}?{urlencode(query, quote_via=quote, errors='surrogatepass')}" if query else text

    def sibling(self, id: str) -> JobRef:
        """Return the ref of another job of this server and scope; ``id``, not empty, is not checked."""
        draft = UncheckedRef()
        draft.provider = self.provider
        draft.endpoint = self.endpoint
        draft.id = id
        draft.scope = self.scope
        draft.__class__ = JobRef
        sibling: JobRef = draft
        return sibling

    @classmethod
    @without_frames
    def parse(cls, text: str) -> JobRef:
        """Return the ref whose ``str(ref)`` the text is. Raise `UsageError` for any other text."""
        match = _REF.fullmatch(text) if isinstance(text, str) else None
        if match is None or any(ord(c) <= 32 for c in text):
            raise UsageError(
                "not a job reference: pass text like 'ontap://host/id', as str(job.ref) returns it"
            )
        host, scheme = match["host"], "http" if match["plain"] else "https"
        path, _, query = match["rest"].partition("?")
        try:
            segments = [decode_segment(part) for part in path.split("/")]
            pairs = parse_qsl(query, keep_blank_values=True, errors="surrogatepass")
        except (UnicodeDecodeError, ValueError):
            raise UsageError("not a job reference: it has an escape (%..) that is no valid UTF-8") from None
        names = [name for name, _ in pairs]
        if len(segments) > 2 or "#" in match["rest"] or ACCOUNT in names or len(set(names)) < len(names):
            raise UsageError("not a job reference: the path must be the id, or an account and the id")
        scope = [(ACCOUNT, segments[0])] if len(segments) == 2 else []
        return cls(match["provider"], f"{scheme}://{host}" if host else "", segments[-1], (*scope, *pairs))


UncheckedRef: Any = unchecked(JobRef)
"""For `JobRef.sibling`: a `JobRef` whose values are not checked (see `common.model.lazy`)."""
