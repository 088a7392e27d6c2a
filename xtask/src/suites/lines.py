"""What clients of push gateways, InfluxDB, StatsD and Zipkin send, and what PromQL says of it.

    lines.py sent URL STATSD        sends all of it and asks
    lines.py restarted URL STATSD   asks what a restart must leave

Prints `ok NAME` or `FAILED NAME: why` for each test, then `end COUNT`.
"""

import json
import sys
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request

# Longest wait for anything that has to come.
LONG = 60

PART, URL, STATSD = sys.argv[1:]
HOST, PORT = URL.removeprefix("http://").rsplit(":", 1)
STATSD_HOST, STATSD_PORT = STATSD.rsplit(":", 1)
TESTS = []


def test(part):
    def keep(function):
        if part == PART:
            TESTS.append(function)
        return function

    return keep


def ask(query):
    """The one value of a query, or None."""
    address = f"{URL}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    with urllib.request.urlopen(address) as answer:
        result = json.load(answer)["data"]["result"]
    assert len(result) <= 1, f"{query}: {result}"
    return float(result[0]["value"][1]) if result else None


def expect(query, value):
    found = ask(query)
    assert found == value, f"{query}: {found}, not {value}"


def arrives(query, value):
    end = time.monotonic() + LONG
    while ask(query) != value:
        assert time.monotonic() < end, f"{query}: {ask(query)}, not {value}"
        time.sleep(0.1)


@test("sent")
def prometheus_client_pushes():
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
    from prometheus_client import delete_from_gateway, push_to_gateway, pushadd_to_gateway

    registry = CollectorRegistry()
    Gauge("py_last_bytes", "Bytes.", registry=registry).set(17)
    Counter("py_runs", "Runs.", ["kind"], registry=registry).labels("full").inc(2)
    Histogram("py_took_seconds", "Took.", registry=registry).observe(0.3)
    address = f"{HOST}:{PORT}"
    push_to_gateway(address, job="py", registry=registry, grouping_key={"path": "/var/lib"})
    group = 'job="py",path="/var/lib"'
    expect(f"py_last_bytes{{{group}}}", 17)
    expect(f'py_runs_total{{kind="full",{group}}}', 2)
    expect(f'py_took_seconds_bucket{{le="0.5",{group}}}', 1)

    other = CollectorRegistry()
    Gauge("py_last_bytes", "Bytes.", registry=other).set(18)
    pushadd_to_gateway(address, job="py", registry=other, grouping_key={"path": "/var/lib"})
    expect(f"py_last_bytes{{{group}}}", 18)
    expect(f'py_runs_total{{kind="full",{group}}}', 2)

    push_to_gateway(address, job="py", registry=other, grouping_key={"path": "/var/lib"})
    expect(f'py_runs_total{{kind="full",{group}}}', None)
    expect(f"py_last_bytes{{{group}}}", 18)

    push_to_gateway(address, job="gone", registry=other)
    expect('py_last_bytes{job="gone"}', 18)
    delete_from_gateway(address, job="gone")
    expect('py_last_bytes{job="gone"}', None)


@test("sent")
def influxdb_2_writes():
    from influxdb_client import InfluxDBClient, Point, WritePrecision
    from influxdb_client.client.write_api import SYNCHRONOUS
    from influxdb_client.rest import ApiException

    with InfluxDBClient(url=URL, token="none", org="o", enable_gzip=True) as client:
        assert client.ping(), "ping"
        writes = client.write_api(write_options=SYNCHRONOUS)
        now = int(time.time())
        point = Point("two").tag("room", "a b").field("temp", 21.5).field("open", True).field("by", "x")
        writes.write(bucket="house", record=point.time(now, WritePrecision.S))
        expect('two_temp{room="a b",db="house"}', 21.5)
        expect('two_open{db="house"}', 1)
        try:
            writes.write(bucket="house", record="two temp=1\ntwo temp=wrong")
            raise AssertionError("a bad line is taken")
        except ApiException as error:
            assert error.status == 400 and "line 2" in error.message, error
        expect('two_temp{room="",db="house"}', 1)


