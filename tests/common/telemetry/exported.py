"""What OpenTelemetry's own SDK exports of an observer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from common.telemetry.otel import OpenTelemetryObserver


class Telemetry:
    """An observer, and what it has exported."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self._reader = InMemoryMetricReader()
        self._meters = MeterProvider([self._reader], shutdown_on_exit=False)
        self.observer = OpenTelemetryObserver(self.tracers, self._meters)

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended."""
        return list(self.exporter.get_finished_spans())

    def points(self, name: str) -> dict[tuple[Any, ...], float]:
        """The values of a metric by its attributes beside the system's: a sum, or the sum of a histogram."""
        found: dict[tuple[Any, ...], float] = {}
        for point in self._data_points(name):
            attributes = dict(point.attributes or {})
            assert attributes.pop("jobsource.provider")
            assert attributes.pop("server.address")
            value = point.sum if isinstance(point, HistogramDataPoint) else point.value
            found[tuple(attributes.values())] = value
        return found

    @property
    def requests(self) -> list[tuple[dict[str, Any], int]]:
        """The requests that were made: each set of attributes, and how many had it."""
        points = self._data_points("http.client.request.duration")
        return [
            (dict(point.attributes or {}), point.count)
            for point in points
            if isinstance(point, HistogramDataPoint)
        ]

    def _data_points(self, name: str) -> Iterator[HistogramDataPoint | NumberDataPoint]:
        data = self._reader.get_metrics_data()
        for resource in data.resource_metrics if data is not None else ():
            for metric in (each for scope in resource.scope_metrics for each in scope.metrics):
                for point in metric.data.data_points if metric.name == name else ():
                    assert isinstance(point, HistogramDataPoint | NumberDataPoint)
                    yield point

    def close(self) -> None:
        self.tracers.shutdown()
        self._meters.shutdown()
