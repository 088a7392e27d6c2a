//! A demo runs for some seconds, and the server knows every service: its past, its present, and the rules about it.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use barograph_demo::{Demo, Options};
use barograph_server::clock::SystemClock;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;

async fn ask(server: SocketAddr, path: &str) -> Value {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let reply = client.get(format!("http://{server}{path}").parse().unwrap()).await.unwrap();
    let body = reply.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice::<Value>(&body).unwrap()["data"].clone()
}

/// Instances of which a query tells something, in order.
async fn instances(server: SocketAddr, query: &str) -> Vec<String> {
    let query: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let data = ask(server, &format!("/api/v1/query?query={query}")).await;
    let series = data["result"].as_array().unwrap().iter();
    let mut names: Vec<String> =
        series.map(|series| series["metric"]["instance"].as_str().unwrap_or_default().to_owned()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_is_watched() {
    let options = Options {
        rate: 5.0,
        history: Duration::from_secs(1800),
        http_addr: Some("127.0.0.1:0".parse().unwrap()),
        memory: Some(256 << 20),
        ..Options::default()
    };
    let mut demo = Demo::start(options, Arc::new(SystemClock::new())).await.unwrap();
    let server = demo.address();
    let mut expected: Vec<String> = demo
        .services()
        .filter(|(_, version, _)| *version != "1.5.0")
        .map(|(name, ..)| name.to_owned())
        .collect();
    expected.sort();

    assert!(demo.write_history().await.unwrap() > 50_000);
    let past = "service_memory_bytes offset 10m";
    assert_eq!(instances(server, past).await, expected);

    let watched = async {
        for _ in 0..300 {
            let up = instances(
                server,
                "timestamp(service_memory_bytes) > timestamp(service_memory_bytes offset 4s)",
            )
            .await;
            let recorded = instances(server, "job:http_requests:rate1m").await;
            if up == expected && recorded.len() == 4 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{:?}", instances(server, "service_memory_bytes").await);
    };
    tokio::select! {
        outcome = demo.live(|_| {}) => outcome.unwrap(),
        () = watched => {}
    }
    assert_eq!(instances(server, "http_requests_total % 1 > 0").await, Vec::<String>::new());
    // The past goes on in the present: no counter was set back, and none leapt.
    assert_eq!(
        instances(server, "sum by (instance) (resets(http_requests_total[20m])) > 0").await,
        Vec::<String>::new()
    );
    assert_eq!(
        instances(server, "sum by (instance) (rate(http_requests_total[1m])) > 30").await,
        Vec::<String>::new()
    );
    let rules = ask(server, "/api/v1/rules").await;
    let rules: Vec<Value> = rules["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap().clone())
        .collect();
    assert!(
        rules.len() >= 10
            && rules.iter().all(|rule| rule["lastError"].as_str().unwrap_or_default().is_empty())
    );
    demo.stop().await;
}
