//! Accuracy against what it costs: a table of rates, with the one to take.
//!
//! The price of a rate is J(p) = N·p·C + Λ·Σ wⱼ·Varⱼ(p): what the kept ones cost, and what being wrong costs. For
//! totals of Poisson samples Var(p) = (1 − p)/p · Σy², so that J is least at p* = √(Λ·Σ wⱼ·Σyⱼ² / (C·N)).

/// What keeping one item costs, in one unit of money or effort.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Costs {
    /// Processor time to make, send and take in.
    pub cpu: f64,
    /// Network.
    pub network: f64,
    /// Storage for a day.
    pub storage_per_day: f64,
    /// For how many days it is kept.
    pub days: f64,
}

impl Costs {
    /// All of it, for one item.
    pub fn of_one(&self) -> f64 {
        self.storage_per_day.mul_add(self.days, self.cpu + self.network)
    }
}

/// A total that is estimated from what is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Total {
    /// The sum of the squared values of all items.
    pub squares: f64,
    /// The sum of the values; errors are told as shares of it.
    pub sum: f64,
    /// How much its errors matter beside those of other totals.
    pub weight: f64,
}

/// What a rate comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// The rate, from 0 to 1.
    pub rate: f64,
    /// What recording and sending cost.
    pub overhead: f64,
    /// What storing costs.
    pub storage: f64,
    /// The largest standard error of a total, as a share of it; infinite where a total is 0.
    pub error: f64,
    /// J: all costs with the price of being wrong.
    pub price: f64,
}

/// The table, and what to take of it.
#[derive(Clone, Debug, PartialEq)]
pub struct CostBenefit {
    /// Rates from the least to 1.
    pub rows: Vec<Row>,
    /// The rate of least price, p*.
    pub recommended: Row,
    /// The rate beyond which more cost buys little: farthest below the straight line of cost and error.
    pub knee: Row,
    /// Which share of the costs of keeping all p* saves, from 0 to 1; `None` if these are 0.
    pub savings: Option<f64>,
}

/// Weighs accuracy against cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplingCostBenefitAnalyzer {
    /// What keeping one item costs.
    pub costs: Costs,
    /// Λ: what one unit of squared error of a total of weight 1 costs.
    pub error_price: f64,
    /// No rate below this is considered. 0.001 is a good one.
    pub rate_min: f64,
}

impl SamplingCostBenefitAnalyzer {
    /// The table for `items` items with these totals, its rates spread evenly by their logarithm. O(rows · totals).
    pub fn analyze(&self, items: f64, totals: &[Total], rows: usize) -> CostBenefit {
        let rate_min = self.rate_min.clamp(f64::MIN_POSITIVE, 1.0);
        let last = rows.max(2) - 1;
        let rate = |i: usize| if i == last { 1.0 } else { rate_min.powf(1.0 - i as f64 / last as f64) };
        let rows: Vec<Row> = (0..=last).map(|i| self.row(rate(i), items, totals)).collect();
        let squares: f64 = totals.iter().map(|total| total.weight * total.squares).sum();
        let best = (self.error_price * squares / (self.costs.of_one() * items)).sqrt();
        // Nothing costs anything: keep all.
        let best = if best.is_nan() { 1.0 } else { best.clamp(rate_min, 1.0) };
        let (recommended, all) = (self.row(best, items, totals), self.costs.of_one() * items);
        let savings = (all > 0.0).then(|| 1.0 - (recommended.overhead + recommended.storage) / all);
        let knee = knee(&rows).unwrap_or(recommended);
        CostBenefit { rows, recommended, knee, savings }
    }

    fn row(&self, rate: f64, items: f64, totals: &[Total]) -> Row {
        let Costs { cpu, network, storage_per_day, days } = self.costs;
        let (overhead, storage) = (items * rate * (cpu + network), items * rate * storage_per_day * days);
        let variance = |total: &Total| (1.0 - rate) / rate * total.squares;
        let share = |total: &Total| if rate < 1.0 { variance(total).sqrt() / total.sum.abs() } else { 0.0 };
        let wrong: f64 = totals.iter().map(|total| total.weight * variance(total)).sum();
        let error = totals.iter().map(share).fold(0.0, f64::max);
        Row { rate, overhead, storage, error, price: self.error_price.mul_add(wrong, overhead + storage) }
    }
}

/// The row farthest below the line from the cheapest to the dearest, both axes from 0 to 1.
fn knee(rows: &[Row]) -> Option<Row> {
    let (first, last) = (rows.first()?, rows.last()?);
    let below = |row: &Row| {
        let cost = (row.rate - first.rate) / (last.rate - first.rate);
        let error = (row.error - last.error) / (first.error - last.error);
        1.0 - cost - error
    };
    let usable = first.error.is_finite() && first.error > last.error;
    rows.iter().filter(|_| usable).max_by(|a, b| below(a).total_cmp(&below(b))).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn analyzer(error_price: f64) -> SamplingCostBenefitAnalyzer {
        let costs = Costs { cpu: 1.0, network: 0.5, storage_per_day: 0.05, days: 10.0 };
        SamplingCostBenefitAnalyzer { costs, error_price, rate_min: 0.001 }
    }

    #[test]
    fn the_least_price_is_at_the_closed_formula() {
        let totals =
            [Total { squares: 4e6, sum: 1e6, weight: 1.0 }, Total { squares: 1e6, sum: 1e6, weight: 2.0 }];
        let table = analyzer(0.001).analyze(1e6, &totals, 400);
        let expected = (0.001 * 6e6 / (2.0 * 1e6_f64)).sqrt();
        assert!((table.recommended.rate - expected).abs() < 1e-12);
        let cheapest = table.rows.iter().map(|row| row.price).fold(f64::INFINITY, f64::min);
        assert!(table.recommended.price <= cheapest && cheapest < table.recommended.price * 1.001);
        assert!((table.savings.unwrap() - (1.0 - expected)).abs() < 1e-9);
        assert_eq!((table.rows.len(), table.rows[399].rate, table.rows[399].error), (400, 1.0, 0.0));
        assert!(table.rows.is_sorted_by(|a, b| a.rate < b.rate && a.error > b.error));
        assert!((0.01..0.3).contains(&table.knee.rate), "{:?}", table.knee);
    }

    #[test]
    fn extremes_stay_within_bounds() {
        let totals = [Total { squares: 1e6, sum: 0.0, weight: 1.0 }];
        assert_eq!(analyzer(0.0).analyze(1e6, &totals, 5).recommended.rate, 0.001);
        assert_eq!(analyzer(1e9).analyze(1e6, &totals, 5).recommended.rate, 1.0);
        let nothing = analyzer(1.0).analyze(0.0, &[], 0);
        assert_eq!((nothing.recommended.rate, nothing.savings, nothing.rows.len()), (1.0, None, 2));
    }
}
