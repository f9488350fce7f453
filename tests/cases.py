"""Tests that go through many cases of one kind: a failure names the case."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def case(*values: object) -> Generator[None, None, None]:
    """Name the case in whatever fails in the block.

    It is for cases that differ in one value and take less time than a test of their own would. Where secrets
    are about, each case is a test: of one test, `tests.leaks` examines the same frame no more than twice.
    """
    try:
        yield
    except BaseException as error:
        error.add_note(f"case: {', '.join(map(repr, values))}")
        raise
