//! Native histograms, put into requests. The fields are those of `histogram`.

use barograph_model::{Histogram, ResetHint, Timestamp};

use crate::protobuf::{put_bytes, put_double, put_doubles, put_number, put_varint, zigzag};

/// Appends the message of a histogram.
pub(super) fn put(message: &mut Vec<u8>, at: Timestamp, histogram: &Histogram) {
    for (field, count) in [(1, histogram.count()), (6, histogram.zero_count())] {
        match histogram.float {
            // The fields of floats follow those of integers.
            true => put_double(message, field + 1, count),
            false => put_number(message, field, whole(count).cast_unsigned()),
        }
    }
    put_double(message, 3, histogram.sum());
    put_number(message, 4, zigzag(i64::from(histogram.schema())));
    put_double(message, 5, histogram.zero_threshold());
    put_side(message, 8, histogram.negative(), histogram.float);
    put_side(message, 11, histogram.positive(), histogram.float);
    put_number(
        message,
        14,
        match histogram.hint {
            ResetHint::Unknown => 0,
            ResetHint::Yes => 1,
            ResetHint::No => 2,
            ResetHint::Gauge => 3,
        },
    );
    put_number(message, 15, at.millis().cast_unsigned());
    put_doubles(message, 16, histogram.bounds().iter().copied());
}

/// The buckets of a sign: spans in the field `first`, then changes of integers or counts of floats.
pub(crate) fn put_side(message: &mut Vec<u8>, first: u32, buckets: &[(i32, f64)], float: bool) {
    // Where the span before ended.
    let mut next = 0;
    for run in buckets.chunk_by(|a, b| a.0.checked_add(1) == Some(b.0)) {
        let Some(&(index, _)) = run.first() else { continue };
        let mut span = Vec::new();
        put_number(&mut span, 1, zigzag(i64::from(index) - next));
        put_number(&mut span, 2, run.len() as u64);
        put_bytes(message, first, &span);
        next = i64::from(index) + i64::try_from(run.len()).unwrap_or(i64::MAX);
    }
    let counts = buckets.iter().map(|bucket| bucket.1);
    if float {
        put_doubles(message, first + 2, counts);
    } else if !buckets.is_empty() {
        let (mut packed, mut last) = (Vec::new(), 0);
        for count in counts.map(whole) {
            put_varint(&mut packed, zigzag(count - last));
            last = count;
        }
        put_bytes(message, first + 1, &packed);
    }
}

/// A count that is whole, as an integer.
fn whole(count: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a histogram of integers has whole counts")]
    let count = count as i64;
    count
}
