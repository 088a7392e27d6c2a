//! The documents that look closer: one client, performance, errors, resources.

use std::{collections::BTreeMap, sync::Arc};

use super::{Report, document, line, parts, write::Write as _};
use crate::{
    session::{
        Category, ClientStats, MethodSnapshot, Trends, UNMEASURED, analytics::compute_client_analytics,
    },
    telemetry::object::Object,
    transactions::TransactionFigures,
    window::Figures,
};

impl Report {
    /// `/health/clients/{id}`: one client, connected or gone not long ago, and how it went in the last week; `None` if
    /// there is no such.
    pub fn client(&self, id: &str, trend: Option<Trends>) -> Option<String> {
        let (snapshot, details) = self.sessions.client_snapshot(id)?;
        let settings = self.sessions.settings();
        let analytics = compute_client_analytics(&snapshot, &details, trend, &settings.weights);
        Some(document(|object| {
            line(object, &snapshot, &analytics);
            if let Some((at, cause)) = snapshot.gone {
                object.time("disconnected-at", at, self.spelling);
                object.text("cause", cause.as_str());
            }
            object.object("event-queue", |object| {
                object.count("capacity", snapshot.capacity as u64);
                object.text("policy", settings.queue_policy.as_str());
                object.count("bytes-waiting", snapshot.bytes_waiting);
            });
            object.texts("piece-subscriptions", details.pieces.iter().map(|piece| &**piece));
            object.object("raw", |object| {
                for (field, value) in ClientStats::FIELDS.iter().zip(snapshot.raw.values()) {
                    object.value(field, field.name, &value, self.spelling);
                }
            });
            object.object("derived", |object| {
                object.number("api-success-rate", analytics.api_success_rate);
                object.count_or_null("response-time-range-ms", analytics.response_time_range_ms);
                object.number("event-delivery-reliability", analytics.event_delivery_reliability);
                object.number("queue-health-score", analytics.queue_health_score);
                object.number("client-health-score", analytics.client_health_score);
                object.trends("performance-trend-7d", analytics.performance_trend_7d);
                object.count("connection-duration-ms", analytics.connection_duration_ms);
                object.number("api-call-frequency-hz", analytics.api_call_frequency_hz);
                object.number("event-consumption-rate-hz", analytics.event_consumption_rate_hz);
                object.count("active-subscription-count", analytics.active_subscription_count);
                object.object("api-method-usage-map", |object| {
                    analytics
                        .api_method_usage_map
                        .iter()
                        .for_each(|(name, calls)| object.count(name, *calls));
                });
                let accessed = analytics.session_pieces_accessed.iter().map(|piece| &**piece);
                object.texts("session-pieces-accessed", accessed);
            });
            if settings.aliases {
                object.object("aliases", |object| {
                    for (field, value) in ClientStats::FIELDS.iter().zip(snapshot.raw.values()) {
                        if let Some(name) = field.alias() {
                            object.value(field, &name, &value, self.spelling);
                        }
                    }
                    object.texts("resource-subscriptions", details.pieces.iter().map(|piece| &**piece));
                });
            }
            object.object("score-parts", |object| {
                parts(object, "client-health-score", &analytics.health_parts);
            });
            object.object("captured", |object| {
                object.count("api-call-duration-total-ms", snapshot.busy_micros / 1_000);
                object.count("bytes-queued", snapshot.bytes_queued);
                object.count("bytes-queued-current", snapshot.bytes_waiting);
                object.count("failed-writes", snapshot.failed_writes);
                object.count("other-events-received", snapshot.other_events_received);
            });
        }))
    }

