//! Our side: each way to record, by handles as an application holds them.

use std::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Instant,
};

use barograph::{
    Counter, FloatCounter, Gauge, Histogram, Label, LabelSet, Meter, Static, StaticEnumFamily, StaticFamily,
    Timer,
};

use crate::{
    Case, allocations, case,
    values::{LITERALS, strings},
};

pub const NAME: &str = "barograph";

static COUNTER: Static<Counter> = Static::counter("calls_total", "Calls.");
static FLOAT_COUNTER: Static<FloatCounter> = Static::float_counter("spent_seconds_total", "Time spent.");
static GAUGE: Static<Gauge> = Static::gauge("depth", "Depth.");
static ONE_VALUE: Static<Histogram> = Static::histogram("narrow_seconds", "One value.");
static HISTOGRAM: Static<Histogram> = Static::histogram("wide_seconds", "Values of a service.");
static METER: Static<Meter> = Static::meter("events_total", "Events.");
static TIMED: Static<Timer> = Static::timer("timed", "Time taken.");
static LITERAL: StaticFamily<Counter, 2> =
    StaticFamily::counter("literal_calls_total", "Calls by literals.", ["method", "status"]);
static DYNAMIC: StaticFamily<Counter, 2> =
    StaticFamily::counter("dynamic_calls_total", "Calls by texts.", ["method", "route"]);
static ENUM: StaticEnumFamily<Counter, Reply> =
    StaticEnumFamily::counter("enum_calls_total", "Calls by enums.");

#[derive(Clone, Copy, Label)]
enum Method {
    Get,
    Post,
    Delete,
}

#[derive(Clone, Copy, Label)]
enum Outcome {
    Ok,
    NotFound,
    Error,
}

#[derive(Clone, Copy, LabelSet)]
struct Reply {
    method: Method,
    outcome: Outcome,
}

const REPLIES: [Reply; 4] = [
    Reply { method: Method::Get, outcome: Outcome::Ok },
    Reply { method: Method::Post, outcome: Outcome::Ok },
    Reply { method: Method::Get, outcome: Outcome::NotFound },
    Reply { method: Method::Delete, outcome: Outcome::Error },
];

/// Allocations during look-ups of labels that had been seen.
static ALLOCATED: AtomicU64 = AtomicU64::new(0);

pub fn cases(values: &'static [f64; 1024]) -> Vec<Case> {
    let texts = strings();
    vec![
        case("counter", NAME, |_| COUNTER.inc()),
        case("histogram", NAME, |i| HISTOGRAM.record(values[i as usize % 1024])),
        case("two static str labels", NAME, |i| LITERAL.with_literals(LITERALS[i as usize % 4]).inc()),
        case("two str labels", NAME, |i| {
            DYNAMIC.with(texts[i as usize % 4].each_ref().map(String::as_str)).inc()
        }),
        case("enum family", NAME, |i| ENUM.with(black_box(REPLIES[i as usize % 4])).inc()),
        case("clock", NAME, |_| {
            black_box(Instant::now().elapsed());
        }),
        case("timer", NAME, |_| {
            TIMED.start().stop();
        }),
        case("meter", NAME, |_| METER.mark()),
        case("gauge set", NAME, |i| GAUGE.set(f64::from(i))),
        case("float counter", NAME, |i| FLOAT_COUNTER.add(f64::from(i))),
        case("histogram, one value", NAME, |_| ONE_VALUE.record(black_box(0.0123))),
    ]
}

/// Whether look-ups of labels that this thread has seen allocate nothing.
pub fn nothing_was_allocated() -> bool {
    let texts = strings();
    let look_up = |i: usize| {
        LITERAL.with_literals(LITERALS[i % 4]).inc();
        DYNAMIC.with(texts[i % 4].each_ref().map(String::as_str)).inc();
        ENUM.with(REPLIES[i % 4]).inc();
        HISTOGRAM.record(0.01);
    };
    (0..4).for_each(look_up);
    let before = allocations::count();
    (0..100_000).for_each(look_up);
    ALLOCATED.store(allocations::count() - before, Relaxed);
    ALLOCATED.load(Relaxed) == 0
}
