"""How often a Cloud Foundry job is worth asking about: pure arithmetic."""

from __future__ import annotations

from common.model.job import Job
from common.polling.policy import PollPolicy, healthy_delay

BROKER_BEAT = 60.0
"""Seconds between two questions of the controller to a service broker, by default; never asked sooner."""
SETTLED = 1.0
"""Seconds that the controller takes to ask the broker and to write down what it said."""
SLOWER = 5.0
"""So many times less often where the server does not tell when it asked its broker last."""


def cf_delay(policy: PollPolicy, job: Job, ran: float) -> float:
    """Seconds until the next poll of a job that has been running for ``ran`` seconds.

    A job that is POLLING waits in the controller's queue, which asks a service broker once a minute and
    touches ``updated_at`` each time: nothing can change before a minute has passed since then.
    """
    healthy = healthy_delay(policy, ran)
    if (job.native_state or "").casefold() != "polling":
        return healthy
    slow = max(healthy, min(policy.initial * SLOWER, policy.maximum))
    if job.created_at is None or job.updated_at is None:
        return slow
    since = ran - (job.updated_at - job.created_at).total_seconds()
    rest = BROKER_BEAT + SETTLED - since
    if not 0 < rest <= BROKER_BEAT + SETTLED:
        return slow  # the answer is overdue, or the clocks do not agree
    return min(max(rest, policy.initial), policy.maximum)
