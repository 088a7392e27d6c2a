//! What is known of targets and scrapes, for pages and metrics.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use barograph_model::{Labels, Timestamp};

use super::Outcome;

/// Whether a target's last scrape went well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It was not scraped yet.
    #[default]
    Unknown,
    /// It went well.
    Up,
    /// It failed.
    Down,
}

/// A target as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetStatus {
    /// The job it belongs to.
    pub pool: String,
    /// The labels its series get.
    pub labels: Labels,
    /// Its labels before relabelling.
    pub discovered: Labels,
    /// What is fetched.
    pub url: String,
    /// Time from one scrape to the next.
    pub interval: Duration,
    /// How long a scrape may take.
    pub timeout: Duration,
    /// Whether the last scrape went well.
    pub health: Health,
    /// When the last scrape began; `None` before the first.
    pub last_scrape: Option<Timestamp>,
    /// How long the last scrape took.
    pub last_duration: Duration,
    /// Why the last scrape failed; empty if it did not.
    pub last_error: String,
    /// How often scrapes failed since it is there.
    pub failures: u64,
}

/// An address that relabelling dropped, or that cannot be a target.
#[derive(Clone, Debug, PartialEq)]
pub struct DroppedTarget {
    /// The job it would belong to.
    pub pool: String,
    /// Its labels before relabelling.
    pub discovered: Labels,
    /// Why it cannot be a target; empty if a rule dropped it.
    pub error: String,
}

/// What happened since the start, over all targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrapeCounts {
    /// Scrapes begun.
    pub scrapes: u64,
    /// Scrapes that failed.
    pub failures: u64,
    /// Samples read from pages and kept by relabelling.
    pub samples: u64,
    /// Samples the sink did not take, by reason.
    pub rejected: Outcome,
    /// Scrapes whose samples could not be stored at all.
    pub sink_failures: u64,
    /// Target files that could not be read; their last good targets stay.
    pub file_failures: u64,
    /// Looks for targets over HTTP or in the DNS that failed; the last good targets stay.
    pub discovery_failures: u64,
    /// Scrapes that were refused because the job has more targets than it may.
    pub over_target_limit: u64,
}

/// [`ScrapeCounts`] while they grow.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) scrapes: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) samples: AtomicU64,
    pub(super) sink_failures: AtomicU64,
    pub(super) file_failures: AtomicU64,
    pub(super) discovery_failures: Arc<AtomicU64>,
    pub(super) over_target_limit: AtomicU64,
    out_of_order: AtomicU64,
    duplicate: AtomicU64,
    out_of_bounds: AtomicU64,
    refused: AtomicU64,
}

impl Counters {
    pub(super) fn add_rejected(&self, outcome: &Outcome) {
        add(&self.out_of_order, outcome.out_of_order);
        add(&self.duplicate, outcome.duplicate);
        add(&self.out_of_bounds, outcome.out_of_bounds);
        add(&self.refused, outcome.refused);
    }

    pub(super) fn read(&self) -> ScrapeCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ScrapeCounts {
            scrapes: read(&self.scrapes),
            failures: read(&self.failures),
            samples: read(&self.samples),
            sink_failures: read(&self.sink_failures),
            file_failures: read(&self.file_failures),
            discovery_failures: read(&self.discovery_failures),
            over_target_limit: read(&self.over_target_limit),
            rejected: Outcome {
                out_of_order: read(&self.out_of_order),
                duplicate: read(&self.duplicate),
                out_of_bounds: read(&self.out_of_bounds),
                refused: read(&self.refused),
            },
        }
    }
}

pub(super) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}
