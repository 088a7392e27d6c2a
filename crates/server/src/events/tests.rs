//! Events as subscribers see them: in order, once, with a mark where some are missing.

use barograph::session::{Cause, Settings};
use barograph_model::Timestamp;
use serde_json::json;

use super::*;
use crate::clock::Clock;

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000)
    }

    fn monotonic(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }
}

const FIRST: u64 = 1_700_000_000_000_000;

fn events() -> Events {
    let mut settings = Settings::default();
    settings.announce = false;
    Events::new(&Sessions::new(settings), Arc::new(Stopped))
}

fn topics(text: &str) -> Vec<Topic> {
    text.split(' ').map(|topic| topic.parse().unwrap()).collect()
}

/// What a subscriber is told now, one word each: `topic:number` of an event, `?count` of a mark.
fn told(subscription: &mut Subscription) -> String {
    let mut words = Vec::new();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    while let std::task::Poll::Ready(Some(told)) = subscription.poll_next(&mut context) {
        words.push(match told {
            Told::Event(event) => format!("{}:{}", event.topic, event.id - FIRST),
            Told::Missed(missed) if missed.exact => format!("?{}", missed.count),
            Told::Missed(missed) => format!("?{}+", missed.count),
        });
    }
    words.join(" ")
}

#[test]
fn who_listens_is_told_once_and_in_order() {
    let events = events();
    let mut one = events.subscribe(Subscriber::Named("one"), &topics("user/a user"), None).unwrap();
    let mut other = events.subscribe(Subscriber::Named("one"), &topics("user/b alerts"), None).unwrap();
    assert_eq!((one.client().id(), other.client().id()), ("one", "one#2"));
    for (bus, topic) in [(Bus::User, "a"), (Bus::User, "b"), (Bus::Alerts, "x"), (Bus::Health, "x")] {
        events.publish(bus, topic, "e", &json!({"n": 1}));
    }
    assert_eq!(told(&mut one), "a:0 b:1");
    assert_eq!(told(&mut other), "b:1 x:2");
    assert!(events.wanted(Bus::User, "c") && !events.wanted(Bus::Health, "x"));
    events.remove(&other, &topics("alerts"));
    events.publish(Bus::Alerts, "x", "e", &json!(null));
    assert_eq!(told(&mut other), "");
    other.end(Cause::Graceful);
    drop(one);
    let sessions = events.sessions();
    assert_eq!(sessions.server_stat("clients-disconnected-graceful"), 1);
    assert_eq!(sessions.server_stat("clients-disconnected-error"), 1);
    assert_eq!(sessions.server_stat("clients-connected-current"), 0);
}

#[test]
fn who_comes_back_gets_what_it_missed() {
    let events = events();
    let publish = |topic: &str, count: usize| {
        (0..count).for_each(|_| events.publish(Bus::User, topic, "e", &json!({})));
    };
    publish("a", 2);
    publish("b", 1);
    publish("a", 1);
    let check = |after: u64, wanted: &str, expected: &str| {
        let mut subscription = events.subscribe(Subscriber::At("it"), &topics(wanted), Some(after)).unwrap();
        assert_eq!(told(&mut subscription), expected, "{wanted} after {after}");
    };
    check(FIRST, "user/a", "a:1 a:3");
    check(FIRST, "user user/a", "a:1 b:2 a:3");
    check(FIRST + 3, "user", "");
    check(0, "user/b", "b:2");
    check(FIRST - 1, "user/b", "b:2");
    check(7, "user/b", "?0+ b:2");
    check(FIRST + 4, "user/b", "?0+ b:2");
    publish("a", KEPT_MAX - 1);
    let mut missed = events.subscribe(Subscriber::At("it"), &topics("user/a"), Some(FIRST)).unwrap();
    assert!(told(&mut missed).starts_with("?1 a:3 a:4 "));
    publish("a", KEPT_MAX);
    let mut missed = events.subscribe(Subscriber::At("it"), &topics("user/a"), Some(FIRST)).unwrap();
    assert!(told(&mut missed).starts_with("?1024+ "));
}

#[test]
fn a_slow_reader_misses_exactly_what_is_counted() {
    let events = events();
    let mut slow = events.subscribe(Subscriber::Named("slow"), &topics("user/a"), None).unwrap();
    let mut quick = events.subscribe(Subscriber::Named("quick"), &topics("user/a"), None).unwrap();
    for i in 0..1_100 {
        events.publish(Bus::User, "a", "e", &json!({"n": i}));
        assert_eq!(told(&mut quick), format!("a:{i}"));
    }
    assert!(told(&mut slow).starts_with("?76 a:76 a:77 "));
    let stat = |client: &str, name: &str| events.sessions().client_stat(client, name);
    assert_eq!(stat("slow", "events-sent"), 1_100);
    assert_eq!(stat("slow", "events-dropped"), 76);
    assert_eq!(stat("quick", "events-dropped"), 0);
}

#[test]
fn what_is_kept_is_bounded() {
    let events = events();
    let large = "x".repeat(KEPT_BYTES_MAX / 40);
    for i in 0..100 {
        events.publish(Bus::User, &format!("t{i}"), "e", &large);
    }
    let kept = events.counts().kept_bytes;
    assert!(kept <= KEPT_BYTES_MAX && kept > KEPT_BYTES_MAX / 2);
    for i in 0..TOPICS_MAX + 10 {
        events.publish(Bus::Alerts, &format!("t{i}"), "e", &json!({}));
    }
    assert_eq!(events.counts().unkept, 10);
    assert!(matches!(
        events.publish_user(None, "t1", None, &[b'1'; EVENT_BYTES_MAX + 1]),
        Err(Unpublished::TooLarge(_))
    ));
    assert!(matches!(events.publish_user(None, "t/1", None, b"1"), Err(Unpublished::BadTopic(_))));
    assert!(matches!(events.publish_user(None, "t1", Some("missed"), b"1"), Err(Unpublished::BadName)));
    assert!(matches!(events.publish_user(None, "t1", None, b"{"), Err(Unpublished::BadJson(_))));
    (100..TOPICS_MAX).for_each(|i| assert!(events.publish_user(None, &format!("t{i}"), None, b"1").is_ok()));
    assert!(matches!(events.publish_user(None, "new", None, b"1"), Err(Unpublished::TooManyTopics(_))));
    assert!(events.publish_user(None, "t1", None, b"1").is_ok());
    let counts = events.counts();
    assert_eq!(
        (counts.refused, counts.published),
        (1, [0, 0, TOPICS_MAX as u64 + 10, 0, TOPICS_MAX as u64 + 1])
    );
}
