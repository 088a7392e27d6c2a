//! Some of the requests the server answered, as they were: as many a second as the load of the machine leaves room for.
//!
//! Counters and histograms know all requests; what is kept here is for looking at single ones, and for whoever wants raw
//! durations. Each says how many it stands for, so the sum of weights is the number of requests, whatever the rate was. At
//! most `METRICS_MAX_SAMPLES` are kept, the newest.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use barograph::sampling::{AdaptiveRateSampler, Budget, Load, Random, SamplingInfo};
use barograph_model::Timestamp;
use serde_json::{Value, json};

/// So many a second are kept, on average.
const PER_SECOND: f64 = 20.0;
/// However busy the machine is, one in a hundred is kept.
const RATE_MIN: f64 = 0.01;
/// The numbers that decide are drawn from this.
const SEED: u64 = 0x5a_3b1e;

/// The requests that are kept, and what decides which.
#[derive(Debug)]
pub(crate) struct SampledRequests {
    budget: Budget,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    sampler: AdaptiveRateSampler,
    random: Random,
    load: Load,
    kept: VecDeque<Sampled>,
    kept_max: usize,
}

/// A request that was kept.
#[derive(Clone, Debug)]
struct Sampled {
    at: Timestamp,
    method: &'static str,
    route: String,
    status: u16,
    took: Duration,
    sampling: SamplingInfo,
}

impl SampledRequests {
    /// None yet, and at most so many later.
    pub(crate) fn new(kept_max: usize) -> Self {
        let budget = Budget { per_second: PER_SECOND, rate_min: RATE_MIN, ..Budget::default() };
        let state = State {
            sampler: AdaptiveRateSampler::new(budget),
            random: Random::new(SEED),
            load: Load::default(),
            kept: VecDeque::new(),
            kept_max,
        };
        Self { budget, state: Mutex::new(state) }
    }

    /// Tells how busy the machine is, and how many may be kept from now on.
    pub(crate) fn tick(&self, now: Timestamp, load: Load, kept_max: usize) {
        let mut state = self.lock();
        (state.load, state.kept_max) = (load, kept_max);
        state.sampler.set_load(load);
        state.sampler.tick(now);
        let over = state.kept.len().saturating_sub(kept_max);
        state.kept.drain(..over);
    }

    /// Offers a request that is over. The lock is held for some hundred nanoseconds.
    pub(crate) fn offer(
        &self,
        now: Timestamp,
        method: &'static str,
        route: &str,
        status: u16,
        took: Duration,
    ) {
        let state = &mut *self.lock();
        let Some(sampling) = state.sampler.offer(now, &mut state.random) else { return };
        if state.kept.len() >= state.kept_max {
            state.kept.pop_front();
        }
        if state.kept_max > 0 {
            let route = route.to_owned();
            state.kept.push_back(Sampled { at: now, method, route, status, took, sampling });
        }
    }

    /// The rate now and before, and the newest of what is kept.
    pub(crate) fn document(&self, newest: usize) -> Value {
        let state = self.lock();
        let current = state.sampler.current();
        let intervals = state.sampler.history().chain(current.as_ref()).map(|interval| {
            json!({
                "start": interval.start.0,
                "rate": interval.rate,
                "expectedPerSecond": interval.expected_per_second,
                "loadFactor": interval.load_factor,
                "seen": interval.seen,
                "kept": interval.kept,
                "refused": interval.refused,
            })
        });
        let weights = state.kept.iter().map(|kept| kept.sampling.weight);
        let samples = state.kept.iter().rev().take(newest).map(|kept| {
            let SamplingInfo { strategy, rate, weight } = kept.sampling;
            json!({
                "timestamp": kept.at.0,
                "method": kept.method,
                "route": kept.route,
                "status": kept.status,
                "duration_ms": kept.took.as_secs_f64() * 1e3,
                "sampling": {"strategy": strategy.as_str(), "rate": rate, "weight": weight},
            })
        });
        json!({
            "strategy": barograph::sampling::Strategy::AdaptiveRate.as_str(),
            "rate": current.map_or(self.budget.rate_max, |interval| interval.rate),
            "load": {"cpu": state.load.cpu, "queue": state.load.queue},
            "budget": {
                "perSecond": self.budget.per_second,
                "rateMin": self.budget.rate_min,
                "rateMax": self.budget.rate_max,
                "loadHigh": self.budget.load_high,
                "recovery": self.budget.recovery,
                "intervalSeconds": self.budget.interval.as_secs_f64(),
            },
            "history": intervals.collect::<Vec<_>>(),
            "samples": {
                "kept": state.kept.len(),
                "keptMax": state.kept_max,
                "standFor": weights.sum::<f64>(),
                "newest": samples.collect::<Vec<_>>(),
            },
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(requests: &SampledRequests, at: i64) {
        requests.offer(Timestamp(at), "GET", "/a", 200, Duration::from_millis(3));
    }

    #[test]
    fn a_million_requests_leave_ten_thousand_at_most() {
        let requests = SampledRequests::new(10_000);
        (0..1_000_000).for_each(|at| offer(&requests, at));
        let document = requests.document(2);
        assert_eq!(document["samples"]["kept"], 10_000);
        assert_eq!(document["samples"]["newest"].as_array().unwrap().len(), 2);
        requests.tick(Timestamp(1_000_000), Load::default(), 5);
        assert_eq!(requests.document(10)["samples"]["kept"], 5);
    }

    #[test]
    fn what_is_kept_stands_for_all() {
        let requests = SampledRequests::new(10_000);
        (0..100_000).for_each(|at| offer(&requests, at));
        let all = requests.document(0)["samples"]["standFor"].as_f64().unwrap();
        assert!((all / 1e5 - 1.0).abs() < 0.1, "{all}");
    }

    #[test]
    fn load_lowers_the_rate() {
        let requests = SampledRequests::new(10_000);
        let rate_under = |cpu: f64, seconds: std::ops::Range<i64>| {
            for second in seconds {
                requests.tick(Timestamp(second * 1_000), Load { cpu, queue: 0.0 }, 10_000);
                (0..10).for_each(|i| offer(&requests, second * 1_000 + i));
            }
            requests.document(0)["rate"].as_f64().unwrap()
        };
        let (calm, loaded) = (rate_under(0.2, 0..10), rate_under(0.95, 10..20));
        assert!(loaded < calm / 2.0, "{calm} {loaded}");
        let history = requests.document(0)["history"].as_array().unwrap().len();
        assert!(history >= 19, "{history}");
        assert!(rate_under(0.2, 20..40) > 0.9 * calm);
    }
}
