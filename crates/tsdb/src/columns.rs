//! Samples of one series as two columns, gathered from pieces that may overlap in time.

use barograph_codec::Decoder;

/// Times strictly increasing, one value a time.
#[derive(Default)]
pub(crate) struct Columns {
    timestamps: Vec<i64>,
    values: Vec<f64>,
    /// What is behind the place where a further piece begins, while both are merged.
    behind: (Vec<i64>, Vec<f64>),
}

impl Columns {
    pub(crate) fn clear(&mut self) {
        self.timestamps.clear();
        self.values.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    pub(crate) fn timestamps(&self) -> &[i64] {
        &self.timestamps
    }

    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    /// Adds samples that come after those already there.
    pub(crate) fn extend(&mut self, samples: impl Iterator<Item = (i64, f64)>) {
        samples.for_each(|(at, value)| {
            self.timestamps.push(at);
            self.values.push(value);
        });
    }

    /// Adds the samples of a chunk, which come after those already there.
    pub(crate) fn extend_chunk(&mut self, samples: Decoder<'_>) {
        samples.append_to(&mut self.timestamps, &mut self.values);
    }

    /// Adds the samples of a chunk, among which may be earlier ones. Where there is one of the same time, it stays.
    pub(crate) fn add_chunk(&mut self, samples: Decoder<'_>) {
        let (mut timestamps, mut values) = (Vec::new(), Vec::new());
        samples.append_to(&mut timestamps, &mut values);
        self.add(&timestamps, &values);
    }

    /// Adds samples, which are in time order themselves. Where there is one of the same time, it stays.
    pub(crate) fn add(&mut self, timestamps: &[i64], values: &[f64]) {
        let Some(first) = timestamps.first() else { return };
        if self.timestamps.last().is_none_or(|last| last < first) {
            self.timestamps.extend_from_slice(timestamps);
            self.values.extend_from_slice(values);
            return;
        }
        let before = self.timestamps.partition_point(|at| at < first);
        let (times_behind, values_behind) = &mut self.behind;
        times_behind.clear();
        values_behind.clear();
        times_behind.extend(self.timestamps.drain(before..));
        values_behind.extend(self.values.drain(before..));
        let mut there = times_behind.iter().copied().zip(values_behind.iter().copied()).peekable();
        for (&at, &value) in timestamps.iter().zip(values) {
            while let Some((earlier, value)) = there.next_if(|(other, _)| *other < at) {
                self.timestamps.push(earlier);
                self.values.push(value);
            }
            if there.peek().is_none_or(|(other, _)| *other != at) {
                self.timestamps.push(at);
                self.values.push(value);
            }
        }
        for (at, value) in there {
            self.timestamps.push(at);
            self.values.push(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pieces: &[&[(i64, f64)]], expected: &[(i64, f64)]) {
        let mut columns = Columns::default();
        for piece in pieces {
            let (timestamps, values): (Vec<_>, Vec<_>) = piece.iter().copied().unzip();
            columns.add(&timestamps, &values);
        }
        let found: Vec<_> =
            columns.timestamps().iter().copied().zip(columns.values().iter().copied()).collect();
        assert_eq!(found, expected, "{pieces:?}");
    }

    #[test]
    fn the_first_of_a_time_stays() {
        check(&[], &[]);
        check(&[&[], &[(1, 1.0)], &[]], &[(1, 1.0)]);
        check(&[&[(1, 1.0)], &[(2, 2.0)]], &[(1, 1.0), (2, 2.0)]);
        check(&[&[(2, 2.0)], &[(1, 1.0)]], &[(1, 1.0), (2, 2.0)]);
        check(&[&[(1, 1.0), (3, 3.0)], &[(1, 9.0), (2, 2.0), (3, 9.0)]], &[(1, 1.0), (2, 2.0), (3, 3.0)]);
        check(
            &[&[(1, 1.0), (5, 5.0)], &[(3, 3.0)], &[(3, 9.0), (4, 4.0), (6, 6.0)]],
            &[(1, 1.0), (3, 3.0), (4, 4.0), (5, 5.0), (6, 6.0)],
        );
    }
}
