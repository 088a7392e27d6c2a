//! The request that is being answered here: its trace, and how long each of its stages took.
//!
//! It goes with the task that answers, and with the work that this hands to threads that may block ([`blocking`]). Log lines
//! take the trace from it. Stages are measured only while somebody collects them; else a stage costs a look.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use barograph::span::{SpanContext, TraceId};
use http::HeaderMap;
use tokio::task::JoinHandle;

use crate::{clock::Clock, tenants::scope};

/// So many stages of one request are kept.
const STAGES_MAX: usize = 64;

tokio::task_local! {
    static CURRENT: Arc<Current>;
}

/// A request.
pub(crate) struct Current {
    trace: TraceId,
    stages: Option<Stages>,
}

struct Stages {
    clock: Arc<dyn Clock>,
    taken: Mutex<Vec<(&'static str, Duration)>>,
}

impl Current {
    /// A request with these headers: of the trace that they name, else of a new one. Its stages are measured if there is a
    /// clock for that.
    pub(crate) fn of(headers: &HeaderMap, clock: Option<Arc<dyn Clock>>) -> Arc<Self> {
        let parent = headers.get("traceparent").and_then(|value| value.to_str().ok());
        let named = parent.and_then(|parent| SpanContext::parse(parent, ""));
        let trace = named.map_or_else(TraceId::random, |context| context.trace);
        let stages = clock.map(|clock| Stages { clock, taken: Mutex::default() });
        Arc::new(Self { trace, stages })
    }

    /// Its trace.
    pub(crate) fn trace(&self) -> TraceId {
        self.trace
    }

    /// Its stages, in the order in which they ended.
    pub(crate) fn stages(&self) -> Vec<(&'static str, Duration)> {
        let taken =
            self.stages.as_ref().map(|stages| stages.taken.lock().unwrap_or_else(PoisonError::into_inner));
        taken.map(|taken| taken.clone()).unwrap_or_default()
    }

    /// `future` as part of the request.
    pub(crate) async fn answer<F: Future>(self: Arc<Self>, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }
}

impl Stages {
    fn note(&self, stage: &'static str, took: Duration) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.len() < STAGES_MAX {
            taken.push((stage, took));
        }
    }
}

/// The trace of the request that is being answered here.
pub(crate) fn trace() -> Option<TraceId> {
    CURRENT.try_with(|current| current.trace).ok()
}

/// The request that is being answered here, if its stages are measured.
fn measured() -> Option<Arc<Current>> {
    CURRENT.try_with(|current| current.stages.is_some().then(|| current.clone())).ok().flatten()
}

/// Does `work`, which is a stage of a request.
pub(crate) fn stage<T>(stage: &'static str, work: impl FnOnce() -> T) -> T {
    let current = measured();
    let Some(stages) = current.as_ref().and_then(|current| current.stages.as_ref()) else { return work() };
    let began = stages.clock.monotonic();
    let done = work();
    stages.note(stage, stages.clock.monotonic().saturating_sub(began));
    done
}

/// The same of a future.
pub(crate) async fn staged<F: Future>(stage: &'static str, future: F) -> F::Output {
    let current = measured();
    let Some(stages) = current.as_ref().and_then(|current| current.stages.as_ref()) else {
        return future.await;
    };
    let began = stages.clock.monotonic();
    let done = future.await;
    stages.note(stage, stages.clock.monotonic().saturating_sub(began));
    done
}

/// Work of requests that waits for a thread that may block, and such threads at work.
static WAITING: AtomicU64 = AtomicU64::new(0);
static AT_WORK: AtomicU64 = AtomicU64::new(0);

/// One more of a count, until it is dropped.
struct Counted(&'static AtomicU64);

impl Counted {
    fn of(count: &'static AtomicU64) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// How many threads are at work for requests that may block, and how much work waits for one.
pub(crate) fn blocked() -> (u64, u64) {
    (AT_WORK.load(Relaxed), WAITING.load(Relaxed))
}

/// Does `work` on a thread that may block, as part of the same request.
pub(crate) fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let waiting = Counted::of(&WAITING);
    let work = move || {
        drop(waiting);
        let _at_work = Counted::of(&AT_WORK);
        work()
    };
    let working = scope::working();
    let work = move || scope::sync_within(working, work);
    match CURRENT.try_with(Arc::clone) {
        Ok(current) => tokio::task::spawn_blocking(move || CURRENT.sync_scope(current, work)),
        Err(_) => tokio::task::spawn_blocking(work),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[tokio::test]
    async fn a_request_goes_where_its_work_goes() {
        let headers = [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")];
        let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let headers: HeaderMap = headers.into_iter().collect();
        let current = Current::of(&headers, Some(Arc::new(SystemClock::new())));
        let seen = current.clone().answer(async {
            staged("turn", async {}).await;
            let seen = blocking(|| (stage("work", trace), blocked().0)).await.unwrap();
            assert!(seen.1 > 0, "it is at work itself");
            seen.0
        });
        assert_eq!(seen.await.map(|trace| trace.to_string()).unwrap(), "0af7651916cd43dd8448eb211c80319c");
        let stages = current.stages().into_iter().map(|(stage, _)| stage);
        assert_eq!(stages.collect::<Vec<_>>(), ["turn", "work"]);
        assert_eq!(trace(), None);

        let unmeasured = Current::of(&HeaderMap::new(), None);
        unmeasured.clone().answer(async { staged("turn", async {}).await }).await;
        assert!(unmeasured.stages().is_empty());
    }
}
