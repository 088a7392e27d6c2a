//! The documents of diagnostics, field for field.
//!
//! `node` is who tells it, `timestamp` when, UTC, RFC 3339. Fields are added, never removed or retyped: their schemas are in
//! `docs/schemas/`.

use std::collections::BTreeMap;

use serde::Serialize;

/// What a component did while somebody looked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DebugTrace {
    /// Which component.
    pub component: String,
    /// What was looked for: `request_stages`.
    pub trace_type: &'static str,
    /// What was seen.
    pub data: TraceData,
    /// Who tells it.
    pub node: String,
    /// When.
    pub timestamp: String,
}

/// What was seen of a component.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TraceData {
    /// Stages of requests that were entered.
    pub function_calls: u64,
    /// Allocations; `None`, since the allocator does not count them.
    pub memory_allocations: Option<u64>,
    /// Sweeps of what is bounded: results evicted, blocks cut, merged and deleted. There is no garbage collector.
    pub gc_collections: u64,
    /// How much waits for the component at the end.
    pub message_queue_length: u64,
    /// What of: `requests`, `queries`, `bytes`.
    pub message_queue_unit: &'static str,
    /// How long it was looked at, in milliseconds.
    pub duration_ms: f64,
    /// Its stages, those that took longest first.
    pub stages: Vec<StageTimes>,
    /// The slowest requests that passed it, the slowest first.
    pub requests: Vec<TracedRequest>,
    /// Requests that passed it and are not listed.
    pub requests_left_out: u64,
}

/// A stage of all requests together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageTimes {
    /// Which.
    pub stage: &'static str,
    /// How often it was entered.
    pub calls: u64,
    /// How long all of that took, in milliseconds.
    pub total_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// One request, stage by stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TracedRequest {
    /// When it was over.
    pub timestamp: String,
    /// Its method.
    pub method: String,
    /// Its route.
    pub route: String,
    /// How it was answered.
    pub status: u16,
    /// How long that took, in milliseconds.
    pub took_ms: f64,
    /// Its trace.
    pub trace_id: String,
    /// Its stages, in the order in which they ended, with milliseconds.
    pub stages: Vec<(&'static str, f64)>,
}

/// What slows a component down, and what to do about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PerformanceAnalysis {
    /// Which component; `server` is all of them.
    pub component: String,
    /// What was looked for: `bottleneck_detection`.
    pub analysis_type: &'static str,
    /// How long was looked at, in milliseconds.
    pub duration_ms: f64,
    /// What was found.
    pub results: AnalysisResults,
    /// Who tells it.
    pub node: String,
    /// When.
    pub timestamp: String,
}

/// What an analysis found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AnalysisResults {
    /// What slows it down, the worst first: the names of the findings.
    pub bottlenecks: Vec<&'static str>,
    /// What to do, with the figures that speak for it; one for each finding, in the same order.
    pub recommendations: Vec<String>,
    /// How well it does, from 0 to 100: the mean of the parts by their weights.
    pub performance_score: f64,
    /// What the score is made of.
    pub score_parts: Vec<ScorePart>,
    /// The findings with their evidence.
    pub findings: Vec<Finding>,
    /// How figures moved in the last hour.
    pub trends: Vec<Trend>,
}

/// One bottleneck.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Its name.
    pub bottleneck: &'static str,
    /// Whose it is.
    pub component: &'static str,
    /// The figure that tells it.
    pub figure: &'static str,
    /// Its value.
    pub value: f64,
    /// The value from which on it is one.
    pub limit: f64,
    /// What both are in.
    pub unit: &'static str,
    /// What was seen, in words.
    pub evidence: String,
    /// What to do.
    #[serde(skip)]
    pub recommendation: String,
}

/// One input of a score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScorePart {
    /// Which figure.
    pub input: &'static str,
    /// Its value.
    pub value: f64,
    /// Up to here it is as good as can be.
    pub good: f64,
    /// From here on it is as bad as can be.
    pub bad: f64,
    /// How much it counts.
    pub weight: f64,
    /// From 0 to 100.
    pub score: f64,
}

/// How a figure moved.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trend {
    /// Which figure.
    pub figure: &'static str,
    /// `improving`, `stable` or `degrading`.
    pub direction: &'static str,
    /// By how much it changes in an hour, in its unit.
    pub slope_per_hour: f64,
    /// From the beginning to the end of a straight line through it; `None` where it began at nothing.
    pub change_percent: Option<f64>,
    /// How many readings that is of, a minute apart.
    pub samples: usize,
}

/// What the process and the host were at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SystemState {
    /// What was looked at: `memory_usage`.
    pub snapshot_type: &'static str,
    /// What was seen.
    pub state_data: StateData,
    /// Who tells it.
    pub node: String,
    /// When.
    pub timestamp: String,
}

/// What was seen of process and host. What the system does not tell is `None`, and named in `missing`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StateData {
    /// Memory of the host, in bytes.
    pub total_memory: Option<u64>,
    /// What of it is not available any more.
    pub used_memory: Option<u64>,
    /// Async tasks that live.
    pub process_count: usize,
    /// Processes of the host.
    pub os_process_count: Option<usize>,
    /// Those with the most memory, the largest first.
    pub largest_processes: Vec<Process>,
    /// The budget of our memory, in bytes.
    pub memory_budget: u64,
    /// What of it is in use, by account.
    pub memory_accounts: BTreeMap<&'static str, u64>,
    /// Series with recent samples.
    pub series: usize,
    /// Bytes that wait for the log.
    pub wal_pending_bytes: usize,
    /// Whether the log cannot be written.
    pub read_only: bool,
    /// Queries that run, and that wait.
    pub queries_running: usize,
    /// See before.
    pub queries_waiting: usize,
    /// Clients with an open stream of events.
    pub open_streams: u64,
    /// What the system does not tell.
    pub missing: Vec<&'static str>,
}

/// A process of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its resident memory, in bytes.
    pub memory: u64,
    /// What it is called.
    pub name: String,
}

/// A figure that is past its threshold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricAlert {
    /// Which figure.
    pub metric_name: String,
    /// What it is.
    pub current_value: f64,
    /// What it should not be past.
    pub threshold_value: f64,
    /// On which side that is.
    pub threshold_type: Side,
    /// How bad that is.
    pub severity: Severity,
    /// Who tells it.
    pub node: String,
    /// When.
    pub timestamp: String,
}

/// On which side of a threshold a figure should not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Below.
    Min,
    /// Above.
    Max,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Someone should look.
    #[default]
    Warning,
    /// Someone should look now.
    Critical,
}

impl Severity {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}
