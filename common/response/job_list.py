"""Read each record of a list by itself, so that one that cannot be read does not hide the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast

from common.model.errors import DecodeError
from common.model.job import Job
from common.response.decoding import Object, kind

NAMED = 10
"""How many further records that cannot be read an error names in its notes at most."""


def read_each(
    records: Iterable[object], read: Callable[[Object, int], Job], path: str
) -> tuple[list[Job], list[DecodeError]]:
    """Return the jobs in the records, and an error for each that cannot be read.

    ``read`` is given a record and its index in the array, which is at ``path``.
    """
    jobs: list[Job] = []
    failures: list[DecodeError] = []
    for index, record in enumerate(records):
        try:
            if type(record) is not dict and not isinstance(record, Mapping):
                what = f"expected a record, got {kind(record)}"
                raise DecodeError(what, path=f"{path}[{index}]", transient=True)
            jobs.append(read(cast("Object", record), index))
        except DecodeError as error:
            failures.append(error.with_traceback(None))  # whose frames would keep the whole page
    return jobs, failures


def as_one(failures: Sequence[DecodeError]) -> DecodeError:
    """Return the first of some errors, saying how many more there are; those are its notes."""
    first, *others = failures
    if not others:
        return first
    error = DecodeError(
        f"{first}; {len(others)} more of the records cannot be read",
        path=first.path,
        transient=first.transient,
    )
    for other in others[:NAMED]:
        error.add_note(str(other))
    return error
