//! What is kept, as it stood at one moment: 53 fields of the server, 43 of each client.
//!
//! The two lists are the whole schema. Names, kinds and units stand here once; documents, exposition and tests go by
//! them. What follows from these fields is computed when somebody asks ([`analytics`](super::analytics)).

use std::sync::Arc;

use super::{
    failure::Category,
    field::{Field, FieldKind, Value, canonical},
};

macro_rules! kept {
    (Text) => { Option<Arc<str>> };
    ($kind:ident) => { u64 };
}

macro_rules! fields {
    ($(#[$about:meta])* $name:ident, $count:literal {
        $($field:ident: $key:literal, $kind:ident, $unit:literal, $help:literal;)*
    }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $name {
            $(#[doc = $help] pub $field: kept!($kind),)*
        }

        impl $name {
            /// The fields, in their order.
            pub const FIELDS: [Field; $count] = [
                $(Field { name: $key, kind: FieldKind::$kind, unit: $unit, help: $help },)*
            ];

            /// The values, in the order of the fields.
            pub fn values(&self) -> [Value; $count] {
                [$(self.$field.clone().into(),)*]
            }

            /// The value of a field by its name or alias.
            pub fn value(&self, name: &str) -> Value {
                match &*canonical(name) {
                    $($key => self.$field.clone().into(),)*
                    _ => Value::Unknown,
                }
            }
        }
    };
}

fields! {
    /// What is kept of a server since it started. Durations are whole milliseconds, times milliseconds since the
    /// epoch.
    #[doc(alias = "server-statistics")]
    ServerStats, 53 {
        clients_connected_total: "clients-connected-total", Counter, "count", "Total connections accepted since server start, live and finished.";
        clients_connected_current: "clients-connected-current", Gauge, "count", "Connections registered now.";
        clients_connected_peak: "clients-connected-peak", HighWater, "count", "Largest value clients-connected-current has had since server start.";
        clients_disconnected_total: "clients-disconnected-total", Counter, "count", "Total disconnections.";
        clients_disconnected_graceful: "clients-disconnected-graceful", Counter, "count", "Clean disconnections: client half-close or explicit disconnect, or orderly server drain.";
        clients_disconnected_error: "clients-disconnected-error", Counter, "count", "Error-based disconnections: transport reset, non-OK status other than a timeout, handler panic.";
        clients_disconnected_timeout: "clients-disconnected-timeout", Counter, "count", "Timeout-based disconnections: keep-alive, idle or deadline expiry.";
        connection_duration_total_ms: "connection-duration-total-ms", Counter, "ms", "Aggregate connection time: sum of the durations of finished connections.";
        shortest_session_ms: "shortest-session-ms", LowWater, "ms", "Shortest finished session (fastest client disconnect).";
        longest_session_ms: "longest-session-ms", HighWater, "ms", "Longest finished session.";
        api_calls_total: "api-calls-total", Counter, "count", "Total API calls processed.";
        api_calls_success: "api-calls-success", Counter, "count", "Successful API calls (gRPC OK, HTTP status below 400).";
        api_calls_failure: "api-calls-failure", Counter, "count", "Failed API calls (every other completion, panics and cancellations included).";
        api_concurrent_calls_current: "api-concurrent-calls-current", Gauge, "count", "API calls being processed now.";
        api_concurrent_calls_peak: "api-concurrent-calls-peak", HighWater, "count", "Most API calls processed simultaneously.";
        api_slowest_call_ms: "api-slowest-call-ms", HighWater, "ms", "Worst API response time ever.";
        api_fastest_call_ms: "api-fastest-call-ms", LowWater, "ms", "Best API response time ever.";
        server_events_sent: "server-events-sent", Counter, "count", "Server-wide events sent, one per recipient.";
        piece_events_sent: "piece-events-sent", Counter, "count", "Piece (resource) events sent, one per recipient.";
        connect_events_sent: "connect-events-sent", Counter, "count", "Client-connect notifications sent, one per recipient.";
        disconnect_events_sent: "disconnect-events-sent", Counter, "count", "Client-disconnect notifications sent, one per recipient.";
        events_sent_total: "events-sent-total", Counter, "count", "All event types combined.";
        events_dropped_total: "events-dropped-total", Counter, "count", "Events dropped over all clients.";
        event_queues_overflow_total: "event-queues-overflow-total", Counter, "count", "Queue overflow incidents over all clients.";
        event_queues_healthy_count: "event-queues-healthy-count", Gauge, "queues", "Queues with no overflow (class healthy).";
        event_queues_warning_count: "event-queues-warning-count", Gauge, "queues", "Queues near capacity (class warning).";
        event_queues_critical_count: "event-queues-critical-count", Gauge, "queues", "Queues experiencing overflow (class critical).";
        event_delivery_attempts: "event-delivery-attempts", Counter, "count", "Total attempts to write a queued event to a client's stream.";
        event_delivery_successes: "event-delivery-successes", Counter, "count", "Event deliveries whose stream write succeeded.";
        bytes_transferred_total: "bytes-transferred-total", Counter, "bytes", "Total network traffic of all clients.";
        bytes_api_requests_total: "bytes-api-requests-total", Counter, "bytes", "Bytes of API requests received (encoded size).";
        bytes_api_responses_total: "bytes-api-responses-total", Counter, "bytes", "Bytes of API responses sent (encoded size).";
        bytes_events_total: "bytes-events-total", Counter, "bytes", "Bytes in event messages delivered (encoded size, one per recipient).";
        largest_api_request_bytes: "largest-api-request-bytes", HighWater, "bytes", "Biggest API request ever.";
        largest_api_response_bytes: "largest-api-response-bytes", HighWater, "bytes", "Biggest API response ever.";
        largest_event_message_bytes: "largest-event-message-bytes", HighWater, "bytes", "Biggest event message ever.";
        conversion_errors_total: "conversion-errors-total", Counter, "count", "Failures converting between a decoded protobuf message and a domain value.";
        serialization_errors_total: "serialization-errors-total", Counter, "count", "Failures encoding or decoding data (bytes ↔ message).";
        network_errors_total: "network-errors-total", Counter, "count", "Network-level errors (reset, broken pipe, HTTP/2 error, UNAVAILABLE from transport).";
        internal_errors_total: "internal-errors-total", Counter, "count", "Unexpected server errors (panic, INTERNAL, UNKNOWN).";
        timeout_errors_total: "timeout-errors-total", Counter, "count", "Request timeout failures (DEADLINE_EXCEEDED, HTTP 408 and 504).";
        client_errors_total: "client-errors-total", Counter, "count", "Client-side error responses (HTTP 4xx and the gRPC codes of that class).";
        server_errors_total: "server-errors-total", Counter, "count", "Server-side error responses (HTTP 5xx and the gRPC codes of that class).";
        last_error_time: "last-error-time", Timestamp, "epoch ms", "Time of the most recent error of any category.";
        error_free_duration_ms: "error-free-duration-ms", Gauge, "ms", "Time since the last error.";
        longest_error_free_period_ms: "longest-error-free-period-ms", HighWater, "ms", "Best error-free streak, the running one included.";
        piece_subscriptions_total: "piece-subscriptions-total", Counter, "count", "Total piece (resource) subscriptions made since server start.";
        piece_subscriptions_active: "piece-subscriptions-active", Gauge, "count", "Current subscriptions: (client, piece) pairs.";
        piece_subscriptions_peak: "piece-subscriptions-peak", HighWater, "count", "Most subscriptions active at once.";
        most_subscribed_piece_count: "most-subscribed-piece-count", HighWater, "clients", "Most clients ever subscribed to one piece at once.";
        subscription_changes_total: "subscription-changes-total", Counter, "count", "Total subscription add and remove operations, removals on disconnect included.";
        server_start_time: "server-start-time", Timestamp, "epoch ms", "When the server started.";
        server_restart_count: "server-restart-count", Counter, "count", "Number of restarts: 0 on the first start over a data directory, +1 on each later start.";
    }
}

fields! {
    /// What is kept of one client, as long as it is connected, and a while longer.
    #[doc(alias = "metadata")]
    ClientStats, 43 {
        connected_at: "connected-at", Timestamp, "epoch ms", "Connection establishment time.";
        last_activity_time: "last-activity-time", Timestamp, "epoch ms", "Time of the most recent API call or event.";
        api_calls_total: "api-calls-total", Counter, "count", "Total API calls made by the client.";
        api_calls_success: "api-calls-success", Counter, "count", "Successful API calls.";
        api_calls_failure: "api-calls-failure", Counter, "count", "Failed API calls.";
        last_api_call: "last-api-call", Timestamp, "epoch ms", "Time of the most recent API call.";
        last_api_method: "last-api-method", Text, "", "Full name of the most recent method called.";
        slowest_api_call_ms: "slowest-api-call-ms", HighWater, "ms", "Worst response time.";
        fastest_api_call_ms: "fastest-api-call-ms", LowWater, "ms", "Best response time.";
        concurrent_api_calls_current: "concurrent-api-calls-current", Gauge, "count", "Calls of this client being processed now.";
        concurrent_api_calls_peak: "concurrent-api-calls-peak", HighWater, "count", "Most simultaneous calls of this client.";
        events_sent: "events-sent", Counter, "count", "Total events sent to the client, i.e. offered to its queue.";
        events_dropped: "events-dropped", Counter, "count", "Events lost because its queue overflowed.";
        server_events_received: "server-events-received", Counter, "count", "Server-wide events received (delivered on the stream).";
        piece_events_received: "piece-events-received", Counter, "count", "Piece-specific events received.";
        connect_events_received: "connect-events-received", Counter, "count", "Client-connect notifications received.";
        disconnect_events_received: "disconnect-events-received", Counter, "count", "Client-disconnect notifications received.";
        last_event_time: "last-event-time", Timestamp, "epoch ms", "Time of the most recent event delivery.";
        last_event_type: "last-event-type", Text, "", "Type of the most recent event (server-event, piece-event, connect, disconnect, or a user-defined type).";
        queue_size_current: "queue-size-current", Gauge, "events", "Current queue depth.";
        queue_size_peak: "queue-size-peak", HighWater, "events", "Maximum queue depth reached.";
        queue_overflow_count: "queue-overflow-count", Counter, "count", "Number of overflow incidents.";
        queue_overflow_total_events_dropped: "queue-overflow-total-events-dropped", Counter, "count", "Events lost across all overflows.";
        queue_offer_attempts: "queue-offer-attempts", Counter, "count", "Total queue insertions attempted, one per event.";
        queue_offer_successes: "queue-offer-successes", Counter, "count", "Insertions accepted at once, without an overflow.";
        queue_consumer_lag_ms: "queue-consumer-lag-ms", Gauge, "ms", "Delay between queueing and delivery of the most recently delivered event.";
        bytes_sent: "bytes-sent", Counter, "bytes", "Total encoded bytes to the client.";
        bytes_received: "bytes-received", Counter, "bytes", "Total encoded bytes from the client.";
        bytes_events: "bytes-events", Counter, "bytes", "Bytes consumed by event messages delivered.";
        bytes_api_requests: "bytes-api-requests", Counter, "bytes", "Bytes from API calls.";
        bytes_api_responses: "bytes-api-responses", Counter, "bytes", "Bytes in API responses.";
        largest_request_bytes: "largest-request-bytes", HighWater, "bytes", "Biggest API request.";
        largest_response_bytes: "largest-response-bytes", HighWater, "bytes", "Biggest API response.";
        largest_event_bytes: "largest-event-bytes", HighWater, "bytes", "Biggest event message.";
        network_errors: "network-errors", Counter, "count", "Network-level failures.";
        serialization_errors: "serialization-errors", Counter, "count", "Encoding or decoding failures (bytes ↔ protobuf message).";
        conversion_errors: "conversion-errors", Counter, "count", "Domain value ↔ protobuf message conversion failures.";
        timeout_errors: "timeout-errors", Counter, "count", "Request timeout failures.";
        last_error_time: "last-error-time", Timestamp, "epoch ms", "Time of the client's most recent error.";
        last_error_message: "last-error-message", Text, "", "Description of the most recent error.";
        subscription_add_count: "subscription-add-count", Counter, "count", "Total pieces subscribed to.";
        subscription_remove_count: "subscription-remove-count", Counter, "count", "Total pieces unsubscribed from.";
        peak_subscription_count: "peak-subscription-count", HighWater, "count", "Maximum concurrent subscriptions.";
    }
}

impl ServerStats {
    /// The errors of a category.
    pub const fn errors(&self, category: Category) -> u64 {
        match category {
            Category::Conversion => self.conversion_errors_total,
            Category::Serialization => self.serialization_errors_total,
            Category::Network => self.network_errors_total,
            Category::Internal => self.internal_errors_total,
            Category::Timeout => self.timeout_errors_total,
            Category::Client => self.client_errors_total,
            Category::Server => self.server_errors_total,
        }
    }
}
