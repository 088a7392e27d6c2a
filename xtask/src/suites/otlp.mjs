// The SDK of OpenTelemetry for Node, exporting to Barograph: `otlp.mjs GRPC HTTP MAIN_GRPC URL [often]`; with the last, at a server
// that lets nobody come often.
//
// A line `ok NAME` or `FAILED NAME: WHY` a test, and `end COUNT` at last.

import { resourceFromAttributes } from "@opentelemetry/resources";
import {
    AggregationTemporality,
    AggregationType,
    MeterProvider,
    PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { OTLPMetricExporter as JsonMetrics } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPMetricExporter as ProtobufMetrics } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPMetricExporter as GrpcMetrics } from "@opentelemetry/exporter-metrics-otlp-grpc";
import { OTLPTraceExporter as JsonSpans } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufSpans } from "@opentelemetry/exporter-trace-otlp-proto";
import { OTLPTraceExporter as GrpcSpans } from "@opentelemetry/exporter-trace-otlp-grpc";

// Longest wait for anything that has to come, and for the answer to an export, in milliseconds.
const LONG = 60_000;
process.env.OTEL_EXPORTER_OTLP_TIMEOUT = String(LONG);
// Exports of one test, of which some come too often.
const EXPORTS_MAX = 60;
const seldom = { exportIntervalMillis: 3_600_000, exportTimeoutMillis: LONG };

const [grpc, http, mainGrpc, url, often] = process.argv.slice(2);
const { CUMULATIVE, DELTA } = AggregationTemporality;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function ask(query) {
    const reply = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(query)}`);
    const answer = await reply.json();
    return answer.data.result.map((series) => Number(series.value[1]));
}

async function expect(query, value) {
    const end = Date.now() + LONG;
    for (;;) {
        const found = await ask(query);
        if (found.length === 1 && found[0] === value) return;
        if (Date.now() > end) throw new Error(`${query} is ${found}, not ${value}`);
        await pause(50);
    }
}

async function metricsArrive(service, exporter) {
    const reader = new PeriodicExportingMetricReader({ exporter, ...seldom });
    const provider = new MeterProvider({
        resource: resourceFromAttributes({ "service.name": service, "service.namespace": "shop", zone: "z" }),
        readers: [reader],
        views: [
            {
                instrumentName: "shop.wide",
                aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM },
            },
        ],
    });
    const meter = provider.getMeter("shop", "1.0");
    const orders = meter.createCounter("shop.orders");
    const wait = meter.createHistogram("shop.wait", {
        unit: "ms",
        advice: { explicitBucketBoundaries: [10, 100] },
    });
    const wide = meter.createHistogram("shop.wide", { unit: "By" });
    meter.createObservableGauge("shop.stock").addCallback((result) => result.observe(7.5, { "a.b": 1 }));
    for (let round = 0; round < 2; round += 1) {
        orders.add(3, { kind: "express" });
        for (const value of [5, 50, 500]) {
            wait.record(value);
            wide.record(value);
        }
        await provider.forceFlush();
        await pause(10);
    }
    await provider.shutdown();
    const of = `job="shop/${service}"`;
    await expect(`shop_orders_total{${of},kind="express"}`, 6);
    await expect(`shop_wait_milliseconds_count{${of}}`, 6);
    await expect(`shop_wait_milliseconds_bucket{${of},le="100"}`, 4);
    await expect(`histogram_count(shop_wide_bytes{${of}})`, 6);
    await expect(`histogram_sum(shop_wide_bytes{${of}})`, 1110);
    await expect(`shop_stock{${of},a_b="1"}`, 7.5);
    await expect(`target_info{${of},zone="z"}`, 1);
}

async function spansArrive(exporter) {
    const before = (await ask("barograph_spans_received_total"))[0] ?? 0;
    const provider = new BasicTracerProvider({
        resource: resourceFromAttributes({ "service.name": "node-spans" }),
        spanProcessors: [new BatchSpanProcessor(exporter, { exportTimeoutMillis: LONG })],
    });
    const tracer = provider.getTracer("shop");
    const span = tracer.startSpan("outer", { kind: 1, attributes: { list: [1, 2], "a.b": true } });
    span.addEvent("said");
    span.end();
    await provider.forceFlush();
    await provider.shutdown();
    await expect("barograph_spans_received_total", before + 1);
}

// How often somebody was told to come again.
async function limited() {
    const page = await (await fetch(`${url}/metrics`)).text();
    const lines = page.split("\n").filter((line) => line.startsWith("barograph_auth_limited_total"));
    return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

// Deltas, each in an export of its own and one right after the other, until some came too soon: whoever is told to come again
// has to bring all of them.
async function losesNothing(service, exporter) {
    const reader = new PeriodicExportingMetricReader({ exporter, ...seldom });
    const provider = new MeterProvider({
        resource: resourceFromAttributes({ "service.name": service }),
        readers: [reader],
    });
    const orders = provider.getMeter("shop").createCounter("shop.orders");
    const before = await limited();
    let [total, rounds] = [0, 0];
    while (rounds < 3 || (await limited()) < before + 2) {
        if (rounds === EXPORTS_MAX) throw new Error("nobody was told to come again");
        rounds += 1;
        orders.add(10 * rounds + 1);
        total += 10 * rounds + 1;
        await provider.forceFlush();
        await pause(10);
    }
    await expect(`shop_orders_total{job="${service}"}`, total);
    await provider.shutdown();
}

async function spansComeAgain(exporter) {
    const before = (await ask("barograph_spans_received_total"))[0] ?? 0;
    const provider = new BasicTracerProvider({
        resource: resourceFromAttributes({ "service.name": "often" }),
        spanProcessors: [new BatchSpanProcessor(exporter, { exportTimeoutMillis: LONG })],
    });
    for (const name of ["one", "two"]) {
        provider.getTracer("shop").startSpan(name).end();
        await provider.forceFlush();
    }
    await expect("barograph_spans_received_total", before + 2);
    await provider.shutdown();
}

// By gRPC the SDK for Node does not come again by itself; it brings totals with the next export.
const oftenTests = {
    "who comes too often by HTTP with JSON comes again and loses nothing": () =>
        losesNothing(
            "often-json",
            new JsonMetrics({ url: `http://${http}/v1/metrics`, temporalityPreference: DELTA }),
        ),
    "who comes too often by HTTP with protobuf comes again and loses nothing": () =>
        losesNothing(
            "often-protobuf",
            new ProtobufMetrics({ url: `${url}/v1/metrics`, temporalityPreference: DELTA, compression: "gzip" }),
        ),
    "so do spans by HTTP with JSON": () => spansComeAgain(new JsonSpans({ url: `http://${http}/v1/traces` })),
    "so do spans by HTTP with protobuf": () =>
        spansComeAgain(new ProtobufSpans({ url: `${url}/v1/traces` })),
};

