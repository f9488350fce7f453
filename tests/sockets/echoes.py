"""Servers that repeat the credentials that they were sent, and where in a reply they do."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import attrs
import httpx

from bluexp_jobs import AgentPassword, BlueXPJobs, RefreshToken, ServiceAccount, UserPassword
from cfjobs import CFJobs, UAAAssertion, UAAClientCredentials, UAAPasscode, UAAPassword, UAARefreshToken
from common import Bearer, PollPolicy
from common.http.log import MAX_ID_LENGTH
from common.http.no_response import MAX_DETAIL
from common.response.http_response import EXCERPT, MAX_MESSAGE
from common.sources.http import HttpSource
from ontapjobs import ClientCredentials, OntapJobs
from tests.leaks.encodings import ENCODINGS
from tests.loopback import Loopback, raw
from tests.sockets.calls import ASKED

PASSWORD = 'P4ss&w<rd>"4711%/+\\xé'
CLIENT_SECRET = 'cl1ent+s3cret/77&%"<x>'
TOKEN = 'b34rer-t0ken/of%&a"us+er=='
REFRESH = 'r3fresh-t0ken/9931&<q>"%=='
ACCESS = 'acc3ss-t0ken+5512&%"<y>/=='
LOGIN = "/oauth/token"

Body = dict[str, Any]


@attrs.frozen
class SignIn:
    """One kind of sign-in to one system, and what it sends that is secret."""

    name: str
    connect: Callable[[str], HttpSource]
    secrets: tuple[str, ...]


def _options() -> Any:
    return {"request_timeout": 5.0, "policy": PollPolicy(initial=0.01, maximum=0.01)}


def _ontap(name: str, auth: Callable[[str], Any], *secrets: str) -> SignIn:
    return SignIn(f"ontap, {name}", lambda url: OntapJobs(url, auth=auth(url), **_options()), secrets)


def _cf(name: str, auth: Callable[[str], Any], *secrets: str) -> SignIn:
    return SignIn(f"cf, {name}", lambda url: CFJobs(url, auth=auth(url), **_options()), secrets)


def _bluexp(name: str, auth: Callable[[str], Any], *secrets: str) -> SignIn:
    def connect(url: str) -> HttpSource:
        return BlueXPJobs(account="a", agent="g", endpoint=url, auth=auth(url), **_options())

    return SignIn(f"bluexp, {name}", connect, secrets)


SIGN_INS = (
    _ontap("pair", lambda _: ("user", PASSWORD), PASSWORD),
    _ontap("bearer", lambda _: Bearer(TOKEN), TOKEN),
    _ontap("httpx", lambda _: httpx.BasicAuth("user", PASSWORD), PASSWORD),
    _ontap("client", lambda url: ClientCredentials(url + LOGIN, "id", CLIENT_SECRET), CLIENT_SECRET, ACCESS),
    _ontap(
        "client in body",
        lambda url: ClientCredentials(url + LOGIN, "id", CLIENT_SECRET, send="body"),
        *(CLIENT_SECRET, ACCESS),
    ),
    _cf("bearer", lambda _: Bearer(TOKEN), TOKEN),
    _cf("password", lambda _: UAAPassword("user", PASSWORD), PASSWORD, ACCESS),
    _cf("client", lambda _: UAAClientCredentials("id", CLIENT_SECRET), CLIENT_SECRET, ACCESS),
    _cf("refresh", lambda _: UAARefreshToken(REFRESH), REFRESH, ACCESS),
    _cf("passcode", lambda _: UAAPasscode(REFRESH), REFRESH, ACCESS),
    _cf("assertion", lambda _: UAAAssertion(REFRESH), REFRESH, ACCESS),
    _bluexp("bearer", lambda _: Bearer(TOKEN), TOKEN),
    _bluexp("refresh", lambda url: RefreshToken(REFRESH, token_url=url + LOGIN), REFRESH, ACCESS),
    _bluexp("secret", lambda url: ServiceAccount("id", CLIENT_SECRET, token_url=url + LOGIN), CLIENT_SECRET),
    _bluexp("user", lambda url: UserPassword("user", PASSWORD, token_url=url + LOGIN), PASSWORD, ACCESS),
    _bluexp("password", lambda _: AgentPassword("user", PASSWORD), PASSWORD, ACCESS),
)


def _error(message: str, code: str = "5") -> Body:
    """An error in the words of all three systems."""
    return {
        "error": {"message": message, "code": code},
        "errors": [{"detail": message, "title": message, "code": 5}],
        "statusCode": 400,
        "message": message,
    }


def _job(**fields: Any) -> Body:
    """A job in the words of all three systems."""
    record = {"uuid": ASKED, "guid": ASKED, "id": ASKED, "state": "running", "status": "RUNNING", **fields}
    return {**record, "job": [record]}


def _page(text: str) -> bytes:
    return f"<html>{text}</html>".encode()


Reply = Callable[[str], Iterable[bytes]]


@attrs.frozen
class Place:
    """A part of a reply: what is sent with a text in it, and after how many characters it may be cut."""

    reply: Reply
    limits: tuple[int, ...]
    sign_in: bool = False


LIMITS = (120, EXCERPT, 2 * EXCERPT)
PLACES: Mapping[str, Place] = {
    "message": Place(lambda text: raw(_error(text), "400 Bad Request"), (MAX_MESSAGE,)),
    "code": Place(lambda text: raw(_error("no", text), "409 Conflict"), (MAX_MESSAGE,)),
    "message of 401": Place(lambda text: raw(_error(text), "401 Unauthorized"), (MAX_MESSAGE,)),
    "page of 403": Place(lambda text: raw(_page(text), "403 Forbidden"), LIMITS),
    "page of 502": Place(lambda text: raw(_page(text), "502 Bad Gateway"), LIMITS),
    "page of 404": Place(lambda text: raw(_page(text), "404 Not Found"), LIMITS),
    "page of 200": Place(lambda text: raw(_page(text)), LIMITS),
    "no such job": Place(
        lambda text: raw({**_error(text, "4"), "errors": [{"code": 10010, "detail": text}]}, "404 Not Found"),
        (MAX_MESSAGE,),
    ),
    "status line": Place(lambda text: [text.encode() + b"\r\n\r\n"], (MAX_DETAIL, 220, 240)),
    "header name": Place(
        lambda text: [b"HTTP/1.1 200 OK\r\n" + text.encode() + b": x\r\n\r\n"], (MAX_DETAIL,)
    ),
    "length": Place(
        lambda text: [b"HTTP/1.1 200 OK\r\nContent-Length: " + text.encode() + b"\r\n\r\n"], (MAX_DETAIL,)
    ),
    "reason": Place(lambda text: raw(b"", f"503 {text}"), (MAX_DETAIL,)),
    "request id": Place(lambda text: raw(_error("no"), "403 Forbidden", X_Request_Id=text), (MAX_ID_LENGTH,)),
    "headers": Place(
        lambda text: raw(
            _job(),
            **dict.fromkeys(("Set_Cookie", "X_Echo", "Date", "Retry_After", "Link"), text),
        ),
        (MAX_ID_LENGTH,),
    ),
    "encoding": Place(lambda text: raw(b"x", Content_Encoding=text), (MAX_DETAIL,)),
    "redirect": Place(
        lambda text: raw(b"", "302 Found", Location=f"http://127.0.0.1/?x={text}"), (MAX_DETAIL,)
    ),
    "state of a job": Place(lambda text: raw(_job(state=[text], status=[text])), (MAX_MESSAGE,)),
    "id of a job": Place(
        lambda text: raw({"job": {"uuid": text}, "guid": text, "id": text}, "202 Accepted"), (MAX_MESSAGE,)
    ),
    "error of a sign-in": Place(
        lambda text: raw({"error": "invalid_grant", "error_description": text}, "401 Unauthorized"),
        (EXCERPT,),
        sign_in=True,
    ),
    "code of a sign-in": Place(
        lambda text: raw({"error": text}, "400 Bad Request"), (EXCERPT,), sign_in=True
    ),
    "page of a sign-in": Place(lambda text: raw(_page(text), "403 Forbidden"), LIMITS, sign_in=True),
    "garbage of a sign-in": Place(lambda text: [text.encode() + b"\r\n\r\n"], (MAX_DETAIL,), sign_in=True),
    "no token": Place(
        lambda text: raw({"access_token": text + "\n", "token_type": text}), LIMITS, sign_in=True
    ),
    "type of a token": Place(
        lambda text: raw({"access_token": ACCESS, "token_type": text}), LIMITS, sign_in=True
    ),
}


@attrs.frozen
class Echo:
    """A secret in an encoding, ``shown`` characters of which come before the place where texts are cut."""

    secret: str
    encoding: str
    limit: int
    shown: int

    @property
    def form(self) -> str:
        return ENCODINGS[self.encoding](self.secret)

    @property
    def text(self) -> str:
        return "." * (self.limit - self.shown) + self.form + "!"


def echoes(sign_in: SignIn, place: Place) -> Iterator[Echo]:
    """Iterate over each secret of a sign-in in each encoding, cut at each offset."""
    # The token of a sign-in is known to nobody before that.
    secrets = [secret for secret in sign_in.secrets if not (place.sign_in and secret == ACCESS)]
    for secret, encoding, limit in itertools.product(secrets, ENCODINGS, place.limits):
        for shown in range(len(ENCODINGS[encoding](secret)) + 1):
            yield Echo(secret, encoding, limit, shown)


class EchoServer(Loopback):
    """Signs in whoever asks, and answers all else with the ``reply`` that was set, or a sign-in with that."""

    def __init__(self) -> None:
        super().__init__(self._reply)
        self.place = PLACES["message"]
        self.text = ""

    def _reply(self, number: int, head: str) -> Iterable[bytes]:
        line = head.partition("\r\n")[0]
        if LOGIN in line or "/auth" in line:
            if self.place.sign_in:
                return self.place.reply(self.text)
            token = {"access_token": ACCESS, "token_type": "bearer", "expires_in": 3600}
            return raw({**token, "refresh_token": REFRESH})
        if " / " in line:
            return raw({"links": {name: {"href": self.url} for name in ("login", "uaa")}})
        return self.place.reply(self.text) if not self.place.sign_in else raw(_job())
