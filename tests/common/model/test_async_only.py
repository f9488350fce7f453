"""What a caller reads who forgot ``async``, or put ``await`` where it does not belong."""

from __future__ import annotations

from typing import Any

import anyio.from_thread
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


@pytest.mark.anyio
@pytest.mark.parametrize(
    "thing", [make(), Fleet([make()]), OntapSimulator().serve()], ids=["source", "fleet", "served"]
)
async def test_what_is_entered_and_not_awaited_says_so_and_breaks_no_host_that_awaits_it(thing: Any) -> None:
    with pytest.warns(RuntimeWarning, match="use 'async with' in place of 'await'") as caught:
        assert await thing is thing
    assert caught[0].filename == __file__


def test_a_host_that_awaits_whatever_it_can_gets_the_source() -> None:
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        pytest.warns(RuntimeWarning, match="async with"),
    ):
        source: Any = portal.call(make)
    assert isinstance(source, ScriptedSource)
