//! A receiver of remote write keeps the rules of the protocol, 1.0 and 2.0; each part of the test is named by the rules
//! that it shows. Messages are made by a description of their own, so that what we read is not only what we write.

use std::sync::Arc;

use barograph_disk::{Fault, MemoryDisk};
use hyper::{Method, StatusCode};
use prost::Message;

use crate::support::{Reply, Running, configured, now_ms, request, start_on, start_quiet};

pub(crate) const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
const STALE: u64 = 0x7ff0_0000_0000_0002;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Request {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    timeseries: Vec<Series>,
}

#[derive(Clone, PartialEq, Message)]
struct Series {
    #[prost(uint32, repeated, tag = "1")]
    labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    histograms: Vec<Histogram>,
    #[prost(message, repeated, tag = "4")]
    exemplars: Vec<Exemplar>,
    #[prost(message, optional, tag = "5")]
    metadata: Option<Metadata>,
    #[prost(int64, tag = "6")]
    created_timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
    #[prost(int64, tag = "3")]
    start_timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Exemplar {
    #[prost(uint32, repeated, tag = "1")]
    labels_refs: Vec<u32>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(int64, tag = "3")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(uint32, tag = "3")]
    help_ref: u32,
    #[prost(uint32, tag = "4")]
    unit_ref: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    count_int: Option<u64>,
    #[prost(double, optional, tag = "2")]
    count_float: Option<f64>,
    #[prost(double, tag = "3")]
    sum: f64,
    #[prost(sint32, tag = "4")]
    schema: i32,
    #[prost(double, tag = "5")]
    zero_threshold: f64,
    #[prost(uint64, optional, tag = "6")]
    zero_count_int: Option<u64>,
    #[prost(double, optional, tag = "7")]
    zero_count_float: Option<f64>,
    #[prost(message, repeated, tag = "8")]
    negative_spans: Vec<Span>,
    #[prost(sint64, repeated, tag = "9")]
    negative_deltas: Vec<i64>,
    #[prost(message, repeated, tag = "11")]
    positive_spans: Vec<Span>,
    #[prost(sint64, repeated, tag = "12")]
    positive_deltas: Vec<i64>,
    #[prost(double, repeated, tag = "13")]
    positive_counts: Vec<f64>,
    #[prost(uint32, tag = "14")]
    reset_hint: u32,
    #[prost(int64, tag = "15")]
    timestamp: i64,
    #[prost(double, repeated, tag = "16")]
    custom_values: Vec<f64>,
    #[prost(int64, tag = "17")]
    start_timestamp: i64,
}

impl Request {
    fn new() -> Self {
        Self { symbols: vec![String::new()], timeseries: Vec::new() }
    }

    fn refs(&mut self, texts: &[&str]) -> Vec<u32> {
        let number = |text: &&str| match self.symbols.iter().position(|symbol| symbol == text) {
            Some(number) => u32::try_from(number).unwrap(),
            None => {
                self.symbols.push((*text).to_owned());
                u32::try_from(self.symbols.len() - 1).unwrap()
            }
        };
        texts.iter().map(number).collect()
    }

    /// One more series of these names and values, with samples `(time, value)`.
    fn add(&mut self, labels: &[&str], samples: &[(i64, f64)]) -> &mut Series {
        let labels_refs = self.refs(labels);
        let samples =
            samples.iter().map(|&(timestamp, value)| Sample { value, timestamp, start_timestamp: 0 });
        let series = Series { labels_refs, samples: samples.collect(), ..Series::default() };
        self.timeseries.push(series);
        self.timeseries.last_mut().unwrap()
    }

    /// A request of one series.
    pub(crate) fn of(labels: &[&str], samples: &[(i64, f64)]) -> Self {
        let mut request = Self::new();
        request.add(labels, samples);
        request
    }

    /// The samples count since `start`.
    pub(crate) fn since(mut self, start: i64) -> Self {
        let samples = self.timeseries.iter_mut().flat_map(|series| &mut series.samples);
        samples.for_each(|sample| sample.start_timestamp = start);
        self
    }

