//! What goes wrong in the shop, and when.
//!
//! Each day every fault has its turn, in an order and at times that the seed decides; faults never overlap. A fault
//! comes up, stays and goes: [`Faults::strength`] says how much of it there is, [`Faults::progress`] how far it is.

use crate::{days::Moment, random::Random};

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The bank behind the payments answers slowly.
    SlowPayment,
    /// The search of the catalogue fails again and again.
    SearchErrors,
    /// The cart keeps memory that it should give back, until it is restarted.
    MemoryLeak,
    /// The worker's exporter stalls, and its queue fills.
    FullQueue,
    /// A new version of the catalogue runs on one of two instances, and is worse.
    Rollout,
}

/// How many turns a day has.
const TURNS: u8 = 5;

impl Fault {
    pub(crate) const ALL: [Self; TURNS as usize] =
        [Self::SlowPayment, Self::SearchErrors, Self::FullQueue, Self::Rollout, Self::MemoryLeak];

    /// What is told when it starts.
    pub(crate) const fn begins(self) -> &'static str {
        match self {
            Self::SlowPayment => "payments become slow: the bank takes seconds",
            Self::SearchErrors => "the catalogue's search fails every other time",
            Self::MemoryLeak => "the cart's memory grows and grows",
            Self::FullQueue => "the exporter stalls: the worker's queue fills",
            Self::Rollout => "catalogue 1.5.0 is rolled out to one of two instances, and it is slower",
        }
    }

    /// What is told when it is over.
    pub(crate) const fn ends(self) -> &'static str {
        match self {
            Self::SlowPayment => "the bank is itself again",
            Self::SearchErrors => "the search works again",
            Self::MemoryLeak => "the cart was restarted",
            Self::FullQueue => "the exporter goes on, and the queue drains",
            Self::Rollout => "catalogue 1.5.0 was rolled back",
        }
    }

    /// A question in PromQL that shows it.
    pub(crate) const fn query(self) -> &'static str {
        match self {
            Self::SlowPayment => {
                "histogram_quantile(0.95, sum by (job, le) (rate(http_request_duration_seconds_bucket[1m])))"
            }
            Self::SearchErrors => {
                "sum by (job, route) (rate(http_requests_total{job=\"catalogue\",status=~\"5..\"}[30s]))"
            }
            Self::MemoryLeak => "service_memory_bytes",
            Self::FullQueue => "worker_queue_depth",
            Self::Rollout => {
                "sum by (version) (rate(http_request_duration_seconds_sum{job=\"catalogue\"}[30s])) \
                 / sum by (version) (rate(http_request_duration_seconds_count{job=\"catalogue\"}[30s]))"
            }
        }
    }
}

/// The faults of all days.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    seed: u64,
}

/// How many hours belong to each fault's turn.
const TURN: f64 = 24.0 / TURNS as f64;

impl Faults {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The fault of a moment, and how far it is: from 0 to 1.
    pub(crate) fn progress(&self, moment: Moment) -> Option<(Fault, f64)> {
        let turn = whole_turn(moment);
        let mut random =
            Random::new(self.seed ^ (turn + 1_000_000).cast_unsigned().wrapping_mul(0xd6e8_feb8_6659_fd93));
        let begin = random.between(0.4, 1.2);
        let length = random.between(1.9, 2.8);
        let first = self.seed.cast_signed().rem_euclid(i64::from(TURNS));
        // Each day begins with the fault after the one the day before began with.
        let place = (turn + first + moment.day() - FIRST_TURN).rem_euclid(i64::from(TURNS));
        let fault = Fault::ALL[usize::try_from(place).unwrap_or_default()];
        let progress = (moment.hours - turn as f64 * TURN - begin) / length;
        (0.0..1.0).contains(&progress).then_some((fault, progress))
    }

    /// How much there is of a fault: 0 for none, 1 for all of it.
    pub(crate) fn strength(&self, fault: Fault, moment: Moment) -> f64 {
        match self.progress(moment) {
            Some((now, progress)) if now == fault => (progress * 8.0).min((1.0 - progress) * 8.0).min(1.0),
            _ => 0.0,
        }
    }
}

/// The turn in which the demo starts.
const FIRST_TURN: i64 = 2;

/// The turn of a moment, counted from the midnight before the demo started.
#[expect(clippy::cast_possible_truncation, reason = "turns are few")]
fn whole_turn(moment: Moment) -> i64 {
    moment.hours.div_euclid(TURN) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The faults of a day in their order, with the hours they start and end at.
    fn day(seed: u64, day: i32) -> Vec<(Fault, f64, f64)> {
        let faults = Faults::new(seed);
        let mut seen: Vec<(Fault, f64, f64)> = Vec::new();
        for step in 0..2400 {
            let hours = f64::from(day * 24) + f64::from(step) / 100.0;
            let Some((fault, _)) = faults.progress(Moment { hours }) else { continue };
            match seen.last_mut() {
                Some((last, _, end)) if *last == fault => *end = hours,
                _ => seen.push((fault, hours, hours)),
            }
        }
        seen
    }

    #[test]
    fn each_fault_has_its_turn_each_day() {
        for number in [-3, 0, 5] {
            let seen = day(7, number);
            assert_eq!(seen.len(), Fault::ALL.len(), "{seen:?}");
            assert!(Fault::ALL.iter().all(|fault| seen.iter().any(|(one, _, _)| one == fault)), "{seen:?}");
            assert!(seen.iter().all(|(_, from, to)| (1.8..2.9).contains(&(to - from))), "{seen:?}");
        }
        assert_ne!(day(7, 0), day(8, 0));
        assert_eq!(day(7, 0), day(7, 0));
    }

    #[test]
    fn the_seed_that_is_used_by_default_starts_with_slow_payments() {
        let first = day(crate::SEED, 0).into_iter().find(|(_, from, _)| *from > 9.6);
        assert_eq!(first.map(|(fault, _, _)| fault), Some(Fault::SlowPayment));
    }

    #[test]
    fn a_fault_comes_up_and_goes() {
        let (fault, from, to) = day(7, 0)[1];
        let strength = |hours| Faults::new(7).strength(fault, Moment { hours });
        assert!(strength(from + 0.01) < 0.1 && strength(to - 0.01) < 0.1);
        assert!((strength(f64::midpoint(from, to)) - 1.0).abs() < 1e-9);
        assert!(strength(from - 0.1) == 0.0);
    }
}
