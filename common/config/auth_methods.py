"""Which way to sign in the given keys amount to, where they come from several places."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from common.model.errors import UsageError


@attrs.frozen(repr=False)
class Way:
    """One way to sign in: ``make`` gets the values of ``needs``, then of ``may`` (None where not given)."""

    needs: tuple[str, ...]
    make: Callable[..., Any]
    may: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys that it takes."""
        return (*self.needs, *self.may)

    def __str__(self) -> str:
        return spoken(self.needs)


def choose_way(ways: Sequence[Way], ranks: Mapping[str, int], labels: Mapping[str, str]) -> Way | None:
    """The way that the given keys are complete for; None where no key of any was given.

    ``ranks`` says how near each given key is: 0 for a keyword, more for the environment, most for a profile.
    Of several complete ways, the one with the nearest key is meant. Raises `UsageError` for a half of one,
    for two that are equally near, and for a key as near as the way meant that has no part in it.
    """
    complete = [way for way in ways if all(key in ranks for key in way.needs)]
    if not complete:
        _refuse_half(ways, ranks, labels)
        return None

    def nearest(way: Way) -> int:
        return min(ranks[key] for key in way.needs)

    best = min(map(nearest, complete))
    found = [way for way in complete if nearest(way) == best]
    # A refresh token beside a client's id and secret: whichever takes all that is given.
    widest = [way for way in found if all(_given(other, ranks) <= _given(way, ranks) for other in found)]
    if len(widest) != 1:
        raise UsageError(
            f"{' and '.join(map(str, found))} are {len(found)} ways to sign in: keep one "
            f"({spoken(labels[key] for way in found for key in way.needs)})"
        )
    way = widest[0]
    for key in (key for other in ways for key in other.keys if key not in way.keys):
        if ranks.get(key) == best:
            raise UsageError(f"{labels[key]} has no part in signing in by {way}: keep one way")
    return way


def _given(way: Way, ranks: Mapping[str, int]) -> set[str]:
    return set(way.keys) & set(ranks)


def _refuse_half(ways: Sequence[Way], ranks: Mapping[str, int], labels: Mapping[str, str]) -> None:
    begun = [way for way in ways if any(key in ranks for key in way.needs)]
    if begun:
        nearest = min(begun, key=lambda way: sum(key not in ranks for key in way.needs))
        there = [labels[key] for key in nearest.needs if key in ranks]
        missing = [key for key in nearest.needs if key not in ranks]
        raise UsageError(
            f"{spoken(there)} {'is' if len(there) == 1 else 'are'} not enough to sign in: "
            f"{spoken(missing)} {'is' if len(missing) == 1 else 'are'} missing"
        )


def spoken(words: Iterable[str]) -> str:
    """Words as a sentence lists them."""
    *most, last = dict.fromkeys(words)
    return f"{', '.join(most)} and {last}" if most else last
