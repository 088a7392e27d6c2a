//! Requests walked in place: every spelling of a series, and bytes that are no request.

use barograph_model::encode_label;
use proptest::prelude::*;

use super::*;
use crate::protobuf::put_varint;

fn label(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_label(&mut bytes, name, value);
    bytes
}

fn sample(value: f64, at: i64) -> Vec<u8> {
    let mut inner = vec![0x09];
    inner.extend(value.to_le_bytes());
    inner.push(0x10);
    put_varint(&mut inner, at.cast_unsigned());
    field(2, &inner)
}

fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_bytes(&mut bytes, number, content);
    bytes
}

/// The series that is all of a body; the general reader is used even where the short way would do.
fn only_series(body: &[u8]) -> Series<'_> {
    let mut request = Reader::new(body);
    assert_eq!(request.key(), Ok(REQUEST_SERIES));
    let series = Series::read(request.message().unwrap()).unwrap();
    assert!(request.is_done());
    series
}

#[track_caller]
fn check_malformed(body: &[u8], offset: usize, what: &'static str) {
    let error = entries(body).find_map(|entry| match entry {
        Ok(Entry::Series(series)) => series.samples().find_map(Result::err),
        Ok(_) => None,
        Err(error) => Some(error),
    });
    assert_eq!(error, Some(Malformed { offset, what }));
}

#[test]
fn labels_are_the_bytes_that_were_sent() {
    let labels = [label("__name__", "up"), label("a", "1")].concat();
    let body = field(1, &[&labels[..], &sample(1.5, 10), &sample(2.5, -20)].concat());
    let series = only_series(&body);
    assert!(matches!(series.labels, Cow::Borrowed(bytes) if bytes == labels));
    let samples: Vec<_> = series.samples().map(Result::unwrap).collect();
    assert_eq!(
        samples,
        [Sample { at: Timestamp(10), value: 1.5 }, Sample { at: Timestamp(-20), value: 2.5 },]
    );
    assert!(!series.has_more);
}

#[test]
fn one_sample_takes_the_short_way() {
    let labels = [label("__name__", "up"), label("a", &"long".repeat(10))].concat();
    let one = sample(1.5, -1);
    let body = field(1, &[&labels[..], &one].concat());
    let found: Vec<_> = entries(&body).map(Result::unwrap).collect();
    assert!(matches!(&found[..], [Entry::Sample { labels: found, sample }]
        if *found == labels && *sample == Sample { at: Timestamp(-1), value: 1.5 }));
    assert_eq!(
        only_series(&body).samples().collect::<Vec<_>>(),
        [Ok(Sample { at: Timestamp(-1), value: 1.5 })]
    );
}

#[test]
fn labels_between_other_fields_are_gathered() {
    let (a, b) = (label("a", "1"), label("b", "2"));
    let unknown = field(100, b"later");
    let body = field(1, &[&sample(1.0, 1)[..], &a, &unknown, &b].concat());
    let series = only_series(&body);
    assert_eq!(*series.labels, [a, b].concat());
    assert_eq!(series.samples().count(), 1);
}

#[test]
fn a_sample_may_spell_its_fields_in_any_way() {
    let check = |inner: &[u8], value: f64, at: i64| {
        let body = field(1, &field(2, inner));
        let sample = only_series(&body).samples().next().unwrap().unwrap();
        assert_eq!(sample, Sample { at: Timestamp(at), value });
    };
    let value = [&[0x09][..], &1.0f64.to_le_bytes()].concat();
    check(&[], 0.0, 0);
    check(&[0x10, 5], 0.0, 5);
    check(&value, 1.0, 0);
    check(&[&[0x10, 5][..], &value].concat(), 1.0, 5);
    check(&[&value[..], &[0x10, 5], &[0x10, 6], &[0x18, 9]].concat(), 1.0, 6);
}

#[test]
fn histograms_are_seen_with_their_time() {
    let body = field(1, &[label("__name__", "h"), field(4, &[0x20, 6, 0x78, 7])].concat());
    let series = only_series(&body);
    assert!(series.has_more);
    let times: Vec<_> = series.histograms().map(|entry| entry.unwrap().at).collect();
    assert_eq!(times, [Timestamp(7)]);
}

#[test]
fn says_where_the_bytes_go_wrong() {
    check_malformed(&[0x0a], 1, "a number is cut short");
    check_malformed(&[0x0a, 5, 0], 1, "a length runs past its message");
    check_malformed(&[0x08, 5], 0, "a field has the wrong type");
    check_malformed(&[0x0a, 2, 0x08, 5], 2, "a field has the wrong type");
    check_malformed(&[0x0a, 4, 0x12, 2, 0x08, 1], 4, "a field has the wrong type");
    check_malformed(&[0x0a, 4, 0x12, 2, 0x09, 1], 5, "a double is cut short");
    check_malformed(&[0x00, 0x00], 0, "no such field number");
    check_malformed(&[0x27, 0x00], 1, "no such wire type");
}

#[test]
fn nothing_follows_an_error() {
    let body = [&[0x08, 5][..], &field(1, &sample(1.0, 1))].concat();
    assert_eq!(entries(&body).count(), 1);
}

#[test]
fn parses_labels_in_any_order() {
    let check = |bytes: &[u8], expected: Result<&[(&str, &str)], LabelError>| {
        let expected = expected.map(|pairs| Labels::from_pairs(pairs.iter().copied()).unwrap());
        assert_eq!(parse_labels(bytes), expected);
    };
    check(&[label("b", "2"), label("a", "1")].concat(), Ok(&[("a", "1"), ("b", "2")]));
    check(&[label("b", ""), label("a", "1")].concat(), Ok(&[("a", "1")]));
    check(&[label("a", "2"), label("a", "1")].concat(), Err(LabelError::Duplicate("a".to_owned())));
    check(&label("", "1"), Err(LabelError::EmptyName));
    check(&[0x0a, 6, 0x0a, 1, b'a', 0x12, 1, 0xff], Err(LabelError::NotUtf8("a".to_owned())));
    check(&[0x0a, 6, 0x0a], Err(LabelError::Malformed(1)));
}

proptest! {
    #[test]
    fn any_bytes_are_fine(body: Vec<u8>) {
        for entry in entries(&body) {
            if let Ok(Entry::Series(series)) = entry {
                let more = series.exemplars().count() + series.histograms().count();
                prop_assert_eq!(more > 0, series.has_more);
                let _ = series.samples().count();
                let _ = parse_labels(&series.labels);
            }
        }
    }
}
