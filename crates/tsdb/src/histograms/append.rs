//! Appending histograms: judged, put into the head, handed to the log.

use barograph_codec::{HistogramDecoder, HistogramEncoder, varint};
use barograph_model::{Histogram, Labels, Timestamp};

use crate::{Appended, Error, Reason, Rejected, Store, options::millis, spelling, stats, wal::HISTOGRAMS};

/// One native histogram of one series, as it comes in.
#[derive(Clone, Copy, Debug)]
pub struct HistogramRow<'a> {
    /// As of [`crate::Row`].
    pub labels: &'a [u8],
    /// Milliseconds since the epoch.
    pub at: i64,
    /// What was observed.
    pub histogram: &'a Histogram,
}

impl Store {
    /// Appends native histograms, by the rules of [`Store::append`]; one that is older than the last of its series is
    /// out of order, there is no window for late ones.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] and [`Error::Overloaded`]; then no row was taken.
    pub fn append_histograms(&self, rows: &[HistogramRow<'_>], now: Timestamp) -> Result<Appended, Error> {
        self.wal.check_open()?;
        let latest = now.millis().saturating_add(millis(self.options.ahead_max));
        let floor = self.head.floor();
        let mut appended = Appended::default();
        let (mut count, mut entries, mut last_at) = (0u64, Vec::new(), i64::MIN);
        let mut all = self.histograms.lock();
        let before = all.len();
        for (row, histogram) in rows.iter().enumerate() {
            let judged = self.labels_of(histogram, latest, floor).and_then(|labels| {
                let news = self.histograms.push(&mut all, &labels, histogram.at, histogram.histogram)?;
                Ok((labels, news))
            });
            match judged {
                Ok((labels, news)) => {
                    appended.stored += 1;
                    if news {
                        count += 1;
                        last_at = last_at.max(histogram.at);
                        put_entry(&mut entries, &labels, histogram.at, histogram.histogram);
                    } else {
                        // What it repeats may itself still wait for its commit.
                        appended.ticket = appended.ticket.max(self.wal.last_seq());
                    }
                }
                Err(reason) => appended.rejected.push(Rejected { row, reason }),
            }
        }
        appended.new_series = all.len() - before;
        if count > 0 {
            let mut payload = Vec::with_capacity(entries.len() + 4);
            varint::put(&mut payload, count);
            payload.extend_from_slice(&entries);
            // While the head is locked, so that the log has them in the same order.
            appended.ticket = loop {
                if let Ok(seq) = self.wal.put(self.wal.segment(), &[(HISTOGRAMS, &payload)], last_at) {
                    break seq;
                }
            };
        }
        drop(all);
        stats::add(&self.counters.histograms, appended.stored);
        for rejected in &appended.rejected {
            stats::add(&self.counters.rejected[rejected.reason as usize], 1);
        }
        Ok(appended)
    }

    fn labels_of(&self, row: &HistogramRow<'_>, latest: i64, floor: i64) -> Result<Labels, Reason> {
        if row.at > latest {
            return Err(Reason::TooFarAhead);
        }
        if row.at < floor {
            return Err(Reason::TooOld);
        }
        let labels = match Labels::from_canonical_bytes(row.labels) {
            Some(labels) => labels,
            None => spelling::parse(row.labels)?,
        };
        spelling::check(&labels, &self.options)?;
        Ok(labels)
    }
}

fn put_entry(bytes: &mut Vec<u8>, labels: &Labels, at: i64, histogram: &Histogram) {
    varint::put_slice(bytes, labels.as_bytes());
    let mut alone = Vec::new();
    HistogramEncoder::default().push(at, histogram, &mut alone);
    varint::put_slice(bytes, &alone);
}

/// The histograms of a record of the log. They end early where they are malformed.
#[derive(Debug)]
pub(crate) struct Entries<'a> {
    left: u64,
    rest: &'a [u8],
}

impl<'a> Entries<'a> {
    pub(crate) fn read(payload: &'a [u8]) -> Option<Self> {
        let rest = &mut &*payload;
        let left = varint::take(rest)?;
        Some(Self { left, rest })
    }
}

impl Iterator for Entries<'_> {
    type Item = (Labels, i64, Histogram);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let labels = Labels::from_canonical_bytes(varint::take_slice(&mut self.rest)?)?;
        let (at, histogram) = HistogramDecoder::new(varint::take_slice(&mut self.rest)?).next()?;
        Some((labels, at, histogram))
    }
}
