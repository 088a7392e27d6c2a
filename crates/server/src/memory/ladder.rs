//! What is given up as memory fills, in order, and when it is taken up again. Pure: a share of the budget in, steps out.

/// One step. Each is taken at its threshold, and taken back when there is [`SLACK`] below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Caches of blocks and of results shrink.
    Caches,
    /// The head is cut early and idle series are forgotten.
    Head,
    /// New queries are refused.
    Queries,
    /// Senders are told to wait, and scrapes are skipped.
    Ingest,
}

/// How far below its threshold memory must fall before a step is taken back.
pub(super) const SLACK: f64 = 0.04;

impl Step {
    /// All steps, in order.
    pub const ALL: [Self; 4] = [Self::Caches, Self::Head, Self::Queries, Self::Ingest];

    /// One word for labels of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caches => "caches",
            Self::Head => "head",
            Self::Queries => "queries",
            Self::Ingest => "ingest",
        }
    }

    /// The share of the budget at which it is taken.
    pub const fn threshold(self) -> f64 {
        match self {
            Self::Caches => 0.60,
            Self::Head => 0.68,
            Self::Queries => 0.77,
            Self::Ingest => 0.82,
        }
    }

    /// Whether it is taken at a share of the budget, if it was taken before or not.
    pub(crate) fn taken(self, before: bool, used: f64) -> bool {
        used >= self.threshold() - if before { SLACK } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_taken_in_order_and_taken_back_with_slack() {
        let mut taken = [false; 4];
        let mut check = |used: f64, expected: [bool; 4]| {
            for (step, taken) in Step::ALL.into_iter().zip(&mut taken) {
                *taken = step.taken(*taken, used);
            }
            assert_eq!(taken, expected, "at {used}");
        };
        check(0.59, [false; 4]);
        check(0.61, [true, false, false, false]);
        check(0.83, [true; 4]);
        check(0.79, [true; 4]);
        check(0.77, [true, true, true, false]);
        check(0.57, [true, false, false, false]);
        check(0.55, [false; 4]);
    }
}
