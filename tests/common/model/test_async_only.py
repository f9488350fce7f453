"""What a caller reads who forgot ``async``, or put ``await`` where it does not belong."""

from __future__ import annotations

from typing import Any

import pytest

from common import Fleet, UsageError, as_completed
from common.testing import ScriptedSource
from ontapjobs.simulator import OntapSimulator


def make() -> Any:
    return ScriptedSource({"job": ["succeeded"]})


@pytest.mark.parametrize("source", [make(), Fleet([make()])], ids=["source", "fleet"])
def test_what_is_entered_asynchronously_says_so(source: Any) -> None:
    served = OntapSimulator().serve()
    things: list[Any] = [source, as_completed(source, []), source.watch("job"), served]
    for thing in things:
        with pytest.raises(UsageError, match="async with"), thing:
            pass


def test_what_is_iterated_over_asynchronously_says_so() -> None:
    source = make()
    lists = [source.list(), Fleet([source]).list()]
    things: list[Any] = [*lists, source.watch("job"), as_completed(source, ["job"])]
    for thing in things:
        with pytest.raises(UsageError, match="async for"):
            next(iter(thing))
        with pytest.raises(UsageError, match="async for"):
            thing.__await__()
