//! The store: its parts, opening it, and what is not appending or reading.

use std::sync::{
    Arc, Mutex, PoisonError, RwLock,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use barograph_disk::{Disk, Held, TEMPORARY};
use barograph_model::{Changes, Exemplar, Labels, Metadata, Tier, Timestamp};

use crate::{
    Error, Maintenance, Options, Recovery, Stats, backup,
    block::{self, Block, Cache, Meta, Pages},
    catalog::{self, Catalog, Change, Saved},
    deletes,
    exemplars::{ExemplarFate, Exemplars},
    head::Head,
    histograms,
    policy::{self, Policies},
    recovery::CORRUPT,
    replay::{Covered, replay},
    retention::{Keeping, raw_start},
    stats::{self, Counters},
    unfinished::Unfinished,
    wal::{self, METADATA, OtherSegment, Wal, encode_metadata},
};

/// A time-series store on a disk of its own.
pub struct Store {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) options: Options,
    /// How long what is kept: as the options say, until it is changed.
    pub(crate) keeping: RwLock<Arc<Keeping>>,
    pub(crate) head: Head,
    /// Native histograms of the head.
    pub(crate) histograms: histograms::Head,
    pub(crate) wal: Wal,
    /// Blocks by the time of their first sample. Replaced as a whole, so a reader keeps what it began with.
    blocks: RwLock<Arc<Vec<Arc<Block>>>>,
    /// The number of the next block. Held by whoever changes blocks.
    pub(crate) next_block: Mutex<u64>,
    pub(crate) cache: Cache,
    pub(crate) catalog: Catalog,
    pub(crate) exemplars: Exemplars,
    pub(crate) counters: Counters,
    pub(crate) unfinished: Unfinished,
    /// See [`Store::cut_floor`].
    pub(crate) cut_floor: AtomicI64,
    /// The time from which on all raw samples are there: those before are only in tiers.
    pub(crate) raw_start: AtomicI64,
    /// The newest data that each tier was made of, though the blocks that say so may be past retention.
    pub(crate) rolled: [AtomicU64; Tier::ALL.len()],
    /// What was changed of the past, for those who keep results.
    pub(crate) changes: Changes,
    /// What is kept of single metrics.
    pub(crate) policies: Policies,
    /// The newest times of which upkeep, and retention within it, were told.
    pub(crate) maintained_at: AtomicI64,
    pub(crate) cleaned_at: AtomicI64,
    _held: Box<dyn Held>,
}

impl Store {
    /// Opens the store on a disk and brings back everything that was acknowledged, less what is past retention.
    ///
    /// # Errors
    /// [`Error::Disk`]: held by another server, written by a newer version, or not readable. [`Error::Unfinished`].
    /// Corrupt files are no error: they are set aside and named in the [`Recovery`].
    pub fn open(disk: Arc<dyn Disk>, options: Options, now: Timestamp) -> Result<(Self, Recovery), Error> {
        let held = disk.lock()?;
        if backup::is_unfinished(&*disk)? {
            return Err(Error::Unfinished);
        }
        let mut recovery = Recovery::default();
        for dir in ["", wal::DIR, block::DIR] {
            if !dir.is_empty() {
                disk.create_dir(dir)?;
            }
            remove_temporary(&*disk, dir, &mut recovery)?;
            // A process that was killed may have left names that only the page cache knows.
            disk.sync_dir(dir)?;
        }
        let mut saved = read_catalog(&*disk, &mut recovery)?;
        let (blocks, next_block) = open_blocks(&*disk, &mut recovery)?;
        let cache = Cache::new(options.cache_bytes);
        let head = Head::new(&options);
        let floor = blocks.iter().map(|block| block.meta.floor).max().unwrap_or(i64::MIN);
        head.raise_floor(floor);
        for block in blocks.iter().filter(|block| is_resumed(block, floor)) {
            resume(block, &head, &cache)?;
        }
        let covered = Covered {
            all: blocks.iter().map(|block| block.meta.wal_covered).max().unwrap_or(0),
            late: blocks.iter().map(|block| block.meta.late_covered).max().unwrap_or(0),
        };
        let histograms = histograms::Head::new(options.histogram_series_max);
        let found = replay(&*disk, covered, &head, &histograms, &mut saved, &mut recovery)?;
        recovery.series = head.series();
        let wal = Wal::new(disk.clone(), options.segment_bytes, options.pending_bytes_max, found);
        let counters = Counters::default();
        stats::add(&counters.set_aside, recovery.set_aside.len());
        let raw_start = AtomicI64::new(raw_start(blocks.iter().map(|block| &block.meta)));
        let policies = read_policies(&*disk, &mut recovery)?;
        let store = Self {
            unfinished: Unfinished::default(),
            cut_floor: AtomicI64::new(head.floor()),
            raw_start,
            rolled: Default::default(),
            changes: Changes::default(),
            policies,
            maintained_at: AtomicI64::new(i64::MIN),
            cleaned_at: AtomicI64::new(i64::MIN),
            blocks: RwLock::new(Arc::new(blocks)),
            next_block: Mutex::new(next_block),
            cache,
            catalog: Catalog::new(saved, options.metrics_max),
            exemplars: Exemplars::new(options.exemplars_max),
            disk,
            keeping: RwLock::new(Arc::new(Keeping::of(&options))),
            options,
            head,
            histograms,
            wal,
            counters,
            _held: held,
        };
        store.catalog.measure(&*store.disk)?;
        store.delete_expired(now, &mut Maintenance::default())?;
        recovery.blocks = store.blocks().len();
        Ok((store, recovery))
    }

