//! How long it takes: times to acknowledge and to resolve, of all and of each rule.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Incident, State};

/// Spans of some incidents.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Spans {
    /// How many there are.
    pub count: usize,
    /// Their mean, in seconds; `None` of none.
    pub mean_seconds: Option<f64>,
    /// What 95 of 100 take at most, in seconds.
    pub p95_seconds: Option<f64>,
}

impl Spans {
    fn of(mut ms: Vec<i64>) -> Self {
        ms.sort_unstable();
        let count = ms.len();
        // The nearest rank: the smallest that at least 95 of 100 do not exceed.
        let rank = (count * 95).div_ceil(100).saturating_sub(1);
        let seconds = |ms: i64| ms as f64 / 1_000.0;
        let total: f64 = ms.iter().map(|&ms| seconds(ms)).sum();
        Self {
            count,
            mean_seconds: (count > 0).then(|| total / count as f64),
            p95_seconds: ms.get(rank).map(|&ms| seconds(ms)),
        }
    }
}

/// How some incidents went.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Statistics {
    /// How many there are.
    pub incidents: usize,
    /// Of these, how many nobody took yet.
    pub open: usize,
    /// Of these, how many somebody has.
    pub acknowledged: usize,
    /// Of these, how many are over.
    pub resolved: usize,
    /// How many were over before anybody took them.
    pub never_acknowledged: usize,
    /// How often others were asked.
    pub escalations: usize,
    /// From when it was known to when somebody took it, of those that a person took.
    pub time_to_acknowledge: Spans,
    /// From when it was known to when it was over.
    pub time_to_resolve: Spans,
}

/// Of all incidents that began since a time, and of each rule.
pub fn of<'a>(
    incidents: impl Iterator<Item = &'a Incident>,
    since: i64,
) -> (Statistics, BTreeMap<String, Statistics>) {
    let mut by_rule: BTreeMap<String, Vec<&Incident>> = BTreeMap::new();
    let mut all = Vec::new();
    for incident in incidents.filter(|incident| incident.opened_at >= since) {
        by_rule.entry(incident.rule.clone()).or_default().push(incident);
        all.push(incident);
    }
    (of_those(&all), by_rule.into_iter().map(|(rule, those)| (rule, of_those(&those))).collect())
}

fn of_those(those: &[&Incident]) -> Statistics {
    let number = |state| those.iter().filter(|incident| incident.state == state).count();
    // What a rule acknowledges says nothing of people.
    let by_people = |incident: &&&Incident| !incident.ack.as_ref().is_some_and(|ack| ack.auto);
    let never =
        |incident: &&&Incident| incident.state == State::Resolved && incident.acknowledged_at.is_none();
    Statistics {
        incidents: those.len(),
        open: number(State::Open),
        acknowledged: number(State::Acknowledged),
        resolved: number(State::Resolved),
        never_acknowledged: those.iter().filter(never).count(),
        escalations: those.iter().map(|incident| incident.escalations.len()).sum(),
        time_to_acknowledge: Spans::of(
            those.iter().filter(by_people).filter_map(|incident| incident.took_to_ack()).collect(),
        ),
        time_to_resolve: Spans::of(those.iter().filter_map(|incident| incident.took_to_resolve()).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_rank_counts() {
        let check = |ms: Vec<i64>, mean, p95| {
            let spans = Spans::of(ms);
            assert_eq!((spans.mean_seconds, spans.p95_seconds), (mean, p95));
        };
        check(vec![], None, None);
        check(vec![5_000], Some(5.0), Some(5.0));
        check((1..=20).map(|s| s * 1_000).collect(), Some(10.5), Some(19.0));
        check((1..=100).rev().map(|s| s * 1_000).collect(), Some(50.5), Some(95.0));
    }
}
