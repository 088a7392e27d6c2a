//! What changed in a source after it was read: so that whoever keeps results knows which of them still hold.
//!
//! One who wants to keep something [settles](Changes::settle) a time first, and only then reads. From then on the source
//! notes every change to what is *before* that time: late samples, imports, deletions, what retention takes. What is
//! appended in order is newer, as nearly everything is, and costs one comparison a batch. A result of times before the
//! settled one holds as long as nothing was noted [since](Changes::since) the version that settling gave.
//!
//! Nothing is missed, whatever the threads: a change is noted after it can be seen and, where it depends on the settled
//! time, under the lock under which it is read. Who did not see it has an older version than its note.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hasher},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use crate::{METRIC_NAME, Matcher, Tier, TimeRange, Timestamp};

/// A moment in the history of a source's changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u64);

/// A metric by its name, in few bytes. Two may seem to be one; then a result is thrown away that still held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MetricKey(u64);

impl MetricKey {
    /// The key of a name; of series without one, that of the empty name.
    pub fn of(name: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(name.as_bytes());
        Self(hasher.finish())
    }
}

/// What was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Of which metric; `None` for all.
    pub metric: Option<MetricKey>,
    /// Only in what this tier holds; `None` for the samples themselves, which every tier tells of.
    pub tier: Option<Tier>,
    /// At which times.
    pub range: TimeRange,
}

/// What a result was made of.
#[derive(Clone, Copy, Debug)]
pub struct Extent<'a> {
    /// Which metrics were read; `None` if that cannot be listed.
    pub metrics: Option<&'a [MetricKey]>,
    /// From which tier.
    pub tier: Tier,
    /// At which times at most.
    pub range: TimeRange,
}

impl Extent<'_> {
    /// The metrics that matchers may select, as far as they can be listed.
    pub fn metrics_of(matchers: &[Matcher]) -> Option<Vec<MetricKey>> {
        let of_name = matchers.iter().filter(|matcher| matcher.name() == METRIC_NAME);
        let names = of_name.filter_map(Matcher::allowed_values).min_by_key(Vec::len)?;
        Some(names.into_iter().map(MetricKey::of).collect())
    }

    fn is_touched(&self, change: &Change) -> bool {
        change.tier.is_none_or(|tier| tier == self.tier)
            && change.range.start < self.range.end
            && self.range.start < change.range.end
            && change.metric.is_none_or(|metric| self.metrics.is_none_or(|all| all.contains(&metric)))
    }
}

/// The changes of one source, as far back as there is room.
#[derive(Debug)]
pub struct Changes {
    settled: AtomicI64,
    book: Mutex<Book>,
}

/// Changes in the order in which they were noted.
#[derive(Debug)]
struct Book {
    marks_max: usize,
    marks: VecDeque<(Version, Change)>,
    /// How many marks were let go of.
    gone: u64,
    /// What is noted now has this version.
    version: Version,
    /// Whether somebody was given the version, so that what comes next needs a newer one.
    given: bool,
    /// What came after older versions is not known any more.
    forgotten: Version,
    /// Where the marks of the current version are, by metric and tier; counted with those that are gone.
    current: HashMap<(Option<MetricKey>, Option<Tier>), u64>,
    overflows: u64,
}

/// Marks that a book has room for unless something else is said: some 50 bytes each.
const MARKS_MAX: usize = 16_384;

/// A mark is extended over a gap of so many milliseconds rather than followed by another one.
const GAP_MS: i64 = 60_000;

/// Settling a time so much before the settled one starts over: the clock was set back.
const BACK_MS: i64 = 600_000;

impl Default for Changes {
    fn default() -> Self {
        Self::new(MARKS_MAX)
    }
}

