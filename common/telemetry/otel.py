"""OpenTelemetry: an observer that makes a span of each wait, and metrics of all of them.

A wait's span is a child of the span that is current where the wait begins. It is made and ended by hand and
never becomes the current one: the requests for a job belong to all of its waits, and run in the task of any.
Of two waits for one job, the span of the later one has a link to that of the earlier. A request has no span:
it sends the trace context that is current in the task that it runs in, which is that of one of its waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from common.model.distribution import install_hint
from common.model.errors import ApiError, JobsError, UsageError
from common.model.job import Job
from common.model.refs import JobRef
from common.model.states import TERMINAL, JobState
from common.telemetry.events import Event, EventKind
from common.telemetry.requests import RequestEvent

SCOPE = "jobsource"
"""The name of the tracer and the meter."""
DURATIONS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0)
"""The bounds of the buckets of ``jobsource.wait.duration``, in seconds."""
LAGS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 300.0)
"""Those of ``jobsource.wait.lag``."""
REQUESTS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Those of ``http.client.request.duration``, as OpenTelemetry's semantic conventions for HTTP have them."""
TRACE_CONTEXT = ("traceparent", "tracestate")
"""The headers of W3C's Trace Context. No other is sent, whatever propagators are set: baggage is private."""


class OpenTelemetryObserver:
    """An `Observer` that gives OpenTelemetry a span for each wait, and metrics: ``observer=`` of a source.

    It uses the global tracer and meter providers, or those that are passed. One observer may serve several
    sources, also in several threads.

    The span of a wait, ``wait ontap``, has the events ``jobsource.changed``, ``jobsource.trouble`` and
    ``jobsource.gone``. Its status is an error if the wait raised, or the job did not succeed. The metrics are
    ``jobsource.wait.active`` (waits in progress), ``jobsource.wait.duration`` (seconds, by outcome),
    ``jobsource.wait.lag`` (seconds from a job's end to its observation), ``jobsource.wait.polls`` (poll
    results, counted for each wait that they concern), ``jobsource.throttled`` (replies that asked for fewer
    requests) and ``http.client.request.duration`` (seconds of each request, sign-ins included, by method,
    server and status).

    Requests of the source, but not sign-ins, send the current trace context to the server (``traceparent``,
    ``tracestate``) by OpenTelemetry's global propagators: with ``OTEL_PROPAGATORS=none`` they send none.

    Raise `UsageError` if OpenTelemetry's API is not installed: ``pip install "jobsource[otel]"``.
    """

    def __init__(self, tracer_provider: Any = None, meter_provider: Any = None) -> None:
        self._trace = _api("trace")
        self._tracer = self._trace.get_tracer(SCOPE, tracer_provider=tracer_provider)
        meter = _api("metrics").get_meter(SCOPE, meter_provider=meter_provider)
        self._active = meter.create_up_down_counter(
            "jobsource.wait.active", "{wait}", "Waits that are going on"
        )
        self._duration = meter.create_histogram(
            "jobsource.wait.duration",
            "s",
            "How long waits took, by how they ended",
            explicit_bucket_boundaries_advisory=DURATIONS,
        )
        self._lag = meter.create_histogram(
            "jobsource.wait.lag",
            "s",
            "From the end of a job until a wait observed it",
            explicit_bucket_boundaries_advisory=LAGS,
        )
        self._polls = meter.create_counter(
            "jobsource.wait.polls", "{poll}", "Replies to polls, counted for each wait that they tell of"
        )
        self._throttled = meter.create_counter(
            "jobsource.throttled", "{reply}", "Replies that asked for fewer requests"
        )
        self._requests = meter.create_histogram(
            "http.client.request.duration",
            "s",
            "Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=REQUESTS,
        )
        self._inject = _api("propagate").inject
        self._spans: dict[int, Any] = {}
        self._latest: dict[JobRef, Any] = {}

    def __call__(self, event: Event) -> None:
        """Take an event."""
        where = _where(event.ref.provider, event.ref.endpoint)
        match event.kind:
            case EventKind.SEEN:
                self._polls.add(1, where)
            case EventKind.BEGAN:
                self._begin(event, where)
            case EventKind.TROUBLE:
                self._polls.add(1, {**where, **_error(event.error)})
                self._add_event(event)
            case EventKind.CHANGED | EventKind.GONE:
                self._add_event(event)
            case EventKind.THROTTLED:
                self._throttled.add(1, where)
            case EventKind.ENDED | EventKind.ABANDONED:
                self._end(event, where)

    def trace_headers(self) -> Mapping[str, str]:
        """Return the current trace context as headers; none where no span is current."""
        carrier: dict[str, str] = {}
        self._inject(carrier)
        return {name: carrier[name] for name in TRACE_CONTEXT if name in carrier}

    def request_ended(self, event: RequestEvent) -> None:
        """Take what became of a request."""
        attributes = {**_server(event.origin), "http.request.method": event.method}
        if event.status is not None:
            attributes["http.response.status_code"] = event.status
        if event.error is not None:
            attributes["error.type"] = event.error
        elif event.status is not None and event.status >= 400:
            attributes["error.type"] = str(event.status)
        self._requests.record(event.seconds, attributes)

    def _begin(self, event: Event, where: Mapping[str, Any]) -> None:
        ref = event.ref
        earlier = self._latest.get(ref)
        span = self._tracer.start_span(
            f"wait {ref.provider}",
            attributes={**where, "jobsource.job.id": ref.id, "jobsource.job.ref": str(ref)},
            links=() if earlier is None else [self._trace.Link(earlier.get_span_context())],
        )
        self._spans[event.wait] = self._latest[ref] = span
        self._active.add(1, where)

    def _add_event(self, event: Event) -> None:
        span = self._spans.get(event.wait)
        if span is None or not span.is_recording():
            return
        attributes = {**_job(event.job), **_error(event.error)}
        if event.kind is EventKind.TROUBLE:
            attributes["jobsource.attempt"] = event.attempt
        span.add_event(f"jobsource.{event.kind.value}", attributes)

    def _end(self, event: Event, where: Mapping[str, Any]) -> None:
        outcome = _outcome(event)
        self._duration.record(event.elapsed, {**where, **outcome})
        if event.lag is not None:
            self._lag.record(event.lag, where)
        span = self._spans.pop(event.wait, None)
        if span is None:
            return
        self._active.add(-1, where)
        if self._latest.get(event.ref) is span:
            del self._latest[event.ref]
        span.set_attributes({**_job(event.job), **outcome})
        failed = event.job is not None and event.job.state in TERMINAL - {JobState.SUCCEEDED}
        if event.error is not None or (failed and event.kind is EventKind.ENDED):
            span.set_status(self._trace.StatusCode.ERROR, str(event.error or event.job))
        span.end()


