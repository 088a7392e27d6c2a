//! What the server looks at by itself: where it keeps things, what that needs, what goes in.

use std::{
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use super::{Checking, Finding, Health, HealthCheck, Plan, lock};
use crate::{
    Engine,
    memory::Step,
    scrape,
    scrape::TargetStatus,
    storage::{Space, space_at},
};

/// A disk is short, or full, with less free than this share and this many bytes: five of a hundred are much of a large
/// disk, and a gibibyte is much of a small one.
const DISK_SHORT: (f64, u64) = (0.05, 2 << 30);
const DISK_FULL: (f64, u64) = (0.01, 256 << 20);
/// The wall clock may go this much otherwise than the time that passed, in milliseconds.
const CLOCK_JUMP_MS: i64 = 2_000;
/// The log is stuck if something waits for it for so long.
const COMMIT_AGE: Duration = Duration::from_secs(15);
/// Runs of collectors that may fail.
const COLLECTION_ERRORS: u64 = 10;

/// A check of the engine, which blocks.
struct BuiltIn<F> {
    name: &'static str,
    component: &'static str,
    plan: Plan,
    engine: Weak<Engine>,
    look: F,
}

impl<F: Fn(&Engine) -> Finding + Send + Sync + 'static> HealthCheck for BuiltIn<F> {
    fn name(&self) -> &str {
        self.name
    }

    fn component(&self) -> &str {
        self.component
    }

    fn plan(&self) -> Plan {
        self.plan.clone()
    }

    fn check(self: Arc<Self>) -> Checking {
        blocking(move || match self.engine.upgrade() {
            Some(engine) => (self.look)(&engine),
            None => Finding::unknown("the server is stopping"),
        })
    }
}

/// A look that may block its thread.
fn blocking(look: impl FnOnce() -> Finding + Send + 'static) -> Checking {
    Box::pin(async move {
        match tokio::task::spawn_blocking(look).await {
            Ok(finding) => finding,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Finding::unknown("the server is stopping"),
            },
        }
    })
}

/// All that look at the engine.
pub(super) fn all(engine: &Arc<Engine>, health: &Health) -> Vec<Arc<dyn HealthCheck>> {
    let essential = |seconds| Plan { essential: true, ..Plan::every(Duration::from_secs(seconds)) };
    let plan = |seconds| Plan::every(Duration::from_secs(seconds)).at_once();
    let slow =
        |plan: Plan| Plan { timeout: Duration::from_secs(5), slow: Some(Duration::from_secs(1)), ..plan };
    let of = Of(Arc::downgrade(engine));
    let (state, failures, clock, drops) =
        (health.clone(), Mutex::default(), Mutex::default(), Mutex::default());
    vec![
        of.check("persistence_check", "persistence", slow(essential(15)), move |engine| {
            persistence(engine, &state)
        }),
        of.check("wal", "store", essential(5).at_once(), log),
        of.check("maintenance", "store", Plan { optional: true, ..plan(15) }, move |engine| {
            maintenance(engine, &failures)
        }),
        of.check("disk_space", "disk", plan(15), disk),
        of.check("memory_budget", "memory", plan(5), memory),
        of.check("clock", "clock", plan(5), move |engine| clock_jumps(engine, &clock)),
        of.check("event_queues", "events", plan(10), move |engine| queues(engine, &drops)),
        of.check("metrics_service", "metrics_service", plan(10), |engine| {
            let totals = engine.collecting.collectors.totals();
            metrics_service(totals.collectors, totals.errors)
        }),
    ]
}

struct Of(Weak<Engine>);

impl Of {
    fn check(
        &self,
        name: &'static str,
        component: &'static str,
        plan: Plan,
        look: impl Fn(&Engine) -> Finding + Send + Sync + 'static,
    ) -> Arc<dyn HealthCheck> {
        Arc::new(BuiltIn { name, component, plan, engine: self.0.clone(), look })
    }
}

/// Writes into both places where things are kept, and reads back what was written.
fn persistence(engine: &Engine, health: &Health) -> Finding {
    let began = engine.clock.monotonic();
    let failed = |place: &str, error: &dyn std::error::Error| {
        Finding::fail(format!("{place}: {}", crate::errors::chain(error))).with("stores_checked", 2)
    };
    // Files that are open can be written even when they have lost their names.
    match engine.store.is_in_place() {
        Ok(true) => {}
        Ok(false) => return Finding::fail("the data directory was removed, or another took its place"),
        Err(error) => return failed("the data directory", &error),
    }
    if let Err(error) = engine.store.commit() {
        return failed("the log", &error);
    }
    if let Err(error) = health.probe_state() {
        return failed("the state database", &error);
    }
    let took = (engine.clock.monotonic() - began).as_secs_f64() * 1e3;
    Finding::pass()
        .with("stores_checked", 2)
        .with("avg_response_time", (took * 500.0).round() / 1e3)
        .with("state_bytes", health.state_bytes())
}

