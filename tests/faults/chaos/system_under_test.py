"""The system under test: a simulator, the sources connected to it, and what their observer is told."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import anyio
import attrs

from bluexp_jobs import BlueXPJobs, RefreshToken, ServiceAccount
from bluexp_jobs.simulator import BlueXPSimulator
from cfjobs import CFJobs, UAAClientCredentials, UAAPassword, UAARefreshToken
from cfjobs.simulator import CFSimulator
from common import Bearer, Job, JobsError, JobState
from common.auth.rotation import OnRotate
from common.simulator import Clock, Simulator
from common.simulator.tokens import TokenDesk
from common.sources.http import HttpSource
from common.telemetry.events import Event, EventKind
from ontapjobs import ClientCredentials, OntapJobs
from ontapjobs.simulator import OntapSimulator
from tests.contract.systems import System
from tests.faults.chaos.history import History
from tests.faults.chaos.recording_transport import CALLER, RecordingTransport

START_TIME = datetime(2026, 3, 1, tzinfo=UTC)
"""The simulator's time at the start of each run: fixed, so that a run can be repeated at any time of day."""
TOKEN_LIFETIME = 600.0
"""Seconds."""
INITIAL_REFRESH_TOKEN = "first-refresh-token"

MakeAuth = Callable[[str, OnRotate], Any]

AUTH_METHODS: Mapping[str, Mapping[str, MakeAuth]] = {
    "ontap": {
        "token": lambda _token, _on_rotate: Bearer("t"),
        "client": lambda _token, _on_rotate: ClientCredentials(
            "https://login.example.com/oauth/token", "client", "secret"
        ),
    },
    "bluexp": {
        "client": lambda _token, _on_rotate: ServiceAccount("client", "secret"),
        "refresh": lambda token, on_rotate: RefreshToken(token, on_rotate=on_rotate),
    },
    "cf": {
        "client": lambda _token, _on_rotate: UAAClientCredentials("client", "secret"),
        "password": lambda _token, on_rotate: UAAPassword("user", "correct-horse", on_rotate=on_rotate),
        "refresh": lambda token, on_rotate: UAARefreshToken(token, on_rotate=on_rotate),
    },
}
"""The ways to authenticate, by system; the first is the default."""


@attrs.frozen
class WaitEnd:
    """The end of one wait, or that it was abandoned, as the source's observer was told."""

    caller: object
    job_id: str
    at: float
    kind: EventKind
    job: Job | None
    error: JobsError | None

    def __str__(self) -> str:
        state = self.job.state.name if self.job is not None else "no job"
        return f"{self.job_id} {self.kind} at {self.at} with {state}, {self.error!r}"


@attrs.define
class SystemUnderTest:
    """One running system, to which one source after another is connected."""

    system: System
    simulator: Simulator
    transport: RecordingTransport
    concurrency: int = 8
    seed: int | None = None
    auth_method: str = ""
    refresh_token: str = INITIAL_REFRESH_TOKEN
    """The newest one: an application that uses refresh tokens must store each new one."""
    wait_ends: list[WaitEnd] = attrs.field(factory=list[WaitEnd])
    last_seen: dict[str, Job] = attrs.field(factory=dict[str, Job])
    """The last observation of each job: what a process has to save before it stops."""

    @classmethod
    def create(
        cls,
        system: System,
        seed: int | None = None,
        *,
        concurrency: int = 8,
        auth_method: str | None = None,
        token_lifetime: float = TOKEN_LIFETIME,
        rotate: bool = False,
        **options: Any,
    ) -> SystemUnderTest:
        """Start a system without jobs.

        ``auth_method`` is a key of `AUTH_METHODS`, ``token_lifetime`` is in seconds, ``rotate`` replaces each
        refresh token that was used, and ``options`` go to the simulator.
        """
        auth_method = auth_method or next(iter(AUTH_METHODS[system.name]))
        clock = Clock(START_TIME)
        simulator: Simulator
        match system.name:
            case "ontap":
                tokens = None if auth_method == "token" else TokenDesk(clock, token_lifetime)
                simulator = OntapSimulator(tokens=tokens, clock=clock, seed=seed, **options)
            case "bluexp":
                simulator = BlueXPSimulator(
                    refresh_tokens=[INITIAL_REFRESH_TOKEN],
                    rotate=rotate,
                    token_lifetime=token_lifetime,
                    clock=clock,
                    seed=seed,
                    **options,
                )
            case _:
                simulator = CFSimulator(
                    rotate=rotate, token_lifetime=token_lifetime, clock=clock, seed=seed, **options
                )
        return cls(system, simulator, RecordingTransport(simulator), concurrency, seed, auth_method)

    @property
    def can_reauthenticate(self) -> bool:
        """Whether a rejected token is replaced by a new one."""
        return self.auth_method != "token"

    def connect(self, endpoint: str = "", **options: Any) -> HttpSource:
        """Return a source, as an application would make one when it starts."""
        auth = AUTH_METHODS[self.system.name][self.auth_method](self.refresh_token, self._store_refresh_token)
        options = {
            "transport": self.transport,
            "observer": self._observe,
            "concurrency": self.concurrency,
            **options,
        }
        if self.can_reauthenticate:
            vars(auth)["_random"].seed(self.seed)  # backoff and jitter are the same in each run of a seed
        match self.system.name:
            case "ontap":
                return OntapJobs(endpoint or "cluster1.example.com", auth=auth, **options)
            case "bluexp":
                if endpoint:
                    options["endpoint"] = endpoint
                return BlueXPJobs(account="account-sim", agent="agent-sim", auth=auth, **options)
            case _:
                return CFJobs(endpoint or "https://api.example.org", auth=auth, **options)

    @asynccontextmanager
    async def source(self, **options: Any) -> AsyncGenerator[HttpSource, None]:
        """Connect a source; it is closed on exit."""
        async with self.connect(**options) as source:
            source._current_poller().executor._random.seed(self.seed)
            yield source

    def _store_refresh_token(self, token: str) -> None:
        self.refresh_token = token

    def _observe(self, event: Event) -> None:
        if event.kind is EventKind.SEEN and event.job is not None:
            self.last_seen[event.ref.id] = event.job
        elif event.kind in (EventKind.ENDED, EventKind.ABANDONED):
            at = anyio.current_time()
            self.wait_ends.append(WaitEnd(CALLER.get(), event.ref.id, at, event.kind, event.job, event.error))

    def add_job(self, seconds: float, end: JobState | None, **fields: Any) -> str:
        """Start a job that runs for ``seconds`` and ends as ``end`` (None: never ends), and return its id."""
        return self.simulator.add_job(self.job_script(seconds, end), **fields)

    def job_script(self, seconds: float, end: JobState | None) -> list[tuple[str | None, float | None]]:
        """Return the simulator's script of such a job."""
        words = self.system.words
        if end is None:
            return [(words[JobState.RUNNING], None)]
        return [(words[JobState.RUNNING], seconds), (words[end], None)]

    def terminal_states(self) -> list[JobState]:
        """Return the states in which jobs of this system end."""
        return [state for state in self.system.words if state.terminal]

    def clear_records(self) -> None:
        """Drop all records, so that memory still in use belongs to the simulator or the source."""
        wire = self.transport
        for records in (self.wait_ends, self.last_seen, wire.exchanges, wire.job_reads, wire.sent):
            records.clear()

    def history(self) -> History:
        """Return what the server has replied up to now."""
        return History.read(self.system, self.transport.exchanges, self.simulator.journal)
