//! The store under one seed: a history of random work on a disk that fails, against a model that is a map.
//!
//! 1. [`History`]: what happens, as plain data made from a seed ([`mod@history`]).
//! 2. [`play`]: performs it on a store over a `MemoryDisk` and compares ([`mod@world`]) with what must be there
//!    ([`mod@model`]).
//! 3. [`shrink`](shrink::shrink): of a history that fails, the fewest operations that still do.
//!
//! Held at every crash point: no acknowledged sample is lost; every sample that is read was appended, with exactly
//! its value; samples of a series come in order, each once; nothing panics; the store opens again and goes on. Where
//! the history flips bits, what is missing must have been reported.
//!
//! `cargo xtask sim --seeds N` runs many, `--seed S` one.

mod further;
pub mod history;
mod maker;
pub mod model;
pub mod shrink;
mod tiers;
pub mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use history::{History, Op};
pub use model::{Failure, Violation};
pub use world::Totals;

use world::World;

/// Performs a history; what was done, and the failure that ended it early with the index of its operation.
pub fn play(history: &History) -> (Totals, Result<(), (usize, Failure)>) {
    let mut totals = Totals::default();
    let mut at = 0;
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(history, &mut totals)?;
        for (index, op) in history.ops.iter().enumerate() {
            at = index;
            world.perform(op)?;
        }
        at = history.ops.len();
        world.finish()
    }));
    let outcome = played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(Failure { violation: Violation::Panic, text: format!("panic: {text}") })
    });
    totals.seeds = 1;
    (totals, outcome.map_err(|failure| (at, failure)))
}