def _api(name: str) -> Any:
    try:
        return import_module(f"opentelemetry.{name}")
    except ImportError:
        raise UsageError(f"OpenTelemetryObserver needs another package: {install_hint('otel')}") from None


@lru_cache(maxsize=1024)
def _where(provider: str, endpoint: str) -> Mapping[str, Any]:
    """Return which system an event is of."""
    parts = urlsplit(endpoint)
    where: dict[str, Any] = {"jobsource.provider": provider, "server.address": parts.hostname or endpoint}
    return where if parts.port is None else {**where, "server.port": parts.port}


@lru_cache(maxsize=1024)
def _server(origin: str) -> Mapping[str, Any]:
    """Return the server of a request, under the names of the semantic conventions for HTTP."""
    parts = urlsplit(origin)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    return {"url.scheme": parts.scheme, "server.address": parts.hostname or origin, "server.port": port}


def _job(job: Job | None) -> dict[str, Any]:
    if job is None:
        return {}
    found = {
        "jobsource.job.state": job.state.value,
        "jobsource.job.native_state": job.native_state,
        "jobsource.job.operation": job.operation,
        "jobsource.job.progress": job.progress,
    }
    return {name: value for name, value in found.items() if value is not None}


def _error(error: JobsError | None) -> dict[str, Any]:
    if error is None:
        return {}
    kind: dict[str, Any] = {"error.type": type(error).__name__}
    status = error.status if isinstance(error, ApiError) else None
    return kind if status is None else {**kind, "http.response.status_code": status}


def _outcome(event: Event) -> dict[str, Any]:
    """Return how a wait ended: as the job's state, with an error, or because nobody waited any more."""
    if event.kind is EventKind.ABANDONED:
        return {"jobsource.outcome": "abandoned"}
    if event.error is not None or event.job is None:
        return {"jobsource.outcome": "error", **_error(event.error)}
    return {"jobsource.outcome": event.job.state.value}
