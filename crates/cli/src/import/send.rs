//! Samples to the server, many a request, each request acknowledged before the next.
//!
//! A server that has no room for the moment says so and is asked again, for a while.

use crate::{
    answer,
    client::{Client, Reply},
    error::Error,
};
use barograph_model::{Exemplar, Histogram, Labels, Metadata, Sample, Timestamp};
use barograph_wire::remote_write::Writer;
use serde::Deserialize;
use std::{thread, time::Duration};

const PATH: &str = "/api/barograph/v1/import";
/// A request is sent when it has so many samples or bytes, well below what a server takes.
const SAMPLES_MAX: usize = 20_000;
const BYTES_MAX: usize = 4 << 20;
/// So many native histograms, which may be large, are put into a request at once.
const HISTOGRAMS_MAX: usize = 100;
/// How often a server that has no room is asked again, and after how long.
const RETRIES: usize = 60;
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// So many complaints of the server are told.
const TOLD_MAX: usize = 5;

/// What was sent, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) sent: u64,
    /// Stored now or before.
    pub(super) stored: u64,
    /// Requests of which something was refused.
    pub(super) complaints: u64,
    /// What the server said of the first of them.
    pub(super) told: Vec<String>,
}

/// The request being made.
pub(super) struct Sender<'a> {
    client: &'a Client,
    writer: Writer,
    samples: usize,
    totals: Totals,
}

#[derive(Deserialize)]
struct Outcome {
    sent: u64,
    stored: u64,
    complaint: Option<String>,
}

impl<'a> Sender<'a> {
    pub(super) fn new(client: &'a Client) -> Self {
        Self { client, writer: Writer::new(), samples: 0, totals: Totals::default() }
    }

    /// Samples of a series, in the order of time.
    pub(super) fn series(&mut self, labels: &Labels, mut samples: &[Sample]) -> Result<(), Error> {
        while !samples.is_empty() {
            let room = SAMPLES_MAX.saturating_sub(self.samples);
            let (now, later) = samples.split_at(room.min(samples.len()));
            self.writer.series(labels.as_bytes(), now);
            self.samples += now.len();
            samples = later;
            self.send_if_large()?;
        }
        Ok(())
    }

    /// Native histograms of a series, in the order of time.
    pub(super) fn histograms(
        &mut self,
        labels: &Labels,
        histograms: &[(Timestamp, Histogram)],
    ) -> Result<(), Error> {
        for some in histograms.chunks(HISTOGRAMS_MAX) {
            self.writer.histograms(labels.as_bytes(), some);
            self.samples += some.len();
            self.send_if_large()?;
        }
        Ok(())
    }

    /// A sample with an exemplar.
    pub(super) fn example(
        &mut self,
        labels: &Labels,
        sample: Sample,
        exemplar: Exemplar,
    ) -> Result<(), Error> {
        self.writer.series_with_exemplars(labels.as_bytes(), &[sample], &[exemplar]);
        self.samples += 1;
        self.send_if_large()
    }

    /// What is known of a metric.
    pub(super) fn metadata(&mut self, name: &str, metadata: &Metadata) -> Result<(), Error> {
        self.writer.metadata(name, metadata);
        self.send_if_large()
    }

    /// How many samples it was given so far.
    pub(super) fn given(&self) -> u64 {
        self.totals.sent + self.samples as u64
    }

    /// Sends what is left.
    pub(super) fn finish(mut self) -> Result<Totals, Error> {
        if !self.writer.is_empty() {
            self.send()?;
        }
        Ok(self.totals)
    }

    fn send_if_large(&mut self) -> Result<(), Error> {
        if self.samples < SAMPLES_MAX && self.writer.as_bytes().len() < BYTES_MAX {
            return Ok(());
        }
        self.send()
    }

    fn send(&mut self) -> Result<(), Error> {
        let body = self.writer.compressed();
        let body =
            body.map_err(|error| Error::Failed { what: "cannot make a request", source: error.into() })?;
        let reply = self.post(body)?;
        let outcome: Outcome = serde_json::from_slice(&reply.body).map_err(|error| Error::Foreign {
            url: reply.url,
            status: reply.status,
            why: error.to_string(),
        })?;
        self.totals.sent += outcome.sent;
        self.totals.stored += outcome.stored;
        if let Some(complaint) = outcome.complaint {
            self.totals.complaints += 1;
            if self.totals.told.len() < TOLD_MAX {
                self.totals.told.push(complaint.replace('\n', "; "));
            }
        }
        self.writer.clear();
        self.samples = 0;
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "the server says to come again later, and not when")]
    fn post(&self, body: Vec<u8>) -> Result<Reply, Error> {
        for _ in 0..RETRIES {
            let reply = self.client.write(PATH, body.clone())?;
            match reply.status {
                200 => return Ok(reply),
                429 | 503 => thread::sleep(RETRY_AFTER),
                _ => return Err(answer::refusal(&reply)),
            }
        }
        let reply = self.client.write(PATH, body)?;
        if reply.status == 200 { Ok(reply) } else { Err(answer::refusal(&reply)) }
    }
}
