//! With tenants, nobody sees or changes what is another's, by whatever route, matcher, label, cache or topic; each has what
//! its limits say and no more; and it stays so after a restart.

use std::{collections::BTreeSet, path::Path, time::Duration};

use barograph_proto::v1::{
    InstantRequest, PublishRequest, SubscribeRequest, WriteRequest, events_client::EventsClient,
    ingest_client::IngestClient, query_client::QueryClient, told,
};
use http_body_util::BodyExt;
use hyper::Method;
use prost::Message;
use serde_json::{Value, json};
use tonic::Code;

use crate::{
    only_those_may_who_may::{PASSWORD, basic},
    support::{Reply, Running, Written, configured, now_ms, request, start, start_with_grpc_configured},
};

const ON: &str = "collectors: {built_in: false}\ntenancy: {enabled: true, max: 6, tenants: {small: {series: 10}, \
                  slow: {samples_per_second: 10}}}\n";
const HEADER: &str = "x-scope-orgid";
const BASE: &str = "/api/barograph/v1";
/// What only the tenant `a` has: a value of a label, and the name of a metric.
const SECRETS: [&str; 3] = ["zebra", "secret_of_a", "__tenant__"];

async fn get(running: &Running, tenant: &str, path: &str) -> Reply {
    running.call(Method::GET, path, &[(HEADER, tenant)], b"").await
}

