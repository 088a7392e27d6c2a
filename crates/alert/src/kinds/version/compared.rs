//! The newest version held against the one before it, for each group of series that differ by their version only.
//!
//! ```text
//!   {job="api", version="1.4"}  ●●●●●●●●●●●●●●●●●●●●            baseline: its last values
//!   {job="api", version="1.5"}                     ●●●●●●●●●●   candidate: the newest that still runs
//!                               ├──── look_back ────────────┤
//! ```
//!
//! A rule looks at each evaluation, so the intervals are those of a sequence (`barograph_analyze::comparison`), and several
//! groups are judged together (Holm). A regression has to be seen at two looks: now, and with what was there an evaluation ago.

use std::{cmp::Ordering, collections::BTreeMap};

use barograph_analyze::{
    Point,
    comparison::{
        Better, Comparison, Effect, SAMPLES_MIN, Settings, Share, Verdict, compare, compare_shares, holm,
        pool,
    },
};
use barograph_model::{Labels, METRIC_NAME, Timestamp};
use barograph_query::ast::Expr;
use serde_json::json;

use super::{
    super::{Finding, Ranges, Span},
    order,
};

/// Groups of one rule that are compared at most; more are an error of the rule.
pub const GROUPS_MAX: usize = 500;
/// Versions of one group that are looked at, the newest ones.
const VERSIONS_MAX: usize = 100;

/// How versions are compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// The label that bears the version.
    pub label: String,
    /// The version that is held to be right; `None` is the one before the newest.
    pub baseline: Option<String>,
    /// How much of each version is compared, the last of it, in milliseconds.
    pub window_ms: i64,
    /// How far back versions are looked for, in milliseconds.
    pub look_back_ms: i64,
    /// From one value to the next, in milliseconds.
    pub every_ms: i64,
    /// Which way is good, what does not matter, and how certain it has to be.
    pub settings: Settings,
    /// Labels by which series of one version differ that belong together.
    pub strata: Vec<String>,
    /// Of which the rule's expression is a part, where it counts: shares are compared then.
    pub of: Option<Expr>,
}

/// What is known of a series: its points, and where shares are compared, how many there were in all at each of them.
type Track = Vec<(i64, f64, f64)>;
/// The series of one version, by the labels of their strata.
type Strata = BTreeMap<Labels, Track>;

/// A version, and when it was there.
struct Version<'t> {
    name: &'t str,
    strata: &'t Strata,
    first: i64,
    last: i64,
}

impl<'t> Version<'t> {
    fn of((name, strata): (&'t String, &'t Strata)) -> Option<Self> {
        let first = strata.values().filter_map(|track| Some(track.first()?.0)).min()?;
        let last = strata.values().filter_map(|track| Some(track.last()?.0)).max()?;
        Some(Self { name, strata, first, last })
    }

    fn values(&self) -> usize {
        self.strata.values().map(Vec::len).sum()
    }
}

/// What came of one group.
struct Judged {
    group: Labels,
    candidate: String,
    baseline: String,
    effect: Effect,
    /// Of a group that is no more than one stratum of measured values, all that is known.
    details: Option<Comparison>,
    strata: usize,
}

impl Compared {
    /// The groups whose newest version is worse, with the ratio (or the difference of the shares) as their value. An error
    /// within is how many groups there are if those are too many.
    pub(crate) fn find<E>(
        &self,
        expr: &Expr,
        at: Timestamp,
        interval_ms: i64,
        ranges: &Ranges<'_, E>,
    ) -> Result<Result<Vec<Finding>, usize>, E> {
        let span = self.span(at);
        let totals = match &self.of {
            Some(of) => Some(ranges(of, span)?),
            None => None,
        };
        let groups = self.groups(ranges(expr, span)?, totals);
        if groups.len() > GROUPS_MAX {
            return Ok(Err(groups.len()));
        }
        let mut judged = Vec::new();
        for (group, versions) in &groups {
            judged.extend(self.judge(group, versions, at.millis()).map(|found| (found, versions)));
        }
        let p_values: Vec<f64> = judged.iter().map(|(found, _)| found.effect.p_regression).collect();
        let certain = holm(&p_values, self.settings.alpha);
        let before = at.millis().saturating_sub(interval_ms.max(self.every_ms));
        let found = judged.into_iter().zip(certain).filter(|((found, versions), certain)| {
            let is_regression = |verdict: Verdict| verdict == Verdict::Regression;
            *certain
                && is_regression(found.effect.verdict)
                && self.judge(&found.group, versions, before).is_some_and(|earlier| {
                    earlier.candidate == found.candidate && is_regression(earlier.effect.verdict)
                })
        });
        Ok(Ok(found.map(|((found, _), _)| self.finding(&found)).collect()))
    }

