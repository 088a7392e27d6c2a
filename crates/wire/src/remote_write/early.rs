//! Large requests, judged while they are unpacked: a prefix decides.
//!
//! A request of at most [`LARGE`] bytes is unpacked whole. A larger one is walked as it comes out of its block, from field to
//! field. Where a series of 1.0 has more than [`LABEL_BYTES_MAX`] of labels the request ends before it: what came earlier is
//! good, and neither that series nor what follows is unpacked. Where a table of symbols of 2.0 has more than
//! [`SYMBOLS_MAX`](super::v2::SYMBOLS_MAX), nothing more is unpacked, either: such a request is refused as a whole.

use super::{
    snappy::{SnappyError, declared, decompress},
    unpacker::Unpacker,
    v2::{SYMBOL, SYMBOLS_MAX, TOO_MANY_SYMBOLS},
    walk::REQUEST_SERIES,
};
use crate::protobuf::{LEN, Malformed, Reader, key};

/// Requests of so many bytes are unpacked whole.
pub const LARGE: usize = 4 << 20;

/// Bytes that the labels of a series of a larger request may take.
pub const LABEL_BYTES_MAX: usize = 1 << 20;

/// From which size on what is looked at early. The defaults are [`LARGE`], [`LABEL_BYTES_MAX`] and [`SYMBOLS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Requests of so many bytes are unpacked whole.
    pub large: usize,
    /// Bytes that the labels of a series of a larger request may take.
    pub label_bytes: usize,
    /// Symbols that a larger request may have.
    pub symbols: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { large: LARGE, label_bytes: LABEL_BYTES_MAX, symbols: SYMBOLS_MAX }
    }
}

/// Unpacked at a time.
const STEP: usize = 64 << 10;
/// A key and a length take no more.
const HEAD: usize = 20;

/// A request that may have been given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unpacked<'s> {
    /// What is to be read of it.
    pub bytes: &'s [u8],
    /// Why the rest was not unpacked, if it was not.
    pub cut: Option<Cut>,
}

/// A series whose labels are too long, where the request was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Its number among the series of the request, from 1.
    pub series: usize,
    /// Bytes that it has.
    pub bytes: usize,
}

/// Why a request of 2.0 cannot be unpacked.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unreadable {
    /// The block.
    Block(SnappyError),
    /// The message in it.
    Message(Malformed),
}

impl From<SnappyError> for Unreadable {
    fn from(error: SnappyError) -> Self {
        Self::Block(error)
    }
}

/// Unpacks a request of 1.0 into `scratch`.
///
/// # Errors
/// See [`SnappyError`].
pub fn unpack<'s>(
    body: &[u8],
    scratch: &'s mut Vec<u8>,
    limit: usize,
    bounds: Bounds,
) -> Result<Unpacked<'s>, SnappyError> {
    if declared(body, limit)? <= bounds.large {
        return Ok(Unpacked { bytes: decompress(body, scratch, limit)?, cut: None });
    }
    let mut unpacker = Unpacker::begin(body, scratch, limit)?;
    let (mut at, mut series) = (0, 0);
    while let Some(field) = next_field(&mut unpacker, at)? {
        at = field.end;
        if field.key != REQUEST_SERIES {
            continue;
        }
        series += 1;
        let bytes = field.end - field.content;
        if bytes > bounds.label_bytes && labels_are_long(&mut unpacker, &field, bounds.label_bytes)? {
            return Ok(Unpacked {
                bytes: unpacker.into_bytes(field.start),
                cut: Some(Cut { series, bytes }),
            });
        }
    }
    unpacker.reach(usize::MAX)?;
    Ok(Unpacked { bytes: unpacker.into_bytes(usize::MAX), cut: None })
}

/// Unpacks a request of 2.0 into `scratch`.
///
/// # Errors
/// It is no block, or has too many symbols.
pub fn unpack_v2<'s>(
    body: &[u8],
    scratch: &'s mut Vec<u8>,
    limit: usize,
    bounds: Bounds,
) -> Result<&'s [u8], Unreadable> {
    if declared(body, limit)? <= bounds.large {
        return Ok(decompress(body, scratch, limit)?);
    }
    let mut unpacker = Unpacker::begin(body, scratch, limit)?;
    let (mut at, mut symbols) = (0, 0);
    while let Some(field) = next_field(&mut unpacker, at)? {
        at = field.end;
        symbols += usize::from(field.key == SYMBOL);
        if symbols > bounds.symbols {
            return Err(Unreadable::Message(Malformed { offset: field.start, what: TOO_MANY_SYMBOLS }));
        }
    }
    unpacker.reach(usize::MAX)?;
    Ok(unpacker.into_bytes(usize::MAX))
}

/// A field of the request, of which the head is unpacked.
struct Field {
    key: u32,
    start: usize,
    content: usize,
    end: usize,
}

/// The field that begins at `start`; none where there is none that could be passed over, which is for the reader to tell.
fn next_field(unpacker: &mut Unpacker<'_, '_>, start: usize) -> Result<Option<Field>, SnappyError> {
    if start >= unpacker.declared() {
        return Ok(None);
    }
    if unpacker.bytes().len() < start + HEAD {
        unpacker.reach(start + STEP)?;
    }
    let mut head = Reader::new(&unpacker.bytes()[start..]);
    let Ok(found) = head.key() else { return Ok(None) };
    if found != key(found >> 3, LEN) {
        return Ok(None);
    }
    let len = head.varint().ok().and_then(|len| usize::try_from(len).ok());
    let content = start + head.offset();
    let end = len.and_then(|len| content.checked_add(len)).filter(|end| *end <= unpacker.declared());
    Ok(end.map(|end| Field { key: found, start, content, end }))
}

