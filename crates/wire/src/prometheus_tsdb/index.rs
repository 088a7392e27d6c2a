//! The index: every label set of a block, and where its chunks are.
//!
//! ```text
//! magic BA AA D7 00   version   symbols   series…   (parts that serve look-ups)   table of contents
//!
//! contents  offsets of symbols, series, label indices, their table, postings, their table (8 bytes each)  CRC-32C
//! symbols   length (4 bytes)  count (4 bytes)  [length (uvarint)  text] …  CRC-32C
//! series    length (uvarint)  content  CRC-32C                     in version 2 each begins at a multiple of 16
//!   content   labels (uvarint)  [name  value (uvarint)] …  chunks (uvarint)  [chunk] …
//!   chunk     first time, last − first, place; from the second on first − last before, last − first, place − before
//! ```
//!
//! A label refers to a symbol by its number; in version 1 by its offset in the file. The place of a chunk is the number
//! of its segment, from 0, in the upper four bytes and the offset in that file in the lower.

use barograph_model::Labels;

use super::{Malformed, cursor::Cursor};

const MAGIC: u32 = 0xbaaa_d700;
const HEADER_LEN: u64 = 5;
const CONTENTS_LEN: usize = 6 * 8 + 4;

/// An index, its symbols found and checked.
#[derive(Clone, Debug)]
pub struct Index<'a> {
    file: &'a str,
    bytes: &'a [u8],
    version: u8,
    /// Where each symbol begins, with its length.
    symbols: Vec<usize>,
    series_start: usize,
    series_end: usize,
}

/// A series of a block.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexedSeries {
    /// What tombstones call it.
    pub id: u64,
    /// Its labels.
    pub labels: Labels,
    /// Its chunks in the order of their first samples.
    pub chunks: Vec<ChunkPlace>,
}

/// Where a chunk is and what time it spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkPlace {
    /// Time of its first sample in milliseconds.
    pub first: i64,
    /// Time of its last sample in milliseconds.
    pub last: i64,
    /// The number of its segment, from 0: segment 0 is the file `000001`.
    pub segment: u32,
    /// Its offset in that file.
    pub offset: u32,
}

impl<'a> Index<'a> {
    /// Opens an index that is whole in memory.
    ///
    /// # Errors
    /// It is none, of an unknown version, or its table of contents or its symbols are not what Prometheus writes.
    pub fn parse(file: &'a str, bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut header = Cursor::new(file, 0, bytes);
        if header.be32()? != MAGIC {
            return Err(Malformed::new(file, 0, "this is no index"));
        }
        let version = header.byte()?;
        if !matches!(version, 1 | 2) {
            return Err(Malformed::new(file, 4, format!("an index of version {version} is not known")));
        }
        let contents_at = bytes.len().saturating_sub(CONTENTS_LEN);
        let mut contents = Cursor::new(file, contents_at as u64, &bytes[contents_at..]);
        let mut parts = [0; 6];
        let mut fields = contents;
        for part in &mut parts {
            let field = fields;
            *part = fields.be64()?;
            if *part != 0 && !(HEADER_LEN..=contents_at as u64).contains(part) {
                return Err(field.malformed(format!("a part of the index cannot be at byte {part}")));
            }
        }
        let listed = contents.bytes(CONTENTS_LEN - 4)?;
        contents.checksum(listed)?;
        let place = |part: u64| usize::try_from(part).unwrap_or(contents_at);
        let [symbols_at, series_at, ..] = parts.map(place);
        // Zero stands for a part that there is not.
        let after = parts.map(place).into_iter().filter(|&part| part > series_at).min();
        let (series_start, series_end) = match series_at {
            0 => (0, 0),
            start => (start, after.unwrap_or(contents_at)),
        };
        let symbols = match symbols_at {
            0 => Vec::new(),
            start => read_symbols(Cursor::new(file, start as u64, &bytes[start..contents_at]), version)?,
        };
        Ok(Self { file, bytes, version, symbols, series_start, series_end })
    }

