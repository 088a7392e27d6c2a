//! Groups started and stopped as files say.
//!
//! Files are looked at again and again. A change counts when two looks in a row saw the same, so that a file which is being
//! written is left alone; files that cannot be used leave everything as it was. Groups that did not change go on
//! undisturbed; those that did take over what is known of their rules; series of rules that are gone end.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use barograph_alert::{Defaults, Group, Rule, Surroundings, raised, routing::LabelSet};
use barograph_model::{Labels, stale_marker};
use barograph_tsdb::Row;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
};

use super::{
    ASKING_MAX, Running,
    files::{self, Files, Stamps},
    kept, own, task,
};
use crate::{
    Engine,
    config::{Config, ReadyRules},
    errors::chain,
    server::stopped,
    telemetry::Origin,
};

/// How often rule files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// What is kept of groups that did not come back so long after the start is forgotten.
const STRANGERS: Duration = Duration::from_secs(600);

/// What the configuration says of rules, and the files as they were when the server started.
#[derive(Debug)]
pub(crate) struct Setup {
    patterns: Vec<PathBuf>,
    ready: ReadyRules,
    files: Files,
    seen: Stamps,
    interval: Duration,
    query_offset: Duration,
    external_labels: Labels,
}

impl Setup {
    /// Reads the rule files that a configuration names.
    ///
    /// # Errors
    /// What is wrong in any of them, a line each.
    pub(crate) fn read(config: &Config) -> Result<Self, String> {
        Ok(Self {
            patterns: config.rule_files.clone(),
            ready: config.ready_rules.clone(),
            seen: files::stamps(&config.rule_files),
            files: files::read(&config.rule_files, &config.ready_rules)?,
            interval: config.global.evaluation_interval,
            query_offset: config.global.rule_query_offset,
            external_labels: config.global.external_labels.clone(),
        })
    }

    /// Whether another says the same of rules, whatever is in their files.
    fn is_like(&self, other: &Self) -> bool {
        (&self.patterns, &self.ready) == (&other.patterns, &other.ready)
            && (self.interval, self.query_offset) == (other.interval, other.query_offset)
            && self.external_labels == other.external_labels
    }
}

/// Runs the rules until told to stop. Their series get no staleness markers then: whoever starts next goes on with them.
pub(crate) async fn run(
    engine: Arc<Engine>,
    mut setup: Setup,
    external_url: String,
    mut stopping: watch::Receiver<bool>,
) {
    engine.telemetry.rules.files(true);
    let mut configured = engine.configured.subscribe();
    let surroundings = Surroundings { external_labels: setup.external_labels.clone(), external_url };
    let around = Arc::new(task::Around { surroundings, turns: Semaphore::new(ASKING_MAX) });
    let defaults = Defaults { interval: setup.interval, query_offset: setup.query_offset };
    let own_rules = engine.own_rules.clone();
    let mut manager =
        Manager { engine, around, defaults, files: Files::new(), tasks: Vec::new(), anew: false };
    manager.apply(std::mem::take(&mut setup.files)).await;
    let began = manager.engine.clock.monotonic();
    let mut strangers = true;
    let mut looks = Looks { applied: setup.seen.clone(), seen: setup.seen.clone() };
    loop {
        tokio::select! {
            () = stopped(&mut stopping) => break,
            () = tokio::time::sleep(LOOK) => {}
            () = own_rules.changed() => {
                manager.renew().await;
                continue;
            }
            Ok(()) = configured.changed() => {
                let config = configured.borrow_and_update().clone();
                let read = tokio::task::spawn_blocking(move || Setup::read(&config)).await;
                match read.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())) {
                    // Files that were read again say the same as those in use, or are taken up at the next look.
                    Ok(next) if next.is_like(&setup) => manager.engine.telemetry.rules.files(true),
                    Ok(next) => {
                        manager.engine.telemetry.rules.files(true);
                        looks = Looks { applied: next.seen.clone(), seen: next.seen.clone() };
                        manager.configure(&next);
                        setup = next;
                        manager.apply(std::mem::take(&mut setup.files)).await;
                    }
                    Err(faults) => {
                        manager.engine.telemetry.rules.files(false);
                        tracing::error!(faults, "rule files cannot be used; the rules before them run on");
                    }
                }
                continue;
            }
        }
        if strangers && manager.engine.clock.monotonic().saturating_sub(began) > STRANGERS {
            strangers = false;
            manager.forget_strangers().await;
        }
        let (patterns, ready) = (setup.patterns.clone(), setup.ready.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let changed = looks.changed(files::stamps(&patterns));
            (looks, changed.then(|| files::read(&patterns, &ready)))
        });
        let (after, read) =
            looked.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        looks = after;
        match read {
            None => {}
            Some(Ok(files)) => {
                tracing::info!(files = files.len(), "rule files changed and were read again");
                manager.engine.telemetry.rules.files(true);
                manager.engine.events.system("rules_reloaded");
                manager.apply(files).await;
            }
            Some(Err(faults)) => {
                manager.engine.telemetry.rules.files(false);
                tracing::error!(faults, "rule files cannot be used; the rules before them run on");
            }
        }
    }
    for (_, task) in manager.tasks {
        task.stop().await;
    }
}

