"""The plug-in: all that a client and a worker need for jobs in one object."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from temporalio.plugin import SimplePlugin
from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from common.config.preload import preload
from common.hosts.shared import close_shared
from common.integrations.temporal.activities import JobActivities
from common.integrations.temporal.converter import data_converter
from common.integrations.temporal.set_workflow import JobsWorkflow
from common.integrations.temporal.systems import Settings
from common.model.errors import JobsError
from common.providers import provider_packages

PASSED_THROUGH = (__name__.rpartition(".integrations.")[0], "attr", "attrs", "cattrs", "anyio", "sniffio")
"""What workflows may import beside the providers' packages: modules that a sandbox need not load anew."""


class JobsPlugin(SimplePlugin):
    """Waits for jobs in workflows: ``Client.connect(…, plugins=[JobsPlugin()])``; workers take it over.

    It brings the activities, `Job`, `JobRef` and `JobsError` as arguments, results and failures, and the
    imports that workflows need; a workflow fails for a `JobsError` that it does not catch. The sources that
    activities share are closed with the last worker.

    ``systems`` has the settings of each system by its target, as text or plain values:
    ``{"ontap://cluster1": {"user": …, "password": …}}``; nothing else is read then. Without it, workers
    connect by their profiles and environment.
    """

    def __init__(self, systems: Mapping[str, Settings] | None = None) -> None:
        activities = JobActivities(systems)
        self._workers = 0
        super().__init__(
            "jobsource",
            data_converter=data_converter,
            activities=[
                activities.wait_for_job,
                activities.start_job,
                activities.watch_jobs,
                activities.add_jobs,
            ],
            workflows=[JobsWorkflow],
            workflow_runner=_runner,
            workflow_failure_exception_types=[JobsError],
            run_context=self._while_running,
        )

    @asynccontextmanager
    async def _while_running(self) -> AsyncGenerator[None]:
        preload()  # a workflow that waited for imports could be taken for one that hangs
        self._workers += 1
        try:
            yield
        finally:
            self._workers -= 1
            if not self._workers:
                await close_shared()


def _runner(existing: WorkflowRunner | None) -> WorkflowRunner:
    runner = existing or SandboxedWorkflowRunner()
    if not isinstance(runner, SandboxedWorkflowRunner):
        return runner
    modules = (*PASSED_THROUGH, *provider_packages())
    return dataclasses.replace(runner, restrictions=runner.restrictions.with_passthrough_modules(*modules))
