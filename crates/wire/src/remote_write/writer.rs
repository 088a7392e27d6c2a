//! Remote-write requests, made.

use barograph_model::{Exemplar, Histogram, Metadata, Sample, Timestamp};

use super::{histogram_writer, snappy::SnappyError, walk::TYPES};
use crate::protobuf::{FIXED64, LEN, VARINT, key, put_bytes, put_varint, varint_len};

/// A `prometheus.WriteRequest` under construction.
///
/// Its buffer is kept by [`Writer::clear`]. How much goes into one request is up to the caller; receivers commonly
/// take 100,000 samples or 32 MiB.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a series by its label bytes: those of a [`Labels`](barograph_model::Labels), or what
    /// [`encode_label`](barograph_model::encode_label) makes of pairs.
    pub fn series(&mut self, labels: &[u8], samples: &[Sample]) {
        self.series_with_exemplars(labels, samples, &[]);
    }

    /// Adds a series together with exemplars of it.
    pub fn series_with_exemplars(&mut self, labels: &[u8], samples: &[Sample], exemplars: &[Exemplar]) {
        let samples_len: usize = samples.iter().map(|sample| field_len(sample_len(sample))).sum();
        let exemplars_len: usize = exemplars.iter().map(|exemplar| field_len(exemplar_len(exemplar))).sum();
        self.begin(1, labels.len() + samples_len + exemplars_len);
        self.bytes.extend_from_slice(labels);
        for sample in samples {
            self.begin(2, sample_len(sample));
            self.put_sample(1, sample);
        }
        for exemplar in exemplars {
            self.begin(3, exemplar_len(exemplar));
            self.bytes.extend_from_slice(exemplar.labels.as_bytes());
            self.put_sample(2, &exemplar.sample);
        }
    }

    /// Adds a series of samples, native histograms, or both.
    pub fn both(&mut self, labels: &[u8], samples: &[Sample], histograms: &[(Timestamp, Histogram)]) {
        match histograms {
            [] => self.series(labels, samples),
            histograms => {
                let mut series = Self { bytes: labels.to_vec() };
                for sample in samples {
                    series.begin(2, sample_len(sample));
                    series.put_sample(1, sample);
                }
                self.histograms(&series.bytes, histograms);
            }
        }
    }

    /// Adds a series of native histograms.
    pub fn histograms(&mut self, labels: &[u8], histograms: &[(Timestamp, Histogram)]) {
        let mut series = labels.to_vec();
        let mut message = Vec::new();
        for (at, histogram) in histograms {
            message.clear();
            histogram_writer::put(&mut message, *at, histogram);
            put_bytes(&mut series, 4, &message);
        }
        put_bytes(&mut self.bytes, 1, &series);
    }

    /// Adds what is known of a metric family.
    pub fn metadata(&mut self, name: &str, metadata: &Metadata) {
        let number = TYPES.iter().position(|&kind| kind == metadata.kind).unwrap_or_default();
        let texts = [(2, name), (4, &metadata.help), (5, &metadata.unit)];
        let len = 2 + texts.iter().map(|(_, text)| field_len(text.len())).sum::<usize>();
        self.begin(3, len);
        put_varint(&mut self.bytes, u64::from(key(1, VARINT)));
        put_varint(&mut self.bytes, number as u64);
        for (field, text) in texts {
            put_bytes(&mut self.bytes, field, text.as_bytes());
        }
    }

    /// The message as it stands.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Begins a new request.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The message as a snappy block, ready to be sent.
    ///
    /// # Errors
    /// When the message is too large for a block, which is 4 GiB.
    pub fn compressed(&self) -> Result<Vec<u8>, SnappyError> {
        compress(&self.bytes)
    }

    fn begin(&mut self, field: u32, len: usize) {
        put_varint(&mut self.bytes, u64::from(key(field, LEN)));
        put_varint(&mut self.bytes, len as u64);
    }

    /// Value and time as the fields `first` and the one after it.
    fn put_sample(&mut self, first: u32, sample: &Sample) {
        put_varint(&mut self.bytes, u64::from(key(first, FIXED64)));
        self.bytes.extend_from_slice(&sample.value.to_le_bytes());
        put_varint(&mut self.bytes, u64::from(key(first + 1, VARINT)));
        put_varint(&mut self.bytes, sample.at.millis().cast_unsigned());
    }
}

/// A message as a snappy block.
pub(crate) fn compress(message: &[u8]) -> Result<Vec<u8>, SnappyError> {
    let failed = |error: snap::Error| SnappyError::Malformed { reason: error.to_string() };
    snap::raw::Encoder::new().compress_vec(message).map_err(failed)
}

/// Every field number here fits one byte of key.
const fn field_len(content: usize) -> usize {
    1 + varint_len(content as u64) + content
}

fn sample_len(sample: &Sample) -> usize {
    10 + varint_len(sample.at.millis().cast_unsigned())
}

fn exemplar_len(exemplar: &Exemplar) -> usize {
    exemplar.labels.as_bytes().len() + sample_len(&exemplar.sample)
}
