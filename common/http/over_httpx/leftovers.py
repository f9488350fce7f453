"""See that an httpx connection with bytes behind its response is not used again.

Such bytes would be read as the response to the next request: httpx 0.27 to 0.28 and httpx2 keep what h11, the
TLS layer or anyio's stream has read beyond the end of a response. There is no public way to ask for it, so
this looks at private attributes of httpcore and anyio. Where one of them is missing nothing is known, and
httpx does as it always does; `tests/sockets` has a test for each version that can be installed.

What has not been read from the socket yet needs no care: httpcore closes an idle connection that is readable.
"""

from __future__ import annotations

from typing import Any

import h11

_LAYERS = ("_httpcore_stream", "_stream", "_connection")
"""The attributes that lead from a response's stream to the connection that it came on."""
_MAX_LAYERS = 8


def end_if_leftovers(response: Any) -> None:
    """Let the connection of a response that was read to its end be closed, if anything came behind it.

    So it is too where the end itself is in dispute (see `length_disputed`).
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
    """Forget what h11 holds of a response whose connection was closed. Return whether h11 reads it at all.

    It may be thousands of small chunks, each of which passes through four generators of httpcore and httpx.
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
    """Whether data, or its end, was read from the socket that nobody has asked for."""
    import ssl  # lazily: needed where a connection exists, which has imported it

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
