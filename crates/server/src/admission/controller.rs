//! Who is admitted: plain data, told the time and what a die shows.
//!
//! A class has a limit of its own, which finds itself, and a queue of those who wait for a place, first come first served. A
//! request is admitted where its class is within its guaranteed share, or all together are below the total. As the total
//! comes near, lower classes are refused before higher ones, ever more of them: of a class whose threshold is `t`, the part
//! `((u - t) / (1 - t))³` where `u` of the total are at work. Health and alerts are never refused.

use std::{collections::VecDeque, time::Duration};

use super::{
    class::Class,
    limit::{Aimd, Bounds, Gradient, Limit, Rule},
};
use crate::config::{AdmissionConfig, ClassLimits};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is admitted.
    Now,
    /// It waits until its number is called.
    Wait(u64),
    /// It is not; whoever asks should come again after so long.
    Refused(Duration),
}

/// How a class fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// How many may be at work; `None` for any number.
    pub(crate) limit: Option<usize>,
    pub(crate) in_flight: usize,
    pub(crate) waiting: usize,
    pub(crate) admitted: u64,
    pub(crate) refused: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Controller {
    total: usize,
    classes: [State; Class::ALL.len()],
    next: u64,
}

#[derive(Debug)]
struct State {
    limit: Option<Limit>,
    /// Which part of the total it may always have.
    share: f64,
    /// From which part of the total on it is refused now and then.
    threshold: f64,
    /// How many may wait.
    room: usize,
    in_flight: usize,
    queue: VecDeque<u64>,
    admitted: u64,
    refused: u64,
    /// How long one takes, in the long run; seconds.
    took: f64,
}

impl Controller {
    pub(crate) fn new(config: &AdmissionConfig) -> Self {
        let state = |limits: Option<(&ClassLimits, Rule)>, share: f64, threshold: f64| State {
            room: limits.as_ref().map_or(0, |(limits, _)| limits.queue),
            limit: limits.map(|(limits, rule)| {
                let bounds =
                    Bounds { min: limits.min as f64, max: limits.max as f64, initial: limits.initial as f64 };
                Limit::new(bounds, rule)
            }),
            share,
            threshold,
            in_flight: 0,
            queue: VecDeque::new(),
            admitted: 0,
            refused: 0,
            took: 0.0,
        };
        let aimd = Rule::Aimd(Aimd { timeout: config.ingest_timeout });
        Self {
            total: config.total,
            classes: [
                state(None, 1.0, 1.0),
                state(None, 1.0, 1.0),
                state(Some((&config.ingest, aimd)), 0.4, 0.85),
                state(Some((&config.query, Rule::Gradient(Gradient::default()))), 0.2, 0.7),
            ],
            next: 0,
        }
    }

    /// Asks for one; the die shows a number from 0 to 1.
    pub(crate) fn ask(&mut self, class: Class, die: f64) -> Verdict {
        let all = self.in_flight();
        let state = &mut self.classes[class as usize];
        if class.is_critical() {
            state.admit();
            return Verdict::Now;
        }
        let used = all as f64 / self.total.max(1) as f64;
        let over = ((used - state.threshold) / (1.0 - state.threshold)).clamp(0.0, 1.0).powi(3);
        let is_shed = die < over && state.in_flight as f64 >= state.share * self.total as f64;
        if is_shed || (all >= self.total && !state.within_share(self.total)) {
            return state.refuse();
        }
        if state.queue.is_empty() && state.has_place() {
            state.admit();
            return Verdict::Now;
        }
        if state.queue.len() >= state.room {
            return state.refuse();
        }
        self.next += 1;
        state.queue.push_back(self.next);
        Verdict::Wait(self.next)
    }

    /// One is done, or gave up: what was measured counts only if it was `done`. Who waited and is admitted now.
    pub(crate) fn leave(&mut self, class: Class, done: Option<Duration>, now: Duration) -> Vec<u64> {
        let state = &mut self.classes[class as usize];
        if let Some(took) = done {
            state.took += (took.as_secs_f64() - state.took) * 0.1;
            if let Some(limit) = &mut state.limit {
                limit.done(took, state.in_flight, now);
            }
        }
        state.in_flight = state.in_flight.saturating_sub(1);
        let mut called = Vec::new();
        while state.has_place()
            && let Some(number) = state.queue.pop_front()
        {
            state.admit();
            called.push(number);
        }
        called
    }

    /// Whoever has this number does not wait any more; whether they still did.
    pub(crate) fn give_up(&mut self, class: Class, number: u64) -> bool {
        let state = &mut self.classes[class as usize];
        let place = state.queue.iter().position(|waiting| *waiting == number);
        if let Some(place) = place {
            state.queue.remove(place);
            state.refused += 1;
        }
        place.is_some()
    }

    /// How long whoever is refused should stay away.
    pub(crate) fn retry_after(&self, class: Class) -> Duration {
        self.classes[class as usize].retry_after()
    }

    /// How many are at work, of all classes.
    pub(crate) fn in_flight(&self) -> usize {
        self.classes.iter().map(|state| state.in_flight).sum()
    }

    /// How many may be, before lower classes are refused.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// How a class fares.
    pub(crate) fn standing(&self, class: Class) -> Standing {
        let state = &self.classes[class as usize];
        Standing {
            limit: state.limit.as_ref().map(Limit::most),
            in_flight: state.in_flight,
            waiting: state.queue.len(),
            admitted: state.admitted,
            refused: state.refused,
        }
    }
}

impl State {
    fn has_place(&self) -> bool {
        self.limit.as_ref().is_none_or(|limit| self.in_flight < limit.most())
    }

    fn within_share(&self, total: usize) -> bool {
        (self.in_flight as f64) < self.share * total as f64
    }

    fn admit(&mut self) {
        self.in_flight += 1;
        self.admitted += 1;
    }

    fn refuse(&mut self) -> Verdict {
        self.refused += 1;
        Verdict::Refused(self.retry_after())
    }

    /// By when those who wait would be done, a second at least and half a minute at most.
    fn retry_after(&self) -> Duration {
        let places = self.limit.as_ref().map_or(1, Limit::most).max(1) as f64;
        let seconds = self.took * (self.queue.len() as f64 + 1.0) / places;
        Duration::from_secs_f64(seconds.clamp(1.0, 30.0).ceil())
    }
}
