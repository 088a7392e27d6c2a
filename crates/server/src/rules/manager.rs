//! Groups started and stopped as files say.
//!
//! Files are looked at again and again. A change counts when two looks in a row saw the same, so that a file which is being
//! written is left alone; files that cannot be used leave everything as it was. Groups that did not change go on
//! undisturbed; those that did take over what is known of their rules; series of rules that are gone end.

use std::{path::PathBuf, sync::Arc, time::Duration};

use barograph_alert::{Defaults, Group, Restoring, Surroundings};
use barograph_model::{Labels, stale_marker};
use barograph_tsdb::Row;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
};

use super::{
    ASKING_MAX, Running,
    files::{self, Files, Stamps},
    task,
};
use crate::{Engine, config::Config, errors::chain, server::stopped, telemetry::Origin};

/// How often rule files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What the configuration says of rules, and the files as they were when the server started.
#[derive(Debug)]
pub(crate) struct Setup {
    patterns: Vec<PathBuf>,
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
            seen: files::stamps(&config.rule_files),
            files: files::read(&config.rule_files)?,
            interval: config.global.evaluation_interval,
            query_offset: config.global.rule_query_offset,
            external_labels: config.global.external_labels.clone(),
        })
    }
}

/// Runs the rules until told to stop. Their series get no staleness markers then: whoever starts next goes on with them.
pub(crate) async fn run(
    engine: Arc<Engine>,
    setup: Setup,
    external_url: String,
    mut stopping: watch::Receiver<bool>,
) {
    engine.telemetry.rules.files(true);
    if setup.patterns.is_empty() {
        return;
    }
    let surroundings = Surroundings { external_labels: setup.external_labels, external_url };
    let around = Arc::new(task::Around { surroundings, turns: Semaphore::new(ASKING_MAX) });
    let defaults = Defaults {
        interval: setup.interval,
        query_offset: setup.query_offset,
        restoring: Some(Restoring::default()),
    };
    let mut manager = Manager { engine, around, defaults, tasks: Vec::new() };
    manager.apply(setup.files).await;
    // What is new from here on was not there before a restart.
    manager.defaults.restoring = None;
    let mut looks = Looks { applied: setup.seen.clone(), seen: setup.seen };
    loop {
        tokio::select! {
            () = stopped(&mut stopping) => break,
            () = tokio::time::sleep(LOOK) => {}
        }
        let patterns = setup.patterns.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let changed = looks.changed(files::stamps(&patterns));
            (looks, changed.then(|| files::read(&patterns)))
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
    tasks: Vec<(Arc<Running>, Task)>,
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
    /// Lets the groups of these files run, and no others.
    async fn apply(&mut self, files: Files) {
        let mut before = std::mem::take(&mut self.tasks);
        let mut ended = Vec::new();
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
                if group.is_like(&running.group()) {
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
        self.engine.rules.set(self.tasks.iter().map(|(running, _)| running.clone()).collect());
        for (running, task) in before {
            task.stop().await;
            ended.extend(running.group().clone().into_series());
        }
        if !ended.is_empty() {
            let engine = self.engine.clone();
            let _ = tokio::task::spawn_blocking(move || end(&engine, &ended)).await;
        }
    }
}

/// Ends series of rules that are gone.
fn end(engine: &Engine, series: &[Labels]) {
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
