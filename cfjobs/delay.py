"""How often to poll a Cloud Foundry job: pure arithmetic."""

from __future__ import annotations

from common.model.job import Job
from common.polling.policy import PollPolicy, healthy_delay

BROKER_POLL_INTERVAL = 60.0
"""Seconds after which the controller asks a service broker again, by default; it never asks sooner."""
BROKER_MARGIN = 1.0
"""Seconds that the controller takes to ask the broker and to store its answer."""
SLOW_FACTOR = 5.0
"""Factor for the delay where the server does not tell when it last asked the broker."""


def cf_delay(policy: PollPolicy, job: Job, ran: float) -> float:
    """Return the seconds until the next poll of a job that has been running for ``ran`` seconds.

    A job that is POLLING waits in the controller's queue, which asks a service broker once a minute and sets
    ``updated_at`` each time: nothing can change before a minute has passed since then.
    """
    healthy = healthy_delay(policy, ran)
    if (job.native_state or "").casefold() != "polling":
        return healthy
    slow = max(healthy, min(policy.initial * SLOW_FACTOR, policy.maximum))
    if job.created_at is None or job.updated_at is None:
        return slow
    since = ran - (job.updated_at - job.created_at).total_seconds()
    remaining = BROKER_POLL_INTERVAL + BROKER_MARGIN - since
    if not 0 < remaining <= BROKER_POLL_INTERVAL + BROKER_MARGIN:
        return slow  # the broker's answer is overdue, or the clocks differ
    return min(max(remaining, policy.initial), policy.maximum)