@test("sent")
def influxdb_1_writes():
    from influxdb import InfluxDBClient
    from influxdb.exceptions import InfluxDBClientError

    client = InfluxDBClient(host=HOST, port=int(PORT), database="old")
    assert client.ping(), "ping"
    client.create_database("old")
    points = [{"measurement": "one", "tags": {"k": "v"}, "fields": {"value": 3, "n": 4}}]
    assert client.write_points(points)
    assert client.write_points([{"measurement": "ms", "time": int(time.time() * 1000), "fields": {"x": 1.5}}],
                               time_precision="ms")
    expect('one{k="v",db="old"}', 3)
    expect('one_n{k="v",db="old"}', 4)
    expect('ms_x{db="old"}', 1.5)
    assert {"name": "old"} in client.get_list_database(), client.get_list_database()
    try:
        client.write("bad line", {"db": "old"}, protocol="line")
        raise AssertionError("a bad line is taken")
    except InfluxDBClientError as error:
        assert error.code == 400 and "line 1" in str(error), error


@test("sent")
def statsd_sends_by_udp_and_tcp():
    import statsd

    for kind, name in [(statsd.StatsClient, "udp"), (statsd.TCPStatsClient, "tcp")]:
        client = kind(STATSD_HOST, int(STATSD_PORT), prefix=name)
        with client.pipeline() as pipe:
            pipe.incr("hits", 3)
            pipe.gauge("temp", 20)
            pipe.gauge("temp", -5, delta=True)
            pipe.timing("took", 250)
            pipe.set("users", "anna")
            pipe.set("users", "berta")
        client.close()
        arrives(f"{name}_hits_total", 3)
        arrives(f"{name}_temp", 15)
        arrives(f"histogram_sum({name}_took_seconds)", 0.25)
        arrives(f"max_over_time({name}_users[5m])", 2)


@test("sent")
def datadog_sends():
    from datadog import DogStatsd

    client = DogStatsd(host=STATSD_HOST, port=int(STATSD_PORT), constant_tags=["env:test"], disable_telemetry=True)
    with client:
        client.increment("dog.hits", 2, tags=["path:/a", "bare"])
        client.distribution("dog.size", 17)
        client.histogram("dog.took", 0.5)
        client.timing("dog.wait", 100)
    client.event("title", "text")
    client.service_check("check", 0)
    client.flush()
    arrives('dog_hits_total{env="test",path="/a",bare="true"}', 2)
    arrives('histogram_sum(dog_size{env="test"})', 17)
    arrives('histogram_count(dog_took{env="test"})', 1)
    arrives('histogram_sum(dog_wait_seconds{env="test"})', 0.1)
    arrives('barograph_statsd_dropped_total{reason="event"}', 1)
    arrives('barograph_statsd_dropped_total{reason="service_check"}', 1)


@test("sent")
def zipkin_sends():
    def span(identity, kind, service, **more):
        endpoint = {"serviceName": service}
        return {"traceId": "a" * 32, "id": identity, "name": "buy", "kind": kind, "timestamp": int(time.time() * 1e6),
                "duration": 30000, "localEndpoint": endpoint, **more}

    for spans in [[span("1" * 16, "CLIENT", "shop")], [span("2" * 16, "SERVER", "bank", parentId="1" * 16)]]:
        body = json.dumps(spans).encode()
        request = urllib.request.Request(f"{URL}/api/v2/spans", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 202, answer.status
    arrives('traces_spanmetrics_calls_total{service="shop",span_kind="SPAN_KIND_CLIENT"}', 1)
    arrives('traces_service_graph_request_total{client="shop",server="bank"}', 1)

    # Both sides may have one span.
    for spans in [[span("3" * 16, "CLIENT", "shop")], [span("3" * 16, "SERVER", "stock", shared=True)]]:
        body = json.dumps(spans).encode()
        request = urllib.request.Request(f"{URL}/api/v2/spans", body, {"content-type": "application/json"})
        urllib.request.urlopen(request).close()
    arrives('traces_service_graph_request_total{client="shop",server="stock"}', 1)


@test("restarted")
def a_group_outlives_the_server():
    from prometheus_client import delete_from_gateway

    arrives('py_last_bytes{job="py",path="/var/lib"}', 18)
    delete_from_gateway(f"{HOST}:{PORT}", job="py", grouping_key={"path": "/var/lib"})
    expect('py_last_bytes{job="py",path="/var/lib"}', None)


@test("restarted")
def spans_outlive_the_server():
    # Of both runs of the server, each with its port, there are series.
    arrives("max(barograph_spans_stored)", 4)


def main():
    for function in TESTS:
        try:
            function()
            print(f"ok {function.__name__}", flush=True)
        except Exception as error:
            traceback.print_exc()
            what = f"{type(error).__name__}: {error}".replace("\n", " ")
            print(f"FAILED {function.__name__}: {what}", flush=True)
    print(f"end {len(TESTS)}", flush=True)


main()
