"""The jobs of one run: who they are and when they end, drawn alike by the server and the client."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from random import Random


@dataclass(slots=True)
class Jobs:
    """Ids, when each job ends, and when the client learnt of it: seconds on the machine's monotonic clock."""

    ids: list[str]
    ends: list[float]
    learnt: list[float] = field(default_factory=list)

    def learn(self, index: int) -> None:
        self.learnt[index] = time.monotonic()

    def lags(self) -> list[float]:
        """Seconds from each end to learning of it, sorted; what was never learnt of is left out."""
        return sorted(at - end for at, end in zip(self.learnt, self.ends, strict=True) if at)


def drawn(n: int, seed: int, start: float, window: float) -> Jobs:
    random = Random(seed)
    ids = [str(uuid.UUID(int=random.getrandbits(128), version=4)) for _ in range(n)]
    return Jobs(ids, [start + random.uniform(0.0, window) for _ in ids], [0.0] * n)
