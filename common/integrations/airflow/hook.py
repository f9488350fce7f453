"""The hook: from a connection's id to the system that it names, and to that system's source."""

from __future__ import annotations

import abc
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import anyio
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.sdk import BaseHook

from common.config.sign_in import check_sign_in
from common.hosts.portal import portal
from common.integrations.airflow.connections import system_of
from common.integrations.systems import System
from common.model.errors import JobsError, UsageError
from common.model.refs import JobRef
from common.sources.base import BaseSource
from common.sources.batch_look import Outcome

TEST_TIMEOUT = 15.0
"""Seconds for a test of a connection."""


class JobsHook(BaseHook):
    """A connection to a system with jobs; each provider has its own subclass.

    Its host may have a scheme, a port and a path; login and password sign in, and what stands in its extra
    are the keywords of `connect`: ``verify``, ``token``, and so on. Nothing else is read: no profile, no
    variable. A connection that cannot be used is a `UsageError`.
    """

    provider: ClassVar[str]
    """The provider's name, as in its refs."""
    conn_type: ClassVar[str]
    hook_name: ClassVar[str]
    conn_name_attr: ClassVar[str] = "conn_id"
    default_conn_name: ClassVar[str]

    def __init__(self, conn_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = self.default_conn_name if conn_id is None else conn_id

    def system(self) -> System:
        """Return what the connection names."""
        try:
            return system_of(self.get_connection(self.conn_id), self.provider)
        except AirflowNotFoundException as error:
            raise UsageError(str(error)) from None

    async def asystem(self) -> System:
        """Return what the connection names; for an event loop, which `system` would block."""
        try:
            return system_of(await self.aget_connection(self.conn_id), self.provider)
        except AirflowNotFoundException as error:
            raise UsageError(str(error)) from None

    @classmethod
    @abc.abstractmethod
    def url(cls, ref: JobRef) -> str:
        """Return the URL of a job in its system's API."""

    @classmethod
    def first_url(cls, outcomes: Iterable[Outcome]) -> str:
        """Return the URL of the first of some jobs, "" where there is none."""
        return next((cls.url(outcome.ref) for outcome in outcomes if outcome.ref is not None), "")

    @asynccontextmanager
    async def source(self) -> AsyncGenerator[BaseSource]:
        """Give the source of the connection's system, shared by all tasks of the event loop."""
        async with (await self.asystem()).source() as source:
            yield source

    def test_connection(self) -> tuple[bool, str]:
        """Return whether the system answers and accepts the credentials, and a sentence that says so."""
        try:
            system = self.system()
            with portal() as loop:
                return True, loop.call(_test, system)
        except JobsError as error:
            return False, str(error)


async def _test(system: System) -> str:
    async with system.source() as source:
        try:
            with anyio.fail_after(TEST_TIMEOUT):
                await check_sign_in(source)
        except TimeoutError:
            raise JobsError(f"{source.endpoint} did not answer within {TEST_TIMEOUT:g} s") from None
        return f"{source.endpoint} answers, and accepts the credentials"