    /// `/health/performance`: how long calls take and how many there are, the way of events, methods, and what runs in
    /// transactions. Percentiles and rates are of the last minutes, all else since the start.
    pub fn performance(&self, transactions: &[TransactionFigures]) -> String {
        let (raw, window) = (&self.snapshot.raw, &self.snapshot.window);
        let clients = self.sessions.client_snapshots(false);
        let lag = |of: fn(u64, u64) -> u64| {
            clients.iter().map(|client| client.raw.queue_consumer_lag_ms).reduce(of)
        };
        let windows = self.sessions.0.durations.by("method");
        document(|object| {
            object.object("api", |object| {
                low(object, "fastest-ms", raw.api_fastest_call_ms);
                object.count("slowest-ms", raw.api_slowest_call_ms);
                times(object, window);
                object.count("calls-total", raw.api_calls_total);
                object.number("success-rate", self.analytics.api_success_rate_overall);
                object.number("calls-per-hour", self.analytics.api_calls_per_hour);
                object.count("peak-calls-per-minute", self.analytics.api_peak_calls_per_minute);
                object.count("concurrent-current", raw.api_concurrent_calls_current);
                object.count("concurrent-peak", raw.api_concurrent_calls_peak);
            });
            object.object("events", |object| {
                object.object("pipeline", |object| {
                    object.count("published", self.snapshot.events_published);
                    object.count("queued", raw.events_sent_total);
                    object.count("attempted", raw.event_delivery_attempts);
                    object.count("delivered", raw.event_delivery_successes);
                    object.count("dropped", raw.events_dropped_total);
                });
                object.number("delivery-success-rate", self.analytics.event_delivery_success_rate);
                object.count_or_null("lag-max-ms", lag(u64::max));
                object.count("overflows", raw.event_queues_overflow_total);
                object.object("queues", |object| {
                    object.count("healthy", raw.event_queues_healthy_count);
                    object.count("warning", raw.event_queues_warning_count);
                    object.count("critical", raw.event_queues_critical_count);
                    object.number("fill", self.snapshot.queue_fill);
                });
                let largest = &self.snapshot.collaboration.largest;
                object.list("pieces", largest, |object, (name, subscribers, events)| {
                    object.text("piece", name);
                    object.count("subscribers", *subscribers);
                    object.count("events", *events);
                });
            });
            object.object("methods", |object| {
                for method in &self.snapshot.methods {
                    let nothing = Figures::default();
                    let window = windows.get(&*method.name).unwrap_or(&nothing);
                    object.object(&method.name, |object| write_method(object, method, window));
                }
            });
            object.object("transactions", |object| {
                for figures in transactions {
                    object.object(&figures.method, |object| transaction(object, figures));
                }
            });
            object.object("serialization", |object| {
                object.count("errors", raw.serialization_errors_total);
                object.object("messages", |object| {
                    for (message, window) in &self.sessions.0.serializations.by("message") {
                        object.object(message, |object| {
                            durations(object, window);
                            object.number("messages-per-second", window.per_second);
                        });
                    }
                });
            });
            object.object("streams", |object| {
                object.count("open", self.sessions.open_streams());
                object.count("failed-writes", raw.event_delivery_attempts - raw.event_delivery_successes);
            });
        })
    }

    /// `/health/errors`: the ten fields, shares, categories, statuses, and the last errors. With `by_method` and
    /// `by_category` also `groups` by one of them or both.
    pub fn errors(&self, by_method: bool, by_category: bool) -> String {
        let raw = &self.snapshot.raw;
        let share = |errors: u64| match raw.api_calls_total {
            0 => 0.0,
            calls => errors as f64 / calls as f64,
        };
        let categories = Category::ALL.map(|category| (category, raw.errors(category)));
        document(|object| {
            for (category, count) in categories {
                object.count(&format!("{}-errors-total", category.as_str()), count);
            }
            object.time("last-error-time", raw.last_error_time, self.spelling);
            object.count("error-free-duration-ms", raw.error_free_duration_ms);
            object.count("longest-error-free-period-ms", raw.longest_error_free_period_ms);
            object.object("rates", |object| {
                object.number("error-rate", share(raw.api_calls_failure));
                for (category, count) in categories {
                    object.number(&format!("{}-error-rate", category.as_str()), share(count));
                }
            });
            object.object("categories", |object| {
                categories.iter().for_each(|(category, count)| object.count(category.as_str(), *count));
            });
            self.grpc_errors(object, "grpc-status");
            object.object("http-status", |object| {
                for (status, count) in &self.snapshot.http_errors {
                    object.count(&status.to_string(), *count);
                }
            });
            if by_method || by_category {
                object.list(
                    "groups",
                    self.groups(by_method, by_category),
                    |object, ((category, method), count)| {
                        if by_category {
                            object.text("category", category.as_str());
                        }
                        if by_method {
                            object.text("method", &method);
                        }
                        object.count("count", count);
                    },
                );
            }
            object.list("recent", self.sessions.recent_errors(), |object, error| {
                object.time("time", error.at_ms, self.spelling);
                object.text("category", error.category.as_str());
                object.text_or_null("method", error.method.as_deref());
                object.text("client-id", &error.client);
                object.text("message", &error.message);
                object.text_or_null("trace-id", error.trace.as_deref());
            });
        })
    }

