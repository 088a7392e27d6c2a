//! What is recorded of requests, however they end.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

fn requests() -> Requests {
    Requests::register(&Registry::new()).unwrap()
}

/// The failures of a class.
fn errors(figures: &RequestFigures, class: ErrorClass) -> u64 {
    figures.errors.iter().find(|(name, _)| name == class.as_str()).map_or(0, |(_, count)| *count)
}

#[test]
fn every_end_is_recorded_once() {
    let requests = requests();
    requests.begin("GET", "/a").finish(Outcome::Status(200));
    requests.begin("GET", "/a").finish(Outcome::Status(404));
    requests.begin("POST", "/b").finish(Outcome::Failed(ErrorClass::Timeout));
    requests.begin("POST", "/b").finish(Outcome::Grpc(13));
    requests.begin("POST", "/b").finish(Outcome::Failed(ErrorClass::Custom("quota")));
    drop(requests.begin("POST", "/b"));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _request = requests.begin("POST", "/b");
        panic!("in a handler");
    }));
    assert!(panicked.is_err());
    let open = requests.begin("GET", "/a");
    let figures = requests.figures();
    assert_eq!((figures.total, figures.failed, figures.succeeded, figures.in_flight), (7, 6, 1, 1));
    for class in ErrorClass::BUILT_IN {
        assert_eq!(errors(&figures, class), u64::from(class != ErrorClass::Connection), "{class}");
    }
    assert_eq!(errors(&figures, ErrorClass::Custom("quota")), 1);
    open.finish(Outcome::Status(200));
    assert_eq!(requests.figures().in_flight, 0);
}

#[test]
fn series_are_of_routes() {
    let registry = Registry::new();
    let requests = Requests::register(&registry).unwrap();
    for status in [200, 200, 503] {
        requests.record("GET", "/users/{id}", status, Duration::from_millis(30));
    }
    requests.begin_unrouted("GET", "/secret?x=1").finish(Outcome::Status(404));
    assert_eq!(requests.unrouted(), [("/secret".to_owned(), 1)]);
    let text = registry.expose(crate::exposition::Format::Text004);
    for line in [
        "http_requests_total{method=\"GET\",route=\"/users/{id}\",status=\"200\"} 2\n",
        "http_requests_total{method=\"GET\",route=\"/users/{id}\",status=\"503\"} 1\n",
        "http_requests_total{method=\"GET\",route=\"none\",status=\"404\"} 1\n",
        "http_request_errors_total{error_class=\"server\"} 1\n",
        "http_request_errors_total{error_class=\"panic\"} 0\n",
        "http_request_duration_seconds_bucket{le=\"0.025\",method=\"GET\",route=\"/users/{id}\"} 0\n",
        "http_request_duration_seconds_bucket{le=\"0.05\",method=\"GET\",route=\"/users/{id}\"} 3\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("secret"));
}

#[test]
fn two_registries_are_apart() {
    let (one, two) = (requests(), requests());
    one.record("GET", "/", 200, Duration::ZERO);
    assert_eq!((one.figures().total, two.figures().total), (1, 0));
}

#[test]
fn the_one_of_the_process_is_one() {
    let all: Vec<_> = std::thread::scope(|scope| {
        let spawn = |_| scope.spawn(|| std::ptr::from_ref(Requests::global()) as usize);
        let threads: Vec<_> = (0..100).map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(all.iter().all(|address| *address == all[0]));
}

#[test]
fn the_window_forgets_and_totals_do_not() {
    let registry = Registry::new();
    let requests = Requests::register(&registry).unwrap();
    registry.tick(crate::Timestamp(0));
    for i in 0..90 {
        requests.record("GET", "/a", 200, Duration::from_millis(10 + i));
    }
    for status in [404, 404, 404, 404, 404, 404, 500, 500, 500, 500] {
        requests.record("POST", "/b", status, Duration::from_millis(400));
    }
    registry.tick(crate::Timestamp(20_000));
    let figures = requests.figures();
    assert_eq!((figures.window.count, figures.window.per_second, figures.window_errors), (100, 5.0, 10));
    assert_eq!(figures.error_rate, 0.1);
    requests.set_client_errors_count(false);
    assert_eq!(requests.figures().error_rate, 0.04);
    let near = |is: Option<f64>, exact: f64| assert!((is.unwrap() - exact).abs() <= exact * 0.011, "{is:?}");
    near(figures.window.p50, 0.059);
    near(figures.window.p99, 0.4);
    near(figures.window.mean, 0.08905);
    assert_eq!(figures.buckets[0], (0.025, 16));

    registry.tick(crate::Timestamp(310_000));
    let later = requests.figures();
    assert_eq!((later.total, later.failed, later.buckets.clone()), (100, 10, figures.buckets));
    assert_eq!((later.window.count, later.window.p99, later.error_rate), (0, None, 0.0));
}

#[test]
fn routes_are_remembered_apart() {
    let (one, two) = (requests(), requests());
    // More than a thread remembers, some with equal ends, in two registries, twice.
    let routes: Vec<_> = (0..300).map(|i| format!("/resource/number/{i:03}/of/many")).collect();
    for route in routes.iter().chain(&routes) {
        one.begin("GET", route).finish(Outcome::Status(200));
        two.begin("PUT", route).finish(Outcome::Grpc(0));
    }
    for requests in [&one, &two] {
        assert!(routes.iter().all(|route| requests.by_route()[route] == 2));
        assert_eq!(requests.figures().in_flight, 0);
    }
}

#[test]
fn more_ends_than_are_remembered_are_counted() {
    let registry = Registry::new();
    let requests = Requests::register(&registry).unwrap();
    let ends = (400..420).map(Outcome::Status).chain((0..20).map(Outcome::Grpc));
    let ends = ends.chain(ErrorClass::BUILT_IN.map(Outcome::Failed));
    let ends: Vec<_> = ends.chain([Outcome::Failed(ErrorClass::Custom("quota"))]).collect();
    for end in ends.iter().chain(&ends) {
        requests.begin("GET", "/").finish(*end);
    }
    let text = registry.expose(crate::exposition::Format::Text004);
    let counted = |status: &str| {
        let line = format!("http_requests_total{{method=\"GET\",route=\"/\",status=\"{status}\"}} ");
        text.lines().find_map(|at| at.strip_prefix(&line)).map(|count| count.parse::<u64>().unwrap())
    };
    for (status, expected) in [("400", 2), ("419", 2), ("OK", 2), ("panic", 2), ("quota", 2), ("UNKNOWN", 8)]
    {
        assert_eq!(counted(status), Some(expected), "{status}");
    }
    assert_eq!(requests.figures().total, 2 * ends.len() as u64);
}

#[test]
fn what_is_over_the_cap_is_counted_together() {
    let requests = requests();
    let over = 10;
    for _ in 0..2 {
        for i in 0..crate::SERIES_MAX + over {
            requests.begin("GET", &format!("/{i}")).finish(Outcome::Status(200));
        }
    }
    let routes = requests.by_route();
    assert_eq!(routes.values().sum::<u64>(), requests.figures().total);
    assert_eq!((routes["/0"], routes.get(&format!("/{}", crate::SERIES_MAX + over - 1))), (2, None));
    assert!(routes[crate::OVERFLOW] >= 2 * over as u64);
}
