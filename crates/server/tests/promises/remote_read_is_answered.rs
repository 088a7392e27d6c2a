//! A Prometheus that reads from us gets every sample that is stored, as samples or as a stream of chunks, and is charged
//! like any other query.

use barograph_model::{Histogram, HistogramParts, Labels, Sample, Timestamp};
use barograph_wire::{
    prometheus_tsdb::{Frame, frame},
    remote_write::Writer,
};
use hyper::Method;
use prost::Message;

use crate::support::{Reply, Running, configured, now_ms, start};

#[derive(Clone, PartialEq, Message)]
struct ReadRequest {
    #[prost(message, repeated, tag = "1")]
    queries: Vec<Query>,
    #[prost(int32, repeated, tag = "2")]
    accepted: Vec<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct Query {
    #[prost(int64, tag = "1")]
    start: i64,
    #[prost(int64, tag = "2")]
    end: i64,
    #[prost(message, repeated, tag = "3")]
    matchers: Vec<Matcher>,
}

#[derive(Clone, PartialEq, Message)]
struct Matcher {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct ReadResponse {
    #[prost(message, repeated, tag = "1")]
    results: Vec<QueryResult>,
}

#[derive(Clone, PartialEq, Message)]
struct QueryResult {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Point>,
    #[prost(bytes = "vec", repeated, tag = "4")]
    histograms: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Point {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ChunkedReadResponse {
    #[prost(message, repeated, tag = "1")]
    series: Vec<ChunkedSeries>,
    #[prost(int64, tag = "2")]
    query: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ChunkedSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    chunks: Vec<Chunk>,
}

#[derive(Clone, PartialEq, Message)]
struct Chunk {
    #[prost(int64, tag = "1")]
    first: i64,
    #[prost(int64, tag = "2")]
    last: i64,
    #[prost(int32, tag = "3")]
    encoding: i32,
    #[prost(bytes = "vec", tag = "4")]
    data: Vec<u8>,
}

fn query(start: i64, end: i64, matchers: &[(i32, &str, &str)]) -> Query {
    let matcher =
        |&(kind, name, value): &(i32, &str, &str)| Matcher { kind, name: name.into(), value: value.into() };
    Query { start, end, matchers: matchers.iter().map(matcher).collect() }
}

async fn post(running: &Running, body: &[u8]) -> Reply {
    let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
    running.call(Method::POST, "/api/v1/read", &headers, body).await
}

fn compressed(request: &ReadRequest) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap()
}

/// The bytes of an answer, as [`Reply`] holds text.
async fn read(running: &Running, request: &ReadRequest) -> (String, Vec<u8>) {
    use http_body_util::BodyExt;
    let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
    let reply = running.send(Method::POST, "/api/v1/read", &headers, &compressed(request)).await;
    assert_eq!(reply.status(), 200);
    let kind = reply.headers()["content-type"].to_str().unwrap().to_owned();
    (kind, reply.into_body().collect().await.unwrap().to_bytes().to_vec())
}

fn text(labels: &[Label]) -> String {
    let labels: Vec<_> = labels.iter().map(|label| format!("{}={}", label.name, label.value)).collect();
    labels.join(",")
}

/// The samples and histograms of a chunk, read as they lie in a block of Prometheus.
fn decode(chunk: &Chunk) -> (Vec<Sample>, Vec<(Timestamp, Histogram)>) {
    let mut bytes = Vec::new();
    prost::encoding::encode_varint(chunk.data.len() as u64, &mut bytes);
    let checked = bytes.len();
    bytes.push(u8::try_from(chunk.encoding).unwrap());
    bytes.extend_from_slice(&chunk.data);
    let sum = crc32c::crc32c(&bytes[checked..]);
    bytes.extend_from_slice(&sum.to_be_bytes());
    let Ok(Frame::Whole(whole)) = frame("chunk", 8, &bytes, true) else { panic!("no chunk") };
    let mut samples = Vec::new();
    match chunk.encoding {
        1 => whole.floats(&mut samples).unwrap(),
        _ => return (samples, whole.histograms().unwrap()),
    }
    (samples, Vec::new())
}

fn frames(mut bytes: &[u8]) -> Vec<ChunkedReadResponse> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let len = usize::try_from(prost::encoding::decode_varint(&mut bytes).unwrap()).unwrap();
        let (sum, rest) = bytes.split_at(4);
        let (message, rest) = rest.split_at(len);
        assert_eq!(sum, crc32c::crc32c(message).to_be_bytes());
        found.push(ChunkedReadResponse::decode(message).unwrap());
        bytes = rest;
    }
    found
}

#[tokio::test]
async fn remote_read_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let config = configured("collectors: {built_in: false}\nglobal: {external_labels: {region: north}}\n");
    let running = start(dir.path(), config).await;
    let t = now_ms() - 600_000;
    let samples: Vec<_> = (0..300).map(|n| (t + n * 1000, (n as f64).sin())).collect();
    for job in ["a", "b"] {
        let labels = [("__name__", "load"), ("job", job)];
        assert_eq!(running.write_series(&labels, &samples).await.status, 204);
    }
    let parts = HistogramParts { positive: vec![(1, 2.0)], count: 2.0, sum: 3.0, ..Default::default() };
    let histogram = Histogram::new(parts).unwrap();
    let labels = Labels::from_pairs([("__name__", "load"), ("job", "h")]).unwrap();
    let mut writer = Writer::new();
    writer.histograms(labels.as_bytes(), &[(Timestamp(t), histogram.clone()), (Timestamp(t + 1), histogram)]);
    assert_eq!(running.write(&writer.compressed().unwrap()).await.status, 204);

