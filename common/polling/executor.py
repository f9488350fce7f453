"""One request of the shared poller, and what each of its passengers is told of the answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from common.model.errors import DecodeError, JobNotFound, SourceError, UnexpectedState
from common.polling.pollable import BatchRefused, Pollable, Reading, Sweep
from common.polling.waiters import Entry, Flight, Waiter
from common.telemetry.events import EventKind, tell

BATCH_AGAIN = 60.0
"""Seconds after which a server that refused a request for many ids is tried with one again."""


class Asking:
    """Asks one source, and tells the waiters. ``wake`` lets the task of one go on."""

    def __init__(self, source: Pollable, now: Callable[[], float], wake: Callable[[Waiter], None]) -> None:
        self._source = source
        self._now = now
        self._wake = wake
        self.batch_after: float = -math.inf
        """From when on the server may be asked about many jobs in one request."""

    async def carry(self, flight: Flight) -> None:
        """Send the request, and tell all who are in it. Raises what is no word of the server alone."""
        flight.left = self._now()
        for entry in flight.entries:
            for waiter in entry.waiters:
                waiter.polls += 1
        try:
            if len(flight.entries) > 1:
                await self._sweep(flight)
            else:
                entry = flight.entries[0]
                reading = entry.reading = await self._source.read(entry.ref, entry.reading)
                if entry.alone_until == math.inf:
                    # A sweep could not tell of it, and yet it is there: sweeps are not to be trusted with it.
                    entry.alone_until = flight.left + BATCH_AGAIN
                self._seen(flight, entry, reading)
        except JobNotFound as error:
            self._missing(flight, error)
        except SourceError as error:
            self._troubled(flight, flight.entries, error)

    async def _sweep(self, flight: Flight) -> None:
        try:
            sweep = await self._source.sweep([entry.ref for entry in flight.entries])
        except (SourceError, BatchRefused) as failure:
            sweep = Sweep({}, failure=failure)
        now = datetime.now(UTC)
        absent = [entry for entry in flight.entries if not self._found(flight, entry, sweep, now)]
        if sweep.failure is None:
            self._source.answered()
            for entry in absent:
                entry.alone_until = math.inf  # only a single GET is the API's own word for "absent"
        elif isinstance(sweep.failure, SourceError):
            self._source.heed(sweep.failure)
            self._troubled(flight, absent, sweep.failure)
        elif not sweep.failure.smaller or self._source.room >= flight.room:
            # Else the same would be asked for ever. All are still due, and go out one by one.
            self.batch_after = self._now() + BATCH_AGAIN

    def _found(self, flight: Flight, entry: Entry, sweep: Sweep, now: datetime) -> bool:
        """Tell what the sweep has of one job, where that is something."""
        record = sweep.found.get(entry.ref.id.lower())
        if record is None:
            return False
        at = None
        try:
            if entry.job is None or record != entry.record:
                entry.job = self._source.decode_record(entry.ref, record)
                entry.record = record
            else:
                at = now
        except DecodeError:
            entry.alone_until = math.inf
        else:
            self._seen(flight, entry, Reading(entry.job, sweep.date, at=at))
        return True

    # Telling the waiters

    def _seen(self, flight: Flight, entry: Entry, reading: Reading) -> None:
        job, delay = reading.job, math.inf
        for waiter in entry.waiters:
            if waiter.ready or (waiter.number > flight.number and not job.done):
                continue  # a newcomer's state must be newer than itself, unless it is an end
            try:
                news = waiter.saw(job, dispatched=flight.left, date=reading.date, at=reading.at)
            except UnexpectedState as error:
                waiter.fail(error)
                news = False
            tell(self._source.observer, EventKind.SEEN, waiter.ref, job)
            if news:
                tell(self._source.observer, EventKind.CHANGED, waiter.ref, job)
            waiter.ready = waiter.ready or waiter.ended or (news and not waiter.only_end)
            if not waiter.ended and waiter.error is None:
                delay = min(delay, waiter.due - flight.left)
            self._told(waiter)
        if delay < math.inf:
            entry.delay = delay

    def _missing(self, flight: Flight, error: JobNotFound) -> None:
        for entry in flight.entries:
            entry.alone_until = -math.inf
            for waiter in entry.waiters:
                if waiter.ready or waiter.number > flight.number:
                    continue
                ending = waiter.missing(error, dispatched=flight.left)
                if ending is not None:
                    waiter.absent = True
                    waiter.fail(ending)
                self._told(waiter)

    def _troubled(self, flight: Flight, entries: Sequence[Entry], error: SourceError) -> None:
        now, draw = self._now(), self._source.draw()
        for entry in entries:
            for waiter in entry.waiters:
                if waiter.ready or waiter.number > flight.number:
                    continue
                ending = waiter.troubled(error, dispatched=flight.left, now=now, draw=draw)
                if ending is not None:
                    waiter.fail(ending)
                else:
                    tell(self._source.observer, EventKind.TROUBLE, waiter.ref, waiter.last, error)
                self._told(waiter)

    def _told(self, waiter: Waiter) -> None:
        if waiter.one_read and not waiter.ready:
            waiter.fail(waiter.expired())
        if waiter.ready:
            self._wake(waiter)
