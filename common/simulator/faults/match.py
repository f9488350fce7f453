"""Which requests an injected fault is meant for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase

import attrs

from common.simulator.messages import Request

Chooser = Callable[[Request], bool]
"""A test's own function that returns whether a request is meant."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def _read_method(method: str | None) -> str | None:
    if method is None or method == "*":
        return None
    if not isinstance(method, str) or method.upper() not in METHODS:
        raise ValueError(f"a method is one of {', '.join(METHODS)}, or * for any, not {method!r}")
    return method.upper()


def _pattern(regex: str | re.Pattern[str] | None) -> re.Pattern[str] | None:
    try:
        return re.compile(regex) if isinstance(regex, str) else regex
    except re.error as error:
        raise ValueError(f"not a regular expression: {regex!r}: {error}") from None


def _from_one(match: Match, attribute: attrs.Attribute[int | None], value: int | None) -> None:
    if value is not None and value < 1:
        raise ValueError(f"the n-th request is counted from 1, not {value}")


@attrs.frozen
class Match:
    """Conditions on a request; a condition that is None, or not named, always holds.

    ``path`` is a pattern of the decoded path, in which ``*`` is any text (slashes too); ``regex`` is
    searched for in it. ``query`` has a pattern for each parameter that must be there. ``job`` is an id:
    in the path, or alone or beside others (``a|b``) in a parameter. ``nth`` is which of the requests
    that meet the other conditions, counted from 1. Raise `ValueError` for a method that does not exist, a
    pattern that is no regular expression, and an ``nth`` below 1.
    """

    method: str | None = attrs.field(default=None, converter=_read_method)
    path: str | None = None
    regex: re.Pattern[str] | None = attrs.field(default=None, converter=_pattern)
    query: Mapping[str, str] = attrs.field(factory=dict[str, str])
    job: str | None = None
    nth: int | None = attrs.field(default=None, validator=_from_one)
    chooser: Chooser | None = None

    def matches(self, request: Request) -> bool:
        """Whether a request meets every condition but ``nth``."""
        query = request.query
        return (
            (self.method is None or self.method == request.method)
            and (self.path is None or fnmatchcase(request.path, _glob(self.path)))
            and (self.regex is None or self.regex.search(request.path) is not None)
            and all(name in query and fnmatchcase(query[name], _glob(t)) for name, t in self.query.items())
            and (self.job is None or self.job in ids_in(request))
            and (self.chooser is None or self.chooser(request))
        )

    def __str__(self) -> str:
        where = self.path or (f"/{self.regex.pattern}/" if self.regex else "any path")
        parts = [self.method or "any method", where]
        parts += [f"with {name}={text}" for name, text in self.query.items()]
        parts += [f"about job {self.job}"] if self.job else []
        parts += [f"number {self.nth}"] if self.nth else []
        parts += [f"that {getattr(self.chooser, '__name__', 'a function')} chooses"] if self.chooser else []
        return " ".join(parts)


MatchLike = Match | Chooser | re.Pattern[str] | str | None
"""A `Match`; ``"GET /api/*"``, ``"/api/*"`` or ``"GET"``; a compiled pattern, searched for in the path; a
function of the request; None for any."""


def match_of(like: MatchLike) -> Match:
    """Return the match that a test means. Raise `ValueError` for text that is neither method nor path."""
    if isinstance(like, Match):
        return like
    if like is None:
        return Match()
    if isinstance(like, re.Pattern):
        return Match(regex=like)
    if callable(like):
        return Match(chooser=like)
    text = like if isinstance(like, str) else ""
    method, _, path = ("", "", text) if text[:1] in {"/", "*"} else text.partition(" ")
    sane = not method or (method.isalpha() and method.isupper())
    if not text or not sane or (path and path[0] not in "/*"):
        raise ValueError(f"neither a method, nor a path, nor both: {like!r}; write it like 'GET /jobs/*'")
    return Match(method=method or None, path=path or None)


def ids_in(request: Request) -> frozenset[str]:
    """Return every segment of the path and every value of a parameter: one may be a job's id."""
    listed = (part for _, text in request.parameters for part in text.split("|"))
    return frozenset((*request.segments, *listed))


def _glob(text: str) -> str:
    """Return a pattern of `fnmatch` in which ``*`` alone is special, since ids may hold brackets."""
    return text.replace("[", "[[]").replace("?", "[?]")
