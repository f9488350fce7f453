"""The reference of a job outside its server: text that a database or a queue can store."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

import attrs

from common.model.endpoints import endpoint_url
from common.model.errors import UsageError
from common.model.lazy import Unchecked, unchecked
from common.model.tracebacks import without_frames
from common.set_module import set_module

ACCOUNT = "account"
"""The part of a scope that is written in the path of a ref; all others go in its query."""
DONE = "done"
"""The hint with the status of a write that was done when it was answered, such as "200"."""
RESULTS = "results"
"""The hint with the path of the results of a write of many records."""
HINTS = frozenset({DONE, RESULTS})
"""The names of hints; no part of a scope may have one of them."""

_PROVIDER = re.compile(r"[a-z][a-z0-9]*")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]*")
_BLANK = re.compile(r"[\x00-\x20]")
_REF = re.compile(r"(?P<provider>[a-z][a-z0-9]*)(?P<plain>\+http)?://(?P<host>[^/?#]*)/(?P<rest>.*)")

Scope = tuple[tuple[str, str], ...]
Hints = tuple[tuple[str, str], ...]


def encode_segment(text: str) -> str:
    """Return any text as one path segment: ``/`` becomes ``%2F``; ``~`` and ``.`` stay."""
    return text if _UNRESERVED.fullmatch(text) else quote(text, safe="", errors="surrogatepass")


def decode_segment(text: str) -> str:
    """Return the text of `encode_segment`'s result. Raise `UnicodeDecodeError` for what it never returns."""
    return unquote(text, errors="surrogatepass")


def _query(pairs: Sequence[tuple[str, str]], *, safe: str = "") -> str:
    if not pairs:
        return ""  # most refs have no hints
    return urlencode(pairs, safe=safe, quote_via=quote, errors="surrogatepass")


def _pairs(what: str, example: str, value: Any) -> tuple[tuple[str, str], ...]:
    pairs = value.items() if isinstance(value, Mapping) else value
    try:
        named = {str(name): str(part) for name, part in pairs}
    except (TypeError, ValueError):
        raise UsageError(f"{what} must be pairs of name and value, such as {example}") from None
    # In one order, so that refs with equal pairs are equal, whether they came as text or as arguments.
    return tuple(sorted(named.items(), key=lambda pair: (pair[0] != ACCOUNT, pair)))


def _scope(value: Any) -> Scope:
    scope = value if value == () else _pairs("a scope", "(('account', 'account-x1'),)", value)
    if any(name in HINTS for name, _ in scope):
        raise UsageError(f"a scope cannot have {' or '.join(sorted(HINTS))}: they are hints")
    return scope


def _hints(value: Any) -> Hints:
    hints = value if value == () else _pairs("hints", "(('done', '200'),)", value)
    if any(name not in HINTS for name, _ in hints):
        raise UsageError(f"a ref can only have the hints {' and '.join(sorted(HINTS))}")
    return hints


def _endpoint_or_none(value: Any) -> str:
    return "" if value == "" else endpoint_url(value)


