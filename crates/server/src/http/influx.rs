//! `POST /write` and `POST /api/v2/write`: InfluxDB line protocol; `GET /ping`, by which its clients see that we live.
//!
//! A field becomes a series `measurement_field`, or `measurement` if it is called `value`; tags become labels, and the
//! database or bucket the label `db`. Truths are 0 and 1; texts are passed over and counted. What is good in a request is
//! stored; what is not is told in the JSON of InfluxDB, with its line.

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use barograph_model::{Labels, METRIC_NAME, Timestamp};
use barograph_wire::influx::{self, Point, Value};
use serde_json::json;

use super::{
    App, RequestLimits,
    body::Whole,
    import::decoded,
    write::{acknowledged, check_count},
};
use crate::{
    Engine,
    intake::{self, Batch, Refused},
    naming::{label_name, metric_name},
    telemetry::Origin,
};

/// A text takes about so many times its size while its lines are stored.
const LINES_COST: usize = 6;

/// Bytes of what is told in a header; what is between us and the client may take no more.
const HEADER_BYTES_MAX: usize = 1024;

/// So many faults are told one by one; of the rest only the number.
const FAULTS_MAX: usize = 10;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/write", post(first)).route("/api/v2/write", post(second)).route("/ping", get(ping))
}

async fn ping() -> Response {
    let version = HeaderValue::from_static(concat!("barograph-", env!("CARGO_PKG_VERSION")));
    (StatusCode::NO_CONTENT, [("x-influxdb-version", version)]).into_response()
}

async fn first(app: State<App>, uri: Uri, headers: HeaderMap, body: Whole) -> Response {
    write(app, uri, headers, body, "db").await.unwrap_or_else(|refused| refused.of_first())
}

async fn second(app: State<App>, uri: Uri, headers: HeaderMap, body: Whole) -> Response {
    write(app, uri, headers, body, "bucket").await.unwrap_or_else(|refused| refused.of_second())
}

/// Why not all was stored.
struct Fault {
    status: StatusCode,
    text: String,
    /// The first line that is concerned.
    line: Option<usize>,
}

impl Fault {
    /// As version 1 of InfluxDB says it.
    fn of_first(self) -> Response {
        let line = &self.text[..self.text.floor_char_boundary(HEADER_BYTES_MAX)];
        let header = HeaderValue::from_bytes(line.replace(char::is_control, " ").as_bytes());
        let mut response = (self.status, Json(json!({ "error": self.text }))).into_response();
        if let Ok(header) = header {
            response.headers_mut().insert("x-influxdb-error", header);
        }
        again_later(response)
    }

    /// As version 2 says it.
    fn of_second(self) -> Response {
        let code = match self.status {
            StatusCode::BAD_REQUEST => "invalid",
            StatusCode::PAYLOAD_TOO_LARGE => "request too large",
            StatusCode::TOO_MANY_REQUESTS => "too many requests",
            StatusCode::SERVICE_UNAVAILABLE => "unavailable",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported media type",
            _ => "internal error",
        };
        let mut body = json!({ "code": code, "message": self.text });
        if let Some(line) = self.line {
            body["line"] = line.into();
        }
        again_later((self.status, Json(body)).into_response())
    }
}

impl From<Refused> for Fault {
    fn from((status, text): Refused) -> Self {
        Self { status, text, line: None }
    }
}

/// Says when to come again, if that may help.
fn again_later(mut response: Response) -> Response {
    let status = response.status();
    if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

async fn write(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
    Whole(body): Whole,
    database: &str,
) -> Result<Response, Fault> {
    let mut asked = Asked { unit: Unit::Nanoseconds, database: String::new() };
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        match name.as_ref() {
            "precision" => asked.unit = Unit::read(&value)?,
            name if name == database => asked.database = value.into_owned(),
            _ => {}
        }
    }
    let cost = body.len().saturating_mul(LINES_COST);
    let stored = intake::admitted(&app, cost, move |engine, limits| {
        let text = decoded(&headers, &body, limits.decoded_bytes)?;
        store(engine, limits, &asked, &text)
    });
    match stored.await? {
        (engine, None) => Ok(acknowledged(&engine)),
        (_, Some(fault)) => Err(fault),
    }
}

/// What the address of a request says.
struct Asked {
    unit: Unit,
    database: String,
}

/// What times count.
#[derive(Clone, Copy)]
enum Unit {
    Nanoseconds,
    Microseconds,
    /// So many milliseconds.
    Milliseconds(i64),
}

impl Unit {
    fn read(word: &str) -> Result<Self, Refused> {
        Ok(match word {
            "" | "n" | "ns" => Self::Nanoseconds,
            "u" | "us" | "µ" => Self::Microseconds,
            "ms" => Self::Milliseconds(1),
            "s" => Self::Milliseconds(1_000),
            "m" => Self::Milliseconds(60_000),
            "h" => Self::Milliseconds(3_600_000),
            other => {
                let why = format!("invalid precision {other:?}; expected ns, us, ms, s, m or h");
                return Err((StatusCode::BAD_REQUEST, why));
            }
        })
    }

