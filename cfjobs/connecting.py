"""How Cloud Foundry's keys in a profile or the environment become a source."""

from __future__ import annotations

from cfjobs.source import CFJobs
from common.auth import Bearer
from common.settings import Settings
from common.signin import Way


def connect(settings: Settings) -> CFJobs:
    """The source that these settings describe. Raises `UsageError`; sends nothing.

    Keys: ``token``. A ``cert`` signs in by itself (Korifi).
    """
    endpoint = settings.endpoint
    given = settings.read(secret=("token",))
    return CFJobs(endpoint, auth=given.sign_in(Way(("token",), Bearer)), **given.options)
