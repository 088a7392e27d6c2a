//! Samples rolled up into windows, as the store does it with those it has cut.

use barograph_model::{Rollup, Sketch, is_stale};

/// Appends samples of one series, in time order, to its windows. Windows are `width` milliseconds long and aligned to
/// the epoch. A staleness marker ends the window it falls in, or the one before where that has no sample.
pub(crate) fn roll(
    width: i64,
    sketches: bool,
    samples: impl IntoIterator<Item = (i64, f64)>,
    windows: &mut Vec<Rollup>,
) {
    for (at, value) in samples {
        let start = at.div_euclid(width).saturating_mul(width);
        let stale = is_stale(value);
        match windows.last_mut().filter(|window| window.start == start) {
            Some(window) => window.push(at, value),
            None if stale => windows.iter_mut().last().into_iter().for_each(|window| window.ended = true),
            None => {
                let mut window = Rollup::of(start, at, value);
                window.sketch = sketches.then(|| Box::new(Sketch::new()));
                windows.push(window);
            }
        }
        if let Some(sketch) = windows.last_mut().and_then(|window| window.sketch.as_mut()).filter(|_| !stale)
        {
            sketch.add(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use barograph_model::stale_marker;

    use super::*;

    #[test]
    fn windows_hold_their_samples() {
        let mut windows = Vec::new();
        let samples = [
            (-1, 5.0),
            (0, 1.0),
            (9, 3.0),
            (10, stale_marker()),
            (20, 7.0),
            (29, stale_marker()),
            (40, 1.0),
            (50, stale_marker()),
        ];
        roll(10, true, samples, &mut windows);
        let seen: Vec<_> = windows.iter().map(|w| (w.start, w.count, w.last, w.ended)).collect();
        assert_eq!(seen, [(-10, 1, 5.0, false), (0, 2, 3.0, true), (20, 1, 7.0, true), (40, 1, 1.0, true)]);
        assert_eq!(windows[1].sketch.as_ref().unwrap().count(), 2);
    }
}
