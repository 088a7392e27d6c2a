//! Whatever clients do at once, and however they end, the statistics add up: at every moment what a reading promises,
//! and at rest everything.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use barograph::{
    Outcome,
    session::{Category, Cause, Event, EventKind, ServerSnapshot, Sessions, Settings},
};
use proptest::prelude::*;

/// What one client does, step by step.
#[derive(Clone, Copy, Debug)]
enum Step {
    Call(u8),
    Cancel,
    Panic,
    Error,
    Publish(u8),
    Deliver,
    Break,
    Subscribe(u8),
    Unsubscribe(u8),
    /// The connection ends, and another begins.
    Reconnect(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<u8>().prop_map(Step::Call),
        1 => Just(Step::Cancel),
        1 => Just(Step::Panic),
        1 => Just(Step::Error),
        4 => (0..6_u8).prop_map(Step::Publish),
        3 => Just(Step::Deliver),
        1 => Just(Step::Break),
        2 => (0..4_u8).prop_map(Step::Subscribe),
        1 => (0..4_u8).prop_map(Step::Unsubscribe),
        1 => (0..4_u8).prop_map(Step::Reconnect),
    ]
}

/// What holds in every reading.
fn check_always(snapshot: &ServerSnapshot, sessions: &Sessions, capacity: u64) {
    let raw = &snapshot.raw;
    assert_eq!(raw.api_calls_total, raw.api_calls_success + raw.api_calls_failure);
    assert!(raw.events_dropped_total <= raw.events_sent_total);
    assert!(raw.event_delivery_successes <= raw.event_delivery_attempts);
    assert!(raw.clients_connected_current <= raw.clients_connected_peak);
    assert!(raw.api_concurrent_calls_current <= raw.api_concurrent_calls_peak);
    assert!(raw.piece_subscriptions_active <= raw.piece_subscriptions_peak);
    for client in sessions.client_snapshots(true) {
        let raw = &client.raw;
        assert_eq!(raw.api_calls_total, raw.api_calls_success + raw.api_calls_failure);
        assert!(raw.events_dropped <= raw.events_sent);
        assert!(raw.queue_size_current <= raw.queue_size_peak && raw.queue_size_peak <= capacity);
        assert!(raw.concurrent_api_calls_current <= raw.concurrent_api_calls_peak);
        assert_eq!(raw.queue_offer_attempts, raw.queue_offer_successes + raw.queue_overflow_count);
    }
}

fn play(sessions: &Sessions, id: &str, steps: &[Step]) -> u64 {
    let mut calls = 0;
    let mut connection = sessions.connect(Some(id));
    let mut events = connection.observe();
    for step in steps {
        match *step {
            Step::Call(status) => {
                let mut call = connection.call(&sessions.method(&format!("m{}", status % 3)));
                call.received(u64::from(status));
                call.sent(10);
                call.finish(Outcome::Grpc(u32::from(status % 18)));
            }
            Step::Cancel => drop(connection.call(&sessions.method("m0"))),
            Step::Panic => {
                let panics = AssertUnwindSafe(|| {
                    let _call = connection.call(&sessions.method("m1"));
                    std::panic::resume_unwind(Box::new("as a handler would"));
                });
                assert!(catch_unwind(panics).is_err());
            }
            Step::Error => connection.error(Category::Conversion, "no such value"),
            Step::Publish(kind) => {
                let event = match kind {
                    0 => Event::new(EventKind::SERVER, *b"server"),
                    1 => Event::new(sessions.kind("own"), *b"own"),
                    piece => Event::of_piece(format!("p{piece}"), *b"piece"),
                };
                sessions.publish(&event);
            }
            Step::Deliver => {
                if let Some(delivery) = events.as_mut().and_then(|events| events.try_next()) {
                    delivery.delivered();
                }
            }
            Step::Break => drop(events.as_mut().and_then(|events| events.try_next())),
            Step::Subscribe(piece) => {
                connection.subscribe(&format!("p{piece}"));
            }
            Step::Unsubscribe(piece) => {
                connection.unsubscribe(&format!("p{piece}"));
            }
            Step::Reconnect(how) => {
                match how {
                    0 => connection.close(Cause::Graceful),
                    1 => connection.close(Cause::Timeout),
                    2 => drop(connection),
                    _ => {
                        // Somebody else is quicker.
                        connection.disconnect(Cause::Error);
                        connection.close(Cause::Graceful);
                    }
                }
                connection = sessions.connect(Some(id));
                events = connection.observe();
            }
        }
        calls += u64::from(matches!(step, Step::Call(_) | Step::Cancel | Step::Panic));
    }
    drop(events);
    drop(connection);
    calls
}

