//! A round: threads pinned to processors of their own that call the same thing at the same time.
//!
//! What counts is the time a thread was on a processor, of the thread that needed most; threads that sleep while they
//! wait for each other's lock are not charged for that. A round counts only if nothing disturbed it: no thread stood in
//! line for its processor, and they really overlapped.

use std::{
    hint::{black_box, spin_loop},
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use crate::{clock, common::on_processor};

/// The share of a round in which all threads have to be at it.
const TOGETHER_MIN: f64 = 0.9;
/// The share of a round that a thread may stand in line for its processor.
const IN_LINE_MAX: f64 = 0.05;
/// Calls before the clock starts: pages and caches are made then.
const WARM_UP: u32 = 5_000;

/// What a round found.
#[derive(Clone, Copy)]
pub struct Round {
    /// Nanoseconds a call.
    pub nanoseconds: f64,
    /// Whether threads ran all the time and together.
    pub undisturbed: bool,
}

struct Run {
    start: Instant,
    end: Instant,
    on_processor: Duration,
    in_line: Duration,
}

/// Runs `threads` threads of `calls` calls each.
pub fn run(threads: usize, calls: u32, call: &(impl Fn(u32) + Sync)) -> Round {
    let ready = AtomicUsize::new(0);
    let runs: Vec<Run> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|number| {
                let ready = &ready;
                scope.spawn(move || {
                    clock::pin(number);
                    (0..WARM_UP).for_each(call);
                    ready.fetch_add(1, SeqCst);
                    while ready.load(SeqCst) < threads {
                        spin_loop();
                    }
                    let in_line = clock::in_line();
                    let (start, before) = (Instant::now(), on_processor());
                    for i in 0..calls {
                        call(black_box(i));
                    }
                    let (on_processor, end) = (on_processor() - before, Instant::now());
                    Run { start, end, on_processor, in_line: clock::in_line() - in_line }
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().expect("no call panics")).collect()
    });
    let slowest = runs.iter().map(|run| run.on_processor).max().unwrap_or_default();
    Round { nanoseconds: slowest.as_secs_f64() * 1e9 / f64::from(calls), undisturbed: undisturbed(&runs) }
}

fn undisturbed(runs: &[Run]) -> bool {
    let all_started = runs.iter().map(|run| run.start).max();
    let first_ended = runs.iter().map(|run| run.end).min();
    let (Some(from), Some(to)) = (all_started, first_ended) else { return false };
    let together = to.saturating_duration_since(from).as_secs_f64();
    runs.iter().all(|run| {
        let took = (run.end - run.start).as_secs_f64();
        together >= TOGETHER_MIN * took && run.in_line.as_secs_f64() <= IN_LINE_MAX * took
    })
}
