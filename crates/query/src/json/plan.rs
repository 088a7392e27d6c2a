//! Which buckets of time a query has, and which tier answers each.
//!
//! The tier follows from the span (raw up to an hour, 1 m up to 6 hours, 5 m up to a day, then 1 h), from the window
//! (a tier whose windows do not make it up is too coarse), and from what is still there (the next coarser one answers
//! where the start is gone). Where no tier that makes up the window reaches back far enough, the older buckets are
//! answered from a coarser one, as well as it can, and the plan says so. A tier that is asked for is obeyed.
//!
//! Buckets are aligned to the epoch and cut at the ends of the time range, though never inside a window of the tier.

use barograph_model::{Tier, TimeRange, Timestamp};

use super::document::Window;
use crate::{STEPS_MAX, duration_text, eval::gone};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// How many buckets of samples that were not rolled up a chart has.
const AUTO_POINTS: i64 = 240;

/// The buckets of one window length over a time range.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    /// In the order of time; none is empty.
    pub(super) runs: Vec<Run>,
    /// How long a bucket is.
    pub(super) width: i64,
    /// The tier that answers the newest bucket, and why it was chosen.
    pub(super) tier: Tier,
    pub(super) reason: String,
    /// From where on buckets are what they say; those before are answered from windows that do not fit into them.
    pub(super) exact_from: i64,
    /// Whether samples are answered as they came, and buckets do not count.
    pub(super) samples: bool,
}

/// Buckets that follow each other and are equally long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) tier: Tier,
    /// How long they are.
    pub(super) length: i64,
    /// Where the first one ends, and the last.
    pub(super) first_end: i64,
    pub(super) last_end: i64,
    /// The time that the first one is stamped with.
    pub(super) stamp: i64,
}

impl Plan {
    /// The times that buckets are stamped with, in order.
    pub(super) fn stamps(&self) -> impl Iterator<Item = i64> {
        self.runs.iter().flat_map(|run| {
            (0..=run.last_end - run.first_end).step_by(index(self.width)).map(|passed| run.stamp + passed)
        })
    }
}

/// A length that is positive.
fn index(length: i64) -> usize {
    usize::try_from(length.max(1)).unwrap_or(usize::MAX)
}

/// What a plan is made for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: i64,
    pub(super) end: i64,
    /// How long it is said to be, which the tier is chosen by.
    pub(super) length: i64,
    /// What has to answer.
    pub(super) asked: Option<Tier>,
}

/// Makes a plan, or says what is wrong with the window. `by_series` says that samples may be answered as they came.
pub(super) fn plan(
    coverage: impl Fn(Tier) -> TimeRange,
    span: Span,
    window: Window,
    by_series: bool,
) -> Result<Plan, String> {
    // A tier that was never made is made of raw samples.
    let start_of = |tier: Tier| {
        let range = Some(coverage(tier)).filter(|range| !range.is_empty());
        range.map_or_else(|| coverage(Tier::Raw).start.0, |range| range.start.0)
    };
    let (tier, reason) = choose(&start_of, span, window)?;
    let length = span.end - span.start;
    let samples = window == Window::Auto && tier == Tier::Raw && by_series;
    let width = match window {
        Window::Whole => None,
        Window::Length(width) => Some(width),
        Window::Auto if tier == Tier::Raw => Some(round(length / AUTO_POINTS)),
        Window::Auto => Some(tier.width()),
        Window::Points(points) => Some(fitting(span, tier, points)),
    };
    let Some(width) = width.filter(|_| !samples) else {
        let run = Run { tier, ..cut(tier, (span.start, span.end), span.start) };
        return Ok(Plan { runs: vec![run], width: length, tier, reason, exact_from: i64::MIN, samples });
    };
    let first = span.start.div_euclid(width);
    let count = (span.end - 1).div_euclid(width) - first + 1;
    if count > STEPS_MAX {
        return Err(format!("makes {count} buckets, more than {STEPS_MAX}; try a longer one"));
    }
    let mut runs: Vec<Run> = Vec::new();
    let mut exact_from = i64::MIN;
    for number in first..first + count {
        let stamp = number * width;
        let bucket = (stamp.max(span.start), (stamp + width).min(span.end));
        let mut answers = tier;
        if span.asked.is_none() && start_of(tier) > stamp {
            let coarser =
                Tier::ROLLED.into_iter().filter(|other| *other > tier && start_of(*other) < start_of(tier));
            let best = coarser.clone().find(|other| start_of(*other) <= stamp);
            answers = best.or_else(|| coarser.min_by_key(|other| start_of(*other))).unwrap_or(tier);
        }
        let fits = width % answers.width() == 0;
        if !fits {
            exact_from = stamp + width;
        }
        let run = match fits {
            true => cut(answers, bucket, stamp),
            false => {
                Run { tier: answers, length: width, first_end: stamp + width, last_end: stamp + width, stamp }
            }
        };
        match runs.last_mut() {
            Some(last)
                if (last.tier, last.length) == (answers, run.length)
                    && last.last_end + width == run.first_end =>
            {
                last.last_end = run.last_end;
            }
            _ => runs.push(run),
        }
    }
    Ok(Plan { runs, width, tier, reason, exact_from, samples })
}

