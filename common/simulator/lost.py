"""A request whose connection is lost before it is answered in full."""

from __future__ import annotations

from typing import Literal

How = Literal["reset", "refused", "cut"]


class Lost(ConnectionError):
    """Raised in place of the rest of an answer; what carries the request makes it true.

    ``how`` is what the client meets: its connection is reset, refused in the first place, or closed
    in the middle of a body. ``seconds``, on the loop's clock, are how long others are refused too.
    """

    def __init__(self, how: How, seconds: float = 0.0) -> None:
        super().__init__(f"the simulator's connection is {how}, as a test asked for")
        self.how: How = how
        self.seconds = seconds
