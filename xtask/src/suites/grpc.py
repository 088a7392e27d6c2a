"""What a client of gRPC that knows nothing but the address finds: services, messages and documents by reflection, standard
health, events, deadlines, compression, errors.

    grpc.py tests ADDRESS URL      prints `ok NAME` or `FAILED NAME: why` for each test, then `end COUNT`
    grpc.py goodbye ADDRESS URL    watches the health service until the server goes
    grpc.py listen ADDRESS URL     subscribes to events for ever
"""

import base64
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request

# This file has the name of the package.
sys.path = [folder for folder in sys.path if not folder.endswith("suites")]
import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import ParseDict
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

# Longest wait for anything that has to come.
LONG = 60
# A query that takes longer than anybody waits.
ENDLESS = "sum_over_time((sum_over_time(vector(1)[11000s:1s]))[11000s:1s])"
SERVICES = ["Admin", "Events", "Health", "Ingest", "Query"]
OTLP = [
    "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "opentelemetry.proto.collector.trace.v1.TraceService",
]


class Api:
    """Every method of the package by reflection: `api.call("Query/Instant", query="up")`."""

    def __init__(self, address, **options):
        self.channel = grpc.insecure_channel(address, **options)
        self.known = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = DescriptorPool(self.known)

    def method(self, name):
        service, method = name.split("/")
        return self.pool.FindServiceByName(f"barograph.v1.{service}").FindMethodByName(method)

    def callee(self, name):
        method = self.method(name)
        kinds = {
            (False, False): self.channel.unary_unary,
            (False, True): self.channel.unary_stream,
            (True, False): self.channel.stream_unary,
            (True, True): self.channel.stream_stream,
        }
        make = kinds[(method.client_streaming, method.server_streaming)]
        request, answer = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        return make(f"/barograph.v1.{name}", request.SerializeToString, answer.FromString), request

    def call(self, name, /, timeout=LONG, client=None, **fields):
        callee, request = self.callee(name)
        metadata = [("x-client-id", client)] if client else None
        return callee(request(**fields), timeout=timeout, metadata=metadata)

    def refused(self, name, code, /, **fields):
        """The error with which a call ends, which must be of this code."""
        try:
            answer = self.call(name, **fields)
            answer = list(answer) if hasattr(answer, "__next__") else answer
        except grpc.RpcError as error:
            assert error.code() == code, f"{error.code()}: {error.details()}"
            return error
        raise AssertionError(f"it is answered: {answer}")


def by_http(url, path):
    with urllib.request.urlopen(url + path, timeout=LONG) as reply:
        return json.load(reply)


def until(what, condition):
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end, f"in vain: {what}"
        time.sleep(0.02)


def now():
    return int(time.time()) * 1000


def series(name, host, *samples):
    return {
        "labels": {"__name__": name, "host": host},
        "samples": [{"at_ms": at, "value": value} for at, value in samples],
    }


def values(answer):
    return sorted(series.samples[0].value for series in answer.vector.series)


def reflection_lists_services(api, url):
    listed = set(api.known.get_services())
    wanted = {f"barograph.v1.{service}" for service in SERVICES}
    wanted |= set(OTLP)
    wanted |= {"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"}
    assert wanted <= listed, listed


def reflection_is_there_in_both_versions(api, url):
    for version in ["v1", "v1alpha"]:
        ask = api.channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            reflection_pb2.ServerReflectionRequest.SerializeToString,
            reflection_pb2.ServerReflectionResponse.FromString,
        )
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        answer = next(iter(ask(iter([request]), timeout=LONG)))
        assert len(answer.list_services_response.service) >= 9, answer


def services_are_described(api, url):
    for name in SERVICES:
        service = api.pool.FindServiceByName(f"barograph.v1.{name}")
        assert service.methods, name
        for method in service.methods:
            GetMessageClass(method.input_type)()
            GetMessageClass(method.output_type)()


