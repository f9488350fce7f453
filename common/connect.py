"""One line from a URL, a job's reference or a profile's name to the source behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from common.base import BaseSource
from common.refs import JobRef

if TYPE_CHECKING:
    from common.auth import AuthLike
else:
    AuthLike = Any  # names httpx, which must not be imported for hosts that read type hints


def connect(
    target: str | JobRef | None = None,
    *,
    profile: str | None = None,
    auth: AuthLike | None = None,
    **options: Any,
) -> BaseSource:
    """The source that a URL, a job's reference, a profile or the environment names. Nothing is sent.

    ``target`` is a source's URL (``ontap://cluster1.example.com``, ``cf+http://127.0.0.1:8080``), a `JobRef`
    or its text, or a plain ``https://…`` where a profile or the environment says whose it is. Without one,
    ``profile=``, else ``JOBSOURCE_PROFILE``, else ``JOBSOURCE_ENDPOINT``, else ``ONTAP_HOST`` says where.

    Profiles are tables ``[profiles.<name>]`` of the file that ``JOBSOURCE_CONFIG`` names, else of
    ``profiles.toml`` in the platform's folder for configuration. Without ``profile=`` and
    ``JOBSOURCE_PROFILE``, the one whose provider, endpoint and scope match the target is used.

    ``options`` are those of the source, and keys of a profile. They beat the environment
    (``JOBSOURCE_<KEY>``, and the provider's own variables), which beats the profile. Credentials go only to
    the endpoint that they were stated for: variables to the one of ``JOBSOURCE_ENDPOINT``, ``ONTAP_HOST`` or
    the named profile, a profile's to its own.

    Raises `UsageError`, which quotes no secret: where it is not clear who is meant, what is missing, and for
    a file that can't be read.
    """
    from common.choosing import choose  # lazily, as all that it takes: most processes never ask

    return choose(target, profile=profile, auth=auth, options=options).build()
