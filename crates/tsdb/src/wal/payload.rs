//! What log records hold, to bytes and back.
//!
//! ```text
//! definitions (1)   lane, count, then for each: slot, length of labels, labels
//! samples (2)       lane, base time i64, count, then for each: change of slot, change of time, value f64
//! histograms (5)    count, then for each: length of labels, labels, length, a stream of one (`codec::histogram`)
//! metadata (3)      type u8, then name, unit, help, each with its length
//! late samples (4)  as samples
//! late histograms (6)  as histograms
//! ```
//!
//! Numbers are varints, changes are signed ones against the sample before (the first against slot 0 and the base
//! time); fixed-size numbers are little-endian. Lane and slot are names for a series within its segment.

use barograph_codec::{Malformed, varint};
use barograph_model::{Metadata, MetricType};

use crate::{head::Accepted, histograms};

pub(crate) const DEFINITIONS: u8 = 1;
pub(crate) const SAMPLES: u8 = 2;
pub(crate) const METADATA: u8 = 3;
pub(crate) const LATE: u8 = 4;
pub(crate) const HISTOGRAMS: u8 = 5;
pub(crate) const LATE_HISTOGRAMS: u8 = 6;

/// Appends the payload of a record of samples, late or not.
#[inline]
pub(crate) fn encode_samples(payload: &mut Vec<u8>, lane: usize, samples: &[Accepted]) {
    let base = samples.first().map_or(0, |sample| sample.at);
    payload.reserve(16 + samples.len() * 14);
    varint::put(payload, lane as u64);
    payload.extend_from_slice(&base.to_le_bytes());
    varint::put(payload, samples.len() as u64);
    let (mut slot, mut at) = (0, base);
    for sample in samples {
        let slot_change = varint::zigzag(i64::from(sample.slot) - slot);
        let time_change = varint::zigzag(sample.at.wrapping_sub(at));
        if let (Ok(s @ ..0x80), Ok(t @ ..0x80)) = (u8::try_from(slot_change), u8::try_from(time_change)) {
            // Nearly always: ten bytes at once.
            let mut ten = [s, t, 0, 0, 0, 0, 0, 0, 0, 0];
            ten[2..].copy_from_slice(&sample.value.to_bits().to_le_bytes());
            payload.extend_from_slice(&ten);
        } else {
            varint::put(payload, slot_change);
            varint::put(payload, time_change);
            payload.extend_from_slice(&sample.value.to_bits().to_le_bytes());
        }
        (slot, at) = (i64::from(sample.slot), sample.at);
    }
}

/// Appends the payload of a definitions record.
pub(crate) fn encode_definitions<'a>(
    payload: &mut Vec<u8>,
    lane: usize,
    series: impl ExactSizeIterator<Item = (u32, &'a [u8])>,
) {
    varint::put(payload, lane as u64);
    varint::put(payload, series.len() as u64);
    for (slot, labels) in series {
        varint::put(payload, u64::from(slot));
        varint::put_slice(payload, labels);
    }
}

/// Appends type, unit and help of a metric, as the log and the catalog hold them.
pub(crate) fn encode_metadata(payload: &mut Vec<u8>, name: &str, metadata: &Metadata) {
    payload.push(kind_number(metadata.kind));
    for text in [name, &metadata.unit, &metadata.help] {
        varint::put_slice(payload, text.as_bytes());
    }
}

/// What a record holds.
#[derive(Debug)]
pub(crate) enum Entry<'a> {
    Definitions(Definitions<'a>),
    Samples(Samples<'a>),
    /// Samples that count whatever came after them.
    Late(Samples<'a>),
    Metadata(MetadataEntry<'a>),
    Histograms(histograms::Entries<'a>),
    /// Histograms that count whatever came after them.
    LateHistograms(histograms::Entries<'a>),
}

/// Series and the names by which the samples of their segment call them.
#[derive(Debug)]
pub(crate) struct Definitions<'a> {
    pub(crate) lane: u64,
    left: u64,
    rest: &'a [u8],
}

/// Samples of the series of one lane.
#[derive(Debug)]
pub(crate) struct Samples<'a> {
    pub(crate) lane: u64,
    left: u64,
    slot: i64,
    at: i64,
    rest: &'a [u8],
}

/// Type, unit and help of a metric.
#[derive(Debug)]
pub(crate) struct MetadataEntry<'a> {
    pub(crate) name: &'a str,
    pub(crate) metadata: Metadata,
}

const MALFORMED: Malformed = Malformed { what: "log record" };

/// Reads the payload of a record. Its parts are read as they are asked for; they end early where they are malformed.
pub(crate) fn decode(kind: u8, payload: &[u8]) -> Result<Entry<'_>, Malformed> {
    let rest = &mut &*payload;
    match kind {
        DEFINITIONS => definitions(rest).map(Entry::Definitions),
        SAMPLES => samples(rest).map(Entry::Samples),
        LATE => samples(rest).map(Entry::Late),
        METADATA => decode_metadata(rest).map(Entry::Metadata),
        HISTOGRAMS => histograms::Entries::read(payload).map(Entry::Histograms),
        LATE_HISTOGRAMS => histograms::Entries::read(payload).map(Entry::LateHistograms),
        _ => None,
    }
    .ok_or(MALFORMED)
}

fn definitions<'a>(rest: &mut &'a [u8]) -> Option<Definitions<'a>> {
    let (lane, left) = (varint::take(rest)?, varint::take(rest)?);
    Some(Definitions { lane, left, rest })
}

