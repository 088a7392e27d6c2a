//! What the store must hold: a map of samples, which of them are acknowledged, and how a reading is compared with it.

use std::collections::{BTreeMap, BTreeSet};

use barograph_tsdb::Reason;

use crate::history::{ALL, HOUR, METRICS, Pick, SERIES, Sample};

/// A promise that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A sample that must be there is not.
    Lost,
    /// A sample is there that was never appended, or with another value.
    Phantom,
    /// The store panicked.
    Panic,
    /// Anything else: an order, a verdict, a start that fails.
    Wrong,
}

/// What went wrong.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Which promise was broken.
    pub violation: Violation,
    /// The facts.
    pub text: String,
}

impl Failure {
    /// A failure that is neither loss nor phantom.
    pub fn wrong(text: impl Into<String>) -> Self {
        Self { violation: Violation::Wrong, text: text.into() }
    }
}

/// Samples of each series as they were read, in the order of the series' numbers.
pub type Found = Vec<Vec<(i64, u64)>>;

/// Which samples were asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Of which series.
    pub pick: Pick,
    /// From this time on.
    pub start: i64,
    /// Before this time.
    pub end: i64,
}

impl Asked {
    /// Everything.
    pub const ALL: Self = Self { pick: Pick::All, start: i64::MIN, end: i64::MAX };
}

/// What may be missing from a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Nothing that was taken.
    Nothing,
    /// What was not acknowledged: the process ended in between.
    Unacknowledged,
    /// Anything: the store reported damage, or the reading was cut short.
    Anything,
}

/// A sample that the store took.
#[derive(Clone, Debug)]
struct Known {
    /// The value that is served.
    bits: u64,
    /// Others that were taken for the same time and may be there if the first was lost unacknowledged.
    others: Vec<u64>,
    /// Nobody knows whether the first was there when another was taken, so any of them may be served.
    either: bool,
    claim: Claim,
    /// It was durable once, so tiers have it even where raw is gone.
    durable: bool,
}

/// What is claimed of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// It was not there at an earlier start, for a good reason, and may be there at a later one.
    Perhaps,
    /// It is there, and may go with the process.
    Taken,
    /// It is there for good.
    Acknowledged,
}

/// Descriptions of one metric that may be there.
#[derive(Clone, Debug, Default)]
struct Described {
    acknowledged: Option<u64>,
    since: Vec<u64>,
}

/// Everything that was taken.
#[derive(Clone, Debug)]
pub struct Model {
    series: Vec<BTreeMap<i64, Known>>,
    described: [Described; METRICS.len()],
    /// Ticket, series and time of what is not acknowledged.
    waiting: Vec<(u64, usize, i64)>,
    /// How late samples may come.
    pub window: i64,
    /// Whether raw samples go, and with them what tells a sample that comes again from a new one.
    pub raw_goes: bool,
    /// The time of the latest sample that each series ever had.
    latest: Vec<i64>,
    /// Series and hours of which tiers may say anything.
    doubtful: BTreeSet<(usize, i64)>,
    /// Those of which they may not know the order of samples.
    unordered: BTreeSet<(usize, i64)>,
    /// Samples before this time may be deleted.
    pub gone_before: i64,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            series: vec![BTreeMap::new(); ALL],
            described: Default::default(),
            waiting: Vec::new(),
            window: 0,
            raw_goes: false,
            latest: vec![i64::MIN / 2; ALL],
            doubtful: BTreeSet::new(),
            unordered: BTreeSet::new(),
            gone_before: i64::MIN,
        }
    }
}

impl Model {
    /// The store took a row.
    ///
    /// Of two values for one time the first stays; the store may take a late one without knowing that.
    pub fn take(&mut self, row: Sample, ticket: u64) {
        self.latest[row.series] = self.latest[row.series].max(row.at);
        let samples = &mut self.series[row.series];
        let hour = (row.series, hour_of(row.at));
        if samples.get(&row.at).is_some_and(|known| self.raw_goes || known.bits != row.bits) {
            self.doubtful.insert(hour);
        }
        if self.raw_goes && samples.last_key_value().is_some_and(|(&last, _)| row.at < last) {
            self.unordered.insert(hour);
        }
        let fresh =
            Known { bits: row.bits, others: Vec::new(), either: false, claim: Claim::Taken, durable: false };
        let known = samples.entry(row.at).or_insert(fresh);
        let perhaps = known.claim == Claim::Perhaps;
        if known.bits != row.bits {
            known.others.push(row.bits);
            known.either |= perhaps;
        }
        if perhaps {
            known.claim = Claim::Taken;
        }
        self.waiting.push((ticket, row.series, row.at));
    }

