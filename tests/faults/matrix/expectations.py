"""What must come of each fault, in each phase, on each system: data alone.

A wait is for a job that takes 9.5 s, is asked about once a second, and has a deadline of 60 s; requests time
out after 5 s. Credentials are renewed after a 401.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from bluexp_jobs.wire import PROVIDER as BLUEXP
from common import (
    ActionRefused,
    ActionUncertain,
    ApiError,
    AuthenticationError,
    JobGone,
    JobNotFound,
    JobState,
    PermissionDenied,
    RateLimited,
    ServerError,
    TransportError,
    WaitTimeout,
)
from common.model.errors import SourceError
from common.simulator import (
    ContentType,
    CutBody,
    Delay,
    ExpireTokens,
    Fault,
    Forget,
    Hang,
    Html,
    IgnoreFilter,
    Refuse,
    Reset,
    RetryAfter,
    ShortPage,
    Stale,
)
from tests.faults.matrix.cases import Outcome

PAUSED, RUNNING, SUCCEEDED, UNKNOWN = (
    JobState.PAUSED,
    JobState.RUNNING,
    JobState.SUCCEEDED,
    JobState.UNKNOWN,
)
MANY = "ontap-many"
ASKED = "A succeeded, B running"
POLLING = frozenset({"first poll", "mid-wait", "last poll"})


@attrs.frozen
class Cell:
    """One outcome. ``sent``: at most so many requests from the first that met the fault on, with that one."""

    outcome: Outcome
    sent: int = 1
    by: float = 60.0
    """Seconds after which it is there at the latest; a `WaitTimeout` comes at 60 exactly."""
    cause: type[SourceError] | None = None
    """What a `WaitTimeout` names as its reason."""


@attrs.frozen
class Polls:
    """The cells of the first poll, of one mid-wait (at 5 s) and of the last (at 10 s)."""

    first: Cell
    mid: Cell
    last: Cell

    def of(self, phase: str) -> Cell:
        return {"first poll": self.first, "mid-wait": self.mid, "last poll": self.last}[phase]


def ends(outcome: Outcome, sent: tuple[int, int, int], by: tuple[float, float, float]) -> Polls:
    return Polls(*(Cell(outcome, most, late) for most, late in zip(sent, by, strict=True)))


def times_out(cause: type[SourceError], sent: int) -> Polls:
    """Backoff doubles, less up to half for jitter: no more than 13 tries in 60 s."""
    cell = Cell(WaitTimeout, sent, 60.0, cause)
    return Polls(cell, cell, cell)


def at_once(outcome: Outcome, sent: int) -> Polls:
    return ends(outcome, (sent, sent, sent), (0, 5, 10))


@attrs.frozen
class Row:
    """What faults lead to where they show once, and where they never end; None where they cannot occur."""

    faults: Mapping[str, Fault | int]
    """All with the same outcomes. A number is a status with the provider's own words."""
    once: Polls | None
    ever: Polls | None
    act: Cell | None
    re_read: Cell | None
    list: Cell | None
    start: Cell | None
    lasting: Mapping[str, Cell] = attrs.field(factory=dict[str, Cell])
    """What the last four become where the fault never ends, if that makes a difference."""
    once_many: Polls | None = None
    """For three jobs of ONTAP that are asked about in one request, where that makes a difference."""
    ever_many: Polls | None = None
    fault_on: Mapping[str, Fault] = attrs.field(factory=dict[str, Fault])

    def cell(self, phase: str, column: str, *, ever: bool) -> Cell | None:
        if phase in POLLING:
            many = (self.ever_many if ever else self.once_many) if column == MANY else None
            polls = many or (self.ever if ever else self.once)
            return None if polls is None else polls.of(phase)
        cells = {"act": self.act, "re-read": self.re_read, "list": self.list, "start": self.start}
        return {**cells, **(self.lasting if ever else {})}[phase]


PASSES = ends(SUCCEEDED, (11, 6, 2), (10, 10, 11))
"""One poll more, after half a second to a second."""
HARMLESS = ends(SUCCEEDED, (11, 6, 1), (10, 10, 10))
HELD = ends(SUCCEEDED, (7, 2, 2), (10, 10, 15))
"""One poll more, after 5 s: the others would have come within them."""
SENT_AGAIN = ends(SUCCEEDED, (12, 7, 2), (10, 10, 10))
"""Sent once more in the same breath: a read whose connection dropped, or a 401."""
ONE_BY_ONE = ends(SUCCEEDED, (34, 19, 4), (10, 10, 10))
"""The request for many is not to be trusted: three requests, for a minute, in place of one."""
MAYBE_DONE = Cell(ActionUncertain, by=0)
"""Sent once, and whether the server did it nobody can say."""
UNREAD = Cell(UNKNOWN, 3, by=3)
"""The action was taken, and three reads cannot tell what came of it."""
DENIED = Cell(AuthenticationError, 2, by=0)

