//! What a distribution gained between two readings.

use barograph_model::Sketch;

use super::ring::Cumulative;

impl Cumulative for Sketch {
    /// Counts are exact, and so is the sum to rounding. The least and greatest value are exact where they are the
    /// least and greatest of all so far, else the middle of their bucket: within the error of the sketch.
    fn since(&self, earlier: &Self) -> Self {
        if self.count() == earlier.count() {
            return Self::new();
        }
        // Counts only grow and scales only get coarser, unless the series was begun anew.
        if self.count() < earlier.count() || self.scale() > earlier.scale() || earlier.count() == 0 {
            return self.clone();
        }
        let steps = earlier.scale() - self.scale();
        let positive = gained(self.positive(), earlier.positive(), steps);
        let negative = gained(self.negative(), earlier.negative(), steps);
        let zeros = self.zeros().saturating_sub(earlier.zeros());
        let middle = |(index, _): &(i32, u64)| Self::middle_of(*index, self.scale());
        let zero = (zeros > 0).then_some(0.0);
        let lowest = negative.last().map(|bucket| -middle(bucket));
        let lowest = lowest.or(zero).or_else(|| positive.first().map(middle));
        let highest = positive.last().map(middle);
        let highest = highest.or(zero).or_else(|| negative.first().map(|bucket| -middle(bucket)));
        let (least, greatest) = (self.min().unwrap_or(0.0), self.max().unwrap_or(0.0));
        let min = if earlier.min() == Some(least) { lowest.unwrap_or(least).max(least) } else { least };
        let max = if earlier.max() == Some(greatest) {
            highest.unwrap_or(greatest).min(greatest)
        } else {
            greatest
        };
        let moments = [self.sum() - earlier.sum(), min, max];
        Self::from_parts(self.scale(), zeros, positive, negative, moments).unwrap_or_default()
    }

    fn add(&mut self, other: &Self) {
        self.merge(other);
    }

    fn is_nothing(&self) -> bool {
        self.count() == 0
    }
}

/// The buckets that have more than before; those of `earlier` are `steps` scales finer.
fn gained(buckets: &[(i32, u64)], earlier: &[(i32, u64)], steps: i32) -> Vec<(i32, u64)> {
    let mut earlier = earlier.iter().peekable();
    let gained = |(index, count): &(i32, u64)| {
        let mut before = 0;
        while let Some((_, count)) = earlier.next_if(|(finer, _)| finer >> steps <= *index) {
            before += count;
        }
        (*index, count.saturating_sub(before))
    };
    buckets.iter().map(gained).filter(|(_, count)| *count > 0).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sketch(values: &[f64]) -> Sketch {
        let mut sketch = Sketch::new();
        values.iter().for_each(|value| sketch.add(*value));
        sketch
    }

    #[test]
    fn what_was_begun_anew_is_all_new() {
        assert_eq!(sketch(&[1.0]).since(&sketch(&[2.0, 3.0])), sketch(&[1.0]));
        assert_eq!(sketch(&[1.0]).since(&Sketch::new()), sketch(&[1.0]));
        assert_eq!(sketch(&[1.0]).since(&sketch(&[1.0])), Sketch::new());
    }

    #[test]
    fn a_coarser_reading_is_compared_as_it_is() {
        let wide: Vec<f64> = (-1000..1000).map(|exponent| 1.5 * 2f64.powi(exponent)).collect();
        let (before, after) = (sketch(&wide[1000..1010]), sketch(&wide));
        assert!(after.scale() < before.scale());
        assert_eq!(after.since(&before).count(), 1990);
    }

    proptest! {
        #[test]
        fn what_is_added_is_the_difference(
            before in prop::collection::vec(-1e3f64..1e3, 0..100), new in prop::collection::vec(-1e3f64..1e3, 1..100),
        ) {
            let difference = sketch(&[&before[..], &new].concat()).since(&sketch(&before));
            let expected = sketch(&new);
            prop_assert_eq!(difference.count(), expected.count());
            prop_assert_eq!(difference.positive(), expected.positive());
            prop_assert_eq!(difference.negative(), expected.negative());
            prop_assert!((difference.sum() - expected.sum()).abs() < 1e-6);
            for (is, exact) in [(difference.min(), expected.min()), (difference.max(), expected.max())] {
                let (is, exact) = (is.unwrap(), exact.unwrap());
                prop_assert!((is - exact).abs() <= exact.abs() * 0.011, "{} is not {}", is, exact);
            }
        }
    }
}
