"""The SDK of OpenTelemetry for Python, exporting to Barograph: `otlp.py GRPC HTTP MAIN_GRPC URL`.

Each way is tried with totals and with deltas. A line `ok NAME` or `FAILED NAME: WHY` a test, and `end COUNT` at last.
"""

import json
import sys
import time
import urllib.parse
import urllib.request

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult

# Longest wait for anything that has to come.
LONG = 60

GRPC, HTTP, MAIN_GRPC, URL = sys.argv[1:]
DELTA = {Counter: AggregationTemporality.DELTA, Histogram: AggregationTemporality.DELTA}
WAYS = {
    "gRPC": (lambda **o: GrpcMetrics(endpoint=f"http://{GRPC}", insecure=True, **o), False),
    "gRPC, main port, deltas": (
        lambda **o: GrpcMetrics(endpoint=f"http://{MAIN_GRPC}", insecure=True, **o),
        True,
    ),
    "HTTP": (lambda **o: HttpMetrics(endpoint=f"http://{HTTP}/v1/metrics", **o), False),
    "HTTP, gzip, main port, deltas": (
        lambda **o: HttpMetrics(endpoint=f"{URL}/v1/metrics", compression=Compression.Gzip, **o),
        True,
    ),
    "HTTP, path of Prometheus": (
        lambda **o: HttpMetrics(endpoint=f"{URL}/api/v1/otlp/v1/metrics", **o),
        False,
    ),
}
SPANS = {
    "gRPC": lambda: GrpcSpans(endpoint=f"http://{GRPC}", insecure=True),
    "HTTP": lambda: HttpSpans(endpoint=f"{URL}/v1/traces"),
}


def ask(query):
    path = "/api/v1/query?" + urllib.parse.urlencode({"query": query})
    with urllib.request.urlopen(URL + path, timeout=LONG) as reply:
        return [float(series["value"][1]) for series in json.load(reply)["data"]["result"]]


def expect(query, value):
    end = time.monotonic() + LONG
    while (found := ask(query)) != [value]:
        assert time.monotonic() < end, f"{query} is {found}, not {value}"
        time.sleep(0.05)


def metrics_arrive(number, make, deltas):
    service = f"python-{number}"
    resource = Resource.create({"service.name": service, "service.instance.id": "one", "zone": "z"})
    exporter = make(preferred_temporality=DELTA if deltas else {})
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    view = View(instrument_name="shop.wide", aggregation=ExponentialBucketHistogramAggregation())
    provider = MeterProvider([reader], resource=resource, views=[view])
    meter = provider.get_meter("shop", "1.0")
    orders = meter.create_counter("shop.orders", unit="{order}", description="Orders taken.")
    queue = meter.create_up_down_counter("shop.queue")
    wait = meter.create_histogram("shop.wait", unit="s", explicit_bucket_boundaries_advisory=[0.1, 1])
    wide = meter.create_histogram("shop.wide", unit="By")
    meter.create_observable_gauge("shop.share", [lambda _: [Observation(0.25, {"a.b": "c"})]], unit="1")
    for _ in range(2):
        orders.add(3, {"kind": "express"})
        queue.add(5)
        queue.add(-1)
        for value in [0.05, 0.5, 5]:
            wait.record(value)
            wide.record(value * 1000)
        assert provider.force_flush(), "the export failed"
        # Points have times of whole milliseconds here.
        time.sleep(0.01)
    provider.shutdown()
    of = f'job="{service}",instance="one"'
    expect(f'shop_orders_total{{{of},kind="express"}}', 6)
    expect(f"shop_queue{{{of}}}", 8)
    expect(f"shop_wait_seconds_count{{{of}}}", 6)
    expect(f'shop_wait_seconds_bucket{{{of},le="1"}}', 4)
    expect(f"round(shop_wait_seconds_sum{{{of}}}, 0.01)", 11.1)
    expect(f"histogram_count(shop_wide_bytes{{{of}}})", 6)
    expect(f"histogram_sum(shop_wide_bytes{{{of}}})", 11100)
    expect(f'shop_share_ratio{{{of},a_b="c"}}', 0.25)
    expect(f'target_info{{{of},zone="z"}}', 1)


def spans_arrive(make):
    before = ask("barograph_spans_received_total")
    kept = make()
    results = []

    class Exporter:
        def export(self, spans):
            results.append(kept.export(spans))
            return results[-1]

        def shutdown(self):
            kept.shutdown()

    provider = TracerProvider(resource=Resource.create({"service.name": "python-spans"}))
    provider.add_span_processor(SimpleSpanProcessor(Exporter()))
    tracer = provider.get_tracer("shop")
    with tracer.start_as_current_span("outer") as outer:
        with tracer.start_as_current_span("inner"):
            outer.add_event("said", {"list": [1, 2]})
    provider.shutdown()
    assert results == [SpanExportResult.SUCCESS] * 2, results
    expect("barograph_spans_received_total", (before or [0])[0] + 2)


def main():
    tests = [
        (f"metrics by {way}", lambda number=number, of=of: metrics_arrive(number, *of))
        for number, (way, of) in enumerate(WAYS.items())
    ]
    tests += [(f"spans by {way}", lambda make=make: spans_arrive(make)) for way, make in SPANS.items()]
    for name, test in tests:
        try:
            test()
            print("ok", name, flush=True)
        except Exception as error:  # noqa: BLE001 - a test may fail in any way
            print(f"FAILED {name}: {error!r}".replace("\n", " "), flush=True)
    print("end", len(tests), flush=True)


main()
