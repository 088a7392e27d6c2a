//! The points in time at which something is evaluated.

use super::{Error, Steps};

/// Evenly spaced points in time, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) start: i64,
    /// Milliseconds between points, at least 1.
    pub(super) step: i64,
    pub(super) len: usize,
    /// Whether the points are those of an instant query, so that the order of the result means something.
    pub(super) instant: bool,
}

impl Grid {
    pub(super) const fn instant(at: i64) -> Self {
        Self { start: at, step: 1, len: 1, instant: true }
    }

    pub(super) fn steps(steps: Steps) -> Result<Self, Error> {
        let len = usize::try_from(steps.count()).unwrap_or(0);
        if len == 0 || steps.step_ms < 1 {
            return Err(Error::Execution(
                "range query needs a positive step and an end not before its start".into(),
            ));
        }
        Ok(Self { start: steps.start.0, step: steps.step_ms, len, instant: false })
    }

    /// The points after `after`, up to and with `last`, that are multiples of `step`. `None` if there are none.
    pub(super) fn aligned(after: i64, last: i64, step: i64) -> Option<Self> {
        let start = after.div_euclid(step).saturating_add(1).saturating_mul(step);
        let len =
            usize::try_from(last.checked_sub(start)?.div_euclid(step) + 1).ok().filter(|&len| len > 0)?;
        Some(Self { start, step, len, instant: false })
    }

    /// The points from one up to another.
    pub(super) fn part(&self, from: usize, to: usize) -> Self {
        Self { start: self.at(from), len: to - from, ..*self }
    }

    pub(super) fn at(&self, i: usize) -> i64 {
        self.start.saturating_add(self.step.saturating_mul(i64::try_from(i).unwrap_or(i64::MAX)))
    }

    pub(super) fn last(&self) -> i64 {
        self.at(self.len - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subqueries_are_left_open_and_aligned() {
        let check = |after, last, step, start, len| {
            let grid = Grid::aligned(after, last, step).unwrap();
            assert_eq!((grid.start, grid.len), (start, len));
        };
        check(0, 30, 10, 10, 3);
        check(-25, 10, 10, -20, 4);
        check(5, 14, 5, 10, 1);
        assert_eq!(Grid::aligned(11, 19, 10), None);
    }
}
