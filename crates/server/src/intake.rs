//! What a request brings that was decoded into values of its own, and the one way in which it is stored.
//!
//! Whoever reads a format makes a [`Batch`] of it on a thread that may block, within a turn of memory, and hands it to
//! [`Batch::store`]. [`admitted`] is the frame around that: it refuses while the store is closed or memory is short, waits
//! for a turn, and comes back when what was stored is durable. Remote write walks its bytes in place and needs no batch.

use std::sync::Arc;

use axum::http::StatusCode;
use barograph_model::{Exemplar, Histogram, Labels, Metadata, Timestamp};
use barograph_tsdb::{HistogramRow, Reason, Row};

use crate::{
    Engine, current,
    http::{App, NO_MEMORY, RequestLimits, not_durable, not_stored},
    memory::Step,
    telemetry::Origin,
    tenants::scope,
};

/// Why nothing, or not all, of a request was stored: the status that its sender understands, and the reason in words.
pub(crate) type Refused = (StatusCode, String);

/// Samples, native histograms, and what is said about them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    /// Floats.
    pub(crate) samples: Vec<(Labels, Timestamp, f64)>,
    /// Native histograms.
    pub(crate) histograms: Vec<(Labels, Timestamp, Histogram)>,
    /// Type, help and unit, by name of the family.
    pub(crate) metadata: Vec<(String, Metadata)>,
    /// Examples, with the series that they are of.
    pub(crate) exemplars: Vec<(Labels, Exemplar)>,
}

/// One of the things of a batch that were not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// Whether it is a native histogram.
    pub(crate) histogram: bool,
    /// Its place among those of its kind.
    pub(crate) place: usize,
    /// Why it was not stored.
    pub(crate) reason: Reason,
}

/// What became of a batch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken {
    /// What is to become durable.
    pub(crate) ticket: u64,
    /// Samples and histograms that are stored now.
    pub(crate) stored: usize,
    /// The others.
    pub(crate) left: Vec<Left>,
}

impl Batch {
    /// Samples and histograms in it.
    pub(crate) fn len(&self) -> usize {
        self.samples.len() + self.histograms.len()
    }

    /// Stores what can be stored, as coming from `origin`.
    ///
    /// # Errors
    /// Nothing was stored, or too much is late; the sender may send all of it again.
    pub(crate) fn store(&self, engine: &Engine, origin: Origin) -> Result<Taken, Refused> {
        let samples: Vec<_> = self
            .samples
            .iter()
            .map(|(labels, at, value)| Row { labels: labels.as_bytes(), at: at.0, value: *value })
            .collect();
        let histograms: Vec<_> = self
            .histograms
            .iter()
            .map(|(labels, at, histogram)| HistogramRow { labels: labels.as_bytes(), at: at.0, histogram })
            .collect();
        let rows = Rows {
            samples: &samples,
            histograms: &histograms,
            metadata: &self.metadata,
            exemplars: &self.exemplars,
        };
        rows.store(engine, origin)
    }
}

/// A batch whose labels lie somewhere as bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    /// Floats.
    pub(crate) samples: &'a [Row<'a>],
    /// Native histograms.
    pub(crate) histograms: &'a [HistogramRow<'a>],
    /// Type, help and unit, by name of the family.
    pub(crate) metadata: &'a [(String, Metadata)],
    /// Examples, with the series that they are of.
    pub(crate) exemplars: &'a [(Labels, Exemplar)],
}

impl Rows<'_> {
    /// As [`Batch::store`].
    ///
    /// # Errors
    /// See there.
    pub(crate) fn store(&self, engine: &Engine, origin: Origin) -> Result<Taken, Refused> {
        let mut taken = Taken::default();
        if !self.samples.is_empty() {
            taken.add(false, engine.append(origin, self.samples).map_err(|e| not_stored(&e))?);
        }
        if !self.histograms.is_empty() {
            taken.add(true, engine.append_histograms(origin, self.histograms).map_err(|e| not_stored(&e))?);
        }
        if taken.left.iter().any(|left| left.reason == Reason::TooManyLate) {
            // They will have room soon, and what was stored already does no harm.
            return Err((StatusCode::TOO_MANY_REQUESTS, Reason::TooManyLate.to_string()));
        }
        for (name, metadata) in self.metadata {
            engine.store.set_metadata(name, metadata);
        }
        for (labels, exemplar) in self.exemplars {
            engine.store.append_exemplar(labels, exemplar.clone());
        }
        Ok(taken)
    }
}

impl Taken {
    fn add(&mut self, histogram: bool, appended: barograph_tsdb::Appended) {
        self.ticket = self.ticket.max(appended.ticket);
        self.stored += appended.stored;
        let left = appended.rejected.into_iter();
        self.left.extend(left.map(|row| Left { histogram, place: row.row, reason: row.reason }));
    }
}

/// Lets a request in that may take `cost` bytes of memory while it is worked on, runs `work` on a thread that may block, and
/// returns what that found when what its ticket stands for is durable.
///
/// # Errors
/// The store is not open, memory is short, `work` refuses, or the log cannot be made durable.
pub(crate) async fn admitted<T: Send + 'static>(
    app: &App,
    cost: usize,
    work: impl FnOnce(&Engine, RequestLimits) -> Result<(u64, T), Refused> + Send + 'static,
) -> Result<(Arc<Engine>, T), Refused> {
    let closed = || (StatusCode::SERVICE_UNAVAILABLE, "the store is being opened; send again".to_owned());
    let engine = app.ready().ok_or_else(closed)?;
    if engine.memory.sheds(Step::Ingest) {
        return Err((StatusCode::TOO_MANY_REQUESTS, NO_MEMORY.to_owned()));
    }
    let turn = engine.memory.turn(cost).await;
    let (working, limits) = (engine.clone(), app.limits());
    let done = current::blocking(move || {
        let done = scope::one(|| work(&working, limits));
        drop(turn);
        done
    });
    let failed = |_| (StatusCode::INTERNAL_SERVER_ERROR, "storing failed; the log says why".to_owned());
    let (ticket, found) = done.await.map_err(failed)??;
    let durable = engine.durable(ticket).await;
    durable.map_err(|error| (not_durable(&error), error.to_string()))?;
    Ok((engine, found))
}
