//! Pushing how all metrics of a registry stand, at an interval.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use barograph_model::{LabelsBuilder, METRIC_NAME, Metadata, MetricType, Sample, Timestamp};
use barograph_wire::{
    exposition::{Family, Point},
    otlp::{self, Resource, Times},
    remote_write::Writer,
};

use super::{
    OtlpSettings, PUSHES,
    http::{Address, Request},
    retry::{self, Sent},
    wake::{Wake, Worker},
};
use crate::{Registry, clock, record::native_histogram};

/// How long dropping an exporter waits for the last push.
const DROP_WAIT: Duration = Duration::from_secs(2);

/// How the registry is pushed to a server.
#[derive(Clone, Debug)]
pub struct PushSettings {
    /// The server.
    pub address: Address,
    /// From one push to the next. 10 seconds by default.
    pub interval: Duration,
    /// How long one request may take. 10 seconds by default.
    pub timeout: Duration,
    /// Labels that all series get, `job` and `instance` above all; a series' own win.
    pub labels: Vec<(String, String)>,
}

impl PushSettings {
    /// To a server, as the service `job`, with the defaults.
    pub fn new(address: Address, job: &str) -> Self {
        let (interval, timeout) = (Duration::from_secs(10), Duration::from_secs(10));
        Self { address, interval, timeout, labels: vec![("job".to_owned(), job.to_owned())] }
    }
}

/// Pushes the metrics of a registry until it is dropped or shut down.
#[derive(Debug)]
pub struct Exporter {
    /// `None` if the system had no thread; that is counted.
    worker: Option<Worker>,
    last: std::sync::Arc<Mutex<Option<String>>>,
}

/// What makes requests of families, and sends them.
trait Receiver: Send {
    /// Its name in counters.
    const NAME: &'static str;
    fn interval(&self) -> Duration;
    fn timeout(&self) -> Duration;
    fn address(&self) -> &Address;
    fn path(&self) -> &str;
    fn headers(&self) -> Vec<(&str, &str)>;
    fn body(&self, registry: &Registry, times: Times) -> Vec<u8>;
}

impl Exporter {
    /// Pushes to a receiver of OpenTelemetry.
    pub fn otlp(registry: &Registry, settings: OtlpSettings) -> Self {
        Self::start(registry, settings)
    }

    /// Pushes to a server, by Prometheus remote write 1.0. Histograms are sent as native ones.
    pub fn push(registry: &Registry, settings: PushSettings) -> Self {
        Self::start(registry, settings)
    }

    fn start<R: Receiver + 'static>(registry: &Registry, receiver: R) -> Self {
        let (registry, last) = (registry.clone(), std::sync::Arc::new(Mutex::new(None)));
        let note = std::sync::Arc::clone(&last);
        let start = clock::now();
        let worker = Worker::start("barograph-push", move |wake| {
            loop {
                wake.wait(receiver.interval());
                let outcome = push(&receiver, &registry, start, wake);
                *note.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = outcome;
                if wake.ends().is_some() {
                    return;
                }
            }
        });
        if worker.is_none() {
            PUSHES.with([R::NAME, "failed"]).inc();
        }
        Self { worker, last }
    }

    /// Pushes now, on the exporter's thread; returns at once.
    pub fn flush(&self) {
        if let Some(worker) = &self.worker {
            worker.wake().call();
        }
    }

    /// Why the last push was not taken; `None` if it was, or there was none.
    pub fn problem(&self) -> Option<String> {
        self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Pushes once more and ends. Waits no longer than `within`; whether the last push was taken by then.
    pub fn shutdown(&self, within: Duration) -> bool {
        self.worker.as_ref().is_some_and(|worker| worker.shutdown(within)) && self.problem().is_none()
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        if let Some(worker) = &self.worker {
            worker.shutdown(DROP_WAIT);
        }
    }
}

