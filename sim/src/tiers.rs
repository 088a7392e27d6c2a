//! What tiers say, against sums over the samples of the model.

use barograph_model::{
    Budget, Parts, Rollup, Rollups, Selection, Source, SourceError, Tier, TimeRange, Timestamp, is_stale,
};

use crate::{
    history::{SERIES, SERIES_EACH},
    model::{Failure, Violation},
    world::World,
};

/// The series of the first two metrics have values that add up.
const SUMMABLE: usize = 2 * SERIES_EACH;

impl World<'_> {
    /// Cuts and rolls up everything, and compares every window of every tier that must be known.
    pub(crate) fn compare_tiers(&mut self, now: i64) -> Result<(), Failure> {
        self.time_passes(now);
        match self.store().flush(Timestamp(now)) {
            Ok(_) => {}
            Err(_) if self.may_fail() || self.rots() => return Ok(()),
            Err(error) => return Err(Failure::wrong(format!("flush: {error}"))),
        }
        for tier in Tier::ROLLED {
            let found = match self.read_tier(tier) {
                Ok(found) => found,
                Err(_) if self.may_fail() || self.rots() => return Ok(()),
                Err(error) => return Err(Failure::wrong(format!("reading of {tier}: {error}"))),
            };
            if self.damage(self.store(), self.damaged_once) {
                return Ok(());
            }
            let floor = self.store().coverage(tier).end.millis();
            for (series, found) in found.iter().enumerate() {
                self.compare_windows(series, tier, found, floor)?;
                self.totals.compared += found.len() as u64;
            }
        }
        Ok(())
    }

    fn read_tier(&self, tier: Tier) -> Result<Vec<Vec<Rollup>>, SourceError> {
        let mut found = vec![Vec::new(); SERIES];
        let budget = Budget::unlimited();
        let all = Selection { matchers: &[], range: TimeRange::ALL };
        let mut cursor = self.store().rollups(tier, Parts::ALL, &all, &budget)?;
        let mut windows = Rollups::default();
        while let Some(labels) = cursor.next_series()? {
            let series = self.numbers.get(&labels).copied().filter(|series| *series < SERIES);
            windows.clear();
            while cursor.next_batch(&mut windows)? {}
            let series = series.expect("only series of samples are rolled up");
            found[series] = windows.list(0..windows.len()).collect();
        }
        Ok(found)
    }

    fn compare_windows(
        &self,
        series: usize,
        tier: Tier,
        found: &[Rollup],
        floor: i64,
    ) -> Result<(), Failure> {
        let samples: Vec<_> =
            self.model.rolled(series, floor).into_iter().filter(|sample| !is_stale(sample.1)).collect();
        let known = |start: i64| self.model.must_know(series, start).0;
        let mut found = found.iter().filter(|window| known(window.start)).peekable();
        for expected in samples.chunk_by(|a, b| tier.window_of(a.0) == tier.window_of(b.0)) {
            let start = tier.window_of(expected[0].0);
            if !known(start) {
                continue;
            }
            let name = || format!("series {series}, the window of {tier} at {start}");
            if let Some(early) = found.next_if(|window| window.start < start) {
                return Err(unknown(series, tier, early));
            }
            let Some(window) = found.next_if(|window| window.start == start) else {
                return Err(Failure { violation: Violation::Lost, text: format!("{} is missing", name()) });
            };
            let in_order = self.model.must_know(series, start).1;
            differs(window, expected, series < SUMMABLE, in_order)
                .map_or(Ok(()), |what| Err(Failure::wrong(format!("{}: {what}: {window:?}", name()))))?;
        }
        found.next().map_or(Ok(()), |window| Err(unknown(series, tier, window)))
    }
}

fn unknown(series: usize, tier: Tier, window: &Rollup) -> Failure {
    let text = format!("series {series} has a window of {tier} nobody knows: {window:?}");
    Failure { violation: Violation::Phantom, text }
}

/// What a window says wrongly of its samples, if anything.
fn differs(window: &Rollup, samples: &[(i64, f64)], summable: bool, in_order: bool) -> Option<String> {
    let values = || samples.iter().map(|sample| sample.1);
    let (first, last) = (samples[0], samples[samples.len() - 1]);
    let least = values().fold(f64::NAN, f64::min);
    let most = values().fold(f64::NAN, f64::max);
    let same = |what: &str, found: f64, expected: f64| {
        let same = found == expected || found.is_nan() && expected.is_nan();
        (!same).then(|| format!("{what} is {found}, not {expected}"))
    };
    let near = |what: &str, found: f64, expected: f64, off: f64| {
        (summable && (found - expected).abs() > off).then(|| format!("{what} is {found}, not {expected}"))
    };
    if window.count != samples.len() as u64 {
        return Some(format!("count is {}, not {}", window.count, samples.len()));
    }
    let sum: f64 = values().sum();
    let scale = 1e-9 * values().map(f64::abs).sum::<f64>();
    let grown = samples.windows(2).map(|pair| (pair[0].1, pair[1].1));
    let increase: f64 = grown.map(|(a, b)| if b < a { b } else { b - a }).sum();
    same("min", window.min, least)
        .or_else(|| same("max", window.max, most))
        .or_else(|| same("first", window.first, first.1))
        .or_else(|| same("last", window.last, last.1))
        .or_else(|| ((window.first_at, window.last_at) != (first.0, last.0)).then(|| "times".to_owned()))
        .or_else(|| near("sum", window.sum, sum, scale))
        .or_else(|| near("increase", window.increase, increase, scale).filter(|_| in_order))
        .or_else(|| quantiles(window, samples, summable))
}

fn quantiles(window: &Rollup, samples: &[(i64, f64)], summable: bool) -> Option<String> {
    let Some(sketch) = &window.sketch else { return Some("there is no sketch".to_owned()) };
    let mut values: Vec<f64> = samples.iter().map(|sample| sample.1).filter(|v| v.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    if sketch.count() != values.len() as u64 {
        return Some(format!("the sketch has {} of {} values", sketch.count(), values.len()));
    }
    for percent in [0, 50, 90, 99, 100].into_iter().filter(|_| summable && !values.is_empty()) {
        let rank = (values.len() * percent).div_ceil(100).max(1);
        let exact = values[rank - 1];
        let found = sketch.quantile(percent as f64 / 100.0).unwrap_or(f64::NAN);
        if (found - exact).abs() > sketch.relative_error() * exact.abs() * 1.000_001 {
            return Some(format!("p{percent} is {found}, not {exact}"));
        }
    }
    None
}
