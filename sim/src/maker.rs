//! The histories of seeds: what happens by chance, with times that go on.

use barograph_disk::{Chance, Fault};
use barograph_model::STALE_BITS;

use crate::history::{
    Crash, Cut, HISTOGRAMS, HOUR, METRICS, MINUTE, Op, Pick, SERIES, SERIES_EACH, START, Sample, Weather,
    Work,
};

#[derive(Clone)]
struct Maker {
    now: i64,
    stride: i64,
    weather: Weather,
    chance: Chance,
}

/// What happens, one after the other. What was thought of later has a chance of its own, so that a seed means much the
/// same as before.
pub(crate) fn ops(stride: i64, weather: Weather, chance: Chance) -> Vec<Op> {
    let mut maker = Maker { now: START, stride, weather, chance };
    let count = 40 + maker.chance.below(160);
    let mut other = Maker { chance: Chance::new(maker.chance.clone().next()), ..maker.clone() };
    let mut ops = Vec::new();
    for _ in 0..count {
        ops.push(maker.op());
        other.now = maker.now;
        if other.chance.once_in(6) {
            ops.push(other.further());
        }
    }
    ops
}

impl Maker {
    fn up_to(&mut self, end: i64) -> i64 {
        i64::try_from(self.chance.below(end.unsigned_abs().max(1))).unwrap_or(0)
    }

    fn op(&mut self) -> Op {
        self.now += self.up_to(2 * self.stride);
        if self.chance.once_in(60) {
            self.now += self.up_to(5 * HOUR);
        }
        let now = self.now;
        match self.chance.below(100) {
            0..46 => self.append(),
            46..68 => Op::Commit,
            68..70 => {
                Op::Describe { metric: self.chance.index(METRICS.len()), version: self.chance.below(1000) }
            }
            70..77 => Op::Maintain { now },
            77..79 => Op::Flush { now },
            79..87 => self.query(),
            87..93 => self.weather(),
            _ => Op::Crash(self.crash()),
        }
    }

    /// Tiers, deletes, histograms, backups, and history that is loaded.
    fn further(&mut self) -> Op {
        let now = self.now;
        match self.chance.below(20) {
            0..6 => self.observe(),
            6..10 => self.load(),
            10..14 => Op::Tiers { now },
            14 => {
                let (pick, start, end) = self.part();
                Op::Delete { now, pick, start, end }
            }
            15 => Op::Clean,
            16 | 17 => {
                let calls = self.chance.once_in(3).then(|| self.chance.below(60));
                Op::Backup { now, calls, seed: self.chance.next() }
            }
            _ => {
                let mut crash = self.crash();
                let (pick, start, end) = self.part();
                let work = *self.chance.pick(&[Work::Clean, Work::Delete { pick, start, end }]);
                crash.during =
                    Some(Cut { work, calls: self.chance.below(60), short: self.chance.once_in(3) });
                Op::Crash(crash)
            }
        }
    }

    fn observe(&mut self) -> Op {
        let mut rows = Vec::new();
        let first = self.chance.index(HISTOGRAMS);
        let step = *self.chance.pick(&[1, 15_000, self.stride / 8 + 1]);
        let ahead = if self.chance.once_in(8) { self.up_to(4 * HOUR) } else { 0 };
        for round in (0..1 + self.up_to(12)).rev() {
            for series in first..1 + first + self.chance.index(HISTOGRAMS - first) {
                let bits = self.chance.below(1 << 40);
                rows.push(Sample { series: SERIES + series, at: self.now - ahead - round * step, bits });
            }
        }
        if self.chance.once_in(5) {
            let again = rows[self.chance.index(rows.len())..].to_vec();
            rows.extend(again);
        }
        Op::Observe { now: self.now, rows }
    }

    /// Some hours or days of a few series, in order, that may have been cut long ago.
    fn load(&mut self) -> Op {
        let first = self.chance.index(SERIES);
        let end = first + 1 + self.chance.index((SERIES - first).min(3));
        let longest = *self.chance.pick(&[6 * HOUR, 80 * HOUR]);
        let back = self.up_to(longest);
        let step = *self.chance.pick(&[20_000, 5 * MINUTE, HOUR]);
        let count = 1 + self.up_to(80);
        let times = (0..count).map(|n| self.now - back + n * step).filter(|at| *at <= self.now);
        let places: Vec<_> = times.flat_map(|at| (first..end).map(move |series| (series, at))).collect();
        let rows = places.into_iter().map(|(series, at)| self.sample(series, at)).collect();
        Op::Append { now: self.now, any_age: self.chance.once_in(3), rows }
    }

    /// A part of everything, often of whole hours.
    fn part(&mut self) -> (Pick, i64, i64) {
        let pick = match self.chance.below(4) {
            0 => Pick::Metric(self.chance.index(METRICS.len())),
            1 => Pick::All,
            _ => Pick::Number(self.chance.index(SERIES_EACH)),
        };
        let start = self.now - self.up_to(30 * HOUR);
        let end = start + 1 + self.up_to(12 * HOUR);
        if self.chance.once_in(2) {
            return (pick, start, end);
        }
        let hour = |at: i64| at.div_euclid(HOUR) * HOUR;
        (pick, hour(start), hour(end) + HOUR)
    }