    /// Makes everything appended so far durable. Returns the ticket up to which all is durable now.
    ///
    /// One commit runs at a time; what is appended meanwhile waits for the next. Without anything to do it returns
    /// at once.
    ///
    /// # Errors
    /// When the disk failed, on the file in use and on a new one. Nothing new is acknowledged then, appends are
    /// refused with [`Error::ReadOnly`], and every further commit tries again with the same bytes.
    pub fn commit(&self) -> Result<u64, Error> {
        self.wal.commit()
    }

    /// Describes a metric. Durable with the next commit. Beyond the limits of the options it is refused and counted.
    pub fn set_metadata(&self, name: &str, metadata: &Metadata) {
        let longest = self.series_limits().label_value_bytes;
        let too_long = |text: &str| text.len() > longest;
        if [name, &metadata.unit, &metadata.help].into_iter().any(too_long) {
            stats::add(&self.counters.metadata_refused, 1);
            return;
        }
        match self.catalog.set(name, metadata) {
            Change::None => {}
            Change::Full => stats::add(&self.counters.metadata_refused, 1),
            Change::Set => {
                let mut payload = Vec::new();
                encode_metadata(&mut payload, name, metadata);
                while let Err(OtherSegment(_)) =
                    self.wal.put(self.wal.segment(), &[(METADATA, &payload)], i64::MIN)
                {}
            }
        }
    }

    /// Keeps an exemplar of a series, in memory only. One that repeats a recent one is passed over.
    pub fn append_exemplar(&self, series: &Labels, exemplar: Exemplar) {
        self.exemplars.push(series, exemplar, false);
    }

    /// As [`Self::append_exemplar`], but one that is older than the newest of its series is not kept; what became of it.
    pub fn append_exemplar_in_order(&self, series: &Labels, exemplar: Exemplar) -> ExemplarFate {
        self.exemplars.push(series, exemplar, true)
    }

    /// The exemplars that came after the first `seen` of all there ever were, and how many there were by now. They are kept
    /// in memory alone, so after a restart counting begins anew.
    pub fn exemplars_since(&self, seen: u64) -> (Vec<(Labels, Exemplar)>, u64) {
        self.exemplars.since(seen)
    }