async fn write(running: &Running, tenant: &str, series: &[Written<'_>]) -> Reply {
    let headers = [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-write-version", "0.1.0"),
        (HEADER, tenant),
    ];
    running.call(Method::POST, "/api/v1/write", &headers, &request(series)).await
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// What an expression comes to now, as text.
async fn asked(running: &Running, tenant: &str, expression: &str) -> Value {
    let reply = get(running, tenant, &format!("/api/v1/query?query={}", encoded(expression))).await;
    assert_eq!(reply.status, 200, "{expression}: {}", reply.text);
    reply.json()["data"]["result"].clone()
}

/// One metric that all have, and one that only one has.
async fn filled(running: &Running) -> i64 {
    let now = now_ms();
    for (tenant, value, job) in [("a", 1.0, "zebra"), ("b", 2.0, "lynx"), ("default", 3.0, "heron")] {
        let all = [("__name__", "up"), ("job", job)];
        let own = format!("secret_of_{tenant}");
        let own = [("__name__", own.as_str()), ("job", job)];
        let samples: Vec<_> = (0..60).map(|n| (now - 60_000 + n * 1_000, value)).collect();
        let reply = write(running, tenant, &[(&all, &samples), (&own, &samples)]).await;
        assert_eq!(reply.status, 204, "{}", reply.text);
        let text = format!(
            "# HELP help_of_{tenant} {job}\n# TYPE help_of_{tenant} gauge\nhelp_of_{tenant}{{job=\"{job}\"}} 1 # {{}} 1\n"
        );
        let text = text.replace(" # {} 1", "");
        let reply = running
            .call(Method::POST, "/api/v1/import/prometheus", &[(HEADER, tenant)], text.as_bytes())
            .await;
        assert!(reply.status.is_success(), "{}", reply.text);
    }
    now
}

/// All routes, as the table has them that says what they need.
fn routes() -> Vec<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/auth/table.rs");
    let text = std::fs::read_to_string(source).unwrap();
    let rows = text.lines().filter_map(|line| line.trim().strip_prefix("(\"/"));
    let rows = rows.filter(|row| row.matches(", ").count() == 2);
    rows.map(|row| format!("/{}", row.split('"').next().unwrap())).collect()
}

/// Routes that answer for as long as somebody listens; those have tests of their own here.
const LASTING: [&str; 3] = ["/live", "/live/ws", "/api/v1/notifications/live"];

#[tokio::test(flavor = "multi_thread")]
async fn no_route_tells_what_is_anothers() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(ON)).await;
    let now = filled(&running).await;
    let all = encoded("{__name__=~\".+\"}");
    let time = format!("start={}&end={}&step=5s", (now - 60_000) / 1_000, now / 1_000);
    let (mut answered, mut refused) = (0, 0);
    let routes = routes();
    assert!(routes.len() > 100);
    for route in routes.iter().filter(|route| !LASTING.contains(&route.as_str())) {
        for name in ["secret_of_a", "up", "__tenant__", "job"] {
            let path: String = route
                .split_inclusive('/')
                .map(|part| match part.starts_with('{') {
                    true if part.ends_with('/') => format!("{name}/"),
                    true => name.to_owned(),
                    false => part.to_owned(),
                })
                .collect();
            for query in [
                format!("query={all}&match%5B%5D={all}&{time}"),
                format!(
                    "query={}&match%5B%5D=secret_of_a&metric=secret_of_a&{time}",
                    encoded("{__tenant__=~\".+\"}")
                ),
                format!("metric=up&name=up&{time}"),
            ] {
                for base in ["", BASE] {
                    let path = format!("{base}{path}?{query}");
                    let reply = get(&running, "b", &path).await;
                    if reply.status == 403 {
                        refused += 1;
                        continue;
                    }
                    answered += usize::from(reply.status == 200);
                    // What was asked may stand in the answer.
                    let told = reply.text.replace(name, "").replace("{__tenant__=~", "");
                    let asked = ["match[]=", "metric=secret_of_a", "secret_of_a"];
                    for secret in SECRETS {
                        let named = query.contains(secret)
                            || path.contains(secret)
                            || secret == name
                            || query.contains(&encoded(secret));
                        let is_asked = named
                            && (reply.status != 200 || asked.contains(&secret) || secret == "__tenant__");
                        assert!(is_asked || !told.contains(secret), "{secret} in {path}: {}", reply.text);
                    }
                }
            }
        }
    }
    assert!(answered > 100 && refused > 200, "{answered} {refused}");
    running.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_expression_reaches_what_is_anothers() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(ON)).await;
    let now = filled(&running).await;
    for nothing in [
        "secret_of_a",
        "{__tenant__=~\".+\"}",
        "{__tenant__=\"a\"}",
        "up{__tenant__=\"a\"}",
        "up{job=\"zebra\"}",
        "{__tenant__!=\"\", __name__=~\".+\"}",
        "count({__name__=\"secret_of_a\"})",
        "group by (__tenant__) (up{__tenant__=~\"a|b\"})",
    ] {
        assert_eq!(asked(&running, "b", nothing).await, json!([]), "{nothing}");
    }
    for (own, expected) in [
        ("sum(up)", "2"),
        ("count(up)", "1"),
        ("count(up{__tenant__=\"\"})", "1"),
        ("sum(up{__tenant__!=\"a\"})", "2"),
        ("count(up or secret_of_a)", "1"),
        ("sum(sum_over_time(up[5m])) > 0", "120"),
        ("count(count by (__tenant__) ({__name__=~\"up|secret_of_.*\"}))", "1"),
    ] {
        assert_eq!(asked(&running, "b", own).await[0]["value"][1], expected, "{own}");
    }
    assert_eq!(asked(&running, "a", "sum(up)").await[0]["value"][1], "1");
    assert_eq!(asked(&running, "default", "sum(up)").await[0]["value"][1], "3");
    assert_eq!(
        running.data(&format!("/api/v1/query?query={}", encoded("sum(up)"))).await["result"][0]["value"][1],
        "3"
    );
    // The same range again and again, so that it is kept.
    let (start, end) = ((now - 50_000) / 1_000, (now - 10_000) / 1_000);
    for _ in 0..3 {
        for (tenant, expected) in [("a", "1"), ("b", "2"), ("default", "3")] {
            let path = format!("/api/v1/query_range?query=sum(up)&start={start}&end={end}&step=1s");
            let found = get(&running, tenant, &path).await.json();
            let values = found["data"]["result"][0]["values"].as_array().unwrap();
            assert!(values.iter().all(|value| value[1] == expected), "{tenant}: {found}");
        }
    }
    let document = json!({"metric": "up", "window": "5m"}).to_string();
    let headers = [(HEADER, "b"), ("content-type", "application/json")];
    let reply = running.call(Method::POST, "/api/barograph/v1/query", &headers, document.as_bytes()).await;
    assert!(!reply.text.contains("zebra"), "{}", reply.text);
    for (path, expected) in [
        ("/api/v1/label/__name__/values", json!(["help_of_b", "secret_of_b", "up"])),
        ("/api/v1/label/job/values", json!(["lynx"])),
        ("/api/v1/label/__tenant__/values", json!([])),
        ("/api/v1/labels", json!(["__name__", "job"])),
    ] {
        assert_eq!(get(&running, "b", path).await.json()["data"], expected, "{path}");
    }
    let told = get(&running, "b", "/api/v1/metadata").await.json()["data"].clone();
    assert_eq!(told.as_object().unwrap().keys().collect::<Vec<_>>(), ["help_of_b"]);
    running.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_or_deletes_for_another() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(ON)).await;
    let now = filled(&running).await;
    let spoof = [("__name__", "spoofed"), ("__tenant__", "a")];
    assert_eq!(write(&running, "b", &[(&spoof, &[(now, 7.0)])]).await.status, 204);
    assert_eq!(write(&running, "default", &[(&spoof, &[(now, 8.0)])]).await.status, 204);
    let line = "spoofed_line,__tenant__=a value=1\n";
    let reply = running.call(Method::POST, "/write", &[(HEADER, "b")], line.as_bytes()).await;
    assert!(reply.status.is_success(), "{}", reply.text);
    for name in ["spoofed", "spoofed_line_value"] {
        assert_eq!(asked(&running, "a", name).await, json!([]), "{name}");
    }
    let found = asked(&running, "b", "spoofed").await;
    assert_eq!((&found[0]["metric"], &found[0]["value"][1]), (&json!({"__name__": "spoofed"}), &json!("7")));
    assert_eq!(asked(&running, "default", "sum(spoofed)").await[0]["value"][1], "8");
    let tenants = get(&running, "b", "/api/barograph/v1/tenants").await.json();
    assert_eq!(tenants["tenants"].as_array().unwrap().len(), 1, "only its own: {tenants}");
    assert_eq!((&tenants["own"], &tenants["tenants"][0]["refused"]["labels"]), (&json!("b"), &json!(2)));
    let all = encoded("{__name__=~\".+\"}");
    let path = format!("/api/v1/admin/tsdb/delete_series?match%5B%5D={all}");
    let reply = running.call(Method::POST, &path, &[(HEADER, "b")], b"").await;
    assert_eq!(reply.status, 204, "{}", reply.text);
    assert_eq!(asked(&running, "b", "up").await, json!([]));
    assert_eq!(asked(&running, "a", "sum(up)").await[0]["value"][1], "1");
    assert_eq!(asked(&running, "default", "sum(up)").await[0]["value"][1], "3");
    // After a restart too.
    running.server.stop().await;
    let running = start(dir.path(), configured(ON)).await;
    assert_eq!(asked(&running, "a", "sum(up)").await[0]["value"][1], "1");
    assert_eq!(asked(&running, "b", "{__name__=~\".+\"}").await, json!([]));
    let told = get(&running, "a", "/api/v1/metadata").await.json()["data"].clone();
    assert_eq!(told.as_object().unwrap().keys().collect::<Vec<_>>(), ["help_of_a"]);
    running.server.stop().await;
}

