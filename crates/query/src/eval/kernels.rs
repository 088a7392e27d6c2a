//! What each function of the table does, as a word the evaluator dispatches on.

use crate::native::FloatHistogram;

/// How a function is computed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kernel {
    /// Each value by itself.
    Map(fn(f64) -> f64),
    /// Each value as a date; of the step itself if there is no argument.
    Date(Date),
    /// Each range to a value.
    Over(Over),
    /// In its own way.
    Special(Special),
    /// Each histogram to a number.
    OfHistogram(fn(&FloatHistogram) -> f64),
}

/// Parts of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Date {
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    DaysInMonth,
    Hour,
    Minute,
    Month,
    Year,
}

/// Functions over ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Avg,
    Changes,
    Count,
    Delta,
    Deriv,
    First,
    Idelta,
    Increase,
    Irate,
    Last,
    Mad,
    Max,
    Min,
    PredictLinear,
    Present,
    Quantile,
    Rate,
    Resets,
    Smooth,
    Stddev,
    Stdvar,
    Sum,
    TsOfFirst,
    TsOfLast,
    TsOfMax,
    TsOfMin,
}

impl Over {
    /// Whether the result is still one of the metric's values.
    pub(super) fn keeps_name(self) -> bool {
        matches!(self, Self::First | Self::Last)
    }
}

/// Functions computed in their own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    Absent,
    AbsentOverTime,
    Clamp,
    ClampMax,
    ClampMin,
    End,
    HistogramFraction,
    HistogramQuantile,
    HistogramQuantiles,
    Info,
    LabelJoin,
    LabelReplace,
    MaxOf,
    MinOf,
    Pi,
    QueryRange,
    Round,
    Scalar,
    Sort,
    SortByLabel,
    SortByLabelDesc,
    SortDesc,
    Start,
    StartTimestamp,
    Step,
    Time,
    Timestamp,
    Vector,
}

impl Special {
    /// Whether it only changes the order.
    pub(super) fn sorts(self) -> bool {
        matches!(self, Self::Sort | Self::SortDesc | Self::SortByLabel | Self::SortByLabelDesc)
    }
}
