//! The folder of segments as a whole: appending, committing, reading, and letting the oldest go.

use std::{
    ops::{ControlFlow, Range},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use barograph_disk::{Disk, Error as DiskError, ReadAt, record as frame};

use crate::{
    Batch, Error, Recovery, Stats, TraceId,
    index::{Index, Place},
    log::{FOLDER, Log, Waiting},
    record,
    recover::{Recovered, recover, walk},
    shelf::{Segment, Shelf, index_of, lock, path_of},
};

/// How spans are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Spans that were taken longer ago go; a week by default.
    pub retention: Duration,
    /// When all segments together are larger than so many bytes, the oldest go; 2 GiB by default.
    pub bytes: u64,
    /// A segment ends when it has so many bytes; 16 MiB by default, and no more than an eighth of [`Options::bytes`].
    pub segment_bytes: u64,
    /// So many bytes may wait for the disk; 64 MiB by default.
    pub pending_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retention: Duration::from_secs(7 * 86_400),
            bytes: 2 << 30,
            segment_bytes: 16 << 20,
            pending_bytes: 64 << 20,
        }
    }
}

/// A segment ends at this age at the latest, so that what is in it does not outlive its retention by more.
const SEGMENT_AGE_MS: i64 = 3_600_000;

/// The batches that may have spans of a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Their bytes, in the order in which they came.
    pub bodies: Vec<Vec<u8>>,
    /// Whether there are more than were asked for.
    pub cut: bool,
    /// Records that were not what was written.
    pub damaged: usize,
}

/// What a scan came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Batches that were visited.
    pub batches: usize,
    /// Records that were not what was written.
    pub damaged: usize,
}

/// Spans on a disk.
pub struct Spans {
    pub(crate) disk: Arc<dyn Disk>,
    options: Options,
    pending: Mutex<Pending>,
    log: Mutex<Log>,
    shelf: Shelf,
    durable: AtomicU64,
    removed_by_age: AtomicU64,
    removed_by_size: AtomicU64,
    damaged: AtomicU64,
}

#[derive(Default)]
struct Pending {
    last_seq: u64,
    waiting: Vec<Waiting>,
    bytes: usize,
}

impl Spans {
    /// Opens the folder `traces`, made if it is not there. The caller holds the directory's lock.
    ///
    /// # Errors
    /// [`Error::Disk`]. Bytes that are not what was written are no error: they are told in [`Recovery`].
    pub fn open(disk: Arc<dyn Disk>, options: Options) -> Result<(Self, Recovery), Error> {
        let Recovered { segments, next, last_seq, recovery } = recover(&*disk)?;
        let segment_bytes = options.segment_bytes.min(options.bytes / 8);
        let spans = Self {
            disk,
            options: Options { segment_bytes, ..options },
            pending: Mutex::new(Pending { last_seq, ..Pending::default() }),
            log: Mutex::new(Log::new(next)),
            shelf: Shelf { sealed: Mutex::new(segments), ..Shelf::default() },
            durable: AtomicU64::new(last_seq),
            removed_by_age: AtomicU64::new(0),
            removed_by_size: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
        };
        Ok((spans, recovery))
    }

    /// Takes a batch that came at `now`, a millisecond; what it returns is durable once [`Spans::commit`] has returned as
    /// much.
    ///
    /// # Errors
    /// [`Error::Overloaded`], [`Error::TooLarge`], [`Error::Compress`]; nothing of the batch was taken.
    pub fn append(&self, batch: &Batch<'_>, now: i64) -> Result<u64, Error> {
        let (payload, head, keys) = record::write(batch, now)?;
        let mut pending = lock(&self.pending);
        // One that is larger than all may be is taken if it is alone.
        if pending.bytes > 0 && pending.bytes + payload.len() > self.options.pending_bytes {
            return Err(Error::Overloaded { limit: self.options.pending_bytes });
        }
        let seq = pending.last_seq + 1;
        let mut framed = Vec::with_capacity(payload.len() + frame::HEADER_LEN);
        frame::write(&mut framed, record::kind_of(batch), seq, &[&payload]);
        pending.last_seq = seq;
        pending.bytes += framed.len();
        pending.waiting.push(Waiting { seq, framed, head, keys });
        Ok(seq)
    }

