//! The hours before the start: what the services would have told had somebody asked.
//!
//! The shop goes through them at once. At each step the registries are read as a scrape would read them, and the
//! samples go to the server's import, some ten thousands a request.

use std::{collections::HashMap, net::SocketAddr};

use barograph_model::{Labels, LabelsBuilder, Sample, Timestamp, stale_marker};
use barograph_server::clock::Clock;
use barograph_wire::remote_write::Writer;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode, body::Bytes, header};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::{DemoError, services::Process, shop::Shop};

/// From one sample to the next of what is long ago.
const COARSE: i64 = 30_000;
/// And of the last minutes.
const FINE: i64 = 5_000;
const FINE_FROM: i64 = 15 * 60_000;

/// Samples in a request; the server takes 100,000.
const SAMPLES_MAX: usize = 60_000;

/// Lets the shop go through everything until now, and writes it to the server. Returns how many samples.
///
/// While this is done time goes on; that is written, too, so that what is scraped from then on follows without a gap.
pub(crate) async fn write(
    shop: &mut Shop,
    from: Timestamp,
    clock: &dyn Clock,
    server: SocketAddr,
) -> Result<u64, DemoError> {
    let mut notes: Vec<Notes> = shop.processes().iter().map(|_| Notes::default()).collect();
    let mut import = Import::new(server);
    let start = clock.now();
    let mut now = from;
    loop {
        let ahead = start.millis() - now.millis() > FINE_FROM;
        now = now.saturating_add(if ahead { COARSE } else { FINE });
        if now > clock.now() {
            break;
        }
        shop.advance(now, |call| call.play_at_once());
        for (process, notes) in shop.processes().into_iter().zip(&mut notes) {
            import.waiting += if shop.runs(process) { notes.read(process, now) } else { notes.end(now) };
        }
        if import.waiting >= SAMPLES_MAX {
            import.send(&mut notes).await?;
        }
    }
    import.send(&mut notes).await?;
    Ok(import.sent)
}

/// What was read of a process and is not sent yet.
#[derive(Default)]
struct Notes {
    running: bool,
    series: Vec<Series>,
    /// Where the series of a family stand, by suffix and labels.
    places: HashMap<String, HashMap<(&'static str, Labels), usize>>,
}

struct Series {
    labels: Labels,
    samples: Vec<Sample>,
}

impl Notes {
    /// Reads all metrics of a process that runs, as they stand; how many samples that is.
    fn read(&mut self, process: &Process, now: Timestamp) -> usize {
        self.running = true;
        let up = LabelsBuilder::new().build();
        let mut count = self.note(process, "up", ("", up), Sample { at: now, value: 1.0 });
        for family in process.registry.collect() {
            for point in family.points {
                let sample = Sample { at: now, value: point.value };
                count += self.note(process, &family.name, (point.suffix, point.labels), sample);
            }
        }
        count
    }

    /// The process runs no more: its series end.
    fn end(&mut self, now: Timestamp) -> usize {
        if !std::mem::take(&mut self.running) {
            return 0;
        }
        for series in &mut self.series {
            series.samples.push(Sample { at: now, value: stale_marker() });
        }
        self.series.len()
    }

    fn note(
        &mut self,
        process: &Process,
        family: &str,
        key: (&'static str, Labels),
        sample: Sample,
    ) -> usize {
        if !self.places.contains_key(family) {
            self.places.insert(family.to_owned(), HashMap::new());
        }
        let places = self.places.get_mut(family).expect("it was just made");
        let place = *places.entry(key).or_insert_with_key(|(suffix, labels)| {
            let mut whole = LabelsBuilder::from(labels);
            let identity = &process.identity;
            whole.set("__name__", &format!("{family}{suffix}")).set("job", identity.job);
            whole.set("instance", &identity.instance).set("version", identity.version);
            self.series.push(Series { labels: whole.build(), samples: Vec::new() });
            self.series.len() - 1
        });
        self.series[place].samples.push(sample);
        1
    }
}

/// The way to the server.
struct Import {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
    waiting: usize,
    sent: u64,
}

impl Import {
    fn new(server: SocketAddr) -> Self {
        let url = format!("http://{server}/api/barograph/v1/import");
        Self { client: Client::builder(TokioExecutor::new()).build_http(), url, waiting: 0, sent: 0 }
    }

    async fn send(&mut self, notes: &mut [Notes]) -> Result<(), DemoError> {
        let mut request = Writer::new();
        for series in notes.iter_mut().flat_map(|notes| &mut notes.series) {
            if !series.samples.is_empty() {
                request.series(series.labels.as_bytes(), &series.samples);
                series.samples.clear();
            }
        }
        let refused = |why: String| DemoError::History(why);
        let body = request.compressed().map_err(|error| refused(error.to_string()))?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.url)
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .header(header::CONTENT_ENCODING, "snappy")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| refused(error.to_string()))?;
        let reply = self.client.request(request).await.map_err(|error| refused(error.to_string()))?;
        let status = reply.status();
        if status != StatusCode::OK {
            let text = reply.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            return Err(refused(format!("{status}: {}", String::from_utf8_lossy(&text))));
        }
        self.sent += std::mem::take(&mut self.waiting) as u64;
        Ok(())
    }
}
