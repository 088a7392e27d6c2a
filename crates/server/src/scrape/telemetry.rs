//! What the server counts of scraping, all targets together.

use barograph::{Counter, Error, Registry};

use super::ScrapeCounts;
use crate::telemetry::raise;

/// Counters of scrapes and of looks for targets.
#[derive(Debug)]
pub struct Instruments {
    scrapes: Counter,
    failures: Counter,
    lost: Counter,
    over_target_limit: Counter,
    files: Counter,
    discovery: Counter,
}

impl Instruments {
    /// Registers them.
    ///
    /// # Errors
    /// A name is not valid or stands twice, which a test would have found.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        let counter = |name: &'static str, help: &'static str| registry.counter(name).help(help).register();
        Ok(Self {
            scrapes: counter("barograph_scrapes_total", "Scrapes of targets.")?,
            failures: counter("barograph_scrape_failures_total", "Scrapes that failed.")?,
            lost: counter(
                "barograph_scrape_samples_lost_total",
                "Scrapes whose samples could not be stored at all.",
            )?,
            over_target_limit: counter(
                "barograph_scrape_target_limit_total",
                "Scrapes that were refused because their job has more targets than it may.",
            )?,
            files: counter(
                "barograph_scrape_file_failures_total",
                "Files of targets that could not be read; their last good targets stay.",
            )?,
            discovery: counter(
                "barograph_scrape_discovery_failures_total",
                "Looks for targets over HTTP or in the DNS that failed; the last good targets stay.",
            )?,
        })
    }

    /// Raises them to what was counted.
    pub(crate) fn observe(&self, counts: &ScrapeCounts) {
        let totals = [
            (&self.scrapes, counts.scrapes),
            (&self.failures, counts.failures),
            (&self.lost, counts.sink_failures),
            (&self.over_target_limit, counts.over_target_limit),
            (&self.files, counts.file_failures),
            (&self.discovery, counts.discovery_failures),
        ];
        for (counter, total) in totals {
            raise(*counter, total);
        }
    }
}
