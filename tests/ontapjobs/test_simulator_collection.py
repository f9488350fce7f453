"""The simulated ONTAP's collection: filters with operators, fields, order and pages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import anyio
import httpx
import pytest

from common.simulator.clock import Clock
from ontapjobs.simulator import OntapSimulator
from tests.cases import case

pytestmark = pytest.mark.anyio

JOBS = "/api/cluster/jobs"
IDS = {name: f"{name * 8}-0000-4000-8000-000000000000" for name in "abcde"}
NAMES = {uuid: name for name, uuid in IDS.items()}


class FixedClock(Clock):
    """A clock that stands still."""

    def read(self) -> float:
        return 0.0


def populated(**settings: Any) -> OntapSimulator:
    """Five jobs, a to e, added out of order."""
    simulator = OntapSimulator(clock=FixedClock(datetime(2026, 3, 1, 12, tzinfo=UTC)), **settings)
    simulator.add_job([("queued", None)], id=IDS["e"], description="POST /api/e")
    simulator.add_job(
        [("running", None)], id=IDS["a"], code=10, svm={"name": "vs1", "uuid": "u1"}, message="x"
    )
    simulator.add_job([("running", None)], id=IDS["b"], code=20, start_time="2026-03-01T11:00:00+00:00")
    simulator.add_job([("success", None)], id=IDS["c"], code="30", node={"name": "n1"})
    error = {"code": "9", "message": "bad", "arguments": [{"code": "i", "message": "j"}, {"code": "k"}]}
    simulator.add_job([("failure", None)], id=IDS["d"], code=40, error=error, message="a+b")
    return simulator


def query(**parameters: str) -> str:
    text = "&".join(
        f"{name.replace('__', '.')}={quote(value, safe='')}" for name, value in parameters.items()
    )
    return f"{JOBS}?{text}"


async def fetch(simulator: OntapSimulator, url: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=simulator.transport(), base_url="https://sim") as http:
        return await http.get(url)


async def pages(simulator: OntapSimulator, url: str) -> list[str]:
    """Follow the links to the end; a page is the names of its jobs."""
    found: list[str] = []
    while True:
        data = (await fetch(simulator, url)).json()
        assert data["num_records"] == len(data["records"])
        found.append("".join(NAMES[record["uuid"]] for record in data["records"]))
        following = data["_links"].get("next")
        if following is None:
            return found
        assert following["href"].startswith(f"{JOBS}?start.uuid=")
        assert following["href"] != url
        url = following["href"]


async def names(simulator: OntapSimulator, **parameters: str) -> str:
    [page] = await pages(simulator, query(**parameters))
    return page


async def error(simulator: OntapSimulator, **parameters: str) -> tuple[int, str, str | None]:
    reply = await fetch(simulator, query(**parameters))
    data = reply.json()["error"]
    return reply.status_code, data["code"], data.get("target")


async def test_without_fields_records_hold_the_keys_only() -> None:
    data = (await fetch(populated(), JOBS)).json()
    assert data["num_records"] == 5
    assert data["_links"] == {"self": {"href": JOBS}}
    assert data["records"][0] == {"uuid": IDS["a"], "_links": {"self": {"href": f"{JOBS}/{IDS['a']}"}}}


@pytest.mark.parametrize("fields", ["*", "**", "state,svm,code,message,description,start_time"])
async def test_fields_add_what_they_name(fields: str) -> None:
    data = (await fetch(populated(), query(fields=fields, uuid=IDS["a"]))).json()
    [record] = data["records"]
    assert record["svm"] == {"name": "vs1", "uuid": "u1"}
    assert (record["state"], record["code"], record["message"]) == ("running", 10, "x")
    assert record["start_time"] == "2026-03-01T12:00:00+00:00"


async def test_fields_reach_into_objects_and_lists() -> None:
    data = (await fetch(populated(), query(fields="error.arguments.code", uuid=IDS["d"]))).json()
    assert data["records"][0]["error"] == {"arguments": [{"code": "i"}, {"code": "k"}]}


async def test_a_field_that_the_release_lacks_is_refused() -> None:
    assert await error(populated(version="9.6"), fields="state,svm") == (400, "262197", "fields")
    assert await error(populated(version="9.8"), error__code="1") == (400, "262197", "error.code")
    assert await error(populated(), fields="state,color") == (400, "262197", "fields")
    assert await error(populated(), color="red") == (400, "262197", "color")


OPERATORS: list[tuple[dict[str, str], str | None]] = [
    ({"state": "running"}, "ab"),
    ({"state": "success|failure"}, "cd"),
    ({"state": "!running"}, "cde"),
    ({"state": "run*"}, "ab"),
    ({"state": "*u*"}, "abcde"),
    ({"state": "*runn"}, ""),
    ({"state": "run*ning"}, "ab"),
    ({"state": "runn*nning"}, ""),
    ({"state": "r*n*n*g"}, "ab"),
    ({"state": "*n*n*n*n*"}, ""),
    ({"state": "*"}, "abcde"),
    ({"start_time": "!!null"}, "e"),
    ({"state": "!" * 5001 + "running"}, "cde"),
    ({"max_records": "0"}, None),
    ({"max_records": "9" * 5000}, None),
    ({"max_records": "0" * 5000 + "9"}, "abcde"),
    ({"return_timeout": "9" * 5000}, None),
    ({"return_timeout": "0" * 5000}, "abcde"),
    ({"state": "florbing"}, ""),
    ({"code": ">10"}, "bcd"),
    ({"code": ">=10"}, "abcd"),
    ({"code": "<20"}, "ae"),
    ({"code": "<=20"}, "abe"),
    ({"code": "10..30"}, "abc"),
    ({"code": "10.."}, None),
    ({"code": "10|40"}, "ad"),
    ({"code": "!10"}, "bcde"),
    ({"code": "ten"}, None),
    ({"start_time": "null"}, "e"),
    ({"start_time": "!null"}, "abcd"),
    ({"start_time": "<2026-03-01T12:30:00+01:00"}, "b"),
    ({"start_time": "2026-03-01T11:00:00Z..2026-03-01T11:59:59Z"}, "b"),
    ({"start_time": "yesterday"}, None),
    ({"end_time": "2026-03-01T13:00:00+01:00"}, "cd"),
    ({"description": "POST /api/*"}, "e"),
    ({"message": "a+b"}, "d"),
    ({"message": "a b"}, ""),
    ({"svm__name": "vs1"}, "a"),
    ({"svm__name": "null"}, "bcde"),
    ({"svm__uuid": "u1|u2"}, "a"),
    ({"node__name": "n1"}, "c"),
    ({"error__code": "9"}, "d"),
    ({"error__message": "b*"}, "d"),
    ({"error__arguments__code": "k"}, "d"),
    ({"error__arguments__message": "j"}, "d"),
    ({"uuid": f"{IDS['a']}|{IDS['c']}|nonsense"}, "ac"),
    ({"uuid": f"!{IDS['a']}"}, "bcde"),
    ({"uuid": "c*"}, "c"),
    ({"state": "running", "code": ">10"}, "b"),
]


async def test_filters_take_the_operators_of_the_reference() -> None:
    for parameters, expected in OPERATORS:
        with case(parameters, expected):
            if expected is None:
                assert await error(populated(), **parameters) == (400, "262197", next(iter(parameters)))
            else:
                assert await names(populated(), **parameters) == expected


async def test_no_pattern_takes_long() -> None:
    simulator = populated()
    simulator.add_job([("running", None)], description="a" * 2000)
    with anyio.fail_after(5):
        assert await names(simulator, description="a*" * 500 + "b") == ""


async def test_a_field_can_be_filtered_twice() -> None:
    [page] = await pages(populated(), f"{JOBS}?code=%3E10&code=%3C40")
    assert page == "bc"


async def test_a_plus_sign_in_a_filter_is_no_space() -> None:
    assert await pages(populated(), f"{JOBS}?description=POST+/api/e") == [""]
    assert await pages(populated(), f"{JOBS}?description=POST%20/api/e") == ["e"]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("code", "eabcd"),
        ("code desc", "dcbae"),
        ("state asc,code desc", "deba" + "c"),
        ("uuid desc", "edcba"),
        ("start_time", "bacde"),
    ],
)
async def test_records_come_in_the_order_asked_for(order: str, expected: str) -> None:
    assert await names(populated(), order_by=order) == expected
    assert "".join(await pages(populated(page_size=1), query(order_by=order))) == expected


async def test_an_order_without_sense_is_refused() -> None:
    assert await error(populated(), order_by="color") == (400, "262197", "order_by")
    assert await error(populated(), order_by="code down") == (400, "262197", "order_by")


async def test_only_the_number_of_records_can_be_asked_for() -> None:
    reply = await fetch(populated(), query(return_records="false", state="running"))
    assert reply.json() == {"num_records": 2}
    assert await error(populated(), return_records="no") == (400, "262197", "return_records")


@pytest.mark.parametrize("timeout", ["0", "120"])
async def test_a_return_timeout_in_range_is_taken(timeout: str) -> None:
    assert await names(populated(), return_timeout=timeout) == "abcde"


async def test_a_return_timeout_out_of_range_is_refused() -> None:
    reply = await fetch(populated(), query(return_timeout="600"))
    assert reply.json()["error"] == {
        "message": 'The value "600" is invalid for field "return_timeout" (<0..120>)',
        "code": "262197",
        "target": "return_timeout",
    }


async def test_pages_are_linked_and_keep_the_query() -> None:
    assert await pages(populated(page_size=2), JOBS) == ["ab", "cd", "e"]
    assert await pages(populated(), query(max_records="2", state="!queued")) == ["ab", "cd"]
    assert await pages(populated(page_size=1), query(max_records="2", state="running")) == ["a", "b"]
    assert await error(populated(), max_records="0") == (400, "262197", "max_records")


async def test_short_pages_may_be_empty_and_still_have_a_next() -> None:
    assert await pages(populated(page_size=4, short_pages=True), JOBS) == ["", "ab", "cd", "e", ""]
    assert await pages(populated(short_pages=True), query(state="florbing")) == ["", ""]


async def test_a_page_goes_on_although_the_job_that_it_began_after_has_vanished() -> None:
    simulator = populated(page_size=2)
    following = (await fetch(simulator, JOBS)).json()["_links"]["next"]["href"]
    del simulator.jobs[IDS["b"]]
    assert await pages(simulator, following) == ["cd", "e"]


async def test_an_old_server_can_refuse_or_ignore_several_ids() -> None:
    both = f"{IDS['a']}|{IDS['b']}"
    assert await error(populated(batch="refuse"), uuid=both) == (400, "262197", "uuid")
    assert await names(populated(batch="refuse"), uuid=IDS["a"]) == "a"
    assert await names(populated(batch="ignore"), uuid=both, state="running|queued") == "abe"


async def test_a_url_that_is_too_long_gets_a_414() -> None:
    simulator = populated(url_limit=100)
    assert (await fetch(simulator, query(uuid="|".join(IDS.values())))).status_code == 414
    assert await names(simulator, uuid=IDS["a"]) == "a"
