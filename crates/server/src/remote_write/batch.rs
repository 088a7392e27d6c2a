//! What a shard sends at once, and its bytes in either message.

use std::{collections::HashMap, sync::Arc};

use barograph_model::{Exemplar, Histogram, Labels, Metadata, Sample, Source, Timestamp};
use barograph_tsdb::Store;
use barograph_wire::remote_write::{SeriesV2, SnappyError, Writer, WriterV2};

use super::endpoint::Slice;
use crate::config::RemoteWriteMessage;

/// Something of a series that is to be sent.
#[derive(Clone, Debug)]
pub(super) enum Data {
    Sample(Sample),
    Histogram(Timestamp, Box<Histogram>),
    Exemplar(Box<Exemplar>),
}

/// The same on its way.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) labels: Labels,
    pub(super) data: Data,
    /// The part of the log that it is of; exemplars are of none.
    pub(super) slice: Option<Arc<Slice>>,
}

impl Item {
    /// When it was observed.
    pub(super) fn at(&self) -> Timestamp {
        match &self.data {
            Data::Sample(sample) => sample.at,
            Data::Histogram(at, _) => *at,
            Data::Exemplar(exemplar) => exemplar.sample.at,
        }
    }
}

/// How many of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) samples: u64,
    pub(super) histograms: u64,
    pub(super) exemplars: u64,
}

impl Counts {
    pub(super) fn of(items: &[Item]) -> Self {
        let mut counts = Self::default();
        for item in items {
            match item.data {
                Data::Sample(_) => counts.samples += 1,
                Data::Histogram(..) => counts.histograms += 1,
                Data::Exemplar(_) => counts.exemplars += 1,
            }
        }
        counts
    }
}

/// A request of these items, in their order, ready to be sent.
pub(super) fn encode(
    items: &[Item],
    message: RemoteWriteMessage,
    store: &Store,
) -> Result<Vec<u8>, SnappyError> {
    match message {
        RemoteWriteMessage::V1 => encode_v1(items),
        RemoteWriteMessage::V2 => encode_v2(items, |name| described(store, name)),
    }
}

fn encode_v1(items: &[Item]) -> Result<Vec<u8>, SnappyError> {
    let mut writer = Writer::new();
    for item in items {
        let labels = item.labels.as_bytes();
        match &item.data {
            Data::Sample(sample) => writer.series(labels, &[*sample]),
            Data::Histogram(at, histogram) => writer.histograms(labels, &[(*at, (**histogram).clone())]),
            Data::Exemplar(exemplar) => {
                writer.series_with_exemplars(labels, &[], std::slice::from_ref(&**exemplar));
            }
        }
    }
    writer.compressed()
}

/// A series of 2.0 has samples or histograms, and exemplars only beside these: whoever makes a batch sees to it that there are
/// such (`beside.rs`).
fn encode_v2(items: &[Item], describe: impl Fn(&str) -> Option<Metadata>) -> Result<Vec<u8>, SnappyError> {
    let mut exemplars: HashMap<&Labels, Vec<Exemplar>> = HashMap::new();
    for item in items {
        if let Data::Exemplar(exemplar) = &item.data {
            exemplars.entry(&item.labels).or_default().push((**exemplar).clone());
        }
    }
    let mut writer = WriterV2::new();
    for item in items {
        let native;
        let (samples, histograms) = match &item.data {
            Data::Sample(sample) => (std::slice::from_ref(sample), &[][..]),
            Data::Histogram(at, histogram) => {
                native = [(*at, (**histogram).clone())];
                (&[][..], &native[..])
            }
            Data::Exemplar(_) => continue,
        };
        let metadata = item.labels.metric_name().and_then(&describe);
        let own = exemplars.remove(&item.labels).unwrap_or_default();
        let metadata = metadata.as_ref();
        writer.series(&item.labels, &SeriesV2 { samples, histograms, exemplars: &own, metadata });
    }
    writer.compressed()
}

/// What is known of a metric, or of the family that it is of.
fn described(store: &Store, name: &str) -> Option<Metadata> {
    let find = |name: &str| store.metadata(Some(name)).pop().map(|(_, metadata)| metadata);
    find(name).or_else(|| {
        let family = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| name.strip_suffix(suffix))?;
        find(family)
    })
}

#[cfg(test)]
mod tests {
    use barograph_model::MetricType;
    use barograph_wire::remote_write::{DECODED_BYTES_MAX, decompress, v2};

    use super::*;

    #[test]
    fn exemplars_go_with_the_first_sample_of_their_series() {
        let labels = |name| Labels::from_pairs([("__name__", name)]).unwrap();
        let sample = |at| Sample { at: Timestamp(at), value: 1.0 };
        let exemplar =
            |at| Data::Exemplar(Box::new(Exemplar { labels: labels("trace"), sample: sample(at) }));
        let item = |name, data| Item { labels: labels(name), data, slice: None };
        let items = [
            item("a", Data::Sample(sample(1))),
            item("b", exemplar(2)),
            item("a", Data::Sample(sample(3))),
            item("a", exemplar(3)),
        ];
        assert_eq!(Counts::of(&items), Counts { samples: 2, histograms: 0, exemplars: 2 });
        let metadata = Metadata { kind: MetricType::Gauge, ..Metadata::default() };
        let block = encode_v2(&items, |name| (name == "a").then(|| metadata.clone())).unwrap();
        let mut scratch = Vec::new();
        let body = decompress(&block, &mut scratch, DECODED_BYTES_MAX).unwrap();
        let request = v2::Request::read(body).unwrap();
        let series: Vec<_> = request.series().map(Result::unwrap).collect();
        let found: Vec<_> = series.iter().map(|series| (series.samples, series.exemplars)).collect();
        assert_eq!(found, [(1, 1), (1, 0)]);
        assert_eq!(series[0].metadata().unwrap(), Some(metadata.clone()));
    }
}
