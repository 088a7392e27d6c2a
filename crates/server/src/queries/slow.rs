//! Queries that were slow: the last of them in memory, all of them in the log.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use barograph_query::{When, explain::Part};

use super::Asked;

/// How many slow queries are kept.
const SLOW_MAX: usize = 100;
/// A plan of more parts is not kept.
const PARTS_MAX: usize = 100;
/// How much of an expression the log shows, in bytes.
const LOGGED_BYTES_MAX: usize = 1 << 10;

/// A query that was slow.
#[derive(Debug)]
pub(crate) struct Slow {
    /// What was asked, and by whom.
    pub(crate) asked: Arc<Asked>,
    /// How long it took, waiting for its turn included.
    pub(crate) took: Duration,
    /// Samples that it was charged.
    pub(crate) samples: u64,
    /// `ok`, or why there was no answer.
    pub(crate) outcome: &'static str,
    /// When it was about.
    pub(crate) when: Option<When>,
    /// What it came down to.
    pub(crate) plan: Option<Part>,
}

impl Slow {
    /// What answered it: a tier, or `mixed`.
    pub(crate) fn tier(&self) -> Option<&'static str> {
        match self.plan.as_ref()?.tiers().as_slice() {
            [] => None,
            [tier] => Some(tier),
            _ => Some("mixed"),
        }
    }

    /// One line.
    pub(super) fn log(&self) {
        let expression = &self.asked.expression;
        tracing::warn!(
            expression = &expression[..expression.floor_char_boundary(LOGGED_BYTES_MAX)],
            caller = &*self.asked.caller.name,
            dashboard = self.asked.caller.dashboard.as_deref(),
            panel = self.asked.caller.panel.as_deref(),
            took_ms = self.took.as_millis(),
            samples = self.samples,
            tier = self.tier(),
            outcome = self.outcome,
            "a query was slow"
        );
    }
}

/// The last slow queries.
#[derive(Debug, Default)]
pub(super) struct Ring(VecDeque<Arc<Slow>>);

impl Ring {
    pub(super) fn push(&mut self, mut slow: Slow) {
        slow.plan = slow.plan.filter(|plan| plan.size() <= PARTS_MAX);
        if self.0.len() == SLOW_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Arc::new(slow));
    }

    pub(super) fn newest_first(&self) -> Vec<Arc<Slow>> {
        self.0.iter().rev().cloned().collect()
    }
}