    /// The series, in the order of the file, which is that of their labels. After one that is malformed come those
    /// behind it, if it can be told where they begin.
    pub fn series(&self) -> SeriesIter<'_> {
        SeriesIter { index: self, at: self.series_start }
    }

    fn cursor(&self, from: usize, to: usize) -> Cursor<'a> {
        Cursor::new(self.file, from as u64, self.bytes.get(from..to).unwrap_or_default())
    }

    /// The text that a label refers to.
    fn symbol(&self, field: &mut Cursor<'a>) -> Result<&'a str, Malformed> {
        let start = *field;
        let reference = usize::try_from(field.uvarint()?).unwrap_or(usize::MAX);
        let at = match self.version {
            1 => self.symbols.binary_search(&reference).ok().map(|_| reference),
            _ => self.symbols.get(reference).copied(),
        };
        let at = at.ok_or_else(|| start.malformed(format!("there is no symbol {reference}")))?;
        let mut symbol = self.cursor(at, self.bytes.len());
        let len = symbol.count()?;
        std::str::from_utf8(symbol.bytes(len)?)
            .map_err(|_| Malformed::new(self.file, at as u64, "a symbol is not UTF-8"))
    }

    fn read_series(&self, id: u64, mut content: Cursor<'a>) -> Result<IndexedSeries, Malformed> {
        let start = content;
        let mut pairs = Vec::new();
        for _ in 0..content.count()? {
            pairs.push((self.symbol(&mut content)?, self.symbol(&mut content)?));
        }
        let labels = Labels::from_pairs(pairs).map_err(|error| start.malformed(error.to_string()))?;
        let mut chunks = Vec::new();
        let (mut last, mut place) = (0i64, 0u64);
        for number in 0..content.count()? {
            let field = content;
            let (first, step) = match number {
                0 => (Some(content.varint()?), None),
                // Chunks may overlap: a step back is written as a number that wraps.
                _ => (last.checked_add(content.uvarint()?.cast_signed()), Some(())),
            };
            let span = content.uvarint()?.cast_signed();
            let first = first.filter(|first| span >= 0 && first.checked_add(span).is_some());
            let first = first.ok_or_else(|| field.malformed("a chunk spans a time that cannot be"))?;
            last = first + span;
            place = match step {
                None => content.uvarint()?,
                Some(()) => place.wrapping_add_signed(content.varint()?),
            };
            chunks.push(ChunkPlace {
                first,
                last,
                segment: u32::try_from(place >> 32).unwrap_or(u32::MAX),
                offset: u32::try_from(place & 0xffff_ffff).unwrap_or(u32::MAX),
            });
        }
        match content.is_done() {
            true => Ok(IndexedSeries { id, labels, chunks }),
            false => Err(content.malformed("a series is longer than what it holds")),
        }
    }
}

fn read_symbols(mut table: Cursor<'_>, version: u8) -> Result<Vec<usize>, Malformed> {
    let len = table.be32()?;
    let mut checked = table;
    let content = checked.bytes(usize::try_from(len).unwrap_or(usize::MAX))?;
    checked.checksum(content)?;
    let end = checked.offset() - 4;
    let count_at = table;
    let count = table.be32()?;
    // A symbol takes a byte at least, so the number cannot ask for more memory than the file justifies.
    let room = usize::try_from(count).ok().filter(|&count| count <= content.len());
    let room = room.ok_or_else(|| count_at.malformed(format!("{count} symbols do not fit")))?;
    let mut symbols = Vec::with_capacity(room);
    let mut last: Option<&[u8]> = None;
    for _ in 0..count {
        let start = table;
        let len = table.count()?;
        let text = table.bytes(len)?;
        if table.offset() > end {
            return Err(start.malformed("a symbol lies outside of the table"));
        }
        if version == 2 && last.is_some_and(|last| last >= text) {
            return Err(start.malformed("the symbols are not in order"));
        }
        last = Some(text);
        symbols.push(usize::try_from(start.offset()).unwrap_or(usize::MAX));
    }
    Ok(symbols)
}

/// See [`Index::series`].
#[derive(Clone, Debug)]
pub struct SeriesIter<'a> {
    index: &'a Index<'a>,
    at: usize,
}

