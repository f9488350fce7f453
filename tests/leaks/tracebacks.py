"""What error trackers keep of an exception: its texts, and the variables of the frames on its way."""

from __future__ import annotations

import pickle
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from itertools import chain, islice
from traceback import walk_tb
from types import FrameType

from common import JobsError

EXAMINED = frozenset(
    {
        *("common", "ontapjobs", "bluexp_jobs", "cfjobs"),
        *("anyio", "h11", "httpcore", "httpcore2", "httpx", "httpx2", "trio"),
        *sys.stdlib_module_names,
    }
)
"""The packages whose frames are examined. Those of a test are the user's own."""
INTERNAL = (
    *("common.auth.", "common.http.", "common.response.", "common.sources.http"),
    *("ontapjobs.", "bluexp_jobs.", "cfjobs."),
)
"""An exception that came no further than into a module of these has been seen by nobody outside."""
MAX_DEPTH = 4
"""How deep containers are looked into, and `MAX_ITEMS` how far."""
MAX_ITEMS = 100
MAX_LOOKS = 2
"""How often a test's exceptions are looked at that say the same, and frames at the same line."""
MAX_TEXT = 200_000
"""Characters of one text."""

Shown = tuple[str, str]
"""Where a text is shown, and the text."""


def linked(error: BaseException) -> Iterator[BaseException]:
    """Iterate over an exception and all that hang on it: causes, contexts and members of groups."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        each = pending.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        pending += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            pending += each.exceptions


def was_caught_inside(error: BaseException) -> bool:
    """Whether an exception came no further than a module that keeps it to itself."""
    if error.__traceback__ is None:
        return False
    module = str(error.__traceback__.tb_frame.f_globals.get("__name__", ""))
    return module.startswith(INTERNAL)


class Looks:
    """Looks at exceptions, and counts; the same place of the program is looked at a few times in one test."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._places: Counter[tuple[object, ...]] = Counter()

    def shown_by(self, error: BaseException) -> Iterator[Shown]:
        """Iterate over all that an exception shows, and those that are chained to it."""
        for each in linked(error):
            self.counts["exceptions"] += 1
            # Of others, the words are those of the test that has made them.
            if type(each).__module__.partition(".")[0] in EXAMINED:
                yield from self._said_by(each)
            for frame, line in walk_tb(each.__traceback__):
                yield from self._shown_by_frame(frame, line)

    def _said_by(self, error: BaseException) -> Iterator[Shown]:
        name, said = type(error).__name__, _safely(str, error)
        yield f"str({name})", said
        if not self._is_new(said, name, tuple(vars(error))):
            return
        yield f"repr({name})", _safely(repr, error)
        for text in texts({**vars(error), "args": error.args}):
            yield f"vars({name})", text
        if isinstance(error, JobsError):
            self.counts["pickles"] += 1
            yield f"pickle of {name}", _pickled(error)

    def _shown_by_frame(self, frame: FrameType, line: int) -> Iterator[Shown]:
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] not in EXAMINED:
            return
        self.counts["frames"] += 1
        if not self._is_new(frame.f_code, line):
            return
        for variable, value in frame.f_locals.items():
            for text in texts(value):
                yield f"{variable} in a frame of {module}.{frame.f_code.co_name}, line {line}", text

    def _is_new(self, *place: object) -> bool:
        self._places[place] += 1
        return self._places[place] <= MAX_LOOKS


def texts(value: object, depth: int = MAX_DEPTH) -> Iterator[str]:
    """Iterate over what is shown of a value: containers are looked into, of anything else it is its repr."""
    try:
        _ = value.__class__
    except Exception:  # a proxy of what cannot be made now
        return
    if isinstance(value, str):
        yield value[:MAX_TEXT]
    elif isinstance(value, bytes | bytearray):
        yield bytes(value[:MAX_TEXT]).decode("utf-8", "replace")
    elif isinstance(value, Mapping | Sequence | Set) and not isinstance(value, range):
        if depth:
            items = chain.from_iterable(value.items()) if isinstance(value, Mapping) else value
            try:
                shown: list[object] = list(islice(items, MAX_ITEMS))
            except Exception:  # a record that refuses: it is a tuple only by descent
                shown = [_safely(repr, value)]
            for item in shown:
                yield from texts(item, depth - 1)
    elif type(value).__repr__ is not object.__repr__ and not isinstance(value, _MUTE):
        yield _safely(repr, value)


_MUTE = (int, float, bool, type(None), type, type(sys))
"""Types whose reprs say nothing."""


def _safely(function: Callable[[object], str], value: object) -> str:
    try:
        return function(value)[:MAX_TEXT]
    except Exception:  # half made, or already closed
        return ""


def _pickled(error: JobsError) -> str:
    try:
        return pickle.dumps(error).decode("utf-8", "replace")
    except Exception:  # it holds something that a test has made
        return ""
