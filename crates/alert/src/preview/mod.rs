//! Proof before use: a rule evaluated over what is stored, as if it had been there.
//!
//! Each evaluation is the one that the server would have made, with the same state machine. What comes of it is when alerts
//! would have fired, which of them flapped, and which `for` or threshold would have kept quiet about what did not last.

mod paging;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use barograph_model::{BudgetError, Labels, Timestamp};

use crate::{
    Defaults, Group, GroupSpec, Moment, Reader, RuleError, RuleSpec, State, Surroundings,
    kinds::{Side, Threshold},
};

pub use paging::{HeldBack, Paged, Paging, paged};

/// Evaluations of one preview at most.
pub const EVALUATIONS_MAX: usize = 50_000;
/// Firings that are told at most.
pub const FIRINGS_MAX: usize = 5_000;
/// An alert that fires again this soon after it was over flaps.
const SOON_MS: i64 = 15 * 60_000;
/// More firings a day than this are noise, unless they last.
const A_DAY: f64 = 4.0;
const DAY_MS: f64 = 86_400_000.0;
const MINUTE_MS: i64 = 60_000;

/// Over which time a rule is tried, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The first evaluation.
    pub start: Timestamp,
    /// None is after this.
    pub end: Timestamp,
    /// Time between them.
    pub interval: Duration,
    /// How far in the past expressions are asked.
    pub query_offset: Duration,
}

/// One alert that would have fired.
#[derive(Clone, Debug, PartialEq)]
pub struct Firing {
    /// Its labels.
    pub labels: Labels,
    /// Its annotations when it began.
    pub annotations: BTreeMap<String, String>,
    /// When it began to fire.
    pub start: Timestamp,
    /// When it was over; `None` if it still fired at the end.
    pub end: Option<Timestamp>,
    /// The value when it began.
    pub value: f64,
}

/// What a rule would have done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preview {
    /// What would have fired, by time.
    pub firings: Vec<Firing>,
    /// How many more there were than are told.
    pub left_out: usize,
    /// Evaluations that were made.
    pub evaluations: usize,
    /// How many failed, and why the first did.
    pub failed: usize,
    /// See `failed`.
    pub error: Option<String>,
    /// How many of the firings came soon after the same alert was over.
    pub flapped: usize,
    /// What would be quieter.
    pub suggested: Vec<Suggestion>,
    /// What was measured, of the first series: of each stretch of time the value that is farthest out.
    pub series: Vec<Track>,
}

/// What was measured of one series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Track {
    /// Its labels.
    pub labels: Labels,
    /// Times and values.
    pub points: Vec<(Timestamp, f64)>,
}

/// A change that would make a rule quieter, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    /// What to change.
    pub change: Change,
    /// How many of the firings would remain.
    pub remaining: usize,
    /// Why, in a sentence.
    pub why: String,
}

/// What to change in a rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// A longer `for`.
    For(Duration),
    /// Another number to compare with.
    Threshold(f64),
    /// A `keep_firing_for`, over gaps.
    KeepFiringFor(Duration),
}

