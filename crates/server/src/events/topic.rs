//! The buses there are, and topics on them by name.

use std::{fmt, str::FromStr, sync::Arc};

/// A longer name of a topic is refused.
pub(crate) const TOPIC_BYTES_MAX: usize = 256;

/// What an event is about, roughly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bus {
    /// Figures: `performance`, and each metric by its name while somebody listens.
    Metrics,
    /// How the server and its surroundings are: `system`, `clients`, `cluster_health` and others.
    Health,
    /// What somebody should look at: `node_failure`, `persistence_failure` and others.
    Alerts,
    /// What was found when somebody looked: `performance_analysis` and others.
    Diagnostics,
    /// Whatever users of the server tell each other.
    User,
}

impl Bus {
    /// All of them.
    pub(crate) const ALL: [Self; 5] =
        [Self::Metrics, Self::Health, Self::Alerts, Self::Diagnostics, Self::User];

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Health => "health",
            Self::Alerts => "alerts",
            Self::Diagnostics => "diagnostics",
            Self::User => "user",
        }
    }

    /// The name by which those know it who come from elsewhere.
    pub(crate) const fn alias(self) -> Option<&'static str> {
        match self {
            Self::Metrics => Some("ex_esdb_metrics"),
            Self::Health => Some("ex_esdb_health"),
            Self::Alerts => Some("ex_esdb_alerts"),
            Self::Diagnostics => Some("ex_esdb_diagnostics"),
            Self::User => None,
        }
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

/// Why a text names no bus or topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadTopic {
    #[error(
        "there is no bus {0:?}; there are metrics, health, alerts, diagnostics (also with `ex_esdb_` before) and user"
    )]
    UnknownBus(String),
    #[error("there is no topic {0:?}; there is {known}, and any with its bus before, as in user/deploys", known = known())]
    UnknownTopic(String),
    #[error(
        "a topic has a name of 1 to {TOPIC_BYTES_MAX} bytes without commas, slashes and control characters"
    )]
    BadName,
}

impl FromStr for Bus {
    type Err = BadTopic;

    fn from_str(text: &str) -> Result<Self, BadTopic> {
        let is = |bus: &Self| bus.name() == text || bus.alias() == Some(text);
        Self::ALL.into_iter().find(is).ok_or_else(|| BadTopic::UnknownBus(text.to_owned()))
    }
}

/// Topics that are found without their bus.
pub(crate) const KNOWN: [(Bus, &str); 16] = [
    (Bus::Metrics, PERFORMANCE),
    (Bus::Health, SYSTEM),
    (Bus::Health, CLIENTS),
    (Bus::Health, "component_health"),
    (Bus::Health, "cluster_health"),
    (Bus::Health, "health_check"),
    (Bus::Alerts, "node_failure"),
    (Bus::Alerts, "persistence_failure"),
    (Bus::Alerts, "metric_alert"),
    (Bus::Alerts, "system_alert"),
    (Bus::Alerts, "alert_ack"),
    (Bus::Alerts, "alert_escalation"),
    (Bus::Diagnostics, "performance_analysis"),
    (Bus::Diagnostics, "system_state"),
    (Bus::Diagnostics, "debug_trace"),
    (Bus::Diagnostics, "incidents"),
];

/// Throughput, latency and use of resources, on the bus of metrics; all its other topics are metrics by name.
pub(crate) const PERFORMANCE: &str = "performance";
/// What became of the server, on the bus of health.
pub(crate) const SYSTEM: &str = "system";
/// Clients that come and go, there too.
pub(crate) const CLIENTS: &str = "clients";

fn known() -> String {
    KNOWN.map(|(_, name)| name).join(", ")
}

/// What one may subscribe to: a topic, or all of a bus.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Topic {
    /// Where it is.
    pub(crate) bus: Bus,
    /// Its name there; `None` is the whole bus.
    pub(crate) name: Option<Arc<str>>,
}

impl Topic {
    /// A whole bus.
    pub(crate) const fn all(bus: Bus) -> Self {
        Self { bus, name: None }
    }

    /// One topic.
    ///
    /// # Errors
    /// No topic can have this name.
    pub(crate) fn new(bus: Bus, name: &str) -> Result<Self, BadTopic> {
        let bad = |c: char| c == '/' || c == ',' || c.is_control();
        if name.is_empty() || name.len() > TOPIC_BYTES_MAX || name.contains(bad) {
            return Err(BadTopic::BadName);
        }
        Ok(Self { bus, name: Some(name.into()) })
    }

    /// The topic of a text: `alerts/node_failure`, `node_failure` of the bus it stands with, `alerts` for all of that bus, or
    /// a topic of [`KNOWN`].
    ///
    /// # Errors
    /// There is no such bus, or no topic can have this name.
    pub(crate) fn find(text: &str, bus: Option<Bus>) -> Result<Self, BadTopic> {
        if let Some((bus, name)) = text.split_once('/') {
            return Self::new(bus.parse()?, name);
        }
        if let Some(bus) = bus {
            return Self::new(bus, text);
        }
        if let Ok(bus) = text.parse() {
            return Ok(Self::all(bus));
        }
        let known = KNOWN.iter().find(|(_, name)| *name == text);
        let (bus, name) = known.ok_or_else(|| BadTopic::UnknownTopic(text.to_owned()))?;
        Self::new(*bus, name)
    }

    /// What clients of the sessions are subscribed to.
    pub(super) fn piece(&self) -> Arc<str> {
        self.name.as_deref().map_or_else(|| self.bus.name().into(), |name| piece(self.bus, name))
    }
}

pub(super) fn piece(bus: Bus, topic: &str) -> Arc<str> {
    format!("{}/{topic}", bus.name()).into()
}

impl FromStr for Topic {
    type Err = BadTopic;

    fn from_str(text: &str) -> Result<Self, BadTopic> {
        Self::find(text, None)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.piece())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_have_names() {
        let check = |text: &str, expected: Result<&str, BadTopic>| {
            assert_eq!(text.parse().map(|topic: Topic| topic.to_string()), expected.map(str::to_owned));
        };
        check("alerts", Ok("alerts"));
        check("alerts/node_failure", Ok("alerts/node_failure"));
        check("ex_esdb_metrics/performance", Ok("metrics/performance"));
        check("alarms/x", Err(BadTopic::UnknownBus("alarms".to_owned())));
        check("performance", Ok("metrics/performance"));
        check("alarms", Err(BadTopic::UnknownTopic("alarms".to_owned())));
        check("user/", Err(BadTopic::BadName));
        check("user/a/b", Err(BadTopic::BadName));
        check(&format!("user/{}", "x".repeat(TOPIC_BYTES_MAX + 1)), Err(BadTopic::BadName));
        assert_eq!(Topic::find("x", Some(Bus::User)).unwrap().to_string(), "user/x");
        assert_eq!(Topic::find("health/x", Some(Bus::User)).unwrap().to_string(), "health/x");
        assert!(Bus::ALL.iter().enumerate().all(|(i, bus)| bus.index() == i));
    }
}