    fn of_histogram(labels: &[&str], histogram: Histogram) -> Self {
        let mut request = Self::new();
        request.add(labels, &[]).histograms.push(histogram);
        request
    }
}

/// A histogram that is sound: two in bucket 0, one in bucket 1, one zero.
fn sound(timestamp: i64) -> Histogram {
    Histogram {
        count_int: Some(4),
        sum: 5.5,
        zero_threshold: 1e-9,
        zero_count_int: Some(1),
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_deltas: vec![2, -1],
        timestamp,
        ..Histogram::default()
    }
}

pub(crate) fn compressed(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).unwrap()
}

pub(crate) async fn post(running: &Running, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    running.call(Method::POST, "/api/v1/write", headers, body).await
}

async fn send(running: &Running, request: &Request) -> Reply {
    let headers = [("content-type", V2), ("content-encoding", "snappy")];
    post(running, &headers, &compressed(&request.encode_to_vec())).await
}

/// What the headers say was written: samples, histograms, exemplars.
fn written(reply: &Reply) -> Option<[u64; 3]> {
    let of = |what: &str| {
        let value = reply.headers.get(format!("x-prometheus-remote-write-{what}-written"))?;
        value.to_str().unwrap().parse().ok()
    };
    Some([of("samples")?, of("histograms")?, of("exemplars")?])
}

/// Sends a request of 2.0; the answer must have this status, say that so much was written, and these words.
async fn check(rule: &str, running: &Running, request: &Request, status: u16, counts: [u64; 3], text: &str) {
    let reply = send(running, request).await;
    assert_eq!(reply.status.as_u16(), status, "{rule}: {}", reply.text);
    assert_eq!(written(&reply), Some(counts), "{rule}: {}", reply.text);
    assert!(reply.text.contains(text), "{rule}: {:?} should say {text:?}", reply.text);
    assert_eq!(reply.text.is_empty(), status == 204, "{rule}");
}

async fn values(running: &Running, selector: &str, at: i64) -> Vec<String> {
    let path = format!("/api/v1/query?time={}&query={selector}", at as f64 / 1e3);
    let data = running.data(&path).await;
    let series = data["result"].as_array().unwrap();
    series.iter().map(|one| one["value"][1].as_str().unwrap_or("histogram").to_owned()).collect()
}

