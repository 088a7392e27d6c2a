//! `rate`, `increase`, `delta`: the change over each range, extrapolated to its ends.
//!
//! The samples rarely lie at the ends of the range. The change between the first and the last of them, plus what a
//! counter lost in resets, is extrapolated to each end if a sample is about as close as samples are to each other,
//! else by half their distance; and never to before a counter was zero.
//!
//! How far to extrapolate hangs on the timestamps alone, but for that zero, so it is kept from series to series as
//! long as they have the same ones. A step then costs the same however long its range is.

use crate::eval::{
    column::ABSENT,
    kernels::Over,
    windows::{Samples, Windows},
};

/// What series with the same timestamps share.
#[derive(Default)]
pub(super) struct Rates {
    spans: Vec<Option<Span>>,
    /// The placing of the windows that the spans are of.
    placing: u64,
}

/// The samples of a range with two or more.
#[derive(Clone, Copy)]
struct Span {
    /// Index of the first sample and of the last.
    first: usize,
    last: usize,
    reach: Reach,
}

/// How far a change is extrapolated, in seconds.
#[derive(Clone, Copy)]
pub(in crate::eval) struct Reach {
    /// From the first sample to the last.
    sampled: f64,
    to_start: f64,
    to_end: f64,
}

impl Rates {
    /// One value a range.
    pub(super) fn apply(&mut self, windows: &Windows, samples: &Samples, over: Over) -> Vec<f64> {
        if self.placing != windows.placings() {
            self.placing = windows.placings();
            self.spans.clear();
            self.spans.extend((0..windows.width()).map(|step| Span::of(windows, step, &samples.values)));
        }
        let values = samples.values.as_slice();
        match over {
            Over::Delta => self.each(|span| span.reach.extrapolated(values[span.last] - values[span.first])),
            Over::Increase => self.each_increase(values, |increase| increase),
            _ => {
                let seconds = windows.range as f64 / 1e3;
                self.each_increase(values, |increase| increase / seconds)
            }
        }
    }

    fn each_increase(&self, values: &[f64], finish: impl Fn(f64) -> f64) -> Vec<f64> {
        let resets = resets(values);
        if resets.is_empty() {
            return self.each(|span| finish(span.increase(values, 0.0)));
        }
        let mut next = 0;
        self.each(|span| {
            while next < resets.len() && resets[next] <= span.first {
                next += 1;
            }
            let inside = resets[next..].iter().take_while(|&&i| i <= span.last);
            let lost = inside.fold(0.0, |lost, &i| lost + values[i - 1]);
            finish(span.increase(values, lost))
        })
    }

    fn each(&self, mut compute: impl FnMut(&Span) -> f64) -> Vec<f64> {
        self.spans.iter().map(|span| span.as_ref().map_or(ABSENT, &mut compute)).collect()
    }
}

impl Span {
    fn of(windows: &Windows, step: usize, values: &[f64]) -> Option<Self> {
        let window = windows.window(step, values)?;
        let count = window.timestamps.len();
        if count < 2 {
            return None;
        }
        let (first_at, last_at) = (window.timestamps[0], window.timestamps[count - 1]);
        let reach = Reach::of((window.after, window.last), (first_at, last_at), count as f64);
        Some(Self { first: window.first, last: window.end - 1, reach })
    }

    /// The increase of a counter that lost `lost` in resets.
    fn increase(&self, values: &[f64], lost: f64) -> f64 {
        let first = values[self.first];
        self.reach.increase(first, values[self.last] - first + lost)
    }
}

impl Reach {
    /// Of a range from the point before it to its last one, with `count` samples, at least two, from a first to a last.
    #[inline]
    pub(in crate::eval) fn of(
        (after, last): (i64, i64),
        (first_at, last_at): (i64, i64),
        count: f64,
    ) -> Self {
        let seconds = |millis: i64| millis as f64 / 1e3;
        let sampled = seconds(last_at - first_at);
        let between = sampled / (count - 1.0);
        let reach = |gap: f64| if gap >= between * 1.1 { between / 2.0 } else { gap };
        Self { sampled, to_start: reach(seconds(first_at - after)), to_end: reach(seconds(last - last_at)) }
    }

    /// The same of a counter that was zero at `start`, inside the range; there may be one sample alone then.
    pub(in crate::eval) fn since(start: i64, last: i64, (first_at, last_at): (i64, i64), count: f64) -> Self {
        let seconds = |millis: i64| millis as f64 / 1e3;
        let between = if count > 1.0 { seconds(last_at - first_at) / (count - 1.0) } else { 0.0 };
        let gap = seconds(last - last_at);
        let to_end = if gap >= between * 1.1 { between / 2.0 } else { gap };
        Self { sampled: seconds(last_at - start), to_start: 0.0, to_end }
    }

    /// How much longer the range is than what is known of it.
    #[inline]
    pub(in crate::eval) fn stretch(&self) -> f64 {
        (self.sampled + self.to_start + self.to_end) / self.sampled
    }

    /// A change between the first sample and the last, over the whole range.
    #[inline]
    pub(in crate::eval) fn extrapolated(&self, change: f64) -> f64 {
        change * self.stretch()
    }

    /// The same of a counter, which was nowhere below zero.
    #[inline]
    pub(in crate::eval) fn increase(&self, first: f64, increase: f64) -> f64 {
        increase * self.stretch_of_counter(first, increase)
    }

    /// As [`Reach::stretch`], of a counter.
    #[inline]
    pub(in crate::eval) fn stretch_of_counter(&self, first: f64, increase: f64) -> f64 {
        let mut to_zero = self.to_start;
        // Mostly zero is far, which is known without dividing.
        if increase > 0.0 && first >= 0.0 && self.sampled * first < self.to_start * increase {
            to_zero = self.sampled * (first / increase);
        }
        let to_start = self.to_start.min(to_zero);
        Self { to_start, ..*self }.stretch()
    }
}

/// Where a counter started again.
pub(super) fn resets(values: &[f64]) -> Vec<usize> {
    // Most never do. Without an early end the loop takes several values at a time.
    let any = values.windows(2).fold(false, |any, two| any | (two[1] < two[0]));
    if !any {
        return Vec::new();
    }
    (1..values.len()).filter(|&i| values[i] < values[i - 1]).collect()
}
