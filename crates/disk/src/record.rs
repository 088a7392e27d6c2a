//! Log records: a frame around a payload that tells whether the bytes are what was written.
//!
//! ```text
//! length u32 | crc32c u32 | kind u8 | seq u64 | payload (length bytes)       all little-endian
//! ```
//!
//! The checksum covers everything but itself, so a flipped bit anywhere in a record is found. Sequence numbers grow
//! strictly within a log. Bytes on disk: `docs/format.md`, "Records".

/// Bytes of a frame before its payload.
pub const HEADER_LEN: usize = 17;

/// The longest payload. A longer length is no record, so a decoder never trusts more than this.
pub const PAYLOAD_MAX: usize = 1 << 28;

/// One record of a log, as it lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What the payload is; the log's owner gives the meaning.
    pub kind: u8,
    /// Its place in the log.
    pub seq: u64,
    /// The content.
    pub payload: &'a [u8],
}

impl Record<'_> {
    /// The bytes it takes in the log.
    pub fn framed_len(&self) -> usize {
        HEADER_LEN + self.payload.len()
    }
}

/// Appends a record made of `parts`, one after the other, to `log`.
///
/// # Panics
/// If the payload is longer than [`PAYLOAD_MAX`].
pub fn write(log: &mut Vec<u8>, kind: u8, seq: u64, parts: &[&[u8]]) {
    let len = parts.iter().map(|part| part.len()).sum::<usize>();
    assert!(len <= PAYLOAD_MAX, "a record of {len} bytes is longer than its limit");
    let len = u32::try_from(len).expect("checked just above").to_le_bytes();
    let start = log.len();
    log.extend_from_slice(&len);
    log.extend_from_slice(&[0; 4]);
    log.push(kind);
    log.extend_from_slice(&seq.to_le_bytes());
    for part in parts {
        log.extend_from_slice(part);
    }
    let crc = checksum(&len, &log[start + 8..]);
    log[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

/// The record at the start of `bytes`, if it is whole and valid.
pub fn read(bytes: &[u8]) -> Option<Record<'_>> {
    let header: &[u8; HEADER_LEN] = bytes.first_chunk()?;
    let len_bytes: [u8; 4] = header[..4].try_into().ok()?;
    let len = usize::try_from(u32::from_le_bytes(len_bytes)).ok()?;
    if len > PAYLOAD_MAX || len > bytes.len() - HEADER_LEN {
        return None;
    }
    let crc = u32::from_le_bytes(header[4..8].try_into().ok()?);
    let end = HEADER_LEN + len;
    if checksum(&len_bytes, &bytes[8..end]) != crc {
        return None;
    }
    let seq = u64::from_le_bytes(header[9..17].try_into().ok()?);
    Some(Record { kind: header[8], seq, payload: &bytes[HEADER_LEN..end] })
}

/// The offset of the next valid record at or after `from` whose sequence number is above `after`, if there is one:
/// how a reader finds its way past damage. Random bytes pass the checksum once in four thousand million tries, and
/// the sequence number must be near.
pub fn find(bytes: &[u8], from: usize, after: u64) -> Option<usize> {
    let near = after.saturating_add(bytes.len() as u64);
    (from..bytes.len().saturating_sub(HEADER_LEN - 1)).find(|&at| {
        // The cheap test first: most offsets fail on the sequence number, and never compute a checksum.
        let seq = bytes[at + 9..].first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
        seq > after && seq <= near && read(&bytes[at..]).is_some()
    })
}

fn checksum(len: &[u8; 4], rest: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(len), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(payloads: &[&[u8]]) -> Vec<u8> {
        let mut log = Vec::new();
        for (i, payload) in payloads.iter().enumerate() {
            write(&mut log, 7, i as u64 + 1, &[payload]);
        }
        log
    }

    #[test]
    fn reads_what_was_written() {
        let bytes = log(&[b"one", b"", b"three"]);
        let first = read(&bytes).unwrap();
        assert_eq!(first, Record { kind: 7, seq: 1, payload: b"one" });
        let second = read(&bytes[first.framed_len()..]).unwrap();
        assert_eq!(second, Record { kind: 7, seq: 2, payload: b"" });
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let bytes = log(&[b"payload"]);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&flipped), None, "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert_eq!(read(&bytes[..len]), None, "cut to {len}");
        }
    }

    #[test]
    fn finds_the_next_record_past_damage() {
        let mut bytes = log(&[b"one", b"two", b"three"]);
        let second = HEADER_LEN + 3;
        bytes[second + HEADER_LEN] ^= 1;
        assert_eq!(read(&bytes[second..]), None);
        assert_eq!(find(&bytes, second, 1), Some(second + HEADER_LEN + 3));
        assert_eq!(find(&bytes, second, 3), None);
    }
}