@attrs.frozen
class JobRef(Unchecked):
    """The reference of one job of one server. It contains no secret, and can be hashed and pickled.

    ``endpoint`` is an origin such as ``https://cluster1.example.com``, perhaps with a path below it, or ""
    for the source's own.
    ``scope`` narrows an endpoint to a tenant, or to one kind of jobs: pairs of name and value (BlueXP:
    account and agent; ONTAP: the path of jobs that are not those of the cluster). ``hints`` are pairs that
    the response to the write had beside the id, and do not count in comparisons. ONTAP has ``results``, the
    path of the results of a write of many records, and ``done``, the status of a write whose work is done.
    ``str(ref)`` is a URI, such as ``ontap://cluster1.example.com/b5145e1d-…``, which `JobRef.parse` reads. An
    endpoint's path ends with two slashes: ``ontap://um/api/gateways/1cd8a442//b5145e1d-…``. Raise
    `UsageError` for an empty id or an invalid endpoint.
    """

    provider: str
    endpoint: str = attrs.field(converter=_endpoint_or_none)
    id: str
    scope: Scope = attrs.field(default=(), converter=_scope)
    hints: Hints = attrs.field(default=(), converter=_hints, eq=False)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.provider, str) or not _PROVIDER.fullmatch(self.provider):
            raise UsageError("a provider's name must be lower-case letters and digits, such as 'ontap'")
        if not isinstance(self.id, str) or not self.id:
            raise UsageError("the job's id is empty: use the id that the server returned")

    def __str__(self) -> str:
        secure, _, host = self.endpoint.rpartition("://")
        scheme = f"{self.provider}+http" if secure == "http" else self.provider
        divider = "//" if "/" in host else "/"
        if not self.scope and not self.hints:  # most refs; quick, since each of many `WaitTimeout` needs it
            return f"{scheme}://{host}{divider}{encode_segment(self.id)}"
        path = [part for name, part in self.scope if name == ACCOUNT]
        text = f"{scheme}://{host}{divider}{'/'.join(map(encode_segment, [*path, self.id]))}"
        scope = _query([pair for pair in self.scope if pair[0] != ACCOUNT])
        query = "&".join(filter(None, (scope, _query(self.hints, safe="/"))))
        return f"{text}?{query}" if query else text

    def hint(self, name: str) -> str | None:
        """Return the hint of this name, or None."""
        return next((value for key, value in self.hints if key == name), None) if self.hints else None

    def with_hints(self, more: Hints) -> JobRef:
        """Return this ref with those of the hints added whose names it does not have yet."""
        known = {name for name, _ in self.hints}
        hints = self.hints + tuple(pair for pair in more if pair[0] not in known)
        return self if hints == self.hints else attrs.evolve(self, hints=hints)

    def sibling(self, id: str) -> JobRef:
        """Return the ref of another job of this server and scope; ``id``, not empty, is not checked."""
        draft = UncheckedRef()
        draft.provider = self.provider
        draft.endpoint = self.endpoint
        draft.id = id
        draft.scope = self.scope
        draft.hints = ()
        draft.__class__ = JobRef
        sibling: JobRef = draft
        return sibling

    @classmethod
    @without_frames
    def parse(cls, text: str) -> JobRef:
        """Return the ref whose ``str(ref)`` the text is. Raise `UsageError` for any other text."""
        match = _REF.fullmatch(text) if isinstance(text, str) else None
        if match is None or _BLANK.search(text):
            raise UsageError("not a job reference: write it like 'ontap://host/id'")
        host, scheme = match["host"], "http" if match["plain"] else "https"
        path, _, query = match["rest"].partition("?")
        prefix, divider, rest = path.partition("//")
        if host and prefix and divider:  # an endpoint's path never ends in a slash, and no id is empty
            host, path = f"{host}/{prefix}", rest
        try:
            segments = [decode_segment(part) for part in path.split("/")]
            pairs = parse_qsl(query, keep_blank_values=True, errors="surrogatepass") if query else []
        except (UnicodeDecodeError, ValueError):
            raise UsageError("not a job reference: it has an escape (%..) that is not valid UTF-8") from None
        names = [name for name, _ in pairs]
        if len(segments) > 2 or "#" in match["rest"] or ACCOUNT in names or len(set(names)) < len(names):
            raise UsageError(
                "not a job reference: the path must be the id, or an account and the id; an endpoint's own "
                "path comes before it and ends with two slashes"
            )
        scope = [(ACCOUNT, segments[0])] if len(segments) == 2 else []
        scope += [pair for pair in pairs if pair[0] not in HINTS]
        hints = [pair for pair in pairs if pair[0] in HINTS]
        return cls(match["provider"], f"{scheme}://{host}" if host else "", segments[-1], scope, hints)


UncheckedRef: Any = unchecked(JobRef)
"""For `JobRef.sibling`: a `JobRef` whose values are not checked (see `common.model.lazy`)."""


set_module(JobRef)