    /// Errors of calls by method, category, or both.
    fn groups(&self, by_method: bool, by_category: bool) -> BTreeMap<(Category, Arc<str>), u64> {
        let mut groups = BTreeMap::new();
        for method in &self.snapshot.methods {
            for (category, count) in Category::ALL.into_iter().zip(method.errors) {
                let category = if by_category { category } else { Category::ALL[0] };
                let name = if by_method { method.name.clone() } else { "".into() };
                if count > 0 {
                    *groups.entry((category, name)).or_default() += count;
                }
            }
        }
        groups
    }

    /// `/health/resources`: memory, threads, queues, network.
    pub fn resources(&self) -> String {
        let raw = &self.snapshot.raw;
        document(|object| {
            self.memory(object);
            self.threads(object);
            object.count("queue-memory-usage-total-bytes", self.analytics.queue_memory_usage_total_bytes);
            object.number("system-load-score", self.analytics.system_load_score);
            object.object("queues", |object| {
                object.count("healthy", raw.event_queues_healthy_count);
                object.count("warning", raw.event_queues_warning_count);
                object.count("critical", raw.event_queues_critical_count);
                object.count("capacity", self.sessions.settings().queue_capacity as u64);
                object.number("fill", self.snapshot.queue_fill);
            });
            object.object("network", |object| {
                object.count("bytes-transferred-total", raw.bytes_transferred_total);
                object.count("bytes-api-requests-total", raw.bytes_api_requests_total);
                object.count("bytes-api-responses-total", raw.bytes_api_responses_total);
                object.count("bytes-events-total", raw.bytes_events_total);
                let seconds = self.analytics.server_uptime_ms as f64 / 1e3;
                let rate = (seconds > 0.0).then(|| raw.bytes_transferred_total as f64 / seconds);
                object.number("bytes-per-second", rate);
            });
            object.object("clients", |object| {
                object.count("current", raw.clients_connected_current);
                object.count("peak", raw.clients_connected_peak);
            });
            object.object("score-parts", |object| {
                parts(object, "system-load-score", &self.analytics.load_parts);
            });
            self.limits(object);
        })
    }
}

fn write_method(object: &mut Object<'_>, method: &MethodSnapshot, window: &Figures) {
    let calls = method.calls();
    object.count("calls", calls);
    object.count("success", method.success);
    object.count("failure", method.failure);
    object.number("success-rate", (calls > 0).then(|| method.success as f64 / calls as f64));
    low(object, "fastest-ms", method.fastest_ms);
    object.count("slowest-ms", method.slowest_ms);
    times(object, window);
    object.count("bytes-requests", method.bytes_in);
    object.count("bytes-responses", method.bytes_out);
}

/// The window in milliseconds.
fn times(object: &mut Object<'_>, window: &Figures) {
    durations(object, window);
    object.number("calls-per-second", window.per_second);
}

fn durations(object: &mut Object<'_>, window: &Figures) {
    for (key, seconds) in [
        ("avg-ms", window.mean),
        ("p50-ms", window.p50),
        ("p90-ms", window.p90),
        ("p95-ms", window.p95),
        ("p99-ms", window.p99),
    ] {
        object.number(key, seconds.map(|seconds| seconds * 1e3));
    }
}

fn low(object: &mut Object<'_>, key: &str, value: u64) {
    object.count_or_null(key, Some(value).filter(|value| *value != UNMEASURED));
}

fn transaction(object: &mut Object<'_>, figures: &TransactionFigures) {
    object.count("started", figures.started);
    object.count("committed", figures.committed);
    object.count("retries", figures.retries);
    object.count("aborted", figures.aborted);
    object.number("avg-ms", figures.average_duration.map(|seconds| seconds * 1e3));
    object.number("retries-per-commit", figures.average_retries_per_commit);
}
