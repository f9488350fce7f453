"""The expected outcome of each fault, in each phase, on each system, as data.

A wait is for a job that runs for 9.5 s, polls once a second, and has a timeout of 60 s; requests time out
after 5 s. Tokens are replaced after a 401.
"""

from __future__ import annotations

from collections.abc import Mapping

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
)
from common.simulator import (
    ContentType,
    CutBody,
    Delay,
    ExpireTokens,
    Forget,
    Hang,
    Html,
    IgnoreFilter,
    Latin1,
    Refuse,
    Reset,
    RetryAfter,
    ShortPage,
    Stale,
)
from tests.faults.matrix.expectations import Expected, ExpectedPolls, Row, at_once, ends, times_out

PAUSED, RUNNING, SUCCEEDED, UNKNOWN = (
    JobState.PAUSED,
    JobState.RUNNING,
    JobState.SUCCEEDED,
    JobState.UNKNOWN,
)
LISTED = "A succeeded, B running"

RETRIED = ends(SUCCEEDED, (11, 6, 2), (10, 10, 11))
"""One more poll, after half a second to a second."""
NO_EFFECT = ends(SUCCEEDED, (11, 6, 1), (10, 10, 10))
RETRIED_AFTER_5_S = ends(SUCCEEDED, (7, 2, 2), (10, 10, 15))
"""One more poll, after 5 s, in place of the polls that were due within them."""
RESENT = ends(SUCCEEDED, (12, 7, 2), (10, 10, 10))
"""The same request is sent again at once: a read whose connection was dropped, or that got a 401."""
POLLED_SINGLY = ends(SUCCEEDED, (34, 19, 4), (10, 10, 10))
"""Requests for many jobs are not used for a minute: there are three requests in place of one."""
UNCERTAIN = Expected(ActionUncertain, seconds=0)
"""Sent once; whether the server carried it out is not known."""
NOT_REREAD = Expected(UNKNOWN, 3, seconds=3)
"""The action was accepted, but the job could not be read in three attempts."""
REJECTED = Expected(AuthenticationError, 2, seconds=0)
FORGOTTEN = ExpectedPolls(
    Expected(JobNotFound, 3, seconds=2),
    Expected(JobGone, 6, seconds=5 + 15),
    Expected(JobGone, 6, seconds=10 + 15),
)
"""The server has no such job any more: it is looked for during a grace."""
FORGOTTEN_MANY = ExpectedPolls(
    Expected(JobNotFound, 12, seconds=2),
    Expected(JobGone, 11, seconds=5 + 15),
    Expected(JobGone, 11, seconds=10 + 15),
)
"""The same of four jobs; within the grace, requests for many jobs serve all of them."""