impl Iterator for SeriesIter<'_> {
    type Item = Result<IndexedSeries, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let end = self.index.series_end;
        let align = if self.index.version == 1 { 1 } else { 16 };
        self.at = self.at.next_multiple_of(align);
        // Between parts there may be zeros.
        while self.index.version == 1 && self.at < end && self.index.bytes[self.at] == 0 {
            self.at += 1;
        }
        if self.at >= end || self.index.bytes[self.at] == 0 {
            return None;
        }
        let mut cursor = self.index.cursor(self.at, end);
        let id = (self.at / align) as u64;
        self.at = end;
        let entry = cursor.count().and_then(|len| {
            let mut content = cursor;
            let bytes = cursor.bytes(len)?;
            let sum = cursor;
            cursor.be32()?;
            self.at = usize::try_from(cursor.offset()).unwrap_or(end);
            sum.clone().checksum(bytes)?;
            let content = Cursor::new(self.index.file, content.offset(), content.bytes(len)?);
            self.index.read_series(id, content)
        });
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uvarint(bytes: &mut Vec<u8>, mut value: u64) {
        while value >= 0x80 {
            bytes.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        bytes.push(value.to_le_bytes()[0]);
    }

    fn be32(number: usize) -> [u8; 4] {
        u32::try_from(number).unwrap().to_be_bytes()
    }

    fn with_sum(bytes: &mut Vec<u8>, content: &[u8]) {
        bytes.extend_from_slice(content);
        bytes.extend_from_slice(&crc32c::crc32c(content).to_be_bytes());
    }

    /// An index of two series, `up{job="a"}` with two chunks and `up{job="b"}` with one.
    fn written(version: u8) -> Vec<u8> {
        let mut bytes = vec![0xba, 0xaa, 0xd7, 0, version];
        let texts = ["__name__", "a", "b", "job", "up"];
        let mut table = be32(texts.len()).to_vec();
        let mut references = Vec::new();
        for (number, text) in (0u64..).zip(texts) {
            references.push(if version == 1 { 5 + 4 + table.len() as u64 } else { number });
            uvarint(&mut table, text.len() as u64);
            table.extend_from_slice(text.as_bytes());
        }
        bytes.extend_from_slice(&be32(table.len()));
        with_sum(&mut bytes, &table);
        let mut series_at = 0;
        for (value, chunks) in [(1, &[1000u64 << 1, 50, 8, 10, 40, 30][..]), (2, &[3, 50, (1 << 32) + 8])] {
            if version == 2 {
                bytes.resize(bytes.len().next_multiple_of(16), 0);
            }
            series_at = if series_at == 0 { bytes.len() } else { series_at };
            let mut content = vec![2];
            for label in [0, 4, 3, value] {
                uvarint(&mut content, references[label]);
            }
            uvarint(&mut content, chunks.len() as u64 / 3);
            chunks.iter().for_each(|&field| uvarint(&mut content, field));
            uvarint(&mut bytes, content.len() as u64);
            with_sum(&mut bytes, &content);
        }
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let postings_at = bytes.len();
        bytes.extend_from_slice(b"postings");
        let mut contents = Vec::new();
        for part in [5, series_at, 0, 0, postings_at, 0] {
            contents.extend_from_slice(&(part as u64).to_be_bytes());
        }
        with_sum(&mut bytes, &contents);
        bytes
    }

    fn read(bytes: &[u8]) -> Vec<Result<IndexedSeries, Malformed>> {
        match Index::parse("index", bytes) {
            Ok(index) => index.series().collect(),
            Err(error) => vec![Err(error)],
        }
    }

    #[test]
    fn both_versions_are_read() {
        for version in [1, 2] {
            let bytes = written(version);
            let series: Vec<_> = read(&bytes).into_iter().map(Result::unwrap).collect();
            let place = |first, last, segment, offset| ChunkPlace { first, last, segment, offset };
            assert_eq!(series.len(), 2, "version {version}");
            assert_eq!(series[0].labels.to_string(), r#"up{job="a"}"#);
            assert_eq!(series[0].chunks, [place(1000, 1050, 0, 8), place(1060, 1100, 0, 23)]);
            assert_eq!(series[1].labels.to_string(), r#"up{job="b"}"#);
            assert_eq!(series[1].chunks, [place(-2, 48, 1, 8)]);
        }
    }

    #[test]
    fn a_damaged_series_is_named_and_the_next_is_read() {
        let mut bytes = written(2);
        let index = Index::parse("index", &bytes).unwrap();
        let first = index.series_start;
        bytes[first + 3] ^= 1;
        let series = read(&bytes);
        assert_eq!(series.len(), 2);
        let error = series[0].as_ref().unwrap_err();
        assert!(error.to_string().ends_with("the checksum does not match"), "{error}");
        assert!(series[1].is_ok());
    }

    #[test]
    fn any_flipped_bit_and_any_end_is_an_error_or_harmless() {
        for version in [1, 2] {
            let bytes = written(version);
            let whole = read(&bytes);
            for bit in 0..bytes.len() * 8 {
                let mut broken = bytes.clone();
                broken[bit / 8] ^= 1 << (bit % 8);
                let found = read(&broken);
                let good = found.iter().flatten().all(|series| whole.iter().flatten().any(|w| w == series));
                assert!(good || bit / 8 == 4, "bit {bit} of version {version}: {found:?}");
            }
            for end in 0..bytes.len() {
                assert!(read(&bytes[..end]).iter().any(Result::is_err), "{end} bytes of version {version}");
            }
        }
    }

    #[test]
    fn what_is_no_index_is_refused() {
        assert_eq!(read(b"").len(), 1);
        let error = read(b"{\"ulid\": 1}").remove(0).unwrap_err();
        assert_eq!(error.to_string(), "index at byte 0: this is no index");
        let error = read(&[0xba, 0xaa, 0xd7, 0, 3]).remove(0).unwrap_err();
        assert_eq!(error.to_string(), "index at byte 4: an index of version 3 is not known");
    }
}
