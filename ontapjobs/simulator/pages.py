"""Which records are on a page of the list, and where the next page begins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

Record = Mapping[str, Any]

FIRST = str(UUID(int=0))
"""The uuid after which the second page begins when the first is empty."""


def after(records: Sequence[Record], start: str | None, *, by_uuid: bool) -> Sequence[Record]:
    """Return the records after the one with the uuid ``start``; ``by_uuid``, even if that one is gone."""
    if start is None or start == FIRST:
        return records
    if by_uuid:
        return [record for record in records if str(record["uuid"]) > start]
    place = next((i for i, record in enumerate(records) if record["uuid"] == start), len(records))
    return records[place + 1 :]


def whole_page(records: Sequence[Record], size: int) -> tuple[Sequence[Record], str | None]:
    """Return a page, and the uuid after which the next one begins; None where it is the last."""
    page = records[:size]
    return page, str(page[-1]["uuid"]) if len(records) > size else None


def short_page(
    records: Sequence[Record], size: int, start: str | None
) -> tuple[Sequence[Record], str | None]:
    """Return a page of a server that sends partial pages: the first and last empty, others half full."""
    if start is None:
        return [], FIRST
    page = records[: math.ceil(size / 2)]
    return page, str(page[-1]["uuid"]) if page else None


def cut_page(records: Sequence[Record], size: int, start: str | None) -> tuple[Sequence[Record], str | None]:
    """Return a page that ends early: as `whole_page`, but a first page may be empty."""
    if size == 0 and start is None:
        return [], FIRST
    return whole_page(records, max(1, size))
