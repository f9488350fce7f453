"""The same resource for each of the three systems."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import dagster as dg
import pytest
from anyio.from_thread import start_blocking_portal

from bluexp_jobs.dagster import BlueXPResource
from bluexp_jobs.simulator import BlueXPSimulator
from cfjobs.dagster import CFResource
from cfjobs.simulator import CFSimulator
from common.integrations.dagster.resource import JobsResource
from common.simulator import Simulator
from common.simulator.script import Script

SYSTEMS = [
    (
        "bluexp",
        BlueXPSimulator(account="account-x1", agent="a1"),
        [("RUNNING", 0.5), ("COMPLETED", None)],
        partial(BlueXPResource, account="account-x1", agent="a1"),
    ),
    ("cf", CFSimulator(), [("PROCESSING", 0.5), ("COMPLETE", None)], CFResource),
]


@pytest.mark.slow
@pytest.mark.parametrize(("provider", "simulator", "script", "resource"), SYSTEMS)
def test_an_asset_waits_for_a_job(
    provider: str, simulator: Simulator, script: Script, resource: Callable[..., JobsResource]
) -> None:
    async def job(system: dg.ResourceParam[Any]) -> None:
        assert (await system.wait_for_job(simulator.add_job(script))).succeeded

    with start_blocking_portal() as loop, loop.wrap_async_context_manager(simulator.serve()) as url:
        target = f"{provider}{url.replace('http', '+http', 1)}/"
        system = resource(target=target, token="t0ken-of-mine")
        assert dg.materialize([dg.asset(job)], resources={"system": system}).success


@pytest.mark.parametrize("package", ["ontapjobs", "bluexp_jobs", "cfjobs"])
def test_each_package_has_a_resource_and_what_goes_with_it(package: str) -> None:
    names = set(import_module(f"{package}.dagster").__all__)
    assert {"job_metadata", "job_sensor"} < names
    [resource] = [name for name in names if name.endswith("Resource")]
    fields = getattr(import_module(f"{package}.dagster"), resource).model_fields
    assert all(field.description for field in fields.values())
    assert [
        name for name, field in fields.items() if field.repr and ("secret" in name or name == "token")
    ] == []
