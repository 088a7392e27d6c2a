//! Values that are unlike what came before, found one at a time.
//!
//! Of each value, two predictions are made from those before it: the level (an exponentially weighted mean), and, where there
//! is a cycle, the median of the same phase in the last cycles. What is left beside a prediction is held against how much was
//! left lately. A value is surprising by the *least* of these, so all predictions must be surprised; the mean of the last three
//! is looked at the same way, for shifts that no single value shows. How unlikely a surprise is follows from the tail of
//! earlier ones: a generalised Pareto distribution of what exceeds their 98th percentile (peaks over threshold; Siffer,
//! Fouque, Termier and Largouet, Anomaly Detection in Streams with Extreme Value Theory, KDD 2017). An alert needs `k` of the
//! last `n` values below the asked probability, and after one there is a rest, unless what follows is far worse.
//!
//! What came later is never looked at. A [`Detector`] holds at most 64 KiB.

mod residuals;
mod tail;

use residuals::Residuals;
use tail::Tail;

/// Points of past cycles that are kept at most.
const PAST_MAX: usize = 7_200;
/// Residuals that say how much is usual.
const WINDOW: usize = 400;
/// How much a new value moves the level.
const LEVEL_WEIGHT: f64 = 0.1;
/// Values farther from zero count as this one.
const VALUE_MAX: f64 = 1e37;
/// Something worse by this factor is told although there was an alert a short while ago.
const WORSE: f64 = 1.5;
/// Values of which a shift is the mean.
const SHIFT: usize = 3;
/// A series that was constant is one no longer once it had so many other values, whether that was told or not.
const OTHERS_MAX: u32 = 8;

/// Which side is watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Watched {
    /// Both.
    #[default]
    Both,
    /// Values that are too high.
    Up,
    /// Values that are too low.
    Down,
}

/// How values are watched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// How unlikely a value has to be; between 0 and 0.01.
    pub q: f64,
    /// Of the last `n` values (at most 32), `k` have to be that unlikely.
    pub k: u32,
    /// See `k`.
    pub n: u32,
    /// Which side is watched.
    pub watched: Watched,
    /// Points in a cycle, for example of a day; 0 if there is none. At most 2,400: three cycles are kept, five of short ones.
    pub period: usize,
    /// Points before anything is told.
    pub learning: u64,
    /// Points after an alert in which only something far worse is told.
    pub rest: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { q: 1e-4, k: 2, n: 3, watched: Watched::Both, period: 0, learning: 100, rest: 60 }
    }
}

/// What is said of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// How surprising it is: residuals in units of what is usual. 0 while there is too little to say.
    pub score: f64,
    /// How likely one at least as surprising is.
    pub p: f64,
    /// What was expected.
    pub expected: f64,
    /// Between what a value would not have been told.
    pub band: Option<(f64, f64)>,
    /// Whether so many values are unlikely that this is an anomaly.
    pub anomalous: bool,
    /// Whether an anomaly begins here that should be told.
    pub onset: bool,
    /// Whether it is too early to say anything.
    pub learning: bool,
}

/// Watches one series.
#[derive(Clone, Debug)]
pub struct Detector {
    settings: Settings,
    seen: u64,
    level: f64,
    /// Values of the last cycles, oldest overwritten.
    past: Vec<f32>,
    cycles: usize,
    by_level: Residuals,
    by_phase: Residuals,
    shifts: Residuals,
    /// The last residuals beside the level.
    last: [f64; SHIFT],
    tail: Tail,
    /// A bit for each of the last values: whether it was unlikely.
    unlikely: u32,
    /// The score of the last alert, and how many points ago it was.
    told: Option<(f64, u64)>,
    /// The only value there was so far, but for some others of which too few came together to be told.
    constant: Option<f64>,
    /// How many others.
    others: u32,
}

