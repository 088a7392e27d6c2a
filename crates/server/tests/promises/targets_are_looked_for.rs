//! Targets are looked for in the DNS and over HTTP, are scraped in the format that is asked for and within limits, and the
//! Prometheus API tells all of it.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use crate::support::{Running, configured, start};
use barograph_model::{Labels, MetricType, Sketch};
use barograph_wire::exposition::{Family, Form, Point};
use serde_json::{Value, json};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, ResourceRecord, TYPE, rdata};

const QUIET: &str = "collectors: {built_in: false}\nglobal: {scrape_interval: 1s, scrape_timeout: 1s}\n";

#[tokio::test]
async fn targets_come_from_the_dns() {
    let target = serve(Page::text("orders_total 7\n"));
    let dns = serve_dns(target.port());
    let config = format!(
        "{QUIET}scrape_configs:\n\
         - job_name: srv\n  dns_sd_configs: [{{names: [_shop._tcp.example], refresh_interval: 1s, servers: ['{dns}']}}]\n\
         \x20 relabel_configs:\n\
         \x20 - {{source_labels: [__meta_dns_srv_record_port], target_label: port}}\n\
         \x20 - {{source_labels: [__meta_dns_name], target_label: name}}\n\
         - job_name: a\n  dns_sd_configs: [{{names: [shop.example], type: A, port: {}, servers: ['{dns}']}}]\n\
         - job_name: long\n  dns_sd_configs: [{{names: [long.example], type: A, port: {}, servers: ['{dns}']}}]\n",
        target.port(),
        target.port(),
    );
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(&config)).await;
    let up = until(&running, "up==1", |result| result.len() == 3).await;
    let of = |job: &str| up.iter().find(|series| series["metric"]["job"] == job).unwrap()["metric"].clone();
    let port = target.port().to_string();
    assert_eq!((&of("srv")["port"], &of("srv")["name"]), (&json!(port), &json!("_shop._tcp.example")));
    assert_eq!(of("srv")["instance"], format!("localhost:{port}"));
    assert_eq!(of("a")["instance"], format!("127.0.0.1:{port}"));
    assert_eq!(
        of("long")["instance"],
        format!("127.0.0.1:{port}"),
        "what is cut over UDP is asked for over TCP"
    );
    running.server.stop().await;
}

#[tokio::test]
async fn targets_come_over_http_and_go() {
    let target = serve(Page::text("orders_total 7\n"));
    let listed = json!([{"targets": [target.to_string()], "labels": {"zone": "north", "__meta_rack": "r1"}}]);
    let list =
        Page { content_type: "application/json", body: listed.to_string().into_bytes(), ..Page::text("") };
    let answers = Arc::new(Mutex::new(list));
    let discovery = serve_changing(answers.clone());
    let config = format!(
        "{QUIET}scrape_configs:\n- job_name: shop\n  http_sd_configs: [{{url: 'http://{discovery}/targets', refresh_interval: 1s}}]\n\
         \x20 relabel_configs: [{{action: labelmap, regex: '__meta_(rack)'}}]\n"
    );
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(&config)).await;
    let orders = until(&running, "orders_total", |result| !result.is_empty()).await;
    let labels = json!({"__name__": "orders_total", "instance": target.to_string(), "job": "shop", "rack": "r1", "zone": "north"});
    assert_eq!(orders[0]["metric"], labels);
    let targets = running.data("/api/v1/targets").await;
    let discovered = &targets["activeTargets"][0]["discoveredLabels"];
    assert_eq!(discovered["__meta_url"], format!("http://{discovery}/targets"));

    // An answer that is no list keeps what was there; an empty list does not.
    answers.lock().unwrap().body = b"{}".to_vec();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(until(&running, "up", |result| !result.is_empty()).await.len(), 1);
    answers.lock().unwrap().body = b"[]".to_vec();
    until(&running, "up", <[Value]>::is_empty).await;
    running.server.stop().await;
}

#[tokio::test]
async fn pages_of_protobuf_have_native_histograms() {
    let target =
        serve(Page { content_type: Form::Protobuf.content_type(), body: histogram(), ..Page::text("") });
    let config = format!(
        "{QUIET}scrape_configs:\n\
         - {{job_name: native, scrape_native_histograms: true, static_configs: [{{targets: ['{target}']}}]}}\n\
         - {{job_name: classic, scrape_protocols: [PrometheusProto], static_configs: [{{targets: ['{target}']}}]}}\n\
         - {{job_name: converted, convert_classic_histograms_to_nhcb: true, scrape_protocols: [PrometheusProto],\n\
         \x20 static_configs: [{{targets: ['{target}']}}]}}\n"
    );
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(&config)).await;
    let counts = until(&running, "histogram_count(wait_seconds)", |result| result.len() == 2).await;
    assert!(counts.iter().all(|series| series["value"][1] == "3"), "{counts:?}");
    let buckets = until(&running, "wait_seconds_bucket", |result| result.len() == 2).await;
    assert!(buckets.iter().all(|series| series["metric"]["job"] == "classic"), "{buckets:?}");
    let metadata = running.data("/api/v1/metadata?metric=wait_seconds").await;
    assert_eq!(metadata["wait_seconds"][0], json!({"type": "histogram", "unit": "", "help": "Waiting."}));
    running.server.stop().await;
}

