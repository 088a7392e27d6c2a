//! Steps by number, and the blocks of numbers by which results are kept.
//!
//! The step at `t` has the number `t / step`, rounded down; what is left over, the phase, is the same for all steps of a
//! query. A block is a power of two of numbers that follow each other, aligned, so that queries whose ranges slide meet
//! the same blocks again.

use crate::Steps;

/// Numbers of steps, from one up to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Numbers {
    pub(super) fn count(self) -> usize {
        usize::try_from(self.to - self.from).unwrap_or(0)
    }

    /// How many there are before another number.
    pub(super) fn until(self, number: i64) -> usize {
        usize::try_from(number - self.from).unwrap_or(0)
    }

    pub(super) fn contains(self, other: Self) -> bool {
        self.from <= other.from && other.to <= self.to
    }
}

/// Steps of one distance and phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Numbered {
    step: i64,
    phase: i64,
    /// How many steps a block has.
    block: i64,
}

/// Steps of a block at most.
const BLOCK_MAX: i64 = 256;

/// Blocks are evaluated by themselves only while each reads at most so many times what its steps span.
pub(super) const APART_MAX: i64 = 4;

/// A query has about so many blocks, up to twice as many, unless its steps read much. The steps of a block that is not complete yet are evaluated
/// again and again, so it should not be a large part of the whole.
const BLOCKS: i64 = 48;
const BLOCKS_MIN: i64 = 8;

impl Numbered {
    /// The steps of a query by number, each of which reads so much; `None` if there are none, or if time ends before they
    /// do.
    pub(super) fn of(steps: Steps, reach_ms: i64) -> Option<(Self, Numbers)> {
        let count = steps.count();
        if count < 1 || steps.step_ms < 1 {
            return None;
        }
        let (start, step) = (steps.start.0, steps.step_ms);
        // The power of two that is not greater.
        let power = |number: i64| 1 << number.clamp(1, BLOCK_MAX).ilog2();
        // A block that is evaluated by itself should not read much more than what its steps span.
        let by_reach = power(reach_ms / step / APART_MAX * 2).min(power(count / BLOCKS_MIN));
        let block = power(count / BLOCKS).max(by_reach);
        let from = start.div_euclid(step);
        // Blocks at the ends may reach beyond the steps.
        let room = step.checked_mul(4 * BLOCK_MAX)?;
        start.checked_sub(room)?;
        start.checked_add(step.checked_mul(count)?)?.checked_add(room)?;
        Some((Self { step, phase: start.rem_euclid(step), block }, Numbers { from, to: from + count }))
    }

    /// The time of a step.
    pub(super) fn at(self, number: i64) -> i64 {
        number * self.step + self.phase
    }

    /// How many steps a time is after one.
    pub(super) fn places(self, from: i64, at: i64) -> usize {
        usize::try_from((at - self.at(from)) / self.step).unwrap_or(0)
    }

    /// The first step after those whose times are before `end`.
    pub(super) fn before(self, end: i64) -> i64 {
        end.saturating_sub(self.phase).saturating_sub(1).div_euclid(self.step).saturating_add(1)
    }

    /// Milliseconds of a block.
    pub(super) fn block_ms(self) -> i64 {
        self.block * self.step
    }

    /// The blocks of some steps: the number of each, and its steps that are among them.
    pub(super) fn blocks(self, numbers: Numbers) -> impl Iterator<Item = (i64, Numbers)> {
        let (first, last) = (numbers.from.div_euclid(self.block), (numbers.to - 1).div_euclid(self.block));
        (first..=last).map(move |block| {
            let (from, to) = (block * self.block, (block + 1) * self.block);
            (block, Numbers { from: from.max(numbers.from), to: to.min(numbers.to) })
        })
    }

    /// Some steps as those of a query.
    pub(super) fn steps(self, numbers: Numbers) -> Steps {
        use barograph_model::Timestamp;
        let (start, end) = (Timestamp(self.at(numbers.from)), Timestamp(self.at(numbers.to - 1)));
        Steps { start, end, step_ms: self.step }
    }
}

#[cfg(test)]
mod tests {
    use barograph_model::Timestamp;

    use super::*;

    fn numbered(start: i64, end: i64, step_ms: i64) -> Option<(Numbered, Numbers)> {
        Numbered::of(Steps { start: Timestamp(start), end: Timestamp(end), step_ms }, 0)
    }

    #[test]
    fn steps_have_numbers_and_blocks() {
        let (numbered, numbers) = numbered(-25, 1_000, 10).unwrap();
        assert_eq!((numbers.from, numbers.to, numbered.phase, numbered.block), (-3, 100, 5, 2));
        assert_eq!((numbered.at(-3), numbered.at(99)), (-25, 995));
        let blocks: Vec<_> = numbered.blocks(Numbers { from: -3, to: 4 }).collect();
        let of = |block, from, to| (block, Numbers { from, to });
        assert_eq!(blocks, [of(-2, -3, -2), of(-1, -2, 0), of(0, 0, 2), of(1, 2, 4)]);
        assert_eq!(numbered.steps(numbers).start, Timestamp(-25));
        assert_eq!((numbered.before(5), numbered.before(6), numbered.before(-6)), (0, 1, -1));
        assert_eq!(numbered.places(-3, 5), 3);
    }

    #[test]
    fn blocks_fit_the_query() {
        let check = |count: i64, block: i64| {
            let (numbered, numbers) = numbered(0, (count - 1) * 15_000, 15_000).unwrap();
            assert_eq!(
                (numbers.count(), numbered.block),
                (usize::try_from(count).unwrap(), block),
                "{count}"
            );
        };
        for (count, block) in
            [(1, 1), (60, 1), (96, 2), (97, 2), (240, 4), (1441, 16), (5760, 64), (5761, 64), (11_001, 128)]
        {
            check(count, block);
        }
        let reaching = |count: i64, steps: i64| {
            let steps_of =
                Steps { start: Timestamp(0), end: Timestamp((count - 1) * 15_000), step_ms: 15_000 };
            Numbered::of(steps_of, steps * 15_000).unwrap().0.block
        };
        assert_eq!(
            (reaching(240, 20), reaching(240, 240), reaching(5760, 20), reaching(5, 99)),
            (8, 16, 64, 1)
        );
    }

    #[test]
    fn where_time_ends_there_are_no_numbers() {
        assert_eq!(numbered(i64::MIN, i64::MAX, 1), None);
        assert_eq!(numbered(5, 4, 1), None);
        assert_eq!(numbered(0, i64::MAX, i64::MAX), None);
    }
}
