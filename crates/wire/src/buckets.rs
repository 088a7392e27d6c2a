//! Buckets of native histograms as protobuf has them, in remote write and in pages alike: spans of neighbours, then
//! what is in each.

use crate::protobuf::{put_bytes, put_doubles, put_number, put_varint, zigzag};

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
pub(crate) fn whole(count: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a histogram of integers has whole counts")]
    let count = count as i64;
    count
}
