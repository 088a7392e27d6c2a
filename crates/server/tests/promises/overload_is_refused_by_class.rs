//! Where more is asked than can be answered, questions are refused with the time to come again, while health and alerts are
//! answered and samples come in.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::{sync::Arc, time::Duration};

use hyper::Method;
use tokio::time::{sleep, timeout};
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::{Running, from_client, start_with_grpc_configured};
use barograph_proto::v1::{InstantRequest, query_client::QueryClient};

const ADMISSION: &str = "/api/barograph/v1/admission";
const QUERIES: &str = "/api/barograph/v1/queries";
const PATIENCE: Duration = Duration::from_secs(60);

/// How a class fares.
async fn class(running: &Running, name: &str) -> serde_json::Value {
    let document = running.get(ADMISSION).await.json();
    document["classes"].as_array().unwrap().iter().find(|class| class["class"] == name).unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_give_way_to_health_and_samples() {
    let dir = tempfile::tempdir().unwrap();
    let config = "collectors: {built_in: false}\nquery: {experimental: true}\n\
                  admission: {query: {min: 2, max: 2, queue: 0}}\n";
    let (running, channel) = start_with_grpc_configured(dir.path(), config).await;
    let running = Arc::new(running);
    // They go on for minutes.
    let heavy: Vec<_> = (0..2)
        .map(|i| {
            let running = running.clone();
            let path = format!(
                "/api/v1/query_range?query=mad_over_time(vector(1)%5B10h:100ms%5D)&start=170000000{i}&end=1700009000&step=1"
            );
            tokio::spawn(async move { running.get(&path).await })
        })
        .collect();
    let full = async {
        while class(&running, "query").await["in_flight"] != 2 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, full).await.unwrap();
    for (path, form) in [("/api/v1/query?query=1", "errorType"), ("/api/barograph/v1/metrics", "detail")] {
        let refused = running.get(path).await;
        assert_eq!(refused.status, 429, "{}", refused.text);
        let after: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!(after >= 1 && refused.json().get(form).is_some(), "{}", refused.text);
    }
    // With a body it is refused when that is there.
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let refused = running.call(Method::POST, "/api/v1/query", &kind, b"query=1").await;
    assert_eq!((refused.status.as_u16(), refused.headers.contains_key("retry-after")), (429, true));
    let question = InstantRequest { query: "1".to_owned(), ..InstantRequest::default() };
    let status = QueryClient::new(channel).instant(from_client("other", question)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.get_details_retry_info().unwrap().retry_delay.unwrap() >= Duration::from_secs(1));
    for path in ["/health", "/livez", "/-/ready", "/api/v1/alerts", "/api/v1/rules", "/metrics", "/ui/"] {
        assert_eq!(running.get(path).await.status, 200, "{path}");
    }
    let written = running.write_series(&[("__name__", "a")], &[(1_700_000_000_000, 1.0)]).await;
    assert_eq!(written.status, 204, "{}", written.text);
    let query = class(&running, "query").await;
    assert_eq!((&query["refused"], &query["limit"]), (&4.into(), &2.into()), "{query}");
    let metrics = running.get("/metrics").await.text;
    assert!(metrics.contains("barograph_admission_refused_total{class=\"query\"} 4"), "{metrics}");
    assert!(metrics.contains("barograph_admission_in_flight{class=\"query\"} 2"), "{metrics}");
    // Stopped, they make place.
    for query in running.get(QUERIES).await.json()["running"].as_array().unwrap() {
        running.call(Method::DELETE, &format!("{QUERIES}/{}", query["id"]), &[], b"").await;
    }
    for query in heavy {
        timeout(PATIENCE, query).await.unwrap().unwrap();
    }
    assert_eq!(running.get("/api/v1/query?query=1").await.status, 200);
    Arc::into_inner(running).unwrap().server.stop().await;
}
