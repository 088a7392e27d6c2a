"""The SDK of OpenTelemetry for Python, exporting to Barograph: `otlp.py GRPC HTTP MAIN_GRPC URL [often | AUTHORITY USER:PASSWORD]`.

Each way is tried with totals and with deltas; with `often`, at a server that lets nobody come often; with an authority, over
TLS and as that user, who may not come often. A line `ok NAME` or `FAILED NAME: WHY` a test, and `end COUNT` at last.
"""

import base64
import json
import os
import ssl
import sys
import time
import urllib.parse
import urllib.request

import grpc
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult

# Longest wait for anything that has to come, and for the answer to an export.
LONG = 60
os.environ["OTEL_EXPORTER_OTLP_TIMEOUT"] = str(LONG)
# Exports of one test, of which some come too often.
EXPORTS_MAX = 60

GRPC, HTTP, MAIN_GRPC, URL = sys.argv[1:5]
OFTEN = sys.argv[5:] == ["often"]
GUARDED = [] if OFTEN else sys.argv[5:]
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


def read(path, body=None):
    """What a path answers, asked as the user if there is one."""
    request = urllib.request.Request(URL.replace("127.0.0.1", "localhost") + path, body)
    context = None
    if GUARDED:
        authority, user = GUARDED
        request.add_header("authorization", "Basic " + base64.b64encode(user.encode()).decode())
        request.add_header("content-type", "application/json")
        context = ssl.create_default_context(cafile=authority)
    with urllib.request.urlopen(request, timeout=LONG, context=context) as reply:
        return reply.read().decode()


def call(path, body=None):
    return json.loads(read(path, body))


def ask(query):
    path = "/api/v1/query?" + urllib.parse.urlencode({"query": query})
    return [float(series["value"][1]) for series in call(path)["data"]["result"]]


def expect(query, value):
    end = time.monotonic() + LONG
    while (found := ask(query)) != [value]:
        assert time.monotonic() < end, f"{query} is {found}, not {value}"
        time.sleep(0.05)


def metrics_arrive(number, make, deltas):
    service = f"python-{number}"
    resource = Resource.create({"service.name": service, "service.instance.id": "one", "zone": "z"})
    exporter = make(preferred_temporality=DELTA if deltas else {})
    reader = PeriodicExportingMetricReader(
        exporter, export_interval_millis=3_600_000, export_timeout_millis=1000 * LONG
    )
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
        assert provider.force_flush(1000 * LONG), "the export failed"
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


# Where these are set, `requests` believes them rather than the authority that an exporter is given.
for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
    os.environ.pop(name, None)


class Guarded:
    """The ways that need a token and the authority that vouches for the server."""

    def __init__(self):
        order = {"name": "otlp", "scopes": ["write"]}
        token = call("/api/barograph/v1/auth/tokens", json.dumps(order).encode())["token"]
        headers = {"authorization": f"Bearer {token}"}
        with open(GUARDED[0], "rb") as authority:
            credentials = grpc.ssl_channel_credentials(authority.read())
        here = lambda address: address.split("//")[-1].replace("127.0.0.1", "localhost")

        def by_grpc(address, **options):
            options = {"credentials": credentials, "headers": headers, **options}
            return GrpcMetrics(endpoint=f"https://{here(address)}", **options)

        def by_http(address, **options):
            options = {"certificate_file": GUARDED[0], "headers": headers, **options}
            return HttpMetrics(endpoint=f"https://{here(address)}/v1/metrics", **options)

        self.ways = {
            "gRPC": lambda **options: by_grpc(GRPC, **options),
            "gRPC, main port": lambda **options: by_grpc(MAIN_GRPC, **options),
            "HTTP": lambda **options: by_http(HTTP, **options),
            "HTTP, main port": lambda **options: by_http(URL, **options),
        }

    def exported(self, way, **options):
        """Measures and exports once; whether that was taken."""
        exporter = self.ways[way](**options)
        reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
        resource = Resource.create({"service.name": f"guarded {way}"})
        provider = MeterProvider([reader], resource=resource)
        provider.get_meter("shop").create_counter("shop.orders").add(1)
        metrics = []
        reader._receive_metrics = lambda data, **_: metrics.append(data)
        reader.collect()
        return exporter.export(metrics[0]) == MetricExportResult.SUCCESS

    def taken(self, way):
        # Nobody has come for so long that the first is heard.
        time.sleep(2.5)
        assert self.exported(way), "the export failed"
        expect(f'shop_orders_total{{job="guarded {way}"}}', 1)

    def comes_again(self, way):
        # Whether two come too soon one after the other is up to the machine, too.
        before = limited()
        for _ in range(EXPORTS_MAX):
            assert self.exported(way), "an export failed for good"
            if limited() > before:
                return
        raise AssertionError("nobody was told to come again")

    def refused(self, way):
        assert not self.exported(way, headers={"authorization": "Bearer bgt_wrong"}), "it is taken"

    def tests(self):
        for way in self.ways:
            yield f"{way}: a token is heard", lambda way=way: self.taken(way)
            yield f"{way}: a wrong one is not", lambda way=way: self.refused(way)
        for way in ["gRPC", "gRPC, main port"]:
            yield f"{way}: who comes too often comes again", lambda way=way: self.comes_again(way)


