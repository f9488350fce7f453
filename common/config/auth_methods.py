"""Choose how to sign in by the keys that were set, which may come from several layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from common.config.values import SettingValue
from common.model.errors import UsageError


@attrs.frozen(eq=False, repr=False)
class AuthMethod:
    """One way to sign in, by the keys that it takes.

    ``make`` gets the values of the ``required`` keys, then of the ``optional`` ones (None where not set).
    """

    required: tuple[str, ...]
    make: Callable[..., Any]
    optional: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys that it takes, in the order of the arguments of ``make``."""
        return (*self.required, *self.optional)

    def __str__(self) -> str:
        return join_words(self.required)


def select_auth_method(
    methods: Sequence[AuthMethod], values: Mapping[str, SettingValue]
) -> AuthMethod | None:
    """Return the method whose required keys are all set; None where no key of any method is set.

    Of several, the one with a key in the nearest layer counts. Raise `UsageError` for a method that is set in
    part only, for two that are equally near, and for a key in the layer of the chosen method that is not one
    of its own.
    """
    complete = [method for method in methods if all(key in values for key in method.required)]
    if not complete:
        _refuse_incomplete(methods, values)
        return None

    def layer(method: AuthMethod) -> int:
        return min(values[key].layer for key in method.required)

    nearest = min(map(layer, complete))
    candidates = [method for method in complete if layer(method) == nearest]
    # A refresh token beside a client's id and secret: the method that takes all keys that are set.
    taken = [set(method.keys) & values.keys() for method in candidates]
    union = set[str]().union(*taken)
    widest = [method for method, keys in zip(candidates, taken, strict=True) if keys == union]
    if len(widest) != 1:
        labels = join_words(values[key].label for method in candidates for key in method.required)
        raise UsageError(
            f"{' and '.join(map(str, candidates))} are {len(candidates)} ways to sign in: keep one ({labels})"
        )
    method = widest[0]
    for key in {key for other in methods for key in other.keys}.difference(method.keys):
        if key in values and values[key].layer == nearest:
            raise UsageError(
                f"{values[key].label} is not used to sign in by {method}: keep one way to sign in"
            )
    return method


def _refuse_incomplete(methods: Sequence[AuthMethod], values: Mapping[str, SettingValue]) -> None:
    begun = [method for method in methods if any(key in values for key in method.required)]
    if begun:
        nearest = min(begun, key=lambda method: sum(key not in values for key in method.required))
        there = [values[key].label for key in nearest.required if key in values]
        missing = [key for key in nearest.required if key not in values]
        raise UsageError(
            f"{join_words(there)} {'is' if len(there) == 1 else 'are'} not enough to sign in: "
            f"{join_words(missing)} {'is' if len(missing) == 1 else 'are'} missing"
        )


def join_words(words: Iterable[str]) -> str:
    """Return words as a sentence lists them, without repeats: "user, password and token"."""
    *most, last = dict.fromkeys(words)
    return f"{', '.join(most)} and {last}" if most else last
