//! Appending histograms: judged, put into the head, handed to the log.

use barograph_codec::{HistogramDecoder, HistogramEncoder, varint};
use barograph_model::{Histogram, Labels, MetricKey, Timestamp, is_stale};

use super::head::{Bounds, Fate};
use crate::{
    Appended, Error, Reason, Rejected, Store,
    changes::Old,
    options::millis,
    spelling, stats,
    wal::{HISTOGRAMS, LATE_HISTOGRAMS},
};

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
    /// Appends native histograms, by the rules of [`Store::append`].
    ///
    /// # Errors
    /// [`Error::ReadOnly`] and [`Error::Overloaded`]; then no row was taken.
    pub fn append_histograms(&self, rows: &[HistogramRow<'_>], now: Timestamp) -> Result<Appended, Error> {
        self.append_histograms_within(rows, now, millis(self.options.out_of_order))
    }

    /// Appends native histograms of any age, as [`Store::append_any_age`]; late ones beyond
    /// [`Options::late_bytes_max`](crate::Options::late_bytes_max) are [`Reason::TooManyLate`].
    ///
    /// # Errors
    /// [`Error::ReadOnly`] and [`Error::Overloaded`]; then no row was taken.
    pub fn append_histograms_any_age(
        &self,
        rows: &[HistogramRow<'_>],
        now: Timestamp,
    ) -> Result<Appended, Error> {
        self.append_histograms_within(rows, now, i64::MAX)
    }

    fn append_histograms_within(
        &self,
        rows: &[HistogramRow<'_>],
        now: Timestamp,
        within: i64,
    ) -> Result<Appended, Error> {
        self.wal.check_open()?;
        let latest = now.millis().saturating_add(millis(self.options.ahead_max));
        let late_bytes_max = self.options.late_bytes_max;
        let bounds = Bounds { floor: self.head.floor(), within, late_bytes_max };
        let mut appended = Appended::default();
        let (mut entries, mut last_at) = ([Entered::default(), Entered::default()], i64::MIN);
        let mut old = Old::default();
        // Before the histograms are locked: who appends floats locks a lane first.
        let judged: Vec<_> = rows
            .iter()
            .map(|row| {
                let labels = self.labels_of(row.labels, row.at, latest)?;
                // A marker ends histograms alone.
                let both = self.has_float_at(&labels, row.at) && !is_stale(row.histogram.sum());
                if both { Err(Reason::Duplicate) } else { Ok(labels) }
            })
            .collect();
        let mut all = self.histograms.lock();
        let settled = self.changes.settled().millis();
        let before = all.len();
        for (row, (HistogramRow { at, histogram, .. }, judged)) in rows.iter().zip(judged).enumerate() {
            let judged = judged.and_then(|labels| {
                let fate = self.histograms.push(&mut all, &labels, (*at, histogram), bounds)?;
                Ok((labels, fate))
            });
            match judged {
                Ok((labels, fate)) => {
                    appended.stored += 1;
                    appended.late += usize::from(fate == Fate::Late);
                    if fate == Fate::Known {
                        // What it repeats may itself still wait for its commit.
                        appended.ticket = appended.ticket.max(self.wal.last_seq());
                    } else {
                        last_at = last_at.max(*at);
                        if *at < settled {
                            old.add(MetricKey::of(labels.metric_name().unwrap_or_default()), *at);
                        }
                        entries[usize::from(fate == Fate::Late)].put(&labels, *at, histogram);
                    }
                }
                Err(reason) => appended.rejected.push(Rejected { row, reason }),
            }
        }
        appended.new_series = all.len() - before;
        if last_at > i64::MIN {
            let [in_order, late] = entries.map(Entered::payload);
            let records = [(HISTOGRAMS, in_order.as_slice()), (LATE_HISTOGRAMS, &late)];
            // While the head is locked, so that the log has them in the same order.
            appended.ticket = loop {
                if let Ok(seq) = self.wal.put(self.wal.segment(), &records, last_at) {
                    break seq;
                }
            };
        }
        // Still locked: a reader sees them, or is told.
        self.note_old(old);
        drop(all);
        stats::add(&self.counters.histograms, appended.stored);
        stats::add(&self.counters.late, appended.late);
        for rejected in &appended.rejected {
            stats::add(&self.counters.rejected[rejected.reason as usize], 1);
        }
        Ok(appended)
    }

    fn labels_of(&self, labels: &[u8], at: i64, latest: i64) -> Result<Labels, Reason> {
        if at > latest {
            return Err(Reason::TooFarAhead);
        }
        let limits = self.series_limits();
        spelling::check_size(labels, &limits)?;
        let labels = match Labels::from_canonical_bytes(labels) {
            Some(labels) => labels,
            None => spelling::parse(labels)?,
        };
        spelling::check(&labels, &limits)?;
        Ok(labels)
    }
}

/// Histograms on their way to the log.
#[derive(Default)]
struct Entered {
    count: u64,
    bytes: Vec<u8>,
}

impl Entered {
    fn put(&mut self, labels: &Labels, at: i64, histogram: &Histogram) {
        self.count += 1;
        varint::put_slice(&mut self.bytes, labels.as_bytes());
        let mut alone = Vec::new();
        HistogramEncoder::default().push(at, histogram, &mut alone);
        varint::put_slice(&mut self.bytes, &alone);
    }

    /// The payload of a record; nothing of nothing.
    fn payload(self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(self.bytes.len() + 4);
        if self.count > 0 {
            varint::put(&mut payload, self.count);
            payload.extend_from_slice(&self.bytes);
        }
        payload
    }
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
