"""On Prefect's own server: flows that are cancelled, stopped, killed, and run again."""

from __future__ import annotations

import signal
import time

import pytest

from tests.integrations.prefect.deployment import Deployment, until

pytestmark = pytest.mark.slow
FLOWS = ["wait", "submit", "outer"]


@pytest.mark.parametrize(("cancel_job", "writes"), [(False, []), (True, ["PATCH"])])
def test_a_person_who_cancels_a_flow_run_cancels_its_job_once_if_asked_for(
    prefect: Deployment, cancel_job: bool, writes: list[str]
) -> None:
    jobs = {flow: prefect.add_job(600) for flow in FLOWS}
    with prefect.runner():
        runs = {flow: prefect.start(flow, jobs=[job], cancel_job=cancel_job) for flow, job in jobs.items()}
        until(lambda: prefect.asked(jobs.values()))
        for run in runs.values():
            prefect.cancel(run)
        assert [prefect.ends(run) for run in runs.values()] == ["Cancelled"] * 3
        until(lambda: len(prefect.writes) >= 3 * len(writes))
    assert prefect.writes == 3 * writes


def test_a_runner_that_stops_leaves_the_jobs_alone(prefect: Deployment) -> None:
    jobs = {flow: prefect.add_job(600) for flow in FLOWS}
    with prefect.runner() as runner:
        for flow, job in jobs.items():
            prefect.start(flow, jobs=[job], cancel_job=True)
        until(lambda: prefect.asked(jobs.values()))
        runner.send_signal(signal.SIGTERM)
        runner.wait()
    time.sleep(1)
    assert prefect.writes == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_flow_that_was_ended_takes_up_the_jobs_that_it_started(
    prefect: Deployment, number: signal.Signals
) -> None:
    with prefect.runner():
        run = prefect.start("make", names=["vol1", "vol2"])
        until(lambda: prefect.reads)
        prefect.kill("make", number)
        assert prefect.ends(run) == "Crashed"
        assert prefect.writes == ["POST", "POST"]
        prefect.run_again(run)
        assert prefect.ends(run) == "Completed"
    assert prefect.writes == ["POST", "POST"]