def otlp_is_sent_by_its_description(api, url):
    """As somebody does who has nothing but an address: messages are made of what reflection says."""

    def export(service, fields):
        method = api.pool.FindServiceByName(service).FindMethodByName("Export")
        request, answer = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        call = api.channel.unary_unary(f"/{service}/Export", request.SerializeToString, answer.FromString)
        return call(ParseDict(fields, request()), timeout=LONG)

    at = {"time_unix_nano": time.time_ns(), "start_time_unix_nano": time.time_ns() - 60_000_000_000}
    text = lambda key, value: {"key": key, "value": {"string_value": value}}
    resource = {"attributes": [text("service.name", "reflected")]}
    total = {"aggregation_temporality": "AGGREGATION_TEMPORALITY_CUMULATIVE"}
    wide = {"scale": 0, "positive": {"bucket_counts": [1, 2]}, "count": 3, "sum": 5.0, **at}
    metrics = [
        {"name": "py.level", "gauge": {"data_points": [{"as_double": 2.5, "attributes": [text("k", "v")], **at}]}},
        {"name": "py.sent", "sum": {"data_points": [{"as_int": 7, **at}], "is_monotonic": True, **total}},
        {"name": "py.wide", "exponential_histogram": {"data_points": [wide], **total}},
        {"name": "py.none", "sum": {"data_points": [{"as_int": 7, **at}], "is_monotonic": True}},
    ]
    answer = export(OTLP[0], {"resource_metrics": [{"resource": resource, "scope_metrics": [{"metrics": metrics}]}]})
    assert answer.partial_success.rejected_data_points == 1, answer
    assert "py.none" in answer.partial_success.error_message, answer
    for query, value in [('py_level{job="reflected",k="v"}', 2.5), ("py_sent_total", 7.0)]:
        assert values(api.call("Query/Instant", query=query)) == [value], query
    assert values(api.call("Query/Instant", query="histogram_sum(py_wide)")) == [5.0]
    ids = {"trace_id": base64.b64encode(bytes(range(1, 17))), "span_id": base64.b64encode(bytes(range(1, 9)))}
    end = {"start_time_unix_nano": time.time_ns() - 1000, "end_time_unix_nano": time.time_ns()}
    span = {"name": "said", "kind": "SPAN_KIND_SERVER", "status": {"code": "STATUS_CODE_OK"}, **ids, **end}
    answer = export(OTLP[1], {"resource_spans": [{"resource": resource, "scope_spans": [{"spans": [span]}]}]})
    assert answer.partial_success.rejected_spans == 0, answer
    received = lambda: values(api.call("Query/Instant", query="barograph_spans_received_total"))
    until("the span is counted", lambda: received() == [1.0])


def what_is_written_is_read(api, url):
    at = now()
    good = [series("py_jobs", "a", (at - 15_000, 1.0), (at, 2.0)), series("py_jobs", "b", (at, 5.0))]
    old = series("py_jobs", "a", (at - 10_000_000_000, 1.0))
    answer = api.call("Ingest/Write", series=good + [old])
    assert (answer.stored, answer.rejected, answer.refusals[0].index) == (3, 1, 2), answer
    assert values(api.call("Query/Instant", query="py_jobs", at_ms=at)) == [2.0, 5.0]
    told = by_http(url, f"/api/v1/query?query=sum(py_jobs)&time={at // 1000}")
    assert told["data"]["result"][0]["value"][1] == "7", told
    answer = api.call(
        "Query/Range", query="sum(py_jobs)", start_ms=at - 15_000, end_ms=at, step_ms=15_000
    )
    assert [sample.value for sample in answer.matrix.series[0].samples] == [1.0, 7.0], answer
    document = json.dumps({"names": "py_jobs", "function": "max"})
    answer = api.call("Query/Ask", document_json=document)
    assert len(answer.results) == 2 and json.loads(answer.document.json)["meta"]["tier"] == answer.tier
    answer = api.call("Query/ListMetrics", prefix="py_jobs")
    assert [metric.name for metric in answer.metrics] == ["py_jobs"], answer


def batches_are_answered_in_turn(api, url):
    callee, request = api.callee("Ingest/WriteStream")
    at = now()
    batches = (request(series=[series("py_stream", "a", (at - 100 + n, n))]) for n in range(10))
    assert [answer.stored for answer in callee(batches, timeout=LONG)] == [1] * 10


def records_become_metrics(api, url):
    records = [
        {"name": "py.orders", "type": "counter", "number": 3, "attributes": {"kind": "express"}},
        {"name": "py.orders", "type": "nothing", "number": 3},
    ]
    answer = api.call("Ingest/Record", records=records)
    assert (answer.accepted, answer.rejected, answer.refusals[0].index) == (1, 1, 1), answer
    assert values(api.call("Query/Instant", query="py_orders_total")) == [3.0]


