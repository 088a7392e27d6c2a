//! The samples of a matrix as text.
//!
//! A month of a hundred series by the hour is 72,000 samples of some 25 bytes each. Putting one together costs as much
//! as the digits of its value: what comes before it is written once for all series that have the same times, and short
//! pieces are gathered in a small buffer by copies of known length, which take an instruction or two.

use barograph_model::{Sample, Timestamp};

use super::answer::{write_digits, write_time};

/// Writes lists of samples, one series after the other.
pub(super) struct Lists {
    /// How the samples of the series before began, by number.
    starts: Vec<Start>,
    /// Digits of values that are no usual numbers.
    odd: String,
}

/// `,[seconds,"`, without the comma for the first.
struct Start {
    at: Timestamp,
    text: [u8; PIECE],
    len: usize,
}

/// The longest piece that is gathered.
const PIECE: usize = 32;

/// Bytes that are gathered before they go to the body.
const GATHERED: usize = 4096;

/// What one sample takes at most: three pieces.
const SAMPLE: usize = 3 * PIECE;

impl Lists {
    pub(super) fn new() -> Self {
        Self { starts: Vec::new(), odd: String::new() }
    }

    /// Adds `[[seconds,"value"],…]`.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, samples: &[Sample]) {
        let (mut gathered, mut end) = ([0; GATHERED], 0);
        out.push(b'[');
        for (number, sample) in samples.iter().enumerate() {
            if end + SAMPLE > GATHERED {
                out.extend_from_slice(&gathered[..end]);
                end = 0;
            }
            if self.starts.get(number).is_none_or(|start| start.at != sample.at) {
                self.know(number, sample.at);
            }
            let start = &self.starts[number];
            gathered[end..end + PIECE].copy_from_slice(&start.text);
            end += start.len;
            end = self.put_value(&mut gathered, end, sample.value);
            end = put(&mut gathered, end, b"\"]");
        }
        out.extend_from_slice(&gathered[..end]);
        out.push(b']');
    }

    /// Remembers how a sample at a time begins.
    fn know(&mut self, number: usize, at: Timestamp) {
        let mut text = String::with_capacity(PIECE);
        text.push_str(if number > 0 { ",[" } else { "[" });
        write_time(&mut text, at);
        text.push_str(",\"");
        let mut start = Start { at, text: [0; PIECE], len: text.len() };
        start.text[..text.len()].copy_from_slice(text.as_bytes());
        match self.starts.get_mut(number) {
            Some(known) => *known = start,
            None => self.starts.push(start),
        }
    }

    /// As [`write_digits`] does.
    fn put_value(&mut self, gathered: &mut [u8; GATHERED], end: usize, value: f64) -> usize {
        const USUAL: std::ops::Range<f64> = 1e-4..1e15;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what is no whole number in range differs afterwards"
        )]
        let whole = value as i64;
        if !USUAL.contains(&value.abs()) {
            self.odd.clear();
            write_digits(&mut self.odd, value);
            put(gathered, end, self.odd.as_bytes())
        } else if (whole as f64).to_bits() == value.to_bits() {
            put(gathered, end, itoa::Buffer::new().format(whole).as_bytes())
        } else {
            put(gathered, end, zmij::Buffer::new().format_finite(value).as_bytes())
        }
    }
}

/// Adds a text of at most [`PIECE`] bytes and says where it ends.
#[inline]
fn put(gathered: &mut [u8; GATHERED], at: usize, text: &[u8]) -> usize {
    let len = text.len();
    let to = &mut gathered[at..at + PIECE];
    if len >= 16 {
        to[..16].copy_from_slice(&text[..16]);
        to[len - 16..len].copy_from_slice(&text[len - 16..]);
    } else if len >= 8 {
        to[..8].copy_from_slice(&text[..8]);
        to[len - 8..len].copy_from_slice(&text[len - 8..]);
    } else if len >= 4 {
        to[..4].copy_from_slice(&text[..4]);
        to[len - 4..len].copy_from_slice(&text[len - 4..]);
    } else {
        to.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
    }
    at + len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_as_one_by_one() {
        let values = [0.0, -0.0, 1.0, -1.0, 12.5, -123_456.75, 1e14, 1e15, 0.1 + 0.2, -1.0 / 3.0, 1e-4, 9e-5];
        let odd =
            [1e21, -1.25e-7, f64::MAX, f64::MIN_POSITIVE, f64::NAN, f64::INFINITY, -2.345e-6, 1e20 / 3.0];
        let all: Vec<f64> = values.into_iter().chain(odd).cycle().take(1000).collect();
        let mut lists = Lists::new();
        for shift in [0, 0, 250, i64::MIN] {
            let times = (0i64..).map(|number| Timestamp((number * 500).wrapping_add(shift)));
            let samples: Vec<_> = times.zip(&all).map(|(at, &value)| Sample { at, value }).collect();
            let mut out = Vec::new();
            lists.write(&mut out, &samples);
            let mut expected = String::from("[");
            for (number, sample) in samples.iter().enumerate() {
                expected.push_str(if number > 0 { ",[" } else { "[" });
                write_time(&mut expected, sample.at);
                expected.push_str(",\"");
                write_digits(&mut expected, sample.value);
                expected.push_str("\"]");
            }
            expected.push(']');
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn no_sample_is_an_empty_list() {
        let mut out = Vec::new();
        Lists::new().write(&mut out, &[]);
        assert_eq!(out, b"[]");
    }
}
