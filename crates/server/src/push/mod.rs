//! Groups of metrics that are pushed, as to a push gateway, by jobs that end before anyone could scrape them.
//!
//! A group is what was pushed last under its labels. It is in the state database before its push is answered, so it survives
//! a restart; its samples are stored at once and then again and again, so that they do not go stale, until the group is
//! deleted or was not pushed for the time of `push.ttl`. Series that end get a staleness marker.
//!
//! Each tenant has groups of its own; those who have some share evenly how many there may be.

mod group;
mod native;
mod protobuf;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::http::StatusCode;
use barograph::{Counter, Gauge, Registry};
use barograph_model::{Labels, Timestamp};
use barograph_state::{Error as StateError, State, Table};
use barograph_tenancy::Tenant;
use tokio::sync::watch;

use crate::{
    Engine, config,
    errors::chain,
    intake::{Batch, Refused, Taken},
    server::stopped,
    telemetry::Origin,
    tenants::scope,
};
pub(crate) use group::{Families, read};
use group::{Group, Kept};
pub(crate) use protobuf::read_protobuf;

const GROUPS: Table<String, Kept> = Table::new("push_groups");

/// Whose a group is, and its labels.
type Key = (Tenant, Labels);

/// What a push does with what was pushed before under the same labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Takes the place of all of it.
    All,
    /// Takes the place of metrics of the same names.
    SameNames,
}

/// The groups.
pub(crate) struct Groups {
    state: Arc<State>,
    ttl_ms: i64,
    pub(crate) interval: Duration,
    groups_max: usize,
    groups: Mutex<HashMap<Key, Group>>,
    count: Gauge,
    refused: Counter,
    expired: Counter,
}

impl Groups {
    /// With what the state database kept. Blocks on the disk.
    pub(crate) fn load(state: Arc<State>, config: &config::Push, registry: &Registry) -> Self {
        let kept = state.read(|view| view.all(&GROUPS));
        let kept = kept.unwrap_or_else(|error| {
            tracing::error!(
                error = chain(&error),
                "the groups that were pushed cannot be read; there are none for now"
            );
            Vec::new()
        });
        let groups = kept.into_iter().filter_map(|(_, kept)| kept.group());
        let groups: HashMap<_, _> = groups.map(|group| (group.key(), group)).collect();
        let counter = |name: &str, help: &str| {
            registry.counter(name).help(help).register().expect("the name is valid and free")
        };
        let count = registry.gauge("barograph_push_groups").help("Groups that were pushed.").register();
        let count = count.expect("the name is valid and free");
        count.set(groups.len() as f64);
        Self {
            state,
            ttl_ms: i64::try_from(config.ttl.as_millis()).unwrap_or(i64::MAX),
            interval: config.interval,
            groups_max: usize::try_from(config.groups).unwrap_or(usize::MAX),
            groups: Mutex::new(groups),
            count,
            refused: counter("barograph_push_refused_total", "Pushes refused."),
            expired: counter("barograph_push_groups_expired_total", "Groups that nobody pushed in time."),
        }
    }

    /// Takes a push for the tenant that is worked for; what is to be stored. Blocks on the disk.
    ///
    /// # Errors
    /// There are too many groups, the group is too large, or the state database cannot be written; nothing changed.
    pub(crate) fn push(
        &self,
        labels: &Labels,
        families: Families,
        mode: Mode,
        now: Timestamp,
    ) -> Result<Batch, Refused> {
        let mut groups = self.lock();
        let key = (scope::tenant(), labels.clone());
        let before = groups.get(&key);
        if before.is_none() && !self.has_room(&groups, &key.0) {
            self.refused.inc();
            let why = format!(
                "there are as many groups as there may be, {} of all; delete some, or raise `push.groups`",
                self.groups_max
            );
            return Err((StatusCode::TOO_MANY_REQUESTS, why));
        }
        let now = before.map_or(now, |before| now.max(before.pushed.saturating_add(1)));
        let (tenant, labels) = key.clone();
        let mut next = Group { tenant, labels, families, pushed: now, failed: Timestamp(0) };
        if let Some(before) = before {
            next.failed = before.failed;
            if mode == Mode::SameNames {
                for (name, family) in &before.families {
                    next.families.entry(name.clone()).or_insert_with(|| family.clone());
                }
            }
        }
        self.keep(&next).inspect_err(|_| self.refused.inc())?;
        let mut batch = Batch::default();
        if let Some(before) = before {
            before.end(Some(&next), now, &mut batch);
        }
        next.write(now, &mut batch);
        groups.insert(key, next);
        self.count.set(groups.len() as f64);
        Ok(batch)
    }

