//! The code of windows of native histograms: what tells them apart as varints, then three streams of histograms.
//!
//! ```text
//! count of windows; for each: signed change of start, first and last time less start, count of samples × 2 + ended
//! length of firsts, firsts, length of lasts, lasts, totals          streams as in `histogram`, timed by start
//! ```

use barograph_model::{Histogram, HistogramRollup};

use crate::{HistogramDecoder, HistogramEncoder, Malformed, varint};

/// Appends windows of one series, in order of time, to `bytes`.
pub fn encode_histogram_rollups(rollups: &[HistogramRollup], bytes: &mut Vec<u8>) {
    varint::put(bytes, rollups.len() as u64);
    let mut before = 0;
    for rollup in rollups {
        varint::put_signed(bytes, rollup.start.wrapping_sub(before));
        varint::put_signed(bytes, rollup.first_at.wrapping_sub(rollup.start));
        varint::put_signed(bytes, rollup.last_at.wrapping_sub(rollup.start));
        varint::put(bytes, rollup.count << 1 | u64::from(rollup.ended));
        before = rollup.start;
    }
    let parts: [fn(&HistogramRollup) -> &Histogram; 3] = [|r| &r.first, |r| &r.last, |r| &r.total];
    for part in parts {
        let (mut encoder, mut stream) = (HistogramEncoder::default(), Vec::new());
        rollups.iter().for_each(|rollup| encoder.push(rollup.start, part(rollup), &mut stream));
        varint::put_slice(bytes, &stream);
    }
}

/// Reads what [`encode_histogram_rollups`] wrote.
///
/// # Errors
/// [`Malformed`] for any other bytes.
pub fn decode_histogram_rollups(bytes: &[u8]) -> Result<Vec<HistogramRollup>, Malformed> {
    decode(bytes).ok_or(Malformed { what: "histogram roll-ups" })
}

fn decode(bytes: &[u8]) -> Option<Vec<HistogramRollup>> {
    let rest = &mut &*bytes;
    let count = varint::take_usize(rest).filter(|count| *count <= rest.len())?;
    let mut heads = Vec::with_capacity(count);
    let mut start = 0i64;
    for _ in 0..count {
        start = start.checked_add(varint::take_signed(rest)?)?;
        let first_at = start.checked_add(varint::take_signed(rest)?)?;
        let last_at = start.checked_add(varint::take_signed(rest)?)?;
        heads.push((start, first_at, last_at, varint::take(rest)?));
    }
    let mut streams = Vec::with_capacity(3);
    for _ in 0..3 {
        streams.push(HistogramDecoder::new(varint::take_slice(rest)?));
    }
    let [firsts, lasts, totals] = &mut streams[..] else { return None };
    let rollups = heads
        .into_iter()
        .map(|(start, first_at, last_at, samples)| {
            let next = |stream: &mut HistogramDecoder<'_>| stream.next().map(|(_, histogram)| histogram);
            let (first, last, total) = (next(firsts)?, next(lasts)?, next(totals)?);
            let (count, ended) = (samples >> 1, samples & 1 == 1);
            Some(HistogramRollup { start, first_at, last_at, count, ended, first, last, total })
        })
        .collect::<Option<Vec<_>>>()?;
    (rest.is_empty() && streams.iter().all(HistogramDecoder::is_done)).then_some(rollups)
}

#[cfg(test)]
mod tests {
    use barograph_model::HistogramParts;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn windows_come_back() {
        let of = |count: u32| {
            let positive = vec![(3, f64::from(count)), (5, 1.0)];
            let count = f64::from(count) + 1.0;
            Histogram::new(HistogramParts { positive, count, sum: 4.5, ..Default::default() }).unwrap()
        };
        let mut rollups: Vec<_> = (0..5u32)
            .map(|number| {
                HistogramRollup::of(i64::from(number) * 60_000, i64::from(number) * 60_000 + 7, &of(number))
            })
            .collect();
        rollups[1].push(60_100, &of(9));
        rollups[4].ended = true;
        let mut bytes = Vec::new();
        encode_histogram_rollups(&rollups, &mut bytes);
        assert_eq!(decode_histogram_rollups(&bytes), Ok(rollups));
        for len in 0..bytes.len() {
            assert!(decode_histogram_rollups(&bytes[..len]).is_err(), "cut to {len}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_histogram_rollups(&bytes);
        }
    }
}