/// Whether the labels with which a series begins take more than they may. Not more than that is unpacked to see it.
fn labels_are_long(
    unpacker: &mut Unpacker<'_, '_>,
    series: &Field,
    most: usize,
) -> Result<bool, SnappyError> {
    let enough = series.content + most;
    unpacker.reach(enough + 1)?;
    let bytes = unpacker.bytes();
    let mut labels = Reader::new(&bytes[series.content..series.end.min(bytes.len())]);
    let label = REQUEST_SERIES.to_le_bytes()[0];
    loop {
        labels.skip_short_run(label);
        // A label that is not unpacked to its end is longer than what may be left.
        if !labels.is_at(label) || labels.field().is_err() {
            break;
        }
    }
    Ok(labels.is_at(label) && series.end > enough || labels.offset() > most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        protobuf::{put_bytes, put_varint},
        remote_write::{entries, v2},
    };

    const LIMIT: usize = 64 << 20;

    fn packed(message: &[u8]) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(message).unwrap()
    }

    fn label(name: &str, value: &str) -> Vec<u8> {
        let mut pair = Vec::new();
        put_bytes(&mut pair, 1, name.as_bytes());
        put_bytes(&mut pair, 2, value.as_bytes());
        pair
    }

    fn series(labels: usize, value: usize, samples: usize) -> Vec<u8> {
        let mut series = Vec::new();
        let value = "x".repeat(value);
        (0..labels).for_each(|i| put_bytes(&mut series, 1, &label(&format!("l{i:06}"), &value)));
        for at in 0..samples {
            let mut sample = vec![0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0x10];
            put_varint(&mut sample, at as u64 + 1_000_000);
            put_bytes(&mut series, 2, &sample);
        }
        let mut field = Vec::new();
        put_bytes(&mut field, 1, &series);
        field
    }

    /// Checks that only series before the one of this number are unpacked.
    fn check(parts: &[Vec<u8>], cut: Option<usize>) {
        let message = parts.concat();
        let body = packed(&message);
        let mut scratch = Vec::new();
        let unpacked = unpack(&body, &mut scratch, LIMIT, Bounds::default()).unwrap();
        let expected = cut.map(|number| Cut {
            series: number,
            bytes: { parts[number - 1].len() - 1 - varint_len(parts[number - 1].len()) },
        });
        assert_eq!(unpacked.cut, expected);
        let good: usize = parts[..cut.map_or(parts.len(), |number| number - 1)].iter().map(Vec::len).sum();
        assert!(unpacked.bytes == &message[..good]);
        assert!(entries(unpacked.bytes).all(|entry| entry.is_ok()));
        if cut.is_some() {
            assert!(scratch.len() < good + (3 << 20), "{} bytes were unpacked", scratch.len());
        }
    }

    fn varint_len(len: usize) -> usize {
        crate::protobuf::varint_len(len as u64)
    }

    #[test]
    fn a_large_request_ends_before_a_series_with_too_many_labels() {
        let (good, late) = (series(10, 10, 1), series(3, 3, 3));
        check(&[good.clone(), series(1_000_000, 1, 1), late.clone()], Some(2));
        check(&[series(3, 6 << 20, 1), late.clone()], Some(1));
        check(&[good.clone(), series(3, 1, 400_000), series(200_000, 20, 1), late.clone()], Some(3));
        // Samples may be many, and a request that is not large has all of it read.
        check(&[good.clone(), series(30, 100, 500_000), late.clone()], None);
        check(&[good, series(100_000, 1, 1), late], None);
    }

    #[test]
    fn what_is_no_request_is_left_to_the_reader() {
        for tail in [&[0x08, 1][..], &[0x0a, 0x80], &[0x0a, 0xff, 0xff, 0x7f], &[0]] {
            let message = [&series(3, 1, 400_000)[..], tail].concat();
            let mut scratch = Vec::new();
            let body = packed(&message);
            let unpacked = unpack(&body, &mut scratch, LIMIT, Bounds::default()).unwrap();
            assert!(unpacked.cut.is_none() && unpacked.bytes == message, "{tail:?}");
        }
    }

    #[test]
    fn a_large_table_of_symbols_is_refused_before_its_end() {
        let symbols = |count: usize| {
            let mut message = vec![0x22, 0];
            (1..count).for_each(|i| put_bytes(&mut message, 4, format!("{i:04}").as_bytes()));
            message
        };
        let most = symbols(SYMBOLS_MAX);
        let mut scratch = Vec::new();
        assert!(unpack_v2(&packed(&most), &mut scratch, LIMIT, Bounds::default()).unwrap() == most);
        assert!(v2::Request::read(&most).is_ok());
        let many = symbols(4 * SYMBOLS_MAX);
        let mut scratch = Vec::new();
        let refused = unpack_v2(&packed(&many), &mut scratch, LIMIT, Bounds::default()).unwrap_err();
        let expected = v2::Request::read(&many).unwrap_err();
        assert!(matches!(refused, Unreadable::Message(malformed) if malformed == expected), "{refused:?}");
        assert!(scratch.len() < many.len() / 3);
    }
}
