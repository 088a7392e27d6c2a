//! What a page of a block of histograms holds: histograms, or windows of a tier, as a stream of bytes.

use barograph_codec::{
    HistogramDecoder, HistogramEncoder, decode_histogram_rollups, encode_histogram_rollups,
};
use barograph_model::{Histogram, HistogramRollup};

/// The most entries of a page.
pub(super) const PAGE_MAX: usize = 512;

/// One of what a page holds.
pub(crate) trait Entry: Clone {
    /// Its time, by which entries are in order.
    fn at(&self) -> i64;
    fn encode(entries: &[Self]) -> Vec<u8>;
    /// `None` for bytes that were not written so.
    fn decode(bytes: &[u8]) -> Option<Vec<Self>>;
}

/// A histogram and its time.
pub(crate) type Sample = (i64, Histogram);

impl Entry for Sample {
    fn at(&self) -> i64 {
        self.0
    }

    fn encode(entries: &[Self]) -> Vec<u8> {
        let (mut encoder, mut bytes) = (HistogramEncoder::default(), Vec::new());
        entries.iter().for_each(|(at, histogram)| encoder.push(*at, histogram, &mut bytes));
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Vec<Self>> {
        let mut decoder = HistogramDecoder::new(bytes);
        let entries: Vec<_> = decoder.by_ref().collect();
        decoder.is_done().then_some(entries)
    }
}

impl Entry for HistogramRollup {
    fn at(&self) -> i64 {
        self.start
    }

    fn encode(entries: &[Self]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_histogram_rollups(entries, &mut bytes);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Vec<Self>> {
        decode_histogram_rollups(bytes).ok()
    }
}
