"""What the source asks BlueXP for, and what it makes of a refusal: without a socket."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bluexp_jobs.driver import AS_A_USER, BlueXPDriver
from bluexp_jobs.wire import STATES
from common import DecodeError, JobRef, UsageError
from common.response.http_response import HttpResponse

ENDPOINT = "https://api.bluexp.example"
API = "/account/account-1/providers/cloudmanager_cbs/api"


def driver(*, by_service: bool = False, agent: str = "agent-1") -> BlueXPDriver:
    return BlueXPDriver(ENDPOINT, account="account-1", agent=agent, states=STATES, by_service=by_service)


def test_a_job_belongs_to_its_account_and_its_agent() -> None:
    made = driver()
    assert made.endpoint == ENDPOINT
    assert made.scope == (("account", "account-1"), ("agent", "agent-1"))
    ref = JobRef("bluexp", ENDPOINT, "j", made.scope)
    assert made.parse_job(b'{"job": {"id": "j", "status": "FAILED"}}', ref).ref == ref


def test_a_job_without_an_id_is_refused_with_its_path() -> None:
    with pytest.raises(DecodeError) as caught:
        driver().parse_job(b'{"job": {"status": "FAILED"}}', JobRef("bluexp", ENDPOINT, "j"))
    assert caught.value.path == "$.job"


def test_jobs_are_kept_for_15_days() -> None:
    assert timedelta(seconds=driver().retention) == timedelta(days=15)


@pytest.mark.parametrize("agent", ["agent-1", "agent-1clients"])
def test_the_agent_is_named_with_its_suffix(agent: str) -> None:
    made = driver(agent=agent)
    assert made.headers == {"x-agent-id": "agent-1clients"}
    assert made.scope[1] == ("agent", "agent-1")


@pytest.mark.parametrize(
    ("status", "by_service", "body", "hint"),
    [
        (403, True, b"{}", AS_A_USER),
        (403, False, b"{}", None),
        (402, True, b"{}", None),
        (404, True, b"{}", None),
        (401, True, b"{}", None),
    ],
)
def test_a_service_account_that_is_refused_learns_what_it_may_lack(
    status: int, by_service: bool, body: bytes, hint: str | None
) -> None:
    assert driver(by_service=by_service).parse_error(HttpResponse(status, (), body)).hint == hint


def test_what_the_refusal_itself_hints_at_comes_first() -> None:
    refused = HttpResponse(403, (), b"User is not allowed to do operation")
    hint = driver(by_service=True).parse_error(refused).hint or ""
    assert hint.startswith("agent= may be wrong")
    assert hint.endswith(f"; or {AS_A_USER}")


@pytest.mark.parametrize("path", ["/v1/backup", "/accounts/x", "/account"])
def test_a_path_without_an_account_is_below_the_accounts_own(path: str) -> None:
    sent, _ = driver().write_path(path, None)
    assert sent.endswith(path)
    assert sent.startswith("/account/account-1/")


@pytest.mark.parametrize("path", [f"{API}/v1/backup", "/account/account%2D1/x", "/account/account-1?a=1"])
def test_a_path_below_the_account_goes_out_as_it_is(path: str) -> None:
    assert driver().write_path(path, None)[0] == path


@pytest.mark.parametrize("path", ["/account/account-2/x", "/account/account-2?account-1", "/account/?x"])
def test_a_path_below_another_account_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="for another account"):
        driver().write_path(path, None)
