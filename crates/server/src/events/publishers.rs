//! What is told only while somebody listens, since knowing it costs: how the server does, and new samples of metrics.
//!
//! Topic `performance` has throughput, latency and use of resources each second: `performance` events are the messages of
//! `GET …/performance` with their `type`, `performance_metric` events have one figure each. Any other topic of the bus
//! `metrics` is a metric by name, whose new samples are told as `metric_updated`.

use std::{collections::BTreeMap, sync::Arc};

use barograph::session::EventKind;
use barograph_model::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

use super::{Bus, Events, PERFORMANCE};
use crate::{
    Engine,
    follower::Follower,
    http::{Caller, updates},
    performance::Performance,
    server::stopped,
};

/// So many metrics are followed; subscriptions to more are refused.
pub(crate) const FOLLOWED_MAX: usize = 64;

/// One figure of one part of the server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct PerformanceMetric<'a> {
    component: &'a str,
    node: &'a str,
    name: &'a str,
    value: f64,
    unit: &'a str,
    timestamp: &'a str,
}

/// Publishes after each tick of the collectors, until told to stop.
pub(crate) async fn run(engine: Arc<Engine>, mut stopping: watch::Receiver<bool>) {
    let mut ticks = engine.ticks.subscribe();
    let mut followers = BTreeMap::new();
    loop {
        tokio::select! {
            () = stopped(&mut stopping) => break,
            ticked = ticks.changed() => if ticked.is_err() { break },
        }
        if engine.events.wanted(Bus::Metrics, PERFORMANCE) {
            performance(&engine);
        }
        tokio::select! {
            () = stopped(&mut stopping) => break,
            () = follow(&engine, &mut followers) => {}
        }
    }
}

/// A message with what it is.
#[derive(Serialize)]
struct Typed<'a, T> {
    r#type: &'a str,
    #[serde(flatten)]
    message: &'a T,
}

fn performance(engine: &Engine) {
    let events = &engine.events;
    let Performance { throughput, latency, resources } = Performance::of(engine, engine.clock.now());
    let metric = |metric: PerformanceMetric<'_>| {
        events.publish(Bus::Metrics, PERFORMANCE, "performance_metric", &metric);
    };
    for message in &throughput {
        typed(events, "ThroughputMetric", message);
        let (component, node, timestamp) = (&message.operation, &message.node, &message.timestamp);
        let (name, value, unit) = ("throughput", message.rate_per_sec, "per_second");
        metric(PerformanceMetric { component, node, name, value, unit, timestamp });
    }
    for message in &latency {
        typed(events, "LatencyMetric", message);
        if message.percentile == "p95" {
            let (component, node, timestamp) = (&message.operation, &message.node, &message.timestamp);
            let (name, value, unit) = ("latency_p95", message.latency_ms, "ms");
            metric(PerformanceMetric { component, node, name, value, unit, timestamp });
        }
    }
    for message in &resources {
        typed(events, "ResourceUsage", message);
        let (component, node, timestamp) = (message.resource_type, &message.node, &message.timestamp);
        let (name, value, unit) = ("usage", message.usage_percent, "percent");
        metric(PerformanceMetric { component, node, name, value, unit, timestamp });
    }
}

fn typed(events: &Events, kind: &str, message: &impl Serialize) {
    events.publish(Bus::Metrics, PERFORMANCE, PERFORMANCE, &Typed { r#type: kind, message });
}

/// Tells what came of each metric that somebody listens to.
async fn follow(engine: &Arc<Engine>, followers: &mut BTreeMap<Arc<str>, Follower>) {
    let wanted = engine.events.followed();
    followers.retain(|metric, _| wanted.contains(metric));
    for metric in wanted {
        let now = engine.clock.now();
        if !followers.contains_key(&metric) {
            let since = Timestamp(now.0 - 1_000);
            match Follower::new(engine, Caller::own("live"), &metric, since) {
                Ok(follower) => followers.insert(metric.clone(), follower),
                // The catalog cannot be read for now: the next tick tries again.
                Err(_) => continue,
            };
        }
        let Some(follower) = followers.get_mut(&metric) else { continue };
        // What could not be looked at is found by the next look.
        let samples = follower.look(engine, now).await.unwrap_or_default();
        if !samples.is_empty() {
            let document = updates(&metric, &samples).into_bytes().into();
            engine.events.publish_written(
                EventKind::PIECE,
                Bus::Metrics,
                &metric,
                "metric_updated",
                document,
            );
        }
    }
}
