//! Conditions that hold one after the other, or together, in the course of time.
//!
//! A pattern names conditions and says in which order they have to hold, bucket by bucket:
//!
//! `{"name": "spill", "conditions": {"busy": "cpu > 90", "slow": "p95(latency) > 2"},
//!   "sequence": [{"when": "busy"}, {"then": "slow", "within": "10m", "not": "drained"}]}`
//!
//! It runs as an automaton with a state for each step. A state keeps one partial match, the one that started last: of
//! all that stand there it has the most time left, and whatever ends one (`not`) ends them all.

use std::collections::BTreeMap;

use super::{
    document::text_of,
    expression::Expression,
    read::{At, Invalid},
    time::length,
};

/// How many steps a sequence has at most, which are the states of the automaton.
pub const STEPS_MAX: usize = 64;
/// How many conditions one pattern names.
pub const CONDITIONS_MAX: usize = 32;
/// How many conditions one step names.
const LABELS_MAX: usize = 8;

/// Conditions, and the order in which they have to hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    /// What the result is called.
    pub name: String,
    /// The conditions by their labels, in the order of these.
    pub conditions: Vec<(String, Expression)>,
    /// What has to hold, one step after the other.
    pub sequence: Vec<Step>,
    /// How long all of it may take, in milliseconds.
    pub within: Option<i64>,
    /// How long the buckets are, in milliseconds; as those of the first aggregation if nothing is said.
    pub window: Option<i64>,
}

/// One step of a sequence. Conditions are given by their place in the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// These hold, all in the same bucket. None for a last step that is fulfilled when its time has passed without
    /// any of `not`.
    pub holds: Vec<usize>,
    /// None of these holds in a bucket after the step before, up to and with the one of this step.
    pub not: Vec<usize>,
    /// It comes at most so many milliseconds after the step before.
    pub within: Option<i64>,
}

/// One time that a pattern was found: the starts of the buckets of its steps.
pub(super) type Match = Vec<i64>;

impl Pattern {
    pub(super) fn read(at: At<'_>) -> Result<Self, Invalid> {
        let fields = at.object(&["name", "conditions", "sequence", "within", "window"])?;
        let named = fields.need("conditions")?.any_object()?;
        if named.len() == 0 || named.len() > CONDITIONS_MAX {
            return Err(named.wrong(format!("expected 1 to {CONDITIONS_MAX} conditions")));
        }
        let mut conditions = Vec::with_capacity(named.len());
        for (label, at) in named.all() {
            let expression = Expression::parse(at.text()?).map_err(|e| at.wrong(e.to_string()))?;
            if !expression.is_condition() {
                return Err(at.wrong("is no condition; compare something, such as cpu > 90"));
            }
            conditions.push((label.to_owned(), expression));
        }
        let places: BTreeMap<&str, usize> =
            conditions.iter().enumerate().map(|(i, (label, _))| (label.as_str(), i)).collect();
        let steps = fields.need("sequence")?;
        let path = steps.path.clone();
        let steps = steps.list(STEPS_MAX)?;
        if steps.is_empty() {
            return Err(Invalid::new(path, "is empty; say what has to hold first"));
        }
        let last = steps.len() - 1;
        let sequence = steps.into_iter().enumerate().map(|(i, at)| step(at, (i == 0, i == last), &places));
        let sequence = sequence.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            name: text_of(&fields, "name")?.unwrap_or("pattern").to_owned(),
            sequence,
            within: fields.get("within").map(|at| length(&at)).transpose()?,
            window: fields.get("window").map(|at| length(&at)).transpose()?,
            conditions,
        })
    }

    /// Finds the pattern in buckets that are `width` milliseconds long. `holds` says of each, in order of time, its
    /// start and which conditions hold in it. Matches do not overlap; of those that end together the shortest counts.
    pub(super) fn find(&self, width: i64, buckets: impl IntoIterator<Item = (i64, Vec<bool>)>) -> Vec<Match> {
        let (mut found, mut waiting) = (Vec::new(), vec![None::<Match>; self.sequence.len()]);
        for (at, holds) in buckets {
            let any = |labels: &[usize]| labels.iter().any(|&i| holds[i]);
            // From the last step, so that one bucket takes a match one step further at most.
            for (i, step) in self.sequence.iter().enumerate().rev() {
                let before = if i == 0 { Some(Vec::new()) } else { waiting[i - 1].clone() };
                let Some(mut partial) = before else { continue };
                let since = |from: Option<&i64>| from.map_or(0, |from| at - from);
                let late = step.within.is_some_and(|within| since(partial.last()) > within)
                    || self.within.is_some_and(|within| since(partial.first()) > within);
                let absence = step.holds.is_empty();
                if i > 0 && (any(&step.not) || (late && !absence)) {
                    waiting[i - 1] = None;
                    continue;
                }
                let passed = match absence {
                    // The time has passed when the bucket that ends it is seen to be free of all of them.
                    true => step.within.is_some_and(|within| since(partial.last()) + width > within),
                    false => step.holds.iter().all(|&i| holds[i]) && (i > 0 || !any(&step.not)),
                };
                if !passed {
                    continue;
                }
                partial.push(at);
                if i + 1 == self.sequence.len() {
                    found.push(partial);
                    waiting.fill(None);
                    break;
                }
                waiting[i] = Some(partial);
            }
        }
        found
    }
}

