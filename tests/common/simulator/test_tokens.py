"""The issuer of the simulators' tokens: who gets one, and which are still taken."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from common.simulator.clock import Clock
from common.simulator.messages import Request, Response
from common.simulator.tokens import TokenDesk


class Stepped(Clock):
    """A clock that a test moves by hand."""

    time = 1000.0

    def read(self) -> float:
        return self.time


class Rig:
    """An issuer, and how it is asked."""

    def __init__(self, **settings: Any) -> None:
        self.clock = Stepped()
        self.issuer = TokenDesk(self.clock, 600, **settings)

    def ask(self, *, basic: str | None = None, as_json: bool = False, **fields: str) -> Response:
        kind = "application/json" if as_json else "application/x-www-form-urlencoded"
        headers = [(b"content-type", kind.encode())]
        if basic is not None:
            headers.append((b"authorization", b"Basic " + base64.b64encode(basic.encode())))
        body = (json.dumps(fields) if as_json else urlencode(fields)).encode()
        scope = {"method": "POST", "path": "/oauth/token", "headers": headers}
        return self.issuer.answer(Request.from_scope(scope, body, at=0))

    def password(self, user: str = "admin", password: str = "secret", **more: Any) -> Response:
        return self.ask(grant_type="password", username=user, password=password, **more)

    def refresh(self, token: str, **more: Any) -> Response:
        return self.ask(grant_type="refresh_token", refresh_token=token, **more)


def outcome(response: Response) -> tuple[int, str | None]:
    return response.status, response.json().get("error")


def test_by_default_anybody_gets_a_token_and_any_token_will_do() -> None:
    rig = Rig()
    assert rig.password("nobody", "guess").status == 200
    assert rig.refresh("invented").status == 200
    assert rig.issuer.accepts("Bearer invented")


@pytest.mark.parametrize("body", [b"", b"[", b"[" * 100_000, b"null", b"[1]", b'{"grant_type": 1}', b"\xff"])
def test_a_request_whose_json_cannot_be_read_is_refused(body: bytes) -> None:
    headers = [(b"content-type", b"application/json")]
    scope = {"method": "POST", "path": "/oauth/token", "headers": headers}
    response = Rig().issuer.answer(Request.from_scope(scope, body, at=0))
    assert 400 <= response.status < 500


def test_users_and_clients_must_be_known_where_they_are_given() -> None:
    rig = Rig(users={"admin": "secret"}, clients={"cf": "", "svc": "s3 cret"})
    assert outcome(rig.password(basic="cf:")) == (200, None)
    assert outcome(rig.password("admin", "guess", basic="cf:")) == (401, "unauthorized")
    assert outcome(rig.password("nobody", "secret", basic="cf:")) == (401, "unauthorized")
    assert outcome(rig.password(basic="cf:guess")) == (401, "invalid_client")
    assert outcome(rig.password()) == (401, "invalid_client")
    service: dict[str, Any] = {"grant_type": "client_credentials"}
    assert outcome(rig.ask(basic="svc:s3 cret", **service)) == (200, None)
    assert outcome(rig.ask(basic="svc:s3+cret", **service)) == (200, None)
    assert outcome(rig.ask(basic="svc:guess", **service)) == (401, "invalid_client")
    for as_json in (False, True):
        form = {**service, "client_id": "svc", "client_secret": "s3 cret"}
        assert outcome(rig.ask(as_json=as_json, **form)) == (200, None)
        assert outcome(rig.ask(as_json=as_json, **{**form, "client_secret": ""})) == (401, "invalid_client")


@pytest.mark.parametrize("header", ["Basic", "Basic !", "Basic YQ==", "Bearer x"])
def test_a_header_that_is_no_basic_is_no_client(header: str) -> None:
    issuer = TokenDesk(Stepped(), 600, clients={"svc": "s"})
    scope = {"method": "POST", "path": "/", "headers": [(b"authorization", header.encode())]}
    request = Request.from_scope(scope, b"grant_type=client_credentials", at=0)
    assert outcome(issuer.answer(request)) == (401, "invalid_client")


def test_a_refresh_token_stays_the_same_and_good_for_its_life() -> None:
    rig = Rig(refresh_lifetime=3600)
    refresh = rig.password().json()["refresh_token"]
    assert rig.refresh(refresh).json()["refresh_token"] == refresh
    rig.clock.time += 3599
    assert rig.refresh(refresh).status == 200
    rig.clock.time += 1
    assert outcome(rig.refresh(refresh)) == (401, "invalid_token")


def test_a_rotated_refresh_token_can_be_spent_once() -> None:
    rig = Rig(rotate=True)
    first = rig.password().json()["refresh_token"]
    second = rig.refresh(first).json()["refresh_token"]
    assert second != first
    assert outcome(rig.refresh(first)) == (401, "invalid_token")
    assert rig.refresh(second).status == 200
    assert rig.refresh("invented").status == 200
    assert outcome(rig.refresh("invented")) == (401, "invalid_token")


def test_a_refresh_token_is_its_clients_alone() -> None:
    rig = Rig(clients={"cf": "", "svc": "s"})
    refresh = rig.password(basic="cf:").json()["refresh_token"]
    assert outcome(rig.refresh(refresh, basic="svc:s")) == (400, "invalid_grant")
    assert rig.refresh(refresh, basic="cf:").status == 200


def test_a_strict_issuer_takes_its_own_tokens_alone() -> None:
    rig = Rig(strict=True)
    issued = rig.password().json()
    assert rig.issuer.accepts(f"bearer {issued['access_token']}")
    assert not rig.issuer.accepts("bearer invented")
    assert outcome(rig.refresh("invented")) == (401, "invalid_token")
    rig.clock.time += 600
    assert not rig.issuer.accepts(f"bearer {issued['access_token']}")


def test_tokens_can_be_revoked() -> None:
    rig = Rig()
    issued = rig.password().json()
    rig.issuer.revoke()
    assert not rig.issuer.accepts(f"bearer {issued['access_token']}")
    assert rig.issuer.accepts(f"bearer {rig.refresh(issued['refresh_token']).json()['access_token']}")
    rig.issuer.revoke_refresh()
    assert outcome(rig.refresh(issued["refresh_token"])) == (401, "invalid_token")


def test_tokens_that_are_over_are_forgotten_and_refused_all_the_same() -> None:
    rig = Rig(refresh_lifetime=1200)
    issued: list[dict[str, str]] = []
    for _ in range(50):
        rig.clock.time += 600
        issued.append(rig.password().json())
    first, last = issued[0], issued[-1]
    assert (len(rig.issuer._access), len(rig.issuer._refresh)) == (1, 2)
    assert not rig.issuer.accepts(f"bearer {first['access_token']}")
    assert rig.issuer.accepts(f"bearer {last['access_token']}")
    assert outcome(rig.refresh(first["refresh_token"])) == (401, "invalid_token")
    assert rig.refresh(last["refresh_token"]).status == 200


@pytest.mark.parametrize("name", ["simulated-0", "simulated-01", "simulated-2", "simulated-²", "simulated-"])
def test_a_token_of_somebody_else_is_told_from_the_issuers_own(name: str) -> None:
    rig = Rig()
    assert rig.password().json()["access_token"] == "simulated-1"
    rig.clock.time += 600
    assert not rig.issuer.accepts("bearer simulated-1")
    assert rig.issuer.accepts(f"bearer {name}")
    rig.issuer.expire_all(f"bearer {name}")
    assert not rig.issuer.accepts(f"bearer {name}")