    /// Notes that a push to a group was refused.
    pub(crate) fn failed(&self, labels: &Labels, now: Timestamp) {
        self.refused.inc();
        let mut groups = self.lock();
        if let Some(group) = groups.get_mut(&(scope::tenant(), labels.clone())) {
            group.failed = now;
            if let Err((_, why)) = self.keep(group) {
                tracing::warn!(reason = why, "it is not kept that a push was refused");
            }
        }
    }

    /// Deletes a group; what is to be stored. Blocks on the disk.
    ///
    /// # Errors
    /// The state database cannot be written; nothing changed.
    pub(crate) fn delete(&self, labels: &Labels, now: Timestamp) -> Result<Batch, Refused> {
        let (mut groups, mut batch) = (self.lock(), Batch::default());
        let key = (scope::tenant(), labels.clone());
        if let Some(group) = groups.get(&key) {
            self.forget([&key])?;
            group.end(None, now.max(group.pushed.saturating_add(1)), &mut batch);
            groups.remove(&key);
            self.count.set(groups.len() as f64);
        }
        Ok(batch)
    }

    /// Whether a tenant may have one more. Who has groups has an even share of how many there may be.
    fn has_room(&self, groups: &HashMap<Key, Group>, tenant: &Tenant) -> bool {
        if groups.len() < self.groups_max {
            return true;
        }
        let mut owners: BTreeSet<&Tenant> = groups.keys().map(|(owner, _)| owner).collect();
        owners.insert(tenant);
        let own = groups.keys().filter(|(owner, _)| owner == tenant).count();
        own < self.groups_max / owners.len()
    }

    /// All samples at `now`, by tenant; groups that are too old go.
    fn tick(&self, now: Timestamp) -> BTreeMap<Tenant, Batch> {
        let (mut groups, mut batches) = (self.lock(), BTreeMap::<Tenant, Batch>::new());
        let old = |group: &Group| now.millis().saturating_sub(group.pushed.millis()) > self.ttl_ms;
        let expired: Vec<Key> = groups.values().filter(|group| old(group)).map(Group::key).collect();
        if !expired.is_empty() {
            match self.forget(&expired) {
                Ok(()) => {
                    for key in &expired {
                        if let Some(group) = groups.remove(key) {
                            group.end(None, now, batches.entry(key.0.clone()).or_default());
                            self.expired.inc();
                        }
                    }
                }
                Err((_, why)) => tracing::warn!(reason = why, "old groups are kept for now"),
            }
        }
        for group in groups.values() {
            group.write(now, batches.entry(group.tenant.clone()).or_default());
        }
        self.count.set(groups.len() as f64);
        batches
    }

    fn keep(&self, group: &Group) -> Result<(), Refused> {
        let kept = group.kept();
        let written =
            self.state.write(|batch| batch.put(&GROUPS, &stored_key(&group.tenant, &group.labels), &kept));
        written.map_err(|error| match &error {
            StateError::TooLarge { .. } => {
                let why = format!("the group is too large: {error}; push it in several groups");
                (StatusCode::PAYLOAD_TOO_LARGE, why)
            }
            _ => (StatusCode::SERVICE_UNAVAILABLE, chain(&error)),
        })
    }

    fn forget<'l>(&self, keys: impl IntoIterator<Item = &'l Key>) -> Result<(), Refused> {
        let keys: Vec<String> = keys.into_iter().map(|(tenant, labels)| stored_key(tenant, labels)).collect();
        let written = self.state.write(|batch| {
            for key in &keys {
                batch.remove(&GROUPS, key)?;
            }
            Ok(())
        });
        written.map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, chain(&error)))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Group>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Under which a group is in the state database. That of a tenant begins with its name; no other begins so.
