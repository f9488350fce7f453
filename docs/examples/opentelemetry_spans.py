"""Export a span for each wait, as a child of the current span, and metrics."""

import asyncio

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from common.telemetry.otel import OpenTelemetryObserver
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator, faults

exporter = InMemorySpanExporter()  # in a service, use OTLPSpanExporter
tracers = TracerProvider(shutdown_on_exit=False)
tracers.add_span_processor(SimpleSpanProcessor(exporter))
reader = InMemoryMetricReader()
meters = MeterProvider([reader], shutdown_on_exit=False)


async def main() -> None:
    cluster = OntapSimulator()
    uuid = cluster.add_job([("running", 10), ("success", None)])
    cluster.inject("GET *", faults.Status(503), times=1)
    observer = OpenTelemetryObserver(tracers, meters)
    async with OntapJobs(
        "cluster1", auth=("admin", "x"), transport=cluster.transport(), observer=observer
    ) as jobs:
        with tracers.get_tracer("my-service").start_as_current_span("make a volume"):
            await jobs.wait(uuid)
    for span in exporter.get_finished_spans():
        print(span.name, "(a child)" if span.parent else "(the root)")
        for event in span.events:
            attributes = event.attributes or {}
            print("   ", event.name, attributes.get("error.type") or attributes["jobsource.job.state"])
    data = reader.get_metrics_data()
    for resource in data.resource_metrics if data else ():
        print(*sorted(metric.name for scope in resource.scope_metrics for metric in scope.metrics), sep="\n")


asyncio.run(main())

# wait ontap (a child)
#     jobsource.trouble ServerError
#     jobsource.changed running
#     jobsource.changed succeeded
# make a volume (the root)
# http.client.request.duration
# jobsource.wait.active
# jobsource.wait.duration
# jobsource.wait.lag
# jobsource.wait.polls
