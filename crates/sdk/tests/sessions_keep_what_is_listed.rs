//! Every statistic that is promised is there, under its name, and follows its rule.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::time::Duration;

use barograph::{
    Outcome, Registry, Timestamp,
    session::{
        Category, Cause, ClientStats, Clock, Connection, Event, EventKind, Field, Lifetime, OVERFLOW_CLIENT,
        Policy, ServerStats, Sessions, Settings, Surroundings, UNMEASURED, Value, Weights,
        compute_client_analytics, compute_server_analytics,
    },
};

const START: u64 = 1_700_000_000_000;

struct World {
    sessions: Sessions,
    clock: Clock,
}

fn world(settings: impl FnOnce(&mut Settings)) -> World {
    let clock = Clock::stopped(Timestamp(START.cast_signed()));
    let mut wanted = Settings::default();
    settings(&mut wanted);
    let sessions = Sessions::at(wanted, Lifetime::default(), clock.clone());
    World { sessions, clock }
}

impl World {
    fn pass(&self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
    }

    fn call(&self, client: &Connection, ms: u64, outcome: Outcome) {
        let call = client.call(&self.sessions.method("pkg.Service/Do"));
        self.pass(ms);
        call.finish(outcome);
    }

    #[track_caller]
    fn server(&self, expected: &[(&str, u64)]) {
        for (name, value) in expected {
            assert_eq!(self.sessions.server_stat(name), *value, "{name}");
        }
    }

    #[track_caller]
    fn client(&self, id: &str, expected: &[(&str, u64)]) {
        for (name, value) in expected {
            assert_eq!(self.sessions.client_stat(id, name), *value, "{name} of {id}");
        }
    }
}

fn listed<'a>(text: &'a str, section: &str) -> Vec<(&'a str, Option<&'a str>)> {
    let of = text.lines().skip_while(|line| *line != format!("[{section}]")).skip(1);
    of.take_while(|line| !line.starts_with('['))
        .map(|line| line.split_once(' ').map_or((line, None), |(name, kind)| (name, Some(kind))))
        .collect()
}

#[test]
fn all_fields_are_there() {
    let text = include_str!("fixtures/statistics.txt");
    let check = |section, fields: &[Field]| {
        let kinds: Vec<_> = fields.iter().map(|field| format!("{:?}", field.kind)).collect();
        let have: Vec<_> =
            fields.iter().zip(&kinds).map(|(field, kind)| (field.name, Some(kind.as_str()))).collect();
        assert_eq!(have, listed(text, section));
    };
    check("server", &ServerStats::FIELDS);
    check("client", &ClientStats::FIELDS);
    let World { sessions, .. } = world(|_| {});
    let _a = sessions.connect(Some("a"));
    for field in ServerStats::FIELDS {
        assert_ne!(sessions.server_stat(field.name), Value::Unknown, "{}", field.name);
        assert!(!field.help.is_empty() && !field.unit.is_empty());
    }
    for field in ClientStats::FIELDS {
        assert_ne!(sessions.client_stat("a", field.name), Value::Unknown, "{}", field.name);
    }
    assert_eq!(sessions.server_stat("no-such-thing"), Value::Unknown);
    assert_eq!(sessions.client_stat("b", "events-sent"), Value::Unknown);
    assert_eq!(sessions.server_stat("resource-events-sent"), 0);
}

/// The list as it was agreed on, where it is at hand.
#[test]
fn the_list_is_the_agreed_one() {
    #[expect(
        clippy::disallowed_methods,
        reason = "where the list lies is told by the environment of the test"
    )]
    let folder = std::env::var_os("BAROGRAPH_TESTDATA");
    let Some(folder) = folder else { return };
    let path = std::path::Path::new(&folder).join("statistics-fields.md");
    let Ok(document) = std::fs::read_to_string(path) else { return };
    let named = |from: &str, to: &str, column: usize| -> Vec<String> {
        let section = document.split(from).nth(1).and_then(|rest| rest.split(to).next()).unwrap();
        let rows = section.lines().filter(|line| line.starts_with("| OOL-"));
        rows.map(|row| row.split(" | ").nth(column).unwrap().trim_matches('`').to_owned()).collect()
    };
    let text = include_str!("fixtures/statistics.txt");
    let ours =
        |section| listed(text, section).into_iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
    assert_eq!(named("## 2. Server-wide raw", "## 3.", 2), ours("server"));
    assert_eq!(named("## 3. Server-wide derived", "## 4.", 2), ours("server-derived"));
    assert_eq!(named("### 4.1", "## 5.", 2), ours("client"));
    assert_eq!(named("## 5. Per-client derived", "## 6.", 2), ours("client-derived"));
}

