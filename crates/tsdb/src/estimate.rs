//! About how much a selection is, told by indexes and chunk headers alone.
//!
//! No page of samples is read. A run of samples that lies in the range in part counts by the part of its time that does,
//! as if samples were evenly spaced. Of the series of several blocks nobody looks which are the same: the greatest number
//! that the head or one block has stands for all, so series that came and went make it too small.

use barograph_model::{Budget, Estimate, Selection, SourceError, Tier, TimeRange};

use crate::Store;

impl Store {
    pub(crate) fn estimate_of(
        &self,
        tier: Tier,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Estimate, SourceError> {
        let (matchers, range) = (selection.matchers, &selection.range);
        budget.charge(0)?;
        let mut found = Estimate::default();
        if tier == Tier::Raw {
            self.head.each_matching(matchers, |held| {
                let samples = part(range, held.first, held.last, held.count);
                found.samples += samples;
                found.series += u64::from(samples > 0);
            });
        }
        for (block, index) in self.indexes_in(range, matchers, |meta| meta.holds(tier), budget)? {
            budget.charge(0)?;
            let Some(ids) = self.matching(&block, &index, matchers) else { continue };
            let mut series = 0;
            for id in ids {
                let spans = index.pages(id).map(|page| index.span(page));
                let parts = spans.map(|span| part(range, span.first, span.last, u64::from(span.count)));
                let samples: u64 = parts.sum();
                found.samples += samples;
                series += u64::from(samples > 0);
            }
            found.series = found.series.max(series);
        }
        Ok(found)
    }
}

/// How many of `count` samples, evenly spaced from `first` to `last`, lie in a range; at least one if the times overlap.
fn part(range: &TimeRange, first: i64, last: i64, count: u64) -> u64 {
    let (from, to) = (first.max(range.start.millis()), last.min(range.end.millis().saturating_sub(1)));
    if from > to {
        return 0;
    }
    let (inside, all) = (i128::from(to) - i128::from(from), i128::from(last) - i128::from(first));
    if inside >= all {
        return count;
    }
    let gaps = i128::from(count.saturating_sub(1));
    u64::try_from(gaps * inside / all + 1).unwrap_or(count)
}

#[cfg(test)]
mod tests {
    use barograph_model::Timestamp;

    use super::*;

    #[test]
    fn samples_count_by_the_time_that_lies_in_the_range() {
        let check = |start, end, expected| {
            assert_eq!(part(&TimeRange::new(Timestamp(start), Timestamp(end)), 0, 100, 11), expected);
        };
        check(0, 101, 11);
        check(0, 100, 10);
        check(50, 1_000, 6);
        check(42, 45, 1);
        check(101, 200, 0);
        check(-50, 0, 0);
        assert_eq!(part(&TimeRange::ALL, 7, 7, 1), 1);
    }
}
