"""Why ONTAP refuses to pause, resume or cancel a job: its codes, as data.

From the ONTAP REST reference, "Update the state of a specific asynchronous job", error codes.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen
class Refusal:
    """What one code means. ``finished`` where the job has ended; ``retryable`` where later may be better."""

    sentence: str
    finished: bool = False
    retryable: bool = False


REFUSALS: Mapping[str, Refusal] = {
    "458762": Refusal("the job has already ended", finished=True),
    "458771": Refusal("the job is running; only a paused job can be resumed"),
    "458773": Refusal("the job manager is not initialised; try again later", retryable=True),
    "458776": Refusal("the job is not running"),
    "458783": Refusal("this kind of job cannot be paused"),
    "458784": Refusal("this kind of job cannot be cancelled"),
    "459753": Refusal("the job's own program refused"),
}
"""By the server's code, as text."""


def refusal(code: str | None) -> Refusal | None:
    """The meaning of a code, None for one that is not a refusal of an action."""
    return REFUSALS.get(code or "")
