"""Decoding one page of 1,000 ONTAP jobs, from bytes to what each library makes of it.

``python -m tests.benchmarks.decoding <how>`` prints one JSON line. "Every part" also reads what a job leaves
unread until it is asked for: times, links, and the record. The peers' model classes are made by call, so that
nothing here needs them installed to be type-checked.
"""

from __future__ import annotations

import gc
import json
import sys
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from operator import attrgetter
from statistics import median
from typing import Any

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn, override

from tests.benchmarks.client import without_extras
from tests.benchmarks.harness import Form, Report, Row, fixed, python, ratio, times
from tests.benchmarks.jobs import drawn
from tests.benchmarks.server import ontap_record

RECORDS = 1_000
SECONDS = 1.5
"""How long each is repeated."""


def page() -> bytes:
    since = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
    ids = drawn(RECORDS, 3, 0.0, 1.0).ids
    states = ("running", "success")
    records = [ontap_record(id, states[index % 2], since) for index, id in enumerate(ids)]
    return json.dumps({"records": records, "num_records": RECORDS}).encode()


def jobsource() -> Callable[[bytes], Any]:
    """Records and jobs, without extras."""
    without_extras()
    return jobsource_extras()


def jobsource_extras() -> Callable[[bytes], Any]:
    """The same where the extras are installed."""
    from ontapjobs import parse_jobs

    return lambda data: parse_jobs(data, endpoint="https://cluster1.example.com")


