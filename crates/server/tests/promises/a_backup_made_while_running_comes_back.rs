//! A backup is made while samples come in; restored into another directory it answers what the first server answered.

use std::path::Path;

use crate::{checks_stand_alone::until, support::*};
use barograph_server::storage::backup;
use hyper::Method;
use serde_json::{Value, json};

const PATH: &str = "/api/barograph/v1/backup";

async fn order(running: &Running, body: &str) -> Reply {
    running.call(Method::POST, PATH, &[("content-type", "application/json")], body.as_bytes()).await
}

#[tokio::test]
async fn a_backup_made_while_running_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let running = start_quiet(&data).await;
    let now = now_ms();
    let samples: Vec<_> = (0..50).map(|i| (now - 50_000 + i * 1000, i as f64)).collect();
    assert_eq!(running.write_series(&[("__name__", "kept")], &samples).await.status, 204);

    let made = order(&running, "").await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!((&made.json()["id"], &made.json()["type"]), (&json!(1), &json!("full")));
    let again = order(&running, r#"{"target": "nightly", "keep": 1, "type": "full"}"#).await;
    assert_eq!(again.status, 201, "{}", again.text);
    let listed = running.get(PATH).await.json();
    assert_eq!(listed["backups"].as_array().unwrap().len(), 1);
    assert_eq!(running.get(&format!("{PATH}?target=none")).await.json()["backups"], json!([]));

    let snapshot = running.call(Method::POST, "/api/v1/admin/tsdb/snapshot", &[], b"").await;
    assert_eq!(snapshot.json()["data"]["name"], "00000002", "{}", snapshot.text);

    let question = format!("/api/v1/query?query=kept[1h]&time={}", now / 1000);
    let expected = running.data(&question).await;
    let metrics = running.get("/metrics").await.text;
    assert!(metrics.contains(r#"barograph_backups_total{outcome="ok"} 3"#), "{metrics}");
    running.server.stop().await;

    let restored = dir.path().join("restored");
    let place = data.join("backups");
    assert_eq!(backup::restore(&place, None, &restored).unwrap().0, 2);
    assert_eq!(backup::verify(&place).unwrap().damaged, []);
    let running = start_quiet(&restored).await;
    assert_eq!(running.data(&question).await, expected);
    let error = backup::restore(&place, Some(1), &restored).unwrap_err().to_string();
    assert!(error.contains("in use"), "{error}");
    running.server.stop().await;
    assert!(backup::restore(&place, Some(1), &restored).is_err(), "it is not empty");
}

/// Waits until the signal of the job is kept; how often it was heard.
async fn heard(running: &Running) -> usize {
    let times = |document: &Value| document["history"].as_array().map_or(0, Vec::len);
    times(&until(running, "/health/history?heartbeat=nightly", |document| times(document) > 0).await)
}

#[tokio::test]
async fn what_is_known_besides_samples_comes_back() {
    const CONFIG: &str = "health: {heartbeats: [{key: nightly, period: 1h}]}\n";
    let dir = tempfile::tempdir().unwrap();
    let (data, restored) = (dir.path().join("data"), dir.path().join("restored"));
    let running = start(&data, configured(CONFIG)).await;
    assert_eq!(running.get("/ping/nightly").await.status, 200);
    assert_eq!(heard(&running).await, 1);
    let made = order(&running, "").await;
    assert_eq!(made.status, 201, "{}", made.text);
    running.server.stop().await;

    backup::restore(&data.join("backups"), None, &restored).unwrap();
    let running = start(&restored, configured(CONFIG)).await;
    assert_eq!(heard(&running).await, 1);
    running.server.stop().await;
    assert!(!restored.join("state.corrupt").exists() && !data.join("state.copy.tmp").exists());
}

#[tokio::test]
async fn spans_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let (data, restored) = (dir.path().join("data"), dir.path().join("restored"));
    let running = start_quiet(&data).await;
    let spans = async |running: &Running, id: u32| {
        let body =
            json!([{"traceId": format!("{id:032x}"), "id": "1", "timestamp": now_ms() * 1000}]).to_string();
        running.call(Method::POST, "/api/v2/spans", &[], body.as_bytes()).await.status.as_u16()
    };
    assert_eq!((spans(&running, 1).await, spans(&running, 3).await), (202, 202));
    assert_eq!(order(&running, "").await.status, 201);
    running.server.stop().await;

    // The segment is whole now: a second copy needs it once more, a third finds it there.
    let place = data.join("backups");
    let copied = [(); 2].map(|()| {
        let written =
            backup::of_directory(&data, &place, barograph_model::Timestamp(now_ms()), None).unwrap();
        assert!(written.backup.files.iter().any(|file| file.path.starts_with("traces/")));
        written.files_copied
    });
    assert!(copied[0] > 0 && copied[1] == 0, "{copied:?}");
    backup::restore(&place, Some(1), &restored).unwrap();
    let segments = |dir: &Path| std::fs::read_dir(dir.join("traces")).unwrap().count();
    assert!(segments(&restored) > 0);
    assert_eq!(backup::verify(&restored).unwrap().damaged, []);
    let running = start_quiet(&restored).await;
    let metrics = running.get("/metrics").await.text;
    assert!(metrics.contains("\nbarograph_spans_stored 2\n"), "{metrics}");
    assert_eq!(spans(&running, 2).await, 202);
    running.server.stop().await;

    let again = dir.path().join("again");
    let damaged = std::fs::read_dir(data.join("traces")).unwrap().map(|entry| entry.unwrap().path());
    let damaged =
        damaged.into_iter().find(|path| path.extension().is_some_and(|end| end == "spans")).unwrap();
    let mut bytes = std::fs::read(&damaged).unwrap();
    // In the first of two records: the other tells that it is no torn end.
    let at = bytes.len() / 3;
    bytes[at] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    let found = backup::verify(&data).unwrap().damaged;
    assert!(found.iter().any(|damage| damage.path.starts_with("traces/")), "{found:?}");
    std::fs::create_dir_all(again.join("traces")).unwrap();
    std::fs::write(again.join("traces/other"), b"x").unwrap();
    let error = backup::restore(&place, Some(1), &again).unwrap_err().to_string();
    assert!(error.contains("traces/other"), "{error}");
}

#[tokio::test]
async fn what_is_no_order_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    for (body, status) in [
        (r#"{"target": "../elsewhere"}"#, 400),
        (r#"{"target": "/etc"}"#, 400),
        (r#"{"type": "half"}"#, 400),
        (r#"{"keep": 0}"#, 400),
        (r#"{"place": "x"}"#, 400),
        ("no json", 400),
    ] {
        let reply = order(&running, body).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text);
        assert_eq!(reply.headers["content-type"], "application/problem+json");
    }
    assert!(!Path::new("/etc/manifests").exists());
    // Whoever holds the directory goes first.
    let place = dir.path().join("backups");
    std::fs::create_dir_all(&place).unwrap();
    let held = std::fs::File::create(place.join("lock")).unwrap();
    held.lock().unwrap();
    assert_eq!(order(&running, "").await.status, 409);
    running.server.stop().await;
}