#[test]
fn sessions_come_and_go() {
    let world = world(|_| {});
    let (a, b) = (world.sessions.connect(Some("a")), world.sessions.connect(None));
    world.server(&[
        ("clients-connected-total", 2),
        ("clients-connected-current", 2),
        ("shortest-session-ms", UNMEASURED),
    ]);
    world.pass(500);
    a.close(Cause::Graceful);
    world.pass(1_500);
    b.close(Cause::Timeout);
    drop(world.sessions.connect(Some("c")));
    world.server(&[
        ("clients-connected-total", 3),
        ("clients-connected-current", 0),
        ("clients-connected-peak", 2),
        ("clients-disconnected-total", 3),
        ("clients-disconnected-graceful", 1),
        ("clients-disconnected-timeout", 1),
        ("clients-disconnected-error", 1),
        ("connection-duration-total-ms", 2_500),
        ("shortest-session-ms", 0),
        ("longest-session-ms", 2_000),
    ]);
}

#[test]
fn ids_are_unique() {
    let World { sessions, .. } = world(|_| {});
    let (first, second) = (sessions.connect(Some("a")), sessions.connect(Some("a")));
    assert_eq!((first.id(), second.id()), ("a", "a#2"));
    assert_eq!(sessions.client("a").id(), "a");
    assert_eq!(sessions.clients().len(), 2);
}

#[test]
fn calls_count_at_both_levels() {
    let world = world(|_| {});
    let a = world.sessions.connect(Some("a"));
    let mut call = a.call(&world.sessions.method("pkg.Service/Get"));
    call.received(100);
    call.sent(2_000);
    let other = a.call(&world.sessions.method("pkg.Service/Put"));
    world.server(&[("api-concurrent-calls-current", 2), ("api-calls-total", 0)]);
    world.pass(5);
    call.finish(Outcome::Grpc(0));
    world.pass(115);
    other.finish(Outcome::Grpc(5));
    world.server(&[
        ("api-calls-total", 2),
        ("api-calls-success", 1),
        ("api-calls-failure", 1),
        ("api-concurrent-calls-current", 0),
        ("api-concurrent-calls-peak", 2),
        ("api-slowest-call-ms", 120),
        ("api-fastest-call-ms", 5),
        ("bytes-api-requests-total", 100),
        ("bytes-api-responses-total", 2_000),
        ("bytes-transferred-total", 2_100),
        ("largest-api-request-bytes", 100),
        ("largest-api-response-bytes", 2_000),
        ("client-errors-total", 1),
        ("server-errors-total", 0),
        ("last-error-time", START + 120),
    ]);
    world.client(
        "a",
        &[
            ("api-calls-total", 2),
            ("api-calls-success", 1),
            ("api-calls-failure", 1),
            ("concurrent-api-calls-current", 0),
            ("concurrent-api-calls-peak", 2),
            ("slowest-api-call-ms", 120),
            ("fastest-api-call-ms", 5),
            ("bytes-received", 100),
            ("bytes-sent", 2_000),
            ("last-api-call", START),
            ("last-activity-time", START + 120),
            ("last-error-time", START + 120),
        ],
    );
    assert_eq!(a.stat("last-api-method"), "pkg.Service/Put");
    assert_eq!(a.stat("last-error-message"), "NOT_FOUND");
    let snapshot = world.sessions.snapshot();
    assert_eq!(snapshot.grpc_errors, [("NOT_FOUND", 1)]);
    assert_eq!(snapshot.methods[0].calls(), 1);
    assert_eq!(snapshot.peak_calls_per_minute, 2);
    let error = &world.sessions.recent_errors()[0];
    assert_eq!((error.category, error.method.as_deref()), (Category::Client, Some("pkg.Service/Put")));
}

