"""The exit status of the command, for one outcome and for several."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from common.cli.exit_status import ERRORS, PRECEDENCE, ExitStatus, combined, status_of
from common.cli.main import overview
from common.model import errors
from common.model.errors import JobsError
from common.model.job import Job
from common.model.refs import JobRef
from common.model.states import JobState
from ontapjobs.simulator import OntapSimulator, faults
from tests.common.cli.shell import Served, Shell

FAILURE: tuple[str, None, dict[str, Any]] = (
    "failure",
    None,
    {"message": "no space", "error": {"message": "no space", "code": "4"}},
)
NOBODY = "11111111-1111-4111-8111-111111111111"


def test_every_kind_of_error_has_a_status() -> None:
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, JobsError)]
    for kind in set(kinds) - {JobsError}:
        assert any(issubclass(kind, known) for known, _ in ERRORS), kind


def test_the_first_of_the_precedence_counts() -> None:
    for first, second in itertools.combinations(PRECEDENCE, 2):
        assert combined([second, first]) is combined([first, second]) is first
    assert combined([]) is ExitStatus.OK


@pytest.mark.parametrize("state", JobState)
def test_a_job_that_goes_on_is_no_failure(state: JobState) -> None:
    job = Job(JobRef("ontap", "https://cluster1", "1"), state)
    failed = state in (JobState.FAILED, JobState.PARTIAL, JobState.CANCELLED)
    assert status_of(job) is (ExitStatus.FAILED if failed else ExitStatus.OK)


def test_the_help_has_every_status() -> None:
    text = overview()
    assert all(str(int(status)) in text for status in ExitStatus)
    order = [text.index(f"\n  {int(status)} ") for status in PRECEDENCE]
    assert order == sorted(order)


@pytest.mark.slow
def test_one_job(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    running, failed = ontap.add(("running", None)), ontap.add(FAILURE)
    assert shell.run("wait", ontap.add(("success", None))).status == 0
    assert shell.run("wait", failed).status == 1
    assert shell.run("wait", "not a ref://x").status == 2
    assert shell.run("get", NOBODY).status == 3
    assert shell.run("wait", running, "--timeout", "0").status == 124
    assert shell.run("get", running, failed).status == 1
    assert shell.run("get", running).status == 0


@pytest.mark.slow
def test_mixed_outcomes(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    good, running, failed = (
        ontap.add(("success", None)),
        ontap.add(("running", None)),
        ontap.add(FAILURE),
    )
    assert shell.run("wait", good, running, "--timeout", "0").status == 124
    assert shell.run("get", good, NOBODY, failed).status == 1
    assert shell.run("get", good, NOBODY, running).status == 3


@pytest.mark.slow
def test_who_cannot_sign_in(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    job = ontap.add(("running", None))
    for status, code in ((401, 4), (403, 4)):
        ontap.call(ontap.simulator.inject, None, faults.Status(status))
        assert shell.run("wait", job).status == code
    shell.user.set(JOBSOURCE_ENDPOINT="ontap+http://127.0.0.1:1")
    done = shell.run("get", job)
    assert (done.status, done.out) == (4, "")
    assert "Connection refused" in done.err