ROWS = (
    Row(
        {
            "503, Retry-After in seconds": RetryAfter(5),
            "503, Retry-After as a date": RetryAfter(5, date=True),
        },
        once=RETRIED_AFTER_5_S,
        permanent=times_out(ServerError, 8),
        act=UNCERTAIN,
        re_read=Expected(PAUSED, 2, seconds=5),
        list=Expected(ServerError, seconds=5),
        start=UNCERTAIN,
        if_permanent={"re-read": Expected(UNKNOWN, 3, seconds=10)},
    ),
    Row(
        {"429, Retry-After in seconds": RetryAfter(5, status=429)},
        once=RETRIED_AFTER_5_S,
        permanent=times_out(RateLimited, 8),
        act=Expected(RateLimited, seconds=0),
        re_read=Expected(PAUSED, 2, seconds=5),
        list=Expected(RateLimited, seconds=5),
        start=Expected(RateLimited, seconds=0),
        if_permanent={"re-read": Expected(UNKNOWN, 3, seconds=10)},
    ),
    Row(
        {"429": 429},
        once=RETRIED,
        permanent=times_out(RateLimited, 13),
        act=Expected(RateLimited, seconds=0),
        re_read=Expected(PAUSED, 2, seconds=1),
        list=Expected(RateLimited, seconds=5),
        start=Expected(RateLimited, seconds=0),
        if_permanent={"re-read": NOT_REREAD},
    ),
    Row(
        {"HTML 504": Html(504), "HTML 504 after processing": Html(504, acts=True)},
        once=RETRIED,
        permanent=times_out(ServerError, 13),
        act=UNCERTAIN,
        re_read=Expected(PAUSED, 2, seconds=1),
        list=Expected(ServerError, seconds=5),
        start=UNCERTAIN,
        if_permanent={"re-read": NOT_REREAD},
    ),
    Row(
        {
            "JSON as text/plain": ContentType("text/plain"),
            "wrong content type": ContentType("text/html"),
            "Latin-1, lines not escaped": Latin1(raw_lines=True),
        },
        once=NO_EFFECT,
        permanent=NO_EFFECT,
        act=Expected(RUNNING, 2, seconds=0),
        re_read=Expected(RUNNING, seconds=0),
        list=Expected(LISTED, seconds=5),
        start=Expected("started", seconds=0),
    ),
    Row(
        {"delay": Delay(3)},
        once=ends(SUCCEEDED, (9, 4, 1), (10, 10, 13)),
        permanent=ends(SUCCEEDED, (5, 3, 1), (15, 14, 13)),
        act=Expected(PAUSED, 2, seconds=3),
        re_read=Expected(RUNNING, seconds=3),
        list=Expected(LISTED, seconds=8),
        start=Expected("started", seconds=3),
    ),
    Row(
        {"hang": Hang(), "hang after processing": Hang(acts=True)},
        once=RETRIED_AFTER_5_S,
        permanent=times_out(TransportError, 7),
        act=Expected(ActionUncertain, seconds=5),
        re_read=Expected(PAUSED, 2, seconds=6),
        list=Expected(TransportError, seconds=10),
        start=Expected(ActionUncertain, seconds=5),
        if_permanent={"re-read": Expected(UNKNOWN, 3, seconds=18)},
    ),
    Row(
        {
            "cut body": CutBody(20),
            "connection reset": Reset(),
            "connection reset after processing": Reset(acts=True),
        },
        once=RESENT,
        permanent=times_out(TransportError, 26),
        act=UNCERTAIN,
        re_read=Expected(RUNNING, 2, seconds=0),
        list=Expected(LISTED, 2, seconds=5),
        start=UNCERTAIN,
        if_permanent={
            "re-read": Expected(UNKNOWN, 6, seconds=3),
            "list": Expected(TransportError, 2, seconds=5),
        },
    ),
    Row(
        {"refused for 7 s": Refuse(7)},
        once=ends(SUCCEEDED, (12, 9, 9), (14, 19, 24)),
        permanent=times_out(TransportError, 13),
        act=Expected(TransportError, seconds=0),
        re_read=NOT_REREAD,
        list=Expected(TransportError, seconds=5),
        start=Expected(TransportError, seconds=0),
    ),
    Row(
        {"stale by 3 s": Stale(3)},
        once=ends(SUCCEEDED, (11, 6, 2), (10, 10, 11)),
        once_many=ends(SUCCEEDED, (34, 6, 2), (10, 10, 11)),
        permanent=ExpectedPolls(
            Expected(JobNotFound, 3, seconds=2),
            Expected(SUCCEEDED, 10, seconds=14),
            Expected(SUCCEEDED, 5, seconds=14),
        ),
        permanent_many=ExpectedPolls(
            Expected(JobNotFound, 12, seconds=2),
            Expected(SUCCEEDED, 10, seconds=14),
            Expected(SUCCEEDED, 5, seconds=14),
        ),
        act=None,
        re_read=Expected(UNKNOWN, seconds=0),
        list=Expected("A running, B running", seconds=5),
        start=None,
    ),
    Row(
        {"job missing in an old answer": Stale(1000)},
        once=RETRIED,
        once_many=POLLED_SINGLY,
        permanent=FORGOTTEN,
        permanent_many=FORGOTTEN_MANY,
        act=None,
        re_read=Expected(UNKNOWN, seconds=0),
        list=Expected("", seconds=5),
        start=None,
    ),
    Row(
        {"short page": ShortPage(1)},
        once=None,
        once_many=ends(SUCCEEDED, (12, 7, 2), (10, 10, 10)),
        permanent=None,
        permanent_many=ends(SUCCEEDED, (33, 18, 3), (10, 10, 10)),
        act=None,
        re_read=None,
        list=Expected(LISTED, 2, seconds=5),
        start=None,
    ),
    Row(
        {"empty page": ShortPage()},
        once=None,
        once_many=ends(SUCCEEDED, (12, 7, 2), (10, 10, 10)),
        permanent=None,
        permanent_many=ends(SUCCEEDED, (44, 24, 4), (10, 10, 10)),
        act=None,
        re_read=None,
        list=Expected(LISTED, 2, seconds=5),
        start=None,
        if_permanent={"list": Expected(LISTED, 3, seconds=5)},
    ),
    Row(
        {"ignored filter": IgnoreFilter()},
        provider_faults={BLUEXP: IgnoreFilter("type")},
        once=None,
        once_many=POLLED_SINGLY,
        permanent=None,
        permanent_many=POLLED_SINGLY,
        act=None,
        re_read=None,
        list=Expected("A succeeded, B running, C running", seconds=5),
        start=None,
    ),
    Row(
        {"expired tokens": ExpireTokens(), "401": 401},
        once=RESENT,
        permanent=at_once(AuthenticationError, 2),
        act=Expected(RUNNING, 3, seconds=0),
        re_read=Expected(RUNNING, 2, seconds=0),
        list=Expected(LISTED, 2, seconds=5),
        start=Expected("started", 2, seconds=0),
        if_permanent={
            "act": REJECTED,
            "re-read": Expected(UNKNOWN, 2, seconds=0),
            "list": Expected(AuthenticationError, 2, seconds=5),
            "start": REJECTED,
        },
    ),
    Row(
        {"job lost": Forget()},
        once=FORGOTTEN,
        once_many=FORGOTTEN_MANY,
        permanent=FORGOTTEN,
        permanent_many=FORGOTTEN_MANY,
        act=Expected(JobNotFound, seconds=0),
        re_read=Expected(UNKNOWN, seconds=0),
        list=Expected("B running", seconds=5),
        start=None,
    ),
    Row(
        {"403": 403},
        once=at_once(PermissionDenied, 1),
        once_many=POLLED_SINGLY,
        permanent=at_once(PermissionDenied, 1),
        permanent_many=at_once(PermissionDenied, 4),
        act=Expected(PermissionDenied, seconds=0),
        re_read=Expected(UNKNOWN, seconds=0),
        list=Expected(PermissionDenied, seconds=5),
        start=Expected(PermissionDenied, seconds=0),
    ),
    Row(
        {"400": 400},
        once=at_once(ApiError, 1),
        once_many=POLLED_SINGLY,
        permanent=at_once(ApiError, 1),
        permanent_many=at_once(ApiError, 4),
        act=Expected(ActionRefused, seconds=0),
        re_read=Expected(UNKNOWN, seconds=0),
        list=Expected(ApiError, seconds=5),
        start=Expected(ApiError, seconds=0),
    ),
    Row(
        {"500": 500},
        once=RETRIED,
        permanent=times_out(ServerError, 13),
        act=Expected(ServerError, seconds=0),
        re_read=Expected(PAUSED, 2, seconds=1),
        list=Expected(ServerError, seconds=5),
        start=Expected(ServerError, seconds=0),
        if_permanent={"re-read": NOT_REREAD},
    ),
)
MATRIX: Mapping[str, Row] = {name: row for row in ROWS for name in row.faults}