/// One push; why it was not taken.
fn push<R: Receiver>(receiver: &R, registry: &Registry, start: Timestamp, wake: &Wake) -> Option<String> {
    let body = receiver.body(registry, Times { start, now: clock::now() });
    let (path, headers) = (receiver.path(), receiver.headers());
    let request = Request { method: "POST", path, headers: &headers, body: &body };
    // The next push says all that this one does, and more.
    let give_up = clock::monotonic() + receiver.interval().max(receiver.timeout());
    let (outcome, problem) = match retry::send(receiver.address(), request, receiver.timeout(), give_up, wake)
    {
        Sent::Taken(_) => ("taken", None),
        Sent::Refused(mut answer) => {
            let text = answer.text().unwrap_or_default();
            let said: String = text.chars().take(500).collect();
            ("refused", Some(format!("the answer was {}: {said}", answer.status)))
        }
        Sent::Failed(failure) => ("failed", Some(failure.to_string())),
    };
    PUSHES.with([R::NAME, outcome]).inc();
    problem
}

impl Receiver for OtlpSettings {
    const NAME: &'static str = "otlp";

    fn interval(&self) -> Duration {
        self.interval
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn address(&self) -> &Address {
        &self.endpoint
    }

    fn path(&self) -> &str {
        ""
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        let own = [("content-type", "application/x-protobuf"), ("user-agent", AGENT)];
        own.into_iter().chain(self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str()))).collect()
    }

    fn body(&self, registry: &Registry, times: Times) -> Vec<u8> {
        let families = registry.collect();
        let catalog = registry.catalog();
        let given: HashMap<&str, &str> =
            catalog.iter().map(|metric| (metric.name.as_str(), metric.given.as_str())).collect();
        let resource = Resource {
            attributes: self.resource.clone(),
            scope: "barograph".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        otlp::request(&resource, &families, times, |name| given.get(name).copied())
    }
}

/// What we call ourselves.
const AGENT: &str = concat!("barograph/", env!("CARGO_PKG_VERSION"));

impl Receiver for PushSettings {
    const NAME: &'static str = "server";

    fn interval(&self) -> Duration {
        self.interval
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn address(&self) -> &Address {
        &self.address
    }

    fn path(&self) -> &str {
        "/api/v1/write"
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        vec![
            ("content-type", "application/x-protobuf"),
            ("content-encoding", "snappy"),
            ("x-prometheus-remote-write-version", "0.1.0"),
            ("user-agent", AGENT),
        ]
    }

    fn body(&self, registry: &Registry, times: Times) -> Vec<u8> {
        let mut writer = Writer::new();
        for family in registry.collect() {
            self.put(&mut writer, &family, times.now);
        }
        // What is too large for a block is more than a registry can hold.
        writer.compressed().unwrap_or_default()
    }
}

impl PushSettings {
    fn put(&self, writer: &mut Writer, family: &Family, at: Timestamp) {
        let Family { name, kind, unit, help, .. } = family;
        let stored = if *kind == MetricType::Counter { format!("{name}_total") } else { name.clone() };
        writer.metadata(&stored, &Metadata { kind: *kind, unit: unit.clone(), help: help.clone() });
        for point in &family.points {
            match &point.sketch {
                Some(sketch) => {
                    let labels = self.labels(name, point);
                    writer.histograms(labels.as_bytes(), &[(at, native_histogram(sketch))]);
                }
                None if *kind == MetricType::Histogram => {}
                None => {
                    let labels = self.labels(&format!("{name}{}", point.suffix), point);
                    writer.series(labels.as_bytes(), &[Sample { at, value: point.value }]);
                }
            }
        }
    }

    fn labels(&self, name: &str, point: &Point) -> barograph_model::Labels {
        let mut labels = LabelsBuilder::new();
        for (name, value) in &self.labels {
            labels.set(name, value);
        }
        for (name, value) in &point.labels {
            labels.set(name, value);
        }
        labels.set(METRIC_NAME, name);
        labels.build()
    }
}