    /// The blocks as they are now.
    pub(crate) fn blocks(&self) -> Arc<Vec<Arc<Block>>> {
        self.blocks.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn change_blocks(&self, change: impl FnOnce(&mut Vec<Arc<Block>>)) {
        let mut shared = self.blocks.write().unwrap_or_else(PoisonError::into_inner);
        let mut blocks = (**shared).clone();
        change(&mut blocks);
        blocks.sort_by_key(|block| (block.meta.min_at, block.meta.seq));
        *shared = Arc::new(blocks);
    }

    /// Takes a block out whose index is not what was written.
    pub(crate) fn set_block_aside(&self, block: &Block) {
        let mut found = false;
        self.change_blocks(|blocks| {
            let before = blocks.len();
            blocks.retain(|other| other.meta.seq != block.meta.seq);
            found = blocks.len() < before;
        });
        if found {
            self.cache.forget(block.meta.seq);
            self.note_block(&block.meta);
            stats::add(&self.counters.set_aside, 1);
            // If it cannot be renamed now, the next start finds it and does.
            let _ = self.disk.rename(&block.path, &format!("{}{CORRUPT}", block.path));
        }
    }

    /// Takes the block with a path out, whose index is not what was written.
    pub(crate) fn set_aside_at(&self, path: &str) {
        if let Some(block) = self.blocks().iter().find(|block| block.path == path) {
            self.set_block_aside(block);
        }
    }

    /// As [`Store::report_damage`], of the block with a path.
    pub(crate) fn report_damage_at(&self, path: &str) {
        if let Some(block) = self.blocks().iter().find(|block| block.path == path) {
            self.report_damage(block);
        }
    }

    /// Notes that a part of a block is not what was written. The block serves what it can.
    pub(crate) fn report_damage(&self, block: &Block) {
        if block.mark_damaged() {
            stats::add(&self.counters.blocks_damaged, 1);
        }
    }

    /// The store in numbers.
    pub fn stats(&self) -> Stats {
        let wal = self.wal.stats();
        let sizes = self.sizes();
        let (overflow_samples, overflow_merged) = self.head.guard.overflows.counts();
        let (exemplars, exemplars_overwritten) = self.exemplars.counts();
        let (cache_bytes, cache_hits, cache_misses) = self.cache.counts();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            series: self.head.series(),
            histogram_series: self.histograms.series(),
            histogram_bytes: self.histograms.bytes(),
            histograms_appended: count(&self.counters.histograms),
            series_max: self.series_limits().series,
            series_created: count(&self.counters.series),
            chunk_bytes: self.head.chunk_bytes(),
            head_bytes: self.head.memory(),
            samples_appended: count(&self.counters.samples),
            samples_late: count(&self.counters.late),
            late_bytes: self.head.late_bytes(),
            rejected: self.counters.rejected(),
            overflow_samples,
            overflow_merged,
            wal_bytes: wal.bytes,
            wal_segments: wal.segments,
            wal_pending_bytes: wal.pending_bytes,
            commits: wal.commits,
            wal_syncs: wal.syncs,
            wal_failures: wal.failures,
            read_only: wal.read_only,
            blocks: self.blocks().len(),
            block_bytes: sizes.raw_bytes + sizes.rollup_bytes + sizes.index_bytes,
            block_samples: sizes.samples,
            blocks_cut: count(&self.counters.blocks_cut),
            maintained_at: self.maintained_at.load(Ordering::Relaxed),
            cleaned_at: self.cleaned_at(),
            policies: self.policies.all().len(),
            windows_rolled: count(&self.counters.windows_rolled),
            blocks_merged: count(&self.counters.blocks_merged),
            blocks_deleted: count(&self.counters.blocks_deleted),
            blocks_damaged: count(&self.counters.blocks_damaged),
            cache_bytes,
            cache_hits,
            cache_misses,
            metrics: self.catalog.len(),
            exemplars,
            exemplars_overwritten,
            metadata_refused: count(&self.counters.metadata_refused),
            set_aside: count(&self.counters.set_aside),
            changes_forgotten: self.changes.overflows(),
        }
    }
}

fn remove_temporary(disk: &dyn Disk, dir: &str, recovery: &mut Recovery) -> Result<(), Error> {
    for entry in disk.list(dir)?.into_iter().filter(|entry| entry.name.ends_with(TEMPORARY)) {
        let path = if dir.is_empty() { entry.name } else { format!("{dir}/{}", entry.name) };
        disk.remove(&path)?;
        recovery.temporary_removed += 1;
    }
    Ok(())
}

