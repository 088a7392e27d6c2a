//! Group commit: records gather in a buffer while the one before is on its way to the disk.

use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
};

use barograph_disk::{Append, Disk, record};

use super::{
    kept::Kept,
    recover::Found,
    segment::{self, Part},
};
use crate::Error;

/// The log as the store writes it.
pub(crate) struct Wal {
    disk: Arc<dyn Disk>,
    segment_bytes: u64,
    pending_bytes_max: usize,
    /// The segment that records go to now. Changes only under `pending`.
    segment: AtomicU32,
    pending: Mutex<Pending>,
    pending_bytes: AtomicUsize,
    /// Locked while the disk is waited for: nobody takes it who must not wait for a disk.
    writer: Mutex<Writer>,
    /// Of all segments, as the writer left them last.
    bytes: AtomicU64,
    segments: AtomicUsize,
    read_only: AtomicBool,
    durable: AtomicU64,
    commits: AtomicU64,
    syncs: AtomicU64,
    failures: AtomicU64,
}

/// Records that wait for a commit.
struct Pending {
    seq: u64,
    segment_bytes: u64,
    batches: Vec<Batch>,
    /// An emptied buffer to be filled again.
    spare: Vec<u8>,
}

/// Records of one segment, in order.
struct Batch {
    segment: u32,
    first_seq: u64,
    last_seq: u64,
    last_at: i64,
    bytes: Vec<u8>,
}

/// The file being written, and what is known of all of them.
struct Writer {
    file: Option<Open>,
    /// Taken from `pending` and not yet durable.
    unwritten: Vec<Batch>,
    segments: BTreeMap<u32, Segment>,
    kept: Kept,
}

/// A file that is written to.
struct Open {
    part: Part,
    file: Box<dyn Append>,
    /// Whether it holds records that were acknowledged.
    holds_records: bool,
}

/// What is known of a segment with files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Segment {
    /// The time of its latest sample.
    pub(crate) last_at: Option<i64>,
    pub(crate) bytes: u64,
    /// Numbers of its files.
    pub(crate) parts: Vec<u32>,
}

/// The log in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WalStats {
    pub(crate) bytes: u64,
    pub(crate) segments: usize,
    pub(crate) pending_bytes: usize,
    pub(crate) commits: u64,
    pub(crate) syncs: u64,
    pub(crate) failures: u64,
    pub(crate) read_only: bool,
}

/// The segment changed before the records could be put into it: they have to be made again for this one.
pub(crate) struct OtherSegment(pub(crate) u32);

/// A buffer that grew beyond this is not kept for the next commit.
const SPARE_BYTES_MAX: usize = 4 << 20;