/// Evaluates a rule again and again over a time.
///
/// # Errors
/// The time is empty, or has more than [`EVALUATIONS_MAX`] evaluations. A failed evaluation is no error: it is counted. One
/// that fails as the budget is used up ends it with [`RuleError::Query`].
pub fn run(
    spec: &Arc<RuleSpec>,
    trial: Trial,
    reader: Reader<'_>,
    surroundings: &Surroundings,
) -> Result<Preview, RuleError> {
    let interval_ms = i64::try_from(trial.interval.as_millis()).unwrap_or(i64::MAX).max(1_000);
    let length = trial.end.millis().saturating_sub(trial.start.millis());
    let count = usize::try_from(length / interval_ms).map_or(0, |count| count.saturating_add(1));
    if length < 0 || count > EVALUATIONS_MAX {
        return Err(RuleError::Limit { limit: EVALUATIONS_MAX, found: count, what: "evaluations" });
    }
    let group = GroupSpec {
        name: "preview".to_owned(),
        tenant: None,
        interval: Some(Duration::from_millis(interval_ms.unsigned_abs())),
        query_offset: Some(trial.query_offset),
        limit: 0,
        rules: vec![spec.clone()],
    };
    let mut group = Group::new("preview", group, &Defaults::default());
    let mut preview = Preview::default();
    let mut open: BTreeMap<Labels, Firing> = BTreeMap::new();
    let mut measured = Measured::new(spec, count);
    for index in 0..count {
        let at =
            trial.start.saturating_add(i64::try_from(index).unwrap_or(i64::MAX).saturating_mul(interval_ms));
        let moment = group.moment(at);
        let rule = &mut group.rules[0];
        let moment = Moment { first: rule.wants_history(), ..moment };
        preview.evaluations += 1;
        reader.budget.check().map_err(stopped)?;
        // What one evaluation holds is gone with it; what all of them read counts together.
        let budget = reader.budget.anew();
        let outcome = spec.ask_measured(moment, Reader { budget: &budget, ..reader }, surroundings);
        reader.budget.charge(usize::try_from(budget.spent()).unwrap_or(usize::MAX)).map_err(stopped)?;
        let taken = outcome.and_then(|(answered, values)| {
            rule.take(answered, moment)?;
            measured.note(index, at, values);
            Ok(())
        });
        if let Err(error) = taken {
            preview.failed += 1;
            preview.error.get_or_insert(error.to_string());
            continue;
        }
        let mut firing: BTreeMap<Labels, Firing> = BTreeMap::new();
        for alert in rule.active().filter(|alert| alert.state == State::Firing) {
            let known = open.remove(&alert.labels);
            let new = || Firing {
                labels: alert.labels.clone(),
                annotations: alert.annotations.clone(),
                start: at,
                end: None,
                value: alert.value,
            };
            firing.insert(alert.labels.clone(), known.unwrap_or_else(new));
        }
        let over = std::mem::replace(&mut open, firing);
        preview.firings.extend(over.into_values().map(|firing| Firing { end: Some(at), ..firing }));
    }
    preview.firings.extend(open.into_values());
    preview.firings.sort_by(|a, b| (a.start, &a.labels).cmp(&(b.start, &b.labels)));
    preview.flapped = flapped(&preview.firings);
    preview.suggested = suggest(spec, trial, &preview, &measured);
    let track = |(labels, (_, points))| Track { labels, points };
    preview.series = measured.tracks.into_iter().map(track).collect();
    preview.left_out = preview.firings.len().saturating_sub(FIRINGS_MAX);
    preview.firings.truncate(FIRINGS_MAX);
    Ok(preview)
}

fn stopped(error: BudgetError) -> RuleError {
    RuleError::Query(error.to_string())
}

/// How many firings came soon after the same alert was over.
fn flapped(firings: &[Firing]) -> usize {
    let mut ended: BTreeMap<&Labels, Timestamp> = BTreeMap::new();
    let mut count = 0;
    for firing in firings {
        let soon = |end: &Timestamp| firing.start.millis().saturating_sub(end.millis()) <= SOON_MS;
        count += usize::from(ended.get(&firing.labels).is_some_and(soon));
        if let Some(end) = firing.end {
            ended.insert(&firing.labels, end);
        }
    }
    count
}

/// What a rule measures that holds something against a number.
struct Measured<'a> {
    threshold: Option<&'a Threshold>,
    /// Evaluations there will be.
    count: usize,
    values: Vec<f64>,
    /// By series: of which stretch its last point is, and its points.
    tracks: BTreeMap<Labels, (usize, Vec<(Timestamp, f64)>)>,
}

/// Values that are kept for a suggestion at most.
const VALUES_MAX: usize = 200_000;
/// Series of which it is told what was measured.
const TRACKS_MAX: usize = 10;
/// Points of each of them.
const POINTS_MAX: usize = 300;

impl<'a> Measured<'a> {
    fn new(spec: &'a RuleSpec, count: usize) -> Self {
        let threshold = spec.alerting().and_then(|alert| alert.threshold.as_ref());
        let threshold = threshold.filter(|threshold| threshold.side().is_some());
        Self { threshold, count, values: Vec::new(), tracks: BTreeMap::new() }
    }

    fn note(&mut self, index: usize, at: Timestamp, values: Vec<(Labels, f64)>) {
        let stretch = index * POINTS_MAX / self.count.max(POINTS_MAX);
        let side = self.threshold.and_then(Threshold::side);
        for (labels, value) in values.into_iter().filter(|(_, value)| value.is_finite()) {
            if side.is_some() && self.values.len() < VALUES_MAX {
                self.values.push(value);
            }
            if self.tracks.len() >= TRACKS_MAX && !self.tracks.contains_key(&labels) {
                continue;
            }
            let (last, points) = self.tracks.entry(labels).or_default();
            match points.last_mut() {
                Some(point) if *last == stretch => {
                    let farther = match side {
                        Some(Side::Max) => value > point.1,
                        Some(Side::Min) => value < point.1,
                        None => true,
                    };
                    if farther {
                        *point = (at, value);
                    }
                }
                _ => points.push((at, value)),
            }
            *last = stretch;
        }
    }

