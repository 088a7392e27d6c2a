//! The engine: the store with everything that drives it, and the one way in for samples.
//!
//! Every input (remote write, scrape, import, own collectors) turns what it got into rows and hands them to
//! [`Engine::append`]. Whoever promised something to a sender then waits for [`Engine::durable`].

use std::{path::PathBuf, sync::Arc};

use barograph_model::{Labels, METRIC_NAME, Matcher, Timestamp};
use barograph_query::{Options as QueryOptions, ast::Expr};
use barograph_state::State;
use barograph_tenancy::{Marked, may_name_one};
use barograph_tsdb::{Appended, HistogramRow, Reason, Row};
use tokio::sync::Semaphore;

use crate::{
    alerting::Alerting,
    clock::Clock,
    collect::Collecting,
    commits::{CommitError, Commits},
    config::{self, Durability},
    current,
    delivery::Delivery,
    diagnostics::Diagnostics,
    events::Events,
    health::Health,
    incidents::Incidents,
    memory::Memory,
    onward::Onward,
    otlp::Otlp,
    push::Groups,
    queries::Queries,
    records::Records,
    reload::Configured,
    results::Results,
    rules::{Board, own::OwnRules},
    scraping::Scraped,
    spans::Spans,
    statsd::Statsd,
    storage::backup::Backups,
    telemetry::{Origin, Telemetry},
    tenants::{Kept, Known, Tenants},
};

/// The running store and its helpers, shared by everything at the edge.
pub struct Engine {
    /// The time-series store.
    pub store: Kept,
    /// Whose data there are, and what each may have.
    pub(crate) tenants: Tenants,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Group commit.
    pub commits: Commits,
    /// Our own metrics.
    pub telemetry: Arc<Telemetry>,
    /// How samples are kept, and what an acknowledgement means.
    pub storage: config::Storage,
    /// The running configuration.
    pub configured: Arc<Configured>,
    /// Results of range queries that are kept to be used again.
    pub results: Results,
    /// The queries that run, wait, or were slow.
    pub queries: Queries,
    /// The memory budget.
    pub memory: Arc<Memory>,
    /// What happens, told to whoever listens.
    pub(crate) events: Events,
    /// What must survive besides samples.
    pub state: Arc<State>,
    /// The checks and what they say.
    pub health: Health,
    /// One permit a running export.
    pub exports: Arc<Semaphore>,
    /// What is known of records by name.
    pub(crate) records: Records,
    /// The collectors, and what is stored of our own metrics.
    pub collecting: Collecting,
    /// Groups that were pushed.
    pub(crate) push: Groups,
    /// StatsD.
    pub(crate) statsd: Statsd,
    /// Spans.
    pub(crate) spans: Spans,
    /// What is known of OTLP from one request to the next.
    pub(crate) otlp: Otlp,
    /// Notices on their way to somebody.
    pub(crate) delivery: Arc<Delivery>,
    /// What the server knows of itself.
    pub(crate) diagnostics: Diagnostics,
    /// Who takes what fires.
    pub(crate) incidents: Incidents,
    /// Alerts, and who is told.
    pub(crate) alerting: Arc<Alerting>,
    /// Alertmanagers that are told, too.
    pub(crate) onward: Onward,
    /// The rules that run.
    pub(crate) rules: Board,
    /// Rules that were made by API.
    pub(crate) own_rules: Arc<OwnRules>,
    /// What is scraped.
    pub(crate) scraped: Scraped,
    /// Where the store lies.
    pub data_dir: PathBuf,
    /// Where backups of the store may go.
    pub backups: Backups,
    /// Whether the calls of the Prometheus API that change the store are answered.
    pub admin_api: bool,
    /// The time of the collectors' last tick.
    pub ticks: tokio::sync::watch::Sender<Timestamp>,
}

impl Engine {
    /// What a query may cost.
    pub fn limits(&self) -> config::Query {
        self.configured.current().query.clone()
    }

    /// What others see on each series that does not have it itself.
    pub fn external_labels(&self) -> Labels {
        self.configured.current().global.external_labels.clone()
    }

    /// How queries are evaluated.
    pub fn query_options(&self) -> QueryOptions {
        let query = &self.configured.current().query;
        let lookback_ms = i64::try_from(query.lookback.as_millis()).unwrap_or(i64::MAX);
        let options = if query.experimental { QueryOptions::experimental() } else { QueryOptions::default() };
        QueryOptions { lookback_ms, ..options }
    }

