//! What an application exports, taken by real receivers: pages of protobuf with native histograms, which Prometheus
//! scrapes, and OTLP, which is pushed to VictoriaMetrics.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use barograph::{
    Registry, Unit,
    export::{Address, Exporter, OtlpSettings},
    exposition::negotiate_form,
};

use super::Ground;
use crate::{
    http::Client,
    peers::Peers,
    place,
    server::{self, Server},
    tally::Tally,
};

/// Longest wait for what is exported to be there.
const ARRIVE_MAX: Duration = Duration::from_secs(60);
/// How often Prometheus asks for a page before the test ends, at most.
const SCRAPES_MAX: usize = 10_000;

/// Expressions and their one value where pages are scraped.
const SCRAPED: [(&str, f64); 5] = [
    ("shop_orders_total{kind=\"express\"}", 3.0),
    ("shop_stock", 7.0),
    ("histogram_count(shop_wait_seconds)", 1_000.0),
    ("histogram_sum(shop_wait_seconds)", 500.5),
    ("histogram_quantile(0.9, shop_wait_seconds)", 0.9),
];
/// The same where OTLP is pushed; the receiver makes buckets of its own of an exponential histogram.
const PUSHED: [(&str, f64); 5] = [
    ("shop_orders_total{kind=\"express\"}", 3.0),
    ("shop_stock", 7.0),
    ("shop_wait_seconds_count", 1_000.0),
    ("shop_wait_seconds_sum", 500.5),
    ("histogram_quantile(0.9, sum by (vmrange) (shop_wait_seconds_bucket))", 0.9),
];

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    let peers = match ground.peers() {
        Ok(peers) => peers,
        Err(why) => {
            tally.skip("exporters to Prometheus and VictoriaMetrics", why);
            return Ok(());
        }
    };
    let folder = place::fresh("exporters")?;
    let registry = shop()?;
    let page = serve_registry(registry.clone())?;
    let prometheus = start_prometheus(peers, &folder, &page)?;
    let victoria = start_victoria(peers, &folder)?;
    let endpoint = Address::parse(&format!("{}/opentelemetry/v1/metrics", victoria.url()))?;
    // All of it was recorded before there was an exporter.
    let exporter = Exporter::otlp(&registry, OtlpSettings::new(endpoint, "pushed"));
    let taken = exporter.shutdown(ARRIVE_MAX);
    tally.check(
        "a push of OTLP is taken",
        if taken { Ok(()) } else { Err(anyhow::anyhow!("{:?}", exporter.problem())) },
    );
    for (receiver, how, expected) in [(&prometheus, "scraped", SCRAPED), (&victoria, "pushed", PUSHED)] {
        let mut client = receiver.client();
        for (expression, expected) in expected {
            tally.check(&format!("{how} {expression}"), arrives(&mut client, expression, expected));
        }
    }
    Ok(())
}

/// A program's metrics.
fn shop() -> Result<Registry> {
    let registry = Registry::new();
    registry.counter("shop.orders").help("Orders.").label("kind", "express").register()?.add(3);
    registry.gauge("shop.stock").register()?.set(7.0);
    let wait = registry.histogram("shop.wait").unit(Unit::Seconds).register()?;
    (1..=1_000).for_each(|i| wait.record(f64::from(i) / 1e3));
    Ok(registry)
}

/// Serves the page of a registry, in the form that is asked for; the address.
fn serve_registry(registry: Registry) -> Result<String> {
    serve(move |accept| {
        let form = negotiate_form(accept);
        (form.content_type().to_owned(), registry.page(form))
    })
}

/// Serves what `page` says, its type and its bytes, to those who accept what it is given; the address.
pub(super) fn serve(page: impl Fn(Option<&str>) -> (String, Vec<u8>) + Send + 'static) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    thread::spawn(move || {
        for stream in listener.incoming().take(SCRAPES_MAX).flatten() {
            // A scrape that fails is asked for again.
            let _ = answer(&page, stream);
        }
    });
    Ok(address)
}

fn answer(page: &impl Fn(Option<&str>) -> (String, Vec<u8>), mut stream: TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let (mut head, mut room) = (Vec::new(), [0; 4_096]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut room)?;
        ensure!(read > 0 && head.len() < 1 << 16, "no whole request");
        head.extend_from_slice(&room[..read]);
    }
    let head = String::from_utf8(head)?;
    let accept =
        head.lines().find_map(|line| line.to_ascii_lowercase().starts_with("accept:").then(|| &line[7..]));
    let (kind, page) = page(accept.map(str::trim));
    let length = page.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    )?;
    stream.write_all(&page)?;
    Ok(())
}

fn start_prometheus(peers: &Peers, folder: &Path, page: &str) -> Result<Server> {
    let address = server::free_address()?;
    let config = folder.join("prometheus.yml");
    let text = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         scrape_configs:\n\
         - {{job_name: scraped, static_configs: [{{targets: ['{page}']}}]}}\n"
    );
    fs::write(&config, text)?;
    let mut command = Command::new(&peers.prometheus);
    command.current_dir(folder).arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()));
    command.args(["--enable-feature=native-histograms", "--log.level=warn"]);
    command.arg(format!("--web.listen-address={address}"));
    let mut prometheus = Server::start(command, &address, &folder.join("prometheus.log"))?;
    prometheus.wait_ready("/-/ready")?;
    Ok(prometheus)
}

fn start_victoria(peers: &Peers, folder: &Path) -> Result<Server> {
    let address = server::free_address()?;
    let mut command = Command::new(&peers.victoria_metrics);
    command.arg(format!("-storageDataPath={}", folder.join("victoria").display()));
    command.arg(format!("-httpListenAddr={address}"));
    // What was just pushed is to be found at once.
    command.args([
        "-opentelemetry.usePrometheusNaming",
        "-search.latencyOffset=0s",
        "-memory.allowedBytes=200MB",
    ]);
    let mut victoria = Server::start(command, &address, &folder.join("victoria.log"))?;
    victoria.wait_ready("/health")?;
    Ok(victoria)
}

/// Waits until an expression has the one value that is expected.
fn arrives(client: &mut Client, expression: &str, expected: f64) -> Result<()> {
    let deadline = Instant::now() + ARRIVE_MAX;
    loop {
        let reply = client.post_form("/api/v1/query", &[("query", expression)])?.json()?;
        let result = &reply["data"]["result"];
        let value = result[0]["value"][1].as_str().and_then(|text| text.parse::<f64>().ok());
        if value.is_some_and(|value| (value - expected).abs() <= 0.02 * expected) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(anyhow::anyhow!("expected {expected}, found {result}"))
                .context(reply["error"].to_string());
        }
        thread::sleep(Duration::from_millis(300));
    }
}
