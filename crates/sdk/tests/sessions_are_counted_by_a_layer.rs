//! Calls of HTTP and gRPC count for their clients without code in the handlers, and documents tell of them.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]
#![cfg(feature = "axum")]

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
    routing::{get, post},
};
use barograph::{
    exposition::{self, Format},
    session::{
        ANONYMOUS, Cause, ClientStats, Listing, ServerStats, Sessions, SessionsLayer, Settings, Spelling,
        Surroundings,
    },
};
use http_body_util::BodyExt;
use proptest::prelude::*;
use serde_json::Value;
use tower::ServiceExt;

async fn grpc(status: Option<&'static str>) -> axum::response::Response {
    let trailers = async move {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", status.unwrap_or("13").parse().unwrap());
        Some(Ok::<_, Infallible>(trailers))
    };
    let body = http_body_util::Full::new(bytes_of("answer")).with_trailers(trailers);
    axum::response::Response::builder()
        .header("content-type", "application/grpc")
        .body(Body::new(body))
        .unwrap()
}

fn bytes_of(text: &'static str) -> axum::body::Bytes {
    axum::body::Bytes::from_static(text.as_bytes())
}

fn app(sessions: &Sessions) -> Router {
    Router::new()
        .route("/carts/{id}", get(async || "full"))
        .route("/broken", get(async || StatusCode::INTERNAL_SERVER_ERROR))
        .route(
            "/panics",
            get(async || -> &'static str { std::panic::resume_unwind(Box::new("as a handler would")) }),
        )
        .route(
            "/slow",
            get(async || {
                tokio::time::sleep(Duration::from_secs(60)).await;
                "late"
            }),
        )
        .route("/shop.Cart/Add", post(async || grpc(Some("0")).await))
        .route("/shop.Cart/Drop", post(async || grpc(Some("5")).await))
        .layer(SessionsLayer::new(sessions))
}

fn request(path: &str, client: Option<&str>) -> Request<Body> {
    let grpc = path.starts_with("/shop");
    let mut request = Request::builder().uri(path).method(if grpc { "POST" } else { "GET" });
    if grpc {
        request = request.header("content-type", "application/grpc");
    }
    if let Some(client) = client {
        request = request.header("x-client-id", client);
    }
    request.body(Body::from("12345")).unwrap()
}

#[tokio::test]
async fn calls_count_for_their_clients() {
    let sessions = Sessions::new(Settings::default());
    let app = app(&sessions);
    let ask = async |path: &str, client: Option<&str>| {
        let response = app.clone().oneshot(request(path, client)).await.unwrap();
        response.into_body().collect().await.map(http_body_util::Collected::to_bytes).ok()
    };
    assert_eq!(ask("/carts/7", Some("a")).await.as_deref(), Some(&b"full"[..]));
    ask("/carts/8", Some("a")).await;
    ask("/broken", Some("a")).await;
    ask("/nowhere", None).await;
    assert_eq!(ask("/shop.Cart/Add", Some("b")).await.as_deref(), Some(&b"answer"[..]));
    ask("/shop.Cart/Drop", Some("b")).await;
    let panics = tokio::spawn(app.clone().oneshot(request("/panics", Some("c"))));
    assert!(panics.await.unwrap_err().is_panic());
    let cancelled =
        tokio::time::timeout(Duration::from_millis(5), app.clone().oneshot(request("/slow", Some("c"))));
    assert!(cancelled.await.is_err());

    let check = |id: &str, expected: [u64; 4]| {
        let names = ["api-calls-success", "api-calls-failure", "bytes-received", "bytes-sent"];
        let found = names.map(|name| sessions.client_stat(id, name).as_integer().unwrap());
        assert_eq!(found, expected, "{id}");
    };
    check("a", [2, 1, 15, 8]);
    check(ANONYMOUS, [0, 1, 5, 0]);
    check("b", [1, 1, 10, 12]);
    check("c", [0, 2, 10, 0]);
    assert_eq!(sessions.client_stat("b", "last-api-method"), "shop.Cart/Drop");
    assert_eq!(sessions.client_stat("a", "last-api-method"), "GET /broken");
    assert_eq!(sessions.server_stat("api-concurrent-calls-current"), 0);
    assert_eq!(sessions.server_stat("internal-errors-total"), 2);
    assert_eq!(sessions.snapshot().grpc_errors, [("NOT_FOUND", 1)]);

    let report = sessions.report(&Surroundings::default(), Spelling::default());
    let performance: Value = serde_json::from_str(&report.performance(&[])).unwrap();
    assert_eq!(performance["methods"]["GET /carts/{id}"]["success"], 2);
    assert_eq!(performance["methods"]["shop.Cart/Add"]["success-rate"], 1);
    assert_eq!(performance["api"]["calls-total"], 8);
    let errors: Value = serde_json::from_str(&report.errors(true, true)).unwrap();
    assert_eq!(errors["categories"]["client"], 3);
    assert_eq!(errors["http-status"]["404"], 1);
    assert_eq!(errors["recent"].as_array().unwrap().len(), 5);
    assert_eq!(errors["recent"][0]["method"], "GET /slow");
    let groups = errors["groups"].as_array().unwrap();
    assert!(
        groups.iter().any(|group| group["category"] == "internal" && group["method"] == "GET /panics"),
        "{groups:?}"
    );
}

/// How a request through the layer ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Whole,
    Missing,
    Panic,
    /// The caller goes before there is an answer.
    Cancelled,
    /// The caller goes with the answer in its hands, of which it read nothing.
    Unread,
    /// The client itself is disconnected while its call is answered.
    Killed,
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        Just(End::Whole),
        Just(End::Missing),
        Just(End::Panic),
        Just(End::Cancelled),
        Just(End::Unread),
        Just(End::Killed),
    ]
}

