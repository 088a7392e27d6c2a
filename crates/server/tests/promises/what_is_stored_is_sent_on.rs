//! What is stored is sent on by remote write: all of it, once it is durable, each series in order, whatever the other side
//! says meanwhile, and over a kill and what blocks take over from the log.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use barograph_disk::MemoryDisk;
use barograph_model::{Exemplar, Labels, Sample, Timestamp};
use barograph_wire::remote_write::{DECODED_BYTES_MAX, Entry, Writer, decompress, entries, parse_labels, v2};
use bytes::Bytes;
use hyper::Method;

use crate::support::{Running, configured, now_ms, start, start_on};

/// Someone who takes samples, or says what it was told to say before.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Received>>);

#[derive(Default)]
struct Received {
    /// Series, time and value, in the order of arrival.
    samples: Vec<(String, i64, f64)>,
    /// Series and time of exemplars; each beside a sample of its series in the same request.
    exemplars: Vec<(String, i64)>,
    metadata: Vec<String>,
    headers: Vec<HeaderMap>,
    /// What is answered before anything is taken: a status, and how long to wait.
    refusals: VecDeque<(u16, Option<&'static str>)>,
}

impl Receiver {
    /// Begins to listen; the URL.
    async fn listen(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/write", listener.local_addr().unwrap());
        let router = Router::new().route("/write", post(take)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn samples(&self) -> Vec<(String, i64, f64)> {
        self.0.lock().unwrap().samples.clone()
    }

    /// Waits until there are as many samples, for as long as the test may take.
    async fn wait_for(&self, count: usize) -> Vec<(String, i64, f64)> {
        loop {
            let samples = self.samples();
            if samples.len() >= count {
                return samples;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    let mut received = receiver.0.lock().unwrap();
    let mut scratch = Vec::new();
    let body = decompress(&body, &mut scratch, DECODED_BYTES_MAX).unwrap();
    let (mut samples, mut exemplars) = (Vec::new(), Vec::new());
    if headers["content-type"].to_str().unwrap().contains("v2") {
        let request = v2::Request::read(body).unwrap();
        for series in request.series() {
            let series = series.unwrap();
            let mut labels = Vec::new();
            series.put_labels(&mut labels).unwrap();
            let labels = parse_labels(&labels).unwrap().to_string();
            for entry in series.samples() {
                let sample = entry.unwrap().sample;
                samples.push((labels.clone(), sample.at.0, sample.value));
            }
            assert!(series.samples > 0, "a series of 2.0 has samples: {labels}");
            exemplars.extend(series.exemplars().map(|it| (labels.clone(), it.unwrap().sample.at.0)));
        }
    } else {
        for entry in entries(body) {
            match entry.unwrap() {
                Entry::Sample { labels, sample } => {
                    samples.push((parse_labels(labels).unwrap().to_string(), sample.at.0, sample.value));
                }
                Entry::Metadata(entry) => received.metadata.push(entry.name),
                Entry::Series(series) => {
                    let labels = parse_labels(&series.labels).unwrap().to_string();
                    assert_eq!(series.samples().count(), 0);
                    for exemplar in series.exemplars() {
                        assert!(
                            samples.iter().any(|sample| sample.0 == labels),
                            "a sample of {labels} first"
                        );
                        exemplars.push((labels.clone(), exemplar.unwrap().sample.at.0));
                    }
                }
            }
        }
    }
    if !samples.is_empty()
        && let Some((status, wait)) = received.refusals.pop_front()
    {
        let mut response = StatusCode::from_u16(status).unwrap().into_response();
        if let Some(wait) = wait {
            response.headers_mut().insert("retry-after", wait.parse().unwrap());
        }
        return response;
    }
    received.samples.extend(samples);
    received.exemplars.extend(exemplars);
    received.headers.push(headers);
    StatusCode::NO_CONTENT.into_response()
}

fn sending(url: &str, more: &str) -> String {
    format!(
        "collectors: {{built_in: false}}\nglobal: {{external_labels: {{region: north}}}}\nremote_write:\n- url: {url}\n  \
         name: far\n  queue_config: {{batch_send_deadline: 50ms, max_samples_per_send: 7, min_shards: 3}}\n{more}"
    )
}

/// Ten samples of each of five series from `t` on.
async fn write(running: &Running, t: i64) {
    for n in 0..10 {
        for series in ["a", "b", "c", "d", "noise"] {
            let labels = [("__name__", "m"), ("series", series)];
            assert_eq!(running.write_series(&labels, &[(t + n * 1000, n as f64)]).await.status, 204);
        }
    }
}

/// What is to arrive of that but the noise.
fn expected(t: i64) -> Vec<(String, i64, f64)> {
    let mut expected = Vec::new();
    for series in ["a", "b", "c", "d"] {
        let text = format!("m{{region=\"north\", series=\"{series}\"}}");
        expected.extend((0..10).map(|n| (text.clone(), t + n * 1000, n as f64)));
    }
    expected
}

/// In the order of series, each as it arrived.
fn by_series(mut samples: Vec<(String, i64, f64)>) -> Vec<(String, i64, f64)> {
    samples.sort_by(|a, b| a.0.cmp(&b.0));
    samples
}

/// Of what is stored only the samples of the test, without the noise.
const DROP: &str = "  write_relabel_configs:\n  - {source_labels: [__name__], regex: m, action: keep}\n  \
                    - {source_labels: [series], regex: noise, action: drop}\n";

#[tokio::test]
async fn what_is_stored_is_sent_on() {
    for (message, version) in
        [("prometheus.WriteRequest", "0.1.0"), ("io.prometheus.write.v2.Request", "2.0.0")]
    {
        let receiver = Receiver::default();
        receiver.0.lock().unwrap().refusals = [(503, None), (429, Some("0")), (500, Some("0"))].into();
        let url = receiver.listen().await;
        let dir = tempfile::tempdir().unwrap();
        let more = format!(
            "{DROP}  protobuf_message: {message}\n  headers: {{X-Scope-OrgID: us}}\n  basic_auth: {{username: u, password: p}}\n  \
             metadata_config: {{send_interval: 1s}}\n"
        );
        let running = start(dir.path(), configured(&sending(&url, &more))).await;
        let t = now_ms() - 60_000;
        write(&running, t).await;
        let samples = receiver.wait_for(40).await;
        assert_eq!(by_series(samples), expected(t), "each series in order, nothing twice: {message}");
        let headers = receiver.0.lock().unwrap().headers[0].clone();
        assert_eq!(headers["x-prometheus-remote-write-version"], version);
        assert_eq!(
            (&headers["x-scope-orgid"], &headers["authorization"]),
            (&"us".parse().unwrap(), &"Basic dTpw".parse().unwrap())
        );
        let metrics = running.get("/metrics").await.text;
        let sent = "barograph_remote_storage_samples_total{remote_name=\"far\"} 40\n";
        assert!(metrics.contains(sent), "{metrics}");
        assert!(!metrics.contains("barograph_remote_storage_samples_retried_total{remote_name=\"far\"} 0"));

        // What is refused for good is counted, and does not hold up the rest.
        receiver.0.lock().unwrap().refusals = [(400, None)].into();
        let labels = [("__name__", "m"), ("series", "a")];
        assert_eq!(running.write_series(&labels, &[(t + 20_000, 1.0)]).await.status, 204);
        while !receiver.0.lock().unwrap().refusals.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(running.write_series(&labels, &[(t + 21_000, 2.0)]).await.status, 204);
        let samples = receiver.wait_for(41).await;
        assert_eq!((samples.len(), samples[40].2), (41, 2.0));
        let metrics = running.get("/metrics").await.text;
        let failed = "barograph_remote_storage_samples_failed_total{remote_name=\"far\"} 1\n";
        assert!(metrics.contains(failed), "{metrics}");
        running.server.stop().await;
    }
}

#[tokio::test]
async fn exemplars_go_beside_samples_of_their_series() {
    for message in ["prometheus.WriteRequest", "io.prometheus.write.v2.Request"] {
        let receiver = Receiver::default();
        // What is told to come again comes again with its exemplars.
        receiver.0.lock().unwrap().refusals = [(503, Some("0"))].into();
        let url = receiver.listen().await;
        let dir = tempfile::tempdir().unwrap();
        let more = format!("{DROP}  protobuf_message: {message}\n  send_exemplars: true\n");
        let running = start(dir.path(), configured(&sending(&url, &more))).await;
        let t = now_ms() - 60_000;
        let labels = |series| Labels::from_pairs([("__name__", "m"), ("series", series)]).unwrap();
        let sample = |at| Sample { at: Timestamp(at), value: 1.0 };
        let mut expected = Vec::new();
        for n in 0..20 {
            for series in ["a", "b", "noise"] {
                let mut writer = Writer::new();
                let trace = Labels::from_pairs([("trace_id", format!("{n}").as_str())]).unwrap();
                let exemplar = Exemplar { labels: trace, sample: sample(t + n) };
                // Some come with a sample and some after it, as senders of both kinds do.
                let samples = if n % 2 == 0 { vec![sample(t + n)] } else { Vec::new() };
                writer.series_with_exemplars(labels(series).as_bytes(), &samples, &[exemplar]);
                assert_eq!(running.write(&writer.compressed().unwrap()).await.status, 204);
                if series != "noise" {
                    expected.push((format!("m{{region=\"north\", series=\"{series}\"}}"), t + n));
                }
            }
        }
        let (mut seen, mut at) = (Vec::new(), t + 100);
        while seen.len() < expected.len() {
            // The last ones wait for something to go beside.
            at += 1;
            for series in ["a", "b"] {
                let labels = [("__name__", "m"), ("series", series)];
                assert_eq!(running.write_series(&labels, &[(at, 1.0)]).await.status, 204);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            seen = receiver.0.lock().unwrap().exemplars.clone();
        }
        let by_series = |mut list: Vec<(String, i64)>| {
            list.sort_by(|a, b| a.0.cmp(&b.0));
            list
        };
        assert_eq!(by_series(seen), by_series(expected), "each in order, nothing twice: {message}");
        let metrics = running.get("/metrics").await.text;
        let sent = "barograph_remote_storage_exemplars_total{remote_name=\"far\"} 40\n";
        assert!(metrics.contains(sent), "{metrics}");
        running.server.stop().await;
    }
}

#[tokio::test]
async fn nothing_is_lost_over_a_kill() {
    let disk = MemoryDisk::new();
    let dead = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}/write", listener.local_addr().unwrap())
    };
    let t = now_ms() - 60_000;
    let running = start_on(Arc::new(disk.clone()), configured(&sending(&dead, DROP))).await;
    write(&running, t).await;
    // What blocks hold is kept in the log for who has not read it.
    let flushed = running.call(Method::POST, "/api/barograph/v1/admin/flush", &[], b"").await;
    assert_eq!(flushed.status, 200, "{}", flushed.text);
    assert!(disk.paths().iter().any(|path| path.ends_with(".kept")), "{:?}", disk.paths());
    write(&running, t + 10_000).await;
    let killed = disk.kill();
    drop(running);

    let receiver = Receiver::default();
    let url = receiver.listen().await;
    let running = start_on(Arc::new(killed.clone()), configured(&sending(&url, DROP))).await;
    let mut all = expected(t);
    all.extend(expected(t + 10_000));
    all.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.cmp(&b.1)));
    assert_eq!(by_series(receiver.wait_for(80).await), all);
    running.server.stop().await;

    // What was sent is not sent again after a restart in good order, and what comes then is.
    let running = start_on(Arc::new(killed), configured(&sending(&url, DROP))).await;
    let labels = [("__name__", "m"), ("series", "a")];
    assert_eq!(running.write_series(&labels, &[(t + 30_000, 7.0)]).await.status, 204);
    let samples = receiver.wait_for(81).await;
    assert_eq!((samples.len(), samples[80].1, samples[80].2), (81, t + 30_000, 7.0));
    running.server.stop().await;
}