#[tokio::test]
async fn remote_write_keeps_its_rules_of_messages() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let t = now_ms();
    let good = Request::of(&["__name__", "up"], &[(t, 1.0)]);
    let body = compressed(&good.encode_to_vec());
    let v1 = request(&[(&[("__name__", "up_v1")], &[(t, 1.0)])]);

    // Rule 1: another method.
    let reply = running.call(Method::PUT, "/api/v1/write", &[("content-type", V2)], &body).await;
    assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED);

    // Rule 2: media types, messages and encodings.
    let types: [(&str, &[u8], u16); 8] = [
        ("application/x-protobuf", &v1, 204),
        ("application/x-protobuf;proto=prometheus.WriteRequest", &v1, 204),
        (V2, &body, 204),
        ("application/x-protobuf; proto=io.prometheus.write.v2.Request", &body, 204),
        ("application/x-protobuf;proto=io.prometheus.write.v3.Request", &body, 415),
        ("application/x-protobuf;proto=", &body, 415),
        ("application/json", &body, 415),
        ("text/plain", &body, 415),
    ];
    for (kind, body, status) in types {
        let reply = post(&running, &[("content-type", kind), ("content-encoding", "snappy")], body).await;
        assert_eq!(reply.status.as_u16(), status, "{kind}: {}", reply.text);
    }
    assert_eq!(post(&running, &[], &v1).await.status, 204, "no type and no encoding is 1.0 in snappy");
    assert_eq!(post(&running, &[("content-type", V2)], &body).await.status, 204);
    let reply = post(&running, &[("content-type", V2), ("content-encoding", "gzip")], &body).await;
    assert_eq!((reply.status.as_u16(), written(&reply)), (415, Some([0, 0, 0])), "rule 4, too");

    // Rule 2: what cannot be decoded. Rule 1: never framed.
    let mut framed = b"\xff\x06\x00\x00sNaPpY".to_vec();
    framed.extend_from_slice(&body);
    let undecodable: [&[u8]; 5] =
        [b"", b"no snappy", &framed, &body[..body.len() - 2], &compressed(b"\x22\xff")];
    for body in undecodable {
        let reply = post(&running, &[("content-type", V2), ("content-encoding", "snappy")], body).await;
        assert_eq!((reply.status.as_u16(), written(&reply)), (400, Some([0, 0, 0])), "{}", reply.text);
    }

    // Rules 3 and 4: all stored, an empty body, counts. 1.0 has no counts.
    let mut both = Request::of(&["__name__", "a"], &[(t, 1.0), (t + 1, 2.0)]);
    both.add(&["__name__", "h"], &[]).histograms.push(sound(t));
    check("3, 4", &running, &both, 204, [2, 1, 0], "").await;
    assert_eq!(written(&running.write(&v1).await), None);
    check("an empty request", &running, &Request::new(), 204, [0, 0, 0], "").await;

    // Rule 7: 1.0 has the same classes; what is good is stored.
    let series: [crate::support::Written<'_>; 2] =
        [(&[("job", "x")], &[(t, 1.0)]), (&[("__name__", "b")], &[(t, 1.0)])];
    let reply = running.write(&request(&series)).await;
    assert_eq!((reply.status.as_u16(), reply.text.lines().next()), (400, Some("1 of 2 samples stored")));

    // Rule 8: the table of symbols.
    let mut other = Request::of(&["__name__", "up"], &[(t, 1.0)]);
    other.symbols[0] = "x".to_owned();
    check("8: the first is not empty", &running, &other, 400, [0, 0, 0], "first symbol is not empty").await;
    let mut other = Request::of(&["__name__", "c"], &[(t, 1.0)]);
    other.add(&["__name__", "odd"], &[(t, 1.0)]).labels_refs.push(1);
    other.add(&["__name__", "out_of_range"], &[(t, 1.0)]).labels_refs[1] = 99;
    check("8: others continue", &running, &other, 400, [1, 0, 0], "1 of 3 samples stored").await;
    assert_eq!(values(&running, "c", t).await, ["1"]);

    // What is wrong in a thousand ways is told in a few, and counted.
    let mut other = Request::of(&["__name__", "d"], &[(t, 1.0)]);
    for n in 0..1_000 {
        other.add(&["__name__", "far"], &[(t, 1.0)]).labels_refs[1] = 99 + n;
    }
    check("8: told in a few words", &running, &other, 400, [1, 0, 0], "980 × something else").await;
    let reply = send(&running, &other).await;
    assert!(reply.text.lines().count() < 40, "{}", reply.text);

    // Rule 20 of many: a message that grows without end is refused before it does.
    let mut long = Request::new();
    let value = "x".repeat(4000);
    let mut labels = vec!["__name__", "long"];
    let names: Vec<_> = (0..200).map(|n| format!("l{n}")).collect();
    names.iter().for_each(|name| labels.extend([name.as_str(), value.as_str()]));
    long.add(&labels, &[(t, 1.0)]);
    check("limits", &running, &long, 400, [0, 0, 0], "labels take more than").await;
    running.server.stop().await;
}

