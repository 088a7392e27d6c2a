//! Who is told: the Alertmanagers that discovery finds, as relabelling leaves them.
//!
//! Each entry of `alerting.alertmanagers` is a group. One that is found again, or that another configuration names as well, goes
//! on with what waits for it.

use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use barograph_model::LabelsBuilder;
use http::Uri;
use tokio::{sync::Notify, task::JoinSet};

use super::sending::{Alertmanager, How};
use crate::{
    Engine,
    config::{
        AlertmanagerConfig, Config,
        relabel::{Rule, relabel},
    },
    discovery::{Around, Discovered},
    outgoing::Client,
};

/// Alertmanagers that are told at most.
const ALERTMANAGERS_MAX: usize = 100;
/// Of those that are left out, as many of each group are shown.
const DROPPED_MAX: usize = 1_000;
/// What alerts are posted to, below the prefix.
const PATH: &str = "api/v2/alerts";

/// Those of one entry of the configuration, as they are told.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// What changes alerts for them.
    pub(super) rules: Arc<[Rule]>,
    pub(super) active: Vec<Arc<Alertmanager>>,
    /// The URLs of those that are not told.
    pub(super) dropped: Vec<String>,
}

/// One entry of the configuration, and what came of it.
struct Entry {
    config: AlertmanagerConfig,
    client: Client,
    discovered: Discovered,
    group: Group,
}

/// All entries, and the tasks of all Alertmanagers, which end with this.
pub(super) struct Groups {
    engine: Arc<Engine>,
    entries: Vec<Entry>,
    /// Those of the configuration before, until it is known who of them stays.
    before: Vec<Arc<Alertmanager>>,
    around: Around,
    failures: Arc<AtomicU64>,
    pub(super) tasks: JoinSet<()>,
}

impl Groups {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        let failures = Arc::<AtomicU64>::default();
        let around =
            Around { name: "alertmanagers".to_owned(), changed: Arc::default(), failures: failures.clone() };
        engine.onward.set(Vec::new(), false);
        Self { engine, entries: Vec::new(), before: Vec::new(), around, failures, tasks: JoinSet::new() }
    }

    /// Told when a place that is asked says something new.
    pub(super) fn asked(&self) -> Arc<Notify> {
        self.around.changed.clone()
    }

    /// Takes a new configuration, looks at files and places, and has those told that are found. Blocks on the disk.
    pub(super) fn refresh(&mut self, given: Option<Arc<Config>>) {
        let is_new = given.is_some();
        if let Some(config) = given {
            self.configure(&config.alerting.alertmanagers);
        }
        let mut changed = is_new;
        for entry in &mut self.entries {
            let (differs, errors) = entry.discovered.refresh(&entry.config.discovery);
            changed |= differs;
            for error in &errors {
                tracing::warn!(%error, "a file that names Alertmanagers is not used; those that it named last stay");
            }
            self.failures.fetch_add(errors.len() as u64, Ordering::Relaxed);
        }
        self.engine.onward.instruments.look_failures.add(self.failures.swap(0, Ordering::Relaxed));
        if changed {
            self.start_and_stop();
        }
    }

    /// Nobody is told any more; what waits is sent.
    pub(super) fn close(&mut self) {
        self.engine.onward.set(Vec::new(), false);
        let active = self.entries.iter().flat_map(|entry| &entry.group.active);
        active.for_each(|alertmanager| alertmanager.close());
    }

    fn configure(&mut self, configs: &[AlertmanagerConfig]) {
        let mut old = mem::take(&mut self.entries);
        self.before.extend(old.iter_mut().flat_map(|entry| mem::take(&mut entry.group.active)));
        for config in configs {
            // What it knows of files and places it keeps, if it looks in the same.
            let known = old.iter().position(|entry| entry.config.discovery == config.discovery);
            let (client, discovered) = match known.map(|index| old.swap_remove(index)) {
                Some(entry) if entry.config.http == config.http => (entry.client, entry.discovered),
                Some(entry) => (Client::new(config.http.clone()), entry.discovered),
                None => (Client::new(config.http.clone()), Discovered::default()),
            };
            let rules = config.alert_relabel_configs.clone().into();
            let group = Group { rules, active: Vec::new(), dropped: Vec::new() };
            let mut entry = Entry { config: config.clone(), client, discovered, group };
            entry.discovered.apply(&config.discovery, &self.around);
            self.entries.push(entry);
        }
    }

    fn start_and_stop(&mut self) {
        let mut old = mem::take(&mut self.before);
        old.extend(self.entries.iter_mut().flat_map(|entry| mem::take(&mut entry.group.active)));
        let (onward, mut is_anybody_new, mut told) = (&self.engine.onward, false, 0);
        for entry in &mut self.entries {
            let found = find(&entry.config, &entry.discovered);
            entry.group.dropped = found.dropped;
            let how = How { client: entry.client.clone(), timeout: entry.config.timeout };
            for (url, uri) in found.active {
                if told == ALERTMANAGERS_MAX {
                    onward.instruments.over_limit.inc();
                    entry.group.dropped.push(url);
                    continue;
                }
                told += 1;
                let known = old.iter().position(|alertmanager| alertmanager.url() == url);
                let alertmanager = match known.map(|index| old.swap_remove(index)) {
                    Some(alertmanager) => {
                        alertmanager.configure(how.clone());
                        alertmanager
                    }
                    None => {
                        is_anybody_new = true;
                        let measured = onward.instruments.of(&url);
                        let alertmanager = Arc::new(Alertmanager::new(uri, how.clone(), measured));
                        self.tasks.spawn(alertmanager.clone().run(self.engine.clock.clone()));
                        alertmanager
                    }
                };
                entry.group.active.push(alertmanager);
            }
            entry.group.dropped.truncate(DROPPED_MAX);
        }
        onward.set(self.entries.iter().map(|entry| entry.group.clone()).collect(), is_anybody_new);
        // Only now nobody offers them anything any more.
        old.iter().for_each(|alertmanager| alertmanager.close());
    }
}

