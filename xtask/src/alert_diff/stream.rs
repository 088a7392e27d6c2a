//! What is told to both servers, second by second: alerts that begin, come again, change their words and end, and silences.
//!
//! Alerts that began long ago are looked at at once, so they come alone and a quarter of a second behind the others.

use std::collections::BTreeMap;

use barograph_model::Timestamp;
use serde_json::{Value, json};

use super::tree::{Labels, Tree, below, chance, matcher, of_tree};
use crate::random::Random;

/// Seconds in which something is told.
pub(super) const SECONDS: u64 = 20;
/// How far behind a whole second alerts come that began long ago, in milliseconds.
const LATER: i64 = 250;

/// Something that is told at a time.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// Milliseconds from the start.
    pub(super) at: i64,
    pub(super) act: Act,
}

/// Times are milliseconds from the start.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Alert {
        labels: Labels,
        annotations: Labels,
        starts: Option<i64>,
        ends: Option<i64>,
    },
    /// Makes the silence of a key, or changes it.
    Silence {
        key: (u64, usize),
        matchers: Vec<String>,
        starts: i64,
        ends: i64,
    },
    Expire {
        key: (u64, usize),
    },
}

/// What is told of one tree, in order.
pub(super) fn of(tree: &Tree, random: &mut Random) -> Vec<Event> {
    let mut events = Vec::new();
    let mut silences: Vec<(Vec<String>, i64, i64)> = Vec::new();
    for second in 0..SECONDS {
        let at = i64::try_from(second * 1000).unwrap_or(0);
        let mut told = BTreeMap::new();
        // Much at the beginning, little later.
        let count =
            if second == 0 { 1 + random.below(4) } else { u64::from(chance(random, 55)) + random.below(2) };
        for _ in 0..count {
            let labels = tree.alerts[below(tree.alerts.len(), random)].clone();
            told.insert(labels, alert(at, random));
        }
        for (labels, (starts, ends)) in told {
            let act = Act::Alert { labels, annotations: annotations(random), starts, ends };
            events.push(Event { at, act });
        }
        if chance(random, 8) {
            silence(tree.number, at, &mut silences, &mut events, random);
        }
        if chance(random, 7) {
            let labels = tree.alerts[below(tree.alerts.len(), random)].clone();
            let annotations = annotations(random);
            let ends = chance(random, 60).then_some(at + 900_000);
            let act = Act::Alert { labels, annotations, starts: Some(at - 20_000), ends };
            events.push(Event { at: at + LATER, act });
        }
    }
    events
}

/// When an alert that is told now begins and ends, as far as it says.
fn alert(at: i64, random: &mut Random) -> (Option<i64>, Option<i64>) {
    let starts = |random: &mut Random| match random.below(3) {
        0 => None,
        1 => Some(at),
        _ => Some(at - 500),
    };
    match random.below(20) {
        // It fires, and whoever told it tells it again.
        0..6 => (starts(random), Some(at + 900_000)),
        // It has to be told again.
        6..11 => (starts(random), None),
        // Its end is known.
        11..14 => (starts(random), Some(at + 1_000 * (1 + i64::try_from(random.below(6)).unwrap_or(0)))),
        // It is over.
        14..19 => (starts(random).map(|starts| starts - 500), Some(at)),
        // It was over already.
        _ => (None, Some(at - 1_000)),
    }
}

fn annotations(random: &mut Random) -> Labels {
    let words = ["one", "two", "three & <four>"];
    let all = [("summary", words[below(3, random)]), ("runbook", words[below(3, random)])];
    let some = all.into_iter().filter(|_| chance(random, 70));
    some.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn silence(
    number: u64,
    at: i64,
    silences: &mut Vec<(Vec<String>, i64, i64)>,
    events: &mut Vec<Event>,
    random: &mut Random,
) {
    let seconds = |random: &mut Random, below: u64| 1_000 * i64::try_from(random.below(below)).unwrap_or(0);
    let alive: Vec<usize> = (0..silences.len()).filter(|&index| silences[index].2 > at).collect();
    if !alive.is_empty() && chance(random, 50) {
        let index = alive[below(alive.len(), random)];
        let (matchers, starts, ends) = &mut silences[index];
        let key = (number, index);
        let act = if chance(random, 50) {
            *ends = at;
            Act::Expire { key }
        } else {
            *ends = (*ends).max(at) + 1_000 + seconds(random, 4);
            Act::Silence { key, matchers: matchers.clone(), starts: *starts, ends: *ends }
        };
        events.push(Event { at, act });
        return;
    }
    let matchers: Vec<String> = std::iter::once(of_tree(number)).chain([matcher(random)]).collect();
    let starts = at + if chance(random, 30) { 1_000 + seconds(random, 4) } else { 0 };
    let ends = starts + 1_000 + seconds(random, 7);
    let act = Act::Silence { key: (number, silences.len()), matchers: matchers.clone(), starts, ends };
    silences.push((matchers, starts, ends));
    events.push(Event { at, act });
}

impl Act {
    /// An alert as it is posted, where the start was at a time.
    pub(super) fn document(&self, start: i64) -> Option<Value> {
        let Self::Alert { labels, annotations, starts, ends } = self else { return None };
        let mut document = json!({ "labels": labels, "annotations": annotations });
        for (name, at) in [("startsAt", starts), ("endsAt", ends)] {
            if let Some(at) = at {
                document[name] = Timestamp(start + at).to_rfc3339().into();
            }
        }
        Some(document)
    }
}

/// A matcher as documents have it.
pub(super) fn document(matcher: &str) -> Value {
    let at = matcher.find(['=', '!']).unwrap_or(matcher.len());
    let (name, rest) = matcher.split_at(at);
    let signs = [("=~", true, true), ("!~", true, false), ("!=", false, false), ("=", false, true)];
    let found =
        signs.into_iter().find_map(|(sign, regex, equal)| Some((rest.strip_prefix(sign)?, regex, equal)));
    let (value, regex, equal) = found.unwrap_or((rest, false, true));
    let value: String = serde_json::from_str(value).unwrap_or_default();
    json!({ "name": name, "value": value, "isRegex": regex, "isEqual": equal })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_become_documents() {
        let expected = json!({ "name": "note", "value": "say \"hi\"", "isRegex": false, "isEqual": false });
        assert_eq!(document(r#"note!="say \"hi\"""#), expected);
        assert_eq!(document(r#"host=~"h[01]""#)["isRegex"], true);
    }
}
