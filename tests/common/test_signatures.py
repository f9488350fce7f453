"""What ``help()`` and editors are shown of the keywords that a function takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest

from bluexp_jobs import BlueXPJobs
from cfjobs import CFJobs
from common import Fleet, SourceOptions, connect, shared_source
from ontapjobs import OntapJobs
from ontapjobs.lists.query import FILTERS, Filters


def keywords(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(function).parameters
    return {name: each for name, each in parameters.items() if each.kind is each.KEYWORD_ONLY}


@pytest.mark.parametrize(
    "make",
    [OntapJobs, CFJobs, BlueXPJobs, CFJobs.from_cf_config, connect, shared_source, Fleet.connect],
    ids=lambda make: make.__qualname__,
)
def test_what_makes_a_source_shows_every_option(make: Callable[..., Any]) -> None:
    shown = keywords(make)
    assert set(SourceOptions.__annotations__) <= set(shown)
    assert str(shown["request_timeout"]) == "request_timeout: 'float' = None"


@pytest.mark.parametrize("make", [connect, shared_source, Fleet.connect], ids=lambda make: make.__qualname__)
def test_what_takes_keys_of_a_profile_too_shows_that_there_is_more(make: Callable[..., Any]) -> None:
    *_, last = inspect.signature(make).parameters.values()
    assert str(last) == "**options: 'Any'"


@pytest.mark.parametrize("name", ["list", "count", "cancel_all", "pause_all", "resume_all"])
def test_what_takes_filters_shows_each(name: str) -> None:
    method = getattr(OntapJobs, name)
    assert set(FILTERS) == set(Filters.__annotations__) <= set(keywords(method))
    assert inspect.Parameter.VAR_KEYWORD not in {
        each.kind for each in inspect.signature(method).parameters.values()
    }


def test_type_hints_are_those_that_were_written() -> None:
    assert "filters" in get_type_hints(OntapJobs.list)