    // Samples, of two queries; the ends are within, and external labels are asked for and answered.
    let all = query(t, t + 299_000, &[(0, "__name__", "load"), (0, "region", "north"), (2, "job", "a|h")]);
    let some = query(t + 1000, t + 2000, &[(0, "__name__", "load"), (1, "job", "a"), (3, "job", "h.*")]);
    let request = ReadRequest { queries: vec![all.clone(), some], accepted: vec![0] };
    let (kind, body) = read(&running, &request).await;
    assert_eq!(kind, "application/x-protobuf");
    let message = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    let found = ReadResponse::decode(message.as_slice()).unwrap().results;
    let series: Vec<_> = found[0].timeseries.iter().map(|series| text(&series.labels)).collect();
    assert_eq!(series, ["__name__=load,job=a,region=north", "__name__=load,job=h,region=north"]);
    let points: Vec<_> = found[0].timeseries[0].samples.iter().map(|p| (p.timestamp, p.value)).collect();
    assert_eq!(points, samples);
    assert_eq!((found[0].timeseries[1].samples.len(), found[0].timeseries[1].histograms.len()), (0, 2));
    let points: Vec<_> = found[1].timeseries[0].samples.iter().map(|p| p.timestamp - t).collect();
    assert_eq!((found[1].timeseries.len(), points), (1, vec![1000, 2000]));

    // The same as a stream of chunks.
    let request = ReadRequest { queries: vec![all.clone()], accepted: vec![1, 0] };
    let (kind, body) = read(&running, &request).await;
    assert_eq!(kind, "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse");
    let frames = frames(&body);
    let (mut floats, mut natives) = (Vec::new(), Vec::new());
    for frame in &frames {
        assert_eq!(frame.query, 0);
        for chunk in frame.series.iter().flat_map(|series| &series.chunks) {
            let (some, histograms) = decode(chunk);
            assert_eq!(chunk.first, some.first().map_or_else(|| histograms[0].0.0, |sample| sample.at.0));
            floats.extend(some.iter().map(|sample| (sample.at.0, sample.value)));
            natives.extend(histograms.into_iter().map(|(at, histogram)| (at.0 - t, histogram.count())));
        }
    }
    assert_eq!((floats, natives), (samples, vec![(0, 2.0), (1, 2.0)]));
    let nothing = ReadRequest { queries: vec![query(0, 1, &[(0, "__name__", "load")])], accepted: vec![1] };
    assert_eq!(read(&running, &nothing).await.1, b"");

    // What is wrong is named.
    let pattern = ReadRequest { queries: vec![query(0, 1, &[(2, "job", "(")])], accepted: vec![] };
    for accepted in [vec![0], vec![1]] {
        let reply = post(&running, &compressed(&ReadRequest { accepted, ..pattern.clone() })).await;
        assert_eq!(reply.status, 400, "{}", reply.text);
        assert!(reply.text.contains("cannot use the matcher"), "{}", reply.text);
    }
    assert_eq!(post(&running, b"no snappy").await.status, 400);
    let reply = running.call(Method::POST, "/api/v1/read", &[("content-type", "text/plain")], b"").await;
    assert_eq!(reply.status, 415);
    assert_eq!(running.get("/api/v1/read").await.status, 405);
    running.server.stop().await;

    let limited = "collectors: {built_in: false}\nquery: {max_samples: 100}\n";
    let running = start(dir.path(), configured(limited)).await;
    for accepted in [vec![0], vec![1]] {
        let reply = post(
            &running,
            &compressed(&ReadRequest { queries: vec![query(t, t + 299_000, &[(0, "job", "b")])], accepted }),
        )
        .await;
        assert_eq!(reply.status, 422, "{}", reply.text);
    }
    running.server.stop().await;
}
