//! Scrapes of real pages over loopback.

use std::{
    collections::{BTreeMap, HashMap},
    io::Write,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use barograph_model::{Exemplar, Labels, Metadata, MetricType, Timestamp, is_stale, stale_marker};
use barograph_tsdb::{HistogramRow, Row};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

use super::*;
use crate::{clock::Clock, config::Config};

/// How long a test waits for what has to happen.
const PATIENCE: Duration = Duration::from_secs(10);

struct TestClock(Instant);

#[expect(clippy::disallowed_methods, reason = "this is the clock of the tests")]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timestamp(i64::try_from(since.as_millis()).unwrap())
    }

    fn monotonic(&self) -> Duration {
        Instant::now().duration_since(self.0)
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock of the tests")]
fn clock() -> Arc<dyn Clock> {
    Arc::new(TestClock(Instant::now()))
}

/// Everything that was handed over, by series.
#[derive(Default)]
struct Memory {
    samples: Mutex<BTreeMap<String, Vec<(i64, f64)>>>,
    metadata: Mutex<BTreeMap<String, Metadata>>,
    exemplars: Mutex<usize>,
}

impl Sink for Memory {
    fn append(&self, rows: &[Row<'_>], histograms: &[HistogramRow<'_>]) -> Result<Outcome, SinkError> {
        let mut samples = self.samples.lock().unwrap();
        for row in histograms {
            let labels = Labels::from_canonical_bytes(row.labels).unwrap();
            let value = if row.histogram.is_stale() { stale_marker() } else { row.histogram.count() };
            samples.entry(labels.to_string()).or_default().push((row.at, value));
        }
        for row in rows {
            let labels = Labels::from_canonical_bytes(row.labels).unwrap();
            samples.entry(labels.to_string()).or_default().push((row.at, row.value));
        }
        Ok(Outcome { duplicate: 1, ..Outcome::default() })
    }

    fn metadata(&self, family: &str, metadata: &Metadata) {
        self.metadata.lock().unwrap().insert(family.to_owned(), metadata.clone());
    }

    fn exemplar(&self, _labels: &[u8], _exemplar: Exemplar) {
        *self.exemplars.lock().unwrap() += 1;
    }
}

impl Memory {
    fn values(&self, series: &str) -> Vec<f64> {
        let samples = self.samples.lock().unwrap();
        samples.get(series).map(|samples| samples.iter().map(|sample| sample.1).collect()).unwrap_or_default()
    }

    fn last(&self, series: &str) -> Option<f64> {
        self.values(series).last().copied()
    }
}

/// By path, what follows `HTTP/1.1` in the head, and the body.
type SharedPages = Arc<Mutex<HashMap<String, (String, Vec<u8>)>>>;

/// A server whose pages can be changed.
struct Pages {
    address: String,
    pages: SharedPages,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Pages {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (pages, requests) = (SharedPages::default(), Arc::<Mutex<Vec<_>>>::default());
        let task = tokio::spawn(serve(listener, pages.clone(), requests.clone()));
        Self { address, pages, requests, task }
    }

    fn set(&self, path: &str, head: &str, body: &[u8]) {
        self.pages.lock().unwrap().insert(path.to_owned(), (head.to_owned(), body.to_owned()));
    }

    fn text(&self, body: &str) {
        self.set("/metrics", "200 OK\r\ncontent-type: text/plain; version=0.0.4", body.as_bytes());
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, pages: SharedPages, requests: Arc<Mutex<Vec<String>>>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => request.push(byte),
                Err(_) => break,
            }
        }
        let request = String::from_utf8(request).unwrap();
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        requests.lock().unwrap().push(request);
        let Some((head, body)) = pages.lock().unwrap().get(&path).cloned() else { continue };
        let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
    }
}

struct Bench {
    pages: Pages,
    memory: Arc<Memory>,
    manager: ScrapeManager,
}

impl Bench {
    async fn start() -> Self {
        let (pages, memory) = (Pages::start().await, Arc::new(Memory::default()));
        let discovery = Discovery { file_interval: Duration::from_millis(50) };
        let manager = ScrapeManager::start(memory.clone(), clock(), discovery);
        Self { pages, memory, manager }
    }

    /// Applies jobs (YAML), in which `ADDRESS` stands for the server's.
    fn apply(&self, jobs: &str) {
        let text = format!("global: {{scrape_interval: 400ms}}\nscrape_configs: {jobs}");
        let text = text.replace("ADDRESS", &self.pages.address);
        self.manager.apply(&Config::parse(&text, "test", Path::new("/"), []).unwrap().scrape_configs);
    }

