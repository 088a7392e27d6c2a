//! Series of families that nobody records into are left out, and are back with the next recording.

use std::time::Duration;

use barograph::{Registry, Timestamp, exposition::Format};

const MINUTE: i64 = 60_000;

fn lines(registry: &Registry, name: &str) -> Vec<String> {
    let text = registry.expose(Format::Text004);
    text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
}

#[test]
fn and_come_back_with_what_they_counted() {
    let registry = Registry::new();
    let visits = registry.counter("visits").family(["page"]).unwrap();
    let waits = registry.histogram("waits").bounds(&[1.0]).family(["page"]).unwrap();
    let depth = registry.gauge("depth").family(["queue"]).unwrap();
    let alone = registry.counter("alone").register().unwrap();
    depth.with(["a"]).set(1.0);
    alone.inc();
    let rare = visits.with(["rare"]);
    rare.add(2);
    waits.with(["rare"]).record(0.5);
    for minute in 0..=70 {
        visits.with(["often"]).inc();
        waits.with(["often"]).record(0.5);
        registry.tick(Timestamp(minute * MINUTE));
    }
    assert_eq!(lines(&registry, "visits"), ["visits_total{page=\"often\"} 71"]);
    assert!(!lines(&registry, "waits").iter().any(|line| line.contains("rare")));
    assert_eq!(lines(&registry, "depth").len() + lines(&registry, "alone").len(), 2);
    // A handle that somebody kept is still good, and shows at once.
    rare.inc();
    assert_eq!(lines(&registry, "visits").last().unwrap(), "visits_total{page=\"rare\"} 3");
    registry.tick(Timestamp(80 * MINUTE));
    assert_eq!(lines(&registry, "visits").len(), 2);
    registry.tick(Timestamp(150 * MINUTE));
    assert_eq!(lines(&registry, "visits").len(), 0);
    waits.with(["rare"]).record(0.5);
    assert!(lines(&registry, "waits").contains(&"waits_count{page=\"rare\"} 2".to_owned()));
}

#[test]
fn unless_the_time_is_zero() {
    let registry = Registry::new();
    registry.set_idle(Duration::ZERO);
    registry.counter("visits").family(["page"]).unwrap().with(["rare"]).inc();
    (0..100).for_each(|hour| registry.tick(Timestamp(hour * 60 * MINUTE)));
    assert_eq!(lines(&registry, "visits").len(), 1);
}