impl Changes {
    /// No changes yet, and room for the marks of so many.
    pub fn new(marks_max: usize) -> Self {
        let book = Book {
            marks_max: marks_max.max(1),
            marks: VecDeque::new(),
            gone: 0,
            version: Version(1),
            given: false,
            forgotten: Version(0),
            current: HashMap::new(),
            overflows: 0,
        };
        Self { settled: AtomicI64::new(i64::MIN), book: Mutex::new(book) }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on changes before `until` are noted. The version of what can be read from now on.
    pub fn settle(&self, until: Timestamp) -> Version {
        let mut book = self.book();
        let settled = self.settled.load(Ordering::Relaxed);
        if until.0 > settled {
            self.settled.store(until.0, Ordering::Relaxed);
        } else if until.0 < settled.saturating_sub(BACK_MS) {
            self.settled.store(until.0, Ordering::Relaxed);
            book.forget_all();
        }
        book.given = true;
        book.version
    }

    /// The time before which changes are noted; the least one while nobody wants to know.
    #[inline]
    pub fn settled(&self) -> Timestamp {
        Timestamp(self.settled.load(Ordering::Relaxed))
    }

    /// Notes what was changed before the settled time. To be called when it can be seen.
    pub fn note(&self, changes: impl IntoIterator<Item = Change>) {
        let settled = self.settled();
        if settled == Timestamp::MIN {
            return;
        }
        let counts = |change: &Change| !change.range.is_empty() && change.range.start < settled;
        let mut book = self.book();
        changes.into_iter().filter(counts).for_each(|change| book.note(change));
    }

    /// Whether something may have changed, since a version was given, of what a result was made of.
    pub fn since(&self, version: Version, extents: &[Extent<'_>]) -> bool {
        let book = self.book();
        if version < book.forgotten {
            return true;
        }
        let from = book.marks.partition_point(|mark| mark.0 <= version);
        let mut newer = book.marks.range(from..);
        newer.any(|(_, change)| extents.iter().any(|extent| extent.is_touched(change)))
    }

    /// How often older changes were forgotten, and with them all results from before, because there was no more room.
    pub fn overflows(&self) -> u64 {
        self.book().overflows
    }
}

impl Book {
    fn note(&mut self, change: Change) {
        if self.given {
            self.version.0 += 1;
            self.given = false;
            self.current.clear();
        }
        let key = (change.metric, change.tier);
        // Nobody has a version between this mark and the one before, so one may say it for both.
        let same = self.current.get(&key).and_then(|number| usize::try_from(number - self.gone).ok());
        if let Some((_, mark)) = same.and_then(|place| self.marks.get_mut(place)) {
            let near = |a: TimeRange, b: TimeRange| a.start.0.saturating_sub(GAP_MS) <= b.end.0;
            if near(mark.range, change.range) && near(change.range, mark.range) {
                let (start, end) =
                    (mark.range.start.min(change.range.start), mark.range.end.max(change.range.end));
                mark.range = TimeRange::new(start, end);
                return;
            }
        }
        if self.marks.len() >= self.marks_max {
            self.overflow();
        }
        self.current.insert(key, self.gone + self.marks.len() as u64);
        self.marks.push_back((self.version, change));
    }

    /// Makes room by forgetting the older half.
    fn overflow(&mut self) {
        self.overflows += 1;
        let half = self.marks.len().div_ceil(2);
        self.gone += half as u64;
        let last = self.marks.drain(..half).next_back();
        self.forgotten = last.map_or(self.forgotten, |mark| mark.0);
        let gone = self.gone;
        self.current.retain(|_, number| *number >= gone);
    }

    fn forget_all(&mut self) {
        self.gone += self.marks.len() as u64;
        self.marks.clear();
        self.current.clear();
        self.version.0 += 1;
        self.forgotten = self.version;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: i64, to: i64) -> TimeRange {
        TimeRange::new(Timestamp(from), Timestamp(to))
    }

    fn change(metric: &str, from: i64, to: i64) -> Change {
        Change { metric: Some(MetricKey::of(metric)), tier: None, range: range(from, to) }
    }

    fn touched(changes: &Changes, version: Version, metric: &str, from: i64, to: i64) -> bool {
        let metrics = [MetricKey::of(metric)];
        let extent = Extent { metrics: Some(&metrics), tier: Tier::Raw, range: range(from, to) };
        changes.since(version, &[extent])
    }

    #[test]
    fn exactly_what_changed_is_told() {
        let changes = Changes::default();
        let before = changes.settle(Timestamp(1_000));
        changes.note([change("a", 100, 200)]);
        let after = changes.settle(Timestamp(1_000));
        for (metric, from, to, expected) in
            [("a", 0, 101, true), ("a", 199, 300, true), ("a", 0, 100, false), ("a", 200, 300, false)]
        {
            assert_eq!(touched(&changes, before, metric, from, to), expected, "{metric} {from} {to}");
        }
        assert!(!touched(&changes, before, "b", 0, 1_000) && !touched(&changes, after, "a", 0, 1_000));
        let any = Extent { metrics: None, tier: Tier::Raw, range: range(0, 1_000) };
        assert!(changes.since(before, &[any]) && !changes.since(after, &[any]));
        changes.note([Change { metric: None, tier: Some(Tier::Hour), range: TimeRange::ALL }]);
        assert!(!touched(&changes, after, "a", 0, 1_000));
        assert!(changes.since(after, &[Extent { tier: Tier::Hour, ..any }]));
    }

    #[test]
    fn nothing_is_noted_while_nobody_wants_to_know() {
        let changes = Changes::new(1);
        (0..9).for_each(|i| changes.note([change("a", i * 1_000_000, i * 1_000_000 + 1)]));
        assert_eq!((changes.settled(), changes.overflows()), (Timestamp::MIN, 0));
        let version = changes.settle(Timestamp(5));
        assert!(!touched(&changes, version, "a", 0, i64::MAX));
    }

    #[test]
    fn marks_that_nobody_could_tell_apart_are_one() {
        let changes = Changes::new(2);
        let version = changes.settle(Timestamp(1_000_000));
        (0..100).for_each(|i| changes.note([change("a", i * 1_000, i * 1_000 + 1)]));
        assert_eq!(changes.book().marks.len(), 1);
        assert!(touched(&changes, version, "a", 98_000, 99_000));
        changes.note([change("a", 900_000, 900_001)]);
        assert!(!touched(&changes, version, "a", 500_000, 600_000));
        assert_eq!(changes.overflows(), 0);
    }

    #[test]
    fn what_there_is_no_room_for_counts_as_changed() {
        let changes = Changes::new(4);
        let versions: Vec<Version> = (0..6)
            .map(|i| {
                let version = changes.settle(Timestamp(1_000));
                changes.note([change("a", i, i + 1)]);
                version
            })
            .collect();
        assert_eq!(changes.overflows(), 1);
        assert!(touched(&changes, versions[0], "b", 0, 1), "nothing is known of that time any more");
        assert!(!touched(&changes, versions[5], "b", 0, 1));
        assert!(touched(&changes, versions[5], "a", 5, 6) && !touched(&changes, versions[5], "a", 0, 5));
    }

    #[test]
    fn a_clock_set_back_starts_over() {
        let changes = Changes::default();
        let before = changes.settle(Timestamp(10 * BACK_MS));
        assert_eq!(changes.settle(Timestamp(10 * BACK_MS - 1)), before);
        let after = changes.settle(Timestamp(BACK_MS));
        assert_eq!(changes.settled(), Timestamp(BACK_MS));
        assert!(touched(&changes, before, "a", 0, 1) && !touched(&changes, after, "a", 0, 1));
    }
}
