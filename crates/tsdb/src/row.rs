//! What is appended, and what becomes of it.

use std::fmt;

/// One sample of one series, as it comes in.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Label bytes as remote write sends them, in any order and spelling; see `barograph_model::Labels`.
    pub labels: &'a [u8],
    /// Milliseconds since the epoch.
    pub at: i64,
    /// The value; every bit pattern is kept.
    pub value: f64,
}

/// What became of the rows of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Rows that are stored now, or were already with the same value.
    pub stored: usize,
    /// Series that were not in the head before.
    pub new_series: usize,
    /// Rows of series over a limit, which went to a series with `__overflow__` in place of a value.
    pub overflowed: usize,
    /// Those of them that were not stored, because that series had a sample of their time or a later one. They are
    /// neither stored nor rejected.
    pub merged: usize,
    /// The other rows, in the order of the call.
    pub rejected: Vec<Rejected>,
    /// All of it is durable when a commit returns this ticket or a later one.
    pub ticket: u64,
}

/// A row that was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its index in the call.
    pub row: usize,
    /// Why.
    pub reason: Reason,
}

/// Why a row was not stored. Sending it again will not help, unless the reason says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// Older than the last sample of its series, where late samples are not taken.
    OutOfOrder,
    /// Another value is stored for that time.
    Duplicate,
    /// Too far ahead of now.
    TooFarAhead,
    /// Before the time that is still accepted.
    TooOld,
    /// The metric has no name.
    NoMetricName,
    /// A label has no name.
    EmptyLabelName,
    /// A label stands twice.
    RepeatedLabel,
    /// A name or a value is not UTF-8.
    NotUtf8,
    /// The label bytes are no label bytes.
    Malformed,
    /// More labels than a series may have.
    TooManyLabels,
    /// A label name is too long.
    LabelNameTooLong,
    /// A label value is too long.
    LabelValueTooLong,
    /// The store holds as many series as it may.
    TooManySeries,
    /// Late, and as many late samples wait to be put into a block as may. It may be sent again after
    /// [`maintain`](crate::Store::maintain).
    TooManyLate,
}

impl Reason {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 14] = [
        Self::OutOfOrder,
        Self::Duplicate,
        Self::TooFarAhead,
        Self::TooOld,
        Self::NoMetricName,
        Self::EmptyLabelName,
        Self::RepeatedLabel,
        Self::NotUtf8,
        Self::Malformed,
        Self::TooManyLabels,
        Self::LabelNameTooLong,
        Self::LabelValueTooLong,
        Self::TooManySeries,
        Self::TooManyLate,
    ];

    /// One word for labels of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OutOfOrder => "out_of_order",
            Self::Duplicate => "duplicate",
            Self::TooFarAhead => "too_far_ahead",
            Self::TooOld => "too_old",
            Self::NoMetricName => "no_metric_name",
            Self::EmptyLabelName => "empty_label_name",
            Self::RepeatedLabel => "repeated_label",
            Self::NotUtf8 => "not_utf8",
            Self::Malformed => "malformed",
            Self::TooManyLabels => "too_many_labels",
            Self::LabelNameTooLong => "label_name_too_long",
            Self::LabelValueTooLong => "label_value_too_long",
            Self::TooManySeries => "too_many_series",
            Self::TooManyLate => "too_many_late",
        }
    }
}

impl fmt::Display for Reason {
    /// As senders of remote write know it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfOrder => "out of order sample",
            Self::Duplicate => "duplicate sample for timestamp",
            Self::TooFarAhead => "out of bounds: sample is too far in the future",
            Self::TooOld => "too old sample",
            Self::NoMetricName => "metric name is missing",
            Self::EmptyLabelName => "label name is empty",
            Self::RepeatedLabel => "label name is not unique",
            Self::NotUtf8 => "label is not valid UTF-8",
            Self::Malformed => "labels are malformed",
            Self::TooManyLabels => "too many labels",
            Self::LabelNameTooLong => "label name is too long",
            Self::LabelValueTooLong => "label value is too long",
            Self::TooManySeries => "limit of active series reached",
            Self::TooManyLate => "too many late samples at once",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_stand_at_their_numbers() {
        for (number, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number);
        }
    }
}