#[tokio::test]
async fn limits_and_what_is_scraped_are_told() {
    let target = serve(Page::text("# TYPE a_total counter\n# HELP a_total Words.\na_total 1\nb 1\nc 1\n"));
    let config = format!(
        "{QUIET}scrape_configs:\n\
         - {{job_name: good, static_configs: [{{targets: ['{target}', 'x:1']}}],\n\
         \x20 relabel_configs: [{{action: drop, source_labels: [__address__], regex: 'x:.*'}}]}}\n\
         - {{job_name: samples, sample_limit: 2, static_configs: [{{targets: ['{target}']}}]}}\n\
         - {{job_name: body, body_size_limit: 10B, static_configs: [{{targets: ['{target}']}}]}}\n\
         - {{job_name: labels, label_limit: 2, static_configs: [{{targets: ['{target}']}}]}}\n\
         - {{job_name: targets, target_limit: 1, static_configs: [{{targets: ['{target}', 'y:1']}}]}}\n"
    );
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(&config)).await;
    until(&running, "up", |result| result.len() == 6).await;
    let data = running.data("/api/v1/targets").await;
    let of = |job: &str| {
        let targets = data["activeTargets"].as_array().unwrap();
        targets.iter().find(|target| target["scrapePool"] == job).unwrap().clone()
    };
    let good = of("good");
    assert_eq!((&good["health"], &good["lastError"]), (&json!("up"), &json!("")));
    assert_eq!(good["labels"], json!({"instance": target.to_string(), "job": "good"}));
    assert_eq!(good["scrapeUrl"], format!("http://{target}/metrics"));
    assert_eq!((&good["scrapeInterval"], &good["scrapeTimeout"]), (&json!("1s"), &json!("1s")));
    for (job, error) in [
        ("samples", "the page has more samples than its limit of 2"),
        ("body", "the page is larger than its limit of 10 bytes"),
        ("labels", "the page has more labels than its limit of 2"),
        ("targets", "the job has 2 targets, more than its limit of 1"),
    ] {
        assert_eq!((&of(job)["health"], &of(job)["lastError"]), (&json!("down"), &json!(error)), "{job}");
    }
    assert_eq!(data["droppedTargets"][0]["discoveredLabels"]["__address__"], "x:1");
    assert_eq!(data["droppedTargetCounts"]["good"], 1);

    let active = running.data("/api/v1/targets?state=active&scrapePool=good").await;
    assert_eq!(active["activeTargets"].as_array().unwrap().len(), 1);
    assert_eq!((&active["droppedTargets"], &active["droppedTargetCounts"]), (&json!([]), &Value::Null));
    let dropped = running.data("/api/v1/targets?state=dropped").await;
    assert_eq!(dropped["activeTargets"], json!([]));
    let pools = running.data("/api/v1/scrape_pools").await;
    assert_eq!(pools, json!({"scrapePools": ["body", "good", "labels", "samples", "targets"]}));
    let steps = running
        .data("/api/v1/targets/relabel_steps?scrapePool=good&labels=%7B%22__address__%22%3A%22x%3A1%22%7D")
        .await;
    assert_eq!(
        (&steps["steps"][0]["keep"], &steps["steps"][0]["rule"]["regex"]),
        (&json!(false), &json!("x:.*"))
    );
    let metadata = running.data("/api/v1/targets/metadata?match_target=%7Bjob%3D%22good%22%7D").await;
    let row = json!({"target": {"instance": target.to_string(), "job": "good"}, "metric": "a_total",
        "type": "counter", "help": "Words.", "unit": ""});
    assert_eq!(metadata, json!([row]));
    running.server.stop().await;
}

#[tokio::test]
async fn what_runs_is_told_in_the_words_of_prometheus() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(QUIET)).await;
    let flags = running.data("/api/v1/status/flags").await;
    assert_eq!((&flags["query.timeout"], &flags["web.enable-admin-api"]), (&json!("2m"), &json!("true")));
    let runtime = running.data("/api/v1/status/runtimeinfo").await;
    for key in ["startTime", "CWD", "hostname", "serverTime", "GOMAXPROCS", "storageRetention"] {
        assert!(!runtime[key].is_null(), "{key} in {runtime}");
    }
    assert_eq!(running.data("/api/v1/status/walreplay").await["state"], "done");
    let features = running.data("/api/v1/features").await;
    assert_eq!(
        (&features["promql_functions"]["rate"], &features["service_discovery_providers"]["dns"]),
        (&json!(true), &json!(true))
    );
    let none = json!({"activeAlertmanagers": [], "droppedAlertmanagers": []});
    assert_eq!(running.data("/api/v1/alertmanagers").await, none);
    assert_eq!(running.data("/api/v1/notifications").await, json!([]));
    let tree = running.data("/api/v1/parse_query?query=sum(up)").await;
    assert_eq!((&tree["type"], &tree["expr"]["name"]), (&json!("aggregation"), &json!("up")));
    for (path, text) in [
        ("/api/v1/parse_query?query=sum(", "invalid parameter"),
        ("/api/v1/targets?state=odd", "use active, dropped or any"),
        ("/api/v1/targets/relabel_steps?scrapePool=x&labels=%7B%7D", "there is no scrape pool"),
    ] {
        let reply = running.call(hyper::Method::GET, path, &[], b"").await;
        assert_eq!((reply.status.as_u16(), &reply.json()["errorType"]), (400, &json!("bad_data")), "{path}");
        assert!(reply.text.contains(text), "{}", reply.text);
    }
    running.server.stop().await;
}

