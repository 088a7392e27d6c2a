//! A score from 0 to 100 with everything that went into it.
//!
//! Each part has a figure `x`, one that would be good and one that would be bad; between them it counts
//! `s = clamp((bad − x) / (bad − good), 0, 1)`. The score is `100 · Σ w·s / Σ w` over the parts that are known. A critical
//! part at zero caps it at 49; where less than half of the weight is known, there is no score. Making any figure worse
//! never raises it.

use serde::Serialize;

/// A score is not above this while a critical part is at its worst.
const CAP: f64 = 49.0;

/// What goes into a score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// What it is of.
    pub name: String,
    /// The figure; `None` if it is not known.
    pub value: Option<f64>,
    /// What would count in full.
    pub good: f64,
    /// What would count nothing.
    pub bad: f64,
    /// How much it counts.
    pub weight: f64,
    /// What it counts, from 0 to 1.
    pub score: Option<f64>,
    /// Whether nothing else makes up for it.
    pub critical: bool,
}

impl Part {
    /// A part of which `good` and `bad` differ.
    pub fn new(name: &str, value: Option<f64>, [good, bad]: [f64; 2], weight: f64) -> Self {
        let value = value.filter(|value| value.is_finite());
        let score = value.map(|value| ((bad - value) / (bad - good)).clamp(0.0, 1.0));
        Self { name: name.to_owned(), value, good, bad, weight, score, critical: false }
    }

    /// The same, that nothing else makes up for.
    #[must_use]
    pub fn critical(self) -> Self {
        Self { critical: true, ..self }
    }
}

/// A score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// From 0 to 100, one decimal; `None` where too little is known.
    pub score: Option<f64>,
    /// `healthy` from 90 on, `degraded` from 70 on, else `unhealthy`.
    pub rating: Option<&'static str>,
    /// The known share of all weight.
    pub coverage: f64,
    /// What held the score down, whatever the parts add up to.
    pub gates: Vec<String>,
    /// The parts.
    pub parts: Vec<Part>,
}

impl Score {
    /// The score of these parts.
    pub fn of(parts: Vec<Part>) -> Self {
        let all: f64 = parts.iter().map(|part| part.weight).sum();
        let known: f64 = parts.iter().filter(|part| part.score.is_some()).map(|part| part.weight).sum();
        let earned: f64 = parts.iter().filter_map(|part| Some(part.weight * part.score?)).sum();
        let coverage = if all > 0.0 { known / all } else { 0.0 };
        let gates: Vec<_> = parts
            .iter()
            .filter(|part| part.critical && part.score == Some(0.0))
            .map(|part| format!("{} is at its worst: at most {CAP}", part.name))
            .collect();
        let cap = if gates.is_empty() { 100.0 } else { CAP };
        let score = (coverage >= 0.5).then(|| (1000.0 * earned / known).round().min(10.0 * cap) / 10.0);
        let rating = score.map(|score| match score {
            90.0.. => "healthy",
            70.0.. => "degraded",
            _ => "unhealthy",
        });
        Self { score, rating, coverage, gates, parts }
    }

    /// The same, with nothing left of it and the reason.
    #[must_use]
    pub fn gated_to_zero(mut self, why: &str) -> Self {
        self.gates.push(format!("{why}: 0"));
        self.rating = self.score.map(|_| "unhealthy");
        self.score = self.score.map(|_| 0.0);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(values: [Option<f64>; 3]) -> Vec<Part> {
        let [errors, slow, used] = values;
        vec![
            Part::new("error_rate", errors, [0.001, 0.05], 3.0).critical(),
            Part::new("latency", slow, [1.0, 3.0], 2.0),
            Part::new("saturation", used, [0.7, 0.95], 2.0),
        ]
    }

    #[test]
    fn scores_by_hand() {
        let check = |values, expected| assert_eq!(Score::of(parts(values)).score, expected, "{values:?}");
        check([Some(0.0), Some(0.5), Some(0.1)], Some(100.0));
        check([Some(0.0), Some(2.0), Some(0.1)], Some(85.7));
        check([Some(0.05), Some(1.0), Some(0.7)], Some(49.0));
        check([Some(0.0), None, None], None);
        check([None, Some(1.0), Some(0.7)], Some(100.0));
        check([Some(f64::NAN), None, None], None);
        assert_eq!(Score::of(Vec::new()).score, None);
        let lost = Score::of(parts([Some(0.0); 3])).gated_to_zero("quorum is lost");
        assert_eq!((lost.score, lost.rating), (Some(0.0), Some("unhealthy")));
    }

    #[test]
    fn a_worse_figure_never_raises_the_score() {
        let steps = [0.0, 0.0005, 0.01, 0.04, 0.05, 0.5, 0.8, 0.94, 0.95, 1.5, 2.5, 3.0, 9.0];
        for &a in &steps {
            for &b in &steps {
                for &c in &steps {
                    let score = Score::of(parts([Some(a), Some(b), Some(c)])).score.unwrap();
                    for worse in [[a + 0.02, b, c], [a, b + 0.7, c], [a, b, c + 0.3]] {
                        assert!(Score::of(parts(worse.map(Some))).score.unwrap() <= score, "{worse:?}");
                    }
                }
            }
        }
    }
}