#[test]
fn events_count_from_the_offer_to_the_stream() {
    let world = world(|settings| settings.queue_capacity = 4);
    let a = world.sessions.connect(Some("a"));
    let mut events = a.observe().unwrap();
    assert!(a.observe().is_none());
    for _ in 0..2 {
        world.sessions.publish(&Event::new(EventKind::SERVER, *b"12345"));
    }
    world.pass(70);
    while let Some(delivery) = events.try_next() {
        delivery.delivered();
    }
    world.server(&[
        ("server-events-sent", 2),
        ("events-sent-total", 2),
        ("event-delivery-attempts", 2),
        ("event-delivery-successes", 2),
        ("bytes-events-total", 10),
        ("largest-event-message-bytes", 5),
        ("event-queues-healthy-count", 1),
    ]);
    world.client(
        "a",
        &[
            ("server-events-received", 2),
            ("queue-overflow-count", 0),
            ("queue-consumer-lag-ms", 70),
            ("bytes-events", 10),
            ("bytes-sent", 10),
            ("last-event-time", START + 70),
        ],
    );
    assert_eq!(a.stat("last-event-type"), "server-event");

    let kind = world.sessions.kind("chat");
    for i in 1..=6 {
        a.send(&Event::new(kind, [i]));
    }
    world.client(
        "a",
        &[
            ("events-sent", 8),
            ("events-dropped", 2),
            ("queue-overflow-total-events-dropped", 2),
            ("queue-offer-attempts", 8),
            ("queue-offer-successes", 6),
            ("queue-overflow-count", 2),
            ("queue-size-current", 4),
            ("queue-size-peak", 4),
        ],
    );
    world.server(&[
        ("events-sent-total", 8),
        ("events-dropped-total", 2),
        ("event-queues-overflow-total", 2),
        ("event-queues-critical-count", 1),
    ]);
    world.pass(60_000);
    world.server(&[("event-queues-critical-count", 0), ("event-queues-warning-count", 1)]);
    let delivery = events.try_next().unwrap();
    assert_eq!(delivery.event().payload(), [3]);
    delivery.failed("broken pipe");
    drop(events.try_next());
    events.try_next().unwrap().delivered();
    assert_eq!(a.stat("last-event-type"), "chat");
    world.client("a", &[("network-errors", 2), ("queue-size-current", 1)]);
    world.server(&[
        ("event-delivery-attempts", 5),
        ("event-delivery-successes", 3),
        ("network-errors-total", 2),
    ]);
    let (a, _) = world.sessions.client_snapshot("a").unwrap();
    let raw = &a.raw;
    assert_eq!(
        raw.events_sent,
        a.events_received() + raw.events_dropped + raw.queue_size_current + a.failed_writes
    );
}

#[test]
fn others_are_told_who_comes_and_goes() {
    let world = world(|_| {});
    let a = world.sessions.connect(Some("a"));
    let mut events = a.observe().unwrap();
    world.sessions.connect(Some("b")).close(Cause::Graceful);
    world.server(&[("connect-events-sent", 1), ("disconnect-events-sent", 1)]);
    let (come, go) = (events.try_next().unwrap(), events.try_next().unwrap());
    assert_eq!((come.event().payload(), go.event().payload()), (&b"b"[..], &b"b"[..]));
    come.delivered();
    go.delivered();
    world.client("a", &[("connect-events-received", 1), ("disconnect-events-received", 1)]);
}

#[test]
fn a_policy_may_disconnect() {
    let world = world(|settings| {
        settings.queue_capacity = 1;
        settings.queue_policy = Policy::Disconnect;
    });
    let a = world.sessions.connect(Some("a"));
    let _events = a.observe();
    let event = Event::new(EventKind::SERVER, []);
    world.sessions.publish(&event);
    assert!(a.is_connected());
    world.sessions.publish(&event);
    assert!(!a.is_connected());
    world.server(&[("clients-disconnected-error", 1), ("events-dropped-total", 1)]);
}

