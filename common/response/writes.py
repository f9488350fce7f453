"""What a write hands over: its jobs, as a provider finds them in the reply and as a caller gets them."""

from __future__ import annotations

import json as jsonlib
import re
from collections.abc import Collection, Mapping
from urllib.parse import unquote

import attrs

from common.model.errors import UsageError
from common.model.job import Job
from common.model.refs import JobRef
from common.response.redaction import SECRET_HEADERS


@attrs.frozen
class Adopted:
    """What a write handed over: ``refs`` of all its jobs, ``jobs`` that its reply already tells the state of.

    ``warnings`` are the write's own. A write that started no job gives an empty one.
    """

    refs: tuple[JobRef, ...] = ()
    jobs: tuple[Job, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def waitable(self) -> tuple[JobRef | Job, ...]:
        """What to wait for, one for each of ``refs``: the job itself if it has ended, which costs no request.

        ``await wait_all(source, adopted.waitable)`` is right for any write, also for one without a job.
        """
        ended = {job.ref: job for job in self.jobs if job.state.terminal}
        return tuple(ended.get(ref, ref) for ref in self.refs)


@attrs.frozen
class StartedJobs:
    """What a provider's ``wire`` found in the reply to a write: all ids, and the jobs that came whole."""

    ids: tuple[str, ...] = ()
    jobs: tuple[Job, ...] = ()
    warnings: tuple[str, ...] = ()


METHODS = ("POST", "PUT", "PATCH", "DELETE")
RESERVED = frozenset(
    {*SECRET_HEADERS, "accept-encoding", "connection", "content-length", "expect", "host", "keep-alive"}
    | {"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "user-agent"}
)
"""Headers that say who asks, where, and where a message ends: none of them is a caller's to set."""

_PATH = re.compile(r"(?:[\w\-.~!$&'()*+,;=:@/?|\[\]]|%[0-9A-Fa-f]{2})+", re.ASCII)
"""RFC 3986 and what both HTTP libraries send as it is: ``|``, which ONTAP's queries hold, and brackets."""
_PERCENT = re.compile(r"%(?:25)+")
_NAME = re.compile(r"[\w!#$%&'*+\-.^`|~]+", re.ASCII)
_VALUE = re.compile(r"[\t -~]*")


def check_method(method: object) -> str:
    """The method of a write, in capitals. Raises `UsageError` for one that writes nothing."""
    known = method.upper() if isinstance(method, str) else ""
    if known not in METHODS:
        raise UsageError(f"start() sends a write: the method can be {', '.join(METHODS)}, and nothing else")
    return known


def check_path(path: object) -> str:
    """A path with its query, percent-encoded as it is to be sent. Raises `UsageError` without quoting it.

    It stays on the source's own server and below what it names: dots that climb are refused however they
    are encoded, also behind an encoded slash, for some servers decode first and look for folders then.
    """
    if not isinstance(path, str) or not path.startswith("/") or path.startswith("//"):
        raise UsageError(
            "path= must begin with one '/': it is a path of the source's own endpoint, not a URL"
        )
    if "#" in path:
        raise UsageError("path= holds a '#': a fragment is never sent, and as text it must be encoded as %23")
    if not _PATH.fullmatch(path):
        raise UsageError(
            "path= holds a character that must be percent-encoded (a space, a control character, '%', …): "
            "pass its parts through urllib.parse.quote()"
        )
    if _climbs(path.partition("?")[0]):
        raise UsageError(
            "path= holds '.' or '..' as a segment, plain or encoded: give the path that is meant"
        )
    return path


def _climbs(path: str) -> bool:
    # Many encodings of one percent sign are one step: else a long path would take its square in time.
    while (decoded := unquote(_PERCENT.sub("%", path))) != path:
        path = decoded
    return any(segment.partition(";")[0] in (".", "..") for segment in re.split(r"[/\\]", path))


def check_headers(headers: object, *, own: Collection[str]) -> dict[str, str]:
    """The caller's headers. Raises `UsageError` for one of the source's ``own``, or that cannot be sent.

    ``own`` are names in lower case. Values are never quoted back: they may be secrets.
    """
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise UsageError("headers= must be a mapping of names to values, both text")
    found: dict[str, str] = {}
    for name, value in headers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise UsageError("headers= has a name that no header can have: use letters, digits and hyphens")
        lower = name.lower()
        if lower in RESERVED or lower in own:
            raise UsageError(f"headers= must not hold {name[:40]!r}: the source sets it itself")
        if lower in (known.lower() for known in found):
            raise UsageError(f"headers= holds {name[:40]!r} twice, in different letter case")
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise UsageError(f"headers= has a value for {name[:40]!r} that is no printable ASCII on one line")
        found["Accept" if lower == "accept" else name] = value.strip()
    return found


def check_body(json: object, content: object) -> bytes | None:
    """The bytes of a write's body, None for none. Raises `UsageError` for what cannot be sent."""
    if json is not None and content is not None:
        raise UsageError("json= beside content=: a write has one body")
    if isinstance(content, str):
        try:
            return content.encode()
        except UnicodeEncodeError:
            content = 0  # raised below: as a context, the codec's exception would carry the whole body along
    if content is not None and not isinstance(content, bytes):
        raise UsageError("content= must be bytes, or text of whole characters (sent as UTF-8)")
    if json is None or content is not None:
        return content
    try:
        return jsonlib.dumps(json, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        pass  # raised below, without what hangs on json's own exception
    raise UsageError("json= holds what JSON has no form for (bytes, NaN, an object of a class, a circle)")