fn samples<'a>(rest: &mut &'a [u8]) -> Option<Samples<'a>> {
    let lane = varint::take(rest)?;
    let (base, after) = rest.split_first_chunk()?;
    *rest = after;
    let left = varint::take(rest)?;
    Some(Samples { lane, left, slot: 0, at: i64::from_le_bytes(*base), rest })
}

/// Takes what [`encode_metadata`] wrote off the front.
pub(crate) fn decode_metadata<'a>(rest: &mut &'a [u8]) -> Option<MetadataEntry<'a>> {
    let (&kind, after) = rest.split_first()?;
    *rest = after;
    let mut text = || std::str::from_utf8(varint::take_slice(rest)?).ok();
    let (name, unit, help) = (text()?, text()?.to_owned(), text()?.to_owned());
    Some(MetadataEntry { name, metadata: Metadata { kind: kind_of(kind)?, unit, help } })
}

impl<'a> Iterator for Definitions<'a> {
    /// Slot and label bytes.
    type Item = (u64, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some((varint::take(&mut self.rest)?, varint::take_slice(&mut self.rest)?))
    }
}

impl Iterator for Samples<'_> {
    /// Slot, time and value.
    type Item = (u64, i64, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.slot = self.slot.wrapping_add(varint::take_signed(&mut self.rest)?);
        self.at = self.at.wrapping_add(varint::take_signed(&mut self.rest)?);
        let (bits, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some((u64::try_from(self.slot).ok()?, self.at, f64::from_bits(u64::from_le_bytes(*bits))))
    }
}

const KINDS: [MetricType; 8] = [
    MetricType::Unknown,
    MetricType::Counter,
    MetricType::Gauge,
    MetricType::Histogram,
    MetricType::GaugeHistogram,
    MetricType::Summary,
    MetricType::Info,
    MetricType::StateSet,
];

fn kind_number(kind: MetricType) -> u8 {
    let number = KINDS.iter().position(|&known| known == kind).unwrap_or(0);
    u8::try_from(number).unwrap_or(0)
}

fn kind_of(number: u8) -> Option<MetricType> {
    KINDS.get(usize::from(number)).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn metadata_comes_back() {
        for kind in KINDS {
            let metadata = Metadata { kind, unit: "seconds".into(), help: "How long.".into() };
            let mut bytes = Vec::new();
            encode_metadata(&mut bytes, "x_seconds", &metadata);
            let Ok(Entry::Metadata(entry)) = decode(METADATA, &bytes) else { panic!("no metadata") };
            assert_eq!((entry.name, entry.metadata), ("x_seconds", metadata));
        }
    }

    #[test]
    fn definitions_come_back() {
        let mut bytes = Vec::new();
        encode_definitions(&mut bytes, 3, [(5, &b"abc"[..]), (2, b"")].into_iter());
        let Ok(Entry::Definitions(entry)) = decode(DEFINITIONS, &bytes) else { panic!("no definitions") };
        assert_eq!(entry.lane, 3);
        assert_eq!(entry.collect::<Vec<_>>(), [(5, &b"abc"[..]), (2, b"")]);
    }

    proptest! {
        #[test]
        fn samples_come_back(samples: Vec<(u32, i64, u64)>) {
            let accepted: Vec<_> = samples.iter().map(|&(slot, at, bits)| Accepted { slot, at, value: f64::from_bits(bits) }).collect();
            let mut bytes = Vec::new();
            encode_samples(&mut bytes, 1, &accepted);
            let Ok(Entry::Samples(entry)) = decode(SAMPLES, &bytes) else { panic!("no samples") };
            let back: Vec<_> = entry.map(|(slot, at, value)| (u32::try_from(slot).unwrap(), at, value.to_bits())).collect();
            prop_assert_eq!(back, samples);
        }

        #[test]
        fn any_bytes_are_an_answer(kind in 0u8..5, bytes: Vec<u8>) {
            match decode(kind, &bytes) {
                Ok(Entry::Definitions(entry)) => { prop_assert!(entry.count() <= bytes.len()); }
                Ok(Entry::Samples(entry)) => { prop_assert!(entry.count() <= bytes.len()); }
                _ => {}
            }
        }
    }
}
