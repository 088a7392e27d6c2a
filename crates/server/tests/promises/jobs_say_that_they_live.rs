//! A job that is not heard of in time is unhealthy, and what was heard of it survives a restart and a kill.

use std::sync::Arc;

use barograph_disk::MemoryDisk;
use hyper::Method;

use crate::{
    checks_stand_alone::until,
    support::{configured, start_on},
};

const CONFIG: &str = "collectors: {built_in: false}\nhealth:\n  heartbeats:\n  \
                      - {key: often, name: mailer, period: 100ms, grace: 100ms}\n  \
                      - {key: daily, name: backup, period: 24h}\n";

#[tokio::test(flavor = "multi_thread")]
async fn jobs_say_that_they_live() {
    let disk = MemoryDisk::new();
    let running = start_on(Arc::new(disk.clone()), configured(CONFIG)).await;
    let ping = async |path: &str| running.call(Method::POST, path, &[], b"said so").await;
    until(&running, "/health/components/backup", |it| it["status"] == "unknown").await;
    assert_eq!(running.get("/health?basic=true").await.json()["status"], "healthy", "unknown is not wrong");

    for path in ["/ping/nobody", "/ping/nobody/fail", "/ping/daily/nonsense", "/ping/daily/300"] {
        assert_eq!(running.get(path).await.status, 404, "{path}");
    }
    for path in ["/ping/often", "/ping/daily/start", "/ping/daily/log", "/ping/daily/0"] {
        let reply = ping(path).await;
        assert_eq!((reply.status.as_u16(), reply.text.as_str()), (200, "OK\n"), "{path}");
    }
    until(&running, "/health/components/backup", |it| it["status"] == "healthy").await;
    let late = until(&running, "/health/components/mailer", |it| it["status"] == "unhealthy").await;
    assert!(late["details"]["message"].as_str().unwrap().starts_with("the job is late by"), "{late}");
    assert_eq!(running.call(Method::HEAD, "/ping/daily/fail", &[], b"").await.status, 200);
    until(&running, "/health/components/backup", |it| it["status"] == "unhealthy").await;

    let pings = "/health/history?heartbeat=daily";
    let heard =
        until(&running, pings, |it| it["history"].as_array().is_some_and(|list| list.len() == 4)).await;
    assert_eq!(heard["history"][1]["ping"], serde_json::json!({"signal": "log", "text": "said so"}));
    let list = running.get("/health/heartbeats").await.json();
    assert_eq!(
        (&list["heartbeats"][0]["key"], &list["heartbeats"][0]["signals"]),
        (&"daily".into(), &4.into())
    );

    // Killed, and stopped in order: both know it afterwards.
    let killed = disk.kill();
    running.server.stop().await;
    for disk in [killed, disk] {
        let running = start_on(Arc::new(disk), configured(CONFIG)).await;
        let backup = until(&running, "/health/components/backup", |it| it["status"] == "unhealthy").await;
        assert_eq!(backup["details"]["message"], "the job said that it failed");
        let history = running.get("/health/history?component=backup").await.json();
        let statuses: Vec<_> = history["history"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["document"]["status"].clone())
            .collect();
        assert!(statuses.starts_with(&["healthy".into(), "unhealthy".into()]), "{statuses:?}");
        running.server.stop().await;
    }
}