#[derive(Clone, PartialEq, Message)]
struct ReadRequest {
    #[prost(message, repeated, tag = "1")]
    queries: Vec<ReadQuery>,
}

#[derive(Clone, PartialEq, Message)]
struct ReadQuery {
    #[prost(int64, tag = "1")]
    start: i64,
    #[prost(int64, tag = "2")]
    end: i64,
    #[prost(message, repeated, tag = "3")]
    matchers: Vec<ReadMatcher>,
}

#[derive(Clone, PartialEq, Message)]
struct ReadMatcher {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    value: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn remote_read_tools_and_grpc_are_no_way_round() {
    let dir = tempfile::tempdir().unwrap();
    let (running, channel) = start_with_grpc_configured(dir.path(), ON).await;
    let now = filled(&running).await;
    let matcher = |name: &str| ReadMatcher { kind: 2, name: name.to_owned(), value: ".+".to_owned() };
    for (name, some) in [("__name__", true), ("__tenant__", false)] {
        let query = ReadQuery { start: now - 60_000, end: now, matchers: vec![matcher(name)] };
        let body = ReadRequest { queries: vec![query] }.encode_to_vec();
        let body = snap::raw::Encoder::new().compress_vec(&body).unwrap();
        let headers =
            [(HEADER, "b"), ("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
        let (head, body) = running.send(Method::POST, "/api/v1/read", &headers, &body).await.into_parts();
        assert_eq!(head.status, 200);
        let body = body.collect().await.unwrap().to_bytes();
        let read = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
        let read = String::from_utf8_lossy(&read).into_owned();
        assert_eq!(read.contains("lynx"), some, "{read}");
        assert!(!read.contains("zebra") && !read.contains("__tenant__"), "{read}");
    }
    let headers = [
        (HEADER, "b"),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2025-06-18"),
    ];
    for (tool, arguments) in [
        ("query", json!({"query": "{__name__=~\".+\"}"})),
        ("list_metrics", json!({})),
        ("list_alerts", json!({})),
        ("list_health", json!({})),
    ] {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}});
        let reply = running.call(Method::POST, "/mcp", &headers, call.to_string().as_bytes()).await;
        assert!(SECRETS.iter().all(|secret| !reply.text.contains(secret)), "{tool}: {}", reply.text);
        assert!(tool != "query" || reply.text.contains("lynx"), "{tool}: {}", reply.text);
    }

