//! How metrics are translated, and how much one request may become.

use crate::otlp::Strategy;

/// How metrics become series.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How names are made.
    pub strategy: Strategy,
    /// The attributes of a resource that become labels of its series.
    pub promote: Promote,
    /// Whether `target_info` also has `service.name`, `service.namespace` and `service.instance.id`.
    pub keep_identifying: bool,
    /// Whether explicit histograms become native ones with custom bounds, in place of `_bucket`, `_sum` and `_count`.
    pub custom_bounds: bool,
    /// Whether name, version, schema and attributes of a scope become labels `otel_scope_…`.
    pub scope_labels: bool,
    /// Whether `key` is put before names of labels that begin with one underscore.
    pub mark_underscore: bool,
    /// Whether runs of underscores in names of labels stay.
    pub keep_underscore_runs: bool,
    /// Milliseconds between two samples of `target_info` in one request.
    pub target_info_ms: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            promote: Promote::default(),
            keep_identifying: false,
            custom_bounds: false,
            scope_labels: false,
            mark_underscore: true,
            keep_underscore_runs: true,
            target_info_ms: 150_000,
        }
    }
}

/// Attributes of resources by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Promote {
    /// Those named.
    Named(Vec<String>),
    /// All but those named.
    AllBut(Vec<String>),
}

impl Default for Promote {
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}

impl Promote {
    pub(super) fn takes(&self, key: &[u8]) -> bool {
        let within = |keys: &[String]| keys.iter().any(|other| other.as_bytes() == key);
        match self {
            Self::Named(keys) => within(keys),
            Self::AllBut(keys) => !within(keys),
        }
    }
}

/// How much one request may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Samples and histograms.
    pub samples: usize,
    /// Bytes of all labels of all of them.
    pub label_bytes: usize,
}