impl Wal {
    /// A log that goes on after what was recovered, in a new segment.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        segment_bytes: u64,
        pending_bytes_max: usize,
        found: Found,
    ) -> Self {
        let Found { segments, last_segment, last_seq } = found;
        let kept = Kept::find(&*disk);
        let last_segment = last_segment.max(kept.last_segment());
        let pending = Pending { seq: last_seq, segment_bytes: 0, batches: Vec::new(), spare: Vec::new() };
        let writer = Writer { file: None, unwritten: Vec::new(), segments, kept };
        let wal = Self {
            disk,
            segment_bytes,
            pending_bytes_max,
            segment: AtomicU32::new(last_segment + 1),
            pending: Mutex::new(pending),
            pending_bytes: AtomicUsize::new(0),
            bytes: AtomicU64::new(0),
            segments: AtomicUsize::new(0),
            read_only: AtomicBool::new(false),
            durable: AtomicU64::new(last_seq),
            commits: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            writer: Mutex::new(writer),
        };
        wal.measure(&lock(&wal.writer));
        wal
    }

    /// Whether new records may come. Asked before anything is changed, because putting records cannot fail.
    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if self.read_only.load(Ordering::Acquire) {
            return Err(Error::ReadOnly);
        }
        if self.pending_bytes.load(Ordering::Relaxed) > self.pending_bytes_max {
            return Err(Error::Overloaded { limit: self.pending_bytes_max });
        }
        Ok(())
    }

    /// The segment for which records are to be made.
    pub(crate) fn segment(&self) -> u32 {
        self.segment.load(Ordering::Acquire)
    }

    /// Puts records into the buffer if they were made for the current segment; the number of the last.
    ///
    /// `records` are kinds and payloads, of which empty ones are left out; `last_at` is the latest time of a sample in
    /// them.
    pub(crate) fn put(
        &self,
        segment: u32,
        records: &[(u8, &[u8])],
        last_at: i64,
    ) -> Result<u64, OtherSegment> {
        let mut pending = lock(&self.pending);
        let current = self.segment.load(Ordering::Acquire);
        if current != segment {
            return Err(OtherSegment(current));
        }
        if pending.segment_bytes > self.segment_bytes {
            return Err(OtherSegment(self.rotate_locked(&mut pending)));
        }
        let mut seq = pending.seq;
        if pending.batches.last().is_none_or(|batch| batch.segment != segment) {
            let bytes = mem::take(&mut pending.spare);
            pending.batches.push(Batch { segment, first_seq: seq + 1, last_seq: seq, last_at, bytes });
        }
        let batch = pending.batches.last_mut().expect("one was just put there");
        let before = batch.bytes.len();
        for (kind, payload) in records.iter().filter(|record| !record.1.is_empty()) {
            seq += 1;
            record::write(&mut batch.bytes, *kind, seq, &[payload]);
        }
        batch.last_seq = seq;
        batch.last_at = batch.last_at.max(last_at);
        let added = batch.bytes.len() - before;
        pending.seq = seq;
        pending.segment_bytes += added as u64;
        self.pending_bytes.fetch_add(added, Ordering::Relaxed);
        Ok(seq)
    }

    /// The number of the last record that was put.
    pub(crate) fn last_seq(&self) -> u64 {
        lock(&self.pending).seq
    }

    /// Ends the current segment; the number of the new one.
    pub(crate) fn rotate(&self) -> u32 {
        self.rotate_locked(&mut lock(&self.pending))
    }

    fn rotate_locked(&self, pending: &mut Pending) -> u32 {
        pending.segment_bytes = 0;
        self.segment.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Makes everything that was put before durable; the number of the last durable record.
    ///
    /// # Errors
    /// When the disk fails twice, on the file in use and on a new one. The store is read-only then, until a
    /// later commit succeeds; what was not acknowledged is kept and tried again.
    pub(crate) fn commit(&self) -> Result<u64, Error> {
        let mut writer = lock(&self.writer);
        let batches = mem::take(&mut lock(&self.pending).batches);
        writer.unwritten.extend(batches);
        if writer.unwritten.is_empty() {
            return Ok(self.durable.load(Ordering::Acquire));
        }
        self.commits.fetch_add(1, Ordering::Relaxed);
        let written = self.write(&mut writer);
        self.measure(&writer);
        self.read_only.store(written.is_err(), Ordering::Release);
        written.map(|()| self.durable.load(Ordering::Acquire))
    }

    /// Writes all there is, if need be once more.
    fn write(&self, writer: &mut Writer) -> Result<(), Error> {
        if self.write_all(writer).is_err() {
            // Nothing is known of that file any more, so the same bytes go to a new one, from memory.
            self.give_up_file(writer);
            return self.write_all(writer).inspect_err(|_| self.give_up_file(writer));
        }
        Ok(())
    }

    /// Writes batch after batch; each is durable before the next begins, so only the last file can be torn.
    fn write_all(&self, writer: &mut Writer) -> Result<(), Error> {
        while let Some(batch) = writer.unwritten.first() {
            let (segment, first_seq) = (batch.segment, batch.first_seq);
            if writer.file.as_ref().is_none_or(|open| open.part.segment != segment) {
                self.create(writer, segment, first_seq)?;
            }
            let open = writer.file.as_mut().expect("created just above");
            let batch = &writer.unwritten[0];
            open.file.append(&batch.bytes)?;
            open.file.sync()?;
            open.holds_records = true;
            self.syncs.fetch_add(1, Ordering::Relaxed);
            let info = writer.segments.entry(segment).or_default();
            info.bytes += batch.bytes.len() as u64;
            info.last_at = info.last_at.max(Some(batch.last_at));
            self.durable.store(batch.last_seq, Ordering::Release);
            self.pending_bytes.fetch_sub(batch.bytes.len(), Ordering::Relaxed);
            let mut bytes = writer.unwritten.remove(0).bytes;
            if bytes.capacity() <= SPARE_BYTES_MAX {
                bytes.clear();
                lock(&self.pending).spare = bytes;
            }
        }
        Ok(())
    }

    /// Creates the next file of a segment, durably, with its header.
    fn create(&self, writer: &mut Writer, segment: u32, first_seq: u64) -> Result<(), Error> {
        let info = writer.segments.entry(segment).or_default();
        let part = Part { segment, part: info.parts.last().map_or(0, |last| last + 1) };
        let file = self.disk.create(&part.path())?;
        let open = writer.file.insert(Open { part, file, holds_records: false });
        info.parts.push(part.part);
        let header = part.header(first_seq);
        open.file.append(&header)?;
        open.file.sync()?;
        self.disk.sync_dir(segment::DIR)?;
        info.bytes += header.len() as u64;
        Ok(())
    }

    /// Stops using a file that failed. One with nothing acknowledged in it is removed, so that a disk that stays full
    /// is not littered with beginnings.
    fn give_up_file(&self, writer: &mut Writer) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let Some(Open { part, holds_records: false, .. }) = writer.file.take() else { return };
        if self.disk.remove(&part.path()).is_ok()
            && let Some(info) = writer.segments.get_mut(&part.segment)
        {
            info.parts.pop();
        }
    }

    /// Deletes segments of which blocks hold everything: of those before `end` the ones up to `covered`, and the ones
    /// whose latest sample is before `floor`. Returns how many bytes went.
    pub(crate) fn delete_covered(&self, covered: u32, floor: i64, end: u32) -> Result<u64, Error> {
        let mut writer = lock(&self.writer);
        let waiting = writer.unwritten.first().map_or(u32::MAX, |batch| batch.segment);
        let waiting = lock(&self.pending).batches.first().map_or(waiting, |batch| waiting.min(batch.segment));
        let done: Vec<u32> = writer
            .segments
            .iter()
            .filter(|(number, info)| {
                let held = **number <= covered || info.last_at.is_some_and(|last| last < floor);
                held && **number < end.min(waiting)
            })
            .map(|(number, _)| *number)
            .collect();
        let mut freed = 0;
        for segment in done {
            if writer.file.as_ref().is_some_and(|open| open.part.segment == segment) {
                writer.file = None;
            }
            if let Some(info) = writer.segments.get(&segment)
                && writer.kept.wants(segment)
            {
                let info = info.clone();
                writer.kept.take(&*self.disk, segment, &info)?;
                freed += writer.segments.remove(&segment).map_or(0, |info| info.bytes);
                self.measure(&writer);
                continue;
            }
            // The newest part goes first: a part is read together with the ones before it.
            while let Some(part) = writer.segments.get_mut(&segment).and_then(|info| info.parts.pop()) {
                match self.disk.remove(&Part { segment, part }.path()) {
                    Err(error) if !error.is_not_found() => return Err(error.into()),
                    _ => {}
                }
            }
            freed += writer.segments.remove(&segment).map_or(0, |info| info.bytes);
            self.measure(&writer);
        }
        writer.kept.limit(&*self.disk)?;
        Ok(freed)
    }

    /// Keeps the segments from this one on when blocks hold them, up to so many bytes, the newest first; lets go of others
    /// that were kept. `None` keeps none.
    pub(crate) fn keep(&self, from: Option<u32>, bytes_max: u64) -> Result<(), Error> {
        let mut writer = lock(&self.writer);
        writer.kept.set(from, bytes_max);
        Ok(writer.kept.limit(&*self.disk)?)
    }

    /// The segments that are kept: their bytes, and how many were given up because they were too many.
    pub(crate) fn kept(&self) -> (u64, u64) {
        let writer = lock(&self.writer);
        (writer.kept.bytes(), writer.kept.given_up)
    }

    /// The files of the log from a segment on, in order, and whether they are only kept for who follows it; also the last
    /// segment that was given up before it was read.
    pub(crate) fn files_from(&self, segment: u32) -> (Vec<(Part, bool)>, u32) {
        let writer = lock(&self.writer);
        let live = writer.segments.range(segment..).map(|(number, info)| (*number, &info.parts, false));
        let kept = writer.kept.from(segment).map(|(number, parts)| (number, parts, true));
        let mut files: Vec<_> = kept
            .chain(live)
            .flat_map(|(segment, parts, kept)| parts.iter().map(move |&part| (Part { segment, part }, kept)))
            .collect();
        files.sort_unstable();
        (files, writer.kept.given_up_to)
    }

    /// The number of the last record that is durable.
    pub(crate) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    fn measure(&self, writer: &Writer) {
        let bytes = writer.segments.values().map(|segment| segment.bytes).sum();
        self.bytes.store(bytes, Ordering::Relaxed);
        self.segments.store(writer.segments.len(), Ordering::Relaxed);
    }

    /// Waits for no disk.
    pub(crate) fn stats(&self) -> WalStats {
        WalStats {
            bytes: self.bytes.load(Ordering::Relaxed),
            segments: self.segments.load(Ordering::Relaxed),
            pending_bytes: self.pending_bytes.load(Ordering::Relaxed),
            commits: self.commits.load(Ordering::Relaxed),
            syncs: self.syncs.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            read_only: self.read_only.load(Ordering::Relaxed),
        }
    }
}

/// A panic under these locks is a bug of ours; the buffers themselves stay whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
