"""Lists with records that cannot be read: every other job, then one error about them all."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from common.model.errors import DecodeError, ServerError
from common.model.job import Job
from common.model.refs import JobRef
from common.model.states import JobState
from common.sources.paging import Chain, FetchedPage, Pages

pytestmark = pytest.mark.anyio


def job(id: str) -> Job:
    return Job(JobRef("cf", "", id), JobState.RUNNING)


def bad(index: int) -> DecodeError:
    return DecodeError("expected a state as text", path=f"$.records[{index}].state")


def pages(*contents: FetchedPage | Exception) -> Pages:
    """A list of these pages; an exception is raised once, in place of the page behind it."""
    left = list(contents)

    async def fetch(path: str) -> FetchedPage:
        content = left.pop(0)
        if isinstance(content, Exception):
            raise content
        return content

    return Pages(fetch, "/1")


def page(*ids: str, failures: tuple[DecodeError, ...] = (), last: bool = False) -> FetchedPage:
    return FetchedPage([job(id) for id in ids], failures, None if last else "/next")


async def read(jobs: AsyncIterator[Job]) -> tuple[list[str], DecodeError]:
    """The ids that come before the error, and the error."""
    ids: list[str] = []
    while True:
        try:
            ids.append((await anext(jobs)).id)
        except DecodeError as error:
            return ids, error


async def test_the_error_about_a_bad_record_comes_behind_the_last_job_of_the_last_page() -> None:
    jobs = pages(page("a", failures=(bad(1),)), page("b"), page("c", last=True))
    ids, error = await read(jobs)
    assert ids == ["a", "b", "c"]
    assert str(error) == "$.records[1].state: expected a state as text"
    assert [each async for each in jobs] == []


async def test_several_bad_records_are_one_error_that_names_them() -> None:
    failures = tuple(bad(index) for index in range(3))
    ids, error = await read(pages(page("a", failures=failures, last=True)))
    assert (ids, error.path) == (["a"], "$.records[0].state")
    assert "2 more of the records cannot be read" in str(error)
    assert error.__notes__ == [str(bad(1)), str(bad(2))]


async def test_a_page_that_fails_is_asked_for_again_and_the_bad_record_is_not_forgotten() -> None:
    jobs = pages(page("a", failures=(bad(1),)), ServerError("down", status=503), page("b", last=True))
    assert (await anext(jobs)).id == "a"
    with pytest.raises(ServerError):
        await anext(jobs)
    assert (await read(jobs))[0] == ["b"]


async def test_a_bad_record_does_not_hide_the_lists_behind_it() -> None:
    first = pages(page("a", failures=(bad(1),), last=True))
    jobs = Chain(
        [Chain([first]), pages(page("b", failures=(bad(7),), last=True)), pages(page("c", last=True))]
    )
    ids, error = await read(jobs)
    assert ids == ["a", "b", "c"]
    assert error.path == "$.records[1].state"
    assert error.__notes__ == [str(bad(7))]


async def test_a_page_that_is_none_stops_the_lists_where_it_is() -> None:
    jobs = Chain([pages(DecodeError("not JSON"), page("a", last=True)), pages(page("b", last=True))])
    with pytest.raises(DecodeError, match="not JSON"):
        await anext(jobs)
    assert [each.id async for each in jobs] == ["a", "b"]


async def test_a_list_that_is_closed_reports_nothing_more() -> None:
    for jobs in (pages(page("a", failures=(bad(1),), last=True)), Chain([pages(page(failures=(bad(1),)))])):
        await jobs.aclose()
        assert [each async for each in jobs] == []
