"""The history of a run: what the server said about each job and each sign-in.

Only responses that arrived complete count. The checkers compare the history with what the source returned.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import attrs

from common import JobState
from common.simulator.messages import Request, Response
from tests.contract.systems import System
from tests.faults.chaos.recording_transport import Exchange
from tests.faults.chaos.replies import (
    NEVER,
    JobReply,
    ReplyReader,
    complete_exchanges,
    delivery_times,
    is_sign_in_rejection,
)

TOLERANCE = 0.001
"""Seconds by which two times may differ and still count as the same moment, because of rounding."""
REJECTION_REMEMBERED = 10.0
"""Seconds for which a rejected sign-in is not tried again, and its error raised again (by `token_auth`)."""
MAX_PAGE_FAILURE = 60.0
"""Seconds within which a failing page fails: one request timeout, and another one for a new token."""


@attrs.frozen
class History:
    """What the server said, in the order in which responses arrived.

    Times are virtual seconds. "At" a moment means within `TOLERANCE` of it.
    """

    replies: Mapping[str, Sequence[JobReply]]
    """The replies about each job that was requested by id."""
    listed_states: Mapping[Exchange, Mapping[str, JobState]]
    """What lists without a filter by id contained."""
    sign_ins: Sequence[tuple[float, bool]]
    """When the token endpoint responded, and whether it rejected the credentials."""
    responses: Mapping[Exchange, Response]
    """The responses that arrived complete."""
    actions_not_found: Collection[Exchange]
    """The actions to which the API replied that there is no such job."""

    @classmethod
    def read(cls, system: System, exchanges: Sequence[Exchange], journal: Sequence[Request]) -> History:
        """Read the history of these exchanges from the simulator's journal."""
        complete = sorted(complete_exchanges(exchanges, journal), key=lambda each: each[1])
        times = delivery_times(complete)
        reader = ReplyReader(system)
        replies: defaultdict[str, list[JobReply]] = defaultdict(list)
        listed_states: dict[Exchange, Mapping[str, JobState]] = {}
        sign_ins: list[tuple[float, bool]] = []
        not_found: set[Exchange] = set()
        for exchange, completed_at, request, response in complete:
            if request.segments[-1] in {"token", ""}:
                sign_ins.append((completed_at, is_sign_in_rejection(response)))
            elif request.method != "GET":
                if reader.is_not_found(response):
                    not_found.add(exchange)
            elif request.segments[-1] in {"job", "jobs"} and "uuid" not in request.query:
                states = reader.states(response)
                listed_states[exchange] = {id: state for id, state in states if state is not None}
            else:
                delivered_at, last_page_at = times[exchange]
                for id, reply in reader.read(request, response):
                    replies[id].append(
                        attrs.evolve(
                            reply,
                            exchange=exchange,
                            delivered_at=delivered_at,
                            last_page_at=last_page_at,
                            token=request.headers.get("authorization", ""),
                        )
                    )
        responses = {exchange: response for exchange, _, _, response in complete}
        return cls(replies, listed_states, sign_ins, responses, not_found)

    def delivered(self, id: str, until: float, *, since: float = 0.0) -> list[JobReply]:
        """Return the replies about a job that waits were told of between two moments."""
        return [
            reply
            for reply in self.replies.get(id, ())
            if since - TOLERANCE <= reply.delivered_at <= until + TOLERANCE
        ]

    def state_reported(self, id: str, state: JobState, until: float) -> bool:
        """Whether the server had reported this state of a job up to a moment."""
        return any(
            reply.state is state and reply.completed_at <= until + TOLERANCE
            for reply in self.replies.get(id, ())
        )

    def state_delivered(self, id: str, state: JobState, at: float) -> bool:
        """Whether waits were told of this state of a job at this moment.

        If a list is incomplete because a page failed, its earlier pages are delivered when that page has
        failed, which takes up to `MAX_PAGE_FAILURE`.
        """
        return any(
            reply.state is state
            and reply.completed_at <= at + TOLERANCE
            and at
            <= (reply.last_page_at + MAX_PAGE_FAILURE if reply.delivered_at == NEVER else reply.delivered_at)
            + TOLERANCE
            and (reply.delivered_at == NEVER or reply.delivered_at >= at - TOLERANCE)
            for reply in self.replies.get(id, ())
        )

    def not_found(self, id: str, at: float) -> bool:
        """Whether the server said at this moment that there is no such job."""
        return any(reply.not_found for reply in self.delivered(id, at, since=at))

    def seen_between(self, id: str, since: float, until: float) -> bool:
        """Whether a poll that was begun after ``since`` told of a state of the job before ``until``.

        It takes two such replies: the first request that was sent after ``since`` may belong to a poll that
        was begun before and had to wait for its turn or for a token.
        """
        seen = [
            reply
            for reply in self.delivered(id, until - 2 * TOLERANCE)
            if reply.state is not None and reply.exchange.sent_at > since + TOLERANCE
        ]
        return len(seen) > 1

    def rejected_twice(self, id: str, started_at: float, at: float) -> bool:
        """Whether a wait's own poll was rejected with one token, and then with the token that replaced it.

        That is: two complete replies about the job in a row are 401, to two different tokens; both requests
        were sent after the wait had started, and the second reply arrived at the moment when the wait ended.
        (Other waits may have been told of more at that moment.)
        """
        own = [reply for reply in self.delivered(id, at) if reply.exchange.sent_at >= started_at - TOLERANCE]
        return any(
            first.unauthorized
            and second.unauthorized
            and first.token != second.token
            and second.delivered_at >= at - TOLERANCE
            for first, second in itertools.pairwise(own)
        )

    def rejected_untried(self, id: str, at: float) -> bool:
        """Whether the server rejected, at this moment, a token that it had not accepted for this job before.

        Such a token, if it replaced a rejected one, is not replaced again at once.
        """
        replies = self.delivered(id, at)
        accepted = {reply.token for reply in replies if str(reply.exchange.result).startswith("2")}
        now = self.delivered(id, at, since=at)
        return any(reply.unauthorized and reply.token not in accepted for reply in now)

    def token_replaced(self, at: float) -> bool:
        """Whether a token was issued so shortly before that a rejection of it speaks against all tokens."""
        return any(
            not rejected and at - REJECTION_REMEMBERED - TOLERANCE <= completed <= at
            for completed, rejected in self.sign_ins
        )

    def rejected(self, id: str, at: float) -> bool:
        """Whether the server rejected a token at this moment, which is enough if there is no other token."""
        return any(reply.unauthorized for reply in self.delivered(id, at, since=at))

    def sign_in_rejected(self, at: float) -> bool:
        """Whether the last response of the token endpoint was a rejection that is still remembered."""
        sign_ins = [
            *((completed, rejected) for completed, rejected in self.sign_ins if completed <= at + TOLERANCE),
            (NEVER, False),
        ]
        return any(
            rejected and completed >= at - REJECTION_REMEMBERED - TOLERANCE and next_one >= at - TOLERANCE
            for (completed, rejected), (next_one, _) in itertools.pairwise(sign_ins)
        )

    def permission_denied(self, id: str, at: float) -> bool:
        """Whether the server replied 403 at this moment."""
        return any(reply.exchange.result == "403" for reply in self.delivered(id, at, since=at))

    def outage(self, id: str, since: float, until: float) -> bool:
        """Whether there was no conclusive reply about the job between two moments, both excluded."""
        return not any(
            since + TOLERANCE < reply.delivered_at
            for reply in self.delivered(id, until - 2 * TOLERANCE)
            if reply.conclusive
        )

    def undecodable(self, id: str, started_at: float, at: float, times: int) -> bool:
        """Whether the last ``times`` records of the job, each requested alone, were undecodable."""
        replies = [
            reply
            for reply in self.delivered(id, at, since=started_at)
            if reply.conclusive or (reply.undecodable and reply.single)
        ]
        return any(
            all(reply.undecodable for reply in replies[end - times : end])
            and replies[end - 1].delivered_at >= at - TOLERANCE
            for end in range(times, len(replies) + 1)
        )

    def state_unknown(self, id: str, at: float, seconds: float) -> bool:
        """Whether every state reported in the last ``seconds`` was unknown, also the one delivered now.

        The source counts from when a poll was begun, which may have waited for its turn and for a token.
        """
        recent = self.delivered(id, at, since=at - seconds + 2 * TOLERANCE)
        states = {reply.state for reply in recent if reply.state is not None}
        long_enough = any(
            reply.state is JobState.UNKNOWN and reply.exchange.sent_at <= at - seconds + MAX_PAGE_FAILURE
            for reply in self.replies.get(id, ())
        )
        return long_enough and states <= {JobState.UNKNOWN} and self.state_delivered(id, JobState.UNKNOWN, at)