/// What was seen of the files.
struct Looks {
    applied: Stamps,
    seen: Stamps,
}

impl Looks {
    /// Whether the files are others than those that were read, and are written to no more.
    fn changed(&mut self, now: Stamps) -> bool {
        let settled = now == self.seen;
        let changed = settled && now != self.applied;
        if changed {
            self.applied.clone_from(&now);
        }
        self.seen = now;
        changed
    }
}

struct Manager {
    engine: Arc<Engine>,
    around: Arc<task::Around>,
    defaults: Defaults,
    /// Those that are in use.
    files: Files,
    tasks: Vec<(Arc<Running>, Task)>,
    /// Whether groups that did not change are to be started again, too: what is around them did.
    anew: bool,
}

/// The task of a group.
struct Task {
    stop: watch::Sender<bool>,
    handle: JoinHandle<()>,
}

impl Task {
    /// Lets the group finish what it is at.
    async fn stop(self) {
        let _ = self.stop.send(true);
        if let Err(error) = self.handle.await {
            tracing::error!(%error, "a group of rules failed");
        }
    }
}

impl Manager {
    /// Goes on with what another configuration says of all rules.
    fn configure(&mut self, setup: &Setup) {
        (self.defaults.interval, self.defaults.query_offset) = (setup.interval, setup.query_offset);
        let external_url = self.around.surroundings.external_url.clone();
        let surroundings = Surroundings { external_labels: setup.external_labels.clone(), external_url };
        if surroundings.external_labels != self.around.surroundings.external_labels {
            self.around = Arc::new(task::Around { surroundings, turns: Semaphore::new(ASKING_MAX) });
            self.anew = true;
        }
    }

    /// Lets the groups of these files run, those of rules made by API, and no others.
    async fn apply(&mut self, files: Files) {
        self.files = files;
        self.renew().await;
    }