    /// One job named `j` with the server as target and these settings.
    fn apply_one(&self, settings: &str) {
        self.apply(&format!(
            "[{{job_name: j, static_configs: [{{targets: [ADDRESS], labels: {{instance: i}}}}], {settings}}}]"
        ));
    }

    /// Waits until something holds.
    async fn until(&self, what: &str, mut holds: impl FnMut(&Memory) -> bool) {
        let wait = async {
            while !holds(&self.memory) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("not within {PATIENCE:?}: {what}; targets {:?}", self.manager.targets());
        }
    }

    /// Waits for a scrape that fails, and says why it did.
    async fn error(&self) -> String {
        let failed = || self.manager.targets().into_iter().find(|target| target.health == Health::Down);
        self.until("a scrape fails", |_| failed().is_some()).await;
        failed().map(|target| target.last_error).unwrap_or_default()
    }
}

const UP: &str = r#"up{instance="i", job="j"}"#;

#[tokio::test]
async fn samples_arrive_with_their_report() {
    let bench = Bench::start().await;
    bench.apply_one("params: {q: [v]}");
    bench.pages.set(
        "/metrics?q=v",
        "200 OK\r\ncontent-type: text/plain",
        b"# TYPE a counter\n# HELP a Words.\na{x=\"y\"} 1.5\nb 2 1234\n",
    );
    bench.until("two scrapes", |memory| memory.values(UP).len() >= 2).await;
    let memory = &bench.memory;
    assert_eq!(memory.values(UP)[..2], [1.0, 1.0]);
    assert_eq!(memory.last(r#"a{instance="i", job="j", x="y"}"#), Some(1.5));
    assert_eq!(memory.samples.lock().unwrap()[r#"b{instance="i", job="j"}"#][0], (1234, 2.0));
    assert_eq!(memory.last(r#"scrape_samples_scraped{instance="i", job="j"}"#), Some(2.0));
    assert_eq!(memory.last(r#"scrape_samples_post_metric_relabeling{instance="i", job="j"}"#), Some(2.0));
    assert_eq!(memory.values(r#"scrape_series_added{instance="i", job="j"}"#)[..2], [2.0, 0.0]);
    let duration = memory.last(r#"scrape_duration_seconds{instance="i", job="j"}"#).unwrap();
    assert!(duration > 0.0 && duration < 1.0, "{duration}");
    let metadata = memory.metadata.lock().unwrap()["a"].clone();
    assert_eq!((metadata.kind, metadata.help.as_str()), (MetricType::Counter, "Words."));

    let request = bench.pages.requests.lock().unwrap()[0].clone();
    for header in [
        "accept: application/openmetrics-text",
        "accept-encoding: gzip",
        "x-prometheus-scrape-timeout-seconds: 0.4",
        "user-agent: Barograph/",
    ] {
        assert!(request.contains(header), "{header:?} in {request}");
    }
    let target = &bench.manager.targets()[0];
    assert_eq!((target.pool.as_str(), target.health, target.last_error.as_str()), ("j", Health::Up, ""));
    let counts = bench.manager.counts();
    assert!(counts.scrapes >= 2 && counts.failures == 0 && counts.samples >= 4, "{counts:?}");
    assert_eq!(counts.rejected.duplicate, counts.scrapes);
}

#[tokio::test]
async fn samples_bear_the_time_of_their_scrape() {
    let bench = Bench::start().await;
    bench.pages.text("a 1\n");
    bench.apply_one("");
    bench.until("three scrapes", |memory| memory.values(UP).len() >= 3).await;
    let samples = bench.memory.samples.lock().unwrap();
    let times = |series: &str| samples[series].iter().map(|sample| sample.0).collect::<Vec<_>>();
    assert_eq!(times(UP), times(r#"a{instance="i", job="j"}"#));
    assert!(times(UP).is_sorted_by(|a, b| a < b));
}

#[tokio::test]
async fn series_that_vanish_become_stale() {
    let bench = Bench::start().await;
    let (a, b) = (r#"a{instance="i", job="j"}"#, r#"b{instance="i", job="j"}"#);
    bench.pages.text("a 1\nb 1\n");
    bench.apply_one("");
    bench.until("b is there", |memory| memory.last(b) == Some(1.0)).await;
    bench.pages.text("a 1\n");
    bench.until("b is stale", |memory| memory.last(b).is_some_and(is_stale)).await;
    assert_eq!(bench.memory.last(a), Some(1.0));
    bench.pages.set("/metrics", "500 Oops", b"");
    bench.until("a is stale too", |memory| memory.last(a).is_some_and(is_stale)).await;
    bench.until("up is 0", |memory| memory.last(UP) == Some(0.0)).await;
    assert_eq!(bench.error().await, "the target answered with HTTP status 500 Internal Server Error");
    bench.pages.text("a 1\n");
    bench.until("a is back", |memory| memory.last(a) == Some(1.0)).await;
    bench.apply("[]");
    bench.until("the target is gone", |memory| memory.last(UP).is_some_and(is_stale)).await;
    assert!(bench.memory.last(a).is_some_and(is_stale));
    assert!(bench.manager.targets().is_empty());
}

#[tokio::test]
async fn new_rules_hold_from_the_next_scrape() {
    let bench = Bench::start().await;
    bench.pages.text("a 1\nb 1\n");
    bench.apply_one("");
    let b = r#"b{instance="i", job="j"}"#;
    bench.until("b is there", |memory| memory.last(b) == Some(1.0)).await;
    bench.apply_one("metric_relabel_configs: [{source_labels: [__name__], regex: b, action: drop}]");
    bench.until("b is stale", |memory| memory.last(b).is_some_and(is_stale)).await;
    let a = bench.memory.values(r#"a{instance="i", job="j"}"#);
    assert!(a.iter().all(|value| !is_stale(*value)), "the other series goes on: {a:?}");
}

#[tokio::test]
async fn another_pace_is_the_same_series() {
    let bench = Bench::start().await;
    bench.pages.text("a 1\n");
    bench.apply_one("");
    bench.until("it is up", |memory| memory.last(UP) == Some(1.0)).await;
    bench.apply_one("scrape_interval: 350ms");
    let before = bench.memory.values(UP).len();
    bench.until("it goes on", |memory| memory.values(UP).len() > before + 2).await;
    assert!(bench.memory.values(UP).iter().all(|value| *value == 1.0));
    assert_eq!(bench.manager.targets()[0].interval, Duration::from_millis(350));
}

#[tokio::test]
async fn pages_may_be_compressed_and_elsewhere() {
    let bench = Bench::start().await;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(b"a_total 1 # {trace_id=\"x\"} 1\n# EOF\n").unwrap();
    let head =
        "200 OK\r\ncontent-type: application/openmetrics-text; version=1.0.0\r\ncontent-encoding: gzip";
    bench.pages.set("/metrics", "302 Found\r\nlocation: /elsewhere", b"");
    bench.pages.set("/elsewhere", head, &encoder.finish().unwrap());
    bench.apply_one("");
    bench.until("it is up", |memory| memory.last(UP) == Some(1.0)).await;
    assert_eq!(bench.memory.last(r#"a_total{instance="i", job="j"}"#), Some(1.0));
    assert!(*bench.memory.exemplars.lock().unwrap() > 0);
}

#[tokio::test]
async fn credentials_are_sent() {
    let bench = Bench::start().await;
    bench.pages.text("a 1\n");
    bench.apply_one("basic_auth: {username: ann, password: hunter2}");
    bench.until("it is up", |memory| memory.last(UP) == Some(1.0)).await;
    assert!(bench.pages.requests.lock().unwrap()[0].contains("authorization: Basic YW5uOmh1bnRlcjI=\r\n"));
    bench.apply_one("authorization: {credentials: token}");
    let sent = |pages: &Pages| {
        pages.requests.lock().unwrap().iter().any(|r| r.contains("authorization: Bearer token\r\n"))
    };
    bench.until("the token is sent", |_| sent(&bench.pages)).await;
}

/// Why a scrape with these settings of this answer fails.
async fn check_fails(settings: &str, head: &str, body: &[u8], expected: &str) {
    let bench = Bench::start().await;
    bench.pages.set("/metrics", head, body);
    bench.apply_one(settings);
    assert_eq!(bench.error().await, expected);
    bench.until("up is 0", |memory| memory.last(UP) == Some(0.0)).await;
    assert_eq!(bench.memory.samples.lock().unwrap().len(), 5, "only the report is stored");
}

#[tokio::test]
async fn a_scrape_that_fails_says_why() {
    let text = "200 OK\r\ncontent-type: text/plain";
    let gzip = "200 OK\r\ncontent-type: text/plain\r\ncontent-encoding: gzip";
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b'\n'; 1 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();

    check_fails(
        "",
        text,
        b"a 1\nb\n",
        "line 2, column 2: expected a number as value, found the end of the line",
    )
    .await;
    check_fails(
        "",
        "200 OK\r\ncontent-type: text/html",
        b"a 1\n",
        "content type `text/html` is no metrics format; `fallback_scrape_protocol` may name one",
    )
    .await;
    check_fails("body_size_limit: 3B", text, b"a 1\n", "the page is larger than its limit of 3 bytes").await;
    check_fails("body_size_limit: 2KB", gzip, &bomb, "the page is larger than its limit of 2048 bytes").await;
    check_fails("", gzip, b"not compressed at all\n", "the answer is not gzip: invalid gzip header").await;
    check_fails(
        "follow_redirects: false",
        "302 Found\r\nlocation: /x",
        b"",
        "the target answered with HTTP status 302 Found",
    )
    .await;
    check_fails("", "302 Found\r\nlocation: /metrics", b"", "more than 5 redirects").await;
    check_fails("", "302 Found\r\nlocation: ftp://x/", b"", "cannot follow a redirect to `ftp://x/`").await;
}

#[tokio::test]
async fn a_job_with_too_many_targets_is_down() {
    let bench = Bench::start().await;
    bench.pages.text("a 1\n");
    bench.apply("[{job_name: j, target_limit: 1, static_configs: [{targets: [ADDRESS, b]}]}]");
    assert_eq!(bench.error().await, "the job has 2 targets, more than its limit of 1");
    assert!(bench.pages.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_fallback_names_the_format() {
    let bench = Bench::start().await;
    bench.pages.set("/metrics", "200 OK", b"a 1\n");
    bench.apply_one("fallback_scrape_protocol: PrometheusText0.0.4");
    bench.until("it is up", |memory| memory.last(UP) == Some(1.0)).await;
}

#[tokio::test]
async fn a_target_that_does_not_answer_is_down() {
    let bench = Bench::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap();
    bench.apply(&format!("[{{job_name: j, static_configs: [{{targets: ['{silent}']}}]}}]"));
    assert_eq!(bench.error().await, "the scrape took longer than its timeout of 400ms");
    drop(listener);
    let refused = |bench: &Bench| bench.manager.targets()[0].last_error.contains("onnection refused");
    bench.until("the connection is refused", |_| refused(&bench)).await;
}

#[tokio::test]
async fn targets_follow_their_files() {
    let bench = Bench::start().await;
    bench.pages.text("a 1\n");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("targets.json");
    let write = |text: &str| std::fs::write(&path, text.replace("ADDRESS", &bench.pages.address)).unwrap();
    write(r#"[{"targets": ["ADDRESS"], "labels": {"instance": "i"}}]"#);
    bench.apply(&format!("[{{job_name: j, file_sd_configs: [{{files: ['{}']}}]}}]", path.display()));
    bench.until("it is up", |memory| memory.last(UP) == Some(1.0)).await;
    let found = bench.manager.targets()[0].discovered.value("__meta_filepath").map(str::to_owned);
    assert_eq!(found, Some(path.display().to_string()));

    write("[{broken");
    bench.until("the file is noticed", |_| bench.manager.counts().file_failures > 0).await;
    let before = bench.memory.values(UP).len();
    bench.until("the target stays", |memory| memory.values(UP).len() > before + 1).await;

    write("[]");
    bench.until("the target goes", |memory| memory.last(UP).is_some_and(is_stale)).await;
}

#[tokio::test]
async fn dropped_targets_are_listed() {
    let bench = Bench::start().await;
    bench.apply(
        "[{job_name: j, static_configs: [{targets: [a, b, c]}], relabel_configs: [\
         {source_labels: [__address__], regex: a, action: drop}, \
         {source_labels: [__address__], regex: b, target_label: __scheme__, replacement: ftp}]}]",
    );
    bench.until("one is left", |_| bench.manager.targets().len() == 1).await;
    let mut dropped: Vec<_> =
        bench.manager.dropped_targets().into_iter().map(|target| target.error).collect();
    dropped.sort();
    assert_eq!(dropped, ["", "scheme `ftp` is not supported, only `http` and `https` are"]);
}

#[tokio::test]
async fn stopping_leaves_series_as_they_are() {
    let bench = Bench::start().await;
    bench.pages.text("a 1\n");
    bench.apply_one("");
    bench.until("it is up", |memory| memory.last(UP) == Some(1.0)).await;
    bench.manager.stop().await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert!(bench.memory.values(UP).iter().all(|value| *value == 1.0));
}