/// A bucket made of whole windows.
fn cut(tier: Tier, (from, to): (i64, i64), stamp: i64) -> Run {
    let (from, to) = (tier.window_of(from), tier.window_of(to + tier.width() - 1));
    Run { tier, length: to - from, first_end: to, last_end: to, stamp }
}

fn choose(start_of: &impl Fn(Tier) -> i64, span: Span, window: Window) -> Result<(Tier, String), String> {
    let length = span.length;
    let fits = |tier: Tier| match window {
        Window::Length(width) => width % tier.width() == 0,
        _ => true,
    };
    if let Some(tier) = span.asked {
        return match fits(tier) {
            true => Ok((tier, "it was asked for".into())),
            false => Err(format!("is no multiple of {tier}, the tier that was asked for")),
        };
    }
    let by_span = match length {
        _ if length <= HOUR => Tier::Raw,
        _ if length <= 6 * HOUR => Tier::Minute,
        _ if length <= 24 * HOUR => Tier::FiveMinutes,
        _ => Tier::Hour,
    };
    let wanted = Tier::ALL.into_iter().rfind(|tier| *tier <= by_span && fits(*tier)).unwrap_or_default();
    let mut coarser = Tier::ALL.into_iter().filter(|tier| *tier >= wanted && fits(*tier));
    let tier = coarser.find(|tier| start_of(*tier) <= span.start).unwrap_or(wanted);
    // Where none covers the start, the finest one answers what it has, and the plan fills up from coarser ones.
    let reason = if tier != wanted {
        let text = gone(Timestamp(start_of(wanted)));
        match wanted {
            Tier::Raw => text,
            wanted => text.replacen("raw samples", &format!("windows of {wanted}"), 1),
        }
    } else if let Window::Length(width) = window
        && wanted != by_span
    {
        format!("the window is {}", duration_text(width))
    } else {
        format!("the span is {}", duration_text(length))
    };
    Ok((tier, reason))
}

/// Lengths that people like, in milliseconds.
const ROUND: [i64; 12] =
    [1, 1_000, 5_000, 10_000, 15_000, 30_000, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR];

/// The next length that people like.
fn round(length: i64) -> i64 {
    ROUND.into_iter().find(|round| *round >= length).unwrap_or_else(|| up(length, HOUR) * HOUR)
}

/// The shortest window that makes at most so many buckets of a time range.
fn fitting(span: Span, tier: Tier, points: usize) -> i64 {
    let points = i64::try_from(points.max(1)).unwrap_or(i64::MAX);
    let mut width = up(up(span.end - span.start, points), tier.width()).max(1) * tier.width();
    // The ends of the range may lie inside of a bucket, which makes one more.
    let count = |width: i64| (span.end - 1).div_euclid(width) - span.start.div_euclid(width) + 1;
    while count(width) > points && width < 2 * (span.end - span.start) {
        width += tier.width().max(width / 64);
        width -= width % tier.width();
    }
    width
}