/// What holds at rest, with nobody connected any more and all clients still known.
fn check_at_rest(sessions: &Sessions, calls: u64) {
    let snapshot = sessions.snapshot();
    let raw = &snapshot.raw;
    assert_eq!(raw.api_calls_total, calls);
    assert_eq!((raw.api_concurrent_calls_current, raw.clients_connected_current), (0, 0));
    assert_eq!(raw.piece_subscriptions_active, 0);
    assert_eq!(raw.clients_connected_total, raw.clients_disconnected_total);
    let causes =
        raw.clients_disconnected_graceful + raw.clients_disconnected_error + raw.clients_disconnected_timeout;
    assert_eq!(raw.clients_disconnected_total, causes);
    let kinds = raw.server_events_sent
        + raw.piece_events_sent
        + raw.connect_events_sent
        + raw.disconnect_events_sent
        + snapshot.other_events_sent;
    assert_eq!(raw.events_sent_total, kinds);
    let bytes = raw.bytes_api_requests_total + raw.bytes_api_responses_total + raw.bytes_events_total;
    assert_eq!(raw.bytes_transferred_total, bytes);
    let by_method: u64 = snapshot.methods.iter().map(|method| method.calls()).sum();
    assert_eq!(by_method, calls);
    let subscribed = raw.subscription_changes_total - raw.piece_subscriptions_total;
    assert_eq!(subscribed, raw.piece_subscriptions_total);
    let clients = sessions.client_snapshots(true);
    assert_eq!(clients.len() as u64, raw.clients_connected_total);
    let sum = |of: fn(&barograph::session::ClientSnapshot) -> u64| clients.iter().map(of).sum::<u64>();
    assert_eq!(sum(|client| client.raw.api_calls_success), raw.api_calls_success);
    assert_eq!(sum(|client| client.raw.events_sent), raw.events_sent_total);
    assert_eq!(sum(|client| client.raw.events_dropped), raw.events_dropped_total);
    assert_eq!(sum(|client| client.raw.bytes_sent + client.raw.bytes_received), raw.bytes_transferred_total);
    assert_eq!(sum(|client| client.raw.conversion_errors), raw.conversion_errors_total);
    assert_eq!(sum(|client| client.raw.subscription_add_count), raw.piece_subscriptions_total);
    for client in &clients {
        let raw = &client.raw;
        let arrived = client.events_received() + raw.events_dropped + client.failed_writes;
        assert_eq!(raw.events_sent, arrived + raw.queue_size_current, "{}", client.id);
        assert_eq!(raw.concurrent_api_calls_current, 0);
        assert_eq!(
            (raw.bytes_sent, raw.bytes_received),
            (raw.bytes_api_responses + raw.bytes_events, raw.bytes_api_requests)
        );
        assert_eq!(raw.subscription_add_count, raw.subscription_remove_count);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn clients_at_once(plans in prop::collection::vec(prop::collection::vec(step(), 20..120), 2..5)) {
        let mut settings = Settings::default();
        (settings.queue_capacity, settings.finished_max) = (3, usize::MAX);
        let sessions = Sessions::new(settings);
        let over = AtomicBool::new(false);
        let calls = thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                while !over.load(Relaxed) {
                    check_always(&sessions.snapshot(), &sessions, 3);
                }
            });
            let sessions = &sessions;
            let players: Vec<_> = plans
                .iter()
                .enumerate()
                .map(|(i, steps)| scope.spawn(move || play(sessions, &format!("c{i}"), steps)))
                .collect();
            let calls = players.into_iter().map(|player| player.join().unwrap()).sum();
            over.store(true, Relaxed);
            watcher.join().unwrap();
            calls
        });
        check_at_rest(&sessions, calls);
    }
}

#[test]
fn nothing_is_lost_under_contention() {
    let sessions = Sessions::new(Settings::default());
    let client = sessions.client("all");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    let mut call = client.call(&sessions.method("m"));
                    call.sent(3);
                    call.finish(Outcome::Grpc(0));
                }
            });
        }
    });
    assert_eq!(sessions.server_stat("api-calls-total"), 80_000);
    assert_eq!(sessions.client_stat("all", "api-calls-success"), 80_000);
    assert_eq!(sessions.server_stat("bytes-api-responses-total"), 240_000);
    assert_eq!(sessions.server_stat("api-concurrent-calls-current"), 0);
    assert_eq!(sessions.snapshot().methods[0].success, 80_000);
}
