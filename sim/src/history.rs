//! What happens in a simulation, as data: made from a seed, printed when it fails, made shorter by leaving parts out.
//!
//! Every operation carries the times and the seeds it needs, so that it means the same whatever is left out before it.

use std::fmt;

use barograph_disk::{Chance, Fault};
use barograph_model::STALE_BITS;

/// Some moment, at the start of a two-hour window.
pub const START: i64 = 1_699_999_200_000;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// Series of each metric.
pub const SERIES_EACH: usize = 8;

/// The metrics: one counts up, one has two decimals, one has any bits.
pub const METRICS: [&str; 3] = ["requests_total", "temperature_celsius", "noise"];

/// All series.
pub const SERIES: usize = SERIES_EACH * METRICS.len();

/// What may happen to the disk, by `semantics`: the process is killed, power is lost, power is lost and calls fail,
/// bits are wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// The process ends at any call; the page cache survives.
    Kills,
    /// Power is lost at any call: unsynced sectors and names are each kept, lost, torn or zeroed.
    PowerLoss,
    /// That, and calls fail meanwhile: I/O errors, no space, short writes, syncs that fail.
    Faults,
    /// Kills and power losses, and bits that are wrong when read or for good.
    Rot,
}

/// A history.
#[derive(Clone, Debug)]
pub struct History {
    /// What it was made from.
    pub seed: u64,
    /// What happens to the disk.
    pub weather: Weather,
    /// How long blocks are kept, in milliseconds; `None` for ever.
    pub retention: Option<i64>,
    /// How late samples may come, in milliseconds; 0 for not at all.
    pub window: i64,
    /// What happens, one after the other.
    pub ops: Vec<Op>,
}

/// One row of an append.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Which series, below [`SERIES`].
    pub series: usize,
    /// Its time.
    pub at: i64,
    /// The bits of its value.
    pub bits: u64,
}

/// One step of a history.
#[derive(Clone, Debug)]
pub enum Op {
    /// Rows come in.
    Append {
        /// The time they come.
        now: i64,
        /// Whether they may be of any age, as history that is imported.
        any_age: bool,
        /// The rows.
        rows: Vec<Sample>,
    },
    /// A metric is described.
    Describe {
        /// Index of the metric.
        metric: usize,
        /// Part of the text.
        version: u64,
    },
    /// The log is made durable.
    Commit,
    /// Windows are cut, blocks merged, old ones deleted.
    Maintain {
        /// The time it is.
        now: i64,
    },
    /// Everything is cut.
    Flush {
        /// The time it is.
        now: i64,
    },
    /// A selection is read and compared.
    Query {
        /// Of which series.
        pick: Pick,
        /// From this time on.
        start: i64,
        /// Before this time.
        end: i64,
    },
    /// Calls of the disk fail from now on.
    Fault {
        /// So many do not yet.
        skip: u64,
        /// So many do.
        count: u64,
        /// How.
        fault: Fault,
    },
    /// No more faults.
    Heal,
    /// A bit of a file is wrong from now on; both numbers are taken modulo what there is.
    Flip {
        /// Which file.
        file: u64,
        /// Which bit.
        bit: u64,
    },
    /// The process ends, and a next one opens the store.
    Crash(Crash),
}

/// How a process ends and the next begins.
#[derive(Clone, Debug)]
pub struct Crash {
    /// The time of the next start.
    pub now: i64,
    /// In the middle of some work, or between two calls of the store.
    pub during: Option<Cut>,
    /// Only the process ends; else power is lost.
    pub kill: bool,
    /// Each seed is one outcome of a power loss that is looked at; the work goes on after the last.
    pub seeds: Vec<u64>,
    /// The next start is itself interrupted, after so many calls of the disk.
    pub again: Option<u64>,
    /// Shapes the options of the next store.
    pub options: u64,
}

/// Work that is interrupted.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Which.
    pub work: Work,
    /// After so many calls of the disk.
    pub calls: u64,
    /// The last call writes a part.
    pub short: bool,
}

/// Work of the store.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// A commit.
    Commit,
    /// A cut and what comes with it.
    Maintain,
    /// A flush.
    Flush,
}

/// The series of a query.
#[derive(Clone, Copy, Debug)]
pub enum Pick {
    /// All.
    All,
    /// Those of one metric.
    Metric(usize),
    /// Those of all other metrics.
    NotMetric(usize),
    /// Those of one number in every metric.
    Number(usize),
}

impl Pick {
    /// Whether a series is one of them.
    pub fn has(self, series: usize) -> bool {
        match self {
            Self::All => true,
            Self::Metric(metric) => series / SERIES_EACH == metric,
            Self::NotMetric(metric) => series / SERIES_EACH != metric,
            Self::Number(number) => series % SERIES_EACH == number,
        }
    }
}

impl History {
    /// The history of a seed.
    pub fn new(seed: u64) -> Self {
        let weather = [Weather::Kills, Weather::PowerLoss, Weather::Faults, Weather::Rot];
        let mut chance = Chance::new(seed);
        let weather = weather[usize::try_from(seed % 4).unwrap_or(0)];
        let retention = *chance.pick(&[None, None, Some(7 * HOUR), Some(30 * HOUR)]);
        let window = *chance.pick(&[0, HOUR, HOUR, 8 * HOUR]);
        // Some histories are of minutes, some of days.
        let stride = *chance.pick(&[10_000, MINUTE, 6 * MINUTE, 40 * MINUTE]);
        let mut maker = Maker { now: START, stride, weather, chance };
        let count = 40 + maker.chance.below(160);
        let ops = (0..count).map(|_| maker.op()).collect();
        Self { seed, weather, retention, window, ops }
    }
}

struct Maker {
    now: i64,
    stride: i64,
    weather: Weather,
    chance: Chance,
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

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Append { now, any_age, rows } = self else { return write!(f, "{self:?}") };
        write!(f, "Append{} at {now}:", if *any_age { " of any age" } else { "" })?;
        for row in rows {
            write!(f, " {}@{}={:#x}", row.series, row.at, row.bits)?;
        }
        Ok(())
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, weather, retention, window, .. } = self;
        writeln!(f, "seed {seed}, {weather:?}, retention {retention:?}, late by up to {window}")?;
        self.ops.iter().enumerate().try_for_each(|(index, op)| writeln!(f, "{index:4}  {op}"))
    }
}