    /// Lets the groups run that there are now.
    async fn renew(&mut self) {
        let files: Files = self.files.iter().cloned().chain([self.engine.own_rules.file()]).collect();
        self.engine.telemetry.rules.own(self.engine.own_rules.all().len());
        let own_before = own_groups(&self.tasks);
        let mut before = std::mem::take(&mut self.tasks);
        let (mut ended, mut gone) = (Vec::new(), Vec::new());
        let groups = files.into_iter().flat_map(|(path, file)| {
            let path: Arc<str> = path.into();
            file.groups.into_iter().map(move |spec| (path.clone(), spec))
        });
        for (path, spec) in groups {
            let mut group = Group::new(path, spec, &self.defaults);
            let same = |(running, _): &(Arc<Running>, Task)| {
                running.file == group.file && running.name == group.spec.name
            };
            if let Some(index) = before.iter().position(same) {
                let (running, task) = before.swap_remove(index);
                if !self.anew && group.is_like(&running.group()) {
                    self.tasks.push((running, task));
                    continue;
                }
                task.stop().await;
                ended.extend(group.adopt(running.group().clone()));
            }
            let running = Arc::new(Running::new(group));
            self.engine.telemetry.rules.begins(&running);
            let (stop, orders) = watch::channel(false);
            let work = task::run(self.engine.clone(), running.clone(), self.around.clone(), orders);
            self.tasks.push((running, Task { stop, handle: tokio::spawn(work) }));
        }
        self.anew = false;
        self.engine.rules.set(self.tasks.iter().map(|(running, _)| running.clone()).collect());
        for (running, task) in before {
            task.stop().await;
            ended.extend(running.group().clone().into_series());
            gone.push(kept::key(&running.group()));
        }
        if !gone.is_empty() {
            self.forget(move |group| !gone.iter().any(|gone| gone == group)).await;
        }
        let over = over(&own_before, &own_groups(&self.tasks));
        if !ended.is_empty() || !over.is_empty() {
            let engine = self.engine.clone();
            let work = move || {
                end(&engine, &ended);
                if !over.is_empty() {
                    let over = engine.alerting.end(&over, engine.clock.now());
                    engine.onward.tell(&engine.configured.current(), &over, engine.clock.now());
                }
            };
            let _ = tokio::task::spawn_blocking(work).await;
        }
    }
}

impl Manager {
    /// Forgets what is kept of groups that were there before the start and are no more.
    async fn forget_strangers(&self) {
        let known: Vec<String> = self.tasks.iter().map(|(running, _)| kept::key(&running.group())).collect();
        self.forget(move |group| known.iter().any(|known| known == group)).await;
    }

    async fn forget(&self, wanted: impl Fn(&str) -> bool + Send + 'static) {
        let state = self.engine.state.clone();
        let forgotten = tokio::task::spawn_blocking(move || kept::forget_groups(&state, wanted)).await;
        if let Ok(Err(error)) = forgotten {
            tracing::warn!(
                error = chain(&error),
                "what is kept of groups that are gone is not removed for now"
            );
        }
    }
}

/// The groups of rules made by API.
fn own_groups(tasks: &[(Arc<Running>, Task)]) -> Vec<Arc<Running>> {
    let own = tasks.iter().filter(|(running, _)| *running.file == *own::FILE);
    own.map(|(running, _)| running.clone()).collect()
}

/// The labels of alerts that fire, of rules of some groups that no other group has.
fn over(before: &[Arc<Running>], now: &[Arc<Running>]) -> Vec<LabelSet> {
    let key = |rule: &Rule| {
        let labels = rule.spec.labels().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        (rule.spec.name().to_owned(), labels.collect::<LabelSet>())
    };
    let there: BTreeSet<_> =
        now.iter().flat_map(|running| running.group().rules.iter().map(key).collect::<Vec<_>>()).collect();
    let mut over = Vec::new();
    for running in before {
        let group = running.group();
        for rule in group.rules.iter().filter(|rule| !there.contains(&key(rule))) {
            over.extend(rule.active().map(|alert| raised::labels(&alert.labels)));
        }
    }
    over
}

/// Ends series of rules that are gone.
fn end(engine: &Engine, series: &[Labels]) {
    if series.is_empty() {
        return;
    }
    let at = engine.clock.now().millis();
    let rows: Vec<_> =
        series.iter().map(|labels| Row { labels: labels.as_bytes(), at, value: stale_marker() }).collect();
    match engine.append(Origin::Rules, &rows) {
        Ok(appended) => engine.commits.want(appended.ticket),
        Err(error) => tracing::warn!(error = chain(&error), "series of rules that are gone are not ended"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_when_it_is_seen_twice() {
        let stamps = |len| vec![(PathBuf::from("a"), None, len)];
        let mut looks = Looks { applied: stamps(1), seen: stamps(1) };
        let seen: Vec<bool> = [1, 2, 3, 3, 3, 1, 1].map(|len| looks.changed(stamps(len))).to_vec();
        assert_eq!(seen, [false, false, false, true, false, false, true]);
    }
}
