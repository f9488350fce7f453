"""Check a write before it is sent, and hold the jobs that its response names."""

from __future__ import annotations

import json as jsonlib
import re
from collections.abc import Collection, Mapping
from urllib.parse import unquote

import attrs

from common.model.errors import DecodeError, UsageError
from common.model.job import ErrorDetail, Job
from common.model.refs import RESULTS, JobRef
from common.response.redaction import SECRET_HEADERS
from common.set_module import set_module


@attrs.frozen
class Adopted:
    """The jobs of a write: the ``refs`` of all, and the ``jobs`` whose state is in the response.

    ``warnings`` are those of the write, ``errors`` those that the response has beside a job, and ``status``
    is the HTTP status. Refs and jobs are empty for a write that started no job.
    """

    refs: tuple[JobRef, ...] = ()
    jobs: tuple[Job, ...] = ()
    warnings: tuple[str, ...] = ()
    errors: tuple[ErrorDetail, ...] = ()
    status: int | None = None
    _unnamed: str | None = attrs.field(default=None, alias="unnamed", eq=False, repr=False)
    """An excerpt of a response that says that a job goes on, but names none that is known here."""

    @property
    def waitable(self) -> tuple[JobRef | Job, ...]:
        """What to wait for, one entry for each of ``refs``: the job itself if it has ended, else its ref.

        An ended job whose results must still be read has its ref here (ONTAP's writes of many records).
        ``await wait_all(source, adopted.waitable)`` works for any write, also for one without a job. Raise
        `DecodeError`, which quotes the response, if the server accepted the work (202) but named no job to
        wait for.
        """
        if self._unnamed is not None:
            raise DecodeError(
                f"the server accepted the write ({self.status}), but its response names no job to wait for: "
                f"check the resource; the response {_quoted(self._unnamed)}"
            )
        ended = {job.ref: job for job in self.jobs if job.done}
        return tuple(ref if ref.hint(RESULTS) else ended.get(ref, ref) for ref in self.refs)


def _quoted(excerpt: str) -> str:
    return f"was {excerpt!r}" if excerpt else "had no body"


@attrs.frozen(eq=False)
class StartedJobs:
    """The jobs in the response to a write, read by the provider.

    ``refs`` name no endpoint; ``jobs`` are the complete ones. ``unnamed`` is True where the response says
    that a job goes on, and names none, or not all of them.
    """

    refs: tuple[JobRef, ...] = ()
    jobs: tuple[Job, ...] = ()
    warnings: tuple[str, ...] = ()
    errors: tuple[ErrorDetail, ...] = ()
    unnamed: bool = False

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the jobs, in order."""
        return tuple(ref.id for ref in self.refs)


METHODS = ("POST", "PUT", "PATCH", "DELETE")
RESERVED = frozenset(
    {*SECRET_HEADERS, "accept-encoding", "connection", "content-length", "expect", "host", "keep-alive"}
    | {"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "user-agent"}
)
"""Headers for authentication, routing and framing, which a caller must not set."""

_PATH = re.compile(r"(?:[\w\-.~!$&'()*+,;=:@/?|\[\]]|%[0-9A-Fa-f]{2})+", re.ASCII)
"""RFC 3986, and what both HTTP libraries send as it is: ``|``, which ONTAP's queries need, and brackets."""
_PERCENT = re.compile(r"%(?:25)+")
_NAME = re.compile(r"[\w!#$%&'*+\-.^`|~]+", re.ASCII)
_VALUE = re.compile(r"[\t -~]*")


def check_method(method: object) -> str:
    """Return the method of a write in upper case. Raise `UsageError` for any other method."""
    upper = method.upper() if isinstance(method, str) else ""
    if upper not in METHODS:
        raise UsageError(f"method= must be one of {', '.join(METHODS)}")
    return upper


def check_path(path: object) -> str:
    """Return a path with its query, percent-encoded by the caller, or raise `UsageError` without quoting it.

    The path stays on the source's own server. Segments ``.`` and ``..`` are refused however they are
    encoded, also after an encoded slash, since some servers decode a path before they resolve them.
    """
    if not isinstance(path, str) or not path.startswith("/") or path.startswith("//"):
        raise UsageError(
            "path= must begin with one '/': it is a path of the source's own endpoint, not a URL"
        )
    if "#" in path:
        raise UsageError("path= contains a '#', and a fragment is never sent: encode a literal '#' as %23")
    if not _PATH.fullmatch(path):
        raise UsageError(
            "path= contains a character that must be percent-encoded (a space, a control character, '%', …): "
            "pass its parts through urllib.parse.quote()"
        )
    if _climbs(path.partition("?")[0]):
        raise UsageError("path= contains '.' or '..' as a segment, plain or encoded: write the resolved path")
    return path


def _climbs(path: str) -> bool:
    # Repeated encodings of one percent sign are undone in one step, or the time would be quadratic.
    while (decoded := unquote(_PERCENT.sub("%", path))) != path:
        path = decoded
    return any(segment.partition(";")[0] in (".", "..") for segment in re.split(r"[/\\]", path))


def check_headers(headers: object, *, reserved: Collection[str]) -> dict[str, str]:
    """Return the caller's headers. Raise `UsageError` for one that is invalid or set by the source.

    ``reserved`` are the names that the source sets, in lower case. Messages never quote a value, which may be
    secret.
    """
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise UsageError("headers= must be a mapping of names to values, both text")
    checked: dict[str, str] = {}
    for name, value in headers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise UsageError("headers= has an invalid header name: use letters, digits and hyphens")
        lower = name.lower()
        if lower in RESERVED or lower in reserved:
            raise UsageError(f"headers= must not contain {name[:40]!r}: the source sets it itself")
        if lower in (known.lower() for known in checked):
            raise UsageError(f"headers= contains {name[:40]!r} twice, in different letter case")
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise UsageError(f"headers= has a value for {name[:40]!r} that is no printable ASCII on one line")
        checked["Accept" if lower == "accept" else name] = value.strip()
    return checked


def check_body(json: object, content: object) -> bytes | None:
    """Return the bytes of a write's body, None for no body. Raise `UsageError` for what cannot be sent."""
    if json is not None and content is not None:
        raise UsageError("json= and content= cannot be combined: a write has one body")
    if isinstance(content, str):
        try:
            return content.encode()
        except UnicodeEncodeError:
            content = 0  # raised below: as its context, the codec's exception would contain the whole body
    if content is not None and not isinstance(content, bytes):
        raise UsageError("content= must be bytes, or text without lone surrogates (sent as UTF-8)")
    if json is None or content is not None:
        return content
    try:
        return jsonlib.dumps(json, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        pass  # raised below: as its context, json's exception would contain the body
    raise UsageError(
        "json= contains a value that JSON cannot express (bytes, NaN, a class's object, a cycle)"
    )


set_module(Adopted)