const plainTests = {
    "metrics by HTTP with JSON": () =>
        metricsArrive(
            "node-json",
            new JsonMetrics({ url: `http://${http}/v1/metrics`, temporalityPreference: CUMULATIVE }),
        ),
    "metrics by HTTP with JSON, gzip, main port, deltas": () =>
        metricsArrive(
            "node-json-delta",
            new JsonMetrics({ url: `${url}/v1/metrics`, temporalityPreference: DELTA, compression: "gzip" }),
        ),
    "metrics by HTTP with protobuf": () =>
        metricsArrive("node-protobuf", new ProtobufMetrics({ url: `http://${http}/v1/metrics` })),
    "metrics by gRPC": () => metricsArrive("node-grpc", new GrpcMetrics({ url: `http://${grpc}` })),
    "metrics by gRPC, main port, deltas": () =>
        metricsArrive(
            "node-grpc-delta",
            new GrpcMetrics({ url: `http://${mainGrpc}`, temporalityPreference: DELTA }),
        ),
    "spans by HTTP with JSON": () => spansArrive(new JsonSpans({ url: `http://${http}/v1/traces` })),
    "spans by HTTP with protobuf": () => spansArrive(new ProtobufSpans({ url: `${url}/v1/traces` })),
    "spans by gRPC": () => spansArrive(new GrpcSpans({ url: `http://${grpc}` })),
};

const tests = often ? oftenTests : plainTests;
for (const [name, test] of Object.entries(tests)) {
    try {
        await test();
        console.log(`ok ${name}`);
    } catch (error) {
        console.log(`FAILED ${name}: ${error}`.replaceAll("\n", " "));
    }
}
console.log(`end ${Object.keys(tests).length}`);
