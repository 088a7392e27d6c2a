//! Recording, in every order in which threads may take their steps.
//!
//! The modules of the SDK in which threads meet without a lock are compiled here once more, the same files, with types
//! of [`loom`] in place of those of the standard library ([`mod@sync`]) and small [`sizes`]. A model is a function that
//! starts two or three threads; loom runs it again and again, each time with another order of their steps and another
//! choice of what a load may see under the memory model, until there is none left (with up to [`PREEMPTIONS`] moments
//! at which a thread has to wait that need not).
//!
//! | models of | |
//! |---|---|
//! | [`totals`] | counters, gauges, and shards that change hands |
//! | [`histograms`] | cells of distributions: octaves made, carries, readings |
//! | [`places`] | pages, series and exemplars that several threads come to first |
//!
//! Loom does not try everything: it has no loads that see later stores of their own making, and the order of stores to
//! one place is mostly that in which they were performed.

// The unit tests of those files are no models, and want another sync.
#![cfg(not(test))]

#[expect(dead_code, unreachable_pub, reason = "models need a part of it, and nobody else any")]
#[path = "../../crates/sdk/src/distribution/mod.rs"]
mod distribution;
#[expect(dead_code, unreachable_pub, reason = "models need a part of it, and nobody else any")]
#[path = "../../crates/sdk/src/exemplar.rs"]
mod exemplar;
#[expect(dead_code, unreachable_pub, reason = "models need a part of it, and nobody else any")]
#[path = "../../crates/sdk/src/handle.rs"]
mod handle;
#[path = "../../crates/sdk/src/shard.rs"]
mod shard;
#[path = "../../crates/sdk/src/slab.rs"]
mod slab;

pub mod histograms;
pub mod places;
mod sizes;
mod sync;
pub mod totals;

use exemplar::Trace;
use handle::{Counter, FloatCounter, Gauge, Histogram, UpDownCounter};
use sync::thread;

/// A handle that records as a counter does.
struct Meter(u32);
/// A handle that records as a histogram does.
struct Timer(u32);

/// How often a run takes the turn from a thread that could go on. Faults that need more than two are rare (Musuvathi and
/// Qadeer, "Iterative context bounding", 2007); `LOOM_MAX_PREEMPTIONS=3` takes ten times as long.
const PREEMPTIONS: usize = 2;

/// Plays a model in all orders.
fn play(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(PREEMPTIONS));
    builder.max_branches = 20_000;
    builder.check(move || {
        model();
        thread::end();
    });
}
