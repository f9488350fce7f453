"""How BlueXP's keys in a profile or the environment become a source."""

from __future__ import annotations

from bluexp_jobs.source import BlueXPJobs
from common.auth import Bearer
from common.settings import Settings
from common.signin import Way


def connect(settings: Settings) -> BlueXPJobs:
    """The source that these settings describe. Raises `UsageError`; sends nothing.

    Keys: ``account`` and ``agent``, where the target does not name them; ``token``.
    """
    endpoint = settings.endpoint
    given = settings.read(scope=("account", "agent"), secret=("token",))
    return BlueXPJobs(
        account=given.text("account") or "",
        agent=given.text("agent") or "",
        auth=given.sign_in(Way(("token",), Bearer)),
        endpoint=endpoint,
        **given.options,
    )
