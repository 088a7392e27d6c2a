//! Exemplars: observations kept as examples, with the ids that lead to their traces.

use std::fmt::Write as _;

use barograph_model::{Exemplar, Labels, Sample, Timestamp};

use super::resource::{fixed, fixed64};
use crate::{
    otlp::value::Attribute,
    protobuf::{LEN, Malformed, Reader, key},
};

/// Characters of all labels of an exemplar. Attributes that would make it more are left out, the ids are not.
const CHARACTERS_MAX: usize = 128;

const AT: u32 = fixed(2);
const DOUBLE: u32 = fixed(3);
const SPAN: u32 = key(4, LEN);
const TRACE: u32 = key(5, LEN);
const INTEGER: u32 = fixed(6);
const ATTRIBUTES: u32 = key(7, LEN);

/// Reads one; `at` is the time of its point, for one that has no time. `None` if it has no value or is no text.
pub(super) fn read(mut exemplar: Reader<'_>, at: i64) -> Result<Option<Exemplar>, Malformed> {
    let (mut time, mut value) = (0, None);
    let (mut ids, mut attributes) = ([String::new(), String::new()], Vec::new());
    while !exemplar.is_done() {
        match exemplar.key()? {
            AT => time = fixed64(&mut exemplar)?,
            DOUBLE => value = Some(exemplar.double()?),
            INTEGER => value = Some(fixed64(&mut exemplar)?.cast_signed() as f64),
            TRACE => ids[0] = id(exemplar.bytes()?),
            SPAN => ids[1] = id(exemplar.bytes()?),
            ATTRIBUTES => attributes.push(Attribute::read(exemplar.message()?)?),
            other => exemplar.skip(other)?,
        }
    }
    let Some(value) = value else { return Ok(None) };
    let mut texts = Vec::with_capacity(attributes.len());
    for attribute in &attributes {
        let mut text = Vec::new();
        attribute.put(&mut text)?;
        let (Ok(name), Ok(text)) = (std::str::from_utf8(attribute.key), String::from_utf8(text)) else {
            return Ok(None);
        };
        texts.push((name, text));
    }
    let mut pairs: Vec<_> = ["trace_id", "span_id"].into_iter().zip(ids.iter().map(|id| &**id)).collect();
    let length = |(name, value): &(&str, &str)| match value.is_empty() {
        true => 0,
        false => name.chars().count() + value.chars().count(),
    };
    let of_ids: usize = pairs.iter().map(length).sum();
    let of_attributes: usize = texts.iter().map(|(name, text)| length(&(name, text))).sum();
    if of_ids + of_attributes <= CHARACTERS_MAX {
        pairs.extend(texts.iter().map(|(name, text)| (*name, &**text)));
    }
    let at = if time == 0 { at } else { millis(time) };
    let labels = Labels::from_pairs(pairs).ok();
    Ok(labels.map(|labels| Exemplar { labels, sample: Sample { at: Timestamp(at), value } }))
}

/// Nanoseconds as milliseconds, cut.
pub(super) const fn millis(nanos: u64) -> i64 {
    (nanos / 1_000_000).cast_signed()
}

/// An id in hexadecimal digits; one of zeros is none.
fn id(bytes: &[u8]) -> String {
    let mut text = String::new();
    if bytes.len() <= 16 && bytes.iter().any(|byte| *byte != 0) {
        bytes.iter().for_each(|byte| _ = write!(text, "{byte:02x}"));
    }
    text
}
