//! What a `Writer` writes, the walk finds again: every series, sample, exemplar and word of metadata.

use barograph_model::{
    Exemplar, Histogram, HistogramParts, Labels, Metadata, MetricType, ResetHint, Sample, Timestamp,
};
use barograph_wire::remote_write::{DECODED_BYTES_MAX, Entry, Writer, decompress, entries, parse_labels};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Sent {
    Series(Labels, Vec<Sample>, Vec<Exemplar>),
    Metadata(String, Metadata),
}

fn labels() -> impl Strategy<Value = Labels> {
    prop::collection::btree_map("[a-zä_]{1,6}", ".{0,200}", 0..6).prop_map(|pairs| {
        Labels::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            .expect("the names of a map are unique")
    })
}

fn sample() -> impl Strategy<Value = Sample> {
    (any::<i64>(), any::<u64>(), 0u32..63)
        .prop_map(|(at, bits, shift)| Sample { at: Timestamp(at >> shift), value: f64::from_bits(bits) })
}

fn metadata() -> impl Strategy<Value = (String, Metadata)> {
    let kind = prop::sample::select(vec![MetricType::Unknown, MetricType::Counter, MetricType::StateSet]);
    ("[a-z]{0,9}", ".{0,300}", "[a-z]{0,9}", kind)
        .prop_map(|(name, help, unit, kind)| (name, Metadata { kind, unit, help }))
}

fn sent() -> impl Strategy<Value = Sent> {
    let exemplar = (labels(), sample()).prop_map(|(labels, sample)| Exemplar { labels, sample });
    prop_oneof![
        (labels(), prop::collection::vec(sample(), 0..4), prop::collection::vec(exemplar, 0..2))
            .prop_map(|(labels, samples, exemplars)| Sent::Series(labels, samples, exemplars)),
        metadata().prop_map(|(name, metadata)| Sent::Metadata(name, metadata)),
    ]
}

proptest! {
    #[test]
    fn what_was_written_is_read(all in prop::collection::vec(sent(), 0..8)) {
        let mut writer = Writer::new();
        for one in &all {
            match one {
                Sent::Series(labels, samples, exemplars) => {
                    writer.series_with_exemplars(labels.as_bytes(), samples, exemplars);
                }
                Sent::Metadata(name, metadata) => writer.metadata(name, metadata),
            }
        }
        let block = writer.compressed().unwrap();
        let mut scratch = Vec::new();
        let body = decompress(&block, &mut scratch, DECODED_BYTES_MAX).unwrap();
        prop_assert_eq!(body, writer.as_bytes());

        let mut found = entries(body);
        for one in all {
            match (one, found.next().unwrap().unwrap()) {
                (Sent::Series(labels, samples, exemplars), Entry::Series(series)) => {
                    prop_assert_eq!(&*series.labels, labels.as_bytes());
                    prop_assert_eq!(series.samples().collect::<Result<Vec<_>, _>>().unwrap(), samples);
                    let read = series.exemplars().map(|exemplar| {
                        let exemplar = exemplar.unwrap();
                        Exemplar { labels: parse_labels(&exemplar.labels).unwrap(), sample: exemplar.sample }
                    });
                    prop_assert_eq!(read.collect::<Vec<_>>(), exemplars);
                }
                (Sent::Series(set, samples, exemplars), Entry::Sample { labels, sample }) => {
                    prop_assert_eq!((labels, vec![sample], vec![]), (set.as_bytes(), samples, exemplars));
                }
                (Sent::Metadata(name, metadata), Entry::Metadata(entry)) => {
                    prop_assert_eq!((entry.name, entry.metadata), (name, metadata));
                }
                (one, other) => prop_assert!(false, "wrote {one:?}, read {other:?}"),
            }
        }
        prop_assert!(found.next().is_none());
    }

    #[test]
    fn a_damaged_request_never_panics(all in prop::collection::vec(sent(), 1..4), at: prop::sample::Index, byte: u8) {
        let mut writer = Writer::new();
        for one in &all {
            if let Sent::Series(labels, samples, exemplars) = one {
                writer.series_with_exemplars(labels.as_bytes(), samples, exemplars);
            }
        }
        let mut body = writer.as_bytes().to_vec();
        if !body.is_empty() {
            let at = at.index(body.len());
            body[at] = byte;
        }
        for entry in entries(&body) {
            if let Ok(Entry::Series(series)) = entry {
                let _ = (series.samples().count(), series.exemplars().count(), series.histograms().count());
            }
        }
    }
}

fn histogram() -> impl Strategy<Value = Histogram> {
    let buckets = || prop::collection::btree_map(-600i32..600, 1u32..1000, 0..20);
    let hint =
        prop::sample::select(vec![ResetHint::Unknown, ResetHint::Yes, ResetHint::No, ResetHint::Gauge]);
    (buckets(), buckets(), -4i8..=8, any::<bool>(), 0u32..9, hint).prop_map(
        |(positive, negative, schema, float, zeros, hint)| {
            let share = if float { 0.3 } else { 1.0 };
            let side = |buckets: std::collections::BTreeMap<i32, u32>| -> Vec<(i32, f64)> {
                buckets.into_iter().map(|(index, count)| (index, f64::from(count) * share)).collect()
            };
            let (positive, negative) = (side(positive), side(negative));
            let zero_count = f64::from(zeros);
            let count = positive.iter().chain(&negative).map(|bucket| bucket.1).sum::<f64>() + zero_count;
            let parts = HistogramParts {
                schema,
                hint,
                float,
                zero_threshold: 0.001,
                zero_count,
                count,
                sum: 2.5,
                positive,
                negative,
                bounds: vec![],
            };
            Histogram::new(parts).expect("its parts fit")
        },
    )
}

proptest! {
    #[test]
    fn histograms_are_read_as_written(labels in labels(), all in prop::collection::vec((any::<i64>(), histogram()), 1..4)) {
        let all: Vec<_> = all.into_iter().map(|(at, histogram)| (Timestamp(at), histogram)).collect();
        let mut writer = Writer::new();
        writer.histograms(labels.as_bytes(), &all);
        let Some(Ok(Entry::Series(series))) = entries(writer.as_bytes()).next() else { panic!("a series") };
        prop_assert_eq!(series.labels.as_ref(), labels.as_bytes());
        let found: Vec<_> = series.histograms().map(|entry| entry.unwrap()).collect();
        let found: Vec<_> = found.into_iter().map(|entry| (entry.at, entry.histogram.unwrap())).collect();
        prop_assert_eq!(found, all);
    }
}