async fn play(app: Router, sessions: &Sessions, id: String, ends: &[End]) {
    let ask = |path: &str| Box::pin(app.clone().oneshot(request(path, Some(&id))));
    for end in ends {
        match end {
            End::Whole => drop(ask("/carts/1").await.unwrap().into_body().collect().await.unwrap()),
            End::Missing => drop(ask("/nowhere").await.unwrap().into_body().collect().await.unwrap()),
            End::Panic => assert!(tokio::spawn(ask("/panics")).await.unwrap_err().is_panic()),
            End::Cancelled => assert!(futures_util::poll!(ask("/slow")).is_pending()),
            End::Unread => drop(ask("/shop.Cart/Add").await.unwrap()),
            End::Killed => {
                let mut call = ask("/slow");
                assert!(futures_util::poll!(&mut call).is_pending());
                sessions.client(&id).disconnect(Cause::Error);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_ends_a_call_it_counts_once(
        plans in prop::collection::vec(prop::collection::vec(end(), 5..40), 2..5),
    ) {
        let mut settings = Settings::default();
        settings.finished_max = usize::MAX;
        let sessions = Sessions::new(settings);
        std::thread::scope(|scope| {
            for (i, ends) in plans.iter().enumerate() {
                let (app, sessions) = (app(&sessions), &sessions);
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                scope.spawn(move || runtime.block_on(play(app, sessions, format!("c{i}"), ends)));
            }
        });
        let raw = sessions.snapshot().raw;
        let of = |wanted: fn(&End) -> bool| plans.iter().flatten().filter(|end| wanted(end)).count() as u64;
        prop_assert_eq!(raw.api_calls_total, of(|_| true));
        prop_assert_eq!(raw.api_calls_success, of(|end| matches!(end, End::Whole)));
        prop_assert_eq!(raw.api_calls_total, raw.api_calls_success + raw.api_calls_failure);
        prop_assert_eq!(raw.internal_errors_total, of(|end| matches!(end, End::Panic)));
        prop_assert_eq!(raw.clients_disconnected_error, of(|end| matches!(end, End::Killed)));
        prop_assert_eq!(raw.api_concurrent_calls_current, 0);
        let clients = sessions.client_snapshots(true);
        prop_assert!(clients.iter().all(|client| client.raw.concurrent_api_calls_current == 0));
        prop_assert_eq!(clients.iter().map(|client| client.raw.api_calls_total).sum::<u64>(), raw.api_calls_total);
    }
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The names of a section of the list, sorted.
fn listed(section: &str) -> Vec<&'static str> {
    let text = include_str!("fixtures/statistics.txt");
    let lines = text.lines().skip_while(|line| *line != format!("[{section}]")).skip(1);
    let mut names: Vec<_> =
        lines.take_while(|line| !line.starts_with('[')).map(|line| line.split(' ').next().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn documents_have_their_keys() {
    let sessions = Sessions::new(Settings::default());
    let connection = sessions.connect(Some("a\"b"));
    sessions.connect(Some("gone")).close(Cause::Timeout);
    connection.subscribe("p");
    let report = sessions.report(&Surroundings::default(), Spelling::default());
    let json = |text: String| serde_json::from_str::<Value>(&text).unwrap();
    let server = json(report.server());
    let server = &server["server"];
    let sorted = |value: &Value| {
        let mut keys: Vec<_> = keys(value).into_iter().map(str::to_owned).collect();
        keys.sort_unstable();
        keys
    };
    assert_eq!(sorted(&server["raw"]), listed("server"));
    assert_eq!(sorted(&server["derived"]), listed("server-derived"));
    assert_eq!(server["aliases"]["resource-subscriptions-active"], 1);
    assert!(server["raw"]["api-fastest-call-ms"].is_null() && server["raw"]["last-error-time"].is_null());
    assert!(server["raw"]["server-start-time"].as_str().unwrap().ends_with('Z'));
    for (field, value) in ServerStats::FIELDS.iter().zip(report.snapshot.raw.values()) {
        if let (Some(value), Some(shown)) = (value.as_integer(), server["raw"][field.name].as_u64()) {
            assert_eq!(value, shown, "{}", field.name);
        }
    }
    assert_eq!(server["score-parts"]["server-health-score"]["latency"]["weight"], 0.15);
    let clients = json(report.clients(Listing { finished: true, ..Listing::default() }));
    for key in [
        "uptime-hours",
        "clients-connected",
        "clients-peak",
        "api-calls-total",
        "api-success-rate",
        "events-sent",
        "bytes-transferred-gb",
    ] {
        assert!(keys(&clients["server"]).contains(&key) && keys(server).contains(&key), "{key}");
    }
    let first = &clients["clients"][0];
    assert_eq!((&first["client-id"], &first["queue-health"]), (&"a\"b".into(), &"healthy".into()));
    assert_eq!(clients["clients"][1]["state"], "disconnected");
    let client = json(report.client("a\"b", None).unwrap());
    assert_eq!(sorted(&client["raw"]), listed("client"));
    assert_eq!(sorted(&client["derived"]), listed("client-derived"));
    assert_eq!(client["event-queue"]["policy"], "drop-oldest");
    assert_eq!(client["piece-subscriptions"][0], "p");
    assert_eq!(json(report.client("gone", None).unwrap())["cause"], "timeout");
    assert!(report.client("nobody", None).is_none());
    let sentinels = sessions.report(&Surroundings::default(), Spelling { sentinels: true, epoch: true });
    let server = json(sentinels.server());
    assert_eq!(server["server"]["raw"]["api-fastest-call-ms"], 9_223_372_036_854_775_807_u64);
    assert!(server["server"]["raw"]["server-start-time"].is_u64());
    assert!(keys(&json(report.resources())).contains(&"queue-memory-usage-total-bytes"));
    for name in listed("server").iter().filter(|name| name.ends_with("-errors-total")) {
        assert!(keys(&json(report.errors(false, false))).contains(name), "{name}");
    }
}

#[test]
fn metrics_have_their_names() {
    let sessions = Sessions::new(Settings::default());
    let _a = sessions.connect(Some("a"));
    let report = sessions.report(&Surroundings::default(), Spelling::default());
    let text = |families: &[exposition::Family], format| {
        let mut text = String::new();
        exposition::write(&mut text, families, format);
        text
    };
    let families = report.families();
    for (format, dialect) in [
        (Format::Text004, exposition::Dialect::Text),
        (Format::OpenMetrics100, exposition::Dialect::OpenMetrics),
    ] {
        let page = text(&families, format);
        assert!(exposition::parse(page.as_bytes(), dialect).all(|item| item.is_ok()), "{page}");
    }
    let server = text(&families, Format::Text004);
    for line in [
        "server_clients_connected_total 1\n",
        "server_clients_connected_current 1\n",
        "server_server_events_sent_total 0\n",
        "server_events_sent_total 0\n",
        "server_connection_duration_total_ms 0\n",
        "server_server_restart_count_total 0\n",
        "\nserver_server_health_score ",
    ] {
        assert!(server.contains(line), "{line} in {server}");
    }
    assert!(
        !server.contains("server_api_fastest_call_ms ") && !server.contains("server_last_error_time_ms ")
    );
    let client = text(&report.client_families("a").unwrap(), Format::Text004);
    assert!(client.contains("client_queue_overflow_count_total{client_id=\"a\"} 0\n"), "{client}");
    assert!(client.contains("client_queue_overflow_total_events_dropped{client_id=\"a\"} 0\n"), "{client}");
    let all = report.all_client_families();
    assert_eq!(all.len(), ClientStats::FIELDS.len() - 3);
}