    let of = |tenant: &'static str| {
        move |mut request: tonic::Request<()>| -> Result<tonic::Request<()>, tonic::Status> {
            request.metadata_mut().insert(HEADER, tenant.parse().unwrap());
            Ok(request)
        }
    };
    let mut query = QueryClient::with_interceptor(channel.clone(), of("b"));
    let ask = InstantRequest { query: "{__name__=~\".+\"}".to_owned(), ..InstantRequest::default() };
    let found = format!("{:?}", query.instant(ask).await.unwrap().into_inner());
    assert!(found.contains("lynx") && SECRETS.iter().all(|secret| !found.contains(secret)), "{found}");
    let mut ingest = IngestClient::with_interceptor(channel.clone(), of("b"));
    let series = barograph_proto::v1::TimeSeries {
        labels: [("__name__", "streamed"), ("__tenant__", "a")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
        samples: vec![barograph_proto::v1::Sample { at_ms: now, value: 5.0 }],
    };
    let request = WriteRequest { series: vec![series], metadata: Vec::new() };
    let requests = tokio_stream_of(vec![request]);
    let mut answers = ingest.write_stream(requests).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().stored, 1);
    assert_eq!(asked(&running, "b", "sum(streamed)").await[0]["value"][1], "5");
    assert_eq!(asked(&running, "default", "streamed").await, json!([]));
    assert_eq!(asked(&running, "a", "streamed").await, json!([]));

    let (mut a, mut b) = (
        EventsClient::with_interceptor(channel.clone(), of("a")),
        EventsClient::with_interceptor(channel, of("b")),
    );
    let publish = |document: &str| PublishRequest {
        topic: "deploys".to_owned(),
        name: String::new(),
        document_json: document.to_owned(),
    };
    a.publish(publish("\"zebra\"")).await.unwrap();
    b.publish(publish("\"lynx\"")).await.unwrap();
    for topic in ["user/deploys", "user"] {
        let wanted = SubscribeRequest { topics: vec![topic.to_owned()], after_id: Some(0) };
        let mut told = b.subscribe(wanted).await.unwrap().into_inner();
        let first = told.message().await.unwrap().unwrap().told.unwrap();
        let told::Told::Event(event) = first else { panic!("{first:?}") };
        assert_eq!((event.topic.as_str(), event.document_json.as_str()), ("deploys", "\"lynx\""), "{topic}");
    }
    let wanted = SubscribeRequest { topics: vec!["health".to_owned()], after_id: Some(0) };
    assert_eq!(b.subscribe(wanted).await.unwrap_err().code(), Code::PermissionDenied);
    running.server.stop().await;
}

fn tokio_stream_of<T: Send + 'static>(items: Vec<T>) -> impl futures_util::Stream<Item = T> + Send + 'static {
    futures_util::stream::iter(items)
}

