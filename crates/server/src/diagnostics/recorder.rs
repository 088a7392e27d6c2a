//! Requests recorded stage by stage, while somebody asked for it.
//!
//! As long as nobody does, a request costs one look at a flag. A recording keeps the slowest requests and the sums of all.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use super::documents::{StageTimes, TracedRequest};

/// So many recordings may go on at once.
pub(crate) const RECORDINGS_MAX: usize = 4;
/// So many requests are listed, the slowest.
const REQUESTS_MAX: usize = 50;

/// A part of the server that can be looked at, and the stages of requests that it does.
#[derive(Debug)]
pub(crate) struct Component {
    pub(crate) name: &'static str,
    pub(crate) stages: &'static [&'static str],
}

/// The components there are.
pub(crate) const COMPONENTS: [Component; 4] = [
    Component { name: "http", stages: &["request"] },
    Component { name: "query", stages: &["turn", "evaluate"] },
    Component { name: "ingest", stages: &["append"] },
    Component { name: "persistence_worker", stages: &["durable"] },
];

/// All recordings that go on.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    going_on: AtomicUsize,
    recordings: Mutex<Vec<Arc<Mutex<Recorded>>>>,
}

/// What a recording has of each component, in their order.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    components: [Seen; COMPONENTS.len()],
}

/// What was seen of one component.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    stages: BTreeMap<&'static str, (u64, Duration, Duration)>,
    slowest: Vec<(Duration, TracedRequest)>,
    pub(crate) requests: u64,
}

/// One recording; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Recording<'r> {
    recorder: &'r Recorder,
    recorded: Arc<Mutex<Recorded>>,
}

impl Recorder {
    /// Begins one; `None` if there are as many as there may be.
    pub(crate) fn begin(&self) -> Option<Recording<'_>> {
        let mut recordings = lock(&self.recordings);
        if recordings.len() == RECORDINGS_MAX {
            return None;
        }
        let recorded = Arc::<Mutex<Recorded>>::default();
        recordings.push(recorded.clone());
        self.going_on.store(recordings.len(), Relaxed);
        Some(Recording { recorder: self, recorded })
    }

    /// Whether stages are worth measuring.
    pub(crate) fn records(&self) -> bool {
        self.going_on.load(Relaxed) > 0
    }

    /// A request is over; its stages, and that it was one.
    pub(crate) fn note(&self, took: Duration, stages: &[(&'static str, Duration)], request: &TracedRequest) {
        for recorded in &*lock(&self.recordings) {
            let recorded = &mut *lock(recorded);
            for (component, seen) in COMPONENTS.iter().zip(&mut recorded.components) {
                seen.note(component, took, stages, request);
            }
        }
    }
}

impl Seen {
    fn note(
        &mut self,
        component: &Component,
        took: Duration,
        stages: &[(&'static str, Duration)],
        request: &TracedRequest,
    ) {
        let passed = stages.iter().filter(|(stage, _)| component.stages.contains(stage));
        let mut here = false;
        for (stage, took) in passed {
            here = true;
            let (calls, total, max) = self.stages.entry(stage).or_default();
            (*calls, *total, *max) = (*calls + 1, *total + *took, (*max).max(*took));
        }
        if !here {
            return;
        }
        self.requests += 1;
        let place = self.slowest.partition_point(|other| other.0 >= took);
        if place < REQUESTS_MAX {
            self.slowest.insert(place, (took, request.clone()));
            self.slowest.truncate(REQUESTS_MAX);
        }
    }

    /// How often its stages were entered.
    pub(crate) fn calls(&self) -> u64 {
        self.stages.values().map(|(calls, ..)| calls).sum()
    }

    /// Its stages, those that took longest first.
    pub(crate) fn stages(&self) -> Vec<StageTimes> {
        let ms = |took: Duration| took.as_secs_f64() * 1e3;
        let stage = |(stage, (calls, total, max)): (&&'static str, &(u64, Duration, Duration))| StageTimes {
            stage,
            calls: *calls,
            total_ms: ms(*total),
            max_ms: ms(*max),
        };
        let mut stages: Vec<_> = self.stages.iter().map(stage).collect();
        stages.sort_by(|a, b| b.total_ms.total_cmp(&a.total_ms));
        stages
    }

    /// The slowest requests.
    pub(crate) fn slowest(&self) -> Vec<TracedRequest> {
        self.slowest.iter().map(|(_, request)| request.clone()).collect()
    }
}

impl Recording<'_> {
    /// Looks at what was seen of each component.
    pub(crate) fn each<T>(&self, look: impl FnMut((&Component, &Seen)) -> T) -> Vec<T> {
        COMPONENTS.iter().zip(&lock(&self.recorded).components).map(look).collect()
    }
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        let mut recordings = lock(&self.recorder.recordings);
        recordings.retain(|other| !Arc::ptr_eq(other, &self.recorded));
        self.recorder.going_on.store(recordings.len(), Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_has_the_slowest_and_the_sums_of_all() {
        let recorder = Recorder::default();
        assert!(!recorder.records());
        let request = |took_ms| TracedRequest {
            timestamp: String::new(),
            method: "GET".into(),
            route: "/x".into(),
            status: 200,
            took_ms,
            trace_id: String::new(),
            stages: Vec::new(),
        };
        let recording = recorder.begin().unwrap();
        for ms in 0..100 {
            let took = Duration::from_millis(ms);
            recorder.note(took, &[("turn", took / 2), ("request", took)], &request(ms as f64));
        }
        let seen = recording.each(|(component, seen)| {
            let slowest = seen.slowest();
            (component.name, seen.calls(), slowest.len(), slowest.first().map(|first| first.took_ms))
        });
        assert_eq!(seen[0], ("http", 100, 50, Some(99.0)));
        assert_eq!(seen[1], ("query", 100, 50, Some(99.0)));
        assert_eq!(seen[2], ("ingest", 0, 0, None));
        let others: Vec<_> = (1..RECORDINGS_MAX).map(|_| recorder.begin().unwrap()).collect();
        assert!(recorder.begin().is_none());
        drop((recording, others));
        assert!(!recorder.records() && recorder.begin().is_some());
    }
}