    /// Appends rows, those of history whatever their age, and counts what became of them; the caller decides whether to
    /// wait until they are durable.
    ///
    /// # Errors
    /// The store takes nothing (it is read-only, or the disk is full): nothing was stored.
    pub fn append(&self, origin: Origin, rows: &[Row<'_>]) -> Result<Appended, barograph_tsdb::Error> {
        let Some(known) = self.tenants.working() else { return self.append_marked(origin, rows) };
        self.admit(&known, origin, rows.len())?;
        // What is of the default tenant, and says nothing else, is marked already.
        if known.is_default() && !rows.iter().any(|row| may_name_one(row.labels)) {
            let appended = self.append_marked(origin, rows)?;
            known.note(appended.stored, 0);
            return Ok(appended);
        }
        let mut marked = Marked::new(&known.tenant, rows.len() * 64);
        let places: Vec<_> = rows.iter().map(|row| marked.add(row.labels)).collect();
        let labels = marked.bytes();
        let rows: Vec<_> =
            rows.iter().zip(places).map(|(row, place)| Row { labels: &labels[place], ..*row }).collect();
        let appended = self.append_marked(origin, &rows)?;
        known.note(appended.stored, marked.dropped());
        Ok(appended)
    }

    /// Whether a tenant may bring so many samples now. What the server measures of itself comes whatever it says.
    fn admit(&self, known: &Known, origin: Origin, samples: usize) -> Result<(), barograph_tsdb::Error> {
        if origin == Origin::Own {
            return Ok(());
        }
        let may = known.may_bring(samples, self.clock.monotonic());
        may.map_err(|wait| barograph_tsdb::Error::TooFast {
            owner: format!("the tenant {}", known.name),
            limit: "samples_per_second",
            wait,
        })
    }

    /// Appends rows that say whose they are.
    fn append_marked(&self, origin: Origin, rows: &[Row<'_>]) -> Result<Appended, barograph_tsdb::Error> {
        let now = self.clock.now();
        let appended = current::stage("append", || match origin {
            Origin::History => self.with_room(now, || self.store.append_any_age(rows, now)),
            _ => self.store.append(rows, now),
        })?;
        self.telemetry.appended(origin, &appended);
        Ok(appended)
    }

    /// Appends native histograms, as [`Engine::append`].
    ///
    /// # Errors
    /// As of that.
    pub fn append_histograms(
        &self,
        origin: Origin,
        rows: &[HistogramRow<'_>],
    ) -> Result<Appended, barograph_tsdb::Error> {
        let Some(known) = self.tenants.working() else { return self.append_marked_histograms(origin, rows) };
        self.admit(&known, origin, rows.len())?;
        // What is of the default tenant, and says nothing else, is marked already.
        if known.is_default() && !rows.iter().any(|row| may_name_one(row.labels)) {
            let appended = self.append_marked_histograms(origin, rows)?;
            known.note(appended.stored, 0);
            return Ok(appended);
        }
        let mut marked = Marked::new(&known.tenant, rows.len() * 64);
        let places: Vec<_> = rows.iter().map(|row| marked.add(row.labels)).collect();
        let labels = marked.bytes();
        let rows: Vec<_> = rows
            .iter()
            .zip(places)
            .map(|(row, place)| HistogramRow { labels: &labels[place], ..*row })
            .collect();
        let appended = self.append_marked_histograms(origin, &rows)?;
        known.note(appended.stored, marked.dropped());
        Ok(appended)
    }

    fn append_marked_histograms(
        &self,
        origin: Origin,
        rows: &[HistogramRow<'_>],
    ) -> Result<Appended, barograph_tsdb::Error> {
        let now = self.clock.now();
        let appended = match origin {
            Origin::History => self.with_room(now, || self.store.append_histograms_any_age(rows, now))?,
            _ => self.store.append_histograms(rows, now)?,
        };
        self.telemetry.appended(origin, &appended);
        Ok(appended)
    }

    /// Notes which metrics a query names.
    pub fn note_queried(&self, expression: &Expr) {
        let selectors = barograph_query::selectors(expression);
        let names = selectors.iter().flatten().filter(|matcher| matcher.name() == METRIC_NAME);
        let names = names.filter_map(Matcher::allowed_values).flatten();
        self.store.note_queried(names.map(AsRef::as_ref), self.clock.now());
    }

    /// What is late waits in memory until it is put into blocks. Whoever brings more than may wait does that first, and
    /// appends again: what was taken already counts as stored.
    fn with_room(
        &self,
        now: Timestamp,
        append: impl Fn() -> Result<Appended, barograph_tsdb::Error>,
    ) -> Result<Appended, barograph_tsdb::Error> {
        let full =
            |appended: &Appended| appended.rejected.iter().any(|row| row.reason == Reason::TooManyLate);
        match append() {
            Err(barograph_tsdb::Error::Overloaded { .. }) => {}
            Ok(appended) if full(&appended) => {}
            outcome => return outcome,
        }
        self.store.maintain(now)?;
        append()
    }

    /// Waits until what `ticket` stands for survives a crash, if durability is promised; asks for it in any case.
    ///
    /// # Errors
    /// [`CommitError`]: the sender must send again.
    pub async fn durable(&self, ticket: u64) -> Result<(), CommitError> {
        current::staged("durable", self.made_durable(ticket)).await
    }

    async fn made_durable(&self, ticket: u64) -> Result<(), CommitError> {
        match self.storage.durability {
            Durability::Batch => self.commits.durable(ticket).await,
            Durability::Sync => {
                let store = self.store.whole().clone();
                let committed = current::blocking(move || store.commit()).await;
                let committed = committed.map_err(|error| CommitError::because(&error.to_string()))?;
                committed.map_err(|error| CommitError::of(&error))?;
                Ok(())
            }
            Durability::Relaxed => {
                self.commits.want(ticket);
                Ok(())
            }
        }
    }
}