/// What was found for one entry.
#[derive(Debug, Default)]
struct Found {
    /// By URL, so that each is told once.
    active: BTreeMap<String, Uri>,
    dropped: Vec<String>,
}

fn find(config: &AlertmanagerConfig, discovered: &Discovered) -> Found {
    let mut found = Found::default();
    discovered.each(&config.discovery, |labels| match build(config, labels) {
        Built::Active(uri) => drop(found.active.insert(uri.to_string(), uri)),
        Built::Dropped(url) => found.dropped.push(url),
        Built::Invalid(url, reason) => {
            tracing::warn!(url, reason, "an Alertmanager that was found cannot be told");
            found.dropped.push(url);
        }
    });
    found
}

/// What an address became.
#[derive(Debug, PartialEq)]
enum Built {
    Active(Uri),
    /// A rule dropped it; this would have been its URL.
    Dropped(String),
    /// It has no URL, and why.
    Invalid(String, String),
}

fn build(config: &AlertmanagerConfig, given: &BTreeMap<&str, &str>) -> Built {
    let mut labels = LabelsBuilder::new();
    for (name, value) in given {
        labels.set(name, value);
    }
    let prefix = config.path_prefix.trim_matches('/');
    let path = if prefix.is_empty() { format!("/{PATH}") } else { format!("/{prefix}/{PATH}") };
    for (name, value) in [("__scheme__", config.scheme.as_str()), ("__alerts_path__", &path)] {
        if labels.value(name).is_none() {
            labels.set(name, value);
        }
    }
    let before = url(&labels);
    if !relabel(&config.relabel_configs, &mut labels) {
        return Built::Dropped(before);
    }
    match check(&labels) {
        Ok(uri) => Built::Active(uri),
        Err(reason) => Built::Invalid(url(&labels), reason),
    }
}

fn url(labels: &LabelsBuilder) -> String {
    let value = |name| labels.value(name).unwrap_or_default();
    // What stands before an `@` may be a password.
    let address = value("__address__").rsplit('@').next().unwrap_or_default();
    let path = value("__alerts_path__");
    let slash = if path.starts_with('/') { "" } else { "/" };
    format!("{}://{address}{slash}{path}", value("__scheme__"))
}

fn check(labels: &LabelsBuilder) -> Result<Uri, String> {
    let value = |name| labels.value(name).unwrap_or_default();
    let address = value("__address__");
    if address.is_empty() || address.contains(['/', '?', '#', '@', ' ']) {
        return Err("its address is not `host` or `host:port`".to_owned());
    }
    let scheme = value("__scheme__");
    if !matches!(scheme, "http" | "https") {
        return Err(format!("scheme `{scheme}` is not supported, only `http` and `https` are"));
    }
    let path = value("__alerts_path__");
    if path.contains(['?', '#']) {
        return Err(format!("`{path}` is not a path"));
    }
    url(labels).parse().map_err(|_| "it has no valid URL".to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What becomes of an address under an entry of the configuration.
    #[track_caller]
    fn check(settings: &str, given: &[(&str, &str)], expected: &str) {
        let text = format!("alerting: {{alertmanagers: [{{{settings}}}]}}");
        let config = Config::parse(&text, "test", Path::new(""), []).unwrap();
        let found = match build(&config.alerting.alertmanagers[0], &given.iter().copied().collect()) {
            Built::Active(uri) => uri.to_string(),
            Built::Dropped(url) => format!("dropped {url}"),
            Built::Invalid(_, reason) => reason,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn addresses_are_alertmanagers() {
        let at = |address| [("__address__", address)];
        check("", &at("a:9093"), "http://a:9093/api/v2/alerts");
        check("scheme: https, path_prefix: /am/", &at("[::1]:1"), "https://[::1]:1/am/api/v2/alerts");
        check("path_prefix: a/b", &at("a"), "http://a/a/b/api/v2/alerts");
        check("", &[("__address__", "a"), ("__scheme__", "https")], "https://a/api/v2/alerts");
    }

    #[test]
    fn rules_change_and_drop_them() {
        let zone = [("__address__", "a"), ("zone", "x")];
        let drop = "relabel_configs: [{action: drop, source_labels: [zone], regex: x}]";
        check(drop, &zone, "dropped http://a/api/v2/alerts");
        check(
            "relabel_configs: [{target_label: __alerts_path__, replacement: /to/$1, source_labels: [zone]}]",
            &zone,
            "http://a/to/x",
        );
    }

    #[test]
    fn what_cannot_be_told_says_why() {
        check("", &[("__address__", "u:p@a")], "its address is not `host` or `host:port`");
        check(
            "",
            &[("__address__", "a"), ("__scheme__", "ftp")],
            "scheme `ftp` is not supported, only `http` and `https` are",
        );
        check("", &[("__address__", "a"), ("__alerts_path__", "/x?y")], "`/x?y` is not a path");
        check("", &[("__address__", "a b")], "its address is not `host` or `host:port`");
        check("", &[("__address__", "a:b:c")], "it has no valid URL");
    }
}
