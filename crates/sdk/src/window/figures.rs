//! A window in numbers.

use barograph_model::Sketch;

/// The quantiles that windows are asked for, and how they are spelled in labels.
pub const QUANTILES: [(f64, &str); 4] = [(0.5, "0.5"), (0.9, "0.9"), (0.95, "0.95"), (0.99, "0.99")];

/// What a window holds, in the unit of the metric. All of it is of one reading.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// How much time the window covers, in seconds: up to its whole length.
    pub seconds: f64,
    /// How many values were recorded; of a counter, how much it grew, in whole numbers.
    pub count: u64,
    /// Their sum; of a counter, how much it grew.
    pub sum: f64,
    /// `count` per second; 0 while no time went by.
    #[doc(alias("ops_per_second", "rate"))]
    pub per_second: f64,
    /// The least value, within 1.1 %. This and what follows is `None` of nothing, and of counters.
    pub min: Option<f64>,
    /// The greatest value, within 1.1 %.
    pub max: Option<f64>,
    /// The mean, exact to rounding.
    #[doc(alias("avg", "AVG"))]
    pub mean: Option<f64>,
    /// The median, within 1.1 % of the value at that rank, as the other quantiles.
    pub p50: Option<f64>,
    /// Nine in ten are no greater.
    pub p90: Option<f64>,
    /// 95 in a hundred are no greater.
    pub p95: Option<f64>,
    /// 99 in a hundred are no greater.
    pub p99: Option<f64>,
}

impl Figures {
    pub(crate) fn of_values(sketch: &Sketch, seconds: f64) -> Self {
        let [p50, p90, p95, p99] = QUANTILES.map(|(q, _)| sketch.quantile(q));
        Self {
            min: sketch.min(),
            max: sketch.max(),
            mean: (sketch.count() > 0).then(|| sketch.sum() / sketch.count() as f64),
            p50,
            p90,
            p95,
            p99,
            ..Self::of_amount(sketch.count() as f64, sketch.sum(), seconds)
        }
    }

    pub(crate) fn of_amount(count: f64, sum: f64, seconds: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count in whole numbers"
        )]
        let whole = count as u64;
        let per_second = if seconds > 0.0 { count / seconds } else { 0.0 };
        Self { seconds, count: whole, sum, per_second, ..Self::default() }
    }
}
