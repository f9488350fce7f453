"""One simulated system in operation, the ways to sign in to it, and what an observer is told there."""

from __future__ import annotations

from collections import Counter
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
from common.auth.token_auth import REFRESH_GRACE, OnRotate
from common.simulator import Clock, Simulator
from common.simulator.tokens import TokenDesk
from common.sources.http import HttpSource
from common.telemetry.events import Event, EventKind
from ontapjobs import ClientCredentials, OntapJobs
from ontapjobs.simulator import OntapSimulator
from tests.contract.systems import System
from tests.faults.chaos.history import Evidence
from tests.faults.chaos.recording_transport import WHO, Way

EPOCH = datetime(2026, 3, 1, tzinfo=UTC)
"""When every storm begins: a replay must not depend on the second in which it runs."""
LIFETIME = 600.0
FIRST = "first-refresh-token"
"""What is at hand where nobody signs in with a password."""

Auth = Callable[[str, OnRotate], Any]

LOGINS: Mapping[str, Mapping[str, Auth]] = {
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
        "password": lambda _token, on_rotate: UAAPassword("user", "password", on_rotate=on_rotate),
        "refresh": lambda token, on_rotate: UAARefreshToken(token, on_rotate=on_rotate),
    },
}
"""The ways to sign in, by system; the first is what is taken unless a test says otherwise."""
SHELTERED = frozenset({"password", "refresh"})
"""Those that may hold up a cancelled wait, for the refresh token in the reply must not be lost."""


@attrs.frozen
class Told:
    """That a wait ended or was abandoned, as its observer was told: whose it was, and when."""

    who: object
    id: str
    at: float
    kind: EventKind
    job: Job | None
    error: JobsError | None

    def __str__(self) -> str:
        state = self.job.state.name if self.job is not None else "nothing"
        return f"{self.id} {self.kind} at {self.at} with {state}, {self.error!r}"


@attrs.define
class Place:
    """One system in operation, whose sources come and go."""

    system: System
    simulator: Simulator
    way: Way
    concurrency: int = 8
    seed: int | None = None
    login: str = ""
    refresh_token: str = FIRST
    """The newest, as whoever signs in by one must keep it."""
    told: list[Told] = attrs.field(factory=list[Told])
    seen: dict[str, Job] = attrs.field(factory=dict[str, Job])
    """The last observation of each job: what a process has to write down before it stops."""
    events: Counter[EventKind] = attrs.field(factory=Counter[EventKind])

    @classmethod
    def of(
        cls,
        system: System,
        seed: int | None = None,
        *,
        concurrency: int = 8,
        login: str | None = None,
        lifetime: float = LIFETIME,
        rotate: bool = False,
        **options: Any,
    ) -> Place:
        """A system that knows no job yet. ``login`` is one of `LOGINS`, ``lifetime`` that of its tokens."""
        login = login or next(iter(LOGINS[system.name]))
        clock = Clock(EPOCH)
        simulator: Simulator
        match system.name:
            case "ontap":
                desk = None if login == "token" else TokenDesk(clock, lifetime)
                simulator = OntapSimulator(tokens=desk, clock=clock, seed=seed, **options)
            case "bluexp":
                simulator = BlueXPSimulator(
                    refresh_tokens=[FIRST],
                    rotate=rotate,
                    token_lifetime=lifetime,
                    clock=clock,
                    seed=seed,
                    **options,
                )
            case _:
                simulator = CFSimulator(
                    rotate=rotate, token_lifetime=lifetime, clock=clock, seed=seed, **options
                )
        return cls(system, simulator, Way(simulator), concurrency, seed, login)

    @property
    def delay(self) -> float:
        """Seconds by which a wait may be late, for the sake of a refresh token that is being spent."""
        return REFRESH_GRACE if self.login in SHELTERED else 0.0

    @property
    def renews(self) -> bool:
        """Whether a token that was refused is replaced by another."""
        return self.login != "token"

    @asynccontextmanager
    async def source(self, **options: Any) -> AsyncGenerator[HttpSource, None]:
        """A source of this place, as a process would make it when it starts."""
        auth = LOGINS[self.system.name][self.login](self.refresh_token, self._keep)
        options = {"transport": self.way, "observer": self._note, "concurrency": self.concurrency, **options}
        if self.renews:
            vars(auth)["_random"].seed(self.seed)  # pauses and jitter too are the same in each run of a seed
        source: HttpSource
        match self.system.name:
            case "ontap":
                source = OntapJobs("cluster1.example.com", auth=auth, **options)
            case "bluexp":
                source = BlueXPJobs(account="account-sim", agent="agent-sim", auth=auth, **options)
            case _:
                source = CFJobs("https://api.example.org", auth=auth, **options)
        async with source:
            source._current_poller()._executor._random.seed(self.seed)
            yield source

    def _keep(self, token: str) -> None:
        self.refresh_token = token

    def _note(self, event: Event) -> None:
        self.events[event.kind] += 1
        if event.kind is EventKind.SEEN and event.job is not None:
            self.seen[event.ref.id] = event.job
        elif event.kind in (EventKind.ENDED, EventKind.ABANDONED):
            at = anyio.current_time()
            self.told.append(Told(WHO.get(), event.ref.id, at, event.kind, event.job, event.error))

    def job(self, seconds: float, end: JobState | None, **fields: Any) -> str:
        """Start a job that runs for so long and ends so (None: never), and return its id."""
        return self.simulator.add_job(self.script(seconds, end), **fields)

    def script(self, seconds: float, end: JobState | None) -> list[tuple[str | None, float | None]]:
        """How such a job lives."""
        words = self.system.words
        if end is None:
            return [(words[JobState.RUNNING], None)]
        return [(words[JobState.RUNNING], seconds), (words[end], None)]

    def ends(self) -> list[JobState]:
        """The ways in which jobs end here."""
        return [state for state in self.system.words if state.terminal]

    def forget(self) -> None:
        """Drop all that was noted so far: what is left behind then is the system's, or the source's."""
        for noted in (self.told, self.seen, self.events, self.way.trips, self.way.left, self.way.sent):
            noted.clear()

    def evidence(self) -> Evidence:
        """What the server has said up to now."""
        return Evidence.of(self.system, self.way.trips, self.simulator.journal)