    /// Makes everything durable that was appended, if `ticket` is not durable yet; the last ticket that is.
    ///
    /// # Errors
    /// [`Error::Disk`]. What waits goes on waiting: the next commit tries again.
    pub fn commit(&self, ticket: u64) -> Result<u64, Error> {
        let mut log = lock(&self.log);
        let durable = self.durable.load(Ordering::Acquire);
        if durable >= ticket {
            return Ok(durable);
        }
        let mut waiting = std::mem::take(&mut lock(&self.pending).waiting);
        let (done, outcome) = log.write(&self.disk, &self.shelf, &waiting, self.options.segment_bytes);
        let written: usize = waiting[..done].iter().map(|record| record.framed.len()).sum();
        let through = waiting[..done].last().map_or(durable, |record| record.seq);
        self.durable.store(through, Ordering::Release);
        waiting.drain(..done);
        let mut pending = lock(&self.pending);
        pending.bytes = pending.bytes.saturating_sub(written);
        if !waiting.is_empty() {
            waiting.append(&mut pending.waiting);
            pending.waiting = waiting;
        }
        drop(pending);
        drop(log);
        self.keep_to_size();
        outcome.map(|()| through)
    }

    /// What is durable by now.
    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Ends a segment that is an hour old, removes those that are past the retention at `now`, a millisecond, and tries again
    /// what could not be written.
    ///
    /// # Errors
    /// [`Error::Disk`]: a file cannot be removed. It is tried again the next time.
    pub fn maintain(&self, now: i64) -> Result<(), Error> {
        let mut log = lock(&self.log);
        let begun = lock(&self.shelf.active).as_ref().and_then(|(_, index)| index.received);
        if begun.is_some_and(|(first, _)| now.saturating_sub(first) >= SEGMENT_AGE_MS) {
            log.end(&*self.disk, &self.shelf);
        }
        drop(log);
        let sealed = lock(&self.shelf.sealed).clone();
        sealed.iter().for_each(|segment| segment.save(&*self.disk));
        let retention = i64::try_from(self.options.retention.as_millis()).unwrap_or(i64::MAX);
        let oldest = now.saturating_sub(retention);
        for segment in sealed.iter().filter(|segment| segment.newest < oldest) {
            self.remove(segment)?;
            self.removed_by_age.fetch_add(segment.spans, Ordering::Relaxed);
        }
        self.keep_to_size();
        Ok(())
    }

    /// The batches of an owner that may have spans of a trace: those in which an id ends as it does, up to `bytes_max` of them.
    /// Only what is durable is found.
    ///
    /// # Errors
    /// [`Error::Disk`]: the disk cannot be read.
    pub fn trace(&self, owner: &str, id: TraceId, bytes_max: usize) -> Result<Found, Error> {
        let key = id.key();
        let (mut found, mut bytes) = (Found::default(), 0);
        self.segments(
            owner,
            |segment| segment.filter.may_have(key),
            |index| index.having(key),
            |body| {
                match body {
                    None => found.damaged += 1,
                    Some(body) if bytes + body.len() > bytes_max => {
                        found.cut = true;
                        return ControlFlow::Break(());
                    }
                    Some(body) => {
                        bytes += body.len();
                        found.bodies.push(body);
                    }
                }
                ControlFlow::Continue(())
            },
        )?;
        Ok(found)
    }