#[test]
fn pieces_are_shared() {
    let world = world(|_| {});
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|id| world.sessions.connect(Some(id)));
    for (client, piece) in [(&a, "p1"), (&b, "p1"), (&b, "p2"), (&c, "p2"), (&d, "p3")] {
        assert!(client.subscribe(piece) && client.subscribe(piece));
    }
    let snapshot = world.sessions.snapshot();
    let analytics = compute_server_analytics(&snapshot, &Surroundings::default(), &Weights::default());
    assert_eq!(analytics.pieces_with_multiple_subscribers, 2);
    assert_eq!(analytics.collaborative_sessions_active, 1);
    assert!((analytics.collaborative_effectiveness.unwrap() - 2.0 / 3.0).abs() < 1e-9);
    world.server(&[("most-subscribed-piece-count", 2), ("piece-subscriptions-active", 5)]);

    let mut events = c.observe().unwrap();
    assert_eq!(world.sessions.publish(&Event::of_piece("p2", *b"x")).recipients, 1);
    events.try_next().unwrap().delivered();
    world.server(&[("piece-events-sent", 1), ("resource-events-sent", 1)]);
    world.client("c", &[("piece-events-received", 1)]);

    assert!(b.unsubscribe("p1") && !b.unsubscribe("p1"));
    world.client(
        "b",
        &[("subscription-add-count", 2), ("subscription-remove-count", 1), ("peak-subscription-count", 2)],
    );
    b.close(Cause::Graceful);
    world.client("b", &[("subscription-remove-count", 2)]);
    world.server(&[
        ("piece-subscriptions-total", 5),
        ("piece-subscriptions-active", 3),
        ("piece-subscriptions-peak", 5),
        ("subscription-changes-total", 7),
    ]);
}

#[test]
fn errors_have_categories_at_both_levels() {
    let world = world(|_| {});
    let a = world.sessions.connect(Some("a"));
    world.pass(1_000);
    a.error(Category::Serialization, "no message");
    a.error(Category::Conversion, "no such value");
    world.call(&a, 3_000, Outcome::Status(504));
    world.call(&a, 0, Outcome::Status(500));
    world.pass(2_000);
    world.server(&[
        ("serialization-errors-total", 1),
        ("conversion-errors-total", 1),
        ("timeout-errors-total", 1),
        ("internal-errors-total", 1),
        ("server-errors-total", 2),
        ("client-errors-total", 0),
        ("error-free-duration-ms", 2_000),
        ("longest-error-free-period-ms", 3_000),
    ]);
    world.client("a", &[("serialization-errors", 1), ("conversion-errors", 1), ("timeout-errors", 1)]);
    assert_eq!(a.stat("last-error-message"), "HTTP 500");
    assert_eq!(world.sessions.snapshot().http_errors, [(500, 1), (504, 1)]);
}

#[test]
fn values_of_a_client_follow() {
    let world = world(|_| {});
    let a = world.sessions.connect(Some("a"));
    let analytics = || {
        let (snapshot, details) = world.sessions.client_snapshot("a").unwrap();
        compute_client_analytics(&snapshot, &details, None, &Weights::default())
    };
    let before = analytics();
    assert_eq!((before.api_success_rate, before.response_time_range_ms), (None, None));
    assert!((before.client_health_score - 100.0).abs() < 1e-9);
    world.client("a", &[("fastest-api-call-ms", UNMEASURED)]);
    world.call(&a, 5, Outcome::Status(200));
    world.call(&a, 120, Outcome::Status(404));
    (0..13).for_each(|_| world.call(&a, 10, Outcome::Status(200)));
    world.pass(745);
    let after = analytics();
    assert!((after.api_success_rate.unwrap() - 14.0 / 15.0).abs() < 1e-12);
    assert_eq!(after.response_time_range_ms, Some(115));
    assert_eq!(after.connection_duration_ms, 1_000);
    assert_eq!(after.api_call_frequency_hz, Some(15.0));
    assert_eq!(after.api_method_usage_map, [("pkg.Service/Do".into(), 15)]);
    let calm = (1_000.0 - 125.0) / 300_000.0;
    let expected = 100.0 * (0.4 * 14.0 / 15.0 + 0.3 + 0.2 + 0.1 * calm);
    assert!((after.client_health_score - expected).abs() < 1e-9);
}