/// A quotient rounded up, of numbers that are not negative.
fn up(length: i64, by: i64) -> i64 {
    length / by + i64::from(length % by != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * HOUR;

    /// All is kept but raw samples older than `raw` and windows of a minute older than `minute`.
    fn kept(raw: i64, minute: i64) -> impl Fn(Tier) -> TimeRange {
        move |tier| match tier {
            Tier::Raw => TimeRange::new(Timestamp(raw), Timestamp::MAX),
            Tier::Minute => TimeRange::new(Timestamp(minute), Timestamp::MAX),
            _ => TimeRange::ALL,
        }
    }

    fn span(start: i64, end: i64) -> Span {
        Span { start, end, length: end - start, asked: None }
    }

    fn made(raw: i64, minute: i64, (start, end): (i64, i64), window: Window) -> Plan {
        plan(kept(raw, minute), span(start, end), window, false).unwrap()
    }

    #[test]
    fn span_window_and_coverage_choose() {
        let check = |raw, minute, end, window, tier: Tier, reason: &str| {
            let plan = made(raw, minute, (0, end), window);
            assert_eq!((plan.tier, plan.reason.as_str()), (tier, reason));
        };
        let whole = Window::Whole;
        check(0, 0, HOUR, whole, Tier::Raw, "the span is 1h");
        check(0, 0, HOUR + 1, whole, Tier::Minute, "the span is 1h1ms");
        check(0, 0, 6 * HOUR, whole, Tier::Minute, "the span is 6h");
        check(0, 0, 6 * HOUR + 1, whole, Tier::FiveMinutes, "the span is 6h1ms");
        check(0, 0, DAY, whole, Tier::FiveMinutes, "the span is 1d");
        check(0, 0, DAY + 1, whole, Tier::Hour, "the span is 1d1ms");
        let raw_gone = "raw samples before 1970-01-01T00:01:00Z are gone";
        check(MINUTE, 0, HOUR, whole, Tier::Minute, raw_gone);
        check(MINUTE, MINUTE, HOUR, whole, Tier::FiveMinutes, raw_gone);
        let gone = "windows of 1m before 1970-01-01T00:01:00Z are gone";
        check(MINUTE, MINUTE, 2 * HOUR, whole, Tier::FiveMinutes, gone);
        check(0, 0, DAY, Window::Length(7 * MINUTE), Tier::Minute, "the window is 7m");
        check(0, 0, 5 * HOUR, Window::Length(15_000), Tier::Raw, "the window is 15s");
        let asked = Span { asked: Some(Tier::Hour), ..span(0, HOUR) };
        let refused = plan(kept(0, 0), asked, Window::Length(MINUTE), false).unwrap_err();
        assert_eq!(refused, "is no multiple of 1h, the tier that was asked for");
        assert_eq!(plan(kept(MINUTE, 0), asked, whole, false).unwrap().reason, "it was asked for");
    }

    #[test]
    fn buckets_are_cut_at_the_ends() {
        let plan = made(0, 0, (MINUTE + 1, 50 * MINUTE), Window::Length(20 * MINUTE));
        let run =
            |length, first_end, stamp| Run { tier: Tier::Raw, length, first_end, last_end: first_end, stamp };
        let expected = [
            run(19 * MINUTE - 1, 20 * MINUTE, 0),
            run(20 * MINUTE, 40 * MINUTE, 20 * MINUTE),
            run(10 * MINUTE, 50 * MINUTE, 40 * MINUTE),
        ];
        assert_eq!(plan.runs, expected);
        // Of windows of a minute, not inside of one.
        let plan = made(0, 0, (MINUTE + 1, 3 * HOUR), Window::Length(HOUR));
        let run = |length, first_end, last_end, stamp| Run {
            tier: Tier::Minute,
            length,
            first_end,
            last_end,
            stamp,
        };
        assert_eq!(plan.runs, [run(59 * MINUTE, HOUR, HOUR, 0), run(HOUR, 2 * HOUR, 3 * HOUR, HOUR)]);
    }

    #[test]
    fn what_is_gone_is_answered_from_a_coarser_tier() {
        let plan = made(20 * HOUR, 10 * HOUR, (0, DAY), Window::Length(15_000 * 4 * 7));
        assert_eq!(plan.tier, Tier::Minute);
        let tiers: Vec<Tier> = plan.runs.iter().map(|run| run.tier).collect();
        assert_eq!(tiers, [Tier::FiveMinutes, Tier::Minute, Tier::Minute]);
        let older = plan.runs[0];
        assert_eq!((older.stamp, older.length), (0, 7 * MINUTE));
        assert_eq!(plan.exact_from, older.last_end);
        assert!(older.last_end >= 10 * HOUR && older.last_end < 10 * HOUR + 7 * MINUTE);
    }

    #[test]
    fn windows_that_are_left_to_us() {
        let check = |end, window, by_series, width, samples| {
            let plan = plan(kept(0, 0), span(0, end), window, by_series).unwrap();
            assert_eq!((plan.width, plan.samples), (width, samples));
        };
        check(HOUR, Window::Auto, false, 15_000, false);
        check(HOUR, Window::Auto, true, HOUR, true);
        check(2 * HOUR, Window::Auto, true, MINUTE, false);
        check(2 * DAY, Window::Auto, false, HOUR, false);
        check(HOUR, Window::Points(60), true, MINUTE, false);
        check(6 * HOUR, Window::Points(50), true, 8 * MINUTE, false);
        check(DAY, Window::Points(1), true, DAY, false);
    }

    #[test]
    fn never_more_points_than_wanted() {
        for points in [1, 2, 7, 50] {
            for start in [0, 1, 59_999, 1_743_465_612_345] {
                let span = span(start, start + 5 * HOUR + 17);
                let plan = plan(kept(0, 0), span, Window::Points(points), true);
                let plan = plan.unwrap();
                let count: i64 =
                    plan.runs.iter().map(|run| (run.last_end - run.first_end) / plan.width + 1).sum();
                assert!(usize::try_from(count).unwrap() <= points.max(2), "{points} from {start}: {count}");
            }
        }
    }

    #[test]
    fn too_many_buckets_are_refused() {
        let refused = plan(kept(0, 0), span(0, DAY), Window::Length(1_000), false).unwrap_err();
        assert_eq!(refused, "makes 86400 buckets, more than 11000; try a longer one");
    }
}
