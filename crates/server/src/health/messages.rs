//! The documents: what one check found, how a component fares, how the cluster does. Field for field what they are made of
//! is the same wherever they go: HTTP, live events, the state database.

use barograph_model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// How something fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should.
    Healthy,
    /// Nothing is known, or nothing any more. Never the same as healthy.
    #[default]
    Unknown,
    /// It works, with something wrong.
    Degraded,
    /// It does not work.
    Unhealthy,
}

impl Status {
    /// The word of the documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unknown => "unknown",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// The word of `application/health+json`.
    pub const fn standard(self) -> &'static str {
        match self {
            Self::Healthy => "pass",
            Self::Unknown | Self::Degraded => "warn",
            Self::Unhealthy => "fail",
        }
    }

    /// The status of a word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Healthy, Self::Unknown, Self::Degraded, Self::Unhealthy]
            .into_iter()
            .find(|it| it.as_str() == word)
    }
}

/// How one run of a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckResult {
    /// What was looked at works.
    Pass,
    /// It does not.
    Fail,
    /// The check did not end in its time.
    Timeout,
}

/// One run of one check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// The check.
    pub check_name: String,
    /// Who ran it.
    pub node: String,
    /// How it ended.
    pub result: CheckResult,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
    /// What else it found.
    pub details: Map<String, Value>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it ended, UTC, RFC 3339.
    pub timestamp: String,
}

/// One component as its checks see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComponentHealth {
    /// The component.
    pub component: String,
    /// Who tells it.
    pub node: String,
    /// How it fares.
    pub status: Status,
    /// Its score with all that goes into it, its checks, what causes it, and what its checks found.
    pub details: Map<String, Value>,
    /// When one of its checks ran last, UTC, RFC 3339.
    pub last_check: Option<String>,
    /// When this was told.
    pub timestamp: String,
}

/// Whether most of the nodes can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quorum {
    /// They can.
    Available,
    /// They cannot.
    Lost,
}

/// A node as this one sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// Its name.
    pub(crate) name: String,
    /// How it fares.
    pub(crate) status: Status,
    /// Whether it answers, whatever it says.
    pub(crate) reachable: bool,
}

/// What somebody should know at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SystemAlert {
    /// `node_failure`, `persistence_failure` or `component_failure`.
    pub(crate) alert_type: String,
    /// `critical` where the server is not healthy because of it, else `warning`; `info` when it is over.
    pub(crate) severity: String,
    /// A sentence.
    pub(crate) message: String,
    /// Which node, which component, and what is known of it.
    pub(crate) context: Map<String, Value>,
    /// When, UTC, RFC 3339.
    pub(crate) timestamp: String,
}

/// All nodes together. One that stands alone is a cluster of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterHealth {
    /// How the cluster fares.
    pub status: Status,
    /// Nodes that are not unhealthy: with the unhealthy ones they are all.
    pub healthy_nodes: usize,
    /// All nodes that are configured.
    pub total_nodes: usize,
    /// Those that work, with something wrong.
    pub degraded_nodes: Vec<String>,
    /// Those that failed or do not answer.
    pub unhealthy_nodes: Vec<String>,
    /// Whether a majority of all can be reached.
    pub quorum_status: Quorum,
    /// When this was told, UTC, RFC 3339.
    pub timestamp: String,
}

impl ClusterHealth {
    /// Of all nodes that are configured, as each is seen. One that nothing is known of yet is not said to have failed.
    pub(crate) fn of(nodes: &[Node], now: Timestamp) -> Self {
        let those = |status: Status| {
            let of_status = nodes.iter().filter(|node| node.status == status);
            of_status.map(|node| node.name.clone()).collect::<Vec<_>>()
        };
        let (degraded, unhealthy) = (those(Status::Degraded), those(Status::Unhealthy));
        let healthy_nodes = nodes.len() - unhealthy.len();
        let has_quorum = nodes.iter().filter(|node| node.reachable).count() > nodes.len() / 2;
        let status = match (has_quorum && healthy_nodes > 0, degraded.is_empty() && unhealthy.is_empty()) {
            (false, _) => Status::Unhealthy,
            (true, false) => Status::Degraded,
            (true, true) => Status::Healthy,
        };
        Self {
            status,
            healthy_nodes,
            total_nodes: nodes.len(),
            degraded_nodes: degraded,
            unhealthy_nodes: unhealthy,
            quorum_status: if has_quorum { Quorum::Available } else { Quorum::Lost },
            timestamp: now.to_rfc3339(),
        }
    }
}