#[tokio::test]
async fn remote_write_keeps_its_rules_of_series() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let t = now_ms();

    // Rule 9: labels.
    let cases: [(&[&str], &str); 5] = [
        (&["job", "x"], "metric name is missing"),
        (&["__name__", "", "job", "x"], "metric name is missing"),
        (&["__name__", "a", "", "x"], "label name is empty"),
        (&["__name__", "a", "job", "x", "job", "y"], "label name is not unique"),
        (&["__name__", "a", "job", "x", "job", "x"], "label name is not unique"),
    ];
    for (labels, reason) in cases {
        let mut request = Request::of(labels, &[(t, 1.0)]);
        request.add(&["__name__", "fine", "case", &format!("{labels:?}")], &[(t, 1.0)]);
        check("9", &running, &request, 400, [1, 0, 0], reason).await;
    }
    let mut bytes = Request::of(&["__name__", "a", "job", "QQ"], &[(t, 1.0)]).encode_to_vec();
    let at = bytes.windows(2).position(|two| two == b"QQ").unwrap();
    bytes[at] = 0xff;
    let headers = [("content-type", V2), ("content-encoding", "snappy")];
    let reply = post(&running, &headers, &compressed(&bytes)).await;
    assert_eq!((reply.status.as_u16(), written(&reply)), (400, Some([0, 0, 0])), "9: UTF-8");
    let unsorted = Request::of(&["job", "x", "empty", "", "__name__", "unsorted"], &[(t, 1.0)]);
    check("9: sorted, and an empty value is none", &running, &unsorted, 204, [1, 0, 0], "").await;
    let series = running.data("/api/v1/series?match[]=unsorted").await;
    assert_eq!(series, serde_json::json!([{"__name__": "unsorted", "job": "x"}]));

    // Rule 10: samples or histograms.
    let mut request = Request::of(&["__name__", "both"], &[(t, 1.0)]);
    request.timeseries[0].histograms.push(sound(t));
    check("10: both", &running, &request, 400, [0, 0, 0], "both samples and histograms").await;
    let mut request = Request::of(&["__name__", "neither"], &[]);
    check("10: neither", &running, &request, 400, [0, 0, 0], "neither samples nor histograms").await;
    let labels_refs = request.refs(&["trace_id", "abc"]);
    request.timeseries[0].exemplars.push(Exemplar { labels_refs, value: 1.0, timestamp: t });
    check("10: exemplars alone", &running, &request, 400, [0, 0, 0], "neither samples nor histograms").await;
    // Those of a series that is known are taken: Prometheus sends them so.
    let mut request = Request::of(&["__name__", "known"], &[(t, 1.0)]);
    request.add(&["__name__", "known"], &[]);
    let labels_refs = request.refs(&["trace_id", "abc"]);
    request.timeseries[1].exemplars.push(Exemplar { labels_refs, value: 1.0, timestamp: t });
    check("10: exemplars beside their series", &running, &request, 204, [1, 0, 1], "").await;
    let mut request = Request::of(&["__name__", "twice"], &[(t, 1.0)]);
    request.add(&["__name__", "twice"], &[(t + 1, 2.0)]);
    check("10: a series twice", &running, &request, 204, [2, 0, 0], "").await;

    // Rules 6 and 11: the future.
    let far = t + 11 * 60_000;
    let request = Request::of(&["__name__", "ahead"], &[(t, 1.0), (t + 60_000, 2.0), (far, 3.0)]);
    check("6, 11", &running, &request, 400, [2, 0, 0], "out of bounds").await;

    // Rule 12: order and repetition.
    let request = Request::of(&["__name__", "o"], &[(t, 1.0)]);
    check("12: new", &running, &request, 204, [1, 0, 0], "").await;
    check("12: the same again counts", &running, &request, 204, [1, 0, 0], "").await;
    let other = Request::of(&["__name__", "o"], &[(t, 2.0)]);
    check("12: another value", &running, &other, 400, [0, 0, 0], "duplicate sample for timestamp").await;
    assert_eq!(values(&running, "o", t).await, ["1"], "12: the first one stays");
    let mut request = Request::of_histogram(&["__name__", "oh"], sound(t));
    check("12: a histogram", &running, &request, 204, [0, 1, 0], "").await;
    check("12: the same histogram", &running, &request, 204, [0, 1, 0], "").await;
    request.timeseries[0].histograms[0].sum = 9.0;
    check("12: another histogram", &running, &request, 400, [0, 0, 0], "duplicate sample").await;

    // Rule 13: late, and too late; NaN equals the NaN of the same bits.
    let nan = |bits: u64| Request::of(&["__name__", "not_a_number"], &[(t, f64::from_bits(bits))]);
    check("13: a NaN", &running, &nan(0x7ff8_0000_0000_0001), 204, [1, 0, 0], "").await;
    check("13: the same NaN", &running, &nan(0x7ff8_0000_0000_0001), 204, [1, 0, 0], "").await;
    check("13: another NaN", &running, &nan(0x7ff8_0000_0000_0003), 400, [0, 0, 0], "duplicate").await;
    let late = Request::of(&["__name__", "o"], &[(t - 60_000, 3.0)]);
    check("13: within the window", &running, &late, 204, [1, 0, 0], "").await;
    let late = Request::of(&["__name__", "o"], &[(t - 2 * 3_600_000, 3.0)]);
    check("13: too old", &running, &late, 400, [0, 0, 0], "too old").await;

    // Rule 14: the marker that ends a series.
    let request = Request::of(&["__name__", "ends"], &[(t - 2000, 1.0), (t - 1000, f64::from_bits(STALE))]);
    check("14", &running, &request, 204, [2, 0, 0], "").await;
    assert_eq!(values(&running, "ends", t).await, [""; 0]);
    assert_eq!(values(&running, "ends", t - 1500).await, ["1"]);
    assert_eq!(values(&running, "count_over_time(ends[1m])", t).await, ["1"]);
    assert_eq!(values(&running, "not_a_number", t).await, ["NaN"], "another NaN is a value");
    let mut ends = sound(t + 1000);
    ends = Histogram { sum: f64::from_bits(STALE), timestamp: ends.timestamp, ..Histogram::default() };
    check("14: a histogram", &running, &Request::of_histogram(&["__name__", "oh"], ends), 204, [0, 1, 0], "")
        .await;
    assert_eq!(values(&running, "oh", t + 1500).await, [""; 0]);

    // Rule 15: start times are taken, whatever they say.
    for (start, created) in [(t - 5000, 0), (t + 5000, 0), (0, t - 5000), (-1, -1)] {
        let mut request =
            Request::of(&["__name__", "st", "case", &format!("{start} {created}")], &[(t, 1.0)]);
        request.timeseries[0].samples[0].start_timestamp = start;
        request.timeseries[0].created_timestamp = created;
        check("15", &running, &request, 204, [1, 0, 0], "").await;
    }
    let histogram = Histogram { start_timestamp: t - 5000, ..sound(t) };
    check("15", &running, &Request::of_histogram(&["__name__", "sth"], histogram), 204, [0, 1, 0], "").await;
    running.server.stop().await;
}