fn stored_key(tenant: &Tenant, labels: &Labels) -> String {
    tenant.name().map_or_else(|| labels.to_string(), |name| format!("{name}{labels}"))
}

/// Stores what the groups of the tenant that is worked for come to: with it, but where that is the default one with the one
/// that the configuration names.
pub(crate) fn stored_for(engine: &Engine, batch: &Batch) -> Result<Taken, Refused> {
    let name = match scope::tenant().name() {
        Some(name) => Some(name.to_string()),
        None => engine.configured.current().push.tenant.clone(),
    };
    let working = engine.tenants.of_task(name.as_deref());
    scope::sync_within(working, || batch.store(engine, Origin::Push))
}

/// Stores the samples of all groups; what is to become durable.
fn store_all(engine: &Engine) -> u64 {
    let mut ticket = 0;
    for (tenant, batch) in engine.push.tick(engine.clock.now()) {
        let working = engine.tenants.of_task(tenant.name().map(|name| &**name));
        match scope::sync_within(working, || stored_for(engine, &batch)) {
            Ok(taken) => ticket = ticket.max(taken.ticket),
            Err((_, why)) => {
                tracing::warn!(tenant = %tenant, reason = why, "what was pushed was not stored this time");
            }
        }
    }
    ticket
}

/// Stores the samples of all groups again and again until told to stop.
pub(crate) async fn run(engine: Arc<Engine>, mut stopping: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = stopped(&mut stopping) => return,
            () = tokio::time::sleep(engine.push.interval) => {}
        }
        let work = engine.clone();
        match tokio::task::spawn_blocking(move || store_all(&work)).await {
            Ok(ticket) => engine.commits.want(ticket),
            Err(_) => tracing::error!("storing what was pushed panicked; it is tried again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use barograph_disk::MemoryDisk;
    use barograph_wire::exposition::Dialect;

    use super::*;
    use crate::{config::TenancyConfig, tenants::Tenants};

    fn groups(disk: &MemoryDisk) -> Groups {
        let state = Arc::new(State::open(Arc::new(disk.clone())).unwrap());
        let config = config::Push { groups: 2, ..config::Push::default() };
        Groups::load(state, &config, &Registry::new())
    }

    fn job(name: &str) -> Labels {
        Labels::from_pairs([("job", name)]).unwrap()
    }

    /// The samples that a push has stored; those that end are `None`.
    fn push(groups: &Groups, name: &str, text: &str, mode: Mode) -> Vec<(String, Option<f64>)> {
        let families = read(text.as_bytes(), Dialect::Text, &job(name), 100).unwrap();
        shown(&groups.push(&job(name), families, mode, Timestamp(1_000)).unwrap())
    }

    fn ticked(groups: &Groups, now: Timestamp) -> Vec<(String, Option<f64>)> {
        let mut batches = groups.tick(now);
        let own = batches.remove(&Tenant::DEFAULT).unwrap_or_default();
        assert!(batches.is_empty(), "of nobody else");
        shown(&own)
    }

    fn shown(batch: &Batch) -> Vec<(String, Option<f64>)> {
        let sample = |(labels, _, value): &(Labels, Timestamp, f64)| {
            // Pushes within one millisecond are told apart by the next ones.
            let value = (*value * 100.0).floor() / 100.0;
            (labels.metric_name().unwrap().to_owned(), Some(value).filter(|value| !value.is_nan()))
        };
        let mut samples: Vec<_> = batch.samples.iter().map(sample).collect();
        samples.retain(|(name, _)| name != group::FAILED);
        samples.sort_by(|a, b| a.0.cmp(&b.0));
        samples
    }

    fn expect(samples: &[(String, Option<f64>)], expected: &[(&str, Option<f64>)]) {
        let samples: Vec<_> = samples.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(samples, expected);
    }

    #[test]
    fn a_push_replaces_all_or_what_has_its_names() {
        let groups = groups(&MemoryDisk::new());
        let time = ("push_time_seconds", Some(1.0));
        expect(&push(&groups, "j", "a 1\nb 2\n", Mode::All), &[("a", Some(1.0)), ("b", Some(2.0)), time]);
        let samples = push(&groups, "j", "b 3\nc 4\n", Mode::SameNames);
        expect(&samples, &[("a", Some(1.0)), ("b", Some(3.0)), ("c", Some(4.0)), time]);
        let samples = push(&groups, "j", "a 5\n", Mode::All);
        expect(&samples, &[("a", Some(5.0)), ("b", None), ("c", None), time]);
        expect(
            &shown(&groups.delete(&job("j"), Timestamp(2_000)).unwrap()),
            &[("a", None), ("push_time_seconds", None)],
        );
        expect(&ticked(&groups, Timestamp(3_000)), &[]);
    }

    #[test]
    fn groups_survive_a_restart_and_end_in_time() {
        let disk = MemoryDisk::new();
        let before = groups(&disk);
        push(&before, "j", "a 1\n", Mode::All);
        before.failed(&job("j"), Timestamp(1_500));
        drop(before);
        let again = groups(&disk);
        expect(&ticked(&again, Timestamp(2_000)), &[("a", Some(1.0)), ("push_time_seconds", Some(1.0))]);
        let later = Timestamp(1_001 + 48 * 3_600_000);
        expect(&ticked(&again, later), &[("a", None), ("push_time_seconds", None)]);
        expect(&ticked(&again, later), &[]);
        drop(again);
        expect(&ticked(&groups(&disk), later), &[]);
    }

    #[test]
    fn tenants_have_groups_of_their_own() {
        let disk = MemoryDisk::new();
        let groups_of = groups(&disk);
        let tenants = Tenants::new(&TenancyConfig { enabled: true, ..TenancyConfig::default() });
        let within = |name: &str, work: &dyn Fn()| scope::sync_within(tenants.of_task(Some(name)), work);
        let time = ("push_time_seconds", Some(1.0));
        let pushes = |text: &'static str, value: f64| {
            let samples = push(&groups_of, "j", text, Mode::SameNames);
            expect(&samples, &[time, ("x", Some(value))]);
        };
        within("default", &|| pushes("x 1\n", 1.0));
        within("a", &|| pushes("x 2\n", 2.0));
        // Both rooms are taken, and b has a share of them, which is none.
        within("b", &|| {
            let refused = groups_of.push(&job("j"), Families::new(), Mode::All, Timestamp(0)).unwrap_err();
            assert_eq!(refused.0, StatusCode::TOO_MANY_REQUESTS);
            let nothing = groups_of.delete(&job("j"), Timestamp(2_000)).unwrap();
            expect(&shown(&nothing), &[]);
        });
        drop(groups_of);
        let again = groups(&disk);
        let batches = again.tick(Timestamp(3_000));
        let of = |tenant: &Tenant| batches.get(tenant).map(shown).unwrap_or_default();
        expect(&of(&Tenant::DEFAULT), &[time, ("x", Some(1.0))]);
        expect(&of(&Tenant::named("a").unwrap()), &[time, ("x", Some(2.0))]);
        within("a", &|| _ = again.delete(&job("j"), Timestamp(4_000)).unwrap());
        let left: Vec<Tenant> = again.tick(Timestamp(5_000)).into_keys().collect();
        assert_eq!(left, [Tenant::DEFAULT]);
    }

    #[test]
    fn there_are_so_many_groups_and_no_more() {
        let groups = groups(&MemoryDisk::new());
        push(&groups, "a", "x 1\n", Mode::All);
        push(&groups, "b", "x 1\n", Mode::All);
        let refused = groups.push(&job("c"), Families::new(), Mode::All, Timestamp(0)).unwrap_err();
        assert_eq!(refused.0, StatusCode::TOO_MANY_REQUESTS);
        push(&groups, "a", "x 2\n", Mode::All);
        let large: String = (0..30_000).map(|i| format!("a{{x=\"{i}\"}} 1\n")).collect();
        let families = read(large.as_bytes(), Dialect::Text, &job("a"), 100_000).unwrap();
        let refused = groups.push(&job("a"), families, Mode::All, Timestamp(0)).unwrap_err();
        assert_eq!(refused.0, StatusCode::PAYLOAD_TOO_LARGE);
    }
}
