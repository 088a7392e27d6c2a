//! The section `traces`: how long spans are kept, and how much is counted of them.

use std::time::Duration;

use super::{
    section::{Findings, Section, count},
    settings::{positive, positive_duration, positive_size},
    tree::Node,
};

/// The section `traces`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces {
    /// Spans that came longer ago go; 7 days by default.
    pub retention: Duration,
    /// What all spans may take on disk, the oldest go; 2 GiB by default.
    pub bytes: u64,
    /// So many sets of labels each metric of spans may have, the rest is counted as one; 10,000 by default.
    pub series: u64,
}

impl Default for Traces {
    fn default() -> Self {
        Self { retention: Duration::from_secs(7 * 86_400), bytes: 2 << 30, series: 10_000 }
    }
}

pub(super) fn read_traces(node: &Node, findings: &mut Findings) -> Traces {
    let mut traces = Traces::default();
    let mut section = Section::open(node, "`traces`", findings);
    section.set("retention", &mut traces.retention, positive_duration, findings);
    section.set("bytes", &mut traces.bytes, positive_size, findings);
    section.set("series", &mut traces.series, |text| positive(count(text)?, 0), findings);
    section.finish(&[], findings);
    traces
}