ROWS = (
    Row(
        {
            "503, Retry-After in seconds": RetryAfter(5),
            "503, Retry-After as a date": RetryAfter(5, date=True),
        },
        once=HELD,
        ever=times_out(ServerError, 8),
        act=MAYBE_DONE,
        re_read=Cell(PAUSED, 2, by=5),
        list=Cell(ServerError, by=5),
        start=MAYBE_DONE,
        lasting={"re-read": Cell(UNKNOWN, 3, by=10)},
    ),
    Row(
        {"429, Retry-After in seconds": RetryAfter(5, status=429)},
        once=HELD,
        ever=times_out(RateLimited, 8),
        act=Cell(RateLimited, by=0),
        re_read=Cell(PAUSED, 2, by=5),
        list=Cell(RateLimited, by=5),
        start=Cell(RateLimited, by=0),
        lasting={"re-read": Cell(UNKNOWN, 3, by=10)},
    ),
    Row(
        {"429": 429},
        once=PASSES,
        ever=times_out(RateLimited, 13),
        act=Cell(RateLimited, by=0),
        re_read=Cell(PAUSED, 2, by=1),
        list=Cell(RateLimited, by=5),
        start=Cell(RateLimited, by=0),
        lasting={"re-read": UNREAD},
    ),
    Row(
        {"HTML 504": Html(504), "HTML 504 after the deed": Html(504, acts=True)},
        once=PASSES,
        ever=times_out(ServerError, 13),
        act=MAYBE_DONE,
        re_read=Cell(PAUSED, 2, by=1),
        list=Cell(ServerError, by=5),
        start=MAYBE_DONE,
        lasting={"re-read": UNREAD},
    ),
    Row(
        {"JSON as text/plain": ContentType("text/plain"), "wrong content type": ContentType("text/html")},
        once=HARMLESS,
        ever=HARMLESS,
        act=Cell(RUNNING, 2, by=0),
        re_read=Cell(RUNNING, by=0),
        list=Cell(ASKED, by=5),
        start=Cell("started", by=0),
    ),
    Row(
        {"delay": Delay(3)},
        once=ends(SUCCEEDED, (9, 4, 1), (10, 10, 13)),
        ever=ends(SUCCEEDED, (5, 3, 1), (15, 14, 13)),
        act=Cell(PAUSED, 2, by=3),
        re_read=Cell(RUNNING, by=3),
        list=Cell(ASKED, by=8),
        start=Cell("started", by=3),
    ),
    Row(
        {"hang": Hang(), "hang after the deed": Hang(acts=True)},
        once=HELD,
        ever=times_out(TransportError, 7),
        act=Cell(ActionUncertain, by=5),
        re_read=Cell(PAUSED, 2, by=6),
        list=Cell(TransportError, by=10),
        start=Cell(ActionUncertain, by=5),
        lasting={"re-read": Cell(UNKNOWN, 3, by=18)},
    ),
    Row(
        {
            "cut body": CutBody(20),
            "connection reset": Reset(),
            "connection reset after the deed": Reset(acts=True),
        },
        once=SENT_AGAIN,
        ever=times_out(TransportError, 26),
        act=MAYBE_DONE,
        re_read=Cell(RUNNING, 2, by=0),
        list=Cell(ASKED, 2, by=5),
        start=MAYBE_DONE,
        lasting={"re-read": Cell(UNKNOWN, 6, by=3), "list": Cell(TransportError, 2, by=5)},
    ),
    Row(
        {"refused for 7 s": Refuse(7)},
        once=ends(SUCCEEDED, (12, 9, 9), (14, 19, 24)),
        ever=times_out(TransportError, 13),
        act=Cell(TransportError, by=0),
        re_read=UNREAD,
        list=Cell(TransportError, by=5),
        start=Cell(TransportError, by=0),
    ),
    Row(
        {"stale by 3 s": Stale(3)},
        once=ends(SUCCEEDED, (11, 6, 2), (10, 10, 11)),
        once_many=ends(SUCCEEDED, (34, 6, 2), (10, 10, 11)),
        ever=Polls(Cell(JobNotFound, 3, by=2), Cell(SUCCEEDED, 10, by=14), Cell(SUCCEEDED, 5, by=14)),
        ever_many=Polls(Cell(JobNotFound, 12, by=2), Cell(SUCCEEDED, 10, by=14), Cell(SUCCEEDED, 5, by=14)),
        act=None,
        re_read=Cell(UNKNOWN, by=0),
        list=Cell("A running, B running", by=5),
        start=None,
    ),
    Row(
        {"short page": ShortPage(1)},
        once=None,
        once_many=ends(SUCCEEDED, (12, 7, 2), (10, 10, 10)),
        ever=None,
        ever_many=ends(SUCCEEDED, (33, 18, 3), (10, 10, 10)),
        act=None,
        re_read=None,
        list=Cell(ASKED, 2, by=5),
        start=None,
    ),
    Row(
        {"empty page": ShortPage()},
        once=None,
        once_many=ends(SUCCEEDED, (12, 7, 2), (10, 10, 10)),
        ever=None,
        ever_many=ends(SUCCEEDED, (44, 24, 4), (10, 10, 10)),
        act=None,
        re_read=None,
        list=Cell(ASKED, 2, by=5),
        start=None,
        lasting={"list": Cell(ASKED, 3, by=5)},
    ),
    Row(
        {"ignored filter": IgnoreFilter()},
        fault_on={BLUEXP: IgnoreFilter("type")},
        once=None,
        once_many=ONE_BY_ONE,
        ever=None,
        ever_many=ONE_BY_ONE,
        act=None,
        re_read=None,
        list=Cell("A succeeded, B running, C running", by=5),
        start=None,
    ),
    Row(
        {"expired tokens": ExpireTokens(), "401": 401},
        once=SENT_AGAIN,
        ever=at_once(AuthenticationError, 2),
        act=Cell(RUNNING, 3, by=0),
        re_read=Cell(RUNNING, 2, by=0),
        list=Cell(ASKED, 2, by=5),
        start=Cell("started", 2, by=0),
        lasting={
            "act": DENIED,
            "re-read": Cell(UNKNOWN, 2, by=0),
            "list": Cell(AuthenticationError, 2, by=5),
            "start": DENIED,
        },
    ),
    Row(
        {"a job vanishes": Forget()},
        once=Polls(Cell(JobNotFound, 3, by=2), Cell(JobGone, by=5), Cell(JobGone, by=10)),
        once_many=Polls(Cell(JobNotFound, 12, by=2), Cell(JobGone, 4, by=5), Cell(JobGone, 4, by=10)),
        ever=Polls(Cell(JobNotFound, 3, by=2), Cell(JobGone, by=5), Cell(JobGone, by=10)),
        ever_many=Polls(Cell(JobNotFound, 12, by=2), Cell(JobGone, 4, by=5), Cell(JobGone, 4, by=10)),
        act=Cell(JobNotFound, by=0),
        re_read=Cell(UNKNOWN, by=0),
        list=Cell("B running", by=5),
        start=None,
    ),
    Row(
        {"403": 403},
        once=at_once(PermissionDenied, 1),
        once_many=ONE_BY_ONE,
        ever=at_once(PermissionDenied, 1),
        ever_many=at_once(PermissionDenied, 4),
        act=Cell(PermissionDenied, by=0),
        re_read=Cell(UNKNOWN, by=0),
        list=Cell(PermissionDenied, by=5),
        start=Cell(PermissionDenied, by=0),
    ),
    Row(
        {"400": 400},
        once=at_once(ApiError, 1),
        once_many=ONE_BY_ONE,
        ever=at_once(ApiError, 1),
        ever_many=at_once(ApiError, 4),
        act=Cell(ActionRefused, by=0),
        re_read=Cell(UNKNOWN, by=0),
        list=Cell(ApiError, by=5),
        start=Cell(ApiError, by=0),
    ),
    Row(
        {"500": 500},
        once=PASSES,
        ever=times_out(ServerError, 13),
        act=Cell(ServerError, by=0),
        re_read=Cell(PAUSED, 2, by=1),
        list=Cell(ServerError, by=5),
        start=Cell(ServerError, by=0),
        lasting={"re-read": UNREAD},
    ),
)
TABLE: Mapping[str, Row] = {kind: row for row in ROWS for kind in row.faults}
