"""Make sure that an httpx connection is not reused if bytes came behind its response.

Such bytes would be read as the response to the next request: httpx 0.27 to 0.28 and httpx2 keep what h11, the
TLS layer or anyio's stream has read beyond the end of a response. There is no public way to detect them, so
this looks at private attributes of httpcore and anyio. Where one of them is missing, httpx does as it always
does; `tests/sockets` has a test for each version that can be installed.

Bytes that were not read from the socket need no care: httpcore closes an idle connection that is readable.
"""

from __future__ import annotations

from typing import Any

import h11

_LAYERS = ("_httpcore_stream", "_stream", "_connection")
"""The attributes that lead from a response's stream to the connection that it came on."""
_MAX_LAYERS = 8


def end_if_leftovers(response: Any) -> None:
    """Let httpcore close the connection of a response that was read to its end, if anything came behind it.

    The same applies if the headers state the length in two ways (see `length_disputed`).
    """
    connection = _h11_connection(response.stream)
    if connection is None:
        return
    state = connection._h11_state
    network = response.extensions.get("network_stream")
    disputed = "transfer-encoding" in response.headers and "content-length" in response.headers
    if disputed or state.trailing_data[0] or (network is not None and _has_unread(network)):
        # As after a failure: with this state httpcore closes the connection instead of keeping it.
        state.send_failed()


def drop_unread(response: Any) -> bool:
    """Discard what h11 holds of a response whose connection was closed. Return False if h11 does not read it.

    It may be thousands of small chunks, each of which would pass through four generators.
    """
    connection = _h11_connection(response.stream)
    if connection is None:
        return False
    connection._h11_state = h11.Connection(h11.CLIENT)  # with nothing in it, and nothing more to read
    return True


def _h11_connection(stream: Any) -> Any | None:
    layer = stream
    for _ in range(_MAX_LAYERS):
        if hasattr(layer, "_h11_state"):
            return layer
        layer = next((getattr(layer, name) for name in _LAYERS if hasattr(layer, name)), None)
        if layer is None:
            break
    return None  # another protocol, or another library below


def _has_unread(network: Any) -> bool:
    """Whether the layers below have read data, or the end of the stream, that no response has asked for."""
    import ssl  # lazily: a connection, if there is one, has imported it already

    stream = getattr(network, "_stream", None)
    # anyio and trio both have it by this name. `get_extra_info` asks the socket for its addresses too, which
    # takes 50 µs.
    tls = getattr(stream, "_ssl_object", None)
    if tls is not None:
        try:
            tls.read(1)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            return True
        else:
            return True  # data, or nothing where TLS has ended (close_notify)
    stream = getattr(stream, "transport_stream", stream)  # of anyio's TLSStream
    return bool(getattr(getattr(stream, "_protocol", None), "read_queue", None))
