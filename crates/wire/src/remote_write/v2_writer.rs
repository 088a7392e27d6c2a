//! Requests of remote write 2.0, made.

use std::collections::HashMap;

use barograph_model::{Exemplar, Histogram, Labels, Metadata, Sample, Timestamp};

use super::{SnappyError, histogram_writer, walk::TYPES, writer::compress};
use crate::protobuf::{put_bytes, put_double, put_number, put_varint};

/// An `io.prometheus.write.v2.Request` under construction.
#[derive(Clone, Debug, Default)]
pub struct WriterV2 {
    numbers: HashMap<Vec<u8>, u64>,
    symbols: Vec<u8>,
    series: Vec<u8>,
}

/// A series of a request and what was observed of it: samples or histograms, not both.
#[derive(Clone, Debug, Default)]
pub struct SeriesV2<'a> {
    /// Float samples in order.
    pub samples: &'a [Sample],
    /// Native histograms in order.
    pub histograms: &'a [(Timestamp, Histogram)],
    /// Exemplars in order.
    pub exemplars: &'a [Exemplar],
    /// What is known of its metric.
    pub metadata: Option<&'a Metadata>,
}

impl WriterV2 {
    /// An empty request.
    pub fn new() -> Self {
        let mut writer = Self::default();
        writer.symbol(b"");
        writer
    }

    /// Adds a series.
    pub fn series(&mut self, labels: &Labels, of: &SeriesV2<'_>) {
        let mut series = Vec::new();
        self.put_refs(&mut series, labels);
        let mut message = Vec::new();
        for sample in of.samples {
            message.clear();
            put_double(&mut message, 1, sample.value);
            put_number(&mut message, 2, sample.at.millis().cast_unsigned());
            put_bytes(&mut series, 2, &message);
        }
        for (at, histogram) in of.histograms {
            message.clear();
            histogram_writer::put(&mut message, *at, histogram);
            put_bytes(&mut series, 3, &message);
        }
        for exemplar in of.exemplars {
            message.clear();
            self.put_refs(&mut message, &exemplar.labels);
            put_double(&mut message, 2, exemplar.sample.value);
            put_number(&mut message, 3, exemplar.sample.at.millis().cast_unsigned());
            put_bytes(&mut series, 4, &message);
        }
        if let Some(metadata) = of.metadata {
            message.clear();
            let number = TYPES.iter().position(|&kind| kind == metadata.kind).unwrap_or_default();
            let (help, unit) = (self.symbol(metadata.help.as_bytes()), self.symbol(metadata.unit.as_bytes()));
            for (field, number) in [(1, number as u64), (3, help), (4, unit)] {
                put_number(&mut message, field, number);
            }
            put_bytes(&mut series, 5, &message);
        }
        put_bytes(&mut self.series, 5, &series);
    }

    /// Whether no series was added.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The message.
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.symbols.as_slice(), &self.series].concat()
    }

    /// The message as a snappy block, ready to be sent.
    ///
    /// # Errors
    /// When the message is too large for a block, which is 4 GiB.
    pub fn compressed(&self) -> Result<Vec<u8>, SnappyError> {
        compress(&self.to_bytes())
    }

    fn put_refs(&mut self, message: &mut Vec<u8>, labels: &Labels) {
        let mut packed = Vec::new();
        for label in labels.raw() {
            for text in [label.name, label.value] {
                put_varint(&mut packed, self.symbol(text));
            }
        }
        put_bytes(message, 1, &packed);
    }

    fn symbol(&mut self, text: &[u8]) -> u64 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.numbers.len() as u64;
        self.numbers.insert(text.to_vec(), number);
        put_bytes(&mut self.symbols, 4, text);
        number
    }
}
