//! `/metrics/job/{job}{/label/value}...`: metrics pushed as to a Prometheus push gateway.
//!
//! `PUT` takes the place of the whole group, `POST` of the metrics of the same names, `DELETE` of all. A value that is not
//! good in a path comes in base64, its label with `@base64` behind it. Text 0.0.4 unless the content type says OpenMetrics or
//! delimited protobuf.

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::put,
};
use barograph_model::Labels;
use barograph_wire::exposition::Dialect;
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{App, body::Whole, import::decoded, write::refused};
use crate::{
    intake,
    push::{Mode, read, read_protobuf, stored_for},
};

/// A text takes about so many times its size while it is read, kept and stored.
const TEXT_COST: usize = 8;

/// The alphabet for addresses, padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/metrics/job/{*rest}", put(replace).post(add).delete(remove))
        .route("/metrics/job@base64/{*rest}", put(replace).post(add).delete(remove))
}

async fn replace(app: State<App>, uri: Uri, headers: HeaderMap, body: Whole) -> Response {
    push(app, uri, headers, body, Mode::All).await
}

async fn add(app: State<App>, uri: Uri, headers: HeaderMap, body: Whole) -> Response {
    push(app, uri, headers, body, Mode::SameNames).await
}

async fn push(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
    Whole(body): Whole,
    mode: Mode,
) -> Response {
    let labels = match labels(uri.path()) {
        Ok(labels) => labels,
        Err(why) => return refused(StatusCode::BAD_REQUEST, &why),
    };
    let kind = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
    let protobuf = kind.is_some_and(|kind| kind.starts_with("application/vnd.google.protobuf"));
    let dialect = kind.and_then(Dialect::from_content_type).unwrap_or(Dialect::Text);
    let cost = body.len().saturating_mul(TEXT_COST);
    let pushed = intake::admitted(&app, cost, move |engine, limits| {
        let now = engine.clock.now();
        let text = decoded(&headers, &body, limits.decoded_bytes)?;
        let families = match protobuf {
            true => read_protobuf(&text, &labels, limits.samples),
            false => read(&text, dialect, &labels, limits.samples),
        };
        let families = families.map_err(|why| {
            engine.push.failed(&labels, now);
            (StatusCode::BAD_REQUEST, why)
        })?;
        let batch = engine.push.push(&labels, families, mode, now)?;
        Ok((stored_for(engine, &batch)?.ticket, ()))
    });
    match pushed.await {
        Ok(_) => StatusCode::OK.into_response(),
        Err((status, why)) => refused(status, &why),
    }
}

async fn remove(State(app): State<App>, uri: Uri) -> Response {
    let labels = match labels(uri.path()) {
        Ok(labels) => labels,
        Err(why) => return refused(StatusCode::BAD_REQUEST, &why),
    };
    let removed = intake::admitted(&app, 0, move |engine, _| {
        let batch = engine.push.delete(&labels, engine.clock.now())?;
        Ok((stored_for(engine, &batch)?.ticket, ()))
    });
    match removed.await {
        Ok(_) => StatusCode::ACCEPTED.into_response(),
        Err((status, why)) => refused(status, &why),
    }
}

/// The labels of a group, as they stand in a path.
fn labels(path: &str) -> Result<Labels, String> {
    let parts: Vec<&str> = path.strip_prefix("/metrics/").unwrap_or(path).split('/').collect();
    if !parts.len().is_multiple_of(2) {
        return Err("expected /metrics/job/JOB{/LABEL/VALUE}; a label has no value".to_owned());
    }
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in parts.chunks_exact(2) {
        let [name, value] = [pair[0], pair[1]].map(plain);
        let (name, value) = (name?, value?);
        let (name, value) = match name.strip_suffix("@base64") {
            Some(name) => (name.to_owned(), unpacked(name, &value)?),
            None => (name, value),
        };
        let first = !name.starts_with(|c: char| c.is_ascii_digit()) && !name.starts_with("__");
        if name.is_empty() || !first || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(format!("{name:?} is no name of a label"));
        }
        pairs.push((name, value));
    }
    if pairs.first().is_none_or(|(_, job)| job.is_empty()) {
        return Err("the job has no name; expected /metrics/job/JOB".to_owned());
    }
    let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Labels::from_pairs(pairs).map_err(|error| error.to_string())
}

/// A part of a path without percent signs.
fn plain(part: &str) -> Result<String, String> {
    let wrong = || format!("{part:?} is not percent-encoded as a path is");
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        bytes.push(digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).ok_or_else(wrong)?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

fn unpacked(name: &str, value: &str) -> Result<String, String> {
    // The one spelling of nothing that can stand in a path.
    if value.trim_end_matches('=').is_empty() {
        return Ok(String::new());
    }
    let bytes = BASE64.decode(value).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    bytes.ok_or_else(|| format!("the value of {name} is not base64 of a text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Result<&str, &str>) {
        let got = labels(path).map(|labels| labels.to_string());
        match (&got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{path}"),
            (Err(got), Err(expected)) => assert!(got.contains(expected), "{path}: {got}"),
            _ => panic!("{path}: {got:?}"),
        }
    }

    #[test]
    fn labels_stand_in_the_path() {
        check("/metrics/job/a", Ok(r#"{job="a"}"#));
        check("/metrics/job/a%20b/instance/c", Ok(r#"{instance="c", job="a b"}"#));
        check("/metrics/job/a/path@base64/L3Zhci90bXA=", Ok(r#"{job="a", path="/var/tmp"}"#));
        check("/metrics/job@base64/L3Zhcg", Ok(r#"{job="/var"}"#));
        check("/metrics/job/a/x@base64/=", Ok(r#"{job="a"}"#));
        check("/metrics/job/a/b", Err("a label has no value"));
        check("/metrics/job/a/", Err("a label has no value"));
        check("/metrics/job@base64/=", Err("the job has no name"));
        check("/metrics/job/a/__name__/b", Err("no name of a label"));
        check("/metrics/job/a/x/1/x/2", Err("not unique"));
        check("/metrics/job/a/x@base64/???", Err("not base64"));
        check("/metrics/job/%zz", Err("percent-encoded"));
        check("/metrics/job/%ff", Err("percent-encoded"));
    }
}
