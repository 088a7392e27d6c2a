//! The straight line through points, by least squares. Pure.

/// How many times its error a slope is that counts; one in forty does by chance.
const SIGNIFICANT: f64 = 2.0;

/// A line through points of hours and values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line {
    /// By how much it rises in an hour.
    pub(crate) slope: f64,
    /// The standard error of that; infinite where two points leave nothing over.
    pub(crate) error: f64,
    /// Where it is at the first point.
    pub(crate) begin: f64,
    /// By how much it rises from the first point to the last.
    pub(crate) change: f64,
    /// The mean of the values.
    pub(crate) mean: f64,
}

impl Line {
    /// The line through points in the order of their hours; `None` of points that are not at different times.
    pub(crate) fn through(points: &[(f64, f64)]) -> Option<Self> {
        let (first, last) = (points.first()?.0, points.last()?.0);
        let n = points.len() as f64;
        let middle = points.iter().map(|p| p.0).sum::<f64>() / n;
        let mean = points.iter().map(|p| p.1).sum::<f64>() / n;
        let spread: f64 = points.iter().map(|p| (p.0 - middle).powi(2)).sum();
        if spread <= 0.0 {
            return None;
        }
        let slope = points.iter().map(|p| (p.0 - middle) * (p.1 - mean)).sum::<f64>() / spread;
        let left: f64 = points.iter().map(|p| (p.1 - mean - slope * (p.0 - middle)).powi(2)).sum();
        let error = if n > 2.0 { (left / (n - 2.0) / spread).sqrt() } else { f64::INFINITY };
        let begin = mean + slope * (first - middle);
        Some(Self { slope, error, begin, change: slope * (last - first), mean })
    }

    /// Whether it rises or falls by so much more than its error that chance seldom does it.
    pub(crate) fn is_clear(&self) -> bool {
        self.slope.abs() > SIGNIFICANT * self.error
    }

    /// The change as a percentage of where it begins; `None` of what begins at zero.
    pub(crate) fn change_percent(&self) -> Option<f64> {
        (self.begin.abs() > f64::EPSILON).then(|| 100.0 * self.change / self.begin.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_by_hand() {
        let line = Line::through(&[(1.0, 3.0), (2.0, 5.0), (3.0, 7.0)]).unwrap();
        assert_eq!(line, Line { slope: 2.0, error: 0.0, begin: 3.0, change: 4.0, mean: 5.0 });
        assert!(line.is_clear());
        let two = Line::through(&[(0.0, 0.0), (1.0, 9.0)]).unwrap();
        assert_eq!((two.is_clear(), two.change_percent()), (false, None));
        assert_eq!(Line::through(&[]), None);
        assert_eq!(Line::through(&[(1.0, 2.0), (1.0, 3.0)]), None);
    }
}
