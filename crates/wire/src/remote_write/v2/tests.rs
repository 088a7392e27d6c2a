//! Requests of remote write 2.0 as they are sent, and as nobody should send them.

use barograph_model::{Exemplar, Histogram, HistogramParts, Labels, MetricType};
use proptest::prelude::*;

use super::*;
use crate::{
    protobuf::{put_bytes, put_double, put_number},
    remote_write::{SeriesV2, WriterV2, parse_labels},
};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

/// A request of symbols and one series of these fields.
fn request(symbols: &[&str], series: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    symbols.iter().for_each(|symbol| put_bytes(&mut body, 4, symbol.as_bytes()));
    put_bytes(&mut body, 5, series);
    body
}

/// A series of these numbers and one sample.
fn series(refs: &[u8]) -> Vec<u8> {
    let (mut series, mut sample) = (Vec::new(), Vec::new());
    put_bytes(&mut series, 1, refs);
    put_double(&mut sample, 1, 2.5);
    put_number(&mut sample, 2, 7);
    put_bytes(&mut series, 2, &sample);
    series
}

#[test]
fn what_is_written_is_read() {
    let up = labels(&[("__name__", "up"), ("job", "api")]);
    let parts =
        HistogramParts { positive: vec![(1, 2.0)], count: 2.0, sum: 3.0, ..HistogramParts::default() };
    let histogram = Histogram::new(parts).unwrap();
    let sample = |at| Sample { at: Timestamp(at), value: 1.5 };
    let exemplar = Exemplar { labels: labels(&[("trace_id", "abc")]), sample: sample(3) };
    let metadata = Metadata { kind: MetricType::Counter, help: "Help.".into(), unit: "seconds".into() };
    let mut writer = WriterV2::new();
    writer.series(
        &up,
        &SeriesV2 {
            samples: &[sample(1), sample(2)],
            exemplars: std::slice::from_ref(&exemplar),
            metadata: Some(&metadata),
            ..SeriesV2::default()
        },
    );
    writer.series(&up, &SeriesV2 { histograms: &[(Timestamp(4), histogram.clone())], ..SeriesV2::default() });
    let body = writer.to_bytes();
    let request = Request::read(&body).unwrap();
    let all: Vec<_> = request.series().collect::<Result<_, _>>().unwrap();
    assert_eq!(all.len(), 2);
    let mut bytes = Vec::new();
    all[0].put_labels(&mut bytes).unwrap();
    assert_eq!(bytes, up.as_bytes());
    let samples: Vec<_> = all[0].samples().map(|entry| entry.unwrap().sample).collect();
    assert_eq!(samples, [sample(1), sample(2)]);
    let read = all[0].exemplars().next().unwrap().unwrap();
    assert_eq!((parse_labels(&read.labels.unwrap()).unwrap(), read.sample), (exemplar.labels, sample(3)));
    assert_eq!(all[0].metadata().unwrap(), Some(metadata));
    assert_eq!((all[0].samples, all[0].histograms, all[0].exemplars), (2, 0, 1));
    let entry = all[1].histograms().next().unwrap().unwrap();
    assert_eq!((entry.at, entry.histogram), (Timestamp(4), Ok(histogram)));
    assert_eq!(all[1].metadata().unwrap(), None);
}

#[test]
fn numbers_must_be_in_the_table_and_in_pairs() {
    let check = |refs: &[u8], expected: Result<&str, RefError>| {
        let body = request(&["", "__name__", "up", "job"], &series(refs));
        let request = Request::read(&body).unwrap();
        let series = request.series().next().unwrap().unwrap();
        let mut bytes = Vec::new();
        let read = series.put_labels(&mut bytes).map(|()| parse_labels(&bytes).unwrap().to_string());
        assert_eq!(read, expected.map(str::to_owned), "{refs:?}");
        assert_eq!(series.samples().next().unwrap().unwrap().sample.value, 2.5);
    };
    check(&[1, 2], Ok(r#"up"#));
    check(&[1, 2, 3, 0], Ok(r#"up"#));
    check(&[], Ok("{}"));
    check(&[1, 2, 3], Err(RefError::Odd));
    check(&[1, 9], Err(RefError::OutOfRange(9)));
    check(&[1, 2].repeat(LABELS_MAX + 1), Err(RefError::TooMany));
}

#[test]
fn numbers_need_not_be_packed_nor_symbols_come_first() {
    let mut series = Vec::new();
    put_number(&mut series, 1, 1);
    put_number(&mut series, 1, 2);
    put_number(&mut series, 6, 5);
    let mut body = Vec::new();
    put_bytes(&mut body, 5, &series);
    ["", "__name__", "up"].iter().for_each(|symbol| put_bytes(&mut body, 4, symbol.as_bytes()));
    let request = Request::read(&body).unwrap();
    let series = request.series().next().unwrap().unwrap();
    let mut bytes = Vec::new();
    series.put_labels(&mut bytes).unwrap();
    assert_eq!(
        (bytes.as_slice(), series.created),
        (labels(&[("__name__", "up")]).as_bytes(), Some(Timestamp(5)))
    );
}

#[test]
fn start_times_are_read() {
    let mut sample = Vec::new();
    put_number(&mut sample, 3, 5);
    put_number(&mut sample, 2, 7);
    let entry = read_sample(Reader::new(&sample)).unwrap();
    assert_eq!((entry.sample.at, entry.start), (Timestamp(7), Some(Timestamp(5))));
    assert_eq!(read_sample(Reader::new(&[0x18, 0])).unwrap().start, None);
}

#[test]
fn what_is_no_request_is_named() {
    let check = |body: &[u8], what: &str| {
        let error = Request::read(body)
            .and_then(|request| request.series().try_for_each(|series| series.map(drop)))
            .unwrap_err();
        assert!(error.to_string().contains(what), "{error} should say {what}");
    };
    check(&request(&["up"], &[]), "the first symbol is not empty");
    check(&[0x22, 5, 0], "a length runs past its message");
    check(&[0x20, 5], "wrong type");
    check(&[0x0a, 0], "remote write 1.0");
    check(&request(&[""], &[0x10, 1]), "wrong type");
    check(&request(&[""], &[0x12, 9]), "runs past");
}

#[test]
fn long_labels_are_refused_before_they_are_written_out() {
    let long = "x".repeat(64 << 10);
    let body = request(&["", "a", &long], &series(&[1, 2].repeat(20)));
    let request = Request::read(&body).unwrap();
    let mut bytes = Vec::new();
    let series = request.series().next().unwrap().unwrap();
    assert_eq!(series.put_labels(&mut bytes), Err(RefError::TooLong));
    assert!(bytes.len() <= LABEL_BYTES_MAX + 64);
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer(body: Vec<u8>) {
        if let Ok(request) = Request::read(&body) {
            for series in request.series().flatten() {
                let _ = series.put_labels(&mut Vec::new());
                let _ = (series.samples().count(), series.histograms().count(), series.metadata());
                prop_assert!(series.exemplars().count() <= body.len());
            }
        }
    }
}