/// Opens all blocks; those that are not what was written are set aside. Also the number of the next block.
fn open_blocks(disk: &dyn Disk, recovery: &mut Recovery) -> Result<(Vec<Arc<Block>>, u64), Error> {
    let names: Vec<_> = disk.list(block::DIR)?.into_iter().map(|entry| entry.name).collect();
    let mut blocks = Vec::new();
    for seq in names.iter().filter_map(|name| block::seq_of_name(name)) {
        match Block::open(disk, seq) {
            Ok(block) => blocks.push(Arc::new(block)),
            Err(error @ barograph_disk::Error::Corrupt { .. }) => {
                let path = block::path_of(seq);
                disk.rename(&path, &format!("{path}{CORRUPT}"))?;
                recovery.set_aside(&path, error.to_string());
            }
            Err(error) => return Err(error.into()),
        }
    }
    // What is in a block is about to be removed elsewhere, so its name has to be durable: the call that was to make it
    // so may have failed.
    disk.sync_dir(block::DIR)?;
    // A block that was merged into another outlives it only if a crash came in between.
    let replaced: Vec<u64> = blocks.iter().flat_map(|block| block.meta.replaces.iter().copied()).collect();
    for block in blocks.extract_if(.., |block| replaced.contains(&block.meta.seq)) {
        disk.remove(&block.path)?;
    }
    deletes::attach(disk, &names, &mut blocks, recovery)?;
    blocks.sort_by_key(|block| (block.meta.min_at, block.meta.seq));
    // Names of files that were set aside are not used again either.
    let last = names.iter().filter_map(|name| name.split('.').next()?.parse::<u64>().ok()).max();
    Ok((blocks, last.map_or(1, |last| last + 1)))
}

/// Makes the last samples of a block known to the head, so that nothing older is taken after it. Needed for a block
/// that a flush cut before its window was over.
fn resume(block: &Arc<Block>, head: &Head, cache: &Cache) -> Result<(), Error> {
    for (labels, at, value) in last_samples(block, cache)? {
        // What has no room is not known; something older would become a piece of its own.
        let Some(place) = head.place_with_room(labels) else { continue };
        head.lane(place.lane).resume(place.slot, at, value);
    }
    Ok(())
}

/// Whether a start makes the last samples of a block known.
pub(crate) fn is_resumed(block: &Block, floor: i64) -> bool {
    // A block of late samples alone says nothing of what came in order.
    block.meta.holds(Tier::Raw) && block.meta.floor != Meta::NO_FLOOR && block.meta.max_at >= floor
}

/// The last sample of each series of a block that was not deleted.
pub(crate) fn last_samples(block: &Arc<Block>, cache: &Cache) -> Result<Vec<(Labels, i64, f64)>, Error> {
    let index = match block.index(cache) {
        Err(error) if error.is_corrupt() => return Ok(Vec::new()),
        index => index?,
    };
    let count = index.series_count();
    let mut pages = Pages::new(block.clone(), index.clone(), None, count as usize);
    let mut found = Vec::with_capacity(count as usize);
    for id in 0..count {
        let Some(labels) = index.labels(id) else { continue };
        for page in index.pages(id).rev() {
            let both = pages.timestamps(page).and_then(|times| Ok((times, pages.values(page)?)));
            let last = match both {
                Ok((times, values)) => match &block.deletes {
                    None => times.last().copied().zip(values.last().copied()),
                    Some(deletes) => {
                        let Some(left) = deletes.left(id, &times).pop() else { continue };
                        Some((times[left.end - 1], values[left.end - 1]))
                    }
                },
                Err(error) if error.is_corrupt() => None,
                Err(error) => return Err(error.into()),
            };
            // Without the value, its time at least is known from the index.
            let (at, value) = last.unwrap_or((index.span(page).last, f64::NAN));
            found.push((labels, at, value));
            break;
        }
    }
    Ok(found)
}

fn read_catalog(disk: &dyn Disk, recovery: &mut Recovery) -> Result<Saved, Error> {
    match Catalog::read(disk) {
        Err(error @ barograph_disk::Error::Corrupt { .. }) => {
            disk.rename(catalog::PATH, &format!("{}{CORRUPT}", catalog::PATH))?;
            recovery.set_aside(catalog::PATH, error.to_string());
            Ok(Saved::default())
        }
        saved => Ok(saved?),
    }
}

fn read_policies(disk: &dyn Disk, recovery: &mut Recovery) -> Result<Policies, Error> {
    match Policies::read(disk) {
        Err(error @ barograph_disk::Error::Corrupt { .. }) => {
            disk.rename(policy::PATH, &format!("{}{CORRUPT}", policy::PATH))?;
            recovery.set_aside(policy::PATH, error.to_string());
            Ok(Policies::default())
        }
        policies => Ok(policies?),
    }
}
