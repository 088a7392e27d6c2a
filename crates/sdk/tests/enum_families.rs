//! Families by labels that are enums: each combination has its series, found by index.

use barograph::{Counter, Histogram, Label, LabelSet, Registry, StaticEnumFamily, exposition::Format};

#[derive(Clone, Copy, Label)]
enum Method {
    #[label(rename = "GET")]
    Get,
    #[label(rename = "POST")]
    Post,
}

#[derive(Clone, Copy, Label)]
#[label(rename = "class")]
enum Outcome {
    Ok,
    NotFound,
    ServerError,
}

#[derive(Clone, Copy, LabelSet)]
struct Reply {
    #[label(rename = "http.method")]
    method: Method,
    class: Outcome,
}

const OUTCOMES: [Outcome; 3] = [Outcome::Ok, Outcome::NotFound, Outcome::ServerError];

#[test]
fn each_combination_is_a_series_of_its_own() {
    let registry = Registry::new();
    let replies = registry.counter("replies").label("site", "a").enum_family::<Reply>().unwrap();
    for (i, method) in [Method::Get, Method::Post].into_iter().enumerate() {
        for class in OUTCOMES {
            for _ in 0..2 {
                replies.with(Reply { method, class }).add(10 * i as u64 + Label::index(class) as u64);
            }
        }
    }
    let text = registry.expose(Format::Text004);
    for (labels, value) in [
        ("class=\"ok\",http_method=\"GET\"", 0),
        ("class=\"not_found\",http_method=\"GET\"", 2),
        ("class=\"server_error\",http_method=\"GET\"", 4),
        ("class=\"ok\",http_method=\"POST\"", 20),
        ("class=\"not_found\",http_method=\"POST\"", 22),
        ("class=\"server_error\",http_method=\"POST\"", 24),
    ] {
        let line = format!("replies_total{{{labels},site=\"a\"}} {value}\n");
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    let by_text = registry.counter("replies").label("site", "a").family(["http_method", "class"]).unwrap();
    by_text.with(["GET", "ok"]).inc();
    assert_eq!(replies.with(Reply { method: Method::Get, class: Outcome::Ok }).value(), 1);
}

#[test]
fn the_cap_holds_here_too() {
    let registry = Registry::new();
    let outcomes = registry.counter("capped").series_max(2).enum_family::<Outcome>().unwrap();
    OUTCOMES.into_iter().for_each(|outcome| outcomes.with(outcome).inc());
    let text = registry.expose(Format::Text004);
    assert!(text.contains("capped_total{class=\"__overflow__\"} 1\n"), "{text}");
    assert!(!text.contains("server_error"), "{text}");
}

static WAITS: StaticEnumFamily<Histogram, Method> = StaticEnumFamily::histogram("enum.wait", "Time waited.");
static BAD: StaticEnumFamily<Counter, Method> = StaticEnumFamily::counter("enum wait", "Bad.");

#[test]
fn statics_register_themselves_and_never_fail_the_program() {
    WAITS.with(Method::Post).record(0.5);
    BAD.with(Method::Get).inc();
    let text = Registry::global().expose(Format::Text004);
    assert!(text.contains("enum_wait_count{method=\"POST\"} 1\n"), "{text}");
    assert_eq!(Registry::global().problems().len(), 1);
}
