"""The strict reader itself: which bytes it gives to which request."""

from __future__ import annotations

import pytest

from tests.sockets.servers.strict_reader import ConnectionReader, Exchange, read_response

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nab\r\n1\r\nc\r\n0\r\nX: y\r\n\r\n"


def talk(*pieces: bytes, ended: bool = False) -> tuple[list[Exchange], bytes]:
    """Read these pieces: a request where one begins like a request, else what a server sent."""
    reader = ConnectionReader()
    for order, piece in enumerate(pieces):
        if piece.startswith((b"GET", b"POST")):
            reader.request_bytes(piece, order)
        else:
            reader.reply_bytes(piece)
    if ended:
        reader.end()
    return reader.exchanges, reader.unasked


@pytest.mark.parametrize("reply", [OK, CHUNKED])
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_reply_is_read_whatever_pieces_it_comes_in(reply: bytes, size: int) -> None:
    pieces = [reply[at : at + size] for at in range(0, len(reply), size)]
    [exchange], unasked = talk(GET, *pieces)
    assert (exchange.response.body, exchange.response.valid, unasked) == (b"abc", True, b"")
    assert exchange.raw == reply
    assert exchange.response.persistent


def test_two_exchanges_follow_each_other() -> None:
    [first, second], unasked = talk(GET, OK, POST, OK)
    assert (first.target, second.method, second.request.body) == ("/a", "POST", b"{}")
    assert (second.order, second.spent, unasked) == (2, "", b"")


def test_a_reply_behind_a_reply_answers_nothing_and_spends_the_connection() -> None:
    [first, second], unasked = talk(GET, OK + OK, GET, OK)
    assert first.response.body == b"abc"
    assert unasked == OK + OK
    assert second.spent
    assert not second.response.complete


def test_a_reply_may_come_before_the_body_of_its_request_but_not_before_its_head() -> None:
    [exchange], _ = talk(POST[:-2], OK)
    assert exchange.response.valid
    [exchange], unasked = talk(OK, POST)
    assert exchange.spent
    assert unasked == OK


def test_1xx_responses_belong_to_the_final_one() -> None:
    hints = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    [exchange], unasked = talk(GET, hints, OK)
    assert (exchange.response.status, exchange.raw, unasked) == (200, hints + OK, b"")


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    reply = b"HTTP/1.1 200 OK\r\n\r\nabc"
    [exchange], _ = talk(GET, reply)
    assert not exchange.response.complete
    [exchange], _ = talk(GET, reply, ended=True)
    assert exchange.response.valid
    assert not exchange.response.persistent


@pytest.mark.parametrize("status", [204, 304])
def test_some_statuses_have_no_body_whatever_they_say(status: int) -> None:
    reply = b"HTTP/1.1 %d X\r\nContent-Length: 3\r\n\r\n" % status
    [exchange], unasked = talk(GET, reply + b"abc")
    assert (exchange.raw, unasked) == (reply, b"abc")


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n",
    ],
)
def test_some_responses_are_the_last_of_their_connection(head: bytes) -> None:
    [first, second], _ = talk(GET, head, GET)
    assert first.response.valid
    assert second.spent


def test_a_folded_header_is_one_but_may_be_refused() -> None:
    message = read_response("GET", b"HTTP/1.1 200 OK\r\nA: b\r\n  c\r\nContent-Length: 0\r\n\r\n")
    assert message.values(b"a") == [b"b c"]
    assert message.valid
    assert message.dubious


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length : 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"garbage\r\n\r\n",
    ],
)
def test_what_is_no_response_is_a_fault(data: bytes) -> None:
    assert read_response("GET", data).fault


@pytest.mark.parametrize("size", [1, 20, 40, len(OK) - 1])
def test_half_a_response_is_none(size: int) -> None:
    assert not read_response("GET", OK[:size]).complete
    assert read_response("GET", OK[:size], ended=True).fault


def test_a_request_before_the_answer_to_the_one_before_is_found() -> None:
    [_, second], _ = talk(GET, GET)
    assert second.spent == "another request was not answered"
