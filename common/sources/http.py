"""A source over HTTP: adds writes, and the jobs that they start, to `BaseSource`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import attrs

from common.auth.argument import needs_auth
from common.http.client import ApiClient
from common.model.endpoints import endpoint_url, split_endpoint
from common.model.errors import (
    ActionUncertain,
    DecodeError,
    JobsError,
    SourceError,
    TransportError,
    UsageError,
)
from common.model.job import ErrorDetail, unique
from common.model.refs import JobRef
from common.model.states import JobState
from common.model.tracebacks import without_frames
from common.options import read_options
from common.polling.policy import Probe
from common.polling.throttle import LoopThrottle
from common.response.decoding import root_object
from common.response.failures import write_outcome_unknown
from common.response.http_response import MAX_MESSAGE, HttpResponse, request_header, response_of
from common.response.writes import (
    Adopted,
    StartedJobs,
    check_body,
    check_headers,
    check_method,
    check_path,
)
from common.sources.base import BaseSource
from common.sources.driver import Driver
from common.sources.large_responses import decode
from common.sources.probes import Finding, ResourceProbe, find_absent, find_present
from common.sources.reader import MAX_PATH_SHOWN, HttpReader
from common.sources.ref_resolver import RefResolver
from common.telemetry.events import Observer
from common.telemetry.requests import request_observers


class HttpSource(BaseSource):
    """A `BaseSource` over HTTP. ``make_driver(endpoint, states=…)`` returns the provider's `Driver`.

    ``options`` are the keywords of `common.options.SourceOptions`. Raise `UsageError`.
    """

    @without_frames
    def __init__(
        self,
        make_driver: Callable[..., Driver],
        endpoint: str,
        *,
        auth: Any,
        options: Mapping[str, Any],
    ) -> None:
        endpoint = endpoint_url(endpoint)
        checked = read_options(options, endpoint=endpoint)
        needs_auth(auth, checked)
        driver = make_driver(endpoint, states=checked.states)
        client = ApiClient(
            endpoint,
            auth=auth,
            options=checked,
            keepalive=driver.keepalive,
            headers={"Accept": "application/json", **driver.headers},
            locate=driver.locate if split_endpoint(endpoint)[1] else None,
        )
        throttle = LoopThrottle(checked.concurrency, driver.retry_after_cap)
        self._driver = driver
        self._client = client
        self._reader = HttpReader(driver, client, throttle)
        self._states: Mapping[str, JobState] = checked.states
        self._request_timeout = checked.request_timeout
        super().__init__(
            self._reader,
            RefResolver(
                driver.provider,
                endpoint,
                scope=driver.scope,
                aliases=checked.aliases,
                canonical_scope=driver.canonical_scope,
                job_scope=driver.job_scope,
                check_ref=driver.check_ref,
            ),
            throttle=throttle,
            capabilities=driver.capabilities,
            policy=checked.policy or driver.default_policy(),
            check_policy=driver.check_policy,
            poll_delay=driver.poll_delay,
            retention=driver.retention,
            observer=checked.observer,
        )

    def _replace_observers(self, former: Iterable[Observer], new: Iterable[Observer]) -> None:
        super()._replace_observers(former, new)
        self._client.request_observers = request_observers(self._reporter.observer)

    @without_frames
    def adopt(
        self,
        response: object | None = None,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        body: bytes | str | object = b"",
    ) -> Adopted:
        """Return the jobs that the response to a write names, as jobs of this source. No I/O.

        Pass an httpx or requests response, or ``status=``, ``headers=`` and ``body=``. Only the id in a link
        is used (and its path, if the API has jobs at several paths), because proxies write other hosts into
        links. Raise `ApiError` if the write failed and started no job, `DecodeError` for an invalid id.
        """
        read = response_of(response, status=status, headers=headers, body=body)
        sent = request_header(response, self._driver.job_id_header)
        return self._adopt(read, self._driver.parse_started(read), "the write", self._named(sent))

    @without_frames
    async def start(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        content: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        inline: float | None = None,
    ) -> Adopted:
        """Send a write, and return the jobs that it started, as `adopt` does for its response.

        ``method`` is POST, PUT, PATCH or DELETE. ``path`` begins with "/", is percent-encoded, and may have a
        query. The body is ``json=``, or ``content=`` with a Content-Type in ``headers=``; headers that the
        source sets cannot be replaced. ``inline`` is the number of seconds for which the server may delay its
        response until the job ends (ONTAP: a whole number, 0 to 120).

        A write is never sent twice, except after a 401, with new credentials. Raise `ActionUncertain` if the
        response was lost and the work may have started; `TransportError` if nothing was sent; `ApiError` if
        the server refused the write; `UsageError` and `Unsupported` before any request.
        """
        method = check_method(method)
        target, held = self._driver.write_path(check_path(path), inline)
        reserved = {name.lower() for name in self._driver.headers} - {"accept"}
        sent_headers = check_headers(headers, reserved=reserved)
        body = check_body(json, content)
        if json is not None and "content-type" not in map(str.lower, sent_headers):
            sent_headers["Content-Type"] = "application/json"
        named = self._named(
            next((v for k, v in sent_headers.items() if k.lower() == self._driver.job_id_header), None)
        )
        request = f"{method} {target.partition('?')[0][:MAX_PATH_SHOWN]}"
        try:
            response = await self._client.send(
                method, target, headers=sent_headers, content=body, timeout=self._request_timeout + held
            )
        except (TransportError, DecodeError) as error:
            if not error.sent:
                raise
            raise self._uncertain(request, error, named) from error
        self._reader.update_budget(response)
        try:
            started = await decode(response, partial(self._driver.parse_started, response))
            adopted = self._adopt(response, started, request, named)
            if response.body.strip() and {*adopted.refs} <= {named}:
                # Raises for a body that is not the API's, which says nothing about the write.
                await decode(response, partial(root_object, response.body))
        except DecodeError as error:
            raise self._uncertain(request, error, named) from error
        except SourceError as error:
            self._throttle.on_failure(error)
            if write_outcome_unknown(response.status, self._reader.error_body(response)):
                raise self._uncertain(request, error, named) from error
            raise
        return adopted

    def absent(self, path: str) -> Probe:
        """Return a ``resolve_gone`` for the job of a delete, which checks the deleted resource.

        The job is SUCCEEDED if the API answers 404 for ``path`` (the account must be allowed to see the
        resource), else FAILED. Transient errors are retried. ``path`` is as in `start`, without a query.
        Raise `UsageError` for any other path.
        """
        return self._probe(path, find_absent)

    def present(self, path: str) -> Probe:
        """Return a ``resolve_gone`` for the job of a create: SUCCEEDED if its resource exists.

        It is FAILED if the API answers 404. A resource can exist although its job failed, such as a service
        instance of Cloud Foundry: see ``CFJobs.last_operation``. ``path`` and errors are those of `absent`.
        """
        return self._probe(path, find_present)

    async def aclose(self) -> None:
        """End all waits with `SourceClosed`, and close the connections, but not a client of the caller's."""
        try:
            await super().aclose()
        finally:
            await self._client.aclose()

    def _probe(self, path: str, finding: Finding) -> ResourceProbe:
        target, _ = self._driver.write_path(check_path(path), None)
        if "?" in target:
            raise UsageError(
                "path= must name one resource, without a query: a list can be empty or incomplete"
            )
        return ResourceProbe(target, finding, self.policy, self._reader, self._throttle)

    def _adopt(
        self, response: HttpResponse, started: StartedJobs, request: str, named: JobRef | None
    ) -> Adopted:
        refs = started.refs or ((named,) if named and response.ok else ())
        if not refs and not response.ok:
            raise self._reader.failure(response, request)
        try:
            refs = tuple(map(self.resolver.resolve, unique(refs)))
        except UsageError as error:  # the server's fault, not the caller's
            raise DecodeError(f"the response to the write names an invalid job: {error}") from None
        unnamed = started.unnamed and not (named and not started.refs)
        errors = started.errors or (() if response.ok else (self._error_of(response),))
        return Adopted(
            refs,
            started.jobs,
            started.warnings,
            tuple(map(self._redacted, errors)),
            response.status,
            unnamed=attrs.evolve(response, redact=self._client.redact).excerpt if unnamed else None,
        )

    def _named(self, id: str | None) -> JobRef | None:
        """Return the ref of the job that a header of the write named, None if ``id`` is."""
        return None if id is None else self.resolver.resolve(JobRef(self.provider, "", id))

    def _error_of(self, response: HttpResponse) -> ErrorDetail:
        body = self._reader.error_body(response)
        return ErrorDetail(body.message or f"the write was answered {response.status}", code=body.code)

    def _redacted(self, error: ErrorDetail) -> ErrorDetail:
        redact = self._client.redact
        texts = {name: redact(text) for name in ("title", "target") if (text := getattr(error, name))}
        arguments = tuple(attrs.evolve(each, message=redact(each.message)) for each in error.arguments)
        return attrs.evolve(error, message=redact(error.message, MAX_MESSAGE), arguments=arguments, **texts)

    def _uncertain(self, request: str, error: JobsError, named: JobRef | None) -> ActionUncertain:
        return ActionUncertain(
            self._client.redact(
                f"{request}: the response was lost ({error}); the work may have started, and nothing is sent "
                f"again: before you repeat it, {self._driver.lost_write_hint}"
            ),
            ref=named,
        )