    fn span(&self, at: Timestamp) -> Span {
        // The last step is now.
        let steps = self.look_back_ms / self.every_ms.max(1);
        let from = at.saturating_add(-steps.saturating_mul(self.every_ms));
        Span { from, to: at, step_ms: self.every_ms }
    }

    /// Series by the labels that they have beside their version, then by version, then by stratum.
    fn groups(
        &self,
        answered: Vec<(Labels, Vec<Point>)>,
        totals: Option<Vec<(Labels, Vec<Point>)>>,
    ) -> BTreeMap<Labels, BTreeMap<String, Strata>> {
        // A part and what it is of are called differently; other series that differ by their name are groups of their own.
        let counted = totals.is_some();
        let unnamed = |labels: &Labels| labels.without(|name| counted && name == METRIC_NAME.as_bytes());
        let totals: BTreeMap<Labels, Vec<Point>> =
            totals.into_iter().flatten().map(|(labels, points)| (unnamed(&labels), points)).collect();
        // Nothing was counted of what has no series yet: that is none of them.
        let mut parts: BTreeMap<Labels, Vec<Point>> =
            answered.into_iter().map(|(labels, points)| (unnamed(&labels), points)).collect();
        if counted {
            parts.retain(|labels, _| totals.contains_key(labels));
            for labels in totals.keys() {
                parts.entry(labels.clone()).or_default();
            }
        }
        let mut groups: BTreeMap<Labels, BTreeMap<String, Strata>> = BTreeMap::new();
        for (labels, points) in parts {
            let Some(version) = labels.value(&self.label).filter(|version| !version.is_empty()) else {
                continue;
            };
            let is_stratum = |name: &[u8]| self.strata.iter().any(|label| label.as_bytes() == name);
            let group = labels.without(|name| name == self.label.as_bytes() || is_stratum(name));
            let stratum = labels.without(|name| !is_stratum(name));
            let track = match totals.get(&labels) {
                Some(totals) => counts(&points, totals),
                // A version that nobody asks has a duration, too: none that is a number.
                None => {
                    let finite = points.iter().filter(|point| point.value.is_finite());
                    finite.map(|point| (point.at, point.value, 1.0)).collect()
                }
            };
            let versions = groups.entry(group).or_default();
            if !track.is_empty() {
                versions.entry(version.to_owned()).or_default().insert(stratum, track);
            }
        }
        groups
    }

    /// Compares the versions of a group by what there was until a time; `None` if there are not two, or too little of one.
    fn judge(&self, group: &Labels, versions: &BTreeMap<String, Strata>, until: i64) -> Option<Judged> {
        let mut found: Vec<Version<'_>> = versions.iter().filter_map(Version::of).collect();
        found.retain(|version| version.first <= until);
        self.sort(&mut found, until);
        let skipped = found.len().saturating_sub(VERSIONS_MAX);
        let found = &found[skipped..];
        let named = |version: &&Version<'_>| Some(version.name) == self.baseline.as_deref();
        let candidate = found.iter().rev().find(|version| !named(version))?;
        // One that was taken back is no matter any more.
        if candidate.last < until.saturating_sub(self.every_ms.saturating_mul(2)) {
            return None;
        }
        let baseline = match &self.baseline {
            Some(_) => found.iter().find(named)?,
            None => found
                .iter()
                .rev()
                .find(|version| version.name != candidate.name && version.values() >= SAMPLES_MIN)?,
        };
        let mut effects = Vec::new();
        let mut details = None;
        for (stratum, new) in candidate.strata {
            let Some(old) = baseline.strata.get(stratum) else { continue };
            let (old, new) = (self.last(old, until), self.last(new, until));
            if self.of.is_some() {
                let (old, new) = (share(old), share(new));
                effects.extend(compare_shares(old, new, &self.settings).map(|effect| (old.all, effect)));
            } else {
                let values =
                    |track: &[(i64, f64, f64)]| track.iter().map(|point| point.1).collect::<Vec<_>>();
                let Some(compared) = compare(&values(old), &values(new), &self.settings) else { continue };
                effects.push((old.len() as f64, compared.effect));
                details = Some(compared);
            }
        }
        let effect = pool(&effects, &self.settings)?;
        let strata = effects.len();
        Some(Judged {
            group: group.clone(),
            candidate: candidate.name.to_owned(),
            baseline: baseline.name.to_owned(),
            effect,
            details: details.filter(|_| strata == 1),
            strata,
        })
    }

