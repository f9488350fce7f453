"""Record, while a test runs, its secrets and all that is shown of them: exceptions, logs, reprs, warnings.

The secrets are those of the sources and sign-ins that the test makes. An exception of ours is examined when
nobody has it any more, or at the end of the test: by then its traceback is complete, and to record it has
made nothing live longer.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import warnings
import weakref
from collections import Counter
from collections.abc import Callable, Generator
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import common.model.errors
from common import JobsError
from common.auth.oauth2 import Token
from common.auth.token_auth import TokenAuth
from common.http.client import ApiClient
from common.sources.base import BaseSource
from tests.leaks.encodings import Finder, Leak
from tests.leaks.tracebacks import Looks, linked, texts, was_caught_inside

FIRST = 200
"""So many exceptions of a test are examined, and of those that follow one in `LATER`."""
LATER = 50
PROXIES = tuple(case(f"{name}_proxy") for name in ("http", "https", "all") for case in (str.lower, str.upper))
"""The variables of the environment that name one."""


class Recorder:
    """The secrets of one test, and the texts in which they are looked for; each text counts once."""

    def __init__(self) -> None:
        self._looks = Looks()
        self.counts: Counter[str] = self._looks.counts
        self._secrets: set[str] = set()
        self._auths: list[Any] = []
        self.texts: dict[str, str] = {}
        self._errors: dict[int, weakref.ref[JobsError]] = {}
        self._made = 0

    # --- secrets

    def add_secrets(self, *secrets: object) -> None:
        """Look for these."""
        self._secrets |= {_text(secret) for secret in secrets if secret and isinstance(secret, str | bytes)}

    def add_auth(self, auth: Any) -> None:
        """Look for all that a sign-in calls secret in the end, or that an ``httpx.Auth`` holds."""
        if auth is not None:
            self._auths.append(auth)
            self.show("repr of a sign-in", auth)

    def add_client(self, client: ApiClient) -> None:
        """Look for what a source's client sends to its server or its proxy."""
        self.add_auth(client._auth)
        options = client._options
        self.show("repr of the options", options)
        for proxy in filter(None, (options.proxy, *map(os.environ.get, PROXIES))):
            self.add_secrets(unquote(_password(proxy)))
        if isinstance(options.cert, tuple) and len(options.cert) == 3:
            self.add_secrets(options.cert[2])
        if options.http is not None:
            self.add_auth(getattr(options.http, "auth", None))
            headers = getattr(options.http, "headers", {})
            self.add_secrets(headers.get("authorization", "").rpartition(" ")[2], headers.get("cookie"))

    def _all_secrets(self) -> set[str]:
        found = set(self._secrets)
        for auth in self._auths:
            if hasattr(auth, "secrets"):
                with contextlib.suppress(AttributeError):  # its constructor has failed
                    found |= set(auth.secrets())
            elif type(auth).__module__.startswith("httpx"):
                found |= {
                    _text(value).rpartition(" ")[2]
                    for name, value in vars(auth).items()
                    if "auth" in name or "password" in name
                    if isinstance(value, str | bytes)
                }
        return found

    # --- what is shown

    def show(self, where: str, *values: object) -> None:
        """Record what is shown of these values."""
        for text in texts(values):
            self.texts.setdefault(text, where)

    def show_error(self, error: BaseException) -> None:
        """Record what is shown of an exception, and of those chained to it."""
        for each in linked(error):
            self._errors.pop(id(each), None)
        for where, text in self._looks.shown_by(error):
            self.texts.setdefault(text, where)

    def follow(self, error: JobsError) -> None:
        """Examine an exception that has just been made, once it has come to its end."""
        self._made += 1
        if self._made <= FIRST or self._made % LATER == 0:
            self._errors[id(error)] = weakref.ref(error)

    def at_end_of(self, error: JobsError) -> None:
        """Examine an exception that nobody has any more."""
        if self._errors.pop(id(error), None) and not was_caught_inside(error):
            self.show_error(error)

    def leaks(self) -> list[tuple[str, Leak]]:
        """Return the secrets that were shown so far, and where."""
        for reference in list(self._errors.values()):
            error = reference()
            if error is not None and not was_caught_inside(error):
                self.show_error(error)
        self._errors.clear()
        finder = Finder(self._all_secrets())
        if not finder or not any(finder.leaks("\n".join(self.texts))):
            return []
        return [(where, leak) for text, where in self.texts.items() for leak in finder.leaks(text)]


