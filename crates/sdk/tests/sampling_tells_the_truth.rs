//! What is estimated from a sample is right on average, and its intervals hold the truth as often as they say: on
//! values measured by others, again and again under one seed.
//!
//! The suite repeats some dozen times, on every third population. The full count of 10,000, on all:
//! `BAROGRAPH_SAMPLING_REPEATS=10000 cargo test --release -p barograph --test sampling_tells_the_truth -- --nocapture`.

mod populations;

use std::time::Duration;

use barograph::{
    Timestamp,
    sampling::{
        Importance, ImportanceBasedSampler, Importances, Item, Margin, PrioritySample, Random, Significance,
        StatisticalSignificanceSampler, VarOpt, Weighed,
        estimate::{self, Kept},
    },
};
use populations::{Population, populations};

/// The full count.
const FULL: u32 = 10_000;

/// How often each estimate is made.
#[expect(clippy::disallowed_methods, reason = "a test is told by its environment how long to take")]
fn repeats() -> u32 {
    std::env::var("BAROGRAPH_SAMPLING_REPEATS").map_or(60, |count| count.parse().expect("a count"))
}

/// All populations for the full count, every third for less.
fn for_populations(check: impl Fn(&Population, u32)) {
    let repeats = repeats();
    let step = if repeats >= FULL { 1 } else { 3 };
    populations().iter().step_by(step).for_each(|population| check(population, repeats));
}

#[test]
fn estimates_are_right() {
    for_populations(estimates_of);
}

#[test]
fn varopt_strays_least() {
    for_populations(partial_sums_of);
}

#[test]
fn margins_are_kept_to() {
    for_populations(windows_of);
}

/// What repeated estimates of one figure come to.
struct Tally {
    truth: f64,
    sum: f64,
    squares: f64,
    covered: u32,
    repeats: u32,
}

impl Tally {
    fn new(truth: f64) -> Self {
        Self { truth, sum: 0.0, squares: 0.0, covered: 0, repeats: 0 }
    }

    fn add(&mut self, value: f64, covers: bool) {
        let off = value - self.truth;
        (self.sum, self.squares) = (self.sum + off, off.mul_add(off, self.squares));
        self.covered += u32::from(covers);
        self.repeats += 1;
    }

    fn variance(&self) -> f64 {
        self.squares / f64::from(self.repeats)
    }

    /// The mean error in standard errors of that mean.
    fn bias(&self) -> f64 {
        let n = f64::from(self.repeats);
        self.sum / n / (self.variance() / n).sqrt()
    }

    fn coverage(&self) -> f64 {
        f64::from(self.covered) / f64::from(self.repeats)
    }

    fn assert_unbiased(&self, what: &str) {
        assert!(self.bias().abs() < 3.0, "{what}: off by {:.2} standard errors", self.bias());
    }

    /// Within 93.5 % to 96.5 %, and what chance adds to that.
    fn assert_covers(&self, what: &str) {
        let off = (self.coverage() - 0.95).abs();
        assert!(off <= 0.015 + self.chance(), "{what}: covers {:.2} %", 100.0 * self.coverage());
    }

    /// How far chance moves the coverage; of the full count nothing is put down to it.
    fn chance(&self) -> f64 {
        if self.repeats >= FULL { 0.0 } else { 3.0 * (0.95 * 0.05 / f64::from(self.repeats)).sqrt() }
    }
}

fn estimates_of(population: &Population, repeats: u32) {
    let Population { name, values } = population;
    let (n, total) = (values.len() as f64, values.iter().sum::<f64>());
    let mut sorted = values.clone();
    sorted.sort_by(f64::total_cmp);
    let at = |q: f64| {
        sorted.iter().enumerate().find(|(i, _)| (*i + 1) as f64 >= q * n).map_or(f64::NAN, |(_, v)| *v)
    };
    let longest = at(1.0);
    let mut random = Random::new(1);
    let mut importance = ImportanceBasedSampler::new(Importances {
        base: 0.15,
        slow: Duration::from_secs_f64((at(0.9) / longest).max(0.0)),
        slow_factor: 3.0,
        ..Importances::default()
    });
    let mut tallies = [total, total / n, at(0.5), at(0.9), total].map(Tally::new);
    for _ in 0..repeats {
        let kept: Vec<Kept> =
            values.iter().filter(|_| random.chance(0.2)).map(|&value| Kept { value, rate: 0.2 }).collect();
        let (sum, mean) = (estimate::total(&kept), estimate::mean(&kept).expect("some are kept"));
        tallies[0].add(sum.value, sum.interval(0.95).holds(total));
        tallies[1].add(mean.value, mean.interval(0.95).holds(total / n));
        for (tally, q) in [(2, 0.5), (3, 0.9)] {
            let (value, interval) = estimate::quantile(&kept, q, 0.95).expect("some are kept");
            tallies[tally].add(value, interval.holds(tallies[tally].truth));
        }
        let weighed = values.iter().filter_map(|&value| {
            let took = Duration::from_secs_f64((value / longest).max(0.0));
            let item = Item { operation: "get", error: false, took, importance: Importance::Normal };
            importance.offer(&item, &mut random).map(|info| Kept { value, rate: info.rate })
        });
        let sum = estimate::total(&weighed.collect::<Vec<_>>());
        tallies[4].add(sum.value, sum.interval(0.95).holds(total));
    }
    let names = ["total", "mean", "median", "p90", "total by importance"];
    for (tally, figure) in tallies.iter().zip(names) {
        let (bias, coverage) = (tally.bias(), 100.0 * tally.coverage());
        println!("{name:28} {figure:20} bias {bias:5.2} SE  covers {coverage:.2} %");
        let what = format!("{name}, {figure}");
        // A quantile of a sample is off by less than a rank, which is a bias where values are far apart; where many are
        // equal, its interval ends on one of them and so holds the truth more often than it says.
        if matches!(figure, "median" | "p90") {
            assert!(tally.coverage() > 0.935 - tally.chance(), "{what}: covers {coverage:.2} %");
        } else {
            tally.assert_unbiased(&what);
            tally.assert_covers(&what);
        }
    }
}

