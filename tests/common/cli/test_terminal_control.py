"""What a server sends does not steer the terminal, whatever the command writes it as."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from common.cli.console import printable_lines
from common.cli.output.csv import CsvWriter
from common.model.job import ErrorDetail, Job
from common.model.refs import JobRef
from common.model.states import JobState
from tests.common.cli.shell import Shell
from tests.loopback import Loopback, raw

ODD = "\x1b]0;title\x07 \x1b[2J \x9b31m \x00 \u202e é\r\n=2+2\u2028"
"""A title, an erased screen, a colour, a NUL, text from right to left, lines."""
ID = "b5145e1d-b53b-11e8-8252-005056bbd8f5"
STEERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]")


@pytest.fixture(params=["running", "failure"])
def server(request: pytest.FixtureRequest) -> Iterator[Loopback]:
    job: dict[str, Any] = {"uuid": ID, "state": request.param, "message": ODD, "description": ODD}
    if request.param == "failure":
        job["error"] = {"message": ODD, "code": ODD}
    odd = {**job, "uuid": f"x{ODD}y", "state": f"odd {ODD}"}

    def reply(_: int, head: str) -> list[bytes]:
        whole = {"records": [job, odd], "num_records": 2}
        return raw(whole if head.startswith("GET /api/cluster/jobs?") else job)

    with Loopback(reply) as loopback:
        yield loopback


@pytest.mark.parametrize(
    "words",
    [
        *(["list", "-o", form] for form in ("text", "table", "json", "jsonl", "csv")),
        ["get", ID, "--debug"],
        ["watch", ID, "--timeout", "100ms", "--debug"],
    ],
    ids=" ".join,
)
@pytest.mark.slow
def test_no_control_character_of_a_server_reaches_the_terminal(
    words: list[str], server: Loopback, shell: Shell
) -> None:
    shell.user.set(JOBSOURCE_ENDPOINT=f"ontap+{server.url}")
    done = shell.run(*words)
    assert done.out
    assert STEERS.search(done.out + done.err) is None
    if "jsonl" in words:
        assert json.loads(done.out.splitlines()[0])["message"] == ODD


def test_a_row_of_csv_holds_no_formula_in_any_column(capsys: pytest.CaptureFixture[str]) -> None:
    ref = JobRef("ontap", "https://h", "x")
    for text in ("=2+2", "+2", "-2", "@x", "\tx", "\nx", "\r=2", "=a\nb"):
        writer = CsvWriter()
        error = ErrorDetail(text)
        writer.outcome(Job(ref, JobState.FAILED, message=text, operation=text, errors=(error,)))
        [row] = csv.DictReader(io.StringIO(capsys.readouterr().out, newline=""))
        assert {row[name] for name in ("message", "operation", "errors")} == {f"'{text}".replace("\r", "\n")}


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_a_row_of_csv_is_one_row(end: str, capsys: pytest.CaptureFixture[str]) -> None:
    job = Job(JobRef("ontap", "https://h", "x"), JobState.FAILED, message=f"one{end}=2+2")
    CsvWriter().outcome(job)
    shown = capsys.readouterr().out
    assert "\r" not in shown
    [row] = csv.DictReader(io.StringIO(shown, newline=""))
    assert row["message"] == "one\n=2+2"


def test_lines_tabs_and_spaces_stay() -> None:
    assert printable_lines("a  b\tc\r\nd\n\xa0é ") == "a  b\tc\r\nd\n\xa0é "
