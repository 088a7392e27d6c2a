//! What is answered: all samples in one message, or frames of chunks.

use barograph_model::{Histogram, Labels, Sample, Timestamp};

use crate::{
    prometheus_tsdb::{EncodedChunk, Encoding, float_chunks, histogram_chunk},
    protobuf::{put_bytes, put_number, put_varint},
    remote_write::{SnappyError, Writer, compress},
};

/// A frame holds about so many bytes; a series with more goes on in the next.
pub const FRAME_BYTES: usize = 1 << 20;

/// A `prometheus.ReadResponse` under construction: a result a query.
#[derive(Debug, Default)]
pub struct Samples {
    bytes: Vec<u8>,
    result: Writer,
}

impl Samples {
    /// Adds a series to the result of the current query.
    pub fn series(&mut self, labels: &Labels, samples: &[Sample], histograms: &[(Timestamp, Histogram)]) {
        // A result has the fields of a request of remote write.
        self.result.both(labels.as_bytes(), samples, histograms);
    }

    /// Ends the result of the current query.
    pub fn end_query(&mut self) {
        put_bytes(&mut self.bytes, 1, self.result.as_bytes());
        self.result.clear();
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len() + self.result.as_bytes().len()
    }

    /// Whether there is nothing yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The message as a snappy block.
    ///
    /// # Errors
    /// When the message is too large for a block, which is 4 GiB.
    pub fn compressed(&self) -> Result<Vec<u8>, SnappyError> {
        compress(&self.bytes)
    }
}

/// A series of the query with that index as frames, ready to be sent; none if it has no samples.
pub fn frames(
    query: usize,
    labels: &Labels,
    samples: &[Sample],
    histograms: &[(Timestamp, Histogram)],
) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut series = labels.as_bytes().to_vec();
    let start = series.len();
    let histograms = histograms.iter().map(|(at, histogram)| histogram_chunk(*at, histogram));
    let mut chunks: Vec<_> = float_chunks(samples).chain(histograms).collect();
    chunks.sort_by_key(|chunk| chunk.first);
    for chunk in &chunks {
        put_chunk(&mut series, chunk);
        if series.len() >= FRAME_BYTES {
            frames.push(frame(query, &series));
            series.truncate(start);
        }
    }
    if series.len() > start {
        frames.push(frame(query, &series));
    }
    frames
}

fn put_chunk(series: &mut Vec<u8>, chunk: &EncodedChunk) {
    let mut message = Vec::with_capacity(chunk.data.len() + 24);
    put_number(&mut message, 1, chunk.first.millis().cast_unsigned());
    put_number(&mut message, 2, chunk.last.millis().cast_unsigned());
    let encoding = match chunk.encoding {
        Encoding::Xor => 1,
        Encoding::Histogram => 2,
        Encoding::FloatHistogram => 3,
        Encoding::Other(_) => 0,
    };
    put_number(&mut message, 3, encoding);
    put_bytes(&mut message, 4, &chunk.data);
    put_bytes(series, 2, &message);
}

fn frame(query: usize, series: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(series.len() + 16);
    put_bytes(&mut message, 1, series);
    put_number(&mut message, 2, query as u64);
    let mut frame = Vec::with_capacity(message.len() + 16);
    put_varint(&mut frame, message.len() as u64);
    frame.extend_from_slice(&crc32c::crc32c(&message).to_be_bytes());
    frame.extend_from_slice(&message);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        protobuf::Reader,
        remote_write::{Entry, decompress, entries},
    };

    fn labels() -> Labels {
        Labels::from_pairs([("__name__", "up"), ("job", "api")]).unwrap()
    }

    fn samples(count: i64) -> Vec<Sample> {
        (0..count).map(|n| Sample { at: Timestamp(n * 1000), value: (n as f64).sqrt() }).collect()
    }

    #[test]
    fn samples_are_a_message_of_results() {
        let mut answer = Samples::default();
        answer.series(&labels(), &samples(2), &[]);
        answer.end_query();
        answer.end_query();
        let mut scratch = Vec::new();
        let block = answer.compressed().unwrap();
        let message = decompress(&block, &mut scratch, 1 << 20).unwrap();
        let mut reader = Reader::new(message);
        let mut results = Vec::new();
        while !reader.is_done() {
            assert_eq!(reader.key().unwrap(), 10);
            results.push(reader.bytes().unwrap());
        }
        assert_eq!((results.len(), results[1].len()), (2, 0));
        let Some(Ok(Entry::Series(series))) = entries(results[0]).next() else { panic!("a series") };
        assert_eq!(series.labels, labels().as_bytes());
        assert_eq!(series.samples().map(Result::unwrap).collect::<Vec<_>>(), samples(2));
    }

    #[test]
    fn frames_are_checked_and_bounded() {
        let frames = frames(3, &labels(), &samples(200_000), &[]);
        assert!(frames.len() > 1);
        let mut chunks = 0;
        for frame in &frames {
            let mut reader = Reader::new(frame);
            let len = usize::try_from(reader.varint().unwrap()).unwrap();
            let (sum, message) = reader.rest().split_at(4);
            assert_eq!((message.len(), sum), (len, &crc32c::crc32c(message).to_be_bytes()[..]));
            assert!(len < FRAME_BYTES + (64 << 10));
            let mut message = Reader::new(message);
            assert_eq!(message.key().unwrap(), 10);
            let mut series = message.message().unwrap();
            assert_eq!((message.key().unwrap(), message.varint().unwrap()), (16, 3));
            while !series.is_done() {
                chunks += usize::from(series.key().unwrap() == 18);
                series.bytes().unwrap();
            }
        }
        assert_eq!(chunks, 200_000usize.div_ceil(120));
        assert!(super::frames(0, &labels(), &[], &[]).is_empty());
    }
}