/// What a stream says until something stands in it.
async fn said(running: &Running, tenant: &str, path: &str, until: &str) -> String {
    let mut body = running.send(Method::GET, path, &[(HEADER, tenant)], b"").await.into_body();
    let mut said = String::new();
    while !said.contains(until) {
        let frame = body.frame().await.unwrap().unwrap();
        said.push_str(&String::from_utf8_lossy(&frame.into_data().unwrap_or_default()));
    }
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn events_and_live_answers_stay_with_their_tenant() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(ON)).await;
    filled(&running).await;
    for (tenant, document) in [("a", "\"zebra\""), ("default", "\"heron\""), ("b", "\"lynx\"")] {
        let path = "/api/barograph/v1/events/deploys";
        let reply = running.call(Method::POST, path, &[(HEADER, tenant)], document.as_bytes()).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    for topics in ["bus=user&topics=deploys", "bus=user", "topics=user/deploys"] {
        let path = format!("/api/barograph/v1/live?{topics}&last_event_id=0");
        let said = said(&running, "b", &path, "\"lynx\"").await;
        assert!(!said.contains("zebra") && !said.contains("heron"), "{said}");
        let path = format!("/api/barograph/v1/live?{topics}&last_event_id=0");
        let said = self::said(&running, "default", &path, "\"heron\"").await;
        assert!(!said.contains("zebra") && !said.contains("lynx"), "{said}");
    }
    for bus in ["health", "metrics", "alerts", "diagnostics"] {
        let reply = get(&running, "b", &format!("/api/barograph/v1/live?bus={bus}")).await;
        assert_eq!(reply.status, 403, "{bus}");
    }
    let listed = get(&running, "b", "/api/barograph/v1/events").await.json();
    let topics = listed["topics"].as_array().unwrap();
    assert_eq!(
        (topics.len(), &topics[0]["topic"], &topics[0]["published"]),
        (1, &json!("deploys"), &json!(1))
    );
    let all = encoded("{__name__=~\"up|secret_of_.*\"}");
    let path = format!("/api/barograph/v1/live?query={all}&step=1s");
    let points = said(&running, "b", &path, "event: points").await;
    let points = if points.contains("lynx") { points } else { said(&running, "b", &path, "lynx").await };
    assert!(SECRETS.iter().all(|secret| !points.contains(secret)) && !points.contains("heron"), "{points}");
    running.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_has_what_its_limits_say() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(ON)).await;
    let now = now_ms();
    let values: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    for value in &values {
        let labels = [("__name__", "many"), ("n", value.as_str())];
        assert_eq!(write(&running, "small", &[(&labels, &[(now, 1.0)])]).await.status, 204);
        assert_eq!(write(&running, "b", &[(&labels, &[(now, 1.0)])]).await.status, 204);
    }
    let count = |found: &Value| found[0]["value"][1].as_str().unwrap_or("0").parse::<u64>().unwrap();
    let small = count(&asked(&running, "small", "count(many)").await);
    assert!((5..=10).contains(&small), "{small}");
    assert_eq!(count(&asked(&running, "small", "count(many{n=\"__overflow__\"})").await), 1);
    assert_eq!(
        count(&asked(&running, "b", "count(many)").await),
        50,
        "the limit of one is no limit of another"
    );
    assert_eq!(asked(&running, "b", "many{n=\"__overflow__\"}").await, json!([]));

    let samples: Vec<_> = (0..100).map(|n| (now - 100_000 + n * 1_000, 1.0)).collect();
    let labels = [("__name__", "fast")];
    assert_eq!(
        write(&running, "slow", &[(&labels, &samples)]).await.status,
        204,
        "one request is not cut in two"
    );
    let refused = write(&running, "slow", &[(&labels, &[(now, 1.0)])]).await;
    assert_eq!(refused.status, 429);
    assert!(refused.text.contains("samples_per_second") && refused.text.contains("slow"), "{}", refused.text);
    let after: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((2..=9).contains(&after), "{after}");
    assert_eq!(write(&running, "b", &[(&labels, &samples)]).await.status, 204);

    let told = get(&running, "default", "/api/barograph/v1/tenants").await.json();
    let told: Vec<_> = told["tenants"].as_array().unwrap().clone();
    let of = |name: &str| told.iter().find(|tenant| tenant["name"] == name).unwrap().clone();
    assert_eq!(
        (of("small")["limits"]["series"].clone(), of("small")["use"]["series"].as_u64()),
        (json!(10), Some(small))
    );
    assert_eq!(of("slow")["refused"]["samples_per_second"], 1);
    assert_eq!(of("default")["default"], true);

    // So many tenants there may be.
    let labels = [("__name__", "up")];
    let mut statuses = BTreeSet::new();
    for name in ["c", "d", "e", "f"] {
        statuses.insert(write(&running, name, &[(&labels, &[(now, 1.0)])]).await.status.as_u16());
    }
    assert_eq!(statuses, [204, 403].into());
    assert_eq!(write(&running, "no name", &[(&labels, &[(now, 1.0)])]).await.status, 403);
    let exposed = get(&running, "default", "/metrics").await.text;
    for line in [
        "barograph_tenant_series{tenant=\"b\"}",
        "barograph_tenants_refused_total",
        "barograph_tenant_refused_total{",
    ] {
        let found = exposed.contains(line) || wait_for(&running, line).await;
        assert!(found, "{line}");
    }
    running.server.stop().await;
}