def whole(decode: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """With every part of each job and its record read."""
    parts = attrgetter("record", "started_at", "finished_at", "links")

    def read(data: bytes) -> Any:
        jobs = decode(data)
        for job in jobs:
            parts(job)
        return jobs

    return read


def general_path() -> Callable[[bytes], Any]:
    """Without the fast path, which data that the caller decoded does not take."""
    from common.response.decoding import read_json
    from ontapjobs import parse_jobs

    return lambda data: parse_jobs(read_json(data), endpoint="https://cluster1.example.com")


def general_path_without_extras() -> Callable[[bytes], Any]:
    without_extras()
    return general_path()


def json_alone() -> Callable[[bytes], Any]:
    return json.loads


def orjson_alone() -> Callable[[bytes], Any]:
    loads: Callable[[bytes], Any] = import_module("orjson").loads
    return loads


def msgspec_alone() -> Callable[[bytes], Any]:
    decode: Callable[[bytes], Any] = import_module("msgspec").json.decode
    return decode


def msgspec_struct() -> Callable[[bytes], Any]:
    msgspec = import_module("msgspec")
    make = msgspec.defstruct
    href = make("Href", [("href", str)])
    links = make("Links", [("self_", href)], rename={"self_": "self"})
    named = make(
        "Named", [("name", str), ("uuid", str), ("links", links | None, None)], rename={"links": "_links"}
    )
    error = make("Error", [("message", str), ("code", str)])
    record: Any = make(
        "Record",
        [
            ("uuid", str),
            ("state", str),
            ("description", str | None, None),
            ("message", str | None, None),
            ("code", int | None, None),
            ("start_time", datetime | None, None),
            ("end_time", datetime | None, None),
            ("svm", named | None, None),
            ("node", named | None, None),
            ("error", error | None, None),
            ("links", links | None, None),
        ],
        rename={"links": "_links"},
    )
    paged = make("Page", [("records", list[record]), ("num_records", int)])
    decode: Callable[[bytes], Any] = msgspec.json.Decoder(paged).decode
    return decode


def pydantic_model() -> Callable[[bytes], Any]:
    pydantic = import_module("pydantic")
    make, field = pydantic.create_model, pydantic.Field
    href = make("Href", href=(str, ...))
    links = make("Links", self_=(href, field(alias="self")))
    linked = (links | None, field(default=None, alias="_links"))
    named = make("Named", name=(str, ...), uuid=(str, ...), links=linked)
    error = make("Error", message=(str, ...), code=(str, ...))
    record: Any = make(
        "Record",
        uuid=(str, ...),
        state=(str, ...),
        description=(str | None, None),
        message=(str | None, None),
        code=(int | None, None),
        start_time=(datetime | None, None),
        end_time=(datetime | None, None),
        svm=(named | None, None),
        node=(named | None, None),
        error=(error | None, None),
        links=linked,
    )
    decode: Callable[[bytes], Any] = make(
        "Page",
        records=(list[record], ...),
        num_records=(int, ...),
    ).model_validate_json
    return decode


@attrs.frozen
class Href:
    href: str


@attrs.frozen
class Links:
    self_: Href


@attrs.frozen
class Named:
    name: str
    uuid: str
    links: Links | None = None


@attrs.frozen
class Error:
    message: str
    code: str


@attrs.frozen
class Record:
    uuid: str
    state: str
    description: str | None = None
    message: str | None = None
    code: int | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    svm: Named | None = None
    node: Named | None = None
    error: Error | None = None
    links: Links | None = None


@attrs.frozen
class Page:
    records: list[Record]
    num_records: int


def cattrs_stock() -> Callable[[bytes], Any]:
    """By its documentation: a hook for times, and generated ones for the keys that are named otherwise."""
    converter = cattrs.Converter()
    converter.register_structure_hook(datetime, lambda text, _: datetime.fromisoformat(text))
    renamed = {Links: {"self_": "self"}, Named: {"links": "_links"}, Record: {"links": "_links"}}
    for kind, names in renamed.items():
        keys: Any = {name: override(rename=key) for name, key in names.items()}
        converter.register_structure_hook(kind, make_dict_structure_fn(kind, converter, **keys))
    return lambda data: converter.structure(json.loads(data), Page)


WAYS: dict[str, Callable[[], Callable[[bytes], Any]]] = {
    "jobsource": jobsource,
    "jobsource, every part": lambda: whole(jobsource()),
    "jobsource, general path": general_path_without_extras,
    "jobsource+extras": jobsource_extras,
    "jobsource+extras, general path": general_path,
    "jobsource+extras, every part": lambda: whole(jobsource_extras()),
    "json to dicts": json_alone,
    "orjson to dicts": orjson_alone,
    "msgspec to dicts": msgspec_alone,
    "msgspec Struct": msgspec_struct,
    "pydantic v2 model": pydantic_model,
    "json, cattrs stock": cattrs_stock,
}


def run(way: str) -> Row:
    decode, data = WAYS[way](), page()
    for _ in range(3):
        decode(data)
    tracemalloc.start()
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    kept = decode(data)
    gc.collect()
    bytes_kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    del kept
    gc.collect()
    gc.freeze()
    took: list[float] = []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        began = time.process_time()
        decode(data)
        took.append(time.process_time() - began)
    return {
        "us_record": median(took) / RECORDS * 1e6,
        "kept_bytes": bytes_kept / RECORDS,
        "record_bytes": len(data) / RECORDS,
    }


COLUMNS: dict[str, Form] = {
    "way": str,
    "us_record": fixed(2),
    "ratio": times,
    "of_pydantic": times,
    "kept_bytes": fixed(0),
    "record_bytes": fixed(0),
}


def decoding(report: Report, *, repeat: int) -> None:
    """A median of medians: all ways in turn, then all again."""
    found: dict[str, list[Row]] = {way: [] for way in WAYS}
    for _ in range(repeat):
        for way, runs in found.items():
            runs.append(python("-m", "tests.benchmarks.decoding", way, limit=60.0))
    rows: dict[str, Row] = {}
    for way, runs in found.items():
        good = [run for run in runs if "failed" not in run]
        rows[way] = {"way": way, **(_middle(good) if good else runs[-1])}
    for row in rows.values():
        row["ratio"] = ratio(row, rows["jobsource"], "us_record")
        row["of_pydantic"] = ratio(row, rows["pydantic v2 model"], "us_record")
    report.table(
        f"A page of {RECORDS:,} ONTAP jobs from bytes; CPU, medians of {repeat}", rows.values(), COLUMNS
    )
    model = rows["pydantic v2 model"]
    report.goal("our time as a share of pydantic v2", ratio(rows["jobsource"], model, "us_record"), 1.0)
    report.goal(
        "with the extras, as a share of pydantic v2", ratio(rows["jobsource+extras"], model, "us_record"), 0.5
    )


def _middle(runs: list[Row]) -> Row:
    return sorted(runs, key=lambda run: float(run["us_record"]))[len(runs) // 2]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(sys.argv[1])) + "\n")
