//! What happens in a simulation, as data: made from a seed, printed when it fails, made shorter by leaving parts out.
//!
//! Every operation carries the times and the seeds it needs, so that it means the same whatever is left out before it.

use std::fmt;

use barograph_disk::{Chance, Fault};

use crate::maker;

/// Some moment, at the start of a two-hour window.
pub const START: i64 = 1_699_999_200_000;

/// A minute in milliseconds.
pub const MINUTE: i64 = 60_000;

/// An hour.
pub const HOUR: i64 = 60 * MINUTE;

/// Series of each metric.
pub const SERIES_EACH: usize = 8;

/// The metrics: one counts up, one has two decimals, one has any bits.
pub const METRICS: [&str; 3] = ["requests_total", "temperature_celsius", "noise"];

/// All series of plain samples.
pub const SERIES: usize = SERIES_EACH * METRICS.len();

/// Series of native histograms, whose numbers follow.
pub const HISTOGRAMS: usize = 4;

/// All series with these.
pub const ALL: usize = SERIES + HISTOGRAMS;

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
    /// Which series, below [`ALL`].
    pub series: usize,
    /// Its time.
    pub at: i64,
    /// The bits of its value, or the number of its histogram.
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
    /// Native histograms come in.
    Observe {
        /// The time they come.
        now: i64,
        /// The rows.
        rows: Vec<Sample>,
    },
    /// Samples are deleted.
    Delete {
        /// The time it is.
        now: i64,
        /// Of which series.
        pick: Pick,
        /// From this time on.
        start: i64,
        /// Before this time.
        end: i64,
    },
    /// What was deleted leaves the disk.
    Clean,
    /// Everything is cut, and what tiers say is compared.
    Tiers {
        /// The time it is.
        now: i64,
    },
    /// A backup is made, restored elsewhere, opened and compared.
    Backup {
        /// The time it is.
        now: i64,
        /// The disk of backups fails after so many calls, and loses power.
        calls: Option<u64>,
        /// The outcome of that, and how the restored store is set.
        seed: u64,
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
    /// What was deleted leaves the disk.
    Clean,
    /// A deletion.
    Delete {
        /// Of which series.
        pick: Pick,
        /// From this time on.
        start: i64,
        /// Before this time.
        end: i64,
    },
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
        let ops = maker::ops(stride, weather, chance);
        Self { seed, weather, retention, window, ops }
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
