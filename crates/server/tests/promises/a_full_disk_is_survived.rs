//! A disk that takes no more: questions are answered, writes get 507 or 503 and are to be sent again, and when there is room
//! everything goes on by itself. Nothing that was acknowledged is lost.

use std::{sync::Arc, time::Duration};

use crate::support::{Running, configured, now_ms, start_on};
use barograph_disk::{Fault, MemoryDisk};
use hyper::Method;

const UP: &[(&str, &str)] = &[("__name__", "m")];

async fn count(running: &Running, at: i64) -> String {
    let path = format!("/api/v1/query?query=count_over_time(m[10m])&time={}", at / 1000);
    running.data(&path).await["result"][0]["value"][1].as_str().unwrap_or("0").to_owned()
}

async fn survives(fault: Fault) {
    let disk = MemoryDisk::new();
    let config = || configured("storage: {aggregation_interval: 1s}\ncollectors: {built_in: false}\n");
    let running = start_on(Arc::new(disk.clone()), config()).await;
    let t = now_ms() - 60_000;
    for second in 0..10 {
        assert_eq!(running.write_series(UP, &[(t + second * 1000, 1.0)]).await.status, 204);
    }
    disk.fail(0, u64::MAX, fault);
    let mut statuses = Vec::new();
    for second in 10..20 {
        let reply = running.write_series(UP, &[(t + second * 1000, 1.0)]).await;
        assert!(reply.headers.contains_key("retry-after"), "{}", reply.text);
        statuses.push(reply.status.as_u16());
        assert!(
            count(&running, t + 9_000).await.parse::<u32>().is_ok_and(|count| count >= 10),
            "questions are answered"
        );
    }
    assert!(statuses.iter().all(|status| matches!(status, 507 | 503)), "{statuses:?}");
    assert!(statuses.contains(&507), "the sender is told why: {statuses:?}");
    // Own metrics say so, and so does health; nothing that needs room is done meanwhile.
    assert_eq!(running.get("/health").await.status, 503);
    let flushed = running.call(Method::POST, "/api/barograph/v1/admin/flush", &[], b"").await;
    assert_eq!(flushed.status, 503, "{}", flushed.text);
    let policy = "/api/barograph/v1/metrics/m/retention";
    let kept = running.call(Method::PUT, policy, &[], br#"{"raw": "7d"}"#).await;
    assert_eq!(kept.status, 507, "{}", kept.text);
    let stats = running.get("/api/barograph/v1/storage/stats").await.json();
    assert_eq!(stats["wal"]["read_only"], true);

    disk.heal();
    let mut tries = 0;
    while running.write_series(UP, &[(t + 20_000, 1.0)]).await.status != 204 {
        tries += 1;
        assert!(tries < 100, "it goes on by itself");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for second in 10..20 {
        assert_eq!(running.write_series(UP, &[(t + second * 1000, 1.0)]).await.status, 204);
    }
    assert_eq!(count(&running, t + 20_000).await, "21");
    assert_eq!(running.get("/health").await.status, 200);
    assert_eq!(running.call(Method::PUT, policy, &[], br#"{"raw": "7d"}"#).await.status, 200);
    // What was acknowledged survives a power cut at this moment, and one after the blocks were cut.
    for seed in 0..3 {
        let again = start_on(Arc::new(disk.crash(seed)), config()).await;
        assert_eq!(count(&again, t + 20_000).await, "21");
        again.server.stop().await;
    }
    let flushed = running.call(Method::POST, "/api/barograph/v1/admin/flush", &[], b"").await;
    assert_eq!(flushed.status, 200, "{}", flushed.text);
    assert_eq!(count(&running, t + 20_000).await, "21");
    running.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_space_is_left() {
    survives(Fault::Full).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_stops_half_way() {
    survives(Fault::ShortWrite).await;
}