#[tokio::test]
async fn remote_write_keeps_its_rules_of_histograms() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let t = now_ms();

    // Rule 16: what is sound is taken.
    let float = Histogram {
        count_int: None,
        count_float: Some(4.0),
        zero_count_int: None,
        zero_count_float: Some(1.0),
        positive_deltas: vec![],
        positive_counts: vec![2.0, 1.0],
        ..sound(t)
    };
    let custom = Histogram {
        schema: -53,
        zero_threshold: 0.0,
        zero_count_int: None,
        count_int: Some(3),
        custom_values: vec![1.0, 2.0],
        ..sound(t)
    };
    let more = Histogram { count_int: Some(9), sum: f64::NAN, ..sound(t) };
    let schema = |schema| Histogram { schema, ..sound(t) };
    let empty = Histogram { count_int: Some(0), timestamp: t, ..Histogram::default() };
    let sound_ones: [(&str, Histogram); 9] = [
        ("whole", sound(t)),
        ("float", float.clone()),
        ("custom", custom.clone()),
        ("nan_sum", more),
        ("coarse", schema(-4)),
        ("fine", schema(8)),
        ("finer", schema(9)),
        ("finest", schema(52)),
        ("empty", empty),
    ];
    for (name, histogram) in sound_ones {
        let request = Request::of_histogram(&["__name__", "sound", "case", name], histogram);
        check(name, &running, &request, 204, [0, 1, 0], "").await;
    }
    let path = "/api/barograph/v1/histograms?match[]=sound%7Bcase%3D%22finest%22%7D";
    let found = running.get(path).await.json();
    let histogram = &found["results"][0]["histograms"][0]["histogram"];
    assert_eq!((&histogram["schema"], &histogram["count"]), (&8.into(), &4.0.into()), "16: reduced to 8");

    // Rule 16: what is not is named, and the rest is stored.
    let spans = |spans: &[(i32, u32)]| Histogram {
        positive_spans: spans.iter().map(|&(offset, length)| Span { offset, length }).collect(),
        ..sound(t)
    };
    let broken: [(&str, Histogram, &str); 14] = [
        ("schema 53", schema(53), "schema"),
        ("schema -5", schema(-5), "schema"),
        ("schema of another type", schema(1000), "schema"),
        ("spans cover too little", spans(&[(0, 1)]), "spans"),
        ("spans cover too much", spans(&[(0, 3)]), "spans"),
        ("spans go back", spans(&[(0, 1), (-1, 1)]), "spans"),
        ("a negative bucket", Histogram { positive_deltas: vec![2, -3], ..sound(t) }, "negative count"),
        ("count is less", Histogram { count_int: Some(3), ..sound(t) }, "count does not match"),
        ("count is more", Histogram { count_int: Some(5), ..sound(t) }, "count does not match"),
        (
            "custom with a zero bucket",
            Histogram { zero_count_int: Some(1), count_int: Some(4), ..custom.clone() },
            "custom bounds",
        ),
        (
            "custom bounds descend",
            Histogram { custom_values: vec![2.0, 1.0], ..custom.clone() },
            "custom bounds",
        ),
        (
            "custom bounds have no end",
            Histogram { custom_values: vec![1.0, f64::INFINITY], ..custom.clone() },
            "custom bounds",
        ),
        (
            "custom has a negative side",
            Histogram {
                negative_spans: vec![Span { offset: 0, length: 1 }],
                negative_deltas: vec![1],
                count_int: Some(4),
                ..custom.clone()
            },
            "custom bounds",
        ),
        ("bounds without custom", Histogram { custom_values: vec![1.0], ..sound(t) }, "custom bounds"),
    ];
    for (name, histogram, reason) in broken {
        let mut request = Request::of_histogram(&["__name__", "broken", "case", name], histogram);
        request.timeseries[0].histograms.push(sound(t + 1));
        check(name, &running, &request, 400, [0, 1, 0], reason).await;
    }

    // Rule 17: a gauge stays one, and merges without resets.
    for (number, count) in [4u64, 2, 3].into_iter().enumerate() {
        let at = t - 3000 + 1000 * i64::try_from(number).unwrap();
        let positive_deltas =
            vec![i64::try_from(count).unwrap() - 2, 1 - (i64::try_from(count).unwrap() - 2)];
        let histogram = Histogram { count_int: Some(count), positive_deltas, reset_hint: 3, ..sound(at) };
        let request = Request::of_histogram(&["__name__", "gauge"], histogram);
        check("17", &running, &request, 204, [0, 1, 0], "").await;
    }
    let found = running.get("/api/barograph/v1/histograms?match[]=gauge").await.json();
    assert_eq!(found["results"][0]["histograms"][1]["histogram"]["reset"], "gauge");
    running.server.stop().await;
}

