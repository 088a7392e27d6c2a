//! What a health check is: something with a name that looks at one component and says what it found.

use std::{pin::Pin, sync::Arc, time::Duration};

use serde_json::{Map, Value};

use super::messages::Status;

/// A check that is being made.
pub type Checking = Pin<Box<dyn Future<Output = Finding> + Send>>;

/// Something that is looked at again and again.
///
/// A run that does not end in its time is given up and counts as a timeout; one that panics, as a failure. Neither holds up
/// other checks, and no run begins before the last one of the same check has ended. What may block a thread belongs on one
/// that may be blocked (`tokio::task::spawn_blocking`).
#[doc(alias = "HealthChecker")]
pub trait HealthCheck: Send + Sync + 'static {
    /// Its name, which no other check of the server has.
    fn name(&self) -> &str;

    /// The component that it looks at; several checks may look at one.
    fn component(&self) -> &str {
        self.name()
    }

    /// When it is run, and what its findings mean.
    fn plan(&self) -> Plan {
        Plan::new()
    }

    /// Looks.
    #[doc(alias = "performCheck")]
    fn check(self: Arc<Self>) -> Checking;
}

/// When a check is run, and what its findings mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Time from one run to the next; 10 seconds by default.
    pub interval: Duration,
    /// How long a run may take; 1 second by default.
    pub timeout: Duration,
    /// A run that passes but takes longer than this is told as degraded.
    pub slow: Option<Duration>,
    /// So many failures in a row and it is down; 3 by default. The first run of all is believed at once.
    pub fails: u32,
    /// So many passes in a row and it is up again; 2 by default.
    pub passes: u32,
    /// Whether the component works without what this looks at: then its failure only degrades the component.
    pub optional: bool,
    /// Whether the server is not healthy without the component. Others only degrade it.
    pub essential: bool,
    /// Components without which this one cannot work. Where one of them is unhealthy, it is named as the cause.
    pub depends_on: Vec<String>,
}

impl Plan {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            slow: None,
            fails: 3,
            passes: 2,
            optional: false,
            essential: false,
            depends_on: Vec::new(),
        }
    }

    /// The defaults, but run so often.
    pub fn every(interval: Duration) -> Self {
        Self { interval, ..Self::new() }
    }

    /// The same, believed at once.
    #[must_use]
    pub fn at_once(self) -> Self {
        Self { fails: 1, passes: 1, ..self }
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self::new()
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// How it fares.
    pub status: Status,
    /// What is wrong, if anything is.
    pub message: Option<String>,
    /// What else was found.
    pub details: Map<String, Value>,
}

impl Finding {
    /// All is well.
    pub fn pass() -> Self {
        Self { status: Status::Healthy, message: None, details: Map::new() }
    }

    /// It works, with something wrong.
    pub fn warn(message: impl Into<String>) -> Self {
        Self { status: Status::Degraded, message: Some(message.into()), details: Map::new() }
    }

    /// It does not work.
    pub fn fail(message: impl Into<String>) -> Self {
        Self { status: Status::Unhealthy, message: Some(message.into()), details: Map::new() }
    }

    /// Nothing can be said yet.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self { status: Status::Unknown, message: Some(message.into()), details: Map::new() }
    }

    /// The same, with one thing more that was found.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}
