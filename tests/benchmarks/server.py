"""The server of all runs: HTTP/1.1 straight on an asyncio protocol, replies encoded before a run begins.

It answers one ONTAP job, many (``uuid=a|b|…``) and one Cloud Foundry job, each from a table of end times, and
counts the requests. ``/bench/…`` sets a run up and tells what it cost here; that is not counted.
With ``age=`` the jobs have run for so many seconds, and go on doing so, since the server's date stands still;
with ``mean_age=`` each for as many as an exponential distribution gives it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import socket
import ssl
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.benchmarks.jobs import drawn
from tests.loopback import CERTIFICATE, KEY, server_tls, write_pem

ONTAP = "/api/cluster/jobs"
CF = "/v3/jobs"
LEAD = 0.05
"""Seconds between the end of the preparations and the start of a run."""


def ontap_record(id: str, state: str, since: datetime) -> dict[str, Any]:
    """About 480 bytes, as ONTAP 9.14 sends it."""
    record: dict[str, Any] = {
        "uuid": id,
        "description": f"PATCH /api/storage/volumes/{id}",
        "state": state,
        "message": "success" if state == "success" else "Volume move: data copy in progress",
        "code": 0,
        "start_time": since.isoformat(timespec="seconds"),
        "svm": {
            "name": "svm_prod_7",
            "uuid": "b5a1c2f0-8c6c-11ee-9d2c-005056b3a1f7",
            "_links": {"self": {"href": "/api/svm/svms/b5a1c2f0-8c6c-11ee-9d2c-005056b3a1f7"}},
        },
        "_links": {"self": {"href": f"{ONTAP}/{id}"}},
    }
    if state == "success":
        record["end_time"] = since.isoformat(timespec="seconds")
    return record


def cf_record(id: str, state: str, since: datetime) -> dict[str, Any]:
    """About 400 bytes, as the Cloud Controller sends it."""
    at = since.strftime("%Y-%m-%dT%H:%M:%SZ")
    space = "https://api.example.org/v3/spaces/2f35885d-0c9d-4423-83ad-fd05066f8576"
    return {
        "guid": id,
        "created_at": at,
        "updated_at": at,
        "operation": "space.delete",
        "state": state,
        "errors": [],
        "warnings": [],
        "links": {
            "self": {"href": f"https://api.example.org{CF}/{id}"},
            "space": {"href": space},
        },
    }


class Table:
    """What there is to answer, by id, and what was asked."""

    def __init__(self) -> None:
        self.jobs: dict[bytes, tuple[float, bytes, bytes]] = {}
        self.requests = 0
        self.connections = 0
        self.cpu = 0.0
        self.since = 0.0
        self._date = (0, b"")
        self._stopped_at: float | None = None
        self._ports: dict[bool, dict[int, asyncio.Task[asyncio.Server]]] = {False: {}, True: {}}

    def start(self, query: dict[str, list[str]]) -> dict[str, Any]:
        n, seed, window = int(query["n"][0]), int(query["seed"][0]), float(query["window"][0])
        record, words = (
            (ontap_record, ("running", "success"))
            if query["kind"][0] == "ontap"
            else (cf_record, ("PROCESSING", "COMPLETE"))
        )
        now, jobs = datetime.now(UTC), drawn(n, seed, 0.0, window)
        ages = self._ages(query, n, seed)
        bodies = [
            [
                json.dumps(record(id, word, now - timedelta(seconds=age)), separators=(",", ":")).encode()
                for word in words
            ]
            for id, age in zip(jobs.ids, ages, strict=True)
        ]
        gc.collect()
        gc.freeze()
        start = time.monotonic() + LEAD
        self.jobs = {
            id.encode(): (start + end, body[0], body[1])
            for id, end, body in zip(jobs.ids, jobs.ends, bodies, strict=True)
        }
        self.requests = self.connections = 0
        self.cpu, self.since = time.process_time(), time.monotonic()
        return {"start": start}

    def _ages(self, query: dict[str, list[str]], n: int, seed: int) -> list[float]:
        self._stopped_at = time.time() if {"age", "mean_age"} & query.keys() else None
        if "mean_age" not in query:
            return [float(query.get("age", ["0"])[0])] * n
        random, mean = Random(f"{seed}/ages"), float(query["mean_age"][0])
        return [random.expovariate(1 / mean) for _ in range(n)]

    def stats(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "connections": self.connections,
            "server_cpu": time.process_time() - self.cpu,
        }

    def one(self, id: bytes) -> bytes | None:
        job = self.jobs.get(id)
        if job is None:
            return None
        return job[2] if time.monotonic() >= job[0] else job[1]

    def many(self, ids: list[bytes]) -> bytes:
        now = time.monotonic()
        found = [job for id in ids if (job := self.jobs.get(id)) is not None]
        records = b",".join([job[2] if now >= job[0] else job[1] for job in found])
        return b'{"records":[%b],"num_records":%d}' % (records, len(found))

    def date(self) -> bytes:
        second = int(self._stopped_at or time.time())
        if second != self._date[0]:
            self._date = (second, formatdate(second, usegmt=True).encode())
        return self._date[1]

    def answer(self, target: bytes) -> tuple[int, bytes]:
        path, _, query = target.partition(b"?")
        if path.startswith(b"/api/cluster/jobs/"):
            self.requests += 1
            body = self.one(path[18:])
            return (200, body) if body else (404, b'{"error":{"code":"4","message":"entry doesn\'t exist"}}')
        if path == b"/api/cluster/jobs":
            self.requests += 1
            ids = next((pair[5:] for pair in query.split(b"&") if pair.startswith(b"uuid=")), b"")
            return 200, self.many(ids.replace(b"%7C", b"|").split(b"|"))
        if path.startswith(b"/v3/jobs/"):
            self.requests += 1
            body = self.one(path[9:])
            return (
                (200, body) if body else (404, b'{"errors":[{"code":10010,"title":"CF-ResourceNotFound"}]}')
            )
        return self.other(target.decode())

    def other(self, target: str) -> tuple[int, bytes]:
        """Control of the runs, and what cloudfoundry-client asks for before its first job."""
        parts = urlsplit(target)
        if parts.path == "/bench/start":
            return 200, json.dumps(self.start(parse_qs(parts.query))).encode()
        if parts.path == "/bench/ports":
            wanted = parse_qs(parts.query)
            ports = self.open_ports(int(wanted["n"][0]), tls="tls" in wanted)
            return 200, json.dumps({"ports": ports}).encode()
        if parts.path == "/bench/stats":
            return 200, json.dumps(self.stats()).encode()
        if parts.path == "/oauth/token":
            grant = {"access_token": "t", "refresh_token": "r", "token_type": "bearer", "expires_in": 3600}
            return 200, json.dumps(grant).encode()
        if parts.path == "/":
            here = f"http://127.0.0.1:{self.port}"
            hrefs = {"self": here, "login": here, "uaa": here, "cloud_controller_v3": f"{here}/v3"}
            return 200, json.dumps({"links": {name: {"href": href} for name, href in hrefs.items()}}).encode()
        return 404, b"{}"

    port = 0

    def open_ports(self, n: int, *, tls: bool) -> list[int]:
        """Listen on this many ports, all with the same jobs, and return them."""
        loop, ports = asyncio.get_running_loop(), self._ports[tls]
        context = self._tls() if tls else None
        while len(ports) < n:
            listening = socket.create_server(("127.0.0.1", 0), backlog=64)
            serving = loop.create_task(loop.create_server(lambda: Line(self), sock=listening, ssl=context))
            ports[listening.getsockname()[1]] = serving
        return list(ports)[:n]

    def _tls(self) -> ssl.SSLContext:
        with tempfile.TemporaryDirectory() as folder:
            certificate = write_pem(Path(folder), "CERTIFICATE", CERTIFICATE)
            return server_tls(certificate, write_pem(Path(folder), "PRIVATE KEY", KEY))


class Line(asyncio.Protocol):
    """One connection: keep-alive, requests one after the other or pipelined."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport if isinstance(transport, asyncio.Transport) else None
        self._table.connections += 1

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        at, out = 0, list[bytes]()
        while (head_end := data.find(b"\r\n\r\n", at)) >= 0:
            end = head_end + 4
            method, target, _ = data[at : data.index(b"\r\n", at)].split(b" ", 2)
            if method != b"GET":
                end += _length(data[at:head_end])
                if len(data) < end:
                    break
            status, body = self._table.answer(target)
            out.append(
                b"HTTP/1.1 %d %b\r\nDate: %b\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (status, b"OK" if status == 200 else b"Not Found", self._table.date(), len(body), body)
            )
            at = end
        self._rest = data[at:]
        if out and self._transport is not None:
            self._transport.write(b"".join(out))


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def serve() -> None:
    table = Table()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Line(table), "127.0.0.1", 0, backlog=4096)
    table.port = server.sockets[0].getsockname()[1]
    sys.stdout.write(f"{table.port}\n")
    sys.stdout.flush()
    # Ends with whoever started it: its standard input is closed then.
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(serve())