async fn wait_for(running: &Running, line: &str) -> bool {
    for _ in 0..100 {
        if get(running, "default", "/metrics").await.text.contains(line) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_tenant_works_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let hash = barograph_server::auth::offline::hash("", PASSWORD).unwrap();
    let user = |name: &str, role: &str, tenant: &str| {
        format!("    - {{name: {name}, password_hash: '{hash}', roles: [{role}]{tenant}}}\n")
    };
    let users = [
        user("root", "admin", ""),
        user("ann", "admin", ", tenant: a"),
        user("bob", "read", ", tenant: b"),
        user("both", "read", ", tenant: a|b"),
        user("none", "read", ""),
    ];
    let config = format!("{ON}auth:\n  users:\n{}", users.concat());
    let running = start(dir.path(), configured(&config)).await;
    let now = now_ms();
    let ask = async |user: &str, tenant: Option<&str>, method: Method, path: &str, body: &[u8]| {
        let credentials = basic(user);
        let mut headers = vec![
            ("authorization", credentials.as_str()),
            ("content-type", "application/x-protobuf"),
            ("content-encoding", "snappy"),
        ];
        headers.extend(tenant.map(|tenant| (HEADER, tenant)));
        running.call(method, path, &headers, body).await
    };
    for (user, tenant, job) in [("ann", None, "zebra"), ("root", Some("b"), "lynx"), ("root", None, "heron")]
    {
        let labels = [("__name__", "up"), ("job", job)];
        let body = request(&[(&labels, &[(now, 1.0)])]);
        assert_eq!(ask(user, tenant, Method::POST, "/api/v1/write", &body).await.status, 204);
    }
    for (user, tenant, expected) in [
        ("ann", None, Some("zebra")),
        ("ann", Some("a"), Some("zebra")),
        ("ann", Some("b"), None),
        ("ann", Some("default"), None),
        ("bob", None, Some("lynx")),
        ("bob", Some("a"), None),
        ("both", None, Some("zebra")),
        ("both", Some("a"), Some("zebra")),
        ("both", Some("b"), Some("lynx")),
        ("both", Some("c"), None),
        ("none", None, Some("heron")),
        ("none", Some("a"), None),
        ("root", None, Some("heron")),
        ("root", Some("a"), Some("zebra")),
    ] {
        let path = "/api/v1/query?query=up";
        let reply = ask(user, tenant, Method::GET, path, b"").await;
        let jobs: Vec<_> =
            ["zebra", "lynx", "heron"].into_iter().filter(|job| reply.text.contains(job)).collect();
        assert_eq!(jobs, expected.into_iter().collect::<Vec<_>>(), "{user} {tenant:?}: {}", reply.text);
        assert_eq!(reply.status, if expected.is_some() { 200 } else { 403 }, "{user} {tenant:?}");
    }
    // An administrator of a tenant is none of the server.
    for path in [
        "/api/barograph/v1/config",
        "/api/barograph/v1/auth/users",
        "/api/barograph/v1/audit",
        "/api/v1/status/config",
    ] {
        assert_eq!(ask("ann", None, Method::GET, path, b"").await.status, 403, "{path}");
        assert_eq!(ask("root", None, Method::GET, path, b"").await.status, 200, "{path}");
    }
    let wanted = json!({"name": "t", "scopes": ["read"], "service": true, "tenant": "b"}).to_string();
    let path = "/api/barograph/v1/auth/tokens";
    assert_eq!(ask("ann", None, Method::POST, path, wanted.as_bytes()).await.status, 403);
    running.server.stop().await;
}

#[tokio::test]
async fn without_tenants_a_header_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured("collectors: {built_in: false}\n")).await;
    filled(&running).await;
    assert_eq!(asked(&running, "a", "sum(up)").await[0]["value"][1], "6");
    let told = get(&running, "a", "/api/barograph/v1/tenants").await.json();
    assert_eq!(told, json!({"enabled": false, "tenants": []}));
    running.server.stop().await;
    // What was stored before there were tenants is that of the default one.
    let running = start(dir.path(), configured(ON)).await;
    assert_eq!(asked(&running, "default", "sum(up)").await[0]["value"][1], "6");
    assert_eq!(asked(&running, "a", "up").await, json!([]));
    running.server.stop().await;
}