    fn timestamp(self, time: i64) -> Timestamp {
        Timestamp(match self {
            Self::Nanoseconds => time.div_euclid(1_000_000),
            Self::Microseconds => time.div_euclid(1_000),
            Self::Milliseconds(times) => time.saturating_mul(times),
        })
    }
}

/// Stores what can be stored; what is to become durable, and what was wrong if anything was.
fn store(
    engine: &Engine,
    limits: RequestLimits,
    asked: &Asked,
    text: &[u8],
) -> Result<(u64, Option<Fault>), Refused> {
    let now = engine.clock.now();
    let (mut batch, mut lines, mut faults) = (Batch::default(), Vec::new(), Faults::default());
    let mut texts = 0u64;
    for point in influx::read(text) {
        let point = match point {
            Ok(point) => point,
            Err(error) => {
                faults.add(error.line, || error.to_string());
                continue;
            }
        };
        let at = point.at.map_or(now, |time| asked.unit.timestamp(time));
        for (field, value) in &point.fields {
            let value = match *value {
                Value::Number(number) => number,
                Value::Bool(truth) => f64::from(u8::from(truth)),
                Value::Text => {
                    texts += 1;
                    continue;
                }
            };
            match labels(&point, field, &asked.database) {
                Ok(labels) => {
                    batch.samples.push((labels, at, value));
                    lines.push(point.line);
                    check_count(batch.len(), limits)?;
                }
                Err(why) => faults.add(point.line, || format!("line {}: {why}", point.line)),
            }
        }
    }
    engine.telemetry.influx_texts.add(texts);
    let taken = batch.store(engine, Origin::Influx)?;
    for left in &taken.left {
        let (line, labels) = (lines[left.place], &batch.samples[left.place].0);
        faults.add(line, || format!("line {line}: {labels}: {}", left.reason));
    }
    Ok((taken.ticket, faults.fault()))
}

/// The series of a field.
fn labels(point: &Point<'_>, field: &str, database: &str) -> Result<Labels, String> {
    let name = match field {
        "value" => metric_name(&point.measurement),
        field => metric_name(&format!("{}_{field}", point.measurement)),
    };
    let mut pairs = vec![(METRIC_NAME.to_owned(), name)];
    for (name, value) in &point.tags {
        let name = label_name(name);
        if pairs.iter().any(|pair| pair.0 == name) {
            return Err(format!("two tags become the label {name}; leave one out"));
        }
        pairs.push((name, value.clone().into_owned()));
    }
    if pairs.iter().all(|pair| pair.0 != "db") {
        pairs.push(("db".to_owned(), database.to_owned()));
    }
    let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Labels::from_pairs(pairs).map_err(|error| error.to_string())
}

/// What was wrong, the first few in words.
#[derive(Default)]
struct Faults {
    count: usize,
    line: Option<usize>,
    described: Vec<String>,
}

impl Faults {
    fn add(&mut self, line: usize, describe: impl FnOnce() -> String) {
        self.count += 1;
        self.line = Some(self.line.map_or(line, |first| first.min(line)));
        if self.described.len() < FAULTS_MAX {
            self.described.push(describe());
        }
    }

    fn fault(self) -> Option<Fault> {
        let text = format!("partial write: {} dropped={}", self.described.join("\n"), self.count);
        (self.count > 0).then_some(Fault { status: StatusCode::BAD_REQUEST, text, line: self.line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, database: &str, expected: &str) {
        let point = influx::read(line.as_bytes()).next().unwrap().unwrap();
        let found = labels(&point, &point.fields[0].0, database);
        assert_eq!(found.map_or_else(|why| why, |labels| labels.to_string()), expected);
    }

    #[test]
    fn fields_are_series() {
        check("cpu,host=a load=1", "d", r#"cpu_load{db="d", host="a"}"#);
        check("cpu,host-name=a value=1", "", r#"cpu{host_name="a"}"#);
        check("cpu,db=mine us.er=1", "d", r#"cpu_us_er{db="mine"}"#);
        check("cpu,a.b=1,a_b=2 x=1", "", "two tags become the label a_b; leave one out");
        check("cpu,__name__=x y=1", "", "two tags become the label __name__; leave one out");
    }

    #[test]
    fn a_header_is_short_whatever_is_told() {
        let text = format!("line 1: \"\t{}\"\nline 2: {}", "é", "x".repeat(100_000));
        let response = Fault { status: StatusCode::BAD_REQUEST, text, line: None }.of_first();
        let told = response.headers().get("x-influxdb-error").unwrap().as_bytes();
        assert!(told.starts_with("line 1: \" é\" line 2: xxx".as_bytes()) && told.len() <= HEADER_BYTES_MAX);
    }

    #[test]
    fn times_count_what_the_request_says() {
        let check = |word, time, expected| assert_eq!(Unit::read(word).unwrap().timestamp(time).0, expected);
        check("ns", 1_999_999, 1);
        check("u", -1, -1);
        check("s", 2, 2_000);
        check("h", i64::MAX, i64::MAX);
        assert!(Unit::read("days").is_err());
    }
}
