//! One node is a cluster of one. Of several, each sees the others as they answer: one that stops is named, and without a
//! majority the quorum is lost.

use std::sync::Arc;

use barograph_disk::MemoryDisk;
use serde_json::{Value, json};

use crate::{
    checks_stand_alone::until,
    events_are_told_and_resumed::Stream,
    support::{configured, start_in_memory, start_on},
};

#[tokio::test(flavor = "multi_thread")]
async fn one_node_is_a_cluster_of_one() {
    let running = start_in_memory().await;
    let cluster = running.get("/api/barograph/v1/health/cluster").await.json();
    let Value::Object(mut fields) = cluster else { panic!("no object") };
    assert!(fields.remove("timestamp").unwrap().as_str().unwrap().ends_with('Z'));
    let expected = json!({
        "status": "healthy", "healthy_nodes": 1, "total_nodes": 1, "degraded_nodes": [], "unhealthy_nodes": [],
        "quorum_status": "available",
    });
    assert_eq!(Value::Object(fields), expected);
    until(&running, "/api/v1/query?query=cluster_total_nodes", |it| {
        it["data"]["result"][0]["value"][1] == "1"
    })
    .await;
    running.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_the_quorum_is_lost() {
    let (a, b) = (start_in_memory().await, start_in_memory().await);
    let (at_a, at_b) = (a.server.address().unwrap(), b.server.address().unwrap());
    let config = format!(
        "collectors: {{built_in: false}}\nhealth:\n  node: c\n  preset: exesdb\n  cluster:\n  \
         - {{name: a, url: 'http://{at_a}'}}\n  - {{name: b, url: 'http://{at_b}/'}}\n"
    );
    let c = start_on(Arc::new(MemoryDisk::new()), configured(&config)).await;
    let path = "/health/cluster";
    until(&c, path, |it| it["healthy_nodes"] == 3 && it["status"] == "healthy").await;
    let health = c.server.health();
    let after = async |name: &str, right: &dyn Fn(&Value) -> bool| {
        for _ in 0..400 {
            health.wake(name);
            let cluster = c.get(path).await.json();
            if right(&cluster) {
                return cluster;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{}", c.get(path).await.text);
    };
    a.server.stop().await;
    let cluster = after("node:a", &|it| it["unhealthy_nodes"] == json!(["a"])).await;
    assert_eq!((&cluster["status"], &cluster["quorum_status"]), (&"degraded".into(), &"available".into()));
    assert_eq!(c.get("/health?basic=true").await.json()["status"], "healthy", "other nodes are others");
    b.server.stop().await;
    let cluster = after("node:b", &|it| it["unhealthy_nodes"] == json!(["a", "b"])).await;
    assert_eq!((&cluster["status"], &cluster["quorum_status"]), (&"unhealthy".into(), &"lost".into()));
    assert_eq!((&cluster["healthy_nodes"], &cluster["total_nodes"]), (&1.into(), &3.into()));
    let mut told = Stream::open(&c, "last_event_id=0&bus=alerts&topics=node_failure", &[]).await;
    let (event, _, alert) = told.next().await;
    assert_eq!((event.as_str(), &alert["severity"]), ("system_alert", &"critical".into()));
    assert_eq!(alert["message"], "Node a has become unresponsive");
    let context = json!({
        "failed_node": "a", "node": "c", "cluster_size": 3, "quorum_status": "available", "estimated_recovery_time": null,
    });
    assert_eq!(alert["context"], context);
    for name in ["cluster_healthy_nodes", "exesdb_healthy_nodes"] {
        let query = format!("/api/v1/query?query={name}");
        until(&c, &query, |it| it["data"]["result"][0]["value"][1] == "1").await;
    }
    let query =
        "/api/v1/query?query=exesdb_performance{component=\"persistence\",node=\"c\"}".replace('"', "%22");
    until(&c, &query.replace('{', "%7B").replace('}', "%7D"), |it| {
        it["data"]["result"][0]["value"][1] == "100"
    })
    .await;
    let system = c.get("/health/system").await.json();
    assert_eq!(system["score"]["score"], 0.0, "{system}");
    c.server.stop().await;
}
