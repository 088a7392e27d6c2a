//! Which steps of a selector raw samples answer, and which a tier.
//!
//! Raw samples answer every step for which they are all there. The older steps are answered by one tier: the finest
//! that reaches back far enough, or the one that reaches back farthest if none does. A coarser one takes its place where
//! that says the same: where every range is made of whole windows of it, at least two, and the function adds up windows.
//! No step is answered by two.

use barograph_model::{Tier, TimeRange, Timestamp};

/// What a selector wants to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    /// The point it looks back from at the first step.
    pub(super) first: i64,
    /// From there to the point of the next step.
    pub(super) step: i64,
    /// How many steps there are.
    pub(super) len: usize,
    /// How far back raw samples are needed.
    pub(super) reach: i64,
    pub(super) want: Want,
}

/// What is made of the samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// The last one.
    Last,
    /// Something that adds up over a range of this length, or not.
    Range { length: i64, adds_up: bool },
}

/// The answer: a tier, up to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::eval) struct Choice {
    pub(super) tier: Tier,
    /// How many of the first steps it answers.
    pub(super) steps: usize,
    pub(super) why: Why,
}

/// Why a tier is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The question names it.
    Asked,
    /// Raw samples before this are gone.
    Gone(Timestamp),
}

/// How far back a point needs windows of a tier.
pub(super) fn reach(tier: Tier, demand: &Demand) -> i64 {
    let two = 2 * tier.width();
    match demand.want {
        Want::Last => demand.reach.max(two),
        Want::Range { length, .. } => length.max(two),
    }
}

/// `None` means raw, for all steps.
pub(super) fn choose(
    coverage: impl Fn(Tier) -> TimeRange,
    asked: Option<Tier>,
    demand: &Demand,
) -> Option<Choice> {
    match asked {
        Some(Tier::Raw) => return None,
        Some(tier) => return Some(Choice { tier, steps: demand.len, why: Why::Asked }),
        None => {}
    }
    let raw = coverage(Tier::Raw);
    let steps = uncovered(raw.start, demand);
    if steps == 0 {
        return None;
    }
    let older = Tier::ROLLED.map(|tier| (tier, coverage(tier)));
    let older = older.iter().filter(|(_, covered)| !covered.is_empty() && covered.start < raw.start);
    let covers = |tier: Tier, covered: &TimeRange| {
        covered.start.0 <= tier.window_of(demand.first.saturating_sub(reach(tier, demand)))
    };
    let covering = older.clone().filter(|(tier, covered)| covers(*tier, covered));
    let same = covering.clone().rev().find(|(tier, _)| whole(*tier, demand));
    let finest = covering.clone().next();
    let farthest = older.min_by_key(|(_, covered)| covered.start);
    let (tier, _) = same.or(finest).or(farthest)?;
    Some(Choice { tier: *tier, steps, why: Why::Gone(raw.start) })
}

/// How many of the first steps look back beyond the start of raw samples.
fn uncovered(start: Timestamp, demand: &Demand) -> usize {
    // A step at `t` needs what is after `t - reach`.
    let from = start.0.saturating_sub(1).saturating_add(demand.reach);
    if start == Timestamp::MIN || demand.first >= from {
        return 0;
    }
    let gap = i128::from(from) - i128::from(demand.first);
    let step = i128::from(demand.step.max(1));
    usize::try_from((gap + step - 1) / step).map_or(demand.len, |steps| steps.min(demand.len))
}

