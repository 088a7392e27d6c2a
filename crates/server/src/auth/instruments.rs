//! What is counted of callers.

use barograph::{Counter, Error, Family, Registry};

/// Counts of logins and refusals.
#[derive(Debug)]
pub(crate) struct Instruments {
    /// Logins, by outcome.
    pub(crate) logins: Family<Counter, 1>,
    /// Requests that were refused, by reason.
    pub(crate) refused: Family<Counter, 1>,
    /// Requests that came too often, by class and by what was counted.
    pub(crate) limited: Family<Counter, 2>,
    /// Records that were not written to the audit log.
    pub(crate) audit_lost: Counter,
}

impl Instruments {
    pub(crate) fn register(registry: &Registry) -> Result<Self, Error> {
        Ok(Self {
            logins: registry
                .counter("barograph_auth_logins_total")
                .help("Logins at the pages, by outcome.")
                .family(["outcome"])?,
            refused: registry
                .counter("barograph_auth_refused_total")
                .help("Requests and calls that were refused, by reason.")
                .family(["reason"])?,
            limited: registry
                .counter("barograph_auth_limited_total")
                .help(
                    "Requests and calls refused because they came too often, by class and by whose they are.",
                )
                .family(["class", "by"])?,
            audit_lost: registry
                .counter("barograph_audit_lost_total")
                .help("Records that could not be written to the audit log.")
                .register()?,
        })
    }
}
