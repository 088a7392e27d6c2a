//! A target of the configuration is scraped, its series carry the target's labels, and when it goes they go stale.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::support::{Running, configured, start};
use serde_json::Value;

#[tokio::test]
async fn what_is_scraped_can_be_asked() {
    let up = Arc::new(AtomicBool::new(true));
    let target = exporter(up.clone());
    let config = format!(
        "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\n\
         collectors:\n  system:\n    enabled: false\n  process:\n    enabled: false\n\
         scrape_configs:\n- job_name: shop\n  static_configs:\n  - targets: ['{target}']\n    labels: {{zone: north}}\n  \
         metric_relabel_configs:\n  - source_labels: [__name__]\n    regex: noise_.*\n    action: drop\n"
    );
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(&config)).await;

    let orders = until(&running, "orders_total", |result| !result.is_empty()).await;
    assert_eq!(orders[0]["metric"]["job"], "shop");
    assert_eq!(orders[0]["metric"]["zone"], "north");
    assert_eq!(orders[0]["metric"]["instance"], target);
    assert_eq!(orders[0]["value"][1], "7");
    assert_eq!(until(&running, "up", |result| !result.is_empty()).await[0]["value"][1], "1");
    let scraped = until(&running, "scrape_samples_scraped", |result| !result.is_empty()).await;
    assert_eq!(scraped[0]["value"][1], "2");
    let kept = until(&running, "scrape_samples_post_metric_relabeling", |result| !result.is_empty()).await;
    assert_eq!(kept[0]["value"][1], "1");
    let metadata = running.data("/api/v1/metadata?metric=orders_total").await;
    assert_eq!(metadata["orders_total"][0]["type"], "counter");

    up.store(false, Ordering::Relaxed);
    until(&running, "orders_total", <[Value]>::is_empty).await;
    assert_eq!(until(&running, "up", |result| result[0]["value"][1] == "0").await.len(), 1);
    running.server.stop().await;
}

/// Asks until the result is as wanted, for at most ten seconds.
async fn until(running: &Running, query: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let asking = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            let data = running.data(&format!("/api/v1/query?query={query}")).await;
            let result = data["result"].as_array().unwrap().clone();
            if wanted(&result) {
                return result;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    asking.await.unwrap_or_else(|_| panic!("{query} did not become what it should"))
}

/// A target that exposes two metrics while `up`, and fails afterwards. Its thread ends with the test.
fn exporter(up: Arc<AtomicBool>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(100) {
            answer(stream.unwrap(), up.load(Ordering::Relaxed));
        }
    });
    address
}

fn answer(mut stream: TcpStream, up: bool) {
    let mut head = [0; 4096];
    let _ = stream.read(&mut head);
    let body =
        "# HELP orders_total Orders taken.\n# TYPE orders_total counter\norders_total 7\nnoise_level 1\n";
    let status = if up { "200 OK" } else { "500 Internal Server Error" };
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
}
