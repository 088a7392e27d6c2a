//! Zeros where counting began.
//!
//! Senders may say since when a counter or a histogram counts. What it had counted by its first sample is lost to `rate` and
//! `increase`, which see growth between samples alone; and a counter that began anew and grew quickly is not told from one
//! that went on. With `storage.start_time_zeros`, a sample of zero is stored at the start, once: where the series has nothing
//! from then on, and the start is not older than [`AGE_MAX_MS`].

use barograph_model::{Histogram, HistogramParts, Labels, is_stale};
use barograph_tsdb::{HistogramRow, Row};

use crate::{Engine, telemetry::Origin};

/// Zeros are not put into times that are long settled.
const AGE_MAX_MS: i64 = 3_600_000;

/// Zeros of one request.
#[derive(Debug, Default)]
pub(crate) struct Zeros {
    samples: Vec<(Labels, i64)>,
    histograms: Vec<(Labels, i64, Histogram)>,
}

impl Zeros {
    /// Of a sample that counts since `start`, zero if nobody said.
    pub(crate) fn sample(&mut self, engine: &Engine, labels: &[u8], (start, at, value): (i64, i64, f64)) {
        if !is_stale(value)
            && let Some(labels) = wanted(engine, labels, start, at)
        {
            self.samples.push((labels, start));
        }
    }

    /// Of a native histogram.
    pub(crate) fn histogram(
        &mut self,
        engine: &Engine,
        labels: &[u8],
        (start, at, histogram): (i64, i64, &Histogram),
    ) {
        if !histogram.is_stale()
            && let Some(labels) = wanted(engine, labels, start, at)
            && let Ok(zero) = Histogram::new(HistogramParts {
                schema: histogram.schema(),
                hint: histogram.hint,
                float: histogram.float,
                zero_threshold: histogram.zero_threshold(),
                bounds: histogram.bounds().to_vec(),
                ..HistogramParts::default()
            })
        {
            self.histograms.push((labels, start, zero));
        }
    }

    /// Stores them, before what counts from there on. A zero that is refused is none that anybody sent.
    pub(crate) fn store(&self, engine: &Engine, origin: Origin) {
        let samples = self.samples.iter();
        let rows: Vec<_> =
            samples.map(|(labels, at)| Row { labels: labels.as_bytes(), at: *at, value: 0.0 }).collect();
        let histograms = self.histograms.iter();
        let natives: Vec<_> = histograms
            .map(|(labels, at, histogram)| HistogramRow { labels: labels.as_bytes(), at: *at, histogram })
            .collect();
        if !rows.is_empty() {
            let _ = engine.append(origin, &rows);
        }
        if !natives.is_empty() {
            let _ = engine.append_histograms(origin, &natives);
        }
    }
}

/// The labels of a series, if a zero at `start` tells something.
fn wanted(engine: &Engine, labels: &[u8], start: i64, at: i64) -> Option<Labels> {
    let oldest = engine.clock.now().millis().saturating_sub(AGE_MAX_MS);
    if start <= 0 || start >= at || start < oldest {
        return None;
    }
    let labels = Labels::from_canonical_bytes(labels)?;
    engine.store.newest(&labels).is_none_or(|newest| newest.millis() < start).then_some(labels)
}
