//! Places that are asked for targets again and again: pages over HTTP and names in the DNS, one task each.
//!
//! What a place said last holds until it says something else; while it cannot be asked, its last good targets stay.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header::ACCEPT, header::CONTENT_TYPE};
use tokio::{sync::Notify, task::JoinSet};

use super::dns::{Record, Resolver};
use crate::{
    config::{DiscoveryConfig, DnsDiscovery, HttpDiscovery, RecordKind, TargetGroup, parse_targets},
    outgoing::{Client, Limits},
};

/// An answer of more bytes is not read.
const ANSWER_BYTES_MAX: u64 = 16 << 20;
/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whose places they are, and who is told of what they say.
#[derive(Clone, Debug)]
pub(crate) struct Around {
    /// What their user is called in the log.
    pub(crate) name: String,
    /// Told whenever something changes.
    pub(crate) changed: Arc<Notify>,
    /// Looks that failed.
    pub(crate) failures: Arc<AtomicU64>,
}

/// A place, as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Http(Box<HttpDiscovery>),
    Dns(DnsDiscovery),
}

/// All places of one user, asked from when this is made until it is dropped.
#[derive(Debug, Default)]
pub(super) struct Places {
    places: Vec<Asked>,
}

#[derive(Debug)]
struct Asked {
    place: Place,
    latest: Arc<Mutex<Latest>>,
    /// The number of answers that were taken.
    taken: u64,
    _task: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Latest {
    groups: Vec<TargetGroup>,
    /// How often they changed.
    changes: u64,
}

impl Places {
    /// Begins to ask the places that were not asked yet, and stops with those that are configured no more.
    pub(super) fn apply(&mut self, config: &DiscoveryConfig, around: &Around) {
        let http = config.http_sd_configs.iter().map(|page| Place::Http(Box::new(page.clone())));
        let dns = config.dns_sd_configs.iter().cloned().map(Place::Dns);
        let mut old = std::mem::take(&mut self.places);
        for place in http.chain(dns) {
            let known = old.iter().position(|asked| asked.place == place);
            self.places.push(match known {
                Some(index) => old.swap_remove(index),
                None => start(place, around.clone()),
            });
        }
    }

    /// Whether any place said something new since this was asked last.
    pub(super) fn refresh(&mut self) -> bool {
        let mut changed = false;
        for place in &mut self.places {
            let changes = lock(&place.latest).changes;
            changed |= changes != place.taken;
            place.taken = changes;
        }
        changed
    }

    /// What they said last.
    pub(super) fn groups(&self) -> Vec<TargetGroup> {
        self.places.iter().flat_map(|place| lock(&place.latest).groups.clone()).collect()
    }
}

fn lock(latest: &Mutex<Latest>) -> std::sync::MutexGuard<'_, Latest> {
    latest.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start(place: Place, around: Around) -> Asked {
    let latest = Arc::<Mutex<Latest>>::default();
    let mut tasks = JoinSet::new();
    tasks.spawn(ask_again_and_again(place.clone(), latest.clone(), around));
    Asked { place, latest, taken: 0, _task: tasks }
}

async fn ask_again_and_again(place: Place, latest: Arc<Mutex<Latest>>, around: Around) {
    let (interval, client) = match &place {
        Place::Http(page) => (page.refresh_interval, Some(Client::new(page.http.clone()))),
        Place::Dns(names) => (names.refresh_interval, None),
    };
    loop {
        let found = match (&place, &client) {
            (Place::Http(page), Some(client)) => ask_page(page, client).await,
            (Place::Dns(names), _) => ask_names(names).await,
            (Place::Http(_), None) => return,
        };
        match found {
            Ok(groups) => {
                let mut latest = lock(&latest);
                if latest.groups != groups || latest.changes == 0 {
                    latest.groups = groups;
                    latest.changes += 1;
                    around.changed.notify_one();
                }
            }
            Err(error) => {
                around.failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(of = around.name, %error, "targets cannot be looked for; the last good ones stay");
            }
        }
        tokio::time::sleep(interval).await;
    }
}

async fn ask_page(page: &HttpDiscovery, client: &Client) -> Result<Vec<TargetGroup>, String> {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = page.url.parse().map_err(|_| "the URL is none".to_owned())?;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    let seconds = HeaderValue::try_from(page.refresh_interval.as_secs_f64().to_string());
    let seconds = seconds.map_err(|error| error.to_string())?;
    request.headers_mut().insert("x-prometheus-refresh-interval-seconds", seconds);
    let limits = Limits { timeout: PATIENCE.min(page.refresh_interval), body_bytes: ANSWER_BYTES_MAX };
    let answer = client.send(request, limits).await.map_err(|error| error.to_string())?;
    if answer.status != StatusCode::OK {
        return Err(format!("the page of targets was answered with HTTP status {}", answer.status));
    }
    let content_type = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        return Err(format!("the page of targets is `{media}`, not `application/json`"));
    }
    let text =
        std::str::from_utf8(&answer.body).map_err(|_| "the page of targets is not UTF-8".to_owned())?;
    let mut groups = parse_targets(text, "the page of targets").map_err(|error| error.to_string())?;
    for group in &mut groups {
        group.labels.insert("__meta_url".to_owned(), page.url.clone());
    }
    Ok(groups)
}

