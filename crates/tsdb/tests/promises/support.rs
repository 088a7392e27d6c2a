//! What the promise tests share: opening, appending and reading back in few words.

use std::{collections::BTreeMap, sync::Arc};

use barograph_disk::{Disk, MemoryDisk};
use barograph_model::{Budget, Labels, Matcher, Selection, Source, TimeRange, Timestamp};
use barograph_tsdb::{Appended, Error, Options, Recovery, Row, Store};

/// Everything a store holds: series as PromQL writes them, samples as time and bits of the value.
pub(crate) type Content = BTreeMap<String, Vec<(i64, u64)>>;

/// Some moment, at the start of a two-hour window.
pub(crate) const START: i64 = 1_699_999_200_000;

pub(crate) const HOUR: i64 = 3_600_000;

pub(crate) fn options() -> Options {
    Options::default()
}

pub(crate) fn open(disk: &MemoryDisk) -> (Store, Recovery) {
    open_with(disk, options())
}

pub(crate) fn open_with(disk: &MemoryDisk, options: Options) -> (Store, Recovery) {
    Store::open(Arc::new(disk.clone()), options, Timestamp(START)).expect("the store opens")
}

pub(crate) fn series(name: &str, number: usize) -> Labels {
    Labels::from_pairs([("__name__", name), ("n", &number.to_string()), ("job", "test")])
        .expect("labels are good")
}

/// Appends one sample a series at one time.
pub(crate) fn append(store: &Store, samples: &[(&Labels, i64, f64)]) -> Result<Appended, Error> {
    let rows: Vec<_> = samples
        .iter()
        .map(|(labels, at, value)| Row { labels: labels.as_bytes(), at: *at, value: *value })
        .collect();
    let latest = samples.iter().map(|sample| sample.1).max().unwrap_or(START);
    store.append(&rows, Timestamp(latest))
}

/// Appends and expects every row to be stored.
pub(crate) fn put(store: &Store, samples: &[(&Labels, i64, f64)]) -> u64 {
    let appended = append(store, samples).expect("the store takes rows");
    assert_eq!(appended.rejected, []);
    assert_eq!(appended.stored, samples.len());
    appended.ticket
}

pub(crate) fn content(store: &Store) -> Content {
    content_of(store, &[], TimeRange::ALL)
}

/// What matches in a range, read in both ways. Nobody may write meanwhile.
pub(crate) fn content_of(store: &Store, matchers: &[Matcher], range: TimeRange) -> Content {
    let content = content_meanwhile(store, matchers, range);
    let found = store
        .last_samples(&Selection { matchers, range }, &Budget::unlimited())
        .expect("the store can be read");
    let found = found
        .into_iter()
        .map(|(labels, last)| (labels.to_string(), (last.at.millis(), last.value.to_bits())));
    let last = content.iter().map(|(labels, samples)| (labels.clone(), samples[samples.len() - 1]));
    assert_eq!(found.collect::<BTreeMap<_, _>>(), last.collect(), "the last samples are those of the whole");
    content
}

/// As [`content_of`], while others may write.
pub(crate) fn content_meanwhile(store: &Store, matchers: &[Matcher], range: TimeRange) -> Content {
    let budget = Budget::unlimited();
    let mut cursor = store.select(&Selection { matchers, range }, &budget).expect("the store can be read");
    let mut content = Content::new();
    let mut before: Option<Labels> = None;
    while let Some(labels) = cursor.next_series().expect("the store can be read") {
        assert!(
            before.as_ref().is_none_or(|before| *before < labels),
            "series come in label order, each once"
        );
        let mut samples = Vec::new();
        while let Some(batch) = cursor.next_batch().expect("the store can be read") {
            assert!(!batch.timestamps.is_empty() && batch.timestamps.len() <= barograph_model::Batch::MAX);
            samples
                .extend(batch.timestamps.iter().zip(batch.values).map(|(&at, value)| (at, value.to_bits())));
        }
        assert!(samples.is_sorted_by(|a, b| a.0 < b.0), "samples come in time order, each once");
        if !samples.is_empty() {
            content.insert(labels.to_string(), samples);
        }
        before = Some(labels);
    }
    content
}

/// The paths of the files in a folder, with the folder.
pub(crate) fn files(disk: &MemoryDisk, dir: &str) -> Vec<String> {
    let entries = disk.list(dir).expect("the folder can be listed");
    entries.into_iter().map(|entry| format!("{dir}/{}", entry.name)).collect()
}

/// Whether all samples of `part` are in `whole`, with the same bits.
pub(crate) fn is_within(part: &Content, whole: &Content) -> bool {
    part.iter().all(|(name, samples)| {
        whole.get(name).is_some_and(|all| {
            let all: BTreeMap<_, _> = all.iter().copied().collect();
            samples.iter().all(|(at, bits)| all.get(at) == Some(bits))
        })
    })
}
