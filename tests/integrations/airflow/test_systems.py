"""The same classes for each of the three systems."""

from __future__ import annotations

import asyncio
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import attrs
import pytest
from anyio.from_thread import start_blocking_portal

from bluexp_jobs.simulator import BlueXPSimulator
from cfjobs.simulator import CFSimulator
from common import JobRef, close_shared, from_dict
from common.simulator import Simulator
from common.simulator.script import Script
from ontapjobs.simulator import OntapSimulator


@attrs.frozen
class System:
    """What differs between the systems."""

    package: str
    name: str
    simulator: Simulator
    script: Script
    extra: dict[str, str]
    ref: str
    url: str


SYSTEMS = [
    System(
        "ontapjobs",
        "ontap",
        OntapSimulator(),
        [("running", 0.5), ("success", None)],
        {"token": "secret"},
        "ontap://um/api/gateways/1cd8a442//a1",
        "https://um/api/gateways/1cd8a442/cluster/jobs/a1",
    ),
    System(
        "bluexp_jobs",
        "bluexp",
        BlueXPSimulator(account="account-x1", agent="a1"),
        [("RUNNING", 0.5), ("COMPLETED", None)],
        {"token": "secret", "account": "account-x1", "agent": "a1"},
        "bluexp://api.bluexp.netapp.com/account-x1/1b34?agent=a1",
        "https://api.bluexp.netapp.com/account/account-x1/providers/cloudmanager_cbs/api/v1/job/1b34",
    ),
    System(
        "cfjobs",
        "cf",
        CFSimulator(),
        [("PROCESSING", 0.5), ("COMPLETE", None)],
        {"token": "secret"},
        "cf://api.example.org/space.delete~cf-space-1",
        "https://api.example.org/v3/jobs/space.delete~cf-space-1",
    ),
]
on_each = pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)


@on_each
def test_a_trigger_waits_for_a_job(
    system: System, airflow_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow = import_module(f"{system.package}.airflow")

    async def first() -> Any:
        job = system.simulator.add_job(system.script)
        event = await anext(airflow.JobTrigger(job=job, conn_id=f"{system.name}_default").run())
        await close_shared()
        return event.payload["outcomes"][0]

    with start_blocking_portal() as loop, loop.wrap_async_context_manager(system.simulator.serve()) as url:
        connection = {"conn_type": system.name, "host": url, "extra": system.extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{system.name.upper()}_DEFAULT", json.dumps(connection))
        assert from_dict(asyncio.run(first())).succeeded


@on_each
def test_what_airflow_stores_is_named_after_the_systems_package(system: System) -> None:
    airflow = import_module(f"{system.package}.airflow")
    operator = airflow.WaitForJobOperator(task_id="wait", job="1", start_from_trigger=True)
    assert operator.start_trigger_args.trigger_cls == f"{system.package}.airflow.JobTrigger"
    for name in airflow.__all__:
        assert name == "JobLink" or getattr(airflow, name).__module__ == f"{system.package}.airflow"


@on_each
def test_the_connection_is_an_argument_of_its_own_and_has_a_default(system: System) -> None:
    airflow = import_module(f"{system.package}.airflow")
    name = f"{system.name}_conn_id"
    for kind, arguments in (
        (airflow.WaitForJobOperator, {"job": "1"}),
        (airflow.WaitForJobSensor, {"job": "1"}),
        (airflow.StartJobOperator, {"method": "POST", "path": "/"}),
    ):
        assert kind(task_id="task", **arguments).conn_id == f"{system.name}_default"
        assert kind(task_id="task", **arguments, **{name: "other"}).conn_id == "other"


@on_each
def test_the_link_leads_to_the_job(system: System) -> None:
    hook = next(
        value
        for name, value in vars(import_module(f"{system.package}.airflow")).items()
        if name.endswith("Hook")
    )
    assert hook.url(JobRef.parse(system.ref)) == system.url
