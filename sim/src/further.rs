//! Deletes, native histograms and backups: performed on the store and compared with the model.

use barograph_disk::{Fault, MemoryDisk};
use barograph_model::{
    Budget, Histogram, HistogramParts, Selection, Source, SourceError, TimeRange, Timestamp,
};
use barograph_tsdb::{
    Error, HistogramRow, Store,
    backup::{self, BackupError},
    verify,
};

use crate::{
    history::Sample,
    model::{Asked, Failure, Found, Missing},
    world::{World, matchers},
};

/// The histogram of a number, which is found in its sum.
fn histogram(number: u64) -> Histogram {
    let bucket = |place: i32| (place * 3, ((number >> (place * 6)) % 50) as f64);
    let positive: Vec<_> = (0..6).map(bucket).filter(|bucket| bucket.1 > 0.0).collect();
    let count = positive.iter().map(|bucket| bucket.1).sum();
    Histogram::new(HistogramParts { schema: 3, count, sum: number as f64, positive, ..Default::default() })
        .expect("its buckets ascend and add up")
}

impl World<'_> {
    /// Native histograms come in.
    pub(crate) fn observe(&mut self, now: i64, rows: &[Sample]) -> Result<(), Failure> {
        let histograms: Vec<_> = rows.iter().map(|row| histogram(row.bits)).collect();
        let borrowed: Vec<_> = rows
            .iter()
            .zip(&histograms)
            .map(|(row, histogram)| HistogramRow {
                labels: self.labels[row.series].as_bytes(),
                at: row.at,
                histogram,
            })
            .collect();
        let appended = match self.store().append_histograms(&borrowed, Timestamp(now)) {
            Ok(appended) => appended,
            Err(_) if self.may_fail() => return Ok(()),
            Err(error) => return Err(Failure::wrong(format!("append of histograms: {error}"))),
        };
        if appended.stored + appended.rejected.len() != rows.len() {
            return Err(Failure::wrong(format!("{appended:?} does not add up to {} rows", rows.len())));
        }
        let mut rejected = appended.rejected.iter().peekable();
        for (number, row) in rows.iter().enumerate() {
            match rejected.next_if(|rejected| rejected.row == number) {
                None => self.model.take(*row, appended.ticket),
                Some(rejected) => self.model.refuse(*row, now, rejected.reason, !self.rots())?,
            }
        }
        Ok(())
    }

    /// Adds the histograms of a selection to what was found.
    pub(crate) fn read_histograms(
        &self,
        store: &Store,
        selection: &Selection<'_>,
        found: &mut Found,
    ) -> Result<Result<(), Failure>, SourceError> {
        for (labels, histograms) in store.histograms(selection, &Budget::unlimited())? {
            let Some(&number) = self.numbers.get(&labels) else {
                return Ok(Err(Failure::wrong(format!("series {labels} was never there"))));
            };
            for (at, read) in histograms {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "it is a number below 2^40"
                )]
                let bits = read.sum() as u64;
                if read != histogram(bits) {
                    return Ok(Err(Failure::wrong(format!("{labels} at {at} is no histogram of ours"))));
                }
                found[number].push((at, bits));
            }
        }
        Ok(Ok(()))
    }

    /// Deletes, in the store and in the model.
    pub(crate) fn delete(&mut self, asked: Asked, now: i64) -> Result<(), Error> {
        let range = TimeRange::new(Timestamp(asked.start), Timestamp(asked.end));
        let deleted = self.store().delete(&matchers(asked.pick), range, Timestamp(now));
        // Where bits rot, what says that something is deleted may be set aside.
        let sure = deleted.is_ok() && !self.rots();
        self.model.delete(asked, sure);
        deleted.map(drop)
    }

    /// Makes a backup, restores it elsewhere, and compares what the store there says.
    pub(crate) fn back_up(&mut self, now: i64, calls: Option<u64>, seed: u64) -> Result<(), Failure> {
        self.time_passes(now);
        let may_fail = self.may_fail() || self.rots();
        let snapshot = match self.store().snapshot(Timestamp(now)) {
            Ok(snapshot) => snapshot,
            Err(_) if may_fail => return Ok(()),
            Err(error) => return Err(Failure::wrong(format!("snapshot: {error}"))),
        };
        if let Some(calls) = calls {
            self.backups.fail(calls, u64::MAX, Fault::Io);
        }
        let written = backup::write(&snapshot, &self.backups, Timestamp(now), Some(3));
        if calls.is_some() {
            self.backups = self.backups.crash(seed);
        }
        let written = match written {
            Ok(written) => written,
            Err(_) if may_fail || calls.is_some() => return Ok(()),
            Err(error) => return Err(Failure::wrong(format!("backup: {error}"))),
        };
        let verified = verify(&self.backups).map_err(|error| Failure::wrong(format!("verify: {error}")))?;
        if !self.rots() && !verified.damaged.is_empty() {
            return Err(Failure::wrong(format!("a backup is damaged: {:?}", verified.damaged)));
        }
        let target = match self.restore(written.backup.id, seed) {
            Ok(target) => target,
            // A file was damaged before it was copied.
            Err(BackupError::Damaged { .. }) if self.rots() => return Ok(()),
            Err(error) => return Err(Failure::wrong(format!("restore: {error}"))),
        };
        let (store, recovery) = self.open(&target, now, seed)?;
        let reading = self.read(&store, Asked::ALL)?;
        let damaged = self.damage(&store, !recovery.set_aside.is_empty() || self.damage_found);
        let missing = match (damaged || self.damage(self.store(), false), may_fail) {
            (true, _) => Missing::Anything,
            (_, true) => Missing::Unacknowledged,
            _ => Missing::Nothing,
        };
        if !reading.whole {
            return Err(Failure::wrong("a reading of a restored store failed"));
        }
        self.totals.compared += self.model.compare(&reading.found, Asked::ALL, missing)?;
        Ok(())
    }

    /// Restores a backup to a disk of its own, which may lose power on the way.
    fn restore(&self, id: u64, seed: u64) -> Result<MemoryDisk, BackupError> {
        let mut target = MemoryDisk::new();
        if seed.is_multiple_of(3) {
            target.fail(seed % 37, u64::MAX, Fault::Io);
            let interrupted = backup::restore(&self.backups, id, &target);
            target = target.crash(seed);
            if interrupted.is_ok() {
                return Ok(target);
            }
        }
        match backup::restore(&self.backups, id, &target) {
            // All was there but the word of it.
            Err(BackupError::NotEmpty { .. }) => Ok(target),
            restored => restored.map(|_| target),
        }
    }
}
