"""What is wrong with a command line, said in its own words, before any request."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from common.cli.arguments.durations import read_deadline, read_duration
from common.cli.arguments.refs import named_in, read_refs
from common.cli.arguments.states import read_states
from common.cli.main import overview
from common.cli.parsing.app import help_of
from common.cli.table import COMMANDS, Command
from common.model.errors import UsageError
from common.model.states import JobState
from ontapjobs.simulator import OntapSimulator
from tests.common.cli.shell import Served, Shell
from tests.profiles import PASSWORD

KEYWORDS = ("profile=", "auth=", "timeout=", "verify=", "connect()", "start()", "path=", "target=")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("1h30m", 5400), ("2d", 172_800), ("0", 0), ("1.5", 1.5), ("250ms", 0.25)],
)
def test_a_duration(text: str, seconds: float) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "1x", "1h 30", "inf", "nan", "1e9", "٣s٣"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(UsageError, match="--timeout must be a duration such as 90s, 5m or 1h30m"):
        read_duration(text)


def test_a_deadline_has_a_time_zone() -> None:
    assert read_deadline("2026-11-26T08:00Z") == datetime(2026, 11, 26, 8, tzinfo=UTC)
    with pytest.raises(UsageError, match="no time zone: write 2026-11-26T08:00Z"):
        read_deadline("2026-11-26T08:00")
    with pytest.raises(UsageError, match="no time zone: write 2026-11-26T00:00Z"):
        read_deadline("2026-11-26")
    with pytest.raises(UsageError, match="must be a time such as"):
        read_deadline("tomorrow")


def test_states_in_any_case() -> None:
    assert read_states("Running, QUEUED", "--state") == [JobState.RUNNING, JobState.QUEUED]
    with pytest.raises(UsageError, match=r"no state 'runnning'; .*; did you mean 'running'\?"):
        read_states("runnning", "--state")


@pytest.mark.parametrize(
    ("line", "ref"),
    [
        ("ontap://c/1 RUNNING: message", "ontap://c/1"),
        ("  error: indented [code 4]", ""),
        ("# a comment", ""),
        ("", ""),
        ('{"event": "end", "ref": "ontap://c/1"}', "ontap://c/1"),
        ("\ufeffontap://c/1", "ontap://c/1"),
        ("ontap://c/1 RUNNING: a \ufffd that list writes for a control character", "ontap://c/1"),
        ('{"ref": "ontap://c/1", "message": "\ufffd"}', "ontap://c/1"),
        ("1 RUNNING: see https://example.com", "1"),
    ],
)
def test_a_line_of_standard_input(line: str, ref: str) -> None:
    assert named_in(line) == ref


@pytest.mark.anyio
async def test_a_job_that_is_named_twice_counts_once() -> None:
    assert [name async for name in read_refs(["a", "b", "a"])] == ["a", "b"]


@pytest.mark.parametrize(
    "line",
    [
        *('{"event": 1}', "{not JSON", "[", "ontap://c/\ufffd", "ref,id", "───", '{"ref": "\ufffd"}'),
        pytest.param('{"a": ' + "[" * 100_000, id="deep"),
    ],
)
def test_a_line_that_names_no_job(line: str) -> None:
    with pytest.raises(UsageError, match=r"jsonl|UTF-8"):
        named_in(line)


@pytest.mark.parametrize("second", ["ontap://c/2", "cf+http://c/2", "B5145E1D-b53b-11e8-8252-005056bbd8f5"])
@pytest.mark.parametrize("space", [" ", "\r", "\t"])
def test_two_jobs_on_a_line_are_refused_and_not_one_of_them_dropped(second: str, space: str) -> None:
    with pytest.raises(UsageError, match="two jobs on one line: write one a line"):
        named_in(f"ontap://c/1{space}{second}")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["\udcff"], "'\\udcff': not valid in this system's encoding"),
        (["get", "job-\udcff"], "'job-\\udcff': not valid in this system's encoding"),
        (["gett"], "there is no command 'gett'; did you mean 'get'?"),
        (["--verison"], "; did you mean '--version'?"),
        (["get", " "], "the job's id is empty: use the id that the server returned"),
        (["get", "ontap://host"], "not a job reference: write it like 'ontap://host/id'"),
        (["get", "prod", ".."], "'..' is not a job id: use the id that the server returned"),
        (["list", "https://c"], "cannot tell which provider https://c belongs to: use one of"),
        (["list", "prod", "--filter", "svm_name="], "svm_name is empty: use 'null' for jobs without one"),
        (["list", "prod", "extra"], "more words than it takes: 'extra'"),
        (["get"], "no job is named: jobsource get REF…"),
        (["get", "--profil", "x"], "Did you mean --profile?"),
        (["get", "x", "-o", "jso"], 'Did you mean "json"?'),
        (["get", "x", "--profile", "prdo"], "did you mean 'prod'?"),
        (["list", "prod", "--filter", "stat=x"], "did you mean 'state'?"),
        (["list", "prod", "--filter", "state"], "--filter must be key=value"),
        (["list", "prod", "--state", "runing"], "did you mean 'running'?"),
        (["list", "prod", "--watch", "-o", "csv"], "--watch writes text or jsonl, not csv"),
        (["list", "prod", "--limit", "0"], "--limit must be 1 or more"),
        (["wait", "x", "--timeout", "soon"], "--timeout must be a duration"),
        (["wait", "x", "--timeout", "1s", "--deadline", "2026-11-26T08:00Z"], "cannot be combined"),
        (["wait", "x", "--any", "--first-failure"], "cannot be combined"),
        (["wait", "-", "-"], "can be read only once"),
        (["wait", "ontap://nobody.example.com/1"], "no credentials for https://nobody.example.com"),
        (["wait", "nas://x/1"], "no installed provider has refs with this scheme"),
        (["wait", "https://c/api/cluster/jobs/1"], "an address of an API names no job: write its reference"),
        (["list", "cluster1.example.com"], "a system is written as ontap://cluster1.example.com, and there"),
        (["list", "10.0.0.1:8443"], "a system is written as ontap://10.0.0.1:8443, and there is no profile"),
        (["list", "prdo"], "did you mean 'prod'?"),
        (["start", "POST", "/api/x"], "PATH is missing"),
        (["get", "x", "-o"], "-o needs a value"),
        (["get", "x", "-o", "-"], 'Invalid value "-" for -o'),
        (["list", "-"], "there is no profile '-' in"),
        (["wait", "x", "--timeout", "-"], "such as 90s, 5m or 1h30m, not '-'"),
        (["list", "prod", "--limit", "x"], 'Invalid value for --limit: "x" is not a whole number'),
        (["start", "prod", "POST", "/api/x", "--inline", "x"], '--inline: "x" is not a number'),
        (["start", "prod", "POST", "/api/x", "-d", "[" * 100_000], "--data is nested too deeply"),
        (["cancel", "x", "--timeout", "9s"], "--timeout, --deadline and --cancel-on-interrupt need --wait"),
        (["start", "prod", "POST", "/api/x", "--timeout", "9s"], "need --wait"),
        (["start", "prod", "GET", "/api/x"], "METHOD must be one of POST, PUT, PATCH, DELETE"),
        (["start", "prod", "POST", "api/x"], "PATH must begin with one '/'"),
        (["start", "prod", "POST", "/api/x", "-d", "{secret-text"], "--data is not valid JSON: see line 1"),
        (["start", "prod", "POST", "/api/x", "-d", "@/nowhere"], "--data @/nowhere: No such file"),
        (["start", "prod", "POST", "/api/x", "--inline", "999"], "--inline must be"),
        (["simulate", "ontap", "--port", "70000"], "--port 70000: ports are 0 (any free one) to 65535"),
        (["simulate", "vmware"], "no provider 'vmware' is installed"),
        (["simulate", "ontap", "--set", "retension=3"], "; did you mean 'retention'?"),
        (["simulate", "ontap", "--set", "retention"], "--set takes NAME=VALUE, such as retention=30"),
        (["simulate", "ontap", "--set", "retention=nan"], "--set retention must be a number, 0 or more"),
        (["simulate", "ontap", "--set", "page_size=1.5"], "--set page_size must be a whole number"),
        (["simulate", "ontap", "--set", "short_pages=1"], "--set short_pages must be true or false"),
        (["simulate", "ontap", "--set", "version=9.x"], "--set: a release is such as 9.15"),
        (["simulate", "ontap", "--set", "users=3"], "--set: ontap cannot take users=3"),
        (
            ["simulate", "ontap", "--clock", "scaled:x"],
            "--clock: a clock's scale is 0 or more, such as",
        ),
    ],
)
def test_usage(shell: Shell, ontap: Served[OntapSimulator], words: list[str], says: str) -> None:
    shell.user.profile(f'endpoint = "{ontap.target}"\nuser = "u"\npassword = {{ env = "SECRET" }}')
    sent = len(ontap.simulator.journal)
    done = shell.run(*words)
    assert (done.status, done.out) == (2, "")
    assert says in done.err
    assert done.err.startswith("jobsource: ")
    assert "python -m" not in done.err
    assert not [word for word in KEYWORDS if word in done.err]
    assert PASSWORD not in done.err
    assert "secret-text" not in done.err
    assert len(ontap.simulator.journal) == sent


def test_no_system_is_named(shell: Shell) -> None:
    shell.user.set(JOBSOURCE_ENDPOINT="")
    done = shell.run("get", "b5145e1d-b53b-11e8-8252-005056bbd8f5")
    assert done.status == 2
    assert "give --target ontap://host or --profile NAME, or set JOBSOURCE_PROFILE" in done.err


def test_a_setting_that_is_missing(shell: Shell) -> None:
    shell.user.set(JOBSOURCE_ENDPOINT="bluexp+http://127.0.0.1:1", JOBSOURCE_ACCOUNT="a")
    done = shell.run("list")
    assert done.status == 2
    assert "agent is missing: set agent in its profile, or its variable JOBSOURCE_…" in done.err


def test_the_help_names_every_command(shell: Shell) -> None:
    for words in ([], ["--help"], ["-h"]):
        done = shell.run(*words)
        assert (done.status, done.out.strip()) == (0, overview().strip())
    for command in COMMANDS:
        assert command.name in overview()
    assert shell.run("--version").out.startswith("jobsource 0")


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_each_help_has_examples(shell: Shell, command: Command) -> None:
    name = command.name
    done = shell.run(name, "--help")
    assert done.status == 0
    assert done.out == help_of(command)  # which the documentation shows
    assert shell.run("help", name).out == done.out
    assert "\n\n\n" not in done.out
    assert not [word for word in ("STR", "INT", "FLOAT", "CHOICE") if f" {word} " in done.out]
    assert done.out.startswith(f"usage: jobsource {name} ")
    examples = done.out.partition("Examples:\n")[2].strip().splitlines()
    assert 2 <= len(examples) <= 3
    assert all("jobsource" in example for example in examples)
    described = done.out.partition("Examples:")[0].splitlines()
    assert max(len(line) for line in described if "ontap://" not in line) <= 100