fn log(engine: &Engine) -> Finding {
    let stats = engine.store.stats();
    let age = engine.commits.age(engine.clock.monotonic());
    let finding = if stats.read_only {
        Finding::fail("the store is read-only after its disk failed")
    } else if let Some(reason) = engine.commits.failing() {
        Finding::fail(reason.to_string())
    } else if stats.wal_pending_bytes > 0 && age.is_some_and(|age| age > COMMIT_AGE) {
        Finding::fail(format!("what was written waits for the disk for {COMMIT_AGE:?}"))
    } else {
        Finding::pass()
    };
    finding
        .with("last_commit_age_ms", age.map(|age| age.as_secs_f64() * 1e3))
        .with("pending_bytes", stats.wal_pending_bytes)
        .with("segments", stats.wal_segments)
        .with("failures", stats.wal_failures)
}

fn maintenance(engine: &Engine, seen: &Mutex<u64>) -> Finding {
    let (stats, failures) = (engine.store.stats(), engine.telemetry.maintenance_failures.value());
    let before = std::mem::replace(&mut *lock(seen), failures);
    let finding = match (failures > before, stats.set_aside) {
        (true, _) => Finding::fail("maintenance failed; the log says why"),
        (false, 0) => Finding::pass(),
        (false, files) => Finding::warn(format!("{files} corrupt files were set aside; the log names them")),
    };
    let at =
        Some(stats.maintained_at).filter(|&at| at > 0).map(|at| barograph_model::Timestamp(at).to_rfc3339());
    finding
        .with("blocks", stats.blocks)
        .with("failures", failures)
        .with("last_run", at)
        .with("blocks_damaged", stats.blocks_damaged)
}

fn disk(engine: &Engine) -> Finding {
    match space_at(&engine.data_dir) {
        Some(space) => room(space),
        None => Finding::pass().with("known", false),
    }
}

fn room(space: Space) -> Finding {
    let free = space.free as f64 / space.total.max(1) as f64;
    let percent = (1e4 * free).round() / 100.0;
    let below = |(share, bytes)| free < share && space.free < bytes;
    let message = || format!("only {percent} % of the disk are free, {} MiB", space.free >> 20);
    let finding = match (below(DISK_FULL), below(DISK_SHORT)) {
        (true, _) => Finding::fail(message()),
        (_, true) => Finding::warn(message()),
        _ => Finding::pass(),
    };
    finding.with("free_percent", percent).with("free_bytes", space.free).with("total_bytes", space.total)
}

fn memory(engine: &Engine) -> Finding {
    let memory = &engine.memory;
    let taken: Vec<&str> =
        Step::ALL.into_iter().filter(|step| memory.sheds(*step)).map(Step::as_str).collect();
    let refuses = memory.sheds(Step::Queries) || memory.sheds(Step::Ingest);
    let finding = match refuses {
        true => Finding::warn("memory is short: queries or writes are refused for now"),
        false => Finding::pass(),
    };
    finding
        .with("memory_usage", (1e4 * memory.used()).round() / 100.0)
        .with("budget_bytes", memory.budget())
        .with("steps", taken)
}

/// Whether the wall clock went as far as the time that passed since the last look.
fn clock_jumps(engine: &Engine, last: &Mutex<Option<(i64, Duration)>>) -> Finding {
    let now = (engine.clock.now().0, engine.clock.monotonic());
    let Some(before) = lock(last).replace(now) else { return Finding::pass() };
    jump(before, now)
}

fn jump(before: (i64, Duration), now: (i64, Duration)) -> Finding {
    let passed = i64::try_from((now.1.saturating_sub(before.1)).as_millis()).unwrap_or(i64::MAX);
    let jump = (now.0.saturating_sub(before.0)).saturating_sub(passed);
    let finding = match jump.saturating_abs() > CLOCK_JUMP_MS {
        true => Finding::warn(format!("the clock of the machine jumped by {jump} ms")),
        false => Finding::pass(),
    };
    finding.with("jump_ms", jump)
}

