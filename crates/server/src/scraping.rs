//! Scrapes into the engine: the sink the scrape manager hands its samples to.
//!
//! Scraped samples ride the next group commit; nobody waits for it.

use std::sync::{Arc, Mutex, PoisonError};

use barograph_model::{Exemplar, Labels, Metadata};
use barograph_tsdb::{Appended, HistogramRow, Reason, Row};
use tokio::sync::watch;

use crate::{
    Engine,
    health::Watched,
    memory::Step,
    scrape::{Discovery, Outcome, ScrapeManager, Sink, SinkError, View},
    server::stopped,
    telemetry::Origin,
    tenants::scope,
};

/// Scrapes the targets that are configured, and those of each configuration that follows, until told to stop.
pub(crate) async fn run(engine: Arc<Engine>, mut stopping: watch::Receiver<bool>) {
    let clock = engine.clock.clone();
    let health = engine.health.clone();
    let mut configured = engine.configured.subscribe();
    let manager = ScrapeManager::start(Arc::new(EngineSink(engine.clone())), clock, Discovery::default());
    engine.scraped.set(manager.view());
    let mut watched = false;
    loop {
        let config = configured.borrow_and_update().clone();
        manager.apply(&config.scrape_configs);
        if !watched && !config.scrape_configs.is_empty() {
            health.watch(Watched { targets: Box::new(manager.watcher()) });
            watched = true;
        }
        tokio::select! {
            () = stopped(&mut stopping) => break,
            Ok(()) = configured.changed() => {}
        }
    }
    manager.stop().await;
}

struct EngineSink(Arc<Engine>);

impl Sink for EngineSink {
    fn append(&self, rows: &[Row<'_>], histograms: &[HistogramRow<'_>]) -> Result<Outcome, SinkError> {
        if self.0.memory.sheds(Step::Ingest) {
            return Err(SinkError("memory is short".into()));
        }
        let mut outcome = Outcome::default();
        let mut took = |appended: Result<Appended, barograph_tsdb::Error>| {
            let appended = appended.map_err(|error| SinkError(Box::new(error)))?;
            self.0.commits.want(appended.ticket);
            appended.rejected.iter().for_each(|rejected| count(rejected.reason, &mut outcome));
            Ok(())
        };
        scope::one(|| {
            took(self.0.append(Origin::Scrape, rows))?;
            if !histograms.is_empty() {
                took(self.0.append_histograms(Origin::Scrape, histograms))?;
            }
            Ok(())
        })?;
        Ok(outcome)
    }

    fn metadata(&self, family: &str, metadata: &Metadata) {
        self.0.store.set_metadata(family, metadata);
    }

    fn within(&self, tenant: Option<&str>, work: &mut dyn FnMut()) {
        scope::sync_within(self.0.tenants.of_task(tenant), work);
    }

    fn exemplar(&self, labels: &[u8], exemplar: Exemplar) {
        if let Some(labels) = Labels::from_canonical_bytes(labels) {
            self.0.store.append_exemplar(&labels, exemplar);
        }
    }
}

fn count(reason: Reason, outcome: &mut Outcome) {
    match reason {
        Reason::OutOfOrder => outcome.out_of_order += 1,
        Reason::Duplicate => outcome.duplicate += 1,
        Reason::TooOld | Reason::TooFarAhead => outcome.out_of_bounds += 1,
        _ => outcome.refused += 1,
    }
}

/// What is scraped, for those that tell of it; nothing before scraping began.
#[derive(Default)]
pub(crate) struct Scraped(Mutex<View>);

impl Scraped {
    fn set(&self, view: View) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = view;
    }

    /// As it stands.
    pub(crate) fn view(&self) -> View {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
