"""`CFJobs`: get, wait, and the jobs of writes. Cloud Foundry has no list and no cancel."""

from __future__ import annotations

import os
from typing import Any, NoReturn, Self, Unpack

from cfjobs.driver import CFDriver
from cfjobs.last_operation import LastOperation, OperationType
from cfjobs.wire import PROVIDER
from common.auth.argument import AuthLike
from common.model.errors import Unsupported
from common.model.tracebacks import without_frames
from common.options import SourceOptions, shows_keywords
from common.polling.policy import Probe
from common.set_module import set_module
from common.sources.no_actions import SourceWithoutActions


class CFJobs(SourceWithoutActions):
    """The jobs of one Cloud Foundry foundation, or of a Korifi.

    ``endpoint`` is the API's address, such as ``https://api.example.org``. ``auth`` is ``UAAPassword``,
    ``UAAPasscode``, ``UAAAssertion``, ``UAAClientCredentials``, ``UAARefreshToken``, ``Bearer(token)`` or an
    ``httpx.Auth``; with ``cert=`` (Korifi) it may be left out. The other keywords are those of
    `common.options.SourceOptions`. Raise `UsageError` for an invalid argument.
    """

    provider: str = PROVIDER

    @without_frames
    @shows_keywords(SourceOptions)
    def __init__(
        self, endpoint: str, *, auth: AuthLike | None = None, **options: Unpack[SourceOptions]
    ) -> None:
        super().__init__(CFDriver, endpoint, auth=auth, options=options)

    @classmethod
    @shows_keywords(SourceOptions)
    def from_cf_config(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        write: bool = False,
        **options: Unpack[SourceOptions],
    ) -> Self:
        """Return the foundation that the ``cf`` command is logged in to, with that login.

        ``path`` is the command's ``config.json`` or a folder that it is in; left out, it is
        ``$CF_HOME/.cf/config.json`` or ``~/.cf/config.json``. The file is read again before each renewal, for
        the command may have renewed the login; only with ``write`` are renewed tokens written back. Without
        ``path``, the user of ``CF_USERNAME`` and ``CF_PASSWORD`` signs in to the file's foundation instead,
        where both are set (those of ``cf auth``). A login with ``--skip-ssl-validation`` means
        ``verify=False``, unless ``verify`` is given. Raise `UsageError` if there is no login to use.
        """
        from cfjobs.auth.cf_cli import CfCliLogin, user_login  # lazily: few need what it needs
        from cfjobs.auth.cf_config import config_file, read_config, user_in_environment

        file = config_file(path)
        user = user_in_environment() if path is None else None
        login = read_config(file, logged_in=user is None)
        if login.insecure and all(options.get(name) is None for name in ("verify", "http", "transport")):
            options["verify"] = False
        if user is None:
            return cls(login.target, auth=CfCliLogin(file, login, write=write), **options)
        return cls(login.target, auth=user_login(login, *user), **options)

    def last_operation(self, path: str, *, type: OperationType | None = None) -> Probe:
        """Return a ``resolve_gone`` that reads the ``last_operation`` of a service instance or binding.

        While the operation is in progress, it is polled until the deadline of the wait. A failure has the
        service broker's text. ``path`` is that of the resource, such as ``/v3/service_instances/<guid>``.
        ``type`` is the operation of a job that was never seen. If the last operation is another one, the
        outcome is unknown, and the wait raises `JobGone` or `JobNotFound`. Raise `UsageError` for another
        ``type``, and for a path with a query.
        """
        return self._probe(path, LastOperation(type))

    def list(self, *args: Any, **filters: Any) -> NoReturn:
        """Raise `Unsupported` before any request: the API has no list of jobs."""
        del args, filters
        raise Unsupported(
            "Cloud Foundry jobs cannot be listed: their API has no list; "
            "store the ref of each job that is started"
        )


set_module(CFJobs)
