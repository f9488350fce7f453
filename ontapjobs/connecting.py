"""How ONTAP's keys in a profile or the environment become a source: a user, a token, or a certificate."""

from __future__ import annotations

from common.auth import Basic
from common.auth import Bearer
from common.settings import Settings
from common.signin import Way
from ontapjobs.source import OntapJobs


def connect(settings: Settings) -> OntapJobs:
    """The source that these settings describe. Raises `UsageError`; sends nothing.

    Keys: ``user`` and ``password``; ``token`` (9.14 and later). A ``cert`` signs in by itself.
    """
    endpoint = settings.endpoint
    given = settings.read(text=("user",), secret=("password", "token"))
    auth = given.sign_in(Way(("user", "password"), Basic), Way(("token",), Bearer))
    return OntapJobs(endpoint, auth=auth, **given.options)
