//! Segment files and the chunks in them.
//!
//! ```text
//! segment   magic 85 BD 40 DD   version 1   000000   chunk …
//! chunk     length (uvarint)   encoding (1 byte)   data   CRC-32C of encoding and data
//! ```

use barograph_model::{Histogram, Sample, Timestamp};

use super::{Malformed, cursor::Cursor, histogram, xor};

/// The bytes before the first chunk of a segment.
pub const SEGMENT_HEADER_LEN: usize = 8;
const MAGIC: u32 = 0x85bd_40dd;
/// Longest length field and encoding, before the data.
const LEAD_BYTES_MAX: usize = 5 + 1;
/// A chunk has at most 120 samples or so; this is far beyond what any encoding makes of them.
const DATA_BYTES_MAX: usize = 16 << 20;

/// How the samples of a chunk are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encoding {
    /// Float samples.
    Xor,
    /// Native histograms whose counts are integers.
    Histogram,
    /// Native histograms whose counts are floats.
    FloatHistogram,
    /// Something that Prometheus did not write when this was.
    Other(u8),
}

impl From<u8> for Encoding {
    fn from(byte: u8) -> Self {
        match byte {
            1 => Self::Xor,
            2 => Self::Histogram,
            3 => Self::FloatHistogram,
            other => Self::Other(other),
        }
    }
}

/// A run of samples of one series, its checksum checked.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// How the samples are written.
    pub encoding: Encoding,
    file: &'a str,
    /// The offset of the data in the file.
    offset: u64,
    data: &'a [u8],
}

/// What stands at a place in a segment.
#[derive(Clone, Copy, Debug)]
pub enum Frame<'a> {
    /// A chunk.
    Whole(Chunk<'a>),
    /// The beginning of a chunk that takes so many bytes.
    Needs(usize),
}

/// Checks the beginning of a segment.
///
/// # Errors
/// It is none, or of another version.
pub fn check_segment(file: &str, header: &[u8]) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(file, 0, header);
    if cursor.be32()? != MAGIC {
        return Err(Malformed::new(file, 0, "this is no file of chunks"));
    }
    match cursor.byte()? {
        1 => Ok(()),
        version => Err(Malformed::new(file, 4, format!("chunks of version {version} are not known"))),
    }
}

/// The chunk at the beginning of `bytes`, which lie at `offset` of `file`; `at_end` says that the file ends with them.
///
/// # Errors
/// There is no whole chunk, or its checksum does not match.
pub fn frame<'a>(file: &'a str, offset: u64, bytes: &'a [u8], at_end: bool) -> Result<Frame<'a>, Malformed> {
    if bytes.len() < LEAD_BYTES_MAX && !at_end {
        return Ok(Frame::Needs(LEAD_BYTES_MAX));
    }
    let mut cursor = Cursor::new(file, offset, bytes);
    let len = cursor.uvarint()?;
    let len = usize::try_from(len).ok().filter(|&len| len <= DATA_BYTES_MAX);
    let len = len.ok_or_else(|| Malformed::new(file, offset, "the length of a chunk cannot be right"))?;
    let whole = bytes.len() - cursor.rest().len() + 1 + len + 4;
    if bytes.len() < whole && !at_end {
        return Ok(Frame::Needs(whole));
    }
    let mut content = cursor;
    content.byte()?;
    let chunk = Chunk {
        encoding: cursor.rest().first().copied().unwrap_or_default().into(),
        file,
        offset: content.offset(),
        data: content.bytes(len)?,
    };
    let checked = cursor.bytes(1 + len)?;
    cursor.checksum(checked)?;
    Ok(Frame::Whole(chunk))
}

