//! Label bytes in whatever spelling they come, to a label set within limits.
//!
//! A sender may write labels unsorted, fields in another order, lengths in more bytes than needed, or empty values.
//! All that is legal protobuf, so it is read here, once per spelling; the usual spelling never comes this way.

use barograph_codec::varint;
use barograph_model::{LabelError, Labels, METRIC_NAME};

use crate::{Reason, limits::SeriesLimits};

/// Reads label bytes in any spelling.
pub(crate) fn parse(bytes: &[u8]) -> Result<Labels, Reason> {
    let mut rest = bytes;
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        match field(&mut rest).ok_or(Reason::Malformed)? {
            Field { number: 1, content: Some(label) } => pairs.push(parse_label(label)?),
            _ => return Err(Reason::Malformed),
        }
    }
    Labels::from_pairs(pairs).map_err(|error| match error {
        LabelError::EmptyName => Reason::EmptyLabelName,
        LabelError::Duplicate(_) => Reason::RepeatedLabel,
        LabelError::NotUtf8(_) => Reason::NotUtf8,
        _ => Reason::Malformed,
    })
}

/// Name and value of a label; of a field that is repeated the last one counts, unknown fields are skipped.
fn parse_label(mut rest: &[u8]) -> Result<(&str, &str), Reason> {
    let (mut name, mut value) = ("", "");
    while !rest.is_empty() {
        let field = field(&mut rest).ok_or(Reason::Malformed)?;
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| Reason::NotUtf8);
        match field {
            Field { number: 1, content: Some(bytes) } => name = text(bytes)?,
            Field { number: 2, content: Some(bytes) } => value = text(bytes)?,
            _ => {}
        }
    }
    Ok((name, value))
}

/// A protobuf field; `content` if it is length-delimited.
struct Field<'a> {
    number: u64,
    content: Option<&'a [u8]>,
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<Field<'a>> {
    let tag = varint::take(rest)?;
    let content = match tag & 7 {
        0 => varint::take(rest).map(|_| None)?,
        1 => skip(rest, 8)?,
        2 => Some(varint::take_slice(rest)?),
        5 => skip(rest, 4)?,
        _ => return None,
    };
    Some(Field { number: tag >> 3, content })
}

fn skip<'a>(rest: &mut &[u8], len: usize) -> Option<Option<&'a [u8]>> {
    *rest = rest.get(len..)?;
    Some(None)
}

/// Refuses label bytes that are longer than any label set within limits, before anything is made of them.
pub(crate) fn check_size(bytes: &[u8], limits: &SeriesLimits) -> Result<(), Reason> {
    // Names, values, and what stands before them.
    let label_max = limits.label_name_bytes.saturating_add(limits.label_value_bytes).saturating_add(32);
    if bytes.len() <= label_max.saturating_mul(limits.labels.saturating_add(1)) {
        return Ok(());
    }
    let mut rest = bytes;
    for _ in 0..=limits.labels {
        match field(&mut rest).ok_or(Reason::Malformed)? {
            Field { content: Some(label), .. } if label.len() > label_max => {
                return Err(Reason::LabelValueTooLong);
            }
            _ => {}
        }
    }
    Err(Reason::TooManyLabels)
}

/// Whether a label set may become a series.
pub(crate) fn check(labels: &Labels, limits: &SeriesLimits) -> Result<(), Reason> {
    let (mut count, mut named) = (0, false);
    for label in labels.raw() {
        count += 1;
        named |= label.name == METRIC_NAME.as_bytes();
        if label.name.len() > limits.label_name_bytes {
            return Err(Reason::LabelNameTooLong);
        }
        if label.value.len() > limits.label_value_bytes {
            return Err(Reason::LabelValueTooLong);
        }
    }
    match (named, count > limits.labels) {
        (false, _) => Err(Reason::NoMetricName),
        (_, true) => Err(Reason::TooManyLabels),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Options;

    fn check_parse(bytes: &[u8], expected: Result<&str, Reason>) {
        assert_eq!(parse(bytes).map(|labels| labels.to_string()), expected.map(str::to_owned));
    }

    #[test]
    fn reads_every_legal_spelling() {
        check_parse(b"", Ok("{}"));
        check_parse(b"\x0a\x06\x0a\x01b\x12\x012\x0a\x06\x0a\x01a\x12\x011", Ok(r#"{a="1", b="2"}"#));
        check_parse(b"\x0a\x06\x12\x011\x0a\x01a", Ok(r#"{a="1"}"#));
        check_parse(b"\x0a\x86\x00\x0a\x01a\x12\x011", Ok(r#"{a="1"}"#));
        check_parse(b"\x0a\x03\x0a\x01a", Ok("{}"));
        check_parse(b"\x0a\x08\x0a\x01a\x12\x011\x18\x05", Ok(r#"{a="1"}"#));
    }

    #[test]
    fn sizes_are_seen_before_labels_are() {
        let check = |labels: &[(&str, &str)], expected: Result<(), Reason>| {
            let bytes: Vec<u8> = labels
                .iter()
                .flat_map(|pair| Labels::from_pairs([*pair]).unwrap().as_bytes().to_vec())
                .collect();
            assert_eq!(check_size(&bytes, &SeriesLimits::of(&Options::default())), expected);
        };
        let value = |len: usize| "v".repeat(len);
        check(&[("a", "b")], Ok(()));
        check(&vec![("a", &*value(4096)); 64], Ok(()));
        check(&vec![("a", "b"); 100_000], Err(Reason::TooManyLabels));
        check(&[("a", &value(1 << 20))], Err(Reason::LabelValueTooLong));
        assert_eq!(
            check_size(&vec![0xff; 1 << 20], &SeriesLimits::of(&Options::default())),
            Err(Reason::Malformed)
        );
    }

    #[test]
    fn names_what_is_wrong() {
        check_parse(b"\x0a", Err(Reason::Malformed));
        check_parse(b"\x12\x00", Err(Reason::Malformed));
        check_parse(b"\x0a\x03\x12\x011", Err(Reason::EmptyLabelName));
        check_parse(b"\x0a\x06\x0a\x01a\x12\x01\xff", Err(Reason::NotUtf8));
        check_parse(b"\x0a\x06\x0a\x01a\x12\x011\x0a\x06\x0a\x01a\x12\x012", Err(Reason::RepeatedLabel));
    }

    #[test]
    fn limits_hold() {
        let all = SeriesLimits::of(&Options::default());
        let limits = SeriesLimits { labels: 2, label_name_bytes: 8, label_value_bytes: 3, ..all };
        let assert_check = |pairs: &[(&str, &str)], expected| {
            assert_eq!(check(&Labels::from_pairs(pairs.iter().copied()).unwrap(), &limits), expected);
        };
        assert_check(&[("__name__", "up"), ("a", "1")], Ok(()));
        assert_check(&[("a", "1")], Err(Reason::NoMetricName));
        assert_check(&[("__name__", "up"), ("a", "1"), ("b", "1")], Err(Reason::TooManyLabels));
        assert_check(&[("__name__", "long")], Err(Reason::LabelValueTooLong));
        assert_check(&[("long_name", "1")], Err(Reason::LabelNameTooLong));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
