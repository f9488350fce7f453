"""Check and encode the filters and options of ``GET /api/cluster/jobs``, before any I/O.

Facts are from the ONTAP REST reference, "Retrieve a list of recently running asynchronous jobs".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypedDict
from urllib.parse import quote, unquote

from common.model.errors import UsageError
from common.model.states import JobState
from ontapjobs.wire import REFERENCE_STATES

FilterValue = str | int | JobState | datetime
"""A value to compare with. Text may have operators: ``!x``, ``a|b``, ``a*``, ``1..5``, ``>=x``, ``null``."""

FILTERS: Mapping[str, str] = {
    name.replace(".", "_"): name
    for name in (
        "uuid",
        "state",
        "description",
        "message",
        "code",
        "start_time",
        "end_time",
        "error.code",
        "error.message",
        "error.arguments.code",
        "error.arguments.message",
        "node.name",
        "svm.name",
        "svm.uuid",
    )
}
"""The keyword of each documented filter, with its name on the wire."""

RETURN_TIMEOUT = "return_timeout"
MAX_RETURN_TIMEOUT = 120
"""Seconds; the server refuses more with code 262197."""

FilterValues = FilterValue | Sequence[FilterValue]


class Filters(TypedDict, total=False):
    """The filters of a list. A sequence matches any of its members; ``state`` accepts `JobState` too."""

    uuid: FilterValues
    state: FilterValues
    description: FilterValues
    message: FilterValues
    code: FilterValues
    start_time: FilterValues
    end_time: FilterValues
    error_code: FilterValues
    error_message: FilterValues
    error_arguments_code: FilterValues
    error_arguments_message: FilterValues
    node_name: FilterValues
    svm_name: FilterValues
    svm_uuid: FilterValues


def filter_query(filters: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return the filters as query pairs. Raise `UsageError` for an unknown name or an invalid value."""
    pairs: list[tuple[str, str]] = []
    for name, value in filters.items():
        if name not in FILTERS:
            raise UsageError(
                f"unknown filter {name!r}: ONTAP jobs are filtered by {', '.join(sorted(FILTERS))}"
            )
        if value is not None:
            pairs.append((FILTERS[name], _values(name, value)))
    return pairs


def option_query(
    *,
    fields: str | Iterable[str] = "*",
    max_records: int | None = None,
    return_timeout: int | None = None,
    order_by: str | Iterable[str] | None = None,
) -> list[tuple[str, str]]:
    """Return the options as query pairs. Raise `UsageError` for one that the server would refuse.

    ``return_timeout`` is in whole seconds, up to `MAX_RETURN_TIMEOUT`.
    """
    pairs: list[tuple[str, str]] = [("fields", _names("fields", fields))]
    if max_records is not None:
        _check_int("max_records", max_records, 1, None)
        pairs.append(("max_records", str(max_records)))
    if return_timeout is not None:
        _check_int("return_timeout", return_timeout, 0, MAX_RETURN_TIMEOUT)
        pairs.append(("return_timeout", str(return_timeout)))
    if order_by is not None:
        pairs.append(("order_by", _order(order_by)))
    return pairs


def encode(pairs: Iterable[tuple[str, str]]) -> str:
    """Return pairs as a query string. A space becomes ``%20``: ONTAP reads ``+`` literally."""
    return "&".join(f"{name}={quote(value, safe='*,', errors='surrogatepass')}" for name, value in pairs)


def with_return_timeout(path: str, inline: object) -> tuple[str, float]:
    """Return a write's path with ``inline`` as its ``return_timeout``, and the seconds that it may take.

    With None, the path is returned as it is, and the seconds are those of its own ``return_timeout``. Raise
    `UsageError` for anything but whole seconds from 0 to 120, and if the path has a ``return_timeout``
    already.
    """
    base, mark, query = path.partition("?")
    pairs = [pair.partition("=") for pair in query.split("&")]
    in_path = [unquote(text) for name, _, text in pairs if unquote(name) == RETURN_TIMEOUT]
    if inline is None:
        timeouts = [int(text) for text in in_path if text.isascii() and text.isdigit() and len(text) < 9]
        return path, float(min(max(timeouts, default=0), MAX_RETURN_TIMEOUT))
    if in_path:
        raise UsageError("inline= and a return_timeout in the path cannot be combined: use one of them")
    whole = int(inline) if isinstance(inline, float) and inline.is_integer() else inline
    seconds = _check_int("inline", whole, 0, MAX_RETURN_TIMEOUT)
    return f"{base}{mark or '?'}{query}{'&' if query else ''}{RETURN_TIMEOUT}={seconds}", float(seconds)


def _values(name: str, value: object) -> str:
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        parts = [part for member in value for part in _value(name, member)]
    else:
        parts = _value(name, value)
    if not parts:
        raise UsageError(
            f"{name}= is an empty sequence, which would match nothing: leave it out, or name values"
        )
    return "|".join(parts)


def _value(name: str, value: object) -> list[str]:
    if isinstance(value, JobState):
        words = [word for word, state in REFERENCE_STATES.items() if state is value]
        if name != "state" or not words:
            raise UsageError(
                f"{name}={value!s}: ONTAP has no such state to filter by: use one of "
                f"{', '.join(REFERENCE_STATES)}"
            )
        return words
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise UsageError(f"{name}= is a time without a time zone: pass an aware datetime")
        return [value.isoformat()]
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise UsageError(
            f"{name}= takes text, a number, a time or a sequence of them, not {type(value).__name__}"
        )
    if value == "":
        raise UsageError(f"{name}= is empty: use 'null' for jobs without one, or leave it out")
    return [str(value)]


def _names(option: str, value: str | Iterable[str]) -> str:
    names = value.split(",") if isinstance(value, str) else list(value) if isinstance(value, Iterable) else []
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise UsageError(f"{option}= must name fields, such as 'uuid,state' or ['uuid', 'state'], or be '*'")
    return ",".join(name.strip() for name in names)


def _order(value: str | Iterable[str]) -> str:
    parts = [part.split() for part in _names("order_by", value).split(",")]
    if any(len(part) > 2 or part[1:] not in ([], ["asc"], ["desc"]) for part in parts):
        raise UsageError(
            "order_by= must be a field, or one followed by 'asc' or 'desc', as in 'start_time desc'"
        )
    return ",".join(" ".join(part) for part in parts)


def _check_int(name: str, value: object, least: int, most: int | None) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"{name}= must be a whole number, not {type(value).__name__}")
    if value < least or (most is not None and value > most):
        limit = f"from {least} to {most} (seconds)" if most is not None else f"at least {least}"
        raise UsageError(f"{name}= must be {limit}, not {value}")
    return value