    fn append(&mut self) -> Op {
        let mut rows = Vec::new();
        match self.chance.below(10) {
            // A few rounds of scraping: some neighbours, all at the same times.
            0..6 => {
                let first = self.chance.index(SERIES);
                let count = 1 + self.chance.index(SERIES - first);
                let rounds = 1 + self.up_to(8);
                let step = *self.chance.pick(&[1, 1_000, 15_000, self.stride / 8 + 1]);
                for round in (0..rounds).rev() {
                    for series in first..first + count {
                        let jitter = if self.chance.once_in(30) { self.up_to(10) } else { 0 };
                        rows.push(self.sample(series, self.now - round * step - jitter));
                    }
                }
            }
            // One series, many samples.
            6 | 7 => {
                let series = self.chance.index(SERIES);
                let count = 1 + self.up_to(150);
                let step = 1 + self.up_to(2 * self.stride / count + 1);
                for back in (0..count).rev() {
                    rows.push(self.sample(series, self.now - back * step));
                }
            }
            // Anything, some of it late or too late, some ahead.
            _ => {
                for _ in 0..1 + self.chance.below(30) {
                    let late = match self.chance.below(9) {
                        8 => self.up_to(60 * HOUR),
                        0 => self.up_to(5 * HOUR),
                        1 => self.up_to(90 * MINUTE),
                        2 => -self.up_to(12 * MINUTE),
                        _ => self.up_to(5_000),
                    };
                    let series = self.chance.index(SERIES);
                    rows.push(self.sample(series, self.now - late));
                }
            }
        }
        if self.chance.once_in(5) {
            // Sent twice, as a client does whose answer got lost; sometimes with another value.
            let again = rows[self.chance.index(rows.len())..].to_vec();
            rows.extend(again);
            if self.chance.once_in(3) {
                let last = rows.len() - 1;
                rows[last].bits ^= 1 << self.chance.below(64);
            }
        }
        Op::Append { now: self.now, any_age: self.chance.once_in(12), rows }
    }

    fn sample(&mut self, series: usize, at: i64) -> Sample {
        let chance = &mut self.chance;
        let bits = match (chance.below(40), series / SERIES_EACH) {
            (0, _) => STALE_BITS,
            (1, _) => 0f64.to_bits(),
            // Counts up with time, and begins anew every few hours.
            (_, 0) => {
                let seconds = (at / 1000).rem_euclid(20_000);
                let count = seconds * (1 + i64::try_from(series).unwrap_or(0));
                (count as f64).to_bits()
            }
            (_, 1) => ((2000 + at / 7 % 300) as f64 / 100.0).to_bits(),
            _ => chance.next(),
        };
        Sample { series, at, bits }
    }

    fn query(&mut self) -> Op {
        let pick = match self.chance.below(5) {
            0 => Pick::Metric(self.chance.index(METRICS.len())),
            1 => Pick::NotMetric(self.chance.index(METRICS.len())),
            2 => Pick::Number(self.chance.index(SERIES_EACH)),
            _ => Pick::All,
        };
        if self.chance.once_in(2) {
            return Op::Query { pick, start: i64::MIN, end: i64::MAX };
        }
        let whole = self.now - START + HOUR;
        let start = START + self.up_to(whole);
        Op::Query { pick, start, end: start + 1 + self.up_to(whole) }
    }

    fn weather(&mut self) -> Op {
        let chance = &mut self.chance;
        match self.weather {
            Weather::Faults if chance.once_in(3) => Op::Heal,
            Weather::Faults => {
                let fault = *chance.pick(&[Fault::Io, Fault::Full, Fault::ShortWrite]);
                let count = if chance.once_in(6) { 500 } else { 1 + chance.below(5) };
                Op::Fault { skip: chance.below(12), count, fault }
            }
            Weather::Rot if chance.once_in(3) => {
                // Near both ends lie headers and footers, which are small and matter most.
                let bit = match chance.below(3) {
                    0 => chance.below(400),
                    1 => u64::MAX - chance.below(2000),
                    _ => chance.next(),
                };
                Op::Flip { file: chance.next(), bit }
            }
            Weather::Rot => {
                let count = 1 + chance.below(3);
                Op::Fault { skip: chance.below(20), count, fault: Fault::FlippedRead }
            }
            Weather::Kills | Weather::PowerLoss => self.query(),
        }
    }

    fn crash(&mut self) -> Crash {
        let chance = &mut self.chance;
        let kill = match self.weather {
            Weather::Kills => true,
            Weather::PowerLoss => chance.once_in(8),
            Weather::Faults | Weather::Rot => chance.once_in(3),
        };
        let calls_max = if chance.once_in(2) { 8 } else { 60 };
        let during = (!chance.once_in(4)).then(|| Cut {
            work: *chance.pick(&[Work::Commit, Work::Commit, Work::Maintain, Work::Flush]),
            calls: chance.below(calls_max),
            short: chance.once_in(3),
        });
        let seeds = (0..if kill { 1 } else { 1 + chance.below(5) }).map(|_| chance.next()).collect();
        let again = chance.once_in(4).then(|| chance.below(50));
        Crash { now: self.now, during, kill, seeds, again, options: chance.next() }
    }
}
