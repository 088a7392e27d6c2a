//! Other nodes, asked how they fare. This one sees them as they answer, whatever they think of each other.

use std::{sync::Arc, time::Duration};

use super::{Checking, Finding, HealthCheck, Plan, Status, probes};
use crate::config::{Authorities, NodeConfig};

/// How often a node is asked.
const EVERY: Duration = Duration::from_secs(2);

/// Asks one node.
pub(super) struct Peer {
    check: String,
    url: String,
}

impl Peer {
    pub(super) fn new(node: &NodeConfig) -> Self {
        let base = node.url.trim_end_matches('/');
        Self { check: format!("node:{}", node.name), url: format!("{base}/health?basic=true") }
    }
}

impl HealthCheck for Peer {
    fn name(&self) -> &str {
        &self.check
    }

    fn plan(&self) -> Plan {
        Plan { passes: 1, ..Plan::every(EVERY) }
    }

    fn check(self: Arc<Self>) -> Checking {
        Box::pin(async move {
            let answer = match probes::get(&self.url, &Authorities::System).await {
                Ok(answer) => answer,
                Err(error) => return Finding::fail(format!("it does not answer: {error}")),
            };
            let document: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
            let word = document.as_ref().and_then(|document| document["status"].as_str());
            let finding = match word.and_then(Status::parse) {
                None => return Finding::fail(format!("it answered {} and no status", answer.status)),
                Some(Status::Unhealthy) => Finding::fail("it says that it is unhealthy"),
                Some(Status::Healthy) => Finding::pass(),
                Some(status) => Finding::warn(format!("it says that it is {}", status.as_str())),
            };
            finding.with("node_status", word)
        })
    }
}
