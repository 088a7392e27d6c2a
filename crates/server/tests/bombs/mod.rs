//! Small requests made to hurt: each would take far more memory or time than it has bytes, if it were believed.
//!
//! The table is that of the test `bombs_are_refused_early` and of `cargo xtask bench bombs`, which includes this file.

#![allow(unreachable_pub, dead_code, reason = "it is used within programs, and not all of it in each")]

use std::io::Write as _;

/// A request that is to be refused.
pub struct Bomb {
    /// What it is, and where it goes.
    pub name: String,
    /// The path that takes it.
    pub path: &'static str,
    /// Headers of the request.
    pub headers: &'static [(&'static str, &'static str)],
    /// The body, as it is sent.
    pub body: Vec<u8>,
    /// The status of its refusal; where the rest of a request is taken, that of a partial success.
    pub status: u16,
    /// Words of its refusal.
    pub told: &'static str,
    /// Whether a good series `beside` is in the request, which has to be stored.
    pub beside: bool,
}

const NESTED: usize = 100_000;
const LABELS: usize = 1_000_000;
const LONG: usize = 1 << 20;
const UNPACKED: usize = 64 << 20;

type Headers = &'static [(&'static str, &'static str)];

const WRITE: Headers = &[("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
const WRITE_2: Headers = &[
    ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
    ("content-encoding", "snappy"),
];
const PROTOBUF: Headers = &[("content-type", "application/x-protobuf")];
const PROTOBUF_GZIP: Headers = &[("content-type", "application/x-protobuf"), ("content-encoding", "gzip")];
const PROTOBUF_ZSTD: Headers = &[("content-type", "application/x-protobuf"), ("content-encoding", "zstd")];
const JSON: Headers = &[("content-type", "application/json")];
const JSON_GZIP: Headers = &[("content-type", "application/json"), ("content-encoding", "gzip")];
const JSON_ZSTD: Headers = &[("content-type", "application/json"), ("content-encoding", "zstd")];
const GZIP: Headers = &[("content-encoding", "gzip")];
const TEXT: Headers = &[];
const FORM: Headers = &[("content-type", "application/x-www-form-urlencoded")];

/// All of them, with samples of a time in milliseconds.
pub fn all(at: i64) -> Vec<Bomb> {
    [declared(), packed(), nested(), labels(at)].into_iter().flatten().collect()
}

fn bomb(
    name: &str,
    (path, headers): (&'static str, Headers),
    body: Vec<u8>,
    (status, told): (u16, &'static str),
) -> Bomb {
    Bomb { name: format!("{name}: {path}"), path, headers, body, status, told, beside: false }
}

/// A body of a few bytes that says it is of 4 GiB.
fn declared() -> Vec<Bomb> {
    let body = || vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0];
    let refused = (400, "declares");
    vec![
        bomb("4 GiB declared", ("/api/v1/write", WRITE), body(), refused),
        bomb("4 GiB declared, 2.0", ("/api/v1/write", WRITE_2), body(), refused),
        bomb("4 GiB declared", ("/api/v1/read", WRITE), body(), refused),
    ]
}

/// A thousand to one, and more with zstd.
fn packed() -> Vec<Bomb> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let mut zstd = zstd::stream::Encoder::new(Vec::new(), 1).expect("zstd begins");
    for _ in 0..UNPACKED >> 20 {
        encoder.write_all(&vec![b'\n'; 1 << 20]).expect("gzip packs");
        zstd.write_all(&vec![b'\n'; 1 << 20]).expect("zstd packs");
    }
    let gzip = encoder.finish().expect("gzip ends");
    let zstd = zstd.finish().expect("zstd ends");
    let refused = (413, "expands");
    let gzipped = [
        ("/api/v1/import/prometheus", GZIP),
        ("/v1/metrics", PROTOBUF_GZIP),
        ("/v1/metrics", JSON_GZIP),
        ("/v1/traces", PROTOBUF_GZIP),
        ("/v1/traces", JSON_GZIP),
        ("/metrics/job/bomb", GZIP),
        ("/write", GZIP),
        ("/api/v2/write", GZIP),
        ("/api/v2/spans", JSON_GZIP),
    ];
    let packed = [("/v1/metrics", PROTOBUF_ZSTD), ("/v1/traces", JSON_ZSTD)];
    let gzipped = gzipped.into_iter().map(|to| bomb("gzip", to, gzip.clone(), refused));
    gzipped.chain(packed.into_iter().map(|to| bomb("zstd", to, zstd.clone(), refused))).collect()
}

/// Things in things in things.
fn nested() -> Vec<Bomb> {
    let lists = |start: &str| [start.as_bytes(), &vec![b'['; NESTED]].concat();
    // Of a field that nobody knows.
    let groups = |tag: u8| vec![tag; NESTED];
    let values = r#"{"arrayValue":{"values":["#.repeat(NESTED / 8);
    let attribute = format!(r#"{{"resource":{{"attributes":[{{"key":"a","value":{values}"#);
    let promql = |name: &str| format!("{name}={}1{}", "(".repeat(NESTED), ")".repeat(NESTED)).into_bytes();
    let bad = (400, "");
    let mut all = vec![
        bomb("lists", ("/api/barograph/v1/query", JSON), lists("{\"metrics\":"), bad),
        bomb("lists", ("/api/barograph/v1/query/explain", JSON), lists("{\"metrics\":"), bad),
        bomb("lists", ("/api/barograph/v1/record", JSON), lists("{\"metrics\":"), bad),
        bomb("lists", ("/api/v2/spans", JSON), lists(""), bad),
        bomb("lists", ("/v1/metrics", JSON), lists("{\"resourceMetrics\":"), bad),
        bomb("lists that are unknown", ("/v1/metrics", JSON), lists("{\"other\":"), bad),
        bomb(
            "values in values",
            ("/v1/metrics", JSON),
            format!("{{\"resourceMetrics\":[{attribute}").into_bytes(),
            bad,
        ),
        bomb(
            "values in values",
            ("/v1/traces", JSON),
            format!("{{\"resourceSpans\":[{attribute}").into_bytes(),
            bad,
        ),
        bomb("parentheses", ("/api/v1/query", FORM), promql("query"), bad),
        bomb("parentheses", ("/api/v1/query_range", FORM), promql("start=0&end=1&step=1&query"), bad),
        bomb("parentheses", ("/api/v1/parse_query", FORM), promql("query"), bad),
        bomb("parentheses", ("/api/v1/format_query", FORM), promql("query"), bad),
        bomb("parentheses", ("/api/v1/series", FORM), promql("match[]"), bad),
    ];
    for to in [("/api/v1/write", WRITE), ("/api/v1/write", WRITE_2), ("/api/v1/read", WRITE)] {
        all.push(bomb("groups", to, snappy(&groups(0x5b)), (400, "nested too deeply")));
    }
    for path in ["/v1/metrics", "/v1/traces"] {
        all.push(bomb("groups", (path, PROTOBUF), groups(0x5b), (400, "nested too deeply")));
        let mut body = Vec::new();
        // Resources, of one the resource, of that an attribute.
        put(&mut body, 1, &message(1, &message(1, &attribute_of(b"a", &deep_value()))));
        // Attributes of spans are kept as they came; nobody walks lists in them.
        let refused = if path == "/v1/metrics" { (400, "nested too deeply") } else { (200, "") };
        let mut bomb = bomb("values in values", (path, PROTOBUF), body, refused);
        bomb.name.push_str(", protobuf");
        all.push(bomb);
    }
    all
}

/// Labels without end, and one that has none.
fn labels(at: i64) -> Vec<Bomb> {
    let many: Vec<String> = (0..LABELS).map(|i| format!("l{i}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (&**name, "x")).collect();
    let value = "v".repeat(LONG);
    let long = [("a", value.as_str())];
    let mut all = Vec::new();
    for (name, labels) in [("a million labels", &many[..]), ("a label of 1 MiB", &long[..])] {
        let is_many = labels.len() > 1;
        let text = format!("beside{{n=\"{name}\"}} 1\na{{{}}} 1\n", written(labels, "=", "\""));
        let time = at * 1_000_000;
        let lines = format!(
            "beside,n={} value=1 {time}\na,{} value=1 {time}\n",
            labels.len(),
            written(labels, "=", "")
        );
        let tags = written(labels, ":", "\"").replace("\",", "\",\"").replace(":\"", "\":\"");
        let tags = format!("{{\"{}}}", tags.trim_end_matches(",\""));
        let span = format!(
            r#"[{{"traceId":"463ac35c9f6413ad48485a3953bb6124","id":"a2fb4a1d1a96d312","name":"a","tags":{tags}}}]"#
        );
        let add = |all: &mut Vec<Bomb>, to, body: Vec<u8>, refused| {
            all.push(Bomb { beside: true, ..bomb(name, to, body, refused) });
        };
        let wrong = if is_many { "it and what follows were not read" } else { "label value is too long" };
        let large = if is_many { "it and what follows were not read" } else { "larger than 1 MiB" };
        add(&mut all, ("/api/v1/write", WRITE), snappy(&written_1(labels, at, name)), (400, wrong));
        add(&mut all, ("/api/v1/import/prometheus", TEXT), text.into_bytes(), (400, "at most 1 MiB"));
        add(&mut all, ("/v1/metrics", PROTOBUF), gauge(labels, at, name), (200, "larger than"));
        add(&mut all, ("/api/v2/write", TEXT), lines.into_bytes(), (400, "unable to parse"));
        let body = snappy(&written_2(labels, at, name));
        match is_many {
            // Such a table of symbols is refused as a whole.
            true => all.push(bomb(name, ("/api/v1/write", WRITE_2), body, (400, "too many symbols"))),
            false => add(&mut all, ("/api/v1/write", WRITE_2), body, (400, "")),
        }
        all.push(bomb(name, ("/api/v2/spans", JSON), span.into_bytes(), (400, large)));
        let resource = labels.iter().map(|(name, value)| attribute_of(name.as_bytes(), &text_of(value)));
        let resource: Vec<u8> = resource.flat_map(|attribute| message(1, &attribute)).collect();
        let spans = message(1, &[message(1, &resource), message(2, &message(2, &span_of()))].concat());
        all.push(bomb(name, ("/v1/traces", PROTOBUF), spans, (400, "larger than 1 MiB")));
    }
    all
}

fn written(labels: &[(&str, &str)], between: &str, quote: &str) -> String {
    let labels = labels.iter().map(|(name, value)| format!("{name}{between}{quote}{value}{quote}"));
    labels.collect::<Vec<_>>().join(",")
}

/// `prometheus.WriteRequest`: a good series, and one with labels.
fn written_1(labels: &[(&str, &str)], at: i64, of: &str) -> Vec<u8> {
    let series = |name: &str, labels: &[(&str, &str)]| {
        let mut series = message(1, &pair("__name__", name));
        let mut sorted: Vec<_> = labels.to_vec();
        sorted.sort_unstable();
        sorted.iter().for_each(|(name, value)| put(&mut series, 1, &pair(name, value)));
        put(&mut series, 2, &sample(at));
        message(1, &series)
    };
    [series("beside_1", &[("n", of)]), series("bomb", labels)].concat()
}

/// `io.prometheus.write.v2.Request` of the same.
fn written_2(labels: &[(&str, &str)], at: i64, of: &str) -> Vec<u8> {
    let mut sorted: Vec<_> = labels.to_vec();
    sorted.sort_unstable();
    let mut body = Vec::new();
    for symbol in ["", "__name__", "beside_2", "bomb", "n", of] {
        put(&mut body, 4, symbol.as_bytes());
    }
    let series = |name: u8, labels: &[u64]| {
        let mut refs = vec![1, name];
        labels.iter().for_each(|symbol| number(&mut refs, *symbol));
        message(5, &[message(1, &refs), message(2, &sample(at))].concat())
    };
    let mut refs = Vec::new();
    for (place, (name, value)) in (0..).zip(&sorted) {
        put(&mut body, 4, name.as_bytes());
        put(&mut body, 4, value.as_bytes());
        refs.extend([6 + 2 * place, 7 + 2 * place]);
    }
    body.extend(series(2, &[4, 5]));
    body.extend(series(3, &refs));
    body
}

/// `ExportMetricsServiceRequest` of two gauges, of which one has attributes.
fn gauge(labels: &[(&str, &str)], at: i64, of: &str) -> Vec<u8> {
    let gauge = |name: &str, labels: &[(&str, &str)]| {
        let mut point = vec![0x19];
        point.extend_from_slice(&(at * 1_000_000).to_le_bytes());
        point.push(0x21);
        point.extend_from_slice(&1.0_f64.to_le_bytes());
        let attributes = labels.iter().map(|(name, value)| attribute_of(name.as_bytes(), &text_of(value)));
        attributes.for_each(|attribute| put(&mut point, 7, &attribute));
        message(2, &[message(1, name.as_bytes()), message(5, &message(1, &point))].concat())
    };
    let metrics = [gauge("beside.otlp", &[("n", of)]), gauge("bomb", labels)].concat();
    message(1, &message(2, &metrics))
}

/// A `Span` with its ids, a name and times.
fn span_of() -> Vec<u8> {
    let mut span = [message(1, &[1; 16]), message(2, &[2; 8]), message(5, b"a")].concat();
    for tag in [0x39, 0x41] {
        span.push(tag);
        span.extend_from_slice(&1_u64.to_le_bytes());
    }
    span
}

/// An `AnyValue` of lists in lists. Written from the inside out, back to front.
fn deep_value() -> Vec<u8> {
    let mut reversed: Vec<u8> = Vec::new();
    for _ in 0..NESTED {
        // A value in a list, the list in a value.
        for tag in [0x0a, 0x2a] {
            let mut len = Vec::new();
            number(&mut len, reversed.len() as u64);
            reversed.extend(len.iter().rev());
            reversed.push(tag);
        }
    }
    reversed.reverse();
    reversed
}

fn sample(at: i64) -> Vec<u8> {
    let mut sample = vec![0x09];
    sample.extend_from_slice(&1.0_f64.to_le_bytes());
    sample.push(0x10);
    number(&mut sample, at.cast_unsigned());
    sample
}

fn text_of(value: &str) -> Vec<u8> {
    message(1, value.as_bytes())
}

fn attribute_of(key: &[u8], value: &[u8]) -> Vec<u8> {
    [message(1, key), message(2, value)].concat()
}

fn pair(name: &str, value: &str) -> Vec<u8> {
    [message(1, name.as_bytes()), message(2, value.as_bytes())].concat()
}

fn message(field: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(content.len() + 8);
    put(&mut bytes, field, content);
    bytes
}

fn put(bytes: &mut Vec<u8>, field: u8, content: &[u8]) {
    bytes.push(field << 3 | 2);
    number(bytes, content.len() as u64);
    bytes.extend_from_slice(content);
}

fn number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).expect("it is far below the 4 GiB snappy takes")
}