/// Asks until the result is as wanted, for at most twenty seconds.
async fn until(running: &Running, query: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let last = Mutex::new(Value::Null);
    let asking = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let query = query.replace('=', "%3D");
            let data = running.data(&format!("/api/v1/query?query={query}")).await;
            let result = data["result"].as_array().unwrap().clone();
            if wanted(&result) {
                return result;
            }
            *last.lock().unwrap() = data;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let found = asking.await;
    found.unwrap_or_else(|_| panic!("{query} did not become what it should: {}", last.lock().unwrap()))
}

/// What a server answers to everything.
#[derive(Clone)]
struct Page {
    status: &'static str,
    content_type: &'static str,
    body: Vec<u8>,
}

impl Page {
    fn text(body: &str) -> Self {
        Self { status: "200 OK", content_type: "text/plain; version=0.0.4", body: body.as_bytes().to_vec() }
    }
}

fn serve(page: Page) -> SocketAddr {
    serve_changing(Arc::new(Mutex::new(page)))
}

/// Its thread ends with the test.
fn serve_changing(page: Arc<Mutex<Page>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().take(500) {
            let page = page.lock().unwrap().clone();
            answer(stream.unwrap(), &page);
        }
    });
    address
}

fn answer(mut stream: TcpStream, page: &Page) {
    let mut head = [0; 4096];
    let _ = stream.read(&mut head);
    let Page { status, content_type, body } = page;
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(body);
}

/// A histogram of three values, in both forms.
fn histogram() -> Vec<u8> {
    let mut sketch = Sketch::new();
    [1.0, 1.0, 4.0].into_iter().for_each(|value| sketch.add(value));
    let mut count = Point::new("_count", Labels::empty(), 3.0);
    count.sketch = Some(Arc::new(sketch));
    let points = vec![
        Point::new("_bucket", Labels::empty().with("le", "2"), 2.0),
        Point::new("_bucket", Labels::empty().with("le", "+Inf"), 3.0),
        Point::new("_sum", Labels::empty(), 6.0),
        count,
    ];
    let family = Family {
        name: "wait_seconds".into(),
        help: "Waiting.".into(),
        unit: String::new(),
        kind: MetricType::Histogram,
        points,
    };
    Form::Protobuf.page(&[family])
}

/// A DNS server that knows three names, over UDP and TCP; answers to `long.example` are cut over UDP.
fn serve_dns(port: u16) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let listener = TcpListener::bind(address).unwrap();
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((len, from)) = socket.recv_from(&mut query) {
            let _ = socket.send_to(&dns_answer(&query[..len], port, true), from);
        }
    });
    thread::spawn(move || {
        for stream in listener.incoming().take(100) {
            let mut stream = stream.unwrap();
            let mut len = [0; 2];
            stream.read_exact(&mut len).unwrap();
            let mut query = vec![0; usize::from(u16::from_be_bytes(len))];
            stream.read_exact(&mut query).unwrap();
            let answer = dns_answer(&query, port, false);
            let len = u16::try_from(answer.len()).unwrap();
            stream.write_all(&[&len.to_be_bytes()[..], &answer].concat()).unwrap();
        }
    });
    address
}

fn dns_answer(query: &[u8], port: u16, udp: bool) -> Vec<u8> {
    let asked = Packet::parse(query).unwrap();
    let question = asked.questions[0].clone();
    let mut answer = Packet::new_reply(asked.id());
    answer.set_flags(PacketFlag::RESPONSE | PacketFlag::RECURSION_DESIRED);
    let name = question.qname.to_string();
    if name == "long.example" && udp {
        answer.set_flags(PacketFlag::TRUNCATION);
    } else {
        let data = match question.qtype {
            QTYPE::TYPE(TYPE::SRV) => {
                let target = Name::new("localhost").unwrap();
                rdata::RData::SRV(rdata::SRV { priority: 1, weight: 1, port, target })
            }
            _ => rdata::RData::A(rdata::A { address: Ipv4Addr::LOCALHOST.to_bits() }),
        };
        answer.answers.push(ResourceRecord::new(question.qname.clone(), CLASS::IN, 5, data));
    }
    answer.questions.push(question);
    answer.build_bytes_vec().unwrap()
}