#[test]
fn values_of_a_server_follow() {
    let world = world(|_| {});
    let a = world.sessions.connect(Some("a"));
    (0..9_000).for_each(|_| world.call(&a, 0, Outcome::Grpc(0)));
    for _ in 0..15 {
        a.subscribe("p");
        a.unsubscribe("p");
    }
    world.pass(7_200_000);
    let snapshot = world.sessions.snapshot();
    let surroundings = Surroundings { cpu: Some(0.5), busy: Some(1.0), ..Surroundings::default() };
    let analytics = compute_server_analytics(&snapshot, &surroundings, &Weights::default());
    assert_eq!(analytics.server_uptime_ms, 7_200_000);
    assert_eq!(analytics.api_calls_per_hour, Some(4_500.0));
    assert_eq!(analytics.subscription_churn_rate_per_hour, Some(15.0));
    assert_eq!(analytics.api_peak_calls_per_minute, 9_000);
    assert!((analytics.server_health_score - 100.0).abs() < 1e-9);
    // What is not known is left out: (0.35 × 0.5 + 0.20 × 1 + 0.20 × 0) / 0.75.
    assert!((analytics.system_load_score - 50.0).abs() < 1e-9, "{}", analytics.system_load_score);

    assert!(world.sessions.derive("failures-per-call", |snapshot| {
        Some(snapshot.raw.api_calls_failure as f64 / snapshot.raw.api_calls_total as f64)
    }));
    assert_eq!(world.sessions.derived(&snapshot), [("failures-per-call".to_owned(), Some(0.0))]);
}

#[test]
fn limits_are_kept_and_counted() {
    let world = world(|settings| {
        (settings.clients_max, settings.finished_max, settings.methods_max) = (2, 1, 1);
        (settings.kinds_max, settings.pieces_per_client, settings.pieces_max) = (1, 2, 3);
        settings.accessed_max = 2;
    });
    let sessions = &world.sessions;
    let (a, b) = (sessions.connect(Some("a")), sessions.connect(Some("b")));
    let c = sessions.connect(Some("c"));
    assert_eq!(c.id(), OVERFLOW_CLIENT);
    c.call(&sessions.method("m1")).finish(Outcome::Grpc(0));
    c.call(&sessions.method("m2")).finish(Outcome::Grpc(0));
    world.server(&[("api-calls-total", 2), ("clients-connected-total", 2), ("clients-connected-current", 2)]);
    world.client(OVERFLOW_CLIENT, &[("api-calls-total", 2)]);
    assert_ne!(sessions.kind("one"), sessions.kind("two"));
    assert!(a.subscribe("1") && a.subscribe("2") && !a.subscribe("3"));
    assert!(b.subscribe("3") && !b.subscribe("4"));
    a.call(&sessions.method("m1")).piece("5");
    let limits = sessions.snapshot().limits;
    let expected = [
        ("clients", 1),
        ("methods", 1),
        ("event-kinds", 1),
        ("queue-length", 0),
        ("subscriptions", 2),
        ("pieces-remembered", 1),
        ("errors-remembered", 0),
    ];
    assert_eq!(limits, expected);
    a.close(Cause::Graceful);
    b.close(Cause::Graceful);
    c.close(Cause::Graceful);
    assert!(sessions.client_snapshot("a").is_none());
    let (b, details) = sessions.client_snapshot("b").unwrap();
    assert_eq!((b.gone.map(|(_, cause)| cause), details.accessed.len()), (Some(Cause::Graceful), 1));
    world.server(&[("clients-disconnected-total", 2)]);
}

#[test]
fn the_silent_are_swept_and_the_past_is_handed_on() {
    let world = world(|_| {});
    let (silent, talks) = (world.sessions.client("silent"), world.sessions.client("talks"));
    world.pass(60_000);
    talks.call(&world.sessions.method("m")).finish(Outcome::Grpc(0));
    assert_eq!(world.sessions.sweep(Duration::from_secs(60)), 1);
    assert!(!silent.is_connected() && talks.is_connected());
    world.server(&[("clients-disconnected-timeout", 1), ("server-restart-count", 0)]);

    let lifetime = world.sessions.lifetime().restarted();
    let clock = Clock::stopped(Timestamp(START.cast_signed()));
    let again = Sessions::register(&Registry::new(), Settings::default(), lifetime, clock).unwrap();
    assert_eq!(again.server_stat("server-restart-count"), 1);
    assert_eq!(again.server_stat("server-start-time"), START);
}
