//! WebSocket connections and what flows through them, from [`Sockets`].

use barograph_model::Timestamp;

use super::{CollectError, Definition, MetricCollector, MetricCollectorConfig, Writer};
use crate::{Sockets, Unit};

static CONNECTIONS_TOTAL: Definition =
    Definition::counter("websocket.connections.total", Unit::None, "WebSocket connections opened.").plain();
static CONNECTIONS_ACTIVE: Definition =
    Definition::gauge("websocket.connections.active", Unit::None, "WebSocket connections open.").plain();
static MESSAGES_SENT: Definition =
    Definition::counter("websocket.messages.sent", Unit::None, "WebSocket messages sent.").plain();
static MESSAGES_RECEIVED: Definition =
    Definition::counter("websocket.messages.received", Unit::None, "WebSocket messages received.").plain();
static BYTES_SENT: Definition =
    Definition::counter("websocket.bytes.sent", Unit::Bytes, "Payload of WebSocket messages sent.").plain();
static BYTES_RECEIVED: Definition =
    Definition::counter("websocket.bytes.received", Unit::Bytes, "Payload of WebSocket messages received.")
        .plain();
static AVERAGE_SIZE: Definition = Definition::gauge(
    "websocket.message.avg_size",
    Unit::Bytes,
    "Bytes of a message on average, both ways, since the start.",
)
.plain();

/// All metrics of the collector.
static ALL: [&Definition; 7] = [
    &CONNECTIONS_TOTAL,
    &CONNECTIONS_ACTIVE,
    &MESSAGES_SENT,
    &MESSAGES_RECEIVED,
    &BYTES_SENT,
    &BYTES_RECEIVED,
    &AVERAGE_SIZE,
];

/// Collects what [`Sockets`] count, every second unless told otherwise. Clones are the same collector.
#[derive(Clone, Debug)]
pub struct WebSocketMetricsCollector(Sockets);

impl WebSocketMetricsCollector {
    /// A collector of some sockets.
    pub fn new(sockets: &Sockets) -> Self {
        Self(sockets.clone())
    }

    /// What the collector's metrics are.
    pub fn definitions() -> &'static [&'static Definition] {
        &ALL
    }

    /// Counts a connection as open. Where there is a place for a guard, [`Sockets::opened`] cannot be forgotten.
    #[doc(alias = "recordConnection")]
    pub fn record_connection(&self) {
        self.0.connected();
    }

    /// Takes an open connection away, if there is any.
    #[doc(alias = "recordDisconnection")]
    pub fn record_disconnection(&self) {
        self.0.disconnected();
    }

    /// Counts a message sent.
    #[doc(alias = "recordMessageSent")]
    pub fn record_message_sent(&self, bytes: u64) {
        self.0.message_sent(bytes);
    }

    /// Counts a message received.
    #[doc(alias = "recordMessageReceived")]
    pub fn record_message_received(&self, bytes: u64) {
        self.0.message_received(bytes);
    }
}

impl MetricCollector for WebSocketMetricsCollector {
    fn config(&self) -> MetricCollectorConfig {
        MetricCollectorConfig::new("websocket")
    }

    fn perform_collection(&mut self, _now: Timestamp, out: &mut Writer) -> Result<(), CollectError> {
        let figures = self.0.figures();
        out.write(&CONNECTIONS_TOTAL, figures.opened as f64);
        out.write(&CONNECTIONS_ACTIVE, figures.open as f64);
        out.write(&MESSAGES_SENT, figures.messages_sent as f64);
        out.write(&MESSAGES_RECEIVED, figures.messages_received as f64);
        out.write(&BYTES_SENT, figures.bytes_sent as f64);
        out.write(&BYTES_RECEIVED, figures.bytes_received as f64);
        out.write(&AVERAGE_SIZE, figures.average_bytes().unwrap_or(0.0));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Registry;

    #[test]
    fn tells_what_was_recorded() {
        let sockets = Sockets::register(&Registry::new()).unwrap();
        let mut collector = WebSocketMetricsCollector::new(&sockets);
        let mut out = Writer::new();
        collector.perform_collection(Timestamp(0), &mut out).unwrap();
        assert!(ALL.iter().all(|definition| out.value(&definition.given) == Some(0.0)));
        for _ in 0..3 {
            collector.record_connection();
        }
        (0..5).for_each(|_| collector.record_disconnection());
        collector.record_connection();
        collector.record_message_sent(1024);
        collector.record_message_received(10);
        collector.record_message_received(2);
        collector.perform_collection(Timestamp(1000), &mut out).unwrap();
        let read: Vec<_> = ALL.iter().map(|definition| out.value(&definition.given).unwrap()).collect();
        assert_eq!(read, [4.0, 1.0, 1.0, 2.0, 1024.0, 12.0, 1036.0 / 3.0]);
    }
}