    /// The value beyond which only one of a thousand is, if it is stricter than the threshold.
    fn rare(&self) -> Option<f64> {
        let threshold = self.threshold?;
        let mut values = self.values.clone();
        values.sort_unstable_by(f64::total_cmp);
        let place = values.len().checked_sub(1)? * 999 / 1_000;
        let found = match threshold.side()? {
            Side::Max => values[place],
            Side::Min => values[values.len() - 1 - place],
        };
        let found = rounded(found);
        // Stricter means that fewer values are beyond it.
        let beyond = |fire: f64| values.iter().filter(|value| threshold.would_hold(**value, fire)).count();
        let fewer = beyond(found) < beyond(threshold.fire);
        fewer.then_some(found)
    }
}

/// To two digits, away from nothing in particular: a number that somebody would write.
fn rounded(value: f64) -> f64 {
    if value == 0.0 {
        return value;
    }
    #[expect(clippy::cast_possible_truncation, reason = "an exponent")]
    let digits = 1 - value.abs().log10().floor() as i32;
    let scale = 10_f64.powi(digits);
    if scale.is_finite() && scale > 0.0 { (value * scale).round() / scale } else { value }
}

fn suggest(spec: &RuleSpec, trial: Trial, preview: &Preview, measured: &Measured<'_>) -> Vec<Suggestion> {
    let Some(alert) = spec.alerting() else { return Vec::new() };
    let all = preview.firings.len();
    let days = ((trial.end.millis() - trial.start.millis()) as f64 / DAY_MS).max(1.0 / 24.0);
    let mut suggested = Vec::new();
    if all == 0 {
        return suggested;
    }
    let hold = i64::try_from(alert.hold.as_millis()).unwrap_or(i64::MAX);
    // How long a condition lasted: it fired for so long, and was pending before. What still fires may last.
    let lasted = |firing: &Firing| {
        let ended = |end: Timestamp| end.millis().saturating_sub(firing.start.millis()).saturating_add(hold);
        firing.end.map_or(i64::MAX, ended)
    };
    let remaining = |longer: i64| preview.firings.iter().filter(|firing| lasted(firing) > longer).count();
    let candidates = [1, 2, 5, 10, 15, 30].map(|minutes| minutes * MINUTE_MS);
    let quieter =
        candidates.into_iter().filter(|longer| *longer > hold).find(|longer| remaining(*longer) * 2 <= all);
    if let Some(longer) = quieter.filter(|_| all as f64 / days > 1.0) {
        let left = remaining(longer);
        let minutes = longer / MINUTE_MS;
        suggested.push(Suggestion {
            change: Change::For(Duration::from_millis(longer.unsigned_abs())),
            remaining: left,
            why: format!(
                "{} of {all} were over within {minutes} minute{}",
                all - left,
                if minutes == 1 { "" } else { "s" }
            ),
        });
    }
    if preview.flapped * 3 >= all && preview.flapped > 1 {
        let keep = Duration::from_millis(SOON_MS.unsigned_abs());
        suggested.push(Suggestion {
            change: Change::KeepFiringFor(keep),
            remaining: all - preview.flapped,
            why: format!("{} of {all} came within 15 minutes after the same alert was over", preview.flapped),
        });
    }
    if all as f64 / days > A_DAY
        && let Some(rare) = measured.rare()
        && let Some(threshold) = measured.threshold
    {
        let worst = |firing: &&Firing| threshold.would_hold(firing.value, rare);
        suggested.push(Suggestion {
            change: Change::Threshold(rare),
            remaining: preview.firings.iter().filter(worst).count(),
            why: format!(
                "one value of a thousand is beyond {rare}; it fired {:.1} times a day",
                all as f64 / days
            ),
        });
    }
    suggested
}

#[cfg(test)]
mod tests {
    use barograph_model::Budget;
    use barograph_query::{Options, script::Memory};

    use super::*;

    fn preview(rule: &str, minutes: i64, value: impl Fn(i64) -> f64) -> Preview {
        let text = format!("groups: [{{name: g, rules: [{rule}]}}]");
        let file = crate::file::parse(&text, "r.yml").unwrap();
        let mut memory = Memory::new();
        let labels = Labels::from_pairs([("__name__", "m")]).unwrap();
        memory.load(labels, (0..=minutes).map(|minute| (minute * MINUTE_MS, value(minute))));
        let (budget, options) = (Budget::unlimited(), Options::default());
        let reader = Reader { source: &memory, options: &options, budget: &budget };
        let trial = Trial {
            start: Timestamp(0),
            end: Timestamp(minutes * MINUTE_MS),
            interval: Duration::from_secs(60),
            query_offset: Duration::ZERO,
        };
        run(&file.groups[0].rules[0], trial, reader, &Surroundings::default()).unwrap()
    }