/// `{"when": …}` first, then `{"then": …}`; a last one may have `not` and `within` alone.
fn step(at: At<'_>, (first, last): (bool, bool), places: &BTreeMap<&str, usize>) -> Result<Step, Invalid> {
    let path = at.path.clone();
    let keys: &'static [&'static str] = if first { &["when", "not"] } else { &["then", "within", "not"] };
    let fields = at.object(keys)?;
    let list =
        |key: &str| fields.get(key).map(|at| labels(at, places)).transpose().map(Option::unwrap_or_default);
    let step = Step {
        holds: list(keys[0])?,
        not: list("not")?,
        within: fields.get("within").map(|at| length(&at)).transpose()?,
    };
    let absence = last && !first && !step.not.is_empty() && step.within.is_some();
    if step.holds.is_empty() && !absence {
        let text = match last && !first {
            true => "needs \"then\", or \"not\" and \"within\" for what must not come".to_owned(),
            false => format!("needs {:?}", keys[0]),
        };
        return Err(Invalid::new(path, text));
    }
    Ok(step)
}

/// The label of a condition, or several.
fn labels(at: At<'_>, places: &BTreeMap<&str, usize>) -> Result<Vec<usize>, Invalid> {
    let path = at.path.clone();
    let items = if at.value.is_array() { at.list(LABELS_MAX)? } else { vec![at] };
    if items.is_empty() {
        return Err(Invalid::new(path, "is empty; name a condition"));
    }
    let place = |at: &At<'_>| {
        let label = at.text()?;
        places.get(label).copied().ok_or_else(|| at.wrong(format!("{label:?} is none of the conditions")))
    };
    items.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pattern(sequence: Value, within: Value) -> Result<Pattern, Invalid> {
        let conditions = json!({"a": "x > 1", "b": "x > 2", "c": "x > 3", "d": "x > 4"});
        let value = json!({"conditions": conditions, "sequence": sequence, "within": within});
        Pattern::read(At::root(&value))
    }

    /// Buckets of 10 ms; each word is what holds in one of them.
    fn check(sequence: Value, within: Value, buckets: &str, expected: &[&[i64]]) {
        let pattern = pattern(sequence, within).unwrap();
        let holds = |word: &str| ["a", "b", "c", "d"].map(|label| word.contains(label)).to_vec();
        let times = buckets.split_whitespace().zip(0..).map(|(word, i)| (i * 10, holds(word)));
        assert_eq!(pattern.find(10, times), expected, "{buckets}");
    }

    #[test]
    fn one_condition_and_several_together() {
        check(json!([{"when": "a"}]), Value::Null, "- a - a", &[&[10], &[30]]);
        check(json!([{"when": ["a", "b"]}]), Value::Null, "a b ab", &[&[20]]);
        check(json!([{"when": "a", "not": "b"}]), Value::Null, "ab a", &[&[10]]);
    }

    #[test]
    fn one_after_the_other() {
        let two = json!([{"when": "a"}, {"then": "b"}]);
        check(two.clone(), Value::Null, "ab - b a a - b", &[&[0, 20], &[40, 60]]);
        check(two.clone(), json!(10), "a - b a b", &[&[30, 40]]);
        check(json!([{"when": "a"}, {"then": "a"}]), Value::Null, "a a a", &[&[0, 10]]);
        let near = json!([{"when": "a"}, {"then": "b", "within": 20}, {"then": "c", "within": 10}]);
        check(near.clone(), Value::Null, "a b b c", &[&[0, 20, 30]]);
        check(near, Value::Null, "a b - c", &[]);
        check(
            json!([{"when": "a"}, {"then": "b"}, {"then": "c"}]),
            json!(30),
            "a b a b - c",
            &[&[20, 30, 50]],
        );
    }

    #[test]
    fn what_must_not_come_between() {
        let clean = json!([{"when": "a"}, {"then": "b", "not": "d"}]);
        check(clean.clone(), Value::Null, "a d b a b", &[&[30, 40]]);
        check(clean, Value::Null, "ad bd a b", &[&[20, 30]]);
        let absence = json!([{"when": "a"}, {"not": "b", "within": 30}]);
        check(absence.clone(), Value::Null, "a - - - -", &[&[0, 30]]);
        check(absence.clone(), Value::Null, "a - b - -", &[]);
        check(absence, Value::Null, "a - -", &[]);
    }

    #[test]
    fn what_makes_no_sequence() {
        let check = |sequence: Value, text: &str| {
            assert_eq!(pattern(sequence, Value::Null).unwrap_err().to_string(), text);
        };
        check(json!([]), "sequence: is empty; say what has to hold first");
        check(json!([{"then": "a"}]), "sequence[0].then: unknown key; known are when, not");
        check(json!([{"not": "a"}]), "sequence[0]: needs \"when\"");
        check(json!([{"when": "x"}]), "sequence[0].when: \"x\" is none of the conditions");
        check(
            json!([{"when": "a"}, {"not": "b"}]),
            "sequence[1]: needs \"then\", or \"not\" and \"within\" for what must not come",
        );
        check(
            json!([{"when": "a"}, {"then": ["b", 1]}]),
            "sequence[1].then[1]: expected a text, got a number",
        );
        let value = json!({"conditions": {"a": "x + 1"}, "sequence": [{"when": "a"}]});
        let error = Pattern::read(At::root(&value)).unwrap_err();
        assert_eq!(error.to_string(), "conditions.a: is no condition; compare something, such as cpu > 90");
    }
}