impl Detector {
    /// A detector that has seen nothing. Settings out of range count as the nearest that is in it.
    pub fn new(settings: Settings) -> Self {
        let period = settings.period.min(PAST_MAX / 3);
        let n = settings.n.clamp(1, 32);
        let settings = Settings {
            q: if settings.q > 0.0 { settings.q.min(0.01) } else { 1e-4 },
            n,
            k: settings.k.clamp(1, n),
            period,
            learning: settings.learning.max(20),
            ..settings
        };
        let cycles = PAST_MAX.checked_div(period).map_or(0, |cycles| cycles.min(5));
        Self {
            settings,
            seen: 0,
            level: 0.0,
            past: Vec::new(),
            cycles,
            by_level: Residuals::new(WINDOW),
            by_phase: Residuals::new(WINDOW),
            shifts: Residuals::new(WINDOW),
            last: [0.0; SHIFT],
            tail: Tail::new(),
            unlikely: 0,
            told: None,
            constant: None,
            others: 0,
        }
    }

    /// How many values it has seen.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// What it holds, in bytes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.past.capacity() * size_of::<f32>()
            + self.by_level.bytes()
            + self.by_phase.bytes()
            + self.shifts.bytes()
            + self.tail.bytes()
    }

    /// Judges the next value by those before it, and learns it. A value that is not finite is a gap: nothing is learned of it.
    pub fn push(&mut self, value: f64) -> Judged {
        if !value.is_finite() {
            let (p, learning) = (1.0, self.learns());
            return Judged {
                score: 0.0,
                p,
                expected: self.level,
                band: None,
                anomalous: false,
                onset: false,
                learning,
            };
        }
        let value = value.clamp(-VALUE_MAX, VALUE_MAX);
        if self.seen == 0 {
            (self.level, self.constant) = (value, Some(value));
        }
        let by_phase = self.of_phase();
        let judged = self.judge(value, by_phase);
        self.learn(value, by_phase, &judged);
        judged
    }

    fn learns(&self) -> bool {
        self.seen < self.settings.learning
    }

    fn judge(&mut self, value: f64, by_phase: Option<f64>) -> Judged {
        let learning = self.learns();
        // Something that never changed: that it does is all there is to say.
        if let Some(constant) = self.constant {
            #[expect(clippy::float_cmp, reason = "the very same value again and again")]
            let changed = value != constant && self.side(value - constant);
            let (score, p) = if changed && !learning { (f64::MAX, 0.0) } else { (0.0, 1.0) };
            return self.decide(score, p, constant, Some((constant, constant)), learning);
        }
        let beside = value - self.level;
        let (center, scale) = self.by_level.usual();
        let mut surprise = self.signed(beside - center, scale);
        let mut expected = (self.level + center, scale);
        if let Some(phase) = by_phase {
            let (center, scale) = self.by_phase.usual();
            let other = self.signed(value - phase - center, scale);
            if other < surprise {
                surprise = other;
                expected = (phase + center, scale);
            }
        }
        let mean = (self.last[1] + self.last[2] + beside) / 3.0;
        let (center, scale) = self.shifts.usual();
        // A shift counts only where the value itself is not as expected by phase.
        let shift = self.signed(mean - center, scale);
        let score = if by_phase.is_some() { surprise } else { surprise.max(shift.min(2.0 * surprise)) };
        let p = self.tail.p(score);
        let band = self.tail.score_of(self.settings.q).map(|z| {
            let (middle, scale) = expected;
            (middle - z * scale, middle + z * scale)
        });
        let told = if learning { (0.0, 1.0) } else { (score, p) };
        self.decide(told.0, told.1, expected.0, band, learning)
    }

    /// How far out it is, on the side that is watched.
    fn signed(&self, residual: f64, scale: f64) -> f64 {
        if self.side(residual) { residual.abs() / scale } else { 0.0 }
    }

    fn side(&self, residual: f64) -> bool {
        match self.settings.watched {
            Watched::Both => true,
            Watched::Up => residual > 0.0,
            Watched::Down => residual < 0.0,
        }
    }

    fn decide(
        &mut self,
        score: f64,
        p: f64,
        expected: f64,
        band: Option<(f64, f64)>,
        learning: bool,
    ) -> Judged {
        self.unlikely = self.unlikely << 1 | u32::from(p < self.settings.q);
        let looked_at = u32::MAX >> (32 - self.settings.n);
        let anomalous = !learning && (self.unlikely & looked_at).count_ones() >= self.settings.k;
        if let Some((_, ago)) = &mut self.told {
            *ago += 1;
        }
        let rests = self.told.is_some_and(|(worst, ago)| ago <= self.settings.rest && score <= worst * WORSE);
        let onset = anomalous && !rests;
        if onset {
            self.told = Some((score, 0));
        }
        Judged { score, p, expected, band, anomalous, onset, learning }
    }

    /// The median of the same phase in the last cycles, once there are two.
    fn of_phase(&self) -> Option<f64> {
        let period = self.settings.period;
        if period == 0 || self.past.len() < 2 * period {
            return None;
        }
        let capacity = period * self.cycles;
        let next = usize::try_from(self.seen % capacity as u64).unwrap_or(0);
        let mut same = [0.0_f32; 5];
        let mut found = 0;
        for back in 1..=self.cycles {
            let place = (next + capacity - back * period % capacity) % capacity;
            // The oldest place of a full ring is the one that is overwritten next: it is the same phase, too.
            if let Some(value) = self.past.get(place).filter(|_| back * period <= self.past.len()) {
                same[found] = *value;
                found += 1;
            }
        }
        let same = &mut same[..found];
        same.sort_unstable_by(f32::total_cmp);
        let middle = f64::from(same[found / 2]);
        Some(if found % 2 == 0 { f64::midpoint(middle, f64::from(same[found / 2 - 1])) } else { middle })
    }

    fn learn(&mut self, value: f64, by_phase: Option<f64>, judged: &Judged) {
        // One other value in a series that never changed says nothing of what is usual.
        if !self.stays_constant(value, judged) {
            self.learn_usual(value, by_phase, judged);
        }
        let capacity = self.settings.period * self.cycles;
        if capacity > 0 {
            let place = usize::try_from(self.seen % capacity as u64).unwrap_or(0);
            #[expect(clippy::cast_possible_truncation, reason = "a prediction needs no more digits")]
            let value = value as f32;
            if place < self.past.len() {
                self.past[place] = value;
            } else {
                if self.past.len() == self.past.capacity() {
                    let more = self.past.len().max(64).min(capacity - self.past.len());
                    self.past.reserve_exact(more);
                }
                self.past.push(value);
            }
        }
        self.seen += 1;
    }

    /// Whether the series counts as constant still though this value is another.
    fn stays_constant(&mut self, value: f64, judged: &Judged) -> bool {
        #[expect(clippy::float_cmp, reason = "the very same value again and again")]
        let is_other = self.constant.is_some_and(|constant| constant != value);
        if !is_other {
            return false;
        }
        self.others += 1;
        if judged.anomalous || self.learns() || self.others >= OTHERS_MAX {
            self.constant = None;
        }
        self.constant.is_some()
    }

    fn learn_usual(&mut self, value: f64, by_phase: Option<f64>, judged: &Judged) {
        let beside = value - self.level;
        self.by_level.push(beside);
        if let Some(phase) = by_phase {
            self.by_phase.push(value - phase);
        }
        self.last.rotate_left(1);
        self.last[SHIFT - 1] = beside;
        self.shifts.push(self.last.iter().sum::<f64>() / 3.0);
        // What is told is not what is usual, and a surprise beyond measure is in no tail.
        if self.seen > 20 && !(judged.anomalous && judged.p < self.settings.q) && judged.score < f64::MAX {
            self.tail.push(judged.score, self.learns());
        }
        self.level += LEVEL_WEIGHT * beside;
    }
}

#[cfg(test)]
mod tests;
