//! Runs the histories of a row of seeds on several threads and prints what came of it.
//!
//! `barograph-sim FROM COUNT THREADS`; `cargo xtask sim` calls it. The last line of the output has the totals as
//! `name=value`. A failing seed is printed with the command that repeats it and the shortest history that fails so.

use std::{
    cell::Cell,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use barograph_sim::{History, Totals, Violation, play, shrink::shrink};

/// Failing seeds that are made shorter and printed; of further ones only the number.
const PRINTED_MAX: u64 = 3;

thread_local! {
    static PANIC_AT: Cell<String> = const { Cell::new(String::new()) };
}

#[derive(Default)]
struct Outcome {
    totals: Totals,
    failed: u64,
    lost: u64,
    phantoms: u64,
}

fn main() -> ExitCode {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let [from, count, threads] = numbers[..] else {
        eprintln!("usage: barograph-sim FROM COUNT THREADS");
        return ExitCode::FAILURE;
    };
    std::panic::set_hook(Box::new(|info| {
        PANIC_AT.set(info.location().map(ToString::to_string).unwrap_or_default());
    }));
    let next = AtomicU64::new(from);
    let outcome = Mutex::new(Outcome::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, 256) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from.saturating_add(count) {
                        break;
                    }
                    run(seed, &outcome);
                }
            });
        }
    });
    let outcome = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    let Totals { seeds, operations, crash_points, acknowledged, compared, damages } = outcome.totals;
    let Outcome { failed, lost, phantoms, .. } = outcome;
    println!(
        "seeds={seeds} operations={operations} crash_points={crash_points} acknowledged={acknowledged} \
         compared={compared} damages={damages} failed={failed} lost={lost} phantoms={phantoms}"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(seed: u64, outcome: &Mutex<Outcome>) {
    let history = History::new(seed);
    let (totals, played) = play(&history);
    let panic_at = PANIC_AT.take();
    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
    outcome.totals.add(&totals);
    let Err((at, failure)) = played else { return };
    outcome.failed += 1;
    outcome.lost += u64::from(failure.violation == Violation::Lost);
    outcome.phantoms += u64::from(failure.violation == Violation::Phantom);
    println!("seed {seed} fails at operation {at}: {:?}: {} {panic_at}", failure.violation, failure.text);
    println!("to repeat it: cargo xtask sim --seed {seed}");
    if outcome.failed > PRINTED_MAX {
        return;
    }
    let shortest = shrink(&history, failure.violation);
    if let (_, Err((at, failure))) = play(&shortest) {
        print!("{shortest}");
        println!("fails at operation {at}: {:?}: {}", failure.violation, failure.text);
    }
}