    /// The store refused a row. With `strict`, the reason must be true of what the model knows.
    pub fn refuse(&self, row: Sample, now: i64, reason: Reason, strict: bool) -> Result<(), Failure> {
        let samples = &self.series[row.series];
        // The store may remember one that was deleted.
        let last = self.latest[row.series];
        let fair = match reason {
            // Histograms have floors and limits of their own.
            Reason::OutOfOrder | Reason::TooOld | Reason::TooManyLate if row.series >= SERIES => true,
            Reason::OutOfOrder => self.window == 0 && row.at < last,
            Reason::Duplicate => {
                let other = |known: &Known| known.bits != row.bits || !known.others.is_empty();
                samples.get(&row.at).is_some_and(other)
            }
            Reason::TooOld => row.at < last - self.window,
            Reason::TooManyLate => row.at < last,
            Reason::TooFarAhead => row.at > now + 600_000,
            _ => return Err(Failure::wrong(format!("refused {row:?}: {reason}"))),
        };
        if fair || !strict || row.at < self.gone_before {
            return Ok(());
        }
        Err(Failure::wrong(format!("refused {row:?} at {now}: {reason}")))
    }

    /// Samples were deleted; unless `sure`, only perhaps.
    pub fn delete(&mut self, asked: Asked, sure: bool) {
        let within = |at: i64| asked.start <= at && at < asked.end;
        self.waiting.retain(|&(_, series, at)| !(asked.pick.has(series) && within(at)));
        for (number, series) in self.series.iter_mut().enumerate() {
            if !asked.pick.has(number) {
                continue;
            }
            let times: Vec<i64> = series.range(asked.start..asked.end).map(|(&at, _)| at).collect();
            for at in times {
                match sure {
                    true => drop(series.remove(&at)),
                    false => drop(series.entry(at).and_modify(|known| known.claim = Claim::Perhaps)),
                }
            }
            let left = series.range(asked.start..asked.end).map(|(&at, _)| (number, hour_of(at)));
            self.doubtful.extend(left);
            // Of windows that are partly in the range tiers keep what they had.
            self.doubtful.extend([asked.start, asked.end].map(|edge| (number, hour_of(edge))));
        }
    }

    /// The samples of a series of which a tier must know, as far as they lie before a time.
    pub fn rolled(&self, series: usize, before: i64) -> Vec<(i64, f64)> {
        let samples = self.series[series].range(..before);
        let known = samples.filter(|(_, known)| known.durable || known.claim >= Claim::Taken);
        known.map(|(&at, known)| (at, f64::from_bits(known.bits))).collect()
    }

    /// Whether a tier must know what a window of a series says; and whether in their order.
    pub fn must_know(&self, series: usize, at: i64) -> (bool, bool) {
        let hour = (series, hour_of(at));
        (!self.doubtful.contains(&hour), !self.unordered.contains(&hour))
    }

    /// A metric was described.
    pub fn describe(&mut self, metric: usize, version: u64) {
        self.described[metric].since.push(version);
    }

    /// A commit came back with a ticket; how many samples it acknowledged for the first time.
    pub fn acknowledge(&mut self, durable: u64) -> u64 {
        let mut fresh = 0;
        for (_, series, at) in self.waiting.extract_if(.., |(ticket, ..)| *ticket <= durable) {
            // It may be deleted meanwhile.
            let Some(known) = self.series[series].get_mut(&at) else { continue };
            fresh += u64::from(known.claim != Claim::Acknowledged);
            known.claim = Claim::Acknowledged;
            known.durable = true;
        }
        for described in &mut self.described {
            if let Some(last) = described.since.last() {
                described.acknowledged = Some(*last);
                described.since.clear();
            }
        }
        fresh
    }

    /// Compares a reading; how many samples were compared.
    pub fn compare(&self, found: &Found, asked: Asked, missing: Missing) -> Result<u64, Failure> {
        let mut count = 0;
        for (series, samples) in found.iter().enumerate() {
            if !asked.pick.has(series) {
                if let Some(sample) = samples.first() {
                    return Err(phantom(series, *sample, "of a series that was not asked for"));
                }
                continue;
            }
            count += samples.len() as u64;
            let mut rest = samples.iter().copied().peekable();
            for (&at, known) in self.series[series].range(asked.start..asked.end) {
                if let Some(early) = rest.next_if(|sample| sample.0 < at) {
                    return Err(phantom(series, early, "was never taken"));
                }
                match rest.next_if(|sample| sample.0 == at) {
                    Some((_, bits)) if known.bits == bits => {}
                    Some(sample) => {
                        let spared = known.claim < Claim::Acknowledged && missing != Missing::Nothing;
                        // What is past retention may have gone and come again.
                        let spared = spared || known.either || at < self.gone_before;
                        let spared = spared || missing == Missing::Anything;
                        if !(spared && known.others.contains(&sample.1)) {
                            let text = format!("stands in place of {:#x}", known.bits);
                            return Err(phantom(series, sample, &text));
                        }
                    }
                    None => {
                        let must_be = match missing {
                            Missing::Nothing => known.claim >= Claim::Taken,
                            Missing::Unacknowledged => known.claim == Claim::Acknowledged,
                            Missing::Anything => false,
                        };
                        if must_be && at >= self.gone_before {
                            let text = format!(
                                "series {series} at {at}, {:#x}, {:?}; missing may be {missing:?}",
                                known.bits, known.claim
                            );
                            return Err(Failure { violation: Violation::Lost, text });
                        }
                    }
                }
            }
            if let Some(late) = rest.next() {
                return Err(phantom(series, late, "was never taken"));
            }
        }
        Ok(count)
    }

