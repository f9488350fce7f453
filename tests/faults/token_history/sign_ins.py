"""The ways to sign in that a run is made for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import attrs

from bluexp_jobs import AgentPassword, BlueXPJobs, RefreshToken, ServiceAccount, UserPassword
from cfjobs import CFJobs, UAAAssertion, UAAClientCredentials, UAAPassword, UAARefreshToken
from cfjobs.auth.cf_cli import CfCliLogin
from cfjobs.auth.cf_config import read_config
from common import PollPolicy
from common.auth.client_credentials import ClientCredentials
from common.auth.rotation import OnRotate
from common.auth.token_auth import TokenAuth
from ontapjobs import OntapJobs
from tests.faults.token_history.issuer import FIRST

TOKEN_PATH = "/oauth/token"


@attrs.frozen
class Place:
    """Where a run takes place: the API's address and the issuer's, and a folder for files."""

    api: str
    login: str
    folder: Path
    on_rotate: OnRotate


@attrs.frozen(kw_only=True)
class AuthCase:
    """One way to sign in. ``rotates``: with refresh tokens; ``tells``: by ``on_rotate``."""

    name: str
    make: Callable[[Place], TokenAuth]
    source: Callable[..., Any]
    rotates: bool = False
    password: bool = False
    tells: bool = False

    def connect(self, place: Place, auth: TokenAuth, policy: PollPolicy, **options: Any) -> Any:
        """Return a source that signs in so."""
        return self.source(place.api, auth, policy=policy, **options)


def _bluexp(endpoint: str, auth: Any, **options: Any) -> BlueXPJobs:
    return BlueXPJobs(account="account-1", agent="agent-1", endpoint=endpoint, auth=auth, **options)


def _cf(endpoint: str, auth: Any, **options: Any) -> CFJobs:
    return CFJobs(endpoint, auth=auth, **options)


def _ontap(endpoint: str, auth: Any, **options: Any) -> OntapJobs:
    return OntapJobs(endpoint, auth=auth, **options)


def cli_file(place: Place) -> Path:
    """Return the file of the ``cf`` command's login."""
    return place.folder / "config.json"


def _cli(place: Place) -> TokenAuth:
    file = cli_file(place)
    login = {"Target": place.api, "AuthorizationEndpoint": place.login, "RefreshToken": FIRST}
    file.write_text(json.dumps({"ConfigVersion": 4, "UAAOAuthClient": "cf", "AccessToken": "", **login}))
    return CfCliLogin(file, read_config(file), write=True)


AUTH_CASES = [
    AuthCase(
        name="RefreshToken",
        make=lambda at: RefreshToken(FIRST, token_url=at.login + TOKEN_PATH, on_rotate=at.on_rotate),
        source=_bluexp,
        rotates=True,
        tells=True,
    ),
    AuthCase(
        name="UAARefreshToken",
        make=lambda at: UAARefreshToken(FIRST, on_rotate=at.on_rotate),
        source=_cf,
        rotates=True,
        tells=True,
    ),
    AuthCase(
        name="UAAPassword",
        make=lambda at: UAAPassword("user", "correct-horse", on_rotate=at.on_rotate),
        source=_cf,
        rotates=True,
        password=True,
        tells=True,
    ),
    AuthCase(
        name="UAAAssertion",
        make=lambda at: UAAAssertion("correct-horse", on_rotate=at.on_rotate),
        source=_cf,
        rotates=True,
        password=True,
        tells=True,
    ),
    AuthCase(name="CfCliLogin", make=_cli, source=_cf, rotates=True),
    AuthCase(
        name="ClientCredentials",
        make=lambda at: ClientCredentials(at.login + TOKEN_PATH, "client", "correct-horse"),
        source=_ontap,
    ),
    AuthCase(
        name="ServiceAccount",
        make=lambda at: ServiceAccount("client", "correct-horse", token_url=at.login + TOKEN_PATH),
        source=_bluexp,
    ),
    AuthCase(name="AgentPassword", make=lambda _: AgentPassword("user", "correct-horse"), source=_bluexp),
    AuthCase(
        name="UserPassword",
        make=lambda at: UserPassword("user", "correct-horse", token_url=at.login + TOKEN_PATH),
        source=_bluexp,
    ),
    AuthCase(
        name="UAAClientCredentials",
        make=lambda _: UAAClientCredentials("client", "correct-horse"),
        source=_cf,
    ),
]


def read_fields(body: bytes) -> Mapping[str, str]:
    """Return the fields of a token request, sent as JSON or form-encoded."""
    return dict(json.loads(body)) if body.startswith(b"{") else dict(parse_qsl(body.decode()))