def health_is_standard(api, url):
    stub = health_pb2_grpc.HealthStub(api.channel)
    for service in ["", "barograph.v1.Query", "barograph.v1.Ingest", *OTLP]:
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=LONG)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING, answer
    try:
        stub.Check(health_pb2.HealthCheckRequest(service="no.such"), timeout=LONG)
        raise AssertionError("it is known")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND, error
    for service, status in [("", "SERVING"), ("no.such", "SERVICE_UNKNOWN")]:
        watched = stub.Watch(health_pb2.HealthCheckRequest(service=service), timeout=LONG)
        first = next(watched).status
        assert health_pb2.HealthCheckResponse.ServingStatus.Name(first) == status
        watched.cancel()
    method = api.pool.FindServiceByName("grpc.health.v1.Health").FindMethodByName("List")
    ask = api.channel.unary_unary(
        "/grpc.health.v1.Health/List",
        GetMessageClass(method.input_type).SerializeToString,
        GetMessageClass(method.output_type).FromString,
    )
    listed = ask(GetMessageClass(method.input_type)(), timeout=LONG).statuses
    assert len(listed) == 9 and all(status.status == 1 for status in listed.values()), listed
    with urllib.request.urlopen(url + "/-/ready", timeout=LONG) as reply:
        assert reply.status == 200


def clients_may_check_health_by_themselves(api, url):
    config = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": "barograph.v1.Query"},
    }
    own = Api(ADDRESS, options=[("grpc.service_config", json.dumps(config))])
    assert own.call("Query/Instant", query="1 + 1").vector is not None
    own.channel.close()


def events_are_told_and_resumed(api, url):
    told = api.call("Events/Subscribe", topics=["user/py"], client="py-listener")
    told.initial_metadata()
    ids = [
        api.call("Events/Publish", topic="py", name="step", document_json=json.dumps({"n": n})).id
        for n in range(5)
    ]
    for n, wanted in enumerate(ids):
        event = next(told).event
        assert (event.id, event.topic, event.name) == (wanted, "py", "step"), event
        assert json.loads(event.document_json) == {"n": n}
    told.cancel()
    again = api.call("Events/Subscribe", topics=["user/py"], after_id=ids[2])
    assert [next(again).event.id, next(again).event.id] == ids[3:]
    again.cancel()
    request = urllib.request.Request(url + "/api/barograph/v1/events/py", data=b'{"by": "http"}')
    later = api.call("Events/Subscribe", topics=["user/py"], after_id=ids[4])
    later.initial_metadata()
    urllib.request.urlopen(request, timeout=LONG).close()
    assert json.loads(next(later).event.document_json) == {"by": "http"}
    later.cancel()
    api.refused("Events/Subscribe", grpc.StatusCode.INVALID_ARGUMENT, topics=["nowhere/x"])
    api.refused("Events/Publish", grpc.StatusCode.PERMISSION_DENIED, topic="health/x")


def both_sides_talk(api, url):
    import queue

    callee, message = api.callee("Events/Exchange")
    said = queue.Queue()
    answers = callee(iter(said.get, None), timeout=LONG)
    said.put(message(request_id="1", subscribe={"topics": ["user/talk"]}))
    assert next(answers).WhichOneof("message") == "subscribed"
    said.put(message(request_id="2", publish={"topic": "talk", "document_json": "1"}))
    kinds = {next(answers).WhichOneof("message") for _ in range(2)}
    assert kinds == {"published", "event"}, kinds
    said.put(message(request_id="3", publish={"topic": "alerts/x"}))
    refused = next(answers)
    assert (refused.request_id, refused.refused.code) == ("3", 7), refused
    said.put(None)
    assert list(answers) == []


def deadlines_stop_queries(api, url):
    ask = {"query": ENDLESS, "start_ms": 0, "end_ms": 10_000_000, "step_ms": 1_000}
    api.refused("Query/Range", grpc.StatusCode.DEADLINE_EXCEEDED, timeout=0.3, **ask)
    running = lambda: by_http(url, "/api/barograph/v1/queries")["running"]
    until("the query stops", lambda: not running())
    callee, request = api.callee("Query/Range")
    call = callee.future(request(**ask), timeout=LONG)
    until("the query runs", running)
    call.cancel()
    until("the query stops", lambda: not running())
    stream = api.call("Events/Subscribe", topics=["user/silent"], timeout=0.3)
    try:
        next(stream)
        raise AssertionError("somebody said something")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error


