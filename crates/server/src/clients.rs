//! The clients of the server as time passes: windows that move on, clients that are gone, history, totals, log.
//!
//! What is kept of them is configured in the section `stats`. Keeping it never fails a request; what cannot be kept is told
//! in the log.

use std::{sync::Arc, time::Duration};

use barograph::session::{
    ClientDetails, ClientSnapshot, Clock as SessionClock, Lifetime, Report, Sessions, Settings, Spelling,
    Weights, compute_client_analytics,
};
use barograph_disk::Disk;
use barograph_model::Timestamp;
use tokio::sync::watch;

use crate::{
    Engine,
    clock::Clock,
    config::{Stats, StatsExport},
    errors::chain,
    export,
    http::{App, joined},
    lifetime,
    server::stopped,
    surroundings, trends,
};

/// Clients that are told apart. Whoever calls may name himself, so there are no more of them than fit in some MiB.
const CLIENTS_MAX: usize = 20_000;
/// A client that did not call for so long is gone.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// How often the window moves on, and clients that are gone are looked for.
const TICK: Duration = Duration::from_secs(1);
/// How often totals are kept.
const KEEP: Duration = Duration::from_secs(60);

/// Nobody called yet.
pub(crate) fn new(lifetime: Lifetime, stats: &Stats) -> Sessions {
    let mut settings = Settings::default();
    settings.clients_max = CLIENTS_MAX;
    // Who wants to know of others subscribes to that.
    settings.announce = false;
    settings.aliases = stats.emit_aliases;
    settings.weights = stats.weights;
    settings.queue_capacity = usize::try_from(stats.queue.capacity).unwrap_or(settings.queue_capacity);
    settings.queue_policy = stats.queue.policy;
    settings.critical_window = stats.queue.critical_window;
    settings.warning_fill = stats.queue.warning_fill;
    Sessions::at(settings, lifetime, SessionClock::system())
}

/// Lets the time pass for them until told to stop; stores their history, keeps their totals, and tells the log of them, as
/// often as is configured.
pub(crate) async fn keep(
    app: App,
    clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
    mut stopping: watch::Receiver<bool>,
) {
    let stats = app.stats().clone();
    let history = if stats.higher_cost { stats.history } else { Duration::ZERO };
    let began = clock.monotonic();
    let exporting = stats.export.as_ref().map_or(Duration::ZERO, |export| export.interval);
    let persist = if stats.persist { KEEP } else { Duration::ZERO };
    let mut due = [history, stats.log_interval, persist, exporting]
        .map(|every| Periodic { every, next: began + every });
    loop {
        app.sessions().tick(clock.now());
        app.sessions().sweep(IDLE);
        let now = clock.monotonic();
        let [store, log, totals, export] = due.each_mut().map(|periodic| periodic.is_due(now));
        if store && let Some(engine) = app.ready() {
            let (app, at) = (app.clone(), clock.now());
            let _ = tokio::task::spawn_blocking(move || store_history(&app, &engine, at)).await;
        }
        if log {
            log_metrics(&app);
        }
        if export && let Some(export) = stats.export.clone() {
            write_line(&app, export, clock.now()).await;
        }
        if totals {
            keep_totals(&app, &disk).await;
        }
        tokio::select! {
            () = stopped(&mut stopping) => break,
            () = tokio::time::sleep(TICK) => {}
        }
    }
    keep_totals(&app, &disk).await;
}

/// What is done again and again, or never.
struct Periodic {
    every: Duration,
    next: Duration,
}

impl Periodic {
    fn is_due(&mut self, now: Duration) -> bool {
        let is_due = !self.every.is_zero() && now >= self.next;
        if is_due {
            self.next = now + self.every;
        }
        is_due
    }
}

/// The statistics of the server as they stand.
fn report(app: &App) -> Report {
    let surroundings = surroundings::read(app.ready().as_deref(), app.peaks());
    app.sessions().report(&surroundings, Spelling::default())
}

fn store_history(app: &App, engine: &Arc<Engine>, at: Timestamp) {
    let report = report(app);
    let mut clients = app.sessions().client_snapshots(false);
    let most = usize::try_from(app.stats().history_clients).unwrap_or(usize::MAX);
    clients.sort_by_key(|client| std::cmp::Reverse(client.raw.api_calls_total));
    let scores = worst(&clients, &app.stats().weights, most);
    clients.truncate(most);
    trends::keep(engine, at, &report, &clients, scores);
}

/// How well clients are, 0 to 100, those that are worst: who hardly calls may be among them.
fn worst(clients: &[ClientSnapshot], weights: &Weights, most: usize) -> Vec<(Arc<str>, f64)> {
    let score = |client: &ClientSnapshot| {
        let derived = compute_client_analytics(client, &ClientDetails::default(), None, weights);
        (client.id.clone(), derived.client_health_score)
    };
    let mut scores: Vec<_> = clients.iter().map(score).filter(|(_, score)| score.is_finite()).collect();
    scores.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
    scores.truncate(most);
    scores
}

/// One entry with the figures that one would draw.
fn log_metrics(app: &App) {
    let report = report(app);
    let (raw, derived, window) = (&report.snapshot.raw, &report.analytics, &report.snapshot.window);
    tracing::info!(
        clients_connected_current = raw.clients_connected_current,
        api_calls_total = raw.api_calls_total,
        api_calls_failure = raw.api_calls_failure,
        api_success_rate = derived.api_success_rate_overall,
        api_calls_per_second = window.per_second,
        api_p95_ms = window.p95.map(|seconds| seconds * 1e3),
        events_sent_total = raw.events_sent_total,
        events_dropped_total = raw.events_dropped_total,
        bytes_transferred_total = raw.bytes_transferred_total,
        server_health_score = derived.server_health_score,
        system_load_score = derived.system_load_score,
        memory_usage_current_bytes = derived.memory_usage_current_bytes,
        server_uptime_ms = derived.server_uptime_ms,
        "metrics"
    );
}

/// Writes what `/health/server` answers, with the time, where it is exported to.
async fn write_line(app: &App, export: StatsExport, now: Timestamp) {
    let report = report(app);
    let time = serde_json::json!({"timestamp": now.to_rfc3339()}).to_string();
    let document = joined(&time, &report.server());
    let written = tokio::task::spawn_blocking(move || {
        export::append(&export, &document).map_err(|error| (export.file, error))
    });
    if let Ok(Err((file, error))) = written.await {
        tracing::warn!(file = %file.display(), error = chain(&error), "statistics are not exported for now");
    }
}

async fn keep_totals(app: &App, disk: &Arc<dyn Disk>) {
    let Some(totals) = app.sessions().totals() else { return };
    let disk = disk.clone();
    let written = tokio::task::spawn_blocking(move || lifetime::write(&*disk, &totals)).await;
    if let Ok(Err(error)) = written {
        tracing::warn!(error = chain(&error), "totals over all starts are not kept for now");
    }
}