def limited():
    """How often somebody was told to come again."""
    lines = read("/metrics").splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("barograph_auth_limited_total"))


def loses_nothing(number, way):
    """Deltas, each in an export of its own and one right after the other, until some came too soon: whoever is told to come
    again has to bring all of them."""
    make, _ = WAYS[way]
    service = f"often-{number}"
    reader = PeriodicExportingMetricReader(
        make(preferred_temporality=DELTA), export_interval_millis=3_600_000, export_timeout_millis=1000 * LONG
    )
    provider = MeterProvider([reader], resource=Resource.create({"service.name": service}))
    orders = provider.get_meter("shop").create_counter("shop.orders")
    before, total, rounds = limited(), 0, 0
    while rounds < 3 or limited() < before + 2:
        assert rounds < EXPORTS_MAX, "nobody was told to come again"
        rounds += 1
        orders.add(10 * rounds + 1)
        total += 10 * rounds + 1
        assert provider.force_flush(1000 * LONG), "an export failed for good"
        time.sleep(0.01)
    expect(f'shop_orders_total{{job="{service}"}}', total)
    provider.shutdown()


def spans_come_again(way):
    make = SPANS[way]
    before = sum(ask("barograph_spans_received_total"))
    exporter = make()
    results = []

    class Exporter:
        def export(self, spans):
            results.append(exporter.export(spans))
            return results[-1]

        def shutdown(self):
            exporter.shutdown()

    provider = TracerProvider(resource=Resource.create({"service.name": "often"}))
    provider.add_span_processor(SimpleSpanProcessor(Exporter()))
    for name in ["one", "two"]:
        with provider.get_tracer("shop").start_as_current_span(name):
            pass
    assert results == [SpanExportResult.SUCCESS] * 2, results
    expect("barograph_spans_received_total", before + 2)
    provider.shutdown()


def often():
    tests = [
        (f"who comes too often by {way} comes again and loses nothing", lambda n=n, way=way: loses_nothing(n, way))
        for n, way in enumerate(["gRPC", "gRPC, main port, deltas", "HTTP", "HTTP, gzip, main port, deltas"])
    ]
    return tests + [(f"so do spans by {way}", lambda way=way: spans_come_again(way)) for way in SPANS]


def wait_ready():
    end = time.monotonic() + LONG
    while True:
        try:
            return call("/api/v1/query?query=1")
        except OSError:
            assert time.monotonic() < end, "the server is not ready"
            time.sleep(0.1)


def plain():
    tests = [
        (f"metrics by {way}", lambda number=number, of=of: metrics_arrive(number, *of))
        for number, (way, of) in enumerate(WAYS.items())
    ]
    tests += [(f"spans by {way}", lambda make=make: spans_arrive(make)) for way, make in SPANS.items()]
    return tests


def main():
    wait_ready()
    tests = list(Guarded().tests()) if GUARDED else often() if OFTEN else plain()
    for name, test in tests:
        try:
            test()
            print("ok", name, flush=True)
        except Exception as error:  # noqa: BLE001 - a test may fail in any way
            print(f"FAILED {name}: {error!r}".replace("\n", " "), flush=True)
    print("end", len(tests), flush=True)


main()