def messages_may_be_compressed(api, url):
    for compression in [grpc.Compression.Gzip, grpc.Compression.NoCompression]:
        own = Api(ADDRESS, compression=compression)
        many = [series("py_gzip", f"host-{n}", (now(), n)) for n in range(2_000)]
        assert own.call("Ingest/Write", series=many).stored == 2_000
        assert len(own.call("Query/Instant", query="py_gzip").vector.series) == 2_000
        own.channel.close()


def errors_have_codes_and_details(api, url):
    code = grpc.StatusCode
    error = api.refused("Query/Instant", code.INVALID_ARGUMENT, query="sum(")
    assert "parse error" in error.details(), error.details()
    error = api.refused("Health/ListClients", code.INVALID_ARGUMENT, order="fame")
    assert any(key == "grpc-status-details-bin" for key, _ in error.trailing_metadata())
    api.refused("Query/Latest", code.NOT_FOUND, name="py_none")
    api.refused("Admin/Backup", code.PERMISSION_DENIED, target="x")
    api.refused("Query/Instant", code.RESOURCE_EXHAUSTED, query="x" * (5 << 20))
    raw = lambda data: data
    for path in ["/barograph.v1.Query/Nothing", "/no.such.Service/Method"]:
        try:
            api.channel.unary_unary(path, raw, raw)(b"", timeout=LONG)
            raise AssertionError("it is there")
        except grpc.RpcError as error:
            assert error.code() == code.UNIMPLEMENTED, error
    try:
        api.channel.unary_unary("/barograph.v1.Query/Instant", raw, raw)(b"\xff\xff", timeout=LONG)
        raise AssertionError("it is read")
    except grpc.RpcError as error:
        assert error.code() == code.INTERNAL, error


def clients_are_counted_to_their_end(api, url):
    raw = lambda: by_http(url, "/health/clients/py-killed")["raw"]
    def field(name, value):
        try:
            return raw()[name] == value
        except urllib.error.HTTPError:
            return False
    killed = subprocess.Popen([sys.executable, __file__, "listen", ADDRESS, url])
    try:
        until("it listens", lambda: field("concurrent-api-calls-current", 1))
    finally:
        killed.kill()
        killed.wait()
    until("it is gone", lambda: field("concurrent-api-calls-current", 0))
    for _ in range(3):
        api.call("Health/Status", client="py-counted")
    told = api.call("Health/Client", id="py-counted")
    assert (told.api_calls_total, told.api_calls_success) == (3, 3), told
    server = by_http(url, "/health/server")["server"]["raw"]
    assert server["api-calls-total"] == server["api-calls-success"] + server["api-calls-failure"]
    assert json.loads(api.call("Health/Server").document.json)["server"]["raw"].keys() == server.keys()


def the_server_can_be_administered(api, url):
    assert api.call("Admin/Info").ready
    assert api.call("Admin/Flush").samples > 0
    assert "catalog" in json.loads(api.call("Admin/StorageStats").json)
    assert api.call("Health/Status").serving


TESTS = [
    reflection_lists_services,
    reflection_is_there_in_both_versions,
    services_are_described,
    otlp_is_sent_by_its_description,
    what_is_written_is_read,
    batches_are_answered_in_turn,
    records_become_metrics,
    health_is_standard,
    clients_may_check_health_by_themselves,
    events_are_told_and_resumed,
    both_sides_talk,
    deadlines_stop_queries,
    messages_may_be_compressed,
    errors_have_codes_and_details,
    clients_are_counted_to_their_end,
    the_server_can_be_administered,
]


def tests(url):
    api = Api(ADDRESS)
    for test in TESTS:
        name = test.__name__.replace("_", " ")
        try:
            test(api, url)
            print(f"ok {name}", flush=True)
        except Exception as error:
            why = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"FAILED {name}: {why}", flush=True)
    print(f"end {len(TESTS)}", flush=True)


def goodbye():
    stub = health_pb2_grpc.HealthStub(grpc.insecure_channel(ADDRESS))
    watched = stub.Watch(health_pb2.HealthCheckRequest(service=""), timeout=LONG)
    names = health_pb2.HealthCheckResponse.ServingStatus
    try:
        for answer in watched:
            name = names.Name(answer.status)
            print("watching" if name == "SERVING" else name, flush=True)
    except grpc.RpcError as error:
        print(error.code().name, flush=True)


def listen():
    for _ in Api(ADDRESS).call("Events/Subscribe", topics=["user"], client="py-killed", timeout=None):
        pass


PART, ADDRESS, URL = sys.argv[1:]
{"tests": lambda: tests(URL), "goodbye": goodbye, "listen": listen}[PART]()
