"""Headers, links, refs, paths and stored jobs: any text is read or refused, in the time of its length."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cfjobs.auth.cf_cli import seconds_left
from cfjobs.wire import parse_budget, parse_warnings
from common.model.endpoints import origin
from common.model.errors import DecodeError, UsageError
from common.model.job import Job
from common.model.refs import JobRef, encode_segment
from common.model.serialize import from_dict, to_dict
from common.response.decoding import finite, integer, moment
from common.response.http_response import HttpResponse, http_date, last_segment, retry_after
from common.response.writes import check_path
from tests.fuzz.payloads import CANARY, bodies, check_job, damaged, listed, tried
from tests.jsonvalues import TEXTS

ANY = st.text(st.characters(), max_size=40)
LATIN = st.text(st.characters(max_codepoint=255), max_size=40)
WORD = st.sampled_from(
    listed(
        "Mon Sun, 06 6 Nov Foo 1994 94 9999 0000 08:49:37 8:49 24:60:61 GMT +0000 -9999 +99999999 EST (x) - "
        ": , \u0663 99999999999999999999"
    )
)
DATES = st.lists(WORD, max_size=8).map(" ".join) | st.lists(WORD, max_size=8).map("-".join) | LATIN
PIECES = st.sampled_from(
    [
        *listed(
            "% %2F %25 %2e .. . / // \\ ? # @ : [ ] jobs http https: ontap cf +http :// a ü xn-- 0 65536 443"
        ),
        *listed("& = agent= account= ; %ff %ED%A0%80 \uff0e \u2100 \ud800 \x00"),
        *(" ", "\n", CANARY),
    ]
)
JOINED = st.lists(PIECES, max_size=12).map("".join) | ANY


@given(text=DATES)
def test_a_date(text: str) -> None:
    found = http_date(text)
    assert found is None or found.tzinfo is UTC


@pytest.mark.slow
@given(text=DATES | st.integers().map(str), date=st.none() | st.datetimes(timezones=st.just(UTC)))
def test_a_time_to_stay_away(text: str, date: datetime | None) -> None:
    seconds = retry_after(text, date)
    assert seconds is None or 0 <= seconds < 1e12


@given(seconds=st.integers(0, 10**8), space=st.sampled_from(["", " ", "\t"]))
def test_seconds_to_stay_away_are_those(seconds: int, space: str) -> None:
    assert retry_after(f"{space}{seconds}{space}", None) == seconds


@pytest.mark.slow
@given(values=st.lists(LATIN | JOINED, max_size=4).map(tuple))
def test_warnings_of_a_write(values: tuple[str, ...]) -> None:
    found = parse_warnings(values)
    assert all(found)
    assert len(set(found)) == len(found)


@pytest.mark.slow
@given(texts=st.lists(st.text(min_size=1, max_size=20).filter(str.strip), max_size=4))
def test_encoded_warnings_come_back(texts: list[str]) -> None:
    said = list(dict.fromkeys(texts))
    assert parse_warnings((",".join(map(quote_plus, texts)),)) == tuple(said)


@given(href=JOINED)
def test_the_id_in_a_link(href: str) -> None:
    id = last_segment(href, parent="jobs")
    assert id is None or (id and "jobs" in href)


@given(id=st.text(st.characters(), min_size=1, max_size=20), host=st.sampled_from(["", "https://h", "//h:8"]))
def test_an_id_comes_back_from_its_link(id: str, host: str) -> None:
    assert last_segment(f"{host}/v3/jobs/{encode_segment(id)}", parent="jobs") == id


@pytest.mark.slow
@given(text=JOINED | st.builds("{}://{}/{}".format, st.sampled_from(["cf", "ontap+http"]), JOINED, JOINED))
def test_a_ref(text: str) -> None:
    found = tried(lambda: JobRef.parse(text))
    if isinstance(found, JobRef):
        assert JobRef.parse(str(found)) == found
        assert str(JobRef.parse(str(found))) == str(found)
    else:
        assert type(found) is UsageError
        assert CANARY not in str(found)


@given(text=JOINED | st.builds("https://{}".format, JOINED))
def test_an_origin(text: str) -> None:
    found = tried(lambda: origin(text))
    if isinstance(found, str):
        assert origin(found) == found
        assert found.isascii()
        assert "@" not in found
    else:
        assert type(found) is UsageError
        assert CANARY not in str(found)


@pytest.mark.slow
@given(path=JOINED | st.builds("/{}".format, JOINED))
def test_a_path_of_a_write(path: str) -> None:
    found = tried(lambda: check_path(path))
    if isinstance(found, str):
        assert found == path
        assert path.isascii()
        assert path.isprintable()
    else:
        assert type(found) is UsageError
        assert CANARY not in str(found)


@given(depth=st.integers(0, 6), segment=st.sampled_from([".", ".."]), before=st.sampled_from(["/", "/a/"]))
def test_no_path_climbs_however_often_it_is_encoded(depth: int, segment: str, before: str) -> None:
    climbing = segment.replace(".", "%2e") if depth else segment
    for _ in range(depth):
        climbing = quote(climbing, safe="")
    assert isinstance(tried(lambda: check_path(f"{before}{climbing}/x")), UsageError)


STORED: dict[str, Any] = {
    "version": 1,
    "ref": "bluexp://h:8443/x1/6f%2F0c?agent=a1",
    "state": "partial",
    "progress": 1.0,
    "created_at": "2026-01-02T03:04:05.000678+00:00",
    "errors": [{"message": "offline", "code": "4", "arguments": [{"message": "a", "code": "1"}]}],
    "warnings": ["first"],
    "items": [
        {"id": "b", "kind": "batch", "state": "failed", "items": [{"id": "f", "kind": "file", "state": "x"}]}
    ],
    "links": {"self": "/job/6f"},
    "observed_at": "2026-01-02T03:04:06+00:00",
}
STORED["items"][0]["items"][0]["state"] = "failed"


@pytest.mark.slow
@given(data=damaged(STORED, [*STORED, "running", "succeeded", "cf://h/x", "9999-12-31T23:59:59-01:00"]))
def test_a_stored_job(data: Any) -> None:
    found = tried(lambda: from_dict(data))
    if isinstance(found, Job):
        assert found.state.value == data["state"]
        check_job(found)
    else:
        assert isinstance(found, DecodeError | UsageError)


@pytest.mark.slow
@example(body=b'{"exp": NaN}', head="")
@example(body=b'{"exp": "-inf"}', head="")
@given(body=bodies({"exp": 1.8e9, "iat": 1}, ["exp", "iat"]), head=TEXTS)
def test_the_life_of_a_token(body: bytes, head: str) -> None:
    import base64

    coded = base64.urlsafe_b64encode(body).decode().rstrip("=")
    for token in (f"{head}.{coded}.x", f"a.{head}.b"):
        left = seconds_left(token)
        assert left is None or math.isfinite(left)


@given(value=st.none() | st.booleans() | st.integers() | st.floats() | JOINED | DATES)
def test_a_scalar(value: Any) -> None:
    whole, number, time = integer(value), finite(value), moment(value)
    assert whole is None or type(whole) is int
    assert number is None or math.isfinite(number)
    assert time is None or time.tzinfo is UTC


# --- long texts: eight times as long may take little more than eight times the time

LONG: dict[str, Callable[[int], Callable[[], object]]] = {
    "warnings": lambda n: lambda: parse_warnings(("a%2C," * n,)),
    "warnings, each another": lambda n: lambda: parse_warnings((",".join(map(str, range(n))),)),
    "warnings with spaces": lambda n: lambda: parse_warnings((", " * n + "a b",)),
    "a date": lambda n: lambda: http_date("Mon, " + "1 " * n),
    "a date of dashes": lambda n: lambda: http_date("-" * n),
    "a date of colons": lambda n: lambda: http_date("1 Jan 2000 " + "1:" * n),
    "seconds": lambda n: lambda: retry_after("9" * n, None),
    "seconds and spaces": lambda n: lambda: retry_after(" " * n + "x" + " " * n, None),
    "a budget": lambda n: (
        lambda: parse_budget(
            HttpResponse(
                200, tuple((f"x-ratelimit-{name}", "9" * n) for name in ("limit", "remaining", "reset"))
            )
        )
    ),
    "a link of slashes": lambda n: lambda: last_segment("/" * n + "jobs/x", parent="jobs"),
    "a link of escapes": lambda n: lambda: last_segment("/jobs/" + "%25" * n, parent="jobs"),
    "a ref": lambda n: lambda: tried(lambda: JobRef.parse("cf://h/" + "%2F" * n)),
    "a ref of parameters": lambda n: lambda: tried(lambda: JobRef.parse("cf://h/x?" + "a=b&" * n)),
    "a ref with a long host": lambda n: lambda: tried(lambda: JobRef.parse(f"cf://{'ü' * n}/x")),
    "an origin of labels": lambda n: lambda: tried(lambda: origin("a." * n + "!")),
    "an origin of digits": lambda n: lambda: tried(lambda: origin("h:" + "9" * n)),
    "an origin in brackets": lambda n: lambda: tried(lambda: origin("[" + ":" * n + "]")),
    "a path": lambda n: lambda: tried(lambda: check_path("/a" * n)),
    "a path of dots": lambda n: lambda: tried(lambda: check_path("/" + "." * n)),
    "a path encoded again and again": lambda n: lambda: tried(lambda: check_path("/%" + "25" * n)),
    "a path encoded in turns": lambda n: lambda: tried(lambda: check_path("/%" + "%32%35" * n + "25" * n)),
    "a moment": lambda n: lambda: moment("2026-01-01T00:00:00." + "0" * n),
    "a number": lambda n: (
        lambda: (finite("9" * n), integer("9" * n), finite(" " * n), integer(" " * n + "x"))
    ),
    "stored warnings": lambda n: lambda: from_dict({**STORED, "warnings": list(map(str, range(n // 10)))}),
    "a stored job": lambda n: lambda: to_dict(from_dict({**STORED, "items": STORED["items"] * (n // 100)})),
    "a token's life": lambda n: lambda: seconds_left("." + "a" * n + "."),
    "a token of dots": lambda n: lambda: seconds_left("." * n),
}


def _seconds(call: Callable[[], object]) -> float:
    best = math.inf
    for _ in range(3):
        http_date.cache_clear()
        began = time.process_time()
        call()
        best = min(best, time.process_time() - began)
    return best


@pytest.mark.slow
@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in LONG.items()])
def test_a_long_text_takes_its_length_in_time(make: Callable[[int], Callable[[], object]]) -> None:
    short, long = _seconds(make(3_000)), _seconds(make(24_000))
    assert long < 24 * short + 0.05  # its square would be 64