/// Whether a tier says the same as a finer one.
fn whole(tier: Tier, demand: &Demand) -> bool {
    let width = tier.width();
    let Want::Range { length, adds_up: true } = demand.want else { return false };
    let moves = demand.len > 1;
    length >= 2 * width
        && length % width == 0
        && demand.first % width == 0
        && (!moves || demand.step % width == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    /// Now, with an even hour.
    const NOW: i64 = 1_000 * DAY;

    /// Raw samples of a day, the other tiers by default, all made up to an hour ago.
    fn coverage(tier: Tier) -> TimeRange {
        let kept = match tier {
            Tier::Raw => DAY,
            Tier::Minute => 7 * DAY,
            Tier::FiveMinutes => 30 * DAY,
            Tier::Hour => 365 * DAY,
        };
        let end = if tier == Tier::Raw { NOW } else { NOW - HOUR };
        TimeRange::new(Timestamp(NOW - kept), Timestamp(end))
    }

    fn over(from: i64, step: i64, length: i64) -> Demand {
        let len = usize::try_from((NOW - from) / step + 1).unwrap();
        let want = Want::Range { length, adds_up: true };
        Demand { first: from, step, len, reach: length, want }
    }

    fn last(from: i64, step: i64) -> Demand {
        Demand { reach: 5 * MINUTE, want: Want::Last, ..over(from, step, 0) }
    }

    fn check(demand: Demand, expected: Option<(Tier, usize)>) {
        let choice = choose(coverage, None, &demand);
        assert_eq!(choice.map(|choice| (choice.tier, choice.steps)), expected, "{demand:?}");
    }

    #[test]
    fn raw_answers_wherever_it_is() {
        check(last(NOW - DAY + 5 * MINUTE - 1, MINUTE), None);
        check(last(NOW - DAY + 5 * MINUTE - 2, MINUTE), Some((Tier::Minute, 1)));
        check(last(NOW - DAY - HOUR, HOUR), Some((Tier::Minute, 2)));
        check(over(NOW - 2 * DAY, HOUR, HOUR), Some((Tier::FiveMinutes, 25)));
    }

    #[test]
    fn the_finest_that_reaches_back_answers() {
        check(last(NOW - 6 * DAY, HOUR), Some((Tier::Minute, 5 * 24 + 1)));
        check(last(NOW - 7 * DAY, HOUR), Some((Tier::FiveMinutes, 6 * 24 + 1)));
        check(last(NOW - 30 * DAY, HOUR), Some((Tier::Hour, 29 * 24 + 1)));
        // Nothing reaches back two years; the farthest does what it can.
        check(last(NOW - 730 * DAY, DAY), Some((Tier::Hour, 730)));
    }

    #[test]
    fn a_coarser_one_answers_where_it_says_the_same() {
        check(over(NOW - 3 * DAY, HOUR, 2 * HOUR), Some((Tier::Hour, 50)));
        check(over(NOW - 3 * DAY, HOUR, 10 * MINUTE), Some((Tier::FiveMinutes, 49)));
        check(over(NOW - 3 * DAY, 7 * MINUTE, 2 * HOUR), Some((Tier::Minute, 429)));
        check(over(NOW - 3 * DAY + MINUTE, HOUR, 2 * HOUR), Some((Tier::Minute, 50)));
        check(over(NOW - 3 * DAY, HOUR, 90 * MINUTE), Some((Tier::FiveMinutes, 50)));
        let mut once = over(NOW - 3 * DAY, 1, 2 * HOUR);
        once.len = 1;
        check(once, Some((Tier::Hour, 1)));
    }

    #[test]
    fn what_is_asked_for_is_obeyed() {
        let demand = last(NOW - HOUR, MINUTE);
        assert_eq!(choose(coverage, Some(Tier::Raw), &last(0, DAY)), None);
        let choice = choose(coverage, Some(Tier::Hour), &demand).unwrap();
        assert_eq!((choice.tier, choice.steps, choice.why), (Tier::Hour, 61, Why::Asked));
    }

    #[test]
    fn without_tiers_raw_does_what_it_can() {
        let only_raw = |tier| match tier {
            Tier::Raw => coverage(tier),
            _ => TimeRange::new(Timestamp(0), Timestamp(0)),
        };
        assert_eq!(choose(only_raw, None, &last(NOW - 2 * DAY, HOUR)), None);
        assert_eq!(choose(|_| TimeRange::ALL, None, &Demand { first: i64::MIN, ..last(NOW, HOUR) }), None);
        let all_of_time = Demand { first: i64::MIN, step: i64::MAX, len: 3, ..last(NOW, HOUR) };
        assert_eq!(choose(coverage, None, &all_of_time).map(|choice| choice.steps), Some(2));
    }
}