#[tokio::test]
async fn remote_write_keeps_its_rules_of_exemplars_and_metadata() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let t = now_ms();

    // Rule 18: exemplars.
    let with = |at: i64, exemplars: &[(&str, i64)]| {
        let mut request = Request::of(&["__name__", "e_total"], &[(at, 1.0)]);
        let made: Vec<_> = exemplars
            .iter()
            .map(|(id, timestamp)| Exemplar {
                labels_refs: request.refs(&["trace_id", id]),
                value: 2.0,
                timestamp: *timestamp,
            })
            .collect();
        request.timeseries[0].exemplars = made;
        request
    };
    check("18", &running, &with(t, &[("a", t - 20), ("b", t - 10)]), 204, [1, 0, 2], "").await;
    check("18: the same again", &running, &with(t, &[("b", t - 10)]), 204, [1, 0, 1], "").await;
    let request = with(t + 1, &[("c", t - 15)]);
    check("18: out of order", &running, &request, 400, [1, 0, 0], "out of order exemplar").await;
    let long = "x".repeat(200);
    check("18: too long is left out", &running, &with(t + 2, &[(&long, t)]), 204, [1, 0, 0], "").await;
    let mut request = with(t + 3, &[("d", t)]);
    request.timeseries[0].exemplars[0].labels_refs.pop();
    check("18: odd labels", &running, &request, 400, [1, 0, 0], "exemplar: label references").await;
    let found = running.data("/api/v1/query_exemplars?query=e_total&start=0&end=99999999999").await;
    assert_eq!(found[0]["exemplars"].as_array().unwrap().len(), 2);
    let odd = format!("/api/v1/query_exemplars?query=test&start={t}&end={t}");
    assert_eq!(running.data(&odd).await, serde_json::json!([]), "as Grafana probes");

    // Rule 19: metadata.
    let described = |name: &str, kind, help: &str, unit: &str| {
        let mut request = Request::of(&["__name__", name], &[(t, 1.0)]);
        let (help_ref, unit_ref) = (request.refs(&[help])[0], request.refs(&[unit])[0]);
        request.timeseries[0].metadata = Some(Metadata { kind, help_ref, unit_ref });
        request
    };
    check("19", &running, &described("m_seconds", 2, "First.", "seconds"), 204, [1, 0, 0], "").await;
    check("19", &running, &described("m_seconds", 2, "Last.", "seconds"), 204, [1, 0, 0], "").await;
    check("19", &running, &described("h_bucket", 3, "Of a family.", ""), 204, [1, 0, 0], "").await;
    check("19: an unknown type", &running, &described("odd", 77, "Odd.", ""), 204, [1, 0, 0], "").await;
    let mut request = described("lost", 1, "x", "");
    request.timeseries[0].metadata.as_mut().unwrap().help_ref = 999;
    check("19: never fails a request", &running, &request, 204, [1, 0, 0], "").await;
    let metadata = running.data("/api/v1/metadata").await;
    let expected = serde_json::json!([{"type": "gauge", "help": "Last.", "unit": "seconds"}]);
    assert_eq!(metadata["m_seconds"], expected, "19: the last one wins");
    assert_eq!(metadata["h"][0]["type"], "histogram");
    assert_eq!(metadata["odd"][0]["help"], "Odd.");
    running.server.stop().await;
}

/// Rule 5: overload and a store that cannot write are never a 400, and a replay is harmless.
#[tokio::test]
async fn remote_write_tells_what_may_be_sent_again() {
    let disk = MemoryDisk::new();
    let config = configured("collectors: {built_in: false}\n");
    let running = start_on(Arc::new(disk.clone()), config).await;
    let t = now_ms();
    let request = Request::of(&["__name__", "up"], &[(t, 1.0)]);
    disk.fail(0, u64::MAX, Fault::Full);
    let reply = send(&running, &request).await;
    assert!(reply.status.is_server_error(), "{}: {}", reply.status, reply.text);
    assert_eq!(written(&reply), Some([0, 0, 0]));
    assert!(reply.headers.contains_key("retry-after"));
    disk.heal();
    running.server.stop().await;
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    for _ in 0..2 {
        check("5: a replay", &running, &request, 204, [1, 0, 0], "").await;
    }
    running.server.stop().await;
}