/// Checks as `application/health+json` tells them: by component, each with its status, what it took and why it fails.
pub(crate) fn standard<'c>(
    status: Status,
    node: &str,
    output: Option<&str>,
    checks: impl IntoIterator<Item = (&'c str, Status, &'c HealthCheck)>,
) -> Value {
    let mut by_component: Map<String, Value> = Map::new();
    for (component, status, check) in checks {
        let entry =
            by_component.entry(format!("{component}:{}", check.check_name)).or_insert_with(|| json!([]));
        if let Some(list) = entry.as_array_mut() {
            list.push(json!({
                "componentId": component,
                "status": status.standard(),
                "observedValue": check.duration_ms,
                "observedUnit": "ms",
                "time": check.timestamp,
                "output": check.error,
            }));
        }
    }
    json!({
        "status": status.standard(),
        "output": output,
        "releaseId": crate::VERSION,
        "serviceId": node,
        "checks": by_component,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp(1_705_312_200_000);

    /// The keys of a document, in their order.
    fn keys(document: &impl Serialize) -> Vec<String> {
        let Value::Object(map) = serde_json::to_value(document).unwrap() else { panic!("no object") };
        map.keys().cloned().collect()
    }

    fn sorted(mut names: Vec<&str>) -> Vec<&str> {
        names.sort_unstable();
        names
    }

    #[test]
    fn documents_have_the_fields_of_their_samples() {
        let component: ComponentHealth = serde_json::from_value(json!({
            "component": "store_worker", "node": "node1", "status": "degraded",
            "details": {"store_id": "main", "memory_usage": 67.5, "response_time_ms": 12},
            "last_check": "2024-01-15T09:50:00.000Z", "timestamp": "2024-01-15T09:50:00.000Z",
        }))
        .unwrap();
        assert_eq!(
            keys(&component),
            sorted(vec!["component", "node", "status", "details", "last_check", "timestamp"])
        );
        let check: HealthCheck = serde_json::from_value(json!({
            "check_name": "persistence_check", "node": "node1", "result": "timeout", "duration_ms": 45.2,
            "details": {"stores_checked": 3, "avg_response_time": 15.1}, "error": null,
            "timestamp": "2024-01-15T09:50:00.000Z",
        }))
        .unwrap();
        assert_eq!(
            keys(&check),
            sorted(vec!["check_name", "node", "result", "duration_ms", "details", "error", "timestamp"])
        );
        assert_eq!(check.result, CheckResult::Timeout);
        let one = Node { name: "node1".into(), status: Status::Healthy, reachable: true };
        let cluster = ClusterHealth::of(&[one], AT);
        let expected = json!({
            "status": "healthy", "healthy_nodes": 1, "total_nodes": 1, "degraded_nodes": [], "unhealthy_nodes": [],
            "quorum_status": "available", "timestamp": AT.to_rfc3339(),
        });
        assert_eq!(serde_json::to_value(&cluster).unwrap(), expected);
    }

    #[test]
    fn a_cluster_is_what_its_nodes_are() {
        use Quorum::{Available, Lost};
        use Status::{Degraded, Healthy, Unhealthy, Unknown};
        // Those that are unhealthy do not answer, but for the first: that is the one that speaks.
        let check = |statuses: &[Status], status: Status, healthy: usize, quorum: Quorum| {
            let node = |(index, &status): (usize, &Status)| Node {
                name: format!("node{index}"),
                status,
                reachable: index == 0 || status != Unhealthy,
            };
            let nodes: Vec<_> = statuses.iter().enumerate().map(node).collect();
            let cluster = ClusterHealth::of(&nodes, AT);
            assert_eq!(
                (cluster.status, cluster.healthy_nodes, cluster.quorum_status),
                (status, healthy, quorum)
            );
            assert_eq!(cluster.healthy_nodes + cluster.unhealthy_nodes.len(), cluster.total_nodes);
        };
        check(&[Healthy], Healthy, 1, Available);
        check(&[Degraded], Degraded, 1, Available);
        check(&[Unhealthy], Unhealthy, 0, Available);
        check(&[Unhealthy, Healthy, Healthy], Degraded, 2, Available);
        check(&[Healthy, Healthy, Unhealthy], Degraded, 2, Available);
        check(&[Healthy, Unhealthy, Unhealthy], Unhealthy, 1, Lost);
        check(&[Healthy, Unhealthy], Unhealthy, 1, Lost);
        check(&[Healthy, Degraded, Unhealthy, Healthy], Degraded, 3, Available);
        check(&[Healthy, Unknown, Healthy], Healthy, 3, Available);
    }
}
