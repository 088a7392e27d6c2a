//! What a rule watches for, beyond what its expression says.
//!
//! | kind | holds when | asks |
//! |---|---|---|
//! | threshold | the expression has an answer | its expression, now |
//! | anomaly | values are unlike those before them | its expression, now; once, what came before |
//! | trend | something grows or falls for certain, or will cross a threshold soon | its expression over a window |
//! | correlation | several conditions held lately, or two things move together no more | two or more expressions over a window |
//! | version | the newest version is worse than the one before | its expression over a window |
//! | version | a version is in use that should not be any more | its expression, now |
//! | health, version | the expression has an answer, which tells of health or of versions | its expression, now |

mod anomaly;
mod correlation;
mod read;
mod read_version;
mod threshold;
mod trend;
pub mod version;
mod written;

use barograph_analyze::Point;
use barograph_model::{Labels, Timestamp};
use barograph_query::ast::Expr;
use serde_json::Value;

pub use anomaly::Anomaly;
pub(crate) use anomaly::{WATCHED_MAX, Watchers};
pub use correlation::Correlation;
pub(crate) use read::{KEYS, read};
pub use threshold::{Missing, Side, Standing, Threshold};
pub use trend::Trend;
pub use version::Version;

/// What a rule watches for.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Kind {
    /// That its expression has an answer.
    #[default]
    Threshold,
    /// Values unlike those before them.
    Anomaly(Anomaly),
    /// Growth or fall.
    Trend(Trend),
    /// Several things at once.
    Correlation(Box<Correlation>),
    /// As [`Kind::Threshold`], of something that tells how well a part is.
    Health,
    /// A version that is worse than another, or out of date. As [`Kind::Threshold`], of something that tells of versions, if
    /// no more is said.
    Version(Option<Box<Version>>),
}

impl Kind {
    /// As rule files and documents call it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Threshold => "threshold",
            Self::Anomaly(_) => "anomaly",
            Self::Trend(_) => "trend",
            Self::Correlation(_) => "correlation",
            Self::Health => "health",
            Self::Version(_) => "version",
        }
    }
}

/// Answers a range query with the points of each series; what is not a float is left out.
pub(crate) type Ranges<'a, E> = dyn Fn(&Expr, Span) -> Result<Vec<(Labels, Vec<Point>)>, E> + 'a;

/// What a range is asked over: times from `from` to `to`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) step_ms: i64,
}

impl Span {
    /// The time before a moment, in about so many steps, none shorter than a second.
    pub(crate) fn before(to: Timestamp, length_ms: i64, steps: i64) -> Self {
        let step_ms = (length_ms / steps.max(1)).max(1_000);
        Self { from: to.saturating_add(-length_ms), to, step_ms }
    }
}

/// A series for which a condition holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) labels: Labels,
    /// What the alert's value is.
    pub(crate) value: f64,
    /// What it was held against.
    pub(crate) threshold: Option<f64>,
    /// What it follows from.
    pub(crate) evidence: Value,
    /// What its alert says besides, unless the rule says something else under the same name.
    pub(crate) annotation: Option<(&'static str, String)>,
}