    /// In the order in which they came; of those that were there before it was looked, by what they are called.
    fn sort(&self, versions: &mut [Version<'_>], until: i64) {
        let oldest = versions.iter().map(|version| version.first).min().unwrap_or(until);
        let since = |version: &Version<'_>| match version.first {
            first if first <= oldest.saturating_add(self.every_ms) => i64::MIN,
            first => first,
        };
        versions.sort_by(|a, b| match since(a).cmp(&since(b)) {
            Ordering::Equal => order::compare(a.name, b.name).then_with(|| a.name.cmp(b.name)),
            order => order,
        });
    }

    /// The last part of a track, as long as the window, before a time.
    fn last<'t>(&self, track: &'t [(i64, f64, f64)], until: i64) -> &'t [(i64, f64, f64)] {
        let end = track.partition_point(|point| point.0 <= until);
        let Some(last) = end.checked_sub(1).and_then(|last| track.get(last)) else { return &[] };
        let since = last.0.saturating_sub(self.window_ms);
        let start = track.partition_point(|point| point.0 <= since);
        track.get(start..end).unwrap_or_default()
    }

    fn finding(&self, judged: &Judged) -> Finding {
        let Judged { candidate, baseline, effect, .. } = judged;
        let Settings { bound, better, .. } = self.settings;
        // Of shares a difference, of values a ratio.
        let by = if self.of.is_some() { 0.0 } else { 1.0 };
        let (lower, upper) = effect.bounds;
        let (value, bounds) = (by + effect.change, [by + lower, by + upper]);
        let threshold = by + if better == Better::Lower { bound } else { -bound };
        let (old, new) = effect.samples;
        let mut evidence = json!({
            "verdict": effect.verdict.as_str(),
            "version": candidate, "baseline": baseline,
            "bounds": bounds, "bound": bound, "p_value": effect.p_regression,
            "samples": {"baseline": old, "version": new}, "strata": judged.strata,
        });
        evidence[if self.of.is_some() { "difference" } else { "ratio" }] = json!(value);
        if let Some(found) = &judged.details {
            evidence["medians"] = json!({"baseline": found.medians.0, "version": found.medians.1});
            evidence["shift"] = json!(found.shift.median);
            evidence["shift_bounds"] = json!([found.shift.bounds.0, found.shift.bounds.1]);
            evidence["mann_whitney_p_value"] = json!(found.test.p_value);
            evidence["independent"] = json!({"baseline": found.effective.0, "version": found.effective.1});
        }
        let what = match self.of {
            Some(_) => format!(
                "{candidate} differs by {} from {baseline} ({} to {})",
                percent(effect.change),
                percent(lower),
                percent(upper)
            ),
            None => format!(
                "{candidate} has {value:.2} times what {baseline} has ({:.2} to {:.2})",
                bounds[0], bounds[1]
            ),
        };
        let text = format!("{}: {what}, of {new} and {old} samples", effect.verdict.as_str());
        let labels = judged.group.with(&self.label, candidate);
        Finding { labels, value, threshold: Some(threshold), evidence, annotation: Some(("verdict", text)) }
    }
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// What was counted at each time at which it is known of how many.
fn counts(parts: &[Point], totals: &[Point]) -> Track {
    let mut parts = parts.iter().peekable();
    let count = |total: &Point| {
        while parts.next_if(|part| part.at < total.at).is_some() {}
        let part = parts.peek().filter(|part| part.at == total.at).map_or(0.0, |part| part.value);
        (total.at, part, total.value)
    };
    totals.iter().map(count).collect()
}

fn share(track: &[(i64, f64, f64)]) -> Share {
    let known = track.iter().filter(|(_, part, all)| part.is_finite() && all.is_finite());
    let (of_these, all) = known.fold((0.0, 0.0), |sum, point| (sum.0 + point.1, sum.1 + point.2));
    // Counts are extrapolated to the ends of what was asked, each by itself.
    Share { of_these: of_these.min(all), all }
}

#[cfg(test)]
mod tests {
    use barograph_analyze::comparison::Looks;

    use super::*;

    const MINUTE: i64 = 60_000;
    const NOW: i64 = 2_000 * MINUTE;