/// Asks again and again until there is something.
async fn until(running: &Running, tenant: &str, expression: &str) -> Value {
    for _ in 0..400 {
        let found = asked(running, tenant, expression).await;
        if found != json!([]) {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{expression} never found anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_does_by_itself_is_for_whom_it_is_set_up() {
    let dir = tempfile::tempdir().unwrap();
    let rules = "groups:\n- {name: theirs, interval: 100ms, tenant: b, rules: [{record: doubled, expr: 2 * sum(up)}]}\n\
                 - {name: ours, interval: 100ms, rules: [{record: doubled, expr: 2 * sum(secret_of_default)}]}\n";
    std::fs::write(dir.path().join("rules.yml"), rules).unwrap();
    let text = format!(
        "{ON}rule_files: ['*.yml']\npush: {{tenant: b}}\nglobal: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         scrape_configs:\n- {{job_name: theirs, tenant: b, static_configs: [{{targets: ['127.0.0.1:1']}}]}}\n"
    );
    let config = barograph_server::config::Config::parse(&text, "b.yml", dir.path(), []).unwrap();
    let running = start(&dir.path().join("data"), config).await;
    filled(&running).await;
    // Nobody listens there, which is a sample too.
    assert_eq!(until(&running, "b", "up{job=\"theirs\"}").await[0]["value"][1], "0");
    assert_eq!(asked(&running, "default", "up{job=\"theirs\"}").await, json!([]));
    // What was recorded before the samples were there was another value.
    until(&running, "b", "doubled == 4").await;
    until(&running, "default", "doubled == 6").await;
    assert_eq!(asked(&running, "a", "doubled").await, json!([]));
    let reply = running.call(Method::POST, "/metrics/job/pushed", &[], b"pushed_last 5\n").await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(asked(&running, "b", "sum(pushed_last)").await[0]["value"][1], "5");
    assert_eq!(asked(&running, "default", "pushed_last").await, json!([]));
    running.server.stop().await;
}

/// The two sides of a call, under ids that all tenants use.
fn call(client: &str, server: &str) -> String {
    let span = |id: u8, parent: &str, kind: &str, service: &str| {
        format!(
            "{{\"traceId\":\"{:032x}\",\"id\":\"{id:016x}\"{parent},\"name\":\"buy\",\"kind\":\"{kind}\",\
             \"timestamp\":1700000000000000,\"duration\":20000,\"localEndpoint\":{{\"serviceName\":\"{service}\"}}}}",
            7
        )
    };
    let server = span(2, ",\"parentId\":\"0000000000000001\"", "SERVER", server);
    format!("[{},{server}]", span(1, "", "CLIENT", client))
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_have_their_tenant() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(ON)).await;
    let json = ("content-type", "application/json");
    for (tenant, client, server) in
        [("a", "zebra", "zebra-bank"), ("b", "lynx", "lynx-bank"), ("default", "heron", "heron-bank")]
    {
        let body = call(client, server);
        let reply =
            running.call(Method::POST, "/api/v2/spans", &[json, (HEADER, tenant)], body.as_bytes()).await;
        assert_eq!(reply.status, 202, "{tenant}: {}", reply.text);
    }
    // OTLP is another way to the same place.
    let otlp = json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "lynx-mail"}}]},
        "scopeSpans": [{"spans": [{
            "traceId": format!("{:032x}", 7), "spanId": format!("{:016x}", 9), "name": "send", "kind": 2,
            "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000001000000000",
        }]}],
    }]});
    let reply =
        running.call(Method::POST, "/v1/traces", &[json, (HEADER, "b")], otlp.to_string().as_bytes()).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    // What was counted is stored when the server stops.
    running.server.stop().await;
    let disk = std::sync::Arc::new(barograph_disk::RealDisk::open(dir.path()).unwrap());
    let (spans, _) = barograph_trace::Spans::open(disk, barograph_trace::Options::default()).unwrap();
    let mut id = [0; 16];
    id[15] = 7;
    for (owner, name, batches) in [("", "heron", 1), ("a", "zebra", 1), ("b", "lynx", 2), ("c", "", 0)] {
        let found = spans.trace(owner, barograph_trace::TraceId(id), 1 << 20).unwrap();
        let texts: Vec<_> =
            found.bodies.iter().map(|body| String::from_utf8_lossy(body).into_owned()).collect();
        assert!(texts.len() == batches && texts.iter().all(|text| text.contains(name)), "{owner}: {texts:?}");
    }
    drop(spans);
    let running = start(dir.path(), configured(ON)).await;
    for (tenant, client, calls) in [("a", "zebra", 2), ("b", "lynx", 3), ("default", "heron", 2)] {
        let edges = asked(&running, tenant, "traces_service_graph_request_total").await;
        assert_eq!(edges.as_array().unwrap().len(), 1, "{tenant}: {edges}");
        assert_eq!((&edges[0]["metric"]["client"], &edges[0]["value"][1]), (&json!(client), &json!("1")));
        let spans = asked(&running, tenant, "traces_spanmetrics_calls_total").await.to_string();
        assert_eq!(spans.matches("span_name").count(), calls, "{tenant}: {spans}");
        for (other, name) in [("a", "zebra"), ("b", "lynx"), ("default", "heron")] {
            assert_eq!(spans.contains(name), other == tenant, "{tenant}: {spans}");
        }
        let targets = asked(&running, tenant, "traces_target_info").await.to_string();
        assert!(targets.contains(client), "{tenant}: {targets}");
    }
    running.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pushed_groups_have_their_tenant() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(ON)).await;
    let group = async |running: &Running, method: Method, tenant: &str, text: &str| {
        let reply = running.call(method, "/metrics/job/nightly", &[(HEADER, tenant)], text.as_bytes()).await;
        assert!(reply.status.is_success(), "{tenant}: {}", reply.text);
    };
    for (tenant, text) in [("a", "rows 1\n"), ("b", "rows 2\n"), ("default", "rows 3\n")] {
        group(&running, Method::PUT, tenant, text).await;
    }
    for (tenant, rows) in [("a", "1"), ("b", "2"), ("default", "3")] {
        let found = asked(&running, tenant, "rows").await;
        assert_eq!((found.as_array().unwrap().len(), &found[0]["value"][1]), (1, &json!(rows)), "{tenant}");
        assert_eq!(found[0]["metric"], json!({"__name__": "rows", "job": "nightly"}), "{tenant}");
    }
    // Whoever deletes a group, or pushes another in its place, does so with its own.
    group(&running, Method::DELETE, "b", "").await;
    group(&running, Method::PUT, "default", "others 1\n").await;
    assert_eq!(asked(&running, "b", "rows").await, json!([]));
    assert_eq!(asked(&running, "default", "rows").await, json!([]));
    assert_eq!(asked(&running, "a", "rows").await[0]["value"][1], "1");
    // After a restart, too, it is whose it was.
    running.server.stop().await;
    let running = start(dir.path(), configured(ON)).await;
    group(&running, Method::DELETE, "default", "").await;
    assert_eq!(asked(&running, "a", "rows").await[0]["value"][1], "1");
    group(&running, Method::DELETE, "a", "").await;
    assert_eq!(asked(&running, "a", "rows").await, json!([]), "it was known, so that its series could end");
    running.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_several_kinds_of_samples_is_not_cut_in_two() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(ON)).await;
    let now = now_ms();
    let ns = |n: i64| ((now - 50_000 + n * 100) * 1_000_000).to_string();
    let points: Vec<_> = (0..500).map(|n| json!({"asDouble": 1.0, "timeUnixNano": ns(n)})).collect();
    let native = json!({
        "timeUnixNano": ns(499), "startTimeUnixNano": ns(0), "count": "3", "sum": 6, "scale": 0, "zeroCount": "0",
        "positive": {"offset": 0, "bucketCounts": ["1", "2"]},
    });
    let body = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
        {"name": "floats", "gauge": {"dataPoints": points}},
        {"name": "natives", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [native]}},
    ]}]}]});
    let headers = [("content-type", "application/json"), (HEADER, "slow")];
    let body = body.to_string();
    let send = || running.call(Method::POST, "/v1/metrics", &headers, body.as_bytes());
    // It is more than may come in a second, and would be again whenever it is sent again.
    let reply = send().await;
    assert_eq!((reply.status.as_u16(), reply.text.as_str()), (200, "{}"));
    assert_eq!(asked(&running, "slow", "histogram_count(natives)").await[0]["value"][1], "3");
    assert_eq!(send().await.status, 429, "all of it is paid for first");
    running.server.stop().await;
}
