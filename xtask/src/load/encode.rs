//! The bytes of a remote-write 1.0 request: protobuf in a snappy block.
//!
//! An encoder of its own beside the product's, on purpose: what it writes follows the protobuf definition alone.

/// Headers of a remote-write 1.0 request.
pub(crate) const REMOTE_WRITE_HEADERS: [(&str, &str); 3] = [
    ("Content-Encoding", "snappy"),
    ("Content-Type", "application/x-protobuf"),
    ("X-Prometheus-Remote-Write-Version", "0.1.0"),
];
/// Appends a `TimeSeries` to a `WriteRequest`: the labels as their protobuf bytes, and samples.
pub(crate) fn push_series(message: &mut Vec<u8>, labels: &[u8], samples: &[(i64, f64)]) {
    let mut series = Vec::with_capacity(labels.len() + samples.len() * 18);
    series.extend_from_slice(labels);
    for (at, value) in samples {
        let mut sample = vec![0x09];
        sample.extend_from_slice(&value.to_le_bytes());
        sample.push(0x10);
        push_varint(&mut sample, at.cast_unsigned());
        push_field(&mut series, 0x12, &sample);
    }
    push_field(message, 0x0a, &series);
}

/// The snappy block of a message, as remote write sends it.
pub(crate) fn compressed(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).expect("a request is far below the 4 GiB snappy takes")
}

pub(crate) fn push_field(message: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    message.push(tag);
    push_varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

fn push_varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push(u8::try_from(number & 0x7f).expect("seven bits") | 0x80);
        number >>= 7;
    }
    message.push(u8::try_from(number).expect("what is left is below 0x80"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_protobuf_shape() {
        let mut message = Vec::new();
        push_series(&mut message, b"L", &[(1, 0.0)]);
        assert_eq!(message, [0x0a, 14, b'L', 0x12, 11, 0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 1]);
    }
}