    /// Compares the description of each metric that is there.
    pub fn compare_described(
        &self,
        found: &[Option<u64>; METRICS.len()],
        missing: Missing,
    ) -> Result<(), Failure> {
        for (metric, (found, described)) in found.iter().zip(&self.described).enumerate() {
            let latest = described.since.last().copied().or(described.acknowledged);
            let known = found.is_none_or(|version| {
                described.since.contains(&version) || described.acknowledged == Some(version)
            });
            let fine = match missing {
                Missing::Nothing => *found == latest,
                Missing::Unacknowledged => known && (found.is_some() || described.acknowledged.is_none()),
                // An old one may come back where a newer one was lost.
                Missing::Anything => true,
            };
            if !fine {
                return Err(Failure::wrong(format!(
                    "metric {metric} is described {found:?}, not {described:?}"
                )));
            }
        }
        Ok(())
    }

    /// From now on what was found after a restart must be there: it is durable, and may be acknowledged again.
    ///
    /// What was not found is gone, with two exceptions. Deletions of what is past retention need not be durable; and
    /// with `undone`, where files were set aside, copies elsewhere may take the place of what was in them.
    pub fn begin_anew(&mut self, found: &Found, described: &[Option<u64>; METRICS.len()], undone: bool) {
        for (number, (series, found)) in self.series.iter_mut().zip(found).enumerate() {
            series.retain(|&at, known| {
                known.claim = Claim::Perhaps;
                undone || at < self.gone_before
            });
            for &(at, bits) in found {
                let fresh = Known {
                    bits,
                    others: Vec::new(),
                    either: false,
                    claim: Claim::Acknowledged,
                    durable: true,
                };
                let known = series.entry(at).or_insert(fresh);
                if known.bits != bits {
                    known.others.push(std::mem::replace(&mut known.bits, bits));
                    self.doubtful.insert((number, hour_of(at)));
                }
                (known.either, known.claim, known.durable) = (false, Claim::Acknowledged, true);
            }
            // Nobody knows of these whether they came as far as a tier.
            let lost = series.iter().filter(|(_, known)| !known.durable);
            self.doubtful.extend(lost.map(|(&at, _)| (number, hour_of(at))));
        }
        self.described = described.map(|acknowledged| Described { acknowledged, since: Vec::new() });
        self.waiting.clear();
    }
}

fn hour_of(at: i64) -> i64 {
    at.div_euclid(HOUR)
}

fn phantom(series: usize, (at, bits): (i64, u64), what: &str) -> Failure {
    Failure { violation: Violation::Phantom, text: format!("series {series} at {at}: {bits:#x} {what}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A model with two samples of series 0, the first acknowledged, against what was read of it.
    fn check(found: &[(i64, u64)], missing: Missing, expected: Result<u64, Violation>) {
        let mut model = Model::default();
        for (ticket, at) in [(1, 10), (2, 20)] {
            model.take(Sample { series: 0, at, bits: 7 }, ticket);
        }
        assert_eq!(model.acknowledge(1), 1);
        let mut all: Found = vec![Vec::new(); ALL];
        all[0] = found.to_vec();
        let outcome = model.compare(&all, Asked::ALL, missing).map_err(|failure| failure.violation);
        assert_eq!(outcome, expected, "{found:?}");
    }

    #[test]
    fn losses_and_phantoms_are_seen() {
        check(&[(10, 7), (20, 7)], Missing::Nothing, Ok(2));
        check(&[(10, 7)], Missing::Nothing, Err(Violation::Lost));
        check(&[(10, 7)], Missing::Unacknowledged, Ok(1));
        check(&[(20, 7)], Missing::Unacknowledged, Err(Violation::Lost));
        check(&[], Missing::Anything, Ok(0));
        check(&[(10, 8)], Missing::Anything, Err(Violation::Phantom));
        check(&[(15, 7)], Missing::Anything, Err(Violation::Phantom));
        check(&[(10, 7), (30, 7)], Missing::Anything, Err(Violation::Phantom));
    }
}