/// Sums over every third item, of as many kept by each method.
fn partial_sums_of(population: &Population, repeats: u32) {
    let Population { name, values } = population;
    let k = 100;
    let part = |i: usize| i.is_multiple_of(3);
    let truth: f64 = values.iter().enumerate().filter(|(i, _)| part(*i)).map(|(_, v)| v).sum();
    let threshold = expecting(values, k as f64);
    let mut random = Random::new(2);
    let mut tallies = [(); 3].map(|()| Tally::new(truth));
    let of_part =
        |kept: Vec<Weighed<usize>>| kept.iter().filter(|w| part(w.item)).map(|w| w.adjusted).sum::<f64>();
    for _ in 0..repeats {
        let (mut varopt, mut priority, mut poisson) = (VarOpt::new(k), PrioritySample::new(k), 0.0);
        for (i, &value) in values.iter().enumerate() {
            varopt.offer(i, value, &mut random);
            priority.offer(i, value, &mut random);
            if part(i) && random.chance(value / threshold) {
                poisson += value.max(threshold);
            }
        }
        let estimates = [of_part(varopt.into_kept()), of_part(priority.into_kept()), poisson];
        tallies.iter_mut().zip(estimates).for_each(|(tally, value)| tally.add(value, true));
    }
    let [varopt, priority, poisson] = &tallies;
    let share = |tally: &Tally| 100.0 * tally.variance().sqrt() / truth;
    println!(
        "{name:28} standard error: VarOpt {:.3} %, priority {:.3} %, Poisson {:.3} %",
        share(varopt),
        share(priority),
        share(poisson)
    );
    tallies.iter().for_each(|tally| tally.assert_unbiased(name));
    // Variances themselves are known to within chance only.
    let chance = 1.0 + 4.0 * (2.0 / f64::from(repeats)).sqrt();
    assert!(
        varopt.variance() <= priority.variance() * chance,
        "{name}: VarOpt strays more than priority sampling"
    );
    assert!(priority.variance() <= poisson.variance() * chance, "{name}: priority strays more than Poisson");
}

/// The threshold with which Poisson sampling by weight keeps `k` on average.
fn expecting(values: &[f64], k: f64) -> f64 {
    let kept = |threshold: f64| values.iter().map(|value| (value / threshold).min(1.0)).sum::<f64>();
    let (mut low, mut high) = (0.0, values.iter().sum::<f64>());
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if kept(middle) > k { low = middle } else { high = middle }
    }
    high
}

/// Windows of 2,000 items, taken anywhere in the population: the mean is off by more than 5 % in at most one of
/// twenty.
fn windows_of(population: &Population, windows: u32) {
    let Population { name, values } = population;
    let window = Duration::from_secs(60);
    let settings = Significance { margin: Margin::RelativeMean(0.05), window, ..Significance::default() };
    let mut sampler = StatisticalSignificanceSampler::new(settings);
    let mut random = Random::new(3);
    let (mut met, mut judged, mut seen, mut kept_all) = (0, 0, 0, 0);
    for window in 0..i64::from(windows) + 5 {
        let items = 1_500 + random.below(1_000);
        let (mut sum, mut kept) = (0.0, Vec::new());
        for i in 0..items {
            let value = values[random.below(values.len())];
            let at = Timestamp(
                window * 60_000 + i64::try_from(i * 60_000 / items).expect("a minute of milliseconds"),
            );
            sum += value;
            if let Some(info) = sampler.offer("key", value, at, &mut random) {
                kept.push(Kept { value, rate: info.rate });
            }
        }
        // The first windows find out how values stray.
        if window >= 5 {
            let (mean, truth) = (estimate::mean(&kept).expect("some are kept").value, sum / items as f64);
            met += u32::from((mean - truth).abs() <= 0.05 * truth);
            (judged, seen, kept_all) = (judged + 1, seen + items, kept_all + kept.len());
        }
    }
    let share = 100.0 * f64::from(met) / f64::from(judged);
    println!(
        "{name:28} kept {:5.1} %, within 5 % in {share:.2} % of windows",
        100.0 * kept_all as f64 / seen as f64
    );
    let chance = if windows >= FULL { 0.0 } else { 300.0 * (0.95 * 0.05 / f64::from(windows)).sqrt() };
    assert!(share >= 95.0 - chance, "{name}: {share}");
}
