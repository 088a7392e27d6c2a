//! The lines that look the same wherever they come from: what happens to workers, stores and health.
//!
//! Whoever does the thing calls the function; what level it has is decided here. What happens with each message of a stream
//! is `debug`, what happens once is `info`, what failed is `error`.

/// A worker that delivers the events of one topic to one subscriber.
#[derive(Clone, Copy, Debug)]
pub struct Worker<'a> {
    /// What it delivers.
    pub topic: &'a str,
    /// Where that comes from: a bus.
    pub store: &'a str,
    /// Who runs it: a runtime.
    pub scheduler: &'a str,
    /// Its number.
    pub pid: u64,
    /// To whom.
    pub subscriber: &'a str,
}

/// A worker began to deliver.
pub fn worker_activated(worker: Worker<'_>) {
    let Worker { topic, store, scheduler, pid, subscriber } = worker;
    tracing::info!(
        category = "success",
        block = true,
        topic,
        store,
        scheduler,
        pid,
        subscriber,
        "★ EMITTER WORKER ACTIVATION ★"
    );
}

/// A worker ended, and why.
pub fn worker_terminated(reason: &str, worker: Worker<'_>) {
    let Worker { topic, store, pid, subscriber, .. } = worker;
    tracing::info!(
        category = "failure",
        block = true,
        reason,
        store,
        selector = topic,
        subscriber,
        pid,
        "💀 EMITTER WORKER TERMINATION 💀"
    );
}

/// Someone follows the health of a store from now on.
pub fn subscribed_to_health(store: &str) {
    tracing::info!(category = "success", "🩺 SUBSCRIBED to health events for store: {store}");
}

/// A store cannot do what it is for.
pub fn store_failed(store: &str, reason: &str) {
    tracing::error!(category = "failure", "❌ STORE FAILURE: {store} - {reason}");
}

/// An event was told to all who subscribed.
pub fn broadcast(store: &str) {
    tracing::debug!(category = "action", "📡 BROADCASTING: Event emitted to store: {store}");
}

/// An event was handed to one of them.
pub fn forwarded() {
    tracing::debug!(category = "action", "📤 FORWARDING: Message forwarded to subscriber");
}

/// How much was stored a second, on average.
pub fn metrics_collected(store: &str, operations_per_second: f64) {
    tracing::info!(category = "action", "📈 METRICS COLLECTED: {store} - {operations_per_second:.0} ops/sec");
}

/// The health of something changed, and why.
pub fn health_event(subscription: &str, status: &str, reason: &str) {
    let text = format_args!("📡 HEALTH EVENT: {subscription} -> {status} ({reason})");
    match status {
        "unhealthy" => tracing::error!(category = "health", "{text}"),
        "degraded" => tracing::warn!(category = "health", "{text}"),
        _ => tracing::info!(category = "health", "{text}"),
    }
}

/// How many of all that is looked after are well.
pub fn health_summary(store: &str, healthy: usize, total: usize) {
    tracing::info!(
        category = "health",
        "📈 HEALTH SUMMARY: Store {store} - {healthy}/{total} healthy subscriptions"
    );
}

/// What a change of health means for something.
pub fn health_impact(subscription: &str, status: &str) {
    let status = status.to_uppercase();
    tracing::info!(category = "health", "🏥 HEALTH IMPACT: {subscription} is {status}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::SystemClock,
        logging::{Lines, LogFormat},
    };
    use tracing_subscriber::layer::SubscriberExt;

    /// What lines are kept of what `work` says.
    fn said(work: impl FnOnce()) -> Vec<(String, String)> {
        let lines = Lines { format: LogFormat::Text, color: true, clock: SystemClock::new() };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), work);
        // Other tests may write at the same time, so what is looked for is of this one's words only.
        let kept = crate::logging::since(barograph_model::Timestamp::MIN);
        kept.iter().map(|line| (line.category.as_str().to_owned(), line.message.clone())).collect()
    }

    #[test]
    fn messages_have_their_texts() {
        let worker = Worker { topic: "t", store: "s", scheduler: "tokio", pid: 1, subscriber: "127.0.0.1:9" };
        let lines = said(|| {
            worker_activated(worker);
            subscribed_to_health("orders");
            worker_terminated("client_gone", worker);
            store_failed("orders", "Connection timeout");
            metrics_collected("orders", 1250.4);
            health_event("sub1", "healthy", "registration_success");
            health_summary("orders", 3, 4);
            health_impact("sub1", "degraded");
        });
        for (category, message) in [
            ("success", "★ EMITTER WORKER ACTIVATION ★"),
            ("success", "🩺 SUBSCRIBED to health events for store: orders"),
            ("failure", "💀 EMITTER WORKER TERMINATION 💀"),
            ("failure", "❌ STORE FAILURE: orders - Connection timeout"),
            ("action", "📈 METRICS COLLECTED: orders - 1250 ops/sec"),
            ("health", "📡 HEALTH EVENT: sub1 -> healthy (registration_success)"),
            ("health", "📈 HEALTH SUMMARY: Store orders - 3/4 healthy subscriptions"),
            ("health", "🏥 HEALTH IMPACT: sub1 is DEGRADED"),
        ] {
            assert!(lines.iter().any(|line| line.0 == category && line.1 == message), "{message}: {lines:?}");
        }
    }
}