    #[test]
    fn firings_are_those_that_would_have_been() {
        let found =
            preview(
                "{alert: A, expr: m > 5, for: 2m}",
                60,
                |m| if (20..30).contains(&m) { 9.0 } else { 1.0 },
            );
        let told: Vec<_> = found
            .firings
            .iter()
            .map(|f| (f.start.millis() / MINUTE_MS, f.end.map(|e| e.millis() / MINUTE_MS), f.value))
            .collect();
        assert_eq!(told, [(22, Some(30), 9.0)]);
        assert_eq!((found.evaluations, found.failed, found.flapped), (61, 0, 0));
        let open = preview("{alert: A, expr: m > 5}", 60, |m| if m > 50 { 9.0 } else { 1.0 });
        assert_eq!(open.firings[0].end, None);
        // What still fires may last: a longer `for` is no advice.
        assert!(!open.suggested.iter().any(|found| matches!(found.change, Change::For(_))));
        assert!(preview("{alert: A, expr: m > 50}", 60, |_| 1.0).firings.is_empty());
    }

    #[test]
    fn what_does_not_last_is_worth_a_longer_for_and_what_flaps_a_longer_end() {
        // Every ten minutes for three of them, over half a day.
        let found = preview("{alert: A, expr: m > 5}", 720, |m| if m % 10 < 3 { 9.0 } else { 1.0 });
        assert_eq!((found.firings.len(), found.flapped), (73, 72));
        let changes: Vec<_> = found.suggested.iter().map(|s| (s.change, s.remaining)).collect();
        assert!(changes.contains(&(Change::For(Duration::from_secs(300)), 1)), "{changes:?}");
        assert!(changes.contains(&(Change::KeepFiringFor(Duration::from_secs(900)), 1)), "{changes:?}");
        // A threshold that is too low.
        let found =
            preview("{alert: A, expr: m > 5, for: 1m}", 1440, |m| ((m * 7_919) % 1_000) as f64 / 100.0);
        let threshold = found.suggested.iter().find_map(|s| match s.change {
            Change::Threshold(value) => Some(value),
            _ => None,
        });
        assert!(threshold.is_some_and(|value| value > 9.0), "{:?}", found.suggested);
    }

    #[test]
    fn all_that_is_read_counts_together_and_nothing_is_held_from_one_to_the_next() {
        let file = crate::file::parse("groups: [{name: g, rules: [{alert: A, expr: m > 5}]}]", "r").unwrap();
        let mut memory = Memory::new();
        memory.load(Labels::from_pairs([("__name__", "m")]).unwrap(), (0..=60).map(|m| (m * MINUTE_MS, 1.0)));
        let trial = Trial {
            start: Timestamp(0),
            end: Timestamp(60 * MINUTE_MS),
            interval: Duration::from_secs(60),
            query_offset: Duration::ZERO,
        };
        let check = |samples, fine| {
            let limits = barograph_model::Limits { samples, series: 2, ..barograph_model::Limits::NONE };
            let (budget, options) = (Budget::of(limits, None), Options::default());
            let reader = Reader { source: &memory, options: &options, budget: &budget };
            let found = run(&file.groups[0].rules[0], trial, reader, &Surroundings::default());
            assert_eq!(found.as_ref().is_ok_and(|found| found.failed == 0), fine, "{samples}: {found:?}");
        };
        check(1_000, true);
        check(20, false);
    }

    #[test]
    fn what_is_measured_is_told_of_each_series() {
        let found = preview("{alert: A, expr: m > 5}", 1440, |m| if m == 700 { 9.0 } else { 1.0 });
        assert_eq!(found.series.len(), 1);
        let points = &found.series[0].points;
        assert!(points.len() <= POINTS_MAX && points.len() > POINTS_MAX / 2, "{}", points.len());
        assert!(points.contains(&(Timestamp(700 * MINUTE_MS), 9.0)));
        assert!(preview("{alert: A, expr: m}", 10, |_| 1.0).series.is_empty());
    }

    #[test]
    fn what_fails_is_counted_and_too_much_is_refused() {
        let found = preview("{alert: A, expr: 'm[5m]'}", 3, |_| 1.0);
        assert_eq!((found.failed, found.evaluations), (4, 4));
        assert!(found.error.is_some());
        let file = crate::file::parse("groups: [{name: g, rules: [{alert: A, expr: m}]}]", "r").unwrap();
        let (budget, options, memory) = (Budget::unlimited(), Options::default(), Memory::new());
        let reader = Reader { source: &memory, options: &options, budget: &budget };
        let trial = Trial {
            start: Timestamp(0),
            end: Timestamp(i64::MAX / 2),
            interval: Duration::from_secs(1),
            query_offset: Duration::ZERO,
        };
        let refused = run(&file.groups[0].rules[0], trial, reader, &Surroundings::default());
        assert!(matches!(refused, Err(RuleError::Limit { .. })));
    }
}
