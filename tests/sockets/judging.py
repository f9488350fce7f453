"""Hold an outcome of a source to the bytes that answered its own requests."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

from common import JobsError
from tests.sockets.calls import NUMBER, numbers
from tests.sockets.servers.strict_reader import Exchange

_SAFE = ("GET", "HEAD")


def objections(outcome: object, own: Iterable[Exchange]) -> list[str]:
    """Return what speaks against an outcome, given the requests that were sent for it, if anything does.

    An outcome may quote numbers of its own answers alone. A failure needs a request without a good answer, a
    success one with a valid answer, and every write of a success a valid answer of its own.
    """
    exchanges = list(own)
    found = [
        f"{each.method} was sent on connection {each.connection} although {each.spent}"
        for each in exchanges
        if each.spent
    ]
    writes = Counter((each.method, each.target) for each in exchanges if each.method not in _SAFE)
    found += [f"{method} was sent {times} times" for (method, _), times in writes.items() if times > 1]
    failed = isinstance(outcome, BaseException)
    valid = [each for each in exchanges if each.response.valid]
    source = b" ".join(each.raw for each in exchanges) if failed else b" ".join(_body(each) for each in valid)
    foreign = numbers(outcome) - set(NUMBER.findall(source.decode("latin-1")))
    if foreign:
        found.append(f"it quotes {sorted(foreign)}, which answered something else")
    if failed:
        if not isinstance(outcome, JobsError):
            found.append(f"it is a raw {type(outcome).__name__}")
        if exchanges and all(_is_good(each) for each in exchanges):
            found.append(f"all of its answers were good, and it is {outcome!r}")
    else:
        found += [
            f"{e.method} has no valid answer" for e in exchanges if e.method not in _SAFE and e not in valid
        ]
        told = set(NUMBER.findall(_body(valid[-1]).decode("latin-1"))) if valid else set[str]()
        if not valid:
            found.append("none of its requests has a valid answer")
        elif told and not told & numbers(outcome):
            found.append(f"its last answer told {sorted(told)}, of which it says nothing")
    return found


def _body(exchange: Exchange) -> bytes:
    return exchange.response.body


def _is_good(exchange: Exchange) -> bool:
    """Whether there is no reason to fail: a valid and undisputed answer of the API's, for what was asked."""
    response = exchange.response
    if (
        not exchange.request.complete
        or not response.valid
        or response.dubious
        or not 200 <= response.status < 300
    ):
        return False
    try:
        return isinstance(json.loads(response.body), dict)
    except ValueError:
        return exchange.method not in _SAFE and not response.body
