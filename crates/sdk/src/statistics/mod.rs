//! The three faces of the statistics service: who records, who asks, who frames.
//!
//! | Trait | |
//! |---|---|
//! | [`StatisticsProvider`] | records of each kind, one by one or many at once |
//! | [`StatisticsConsumer`] | queries, the catalog, alerts, subscriptions |
//! | [`StatisticsLifecycle`] | scopes, timers, what is kept of a metric |
//!
//! All can be used as trait objects. [`Local`] implements recording and framing in this process, over a
//! [`Registry`](crate::Registry); with the feature `remote`, `remote::Remote` implements all three over the API of
//! a server; an embedded server implements them over its engine.
//!
//! ```
//! use barograph::{Registry, exposition::Format};
//! use barograph::statistics::{Local, StatisticsLifecycle, StatisticsProvider};
//!
//! fn serve(statistics: &dyn StatisticsProvider) {
//!     statistics.record_counter("orders.placed", 1, &[("serviceType", "Processor")].into()).unwrap();
//!     statistics.record_timer("order.duration", 12.5, &Default::default()).unwrap();
//! }
//!
//! let local = Local::new(&Registry::new());
//! local.begin_scope("checkout", [("versionId", "1.2.0")].into());
//! serve(&local);
//! local.end_scope(vec![("orders".into(), 1.0.into())]);
//! let text = local.registry().expose(Format::Text004);
//! assert!(text.contains("orders_placed_total{serviceType=\"Processor\",versionId=\"1.2.0\"} 1\n"));
//! ```

mod consumer;
mod lifecycle;
mod local;
mod provider;
#[cfg(feature = "remote")]
pub mod remote;

pub use consumer::{
    AlertDefinition, ConsumerError, MetricDefinition, MetricQuery, NotificationHandler, QueryResult,
    SeriesResult, StatisticsConsumer, SubscriptionHandle, Update,
};
pub use lifecycle::{
    AggregationPolicy, AutomaticTimer, Importance, PolicyError, RetentionPolicy, StatisticsLifecycle,
};
pub use local::Local;
pub use provider::StatisticsProvider;