def _text(secret: str | bytes) -> str:
    return secret if isinstance(secret, str) else secret.decode("utf-8", "replace")


def _password(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""


_recorders: list[Recorder] = []
_PATCHES = pytest.MonkeyPatch()
"""Never undone: they last as long as the process."""
"""The last one is of the test that runs; there are others only where a test runs tests."""


class _Handler(logging.Handler):
    """Records each log line, and what it says of an exception."""

    def emit(self, record: logging.LogRecord) -> None:
        if _recorders:
            recorder = _recorders[-1]
            recorder.counts["log records"] += 1
            recorder.show(f"log of {record.name}", record.getMessage(), record.args or ())
            if record.exc_info and record.exc_info[1] is not None:
                recorder.show_error(record.exc_info[1])


_handler = _Handler(logging.NOTSET)


@contextlib.contextmanager
def recording() -> Generator[Recorder, None, None]:
    """Record all that is shown, in place of a recorder that was there before."""
    recorder = Recorder()
    _recorders.append(recorder)
    logging.getLogger().addHandler(_handler)
    try:
        yield recorder
    finally:
        _recorders.remove(recorder)
        if not _recorders:
            logging.getLogger().removeHandler(_handler)


def install() -> None:
    """Let objects of ours tell the recorder that they were made. It lasts as long as the process."""
    _after(JobsError, "__init__", lambda recorder, error: recorder.follow(error))
    _after(ApiClient, "__init__", lambda recorder, client: recorder.add_client(client))
    _after(TokenAuth, "__init__", lambda recorder, auth: recorder.add_auth(auth))
    _after(Token, "__init__", lambda recorder, token: recorder.add_secrets(token.access))
    _after(BaseSource, "__init__", lambda recorder, source: recorder.show("repr of a source", source))
    _before(pytest.RaisesExc, "__exit__", _caught)
    _before(pytest.RaisesGroup, "__exit__", _caught)
    _follow_copies()
    _follow_warnings()

    def finalize(error: JobsError) -> None:
        if _recorders:
            _recorders[-1].at_end_of(error)

    _PATCHES.setattr(JobsError, "__del__", finalize, raising=False)


def _after(cls: type, name: str, tell: Callable[[Recorder, Any], None]) -> None:
    original = getattr(cls, name)

    @functools.wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if _recorders:
            tell(_recorders[-1], self)

    setattr(cls, name, call)


def _before(cls: type, name: str, tell: Callable[..., None]) -> None:
    original = getattr(cls, name)

    def call(self: Any, *args: Any) -> Any:
        tell(*args)
        return original(self, *args)

    setattr(cls, name, call)


def _caught(_: object, error: BaseException | None, __: object) -> None:
    if _recorders and error is not None:
        _recorders[-1].show_error(error)


def _follow_copies() -> None:
    original = common.model.errors.rebuild

    def rebuild(*args: Any) -> JobsError:
        copied: JobsError = original(*args)
        if _recorders:
            _recorders[-1].follow(copied)
        return copied

    _PATCHES.setattr(common.model.errors, "rebuild", rebuild)


def _follow_warnings() -> None:
    original = warnings.warn

    def warn(message: Any, category: Any = None, stacklevel: int = 1, *args: Any, **kwargs: Any) -> None:
        if _recorders:
            _recorders[-1].counts["warnings"] += 1
            _recorders[-1].show("a warning", str(message))
        original(message, category, stacklevel + 1, *args, **kwargs)

    warnings.warn = warn
