//! Native histograms, put into requests. The fields are those of `histogram`.

use barograph_model::{Histogram, ResetHint, Timestamp};

use crate::{
    buckets::{put_side, whole},
    protobuf::{put_double, put_doubles, put_number, zigzag},
};

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
