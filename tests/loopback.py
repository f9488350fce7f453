"""A server on loopback, in threads of its own, that answers with the very bytes of a script."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

Script = Callable[[int, str], Iterable[bytes]]
"""From the number of a request (the first is 0) and its head to the pieces to send; none closes the line."""

CERTIFICATE = """
MIIBiTCCAS+gAwIBAgIBATAKBggqhkjOPQQDAjAdMRswGQYDVQQDDBJsb29wYmFjayBmb3IgdGVzdHMwIBcNMjAwMTAxMDAwMDAwWhgP
MjEyMDAxMDEwMDAwMDBaMB0xGzAZBgNVBAMMEmxvb3BiYWNrIGZvciB0ZXN0czBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABMRvdy5c
sjdCCqTUghCgWdVUI5/xJiKdhUL2IOhnwFKCDLNfywKolS0QPqpAI1NaKPHxXc+n5Z9Aky12vvDft6KjXjBcMBoGA1UdEQQTMBGHBH8A
AAGCCWxvY2FsaG9zdDAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQEAwIChDAdBgNVHQ4EFgQUt9oQUcOVyp7nq9bWDNBdniLEhzMw
CgYIKoZIzj0EAwIDSAAwRQIgEyOfrX0gdZQqy0vsbAZlzLCXLky1JBeKLK6IUXwwpUUCIQCBM6adz/98sjzROw/H1WPcCYXlriK7CbX2
yET/y8qDtg==
"""
"""Self-signed, for 127.0.0.1 and localhost, from 2020 to 2120; it guards nothing."""
KEY = """
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgDZ4gGNUTls/sxJU61r/e3Fyqnar+4P28hvDsJcn+1/6hRANCAATEb3cu
XLI3Qgqk1IIQoFnVVCOf8SYinYVC9iDoZ8BSggyzX8sCqJUtED6qQCNTWijx8V3Pp+WfQJMtdr7w37ei
"""
LOCKED_KEY = """
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAimZmopPiNAAgICCAAwDAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEOH/
u8gwEPGXmN155JlFiIMEgZD545UOuYuuWeFV+AxPhPPc7q2ZbBkHAD5Lr60AO4NbLMcty88EkIf2arZnr/f+zgxuLQ+b5PlbOdChkBNs
Y4S0A1J1ihnpsN6Kt3+932YTHHiGPPy5b9PhFUSeLrKHN8nzxxr35uWSlMa2HYHWv3Fo7/IV69p11rGfSaF2ll8hf+74tir315CYQOef
+xquE/E=
"""
"""The same key under `KEY_PASSWORD`."""
KEY_PASSWORD = "opensesame"


def write_pem(folder: Path, label: str, data: str) -> str:
    """A PEM file of the given kind, and its path."""
    path = folder / f"{label.lower().replace(' ', '-')}.pem"
    lines = base64.encodebytes(base64.b64decode(data)).decode()
    path.write_text(f"-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
    return str(path)


def server_tls(ca: str, key: str, *, ask: bool = False) -> ssl.SSLContext:
    """A server's TLS settings; with ``ask`` it lets in those with a certificate alone."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(ca, key)
    if ask:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(ca)
    return context


def raw(data: Any, status: str = "200 OK", **headers: str) -> list[bytes]:
    """A whole reply, in one piece; ``data`` is its bytes, or becomes JSON."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ["\r\n".join([*lines, "", ""]).encode() + body]


class Loopback:
    """Serves while it is entered. ``heads`` are the requests' lines and headers, ``bodies`` the rest."""

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None) -> None:
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self.stopping = threading.Event()
        self._script = script
        self._tls = tls
        self._lock = threading.Lock()
        self._lines: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        with self._lock:
            for line in (self._listener, *self._lines):
                with contextlib.suppress(OSError):  # the client may have gone first
                    line.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            if self._tls:
                line = self._tls.wrap_socket(line, server_side=True, do_handshake_on_connect=False)
            with self._lock:
                self.connections += 1
                self._lines.add(line)
            self._threads.append(threading.Thread(target=self._talk, args=(line,)))
            self._threads[-1].start()

    def _talk(self, line: socket.socket) -> None:
        try:
            while self._answer(line):
                pass
        except OSError:
            pass  # the client has gone, or would not shake hands
        finally:
            with self._lock:
                self._lines.discard(line)
            line.close()

    def _answer(self, line: socket.socket) -> bool:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = line.recv(65536)
            if not piece:
                return False
            head += piece
        head, end, body = head.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        while length and len(body) < int(length[1]):
            body += line.recv(65536) or b"\0" * int(length[1])  # what never comes does not matter
        with self._lock:
            number = len(self.heads)
            self.heads.append((head + end).decode("latin-1"))
            self.bodies.append(body)
        count = 0
        for piece in self._script(number, self.heads[number]):
            line.sendall(piece)
            count += 1
        return count > 0