    /// Visits the batches of an owner that have spans within a range of nanoseconds, in the order in which they came, until told
    /// to stop. Only what is durable is visited.
    ///
    /// # Errors
    /// [`Error::Disk`]: the disk cannot be read.
    pub fn scan(
        &self,
        owner: &str,
        range: Range<u64>,
        mut visit: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<Scanned, Error> {
        let mut scanned = Scanned::default();
        let within = |earliest: u64, latest: u64| earliest < range.end && latest >= range.start;
        self.segments(
            owner,
            |segment| within(segment.times.0, segment.times.1),
            |index| {
                index.records.iter().filter(|place| within(place.earliest, place.latest)).copied().collect()
            },
            |body| match body {
                None => {
                    scanned.damaged += 1;
                    ControlFlow::Continue(())
                }
                Some(body) => {
                    scanned.batches += 1;
                    visit(&body)
                }
            },
        )?;
        Ok(scanned)
    }

    /// What there is, and what went.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            removed_by_age: self.removed_by_age.load(Ordering::Relaxed),
            removed_by_size: self.removed_by_size.load(Ordering::Relaxed),
            damaged: self.damaged.load(Ordering::Relaxed),
            pending_bytes: lock(&self.pending).bytes as u64,
            ..Stats::default()
        };
        for segment in lock(&self.shelf.sealed).iter() {
            stats.segments += 1;
            stats.bytes += segment.len;
            stats.spans += segment.spans;
        }
        if let Some((_, index)) = &*lock(&self.shelf.active) {
            stats.segments += 1;
            stats.bytes += index.len;
            stats.spans += index.spans();
        }
        stats
    }

    /// Goes through the segments that `wanted` lets by, and gives the bodies of the places that `places` finds in their
    /// indexes, if they are the owner's; `None` for one that is not what was written.
    fn segments(
        &self,
        owner: &str,
        wanted: impl Fn(&Segment) -> bool,
        places: impl Fn(&Index) -> Vec<Place>,
        mut give: impl FnMut(Option<Vec<u8>>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        // What is written now first, so that a segment that ends meanwhile is not missed.
        let active = lock(&self.shelf.active).as_ref().map(|(number, index)| (*number, places(index)));
        let sealed = lock(&self.shelf.sealed).clone();
        let also = active.as_ref().map(|(number, _)| *number);
        for segment in sealed.iter().filter(|segment| Some(segment.number) != also && wanted(segment)) {
            let index = match segment.index(&*self.disk) {
                Ok(index) => index,
                Err(error) if error.is_not_found() || error.is_corrupt() => match self.again(segment)? {
                    Some(index) => index,
                    None => continue,
                },
                Err(error) => return Err(error.into()),
            };
            if self.read(owner, segment.number, &places(&index), &mut give)?.is_break() {
                return Ok(());
            }
        }
        if let Some((number, places)) = active {
            let _ = self.read(owner, number, &places, &mut give)?;
        }
        Ok(())
    }

    /// Makes the index of a segment again; `None` if the segment went.
    fn again(&self, segment: &Segment) -> Result<Option<Arc<Index>>, Error> {
        match walk(&*self.disk, &path_of(segment.number)) {
            Ok(walked) => {
                let index = Arc::new(walked.index);
                segment.mend(index.clone());
                Ok(Some(index))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn read(
        &self,
        owner: &str,
        number: u64,
        places: &[Place],
        give: &mut impl FnMut(Option<Vec<u8>>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        if places.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        let file = match self.disk.open(&path_of(number)) {
            Ok(file) => file,
            Err(error) if error.is_not_found() => return Ok(ControlFlow::Continue(())),
            Err(error) => return Err(error.into()),
        };
        for place in places {
            let body = match body_at(&*file, place, owner)? {
                At::Others => continue,
                At::Body(body) => Some(body),
                At::Damage => {
                    self.damaged.fetch_add(1, Ordering::Relaxed);
                    None
                }
            };
            if give(body).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn keep_to_size(&self) {
        loop {
            let sealed = lock(&self.shelf.sealed).clone();
            let active = lock(&self.shelf.active).as_ref().map_or(0, |(_, index)| index.len);
            let bytes: u64 = sealed.iter().map(|segment| segment.len).sum::<u64>() + active;
            let Some(oldest) = sealed.first().filter(|_| bytes > self.options.bytes) else { return };
            // One that cannot be removed is tried again with the next commit.
            if self.remove(oldest).is_err() {
                return;
            }
            self.removed_by_size.fetch_add(oldest.spans, Ordering::Relaxed);
        }
    }

    fn remove(&self, segment: &Segment) -> Result<(), Error> {
        for path in [path_of(segment.number), index_of(segment.number)] {
            match self.disk.remove(&path) {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => {}
            }
        }
        lock(&self.shelf.sealed).retain(|other| other.number != segment.number);
        self.disk.sync_dir(FOLDER)?;
        Ok(())
    }
}

/// What lies at a place.
enum At {
    /// Bytes of whoever asks.
    Body(Vec<u8>),
    /// A record of somebody else.
    Others,
    /// What is not what was written.
    Damage,
}

fn body_at(file: &dyn ReadAt, place: &Place, owner: &str) -> Result<At, DiskError> {
    let end = place.offset.checked_add(u64::from(place.len));
    if end.is_none_or(|end| end > file.len()) {
        return Ok(At::Damage);
    }
    let mut bytes = vec![0; place.len as usize];
    file.read_at(place.offset, &mut bytes)?;
    let payload = frame::read(&bytes).and_then(|found| record::read(found.kind, found.payload));
    Ok(match payload {
        Some(payload) if payload.owner != owner => At::Others,
        Some(payload) => payload.body().map_or(At::Damage, At::Body),
        None => At::Damage,
    })
}

#[cfg(test)]
mod tests;
