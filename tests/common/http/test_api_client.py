"""What `ApiClient` makes of an exchange: whether it was sent, whether trouble passes, what is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from common.http.backend import HttpFailure
from common.http.client import ApiClient
from common.http.no_response import transport_error
from common.model.errors import TransportError, UsageError
from common.options import Options
from tests.recording import Answer, Recorder, reply

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

URL = "https://cluster1.example"
LOGIN = "https://login.example.org/token?key=k3y"
UNTRUSTED = httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")


class Signer:
    """Credentials that do at each step as they are told, and keep what they are told themselves."""

    def __init__(self, **steps: Exception | None) -> None:
        self._steps = steps
        self.told: list[object] = []

    def bind(self, http: object) -> Signer:
        del http
        return self

    async def _step(self, name: str) -> None:
        await anyio.lowlevel.checkpoint()
        if name in self._steps:
            error = self._steps[name]
            if error is None:
                await anyio.sleep_forever()
            else:
                raise error

    async def headers(self) -> Mapping[str, str]:
        await self._step("headers")
        return {"Authorization": "Bearer t0ken"}

    async def refresh(self, refused: Mapping[str, str]) -> bool:
        del refused
        await self._step("refresh")
        return True

    def secrets(self) -> tuple[str, ...]:
        return ("t0ken",)

    def accepted(self, sent: Mapping[str, str]) -> None:
        self.told.append(dict(sent))

    async def aclose(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.told.append("closed")


def client_of(*answers: Answer, auth: Any = ("u", "pa55word"), endpoint: str = URL) -> ApiClient:
    return ApiClient(
        endpoint,
        auth=auth,
        options=Options(transport=Recorder(*answers), request_timeout=7),
        keepalive=60,
        headers={},
    )


async def error_of(client: ApiClient, method: str = "GET", **options: Any) -> TransportError:
    with pytest.raises(TransportError) as caught:
        await client.send(method, "/api/x?q=1", **options)
    return caught.value


async def test_a_write_has_the_body_and_the_content_type_that_it_is_given() -> None:
    wire = Recorder(reply({}))
    options = Options(transport=wire)
    client = ApiClient(URL, auth=("u", "pa55word"), options=options, keepalive=60, headers={})
    await client.send("POST", "/", headers={"Content-Type": "text/plain"}, content=b"text")
    await client.send("POST", "/", content=b"abc")
    await client.send("POST", "/")
    assert [request.content for request in wire.requests] == [b"text", b"abc", b""]
    assert wire.sent("Content-Type") == ["text/plain", None, None]


# --- whether it was sent


@pytest.mark.parametrize(
    ("answers", "steps", "sent"),
    [
        ([reply({})], {"headers": TransportError("no token")}, False),
        ([reply(b"", 401)], {"refresh": TransportError("no new token")}, False),
        ([httpx.ReadError("reset")], {}, True),
        ([reply(b"", 401), httpx.ReadError("reset")], {}, True),
        ([httpx.ConnectError("refused")], {}, False),
    ],
    ids=["no token", "no new token", "no response", "no response to the second", "no connection"],
)
@pytest.mark.parametrize("kind", ["signer", "token"])
async def test_an_error_says_whether_the_request_may_have_been_carried_out(
    answers: list[Answer], steps: dict[str, Exception], sent: bool, kind: str
) -> None:
    auth: Any = Signer(**steps)
    if kind == "signer":
        auth.bind = None
    assert (await error_of(client_of(*answers, auth=auth), "POST")).sent is sent


async def test_without_a_signer_a_lost_response_was_sent_too() -> None:
    auth = httpx.BasicAuth("u", "pa55word")
    assert (await error_of(client_of(httpx.ReadError("reset"), auth=auth), "POST")).sent


async def hang(_: httpx.Request) -> httpx.Response:
    await anyio.sleep_forever()
    raise AssertionError


@pytest.mark.parametrize(
    ("answer", "steps", "what", "sent"),
    [
        (None, {}, "no complete response", True),
        (reply({}), {"headers": None}, "not signed in", False),
        (reply(b"", 401), {"refresh": None}, "not signed in", False),
    ],
)
async def test_what_takes_too_long_says_how_far_it_came(
    answer: Any, steps: dict[str, None], what: str, sent: bool
) -> None:
    transport = Recorder(answer) if answer else httpx.MockTransport(hang)
    client = ApiClient(
        URL,
        auth=Signer(**steps),
        options=Options(transport=transport, request_timeout=7),
        keepalive=60,
        headers={},
    )
    error = await error_of(client)
    assert (str(error), error.sent) == (f"GET {URL}: {what} within 7 s", sent)
    assert anyio.current_time() == 7


# --- whether trouble passes


GOOD: dict[str, tuple[str, str, Answer, bool]] = {
    "an object": ("send", "GET", reply({}), True),
    "an object behind the mark of UTF-8": ("send", "GET", reply(b"\r\n\xef\xbb\xbf {}"), True),
    "a page": ("send", "GET", reply(b"<html>"), False),
    "an array": ("send", "GET", reply(b"[]"), False),
    "nothing": ("send", "GET", reply(b" "), False),
    "the last success": ("send", "GET", reply({}, 299), True),
    "none any more": ("send", "GET", reply({}, 300), False),
    "a refusal": ("send", "GET", reply({}, 404), False),
    "a write": ("send", "POST", reply(b"", 202), True),
    "a write that is answered by a page": ("send", "POST", reply(b"<html>"), False),
    "a sign-in": ("request", "POST", reply({}), True),
    "a discovery": ("request", "GET", reply({}), False),
}


@pytest.mark.parametrize(("call", "method", "answer", "good"), GOOD.values(), ids=GOOD)
async def test_a_wrong_set_up_passes_only_after_a_good_reply(
    call: str, method: str, answer: Answer, good: bool
) -> None:
    client = client_of(answer, UNTRUSTED)
    if call == "send":
        await client.send(method, "/")
    else:
        await client.request(method, LOGIN)
    with pytest.raises(TransportError) as caught:
        await client.request("POST", LOGIN)
    for error in (caught.value, await error_of(client)):
        assert (error.misconfigured, error.transient) == (True, good)


async def test_what_is_no_matter_of_the_set_up_passes_from_the_first() -> None:
    error = await error_of(client_of(httpx.ReadError("reset")))
    assert (error.misconfigured, error.transient) == (False, True)


@pytest.mark.parametrize("good", [True, False])
async def test_a_wrong_set_up_of_the_sign_in_goes_by_this_source(good: bool) -> None:
    wrong = TransportError("no certificate", misconfigured=True)
    wrong.transient = not good
    steps: dict[str, Exception | None] = {}
    client = client_of(reply({}), auth=Signer(**steps))
    signer: Any = client._signer
    signer._steps = steps
    if good:
        await client.send("GET", "/")
    steps["headers"] = wrong
    assert (await error_of(client)).transient is good


async def test_plain_http_where_tls_is_expected_is_a_wrong_set_up() -> None:
    said = reply(b"The plain HTTP request was sent to HTTPS port", 400)
    error = await error_of(client_of(said, endpoint="http://cluster1.example"))
    assert (error.misconfigured, error.transient, error.sent) == (True, False, False)
    assert "use https://cluster1.example" in str(error)


@pytest.mark.parametrize(("method", "requests"), [("GET", 2), ("HEAD", 2), ("POST", 1), ("DELETE", 1)])
async def test_only_what_reads_is_sent_again_on_another_connection(method: str, requests: int) -> None:
    wire = Recorder(httpx.RemoteProtocolError("Server disconnected without sending a response."), reply({}))
    options = Options(transport=wire)
    client = ApiClient(URL, auth=("u", "pa55word"), options=options, keepalive=60, headers={})
    if requests == 1:
        await error_of(client, method)
    else:
        await client.send(method, "/")
    assert len(wire.requests) == requests


# --- what is shown


async def test_an_error_names_the_endpoint_or_the_url_without_its_query() -> None:
    client = client_of(httpx.ReadError("reset"))
    assert str(await error_of(client, "POST")).startswith(f"POST {URL}: ReadError")
    with pytest.raises(TransportError, match=r"^POST https://login\.example\.org/token: ReadError"):
        await client.request("POST", LOGIN)


async def test_secrets_in_the_headers_of_what_failed_are_redacted() -> None:
    secret = {"X-Api-Key": "the-k3y-of-mine"}
    error = await error_of(client_of(httpx.ReadError("after the-k3y-of-mine")), "POST", headers=secret)
    assert "the-k3y" not in str(error)
    for status, text in ((400, "**** is no key"), (200, "the-k3y-of-mine is no key")):
        client = client_of(reply({}, status))
        await client.send("GET", "/", headers=secret)
        assert client.redact("the-k3y-of-mine is no key") == text


@pytest.mark.parametrize(
    ("location", "elsewhere"),
    [("https://other.example/login", "https://other.example"), (f"{URL}/login", None), ("/login", None)],
)
async def test_a_redirect_elsewhere_is_told_by_its_origin(location: str, elsewhere: str | None) -> None:
    response = await client_of(reply(b"", 302, headers={"Location": location})).send("GET", "/")
    assert (response.status, response.redirected_to) == (302, elsewhere)


# --- who is told, and which connections are used


async def test_a_sign_in_is_told_which_token_was_accepted_and_to_close() -> None:
    signer = Signer()
    client = client_of(*(reply({}, status) for status in (200, 404, 299, 300, 302)), auth=signer)
    for _ in range(5):
        await client.send("GET", "/")
    await client.aclose()
    assert signer.told == [{"Authorization": "Bearer t0ken"}] * 2 + ["closed"]


async def test_a_sign_in_over_the_callers_client_has_none_of_its_secrets() -> None:
    wire = Recorder(reply({}))
    secrets = {"Authorization": "Bearer of-another-api", "Cookie": "session=1", "X-Api-Key": "k"}
    async with httpx.AsyncClient(headers={**secrets, "X-Team": "t"}, transport=wire) as theirs:
        options = Options(http=theirs)
        client = ApiClient(URL, auth=Signer(), options=options, keepalive=60, headers={})
        await client.request("POST", LOGIN)
    assert [wire.sent(name) for name in (*secrets, "X-Team")] == [[None], [None], [None], ["t"]]


async def test_a_given_transport_is_asked_for_everything() -> None:
    client = client_of(reply({}))
    await client.request("POST", LOGIN)
    await client.send("GET", "/")
    assert client._state is not None
    assert client._state.other_origins == {}


async def test_a_sign_in_at_the_endpoint_itself_goes_over_its_connections() -> None:
    for endpoint in ("http://127.0.0.1:9", "http://127.0.0.1:9/um/gateway"):
        client = ApiClient(endpoint, auth=None, options=Options(), keepalive=60, headers={})
        own = client._loop_state().backend
        assert client._backend_for("http://127.0.0.1:9/oauth/token?a=b") is own
        other = client._backend_for("http://127.0.0.1:10/oauth/token")
        assert other.on_current_loop
        assert other is client._backend_for("http://127.0.0.1:10/other") is not own
        await client.aclose()


def test_a_ca_file_that_a_sign_in_needs_is_read_by_the_constructor() -> None:
    def make(auth: Any) -> ApiClient:
        options = Options(verify="/nowhere/ca.pem")
        return ApiClient("http://127.0.0.1:9", auth=auth, options=options, keepalive=60, headers={})

    with pytest.raises(UsageError, match=r"/nowhere/ca\.pem"):
        make(Signer())
    assert make(("u", "pa55word")).endpoint == "http://127.0.0.1:9"  # which goes over plain http alone


@pytest.mark.usefixtures("no_proxies")
def test_a_proxy_that_a_sign_in_needs_is_checked_by_the_constructor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "ftp://proxy")
    signer: Any = Signer()

    def make() -> ApiClient:
        return ApiClient("http://127.0.0.1:9", auth=signer, options=Options(), keepalive=60, headers={})

    assert make().endpoint == "http://127.0.0.1:9"
    signer.token_url = LOGIN
    with pytest.raises(UsageError, match="HTTPS_PROXY"):
        make()


def test_a_proxy_s_password_is_redacted_whatever_else_is_read_of_the_environment() -> None:
    for trust_env in (True, False):
        options = Options(proxy="http://pu:pr0xy-pa55@127.0.0.1:9", trust_env=trust_env)
        client = ApiClient(URL, auth=None, options=options, keepalive=60, headers={})
        assert client.redact("it was pr0xy-pa55") == "it was ****"


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize(("trust_env", "shown"), [(True, "it was ****"), (False, "it was pr0xy-pa55")])
def test_a_password_of_the_environment_s_proxy_is_redacted_where_that_is_used(
    trust_env: bool, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://pu:pr0xy-pa55@127.0.0.1:9")
    client = ApiClient(URL, auth=None, options=Options(trust_env=trust_env), keepalive=60, headers={})
    assert client.redact("it was pr0xy-pa55") == shown


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (anyio.ClosedResourceError(), "request"),
        (RuntimeError("the client has been closed"), "request (the client has been closed)"),
    ],
)
def test_a_client_closed_during_the_request_is_said_with_the_reason_if_there_is_one(
    error: Exception, ending: str
) -> None:
    failure = HttpFailure(error, closed=True)
    text = str(transport_error(failure, "GET", URL, redact=client_of().redact))
    assert text == f"GET {URL}: the client was closed during the {ending}"
