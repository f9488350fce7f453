"""Reading an ordinary head gives what h11 gives, and whatever is not ordinary is left to h11."""

from __future__ import annotations

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common.http.backend import header_texts
from common.response.plain_head import read_head

ORDINARY = (
    b"HTTP/1.1 200 OK\r\nDate: Thu, 26 Nov 2026 16:12:15 GMT\r\nContent-Type: application/hal+json\r\n"
    b"Connection: Keep-Alive\r\nKeep-Alive: timeout=5, max=100\r\nContent-Length: 4\r\n\r\n"
)

lines = st.lists(
    st.sampled_from(
        [
            b"Content-Length: 4",
            b"content-length:4 ",
            b"Content-Length: +4",
            b"Content-Length: 4, 4",
            b"Content-Length: 00",
            b"Content-Length: 9999999999999999999999",
            b"Transfer-Encoding: chunked",
            b"Connection: close",
            b"Connection: keep-alive, close",
            b"Connection: Keep-Alive",
            b"Upgrade: websocket",
            b"Date:  Thu, 26 Nov 2026 16:12:15 GMT  ",
            b"X-Empty:",
            b"X-Empty: \t",
            b"X-Tab: a\tb",
            b"X-High: \xe9",
            b"X-Nul: a\x00b",
            b"X-Control: a\x0bb",
            b"X-CR: a\rb",
            b"X-LF: a\nY: b",
            b"X Space: a",
            b"X-Space : a",
            b" folded",
            b": no name",
            b"no colon",
        ]
    )
    | st.binary(max_size=12),
    max_size=5,
)
firsts = st.sampled_from(
    [
        *(b"HTTP/1.1 %d OK" % status for status in (100, 101, 199, 200, 202, 204, 304, 404, 503, 600, 999)),
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 ",
        b"HTTP/1.1 200 \xe9",
        b"HTTP/1.1 200 a\tb",
        b"HTTP/1.1 200OK",
        b"HTTP/1.1  200 OK",
        b"HTTP/1.0 200 OK",
        b"HTTP/2.0 200 OK",
        b"http/1.1 200 OK",
        b"",
    ]
)
ends = st.sampled_from([b"\r\n\r\n", b"\n\n", b"\r\n\n", b"\r\n"])


def by_h11(data: bytes) -> tuple[h11.Response, bytes, bytes]:
    """What h11 makes of a response: its head, its body, and what came behind it."""
    protocol = h11.Connection(h11.CLIENT)
    protocol.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    protocol.send(h11.EndOfMessage())
    protocol.receive_data(data)
    head, body = protocol.next_event(), b""
    assert isinstance(head, h11.Response)
    while isinstance(event := protocol.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert protocol.our_state is protocol.their_state is h11.DONE  # it stays open
    return head, body, protocol.trailing_data[0]


@given(firsts, lines, ends, st.binary(max_size=3))
@example(b"HTTP/1.1 200 OK", [b"Content-Length: 4", b"Date: now"], b"\r\n\r\n", b"xyz")
def test_an_ordinary_response_is_the_one_that_h11_reads(
    first: bytes, lines: list[bytes], end: bytes, behind: bytes
) -> None:
    data = b"\r\n".join([first, *lines]) + end
    found = read_head(data)
    if found is None or found.length > 4:
        return
    body = b"abcd"[: found.length]
    head, *read = by_h11(data[: found.size] + body + behind)
    assert (found.status, found.headers) == (head.status_code, header_texts(head.headers))
    assert read == [body, behind]


@pytest.mark.parametrize(
    "data",
    [
        ORDINARY,
        ORDINARY.replace(b" OK", b""),
        ORDINARY.replace(b"200 OK", b"404 Not Found"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_what_servers_send_as_a_rule_is_ordinary(data: bytes) -> None:
    found = read_head(data + b"rest")
    assert found is not None
    assert found.size == len(data)


@pytest.mark.parametrize(
    "data",
    [
        ORDINARY[:-2],
        ORDINARY.replace(b"HTTP/1.1", b"HTTP/1.0"),
        ORDINARY.replace(b"200", b"100"),
        ORDINARY.replace(b"200", b"204"),
        ORDINARY.replace(b"200", b"304"),
        ORDINARY.replace(b"Keep-Alive\r\n", b"close\r\n"),
        ORDINARY.replace(b"Content-Length: 4\r\n", b""),
        ORDINARY.replace(b"Content-Length: 4", b"Content-Length: 4\r\nContent-Length: 4"),
        ORDINARY.replace(b"Content-Length: 4", b"Content-Length: 4\r\nTransfer-Encoding: chunked"),
        ORDINARY.replace(b"Content-Type: ", b"Content-Type: \n"),
        ORDINARY.replace(b"\r\nContent-Type:", b"\r\n Content-Type:"),
        ORDINARY.replace(b"hal+json", b"hal\xe9"),
    ],
)
def test_what_is_unusual_is_left_to_h11(data: bytes) -> None:
    assert read_head(data) is None