fn queues(engine: &Engine, seen: &Mutex<u64>) -> Finding {
    let snapshot = engine.events.sessions().snapshot();
    let (critical, overflows) =
        (snapshot.raw.event_queues_critical_count, snapshot.raw.event_queues_overflow_total);
    let before = std::mem::replace(&mut *lock(seen), overflows);
    let finding = match overflows > before || critical > 0 {
        true => Finding::warn(format!("{critical} clients read too slowly and lose events")),
        false => Finding::pass(),
    };
    let lost = engine.events.counts();
    finding
        .with("critical_queues", critical)
        .with("overflows", overflows)
        .with("queued_bytes", snapshot.queue_bytes)
        .with("not_written", lost.failed)
        .with("not_kept", lost.unkept)
}

/// The collectors together: a few runs may fail.
#[doc(alias = "MetricsHealthChecker")]
fn metrics_service(collectors: usize, errors: u64) -> Finding {
    let message = match errors > COLLECTION_ERRORS {
        true => format!("High error rate: {errors} errors"),
        false => format!("Collecting {collectors} metrics"),
    };
    let finding = if errors > COLLECTION_ERRORS { Finding::fail(message.clone()) } else { Finding::pass() };
    let status = finding.status.as_str();
    finding
        .with("message", message)
        .with("status", status)
        .with("total_collectors", collectors)
        .with("collection_errors", errors)
}

/// Looks at what is scraped.
struct Targets(Box<dyn Fn() -> Vec<TargetStatus> + Send + Sync>);

/// The check of scrape targets.
pub(super) fn targets(list: Box<dyn Fn() -> Vec<TargetStatus> + Send + Sync>) -> Arc<dyn HealthCheck> {
    Arc::new(Targets(list))
}

impl HealthCheck for Targets {
    fn name(&self) -> &str {
        "scrape_targets"
    }

    fn component(&self) -> &str {
        "scraping"
    }

    fn plan(&self) -> Plan {
        Plan::every(Duration::from_secs(10)).at_once()
    }

    fn check(self: Arc<Self>) -> Checking {
        Box::pin(async move { judged(&(self.0)()) })
    }
}

/// Targets come and go; it is wrong when half of them or more are down.
fn judged(targets: &[TargetStatus]) -> Finding {
    let down: Vec<_> = targets.iter().filter(|target| target.health == scrape::Health::Down).collect();
    let finding = match 2 * down.len() >= targets.len() && !down.is_empty() {
        true => Finding::warn(format!("{} of {} targets are down", down.len(), targets.len())),
        false => Finding::pass(),
    };
    let named: Vec<&str> = down.iter().take(20).map(|target| target.url.as_str()).collect();
    finding.with("targets", targets.len()).with("down", down.len()).with("down_targets", named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Status;

    #[test]
    fn collectors_may_fail_ten_times() {
        let ten = metrics_service(6, 10);
        assert_eq!((ten.status, &ten.details["message"]), (Status::Healthy, &"Collecting 6 metrics".into()));
        let eleven = metrics_service(6, 11);
        assert_eq!(eleven.status, Status::Unhealthy);
        assert_eq!(eleven.message.as_deref(), Some("High error rate: 11 errors"));
        assert_eq!(eleven.details["status"], "unhealthy");
    }

    #[test]
    fn a_disk_is_short_by_share_and_by_bytes() {
        let check = |total: u64, free: u64, expected| {
            let space = Space { total: total << 20, free: free << 20 };
            assert_eq!(room(space).status, expected, "{free} of {total} MiB");
        };
        check(250_000, 25_000, Status::Healthy);
        check(250_000, 2_500, Status::Healthy);
        check(250_000, 2_000, Status::Degraded);
        check(250_000, 255, Status::Unhealthy);
        check(1_000, 60, Status::Healthy);
        check(1_000, 40, Status::Degraded);
        check(1_000, 9, Status::Unhealthy);
        check(0, 0, Status::Unhealthy);
    }

    #[test]
    fn a_clock_that_jumps_is_told() {
        let check = |wall: i64, passed: u64, expected| {
            let finding = jump(
                (1_000_000, Duration::from_secs(5)),
                (1_000_000 + wall, Duration::from_secs(5 + passed)),
            );
            assert_eq!(finding.status, expected, "{wall} ms in {passed} s");
        };
        check(5_000, 5, Status::Healthy);
        check(6_500, 5, Status::Healthy);
        check(3_600_000, 5, Status::Degraded);
        check(-10_000, 5, Status::Degraded);
        check(600_000, 600, Status::Healthy);
    }
}