    fn rule() -> Compared {
        let settings = Settings { looks: Looks::Always, resamples: 300, ..Settings::default() };
        Compared {
            label: "version".to_owned(),
            baseline: None,
            window_ms: 360 * MINUTE,
            look_back_ms: 1_440 * MINUTE,
            every_ms: MINUTE,
            settings,
            strata: Vec::new(),
            of: None,
        }
    }

    /// One tenth of noise around a level.
    fn noisy(level: f64, at: i64, salt: i64) -> f64 {
        let mixed = (at / MINUTE + salt * 7_919).wrapping_mul(2_654_435_761) >> 9;
        level * (0.9 + 0.2 * (mixed.rem_euclid(1_000) as f64) / 1_000.0)
    }

    /// A series: its labels beside the version, the version, minutes before now from and to which it is there, and its level.
    type Given<'g> = (&'g [(&'g str, &'g str)], &'g str, i64, i64, f64);

    fn answer(given: &[Given<'_>], span: Span) -> Vec<(Labels, Vec<Point>)> {
        (1..)
            .zip(given)
            .map(|(salt, (labels, version, from, to, level))| {
                let labels = Labels::from_pairs(labels.iter().copied()).unwrap().with("version", version);
                let count = (span.to.millis() - span.from.millis()) / span.step_ms;
                let times = (0..=count).map(|i| span.from.millis() + i * span.step_ms);
                let there = times.filter(|at| (NOW - from * MINUTE..=NOW - to * MINUTE).contains(at));
                (labels, there.map(|at| Point { at, value: noisy(*level, at, salt) }).collect())
            })
            .collect()
    }

    fn found(rule: &Compared, given: &[Given<'_>]) -> Vec<Finding> {
        let expr = barograph_query::parse("m").unwrap();
        let ranges = |_: &Expr, span: Span| -> Result<_, ()> { Ok(answer(given, span)) };
        rule.find(&expr, Timestamp(NOW), MINUTE, &ranges).unwrap().unwrap()
    }

    #[test]
    fn a_worse_version_is_told_with_what_shows_it() {
        let (api, web) = ([("job", "api")], [("job", "web")]);
        let given: [Given<'_>; 6] = [
            (&api, "1.9", 1_400, 121, 0.1),
            (&api, "1.10", 120, 0, 0.2),
            // As good, better, and worse but taken back.
            (&web, "1.9", 1_400, 121, 0.1),
            (&web, "1.10", 120, 0, 0.1),
            (&[("job", "fine")], "1", 1_400, 121, 0.1),
            (&[("job", "fine")], "2", 120, 0, 0.05),
        ];
        let all = found(&rule(), &given);
        assert_eq!(all.len(), 1, "{all:?}");
        let one = &all[0];
        assert_eq!(one.labels.to_string(), r#"{job="api", version="1.10"}"#);
        assert!((one.value - 2.0).abs() < 0.1 && one.threshold == Some(1.05), "{one:?}");
        let evidence = &one.evidence;
        assert_eq!((&evidence["verdict"], &evidence["baseline"]), (&json!("regression"), &json!("1.9")));
        assert_eq!(evidence["samples"], json!({"baseline": 360, "version": 121}));
        assert!((evidence["shift"].as_f64().unwrap() - 0.1).abs() < 0.01, "{evidence}");
        let told = &one.annotation.as_ref().unwrap().1;
        assert!(
            told.starts_with("regression: 1.10 has 1.99 times what 1.9 has (1.")
                && told.ends_with("of 121 and 360 samples"),
            "{told}"
        );
        let higher = Settings { better: Better::Higher, ..rule().settings };
        let all = found(&Compared { settings: higher, ..rule() }, &given);
        assert_eq!(
            all.iter().map(|one| one.labels.to_string()).collect::<Vec<_>>(),
            [r#"{job="fine", version="2"}"#]
        );
    }

    #[test]
    fn what_is_held_against_what_follows_from_when_it_came() {
        let told = |rule: &Compared, given: &[Given<'_>]| {
            let pair = |one: Finding| {
                format!(
                    "{} {}",
                    one.evidence["version"].as_str().unwrap(),
                    one.evidence["baseline"].as_str().unwrap()
                )
            };
            found(rule, given).into_iter().map(pair).collect::<Vec<_>>()
        };
        // Both run since before it was looked: names decide.
        assert_eq!(told(&rule(), &[(&[], "1.10", 1_900, 0, 2.0), (&[], "1.9", 1_900, 0, 1.0)]), ["1.10 1.9"]);
        assert!(told(&rule(), &[(&[], "1.10", 1_900, 0, 1.0), (&[], "1.9", 1_900, 0, 2.0)]).is_empty());
        // One came later: whatever it is called, it is the newer one.
        assert_eq!(told(&rule(), &[(&[], "b", 1_900, 400, 1.0), (&[], "a", 399, 0, 2.0)]), ["a b"]);
        // It was taken back.
        assert!(told(&rule(), &[(&[], "1", 1_900, 0, 1.0), (&[], "2", 300, 60, 2.0)]).is_empty());
        // One that hardly ran is not what a version is held against.
        let given: [Given<'_>; 3] =
            [(&[], "1", 1_900, 300, 1.0), (&[], "2", 299, 290, 9.0), (&[], "3", 289, 0, 2.0)];
        assert_eq!(told(&rule(), &given), ["3 1"]);
        // A version by its name.
        let named = Compared { baseline: Some("1".to_owned()), ..rule() };
        let given: [Given<'_>; 3] =
            [(&[], "1", 1_900, 0, 1.0), (&[], "2", 900, 500, 2.0), (&[], "3", 499, 0, 2.0)];
        assert_eq!(told(&named, &given), ["3 1"]);
        assert!(told(&rule(), &given).is_empty(), "it is as bad as the one before");
        // Too short a time, or one version only.
        assert!(told(&rule(), &[(&[], "1", 1_900, 20, 1.0), (&[], "2", 19, 0, 2.0)]).is_empty());
        assert!(told(&rule(), &[(&[], "1", 1_900, 0, 1.0)]).is_empty());
    }

    #[test]
    fn strata_are_weighed_as_they_were_before() {
        let (fast, slow) = ([("route", "/a")], [("route", "/b")]);
        let strata = Compared { strata: vec!["route".to_owned()], ..rule() };
        let given: [Given<'_>; 4] = [
            (&fast, "1", 1_400, 121, 0.1),
            (&slow, "1", 1_400, 121, 1.0),
            (&fast, "2", 120, 0, 0.2),
            (&slow, "2", 120, 0, 2.0),
        ];
        let all = found(&strata, &given);
        assert_eq!((all.len(), &all[0].evidence["strata"]), (1, &json!(2)), "{all:?}");
        assert_eq!(all[0].labels.to_string(), r#"{version="2"}"#);
        assert_eq!(found(&rule(), &given).len(), 2, "without strata they are groups");
    }

    #[test]
    fn too_many_groups_are_told() {
        let expr = barograph_query::parse("m").unwrap();
        let ranges = |_: &Expr, _: Span| -> Result<_, ()> {
            let labels =
                |i: usize| Labels::from_pairs([("host", &*i.to_string()), ("version", "1")]).unwrap();
            Ok((0..=GROUPS_MAX).map(|i| (labels(i), vec![Point { at: NOW, value: 1.0 }])).collect())
        };
        let found = rule().find(&expr, Timestamp(NOW), MINUTE, &ranges).unwrap();
        assert_eq!(found, Err(GROUPS_MAX + 1));
    }

    #[test]
    fn shares_are_compared_as_shares() {
        let total = barograph_query::parse("all").unwrap();
        let rule = Compared { of: Some(total.clone()), ..rule() };
        let rule = Compared { settings: Settings { bound: 0.01, ..rule.settings }, ..rule };
        let expr = barograph_query::parse("failed").unwrap();
        let given: [Given<'_>; 2] = [(&[], "1", 1_400, 0, 100.0), (&[], "2", 120, 0, 100.0)];
        let told = |failed: &[Given<'_>]| {
            let ranges = |asked: &Expr, span: Span| -> Result<_, ()> {
                Ok(answer(if *asked == total { &given } else { failed }, span))
            };
            rule.find(&expr, Timestamp(NOW), MINUTE, &ranges).unwrap().unwrap()
        };
        // Of the first nothing failed, so that it has no series.
        let all = told(&[(&[], "2", 120, 0, 8.0)]);
        assert_eq!(all.len(), 1);
        assert!((all[0].value - 0.08).abs() < 0.005 && all[0].threshold == Some(0.01), "{all:?}");
        assert!(all[0].annotation.as_ref().unwrap().1.starts_with("regression: 2 differs by 8."), "{all:?}");
        assert!(told(&[(&[], "1", 1_400, 0, 8.0), (&[], "2", 120, 0, 8.0)]).is_empty());
        assert!(told(&[]).is_empty());
    }
}