/// The targets of all names. One name that cannot be looked up fails all, so that its targets do not come and go.
async fn ask_names(names: &DnsDiscovery) -> Result<Vec<TargetGroup>, String> {
    let servers = names.servers.clone();
    let resolver = tokio::task::spawn_blocking(move || Resolver::new(&servers)).await;
    let resolver = resolver.map_err(|error| error.to_string())?;
    let mut groups = Vec::new();
    for name in &names.names {
        let records = resolver.look_up(name, names.kind).await?;
        let mut found: Vec<_> = records.iter().map(|record| group(name, names, record)).collect();
        // Servers change the order with every answer.
        found.sort_by(|a, b| a.targets.cmp(&b.targets));
        found.dedup();
        groups.append(&mut found);
    }
    Ok(groups)
}

fn group(name: &str, names: &DnsDiscovery, record: &Record) -> TargetGroup {
    let mut labels = BTreeMap::from([("__meta_dns_name".to_owned(), name.to_owned())]);
    let mut meta = |name: &str, value: String| _ = labels.insert(format!("__meta_dns_{name}"), value);
    let target = match record {
        Record::Address(address) => std::net::SocketAddr::new(*address, names.port).to_string(),
        Record::Host(host) => {
            let kind = if names.kind == RecordKind::Ns { "ns" } else { "mx" };
            meta(&format!("{kind}_record_target"), format!("{host}."));
            format!("{host}:{}", names.port)
        }
        Record::Service(host, port) => {
            meta("srv_record_target", format!("{host}."));
            meta("srv_record_port", port.to_string());
            format!("{host}:{port}")
        }
    };
    TargetGroup { targets: vec![target], labels }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_targets() {
        let names = |kind| DnsDiscovery {
            names: Vec::new(),
            kind,
            port: 9100,
            refresh_interval: Duration::from_secs(30),
            servers: Vec::new(),
        };
        let check = |kind, record, target: &str, labels: &[(&str, &str)]| {
            let group = group("n", &names(kind), &record);
            let found: Vec<_> =
                group.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!((group.targets, found), (vec![target.to_owned()], labels.to_vec()));
        };
        let address = |text: &str| Record::Address(text.parse().unwrap());
        check(RecordKind::A, address("10.0.0.1"), "10.0.0.1:9100", &[("__meta_dns_name", "n")]);
        check(RecordKind::Aaaa, address("::2"), "[::2]:9100", &[("__meta_dns_name", "n")]);
        check(
            RecordKind::Mx,
            Record::Host("m.x".into()),
            "m.x:9100",
            &[("__meta_dns_mx_record_target", "m.x."), ("__meta_dns_name", "n")],
        );
        check(
            RecordKind::Srv,
            Record::Service("s.x".into(), 81),
            "s.x:81",
            &[
                ("__meta_dns_name", "n"),
                ("__meta_dns_srv_record_port", "81"),
                ("__meta_dns_srv_record_target", "s.x."),
            ],
        );
    }
}
