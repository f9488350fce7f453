"""The programs of the documentation's page on Airflow, run as they are printed."""

from __future__ import annotations

import runpy
from typing import Any

import pytest
from airflow.sdk import DAG

from common.simulator import NewJob
from common.simulator.script import Script
from ontapjobs.simulator import OntapSimulator
from tests.integrations.airflow.conftest import EXAMPLES

ENDS: Script = [("running", 0.5), ("success", None)]


def example(name: str) -> DAG:
    """Return the DAG of a program."""
    values: dict[str, Any] = runpy.run_path(str(EXAMPLES / f"{name}.py"))
    (dag,) = (value for value in values.values() if isinstance(value, DAG))
    return dag


def test_there_is_no_other_example() -> None:
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert names == {"wait_for_a_job", "make_a_volume", "no_worker", "after_any_snapmirror"}


@pytest.mark.parametrize("name", ["wait_for_a_job", "make_a_volume", "no_worker", "after_any_snapmirror"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # as in test_paths.py
def test_an_example_succeeds(name: str, ontap: OntapSimulator) -> None:
    ontap.on_write = NewJob(ENDS)
    jobs = [ontap.add_job(ENDS) for _ in range(3)]
    run = example(name).test(run_conf={"job": jobs[0], "jobs": jobs, "name": "vol1"})
    assert str(run.state) == "success"
