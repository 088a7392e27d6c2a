//! What many runs of one check amount to: down after so many failures, up after so many passes, flapping in between.
//!
//! Flapping is judged as Nagios does: of the last 21 runs, the 20 changes from one to the next are weighted from 0.8 for the
//! oldest to 1.2 for the newest; half of them changing begins it, a quarter ends it. A check that flaps is degraded, whatever
//! it finds, and that is the one thing told of it until it is steady again.

use std::collections::VecDeque;

use super::{check::Plan, messages::Status};

/// Runs that flapping is judged by.
const RUNS: usize = 21;
/// Flapping begins at this share of changes, and ends below that one.
const BEGINS: f64 = 0.5;
const ENDS: f64 = 0.25;

/// The runs of a check so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Judge {
    /// What the thresholds make of them.
    settled: Status,
    /// How many of the last runs failed, or passed, one after the other.
    failed: u32,
    passed: u32,
    runs: VecDeque<bool>,
    flapping: bool,
}

impl Judge {
    /// Takes one run: healthy, degraded or unhealthy; the status of the check now.
    pub(super) fn take(&mut self, found: Status, plan: &Plan) -> Status {
        let fails = found == Status::Unhealthy;
        (self.failed, self.passed) = if fails { (self.failed + 1, 0) } else { (0, self.passed + 1) };
        let settles = match (self.settled, fails) {
            // What is known first is better than nothing.
            (Status::Unknown, _) => true,
            (_, true) => self.failed >= plan.fails,
            (Status::Unhealthy, false) => self.passed >= plan.passes,
            (_, false) => true,
        };
        if settles {
            self.settled = found;
        }
        if self.runs.len() == RUNS {
            self.runs.pop_front();
        }
        self.runs.push_back(fails);
        let changes = self.changes();
        self.flapping = if self.flapping { changes >= ENDS } else { changes >= BEGINS };
        self.status()
    }

    pub(super) fn status(&self) -> Status {
        if self.flapping { Status::Degraded } else { self.settled }
    }

    /// Whether it changes too often to be believed.
    pub(super) fn flapping(&self) -> bool {
        self.flapping
    }

    /// The weighted share of changes among the last runs.
    fn changes(&self) -> f64 {
        let newest_first = self.runs.iter().rev().zip(self.runs.iter().rev().skip(1));
        let steps = (RUNS - 2) as f64;
        let weight = |age: usize| 1.2 - 0.4 * age as f64 / steps;
        let changed = newest_first.enumerate().filter(|(_, (now, before))| now != before);
        changed.map(|(age, _)| weight(age)).sum::<f64>() / (RUNS - 1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan::new();

    /// The statuses after each of these runs: `+` passes, `~` passes with a warning, `-` fails.
    fn check(runs: &str, expected: &str) {
        let mut judge = Judge::default();
        let statuses = runs.chars().map(|run| {
            let found = match run {
                '+' => Status::Healthy,
                '~' => Status::Degraded,
                _ => Status::Unhealthy,
            };
            match judge.take(found, &PLAN) {
                Status::Healthy => 'h',
                Status::Degraded => 'd',
                Status::Unhealthy => 'u',
                Status::Unknown => '?',
            }
        });
        assert_eq!(statuses.collect::<String>(), expected, "{runs}");
    }

    #[test]
    fn down_after_three_failures_and_up_after_two_passes() {
        check("+---+-++", "hhhuuuuh");
        check("+--+--+", "hhhhhhh");
        check("-++", "uuh");
        check("+~+", "hdh");
        check("---~~", "uuuud");
    }

    #[test]
    fn what_changes_all_the_time_is_degraded_until_it_is_steady() {
        let mut judge = Judge::default();
        let alternating = (0..40).map(|run| if run % 2 == 0 { Status::Healthy } else { Status::Unhealthy });
        let statuses: Vec<_> = alternating.map(|found| judge.take(found, &PLAN)).collect();
        assert!(judge.flapping());
        let changes = statuses.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!((changes, statuses[0], statuses[39]), (1, Status::Healthy, Status::Degraded));
        // Steady again, one way or the other.
        let steady: Vec<_> = (0..21).map(|_| judge.take(Status::Unhealthy, &PLAN)).collect();
        assert_eq!((steady[0], steady[20]), (Status::Degraded, Status::Unhealthy));
        assert_eq!(steady.windows(2).filter(|pair| pair[0] != pair[1]).count(), 1);
    }
}
