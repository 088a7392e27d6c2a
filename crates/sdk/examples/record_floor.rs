//! What recording costs: nanoseconds a call, alone and with two threads on the same metric.
//!
//! `cargo run --release -p barograph --example record_floor`. Where the system tells how long a thread was on a
//! processor (Linux), that is what counts, else the time that went by; so a busy machine disturbs little. Each figure
//! is that of the best of several rounds, since disturbance only adds; with two threads, both start at a barrier and
//! the slower one counts. The first row is the loop itself, which is part of all others.

use std::{
    hint::black_box,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use barograph::{Counter, Error, FloatCounter, Gauge, Histogram, Registry, Static, StaticFamily};

const CALLS: u32 = 20_000_000;
const ROUNDS: usize = 9;

static STATIC: Static<Counter> = Static::counter("static_calls_total", "Calls through a static.");
static LABELLED: StaticFamily<Counter, 2> =
    StaticFamily::counter("labelled_calls_total", "Calls with two labels.", ["method", "status"]);

fn main() -> Result<(), Error> {
    let registry = Registry::new();
    let counter: Counter = registry.counter("calls_total").register()?;
    let float_counter: FloatCounter = registry.float_counter("spent_seconds_total").register()?;
    let gauge: Gauge = registry.gauge("depth").register()?;
    let narrow: Histogram = registry.histogram("narrow_seconds").register()?;
    let wide: Histogram = registry.histogram("wide_seconds").register()?;
    let values = durations();
    let methods = [["GET", "200"], ["POST", "200"], ["GET", "404"], ["DELETE", "500"]];

    println!("{:<28} {:>10} {:>10}", "ns a call", "1 thread", "2 threads");
    row("nothing", |_| {});
    row("counter", |_| counter.inc());
    row("counter, static", |_| STATIC.inc());
    row("counter of floats", |i| float_counter.add(f64::from(i)));
    row("gauge set", |i| gauge.set(f64::from(i)));
    row("histogram, one value", |_| narrow.record(black_box(0.0123)));
    row("histogram, spread values", |i| wide.record(values[i as usize % 1024]));
    row("two labels and a counter", |i| LABELLED.with(methods[i as usize % 4]).inc());
    Ok(())
}

/// Durations from some microseconds to seconds, most of them near 2 ms, from a fixed seed.
fn durations() -> [f64; 1024] {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut share = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    std::array::from_fn(|_| 0.002 * ((share() + share() + share() - 1.5) * 4.0).exp())
}

fn row(name: &str, call: impl Fn(u32) + Sync) {
    let best = |threads| (0..ROUNDS).map(|_| round(threads, &call)).fold(f64::INFINITY, f64::min);
    println!("{name:<28} {:>10.2} {:>10.2}", best(1), best(2));
}

/// Nanoseconds a call in one round, of the slowest thread.
fn round(threads: usize, call: &(impl Fn(u32) + Sync)) -> f64 {
    let barrier = Barrier::new(threads);
    let run = || {
        call(0);
        barrier.wait();
        elapsed(|| (0..CALLS).for_each(|i| call(black_box(i))))
    };
    let times = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running.into_iter().map(|thread| thread.join().expect("no call panics")).max()
    });
    times.unwrap_or_default().as_secs_f64() * 1e9 / f64::from(CALLS)
}

fn elapsed(work: impl FnOnce()) -> Duration {
    #[expect(clippy::disallowed_methods, reason = "a bench is about the clock")]
    let (start, start_on_processor) = (Instant::now(), on_processor());
    work();
    match (start_on_processor, on_processor()) {
        (Some(start), Some(end)) => end - start,
        _ => start.elapsed(),
    }
}

/// How long the calling thread was on a processor, if the system tells.
fn on_processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}