impl Chunk<'_> {
    /// How many samples the chunk says it has, whatever its encoding.
    pub fn sample_count(&self) -> u16 {
        self.data.first_chunk().map_or(0, |count| u16::from_be_bytes(*count))
    }

    /// Appends the float samples of a chunk of [`Encoding::Xor`].
    ///
    /// # Errors
    /// The chunk breaks off, or is of another encoding.
    pub fn floats(&self, samples: &mut Vec<Sample>) -> Result<(), Malformed> {
        if self.encoding != Encoding::Xor {
            return Err(Malformed::new(self.file, self.offset, "the chunk does not hold floats"));
        }
        xor::decode(self.data, samples).map_err(|(at, expected)| self.expected(at, expected))
    }

    /// The histograms of a chunk of [`Encoding::Histogram`] or [`Encoding::FloatHistogram`], in the order of time.
    ///
    /// # Errors
    /// The chunk breaks off, holds what is no histogram, or is of another encoding.
    pub fn histograms(&self) -> Result<Vec<(Timestamp, Histogram)>, Malformed> {
        let float = match self.encoding {
            Encoding::Histogram => false,
            Encoding::FloatHistogram => true,
            _ => return Err(Malformed::new(self.file, self.offset, "the chunk does not hold histograms")),
        };
        histogram::decode(self.data, float).map_err(|(at, expected)| self.expected(at, &expected))
    }

    fn expected(&self, at: usize, what: &str) -> Malformed {
        Malformed::new(self.file, self.offset + at as u64, format!("{what} is expected"))
    }
}

#[cfg(test)]
mod tests {
    use barograph_model::Timestamp;

    use super::*;

    /// A chunk as it lies in a segment.
    fn chunk(data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![u8::try_from(data.len()).unwrap(), 1];
        bytes.extend_from_slice(data);
        let sum = crc32c::crc32c(&bytes[1..]);
        bytes.extend_from_slice(&sum.to_be_bytes());
        bytes
    }

    fn one_sample() -> Vec<u8> {
        let mut data = vec![0, 1, 0xd0, 0x0f];
        data.extend_from_slice(&1.5f64.to_be_bytes());
        chunk(&data)
    }

    #[test]
    fn reads_a_chunk_of_one_sample() {
        let bytes = one_sample();
        let Ok(Frame::Whole(chunk)) = frame("000001", 8, &bytes, false) else { panic!("a chunk") };
        let mut samples = Vec::new();
        chunk.floats(&mut samples).unwrap();
        assert_eq!(samples, [Sample { at: Timestamp(1000), value: 1.5 }]);
        assert_eq!(chunk.sample_count(), 1);
    }

    #[test]
    fn asks_for_what_it_lacks() {
        let bytes = one_sample();
        assert!(matches!(frame("f", 8, &bytes[..3], false), Ok(Frame::Needs(6))));
        assert!(matches!(frame("f", 8, &bytes[..7], false), Ok(Frame::Needs(18))));
        let error = frame("f", 8, &bytes[..7], true).unwrap_err();
        assert_eq!(error.to_string(), "f at byte 10: 12 bytes are expected, 5 are left");
    }

    #[test]
    fn a_flipped_bit_anywhere_is_found() {
        let bytes = one_sample();
        for at in 0..bytes.len() * 8 {
            let mut broken = bytes.clone();
            broken[at / 8] ^= 1 << (at % 8);
            assert!(frame("f", 8, &broken, true).is_err(), "bit {at}");
        }
    }

    #[test]
    fn a_chunk_that_breaks_off_says_where() {
        let bytes = chunk(&[0, 2, 0xd0, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        let Ok(Frame::Whole(chunk)) = frame("f", 8, &bytes, true) else { panic!("a chunk") };
        let error = chunk.floats(&mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "f at byte 23: a sample is expected");
    }

    #[test]
    fn a_segment_is_told_from_another_file() {
        assert_eq!(check_segment("f", &[0x85, 0xbd, 0x40, 0xdd, 1, 0, 0, 0]), Ok(()));
        assert!(check_segment("f", &[0x85, 0xbd, 0x40, 0xdd, 2, 0, 0, 0]).is_err());
        assert!(check_segment("f", b"# HELP a").is_err());
        assert!(check_segment("f", &[]).is_err());
    }
}
