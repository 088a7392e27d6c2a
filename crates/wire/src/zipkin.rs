//! Zipkin JSON, version 2, read: as the `ExportTraceServiceRequest` that says the same.
//!
//! Tags become attributes, annotations events, the local endpoint the resource. A tag `error` is a status. The remote
//! endpoint is told as `peer.service` and `network.peer.*`. Spans that cannot be read are left out and told by their place.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    otlp::trace::SPAN_BYTES_MAX,
    protobuf::{put_bytes, put_fixed64, put_message, put_number},
};

/// In a text of more bytes, a span that is too large ends the request.
pub const LARGE: usize = 4 << 20;

/// A request has no more spans than this.
pub const SPANS_MAX: usize = 1_000_000;

/// What a request comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Converted {
    /// The `ExportTraceServiceRequest`; empty if there is no span.
    pub request: Vec<u8>,
    /// Spans in it.
    pub spans: usize,
    /// The place of each span that is left out, from 0, and what is wrong with it.
    pub faults: Vec<(usize, String)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span<'a> {
    #[serde(borrow)]
    trace_id: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    parent_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    kind: Option<Cow<'a, str>>,
    /// Microseconds, as all times here.
    timestamp: Option<u64>,
    duration: Option<u64>,
    #[serde(borrow)]
    local_endpoint: Option<Endpoint<'a>>,
    #[serde(borrow)]
    remote_endpoint: Option<Endpoint<'a>>,
    #[serde(borrow)]
    annotations: Option<Vec<Annotation<'a>>>,
    #[serde(borrow)]
    tags: Option<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
    shared: Option<bool>,
    debug: Option<bool>,
}

#[derive(Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Endpoint<'a> {
    #[serde(borrow)]
    service_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    ipv4: Option<Cow<'a, str>>,
    #[serde(borrow)]
    ipv6: Option<Cow<'a, str>>,
    port: Option<u16>,
}

#[derive(Deserialize)]
struct Annotation<'a> {
    timestamp: Option<u64>,
    #[serde(borrow)]
    value: Cow<'a, str>,
}

/// Reads a list of spans. In a text of more than [`LARGE`] bytes nothing is read from a span on that is too large.
///
/// # Errors
/// The text is no list, or has too many spans.
pub fn convert(json: &[u8]) -> Result<Converted, String> {
    let (texts, is_whole) = texts(json)?;
    let mut converted = Converted::default();
    if !is_whole {
        let why = "it is larger than 1 MiB; it and what follows were not read, send those in other requests";
        converted.faults.push((texts.len(), why.to_owned()));
    }
    let mut of_one: Vec<u8> = Vec::new();
    let mut from: Option<Endpoint<'_>> = None;
    for (place, text) in texts.iter().enumerate() {
        if text.get().len() > SPAN_BYTES_MAX {
            converted.faults.push((place, "it is larger than 1 MiB".to_owned()));
            continue;
        }
        let read: Result<Span<'_>, _> = serde_json::from_str(text.get());
        let written = read.map_err(|error| error.to_string()).and_then(|span| {
            let local = span.local_endpoint.as_ref();
            let bytes = written(&span)?;
            if local != from.as_ref() {
                end(&mut converted.request, from.as_ref(), &mut of_one);
            }
            put_bytes(&mut of_one, 2, &bytes);
            Ok(span.local_endpoint)
        });
        match written {
            Ok(local) => {
                from = local;
                converted.spans += 1;
            }
            Err(why) => converted.faults.push((place, why)),
        }
    }
    end(&mut converted.request, from.as_ref(), &mut of_one);
    Ok(converted)
}

/// The text of each span, and whether these are all.
fn texts(json: &[u8]) -> Result<(Vec<&RawValue>, bool), String> {
    let wrong = |what: &dyn std::fmt::Display| format!("expected a list of Zipkin spans: {what}");
    let too_many = || format!("more than {SPANS_MAX} spans in one request; send them in several");
    if json.len() <= LARGE {
        let texts: Vec<&RawValue> = serde_json::from_slice(json).map_err(|error| wrong(&error))?;
        return if texts.len() > SPANS_MAX { Err(too_many()) } else { Ok((texts, true)) };
    }
    let (mut rest, mut texts) = (json.trim_ascii(), Vec::new());
    rest = rest.strip_prefix(b"[").ok_or_else(|| wrong(&"it does not begin with `[`"))?.trim_ascii_start();
    if rest == b"]" {
        return Ok((texts, true));
    }
    loop {
        // No more is looked at than a span may have, and what ends it.
        let window = &rest[..rest.len().min(SPAN_BYTES_MAX + 2)];
        let mut values = serde_json::Deserializer::from_slice(window).into_iter::<&RawValue>();
        match values.next() {
            Some(Ok(text)) => texts.push(text),
            Some(Err(error)) if error.is_eof() && window.len() < rest.len() => return Ok((texts, false)),
            Some(Err(error)) => return Err(wrong(&format_args!("span {}: {error}", texts.len()))),
            None => return Err(wrong(&"it ends before its `]`")),
        }
        if texts.len() > SPANS_MAX {
            return Err(too_many());
        }
        rest = rest[values.byte_offset()..].trim_ascii_start();
        rest = match rest.split_first() {
            Some((b',', rest)) => rest.trim_ascii_start(),
            Some((b']', [])) => return Ok((texts, true)),
            _ => return Err(wrong(&format_args!("after span {} there is no `,` or `]`", texts.len() - 1))),
        };
    }
}

/// Writes the spans of one endpoint, if there are any.
fn end(request: &mut Vec<u8>, from: Option<&Endpoint<'_>>, spans: &mut Vec<u8>) {
    if spans.is_empty() {
        return;
    }
    put_message(request, 1, |all| {
        put_message(all, 1, |resource| {
            if let Some(endpoint) = from {
                let Endpoint { service_name, ipv4, ipv6, port } = endpoint;
                put_text(resource, 1, "service.name", service_name.as_deref());
                put_text(resource, 1, "host.ip", ipv4.as_deref().or(ipv6.as_deref()));
                put_text(resource, 1, "server.port", port.map(|port| port.to_string()).as_deref());
            }
        });
        put_bytes(all, 2, spans);
    });
    spans.clear();
}

fn written(span: &Span<'_>) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let trace_id = hex::<16>(&span.trace_id).ok_or("traceId is not 16 or 32 hexadecimal digits")?;
    put_bytes(&mut out, 1, &trace_id);
    put_bytes(&mut out, 2, &hex::<8>(&span.id).ok_or("id is not 16 hexadecimal digits")?);
    if let Some(parent) = span.parent_id.as_deref().filter(|parent| !parent.is_empty()) {
        put_bytes(&mut out, 4, &hex::<8>(parent).ok_or("parentId is not 16 hexadecimal digits")?);
    }
    put_bytes(&mut out, 5, span.name.as_deref().unwrap_or_default().as_bytes());
    let kind = match span.kind.as_deref() {
        Some("SERVER") => 2,
        Some("CLIENT") => 3,
        Some("PRODUCER") => 4,
        Some("CONSUMER") => 5,
        Some(_) => return Err("kind is none of CLIENT, SERVER, PRODUCER, CONSUMER".to_owned()),
        None => 1,
    };
    put_number(&mut out, 6, kind);
    let start = span.timestamp.unwrap_or(0);
    put_fixed64(&mut out, 7, start.saturating_mul(1_000));
    put_fixed64(&mut out, 8, start.saturating_add(span.duration.unwrap_or(0)).saturating_mul(1_000));
    for (name, value) in span.tags.iter().flatten() {
        put_text(&mut out, 9, name, Some(value));
    }
    if let Some(Endpoint { service_name, ipv4, ipv6, port }) = &span.remote_endpoint {
        put_text(&mut out, 9, "peer.service", service_name.as_deref());
        put_text(&mut out, 9, "network.peer.address", ipv4.as_deref().or(ipv6.as_deref()));
        put_text(&mut out, 9, "network.peer.port", port.map(|port| port.to_string()).as_deref());
    }
    for (name, said) in [("zipkin.shared", span.shared), ("zipkin.debug", span.debug)] {
        put_text(&mut out, 9, name, said.filter(|&said| said).map(|_| "true"));
    }
    for annotation in span.annotations.iter().flatten() {
        put_message(&mut out, 11, |event| {
            put_fixed64(event, 1, annotation.timestamp.unwrap_or(start).saturating_mul(1_000));
            put_bytes(event, 2, annotation.value.as_bytes());
        });
    }
    if let Some(error) = span.tags.as_ref().and_then(|tags| tags.get("error")) {
        put_message(&mut out, 15, |status| {
            put_bytes(status, 2, error.as_bytes());
            put_number(status, 3, 2);
        });
    }
    Ok(out)
}

fn put_text(message: &mut Vec<u8>, field: u32, name: &str, value: Option<&str>) {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return };
    put_message(message, field, |pair| {
        put_bytes(pair, 1, name.as_bytes());
        put_message(pair, 2, |any| put_bytes(any, 1, value.as_bytes()));
    });
}

/// An id of that many bytes; shorter ones have zeros in front.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.is_empty() || text.len() > 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut id = [0; N];
    for (place, digit) in text.chars().rev().enumerate() {
        let digit = u8::try_from(digit.to_digit(16)?).ok()?;
        id[N - 1 - place / 2] |= if place % 2 == 0 { digit } else { digit << 4 };
    }
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::trace::{Kind, Status, walk};

    #[test]
    fn spans_say_the_same() {
        let json = br#"[{"traceId":"00000000000000010000000000000002","id":"0a","parentId":"000000000000000b",
            "name":"get","kind":"CLIENT","timestamp":1000,"duration":500,"localEndpoint":{"serviceName":"shop"},
            "remoteEndpoint":{"serviceName":"bank","port":80},"tags":{"error":"no","k":"\u0076"},
            "annotations":[{"timestamp":1001,"value":"ws"}],"later":[1]},
            {"traceId":"1","id":"c","localEndpoint":{"serviceName":"bank"}}]"#;
        let converted = convert(json).unwrap();
        assert_eq!((converted.spans, converted.faults.len()), (2, 0));
        let mut seen = Vec::new();
        walk(&converted.request, |resource, span| {
            assert_eq!(span.fault(), None);
            seen.push((resource.text("service.name").unwrap(), span));
        })
        .unwrap();
        let (service, span) = &seen[0];
        assert_eq!((service.as_ref(), span.name.as_ref(), span.kind), ("shop", "get", Kind::Client));
        assert_eq!((span.start, span.end, span.status), (1_000_000, 1_500_000, Status::Error));
        assert_eq!(span.trace_id, [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(
            (span.span_id, span.parent_id),
            (&[0, 0, 0, 0, 0, 0, 0, 10][..], &[0, 0, 0, 0, 0, 0, 0, 11][..])
        );
        let text = |name| span.attributes.text(name).unwrap();
        assert_eq!(
            (text("peer.service"), text("k"), text("network.peer.port")),
            ("bank".into(), "v".into(), "80".into())
        );
        assert_eq!((seen[1].0.as_ref(), seen[1].1.kind), ("bank", Kind::Internal));
    }

    #[test]
    fn a_large_text_ends_before_a_span_that_is_too_large() {
        let good = r#"{"traceId":"1","id":"2"}"#;
        let check = |json: String, spans: usize, faults: &[(usize, &str)]| {
            let converted = convert(json.as_bytes()).unwrap();
            assert_eq!((converted.spans, converted.faults.len()), (spans, faults.len()));
            for ((place, why), (expected, said)) in converted.faults.iter().zip(faults) {
                assert!(place == expected && why.contains(said), "{place}: {why}");
            }
        };
        let of = |bytes: usize| format!(r#"{{"traceId":"1","id":"2","name":"{}"}}"#, "x".repeat(bytes));
        let room = " ".repeat(LARGE);
        check(format!("[{good},{},{good}]", of(2 << 20)), 2, &[(1, "larger than 1 MiB")]);
        check(format!("[{good}, {} ,{good}]", of(8 << 20)), 1, &[(1, "what follows were not read")]);
        check(format!("{room}[ {good} ,{{}},{} ,\n{good}]\n", of(1 << 19)), 3, &[(1, "missing field")]);
        check(format!("[{good}{room},{good}]"), 2, &[]);
        check(format!("{room}[ ]"), 0, &[]);
        for wrong in ["[7 8]", "[", "[7", "[7,", "[7,]", "[7]8", "{}", "[{]", "\"", "[\"\\x\"]"] {
            assert!(convert(format!("{room}{wrong}").as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_by_its_place() {
        let check = |span: &str, expected: &str| {
            let good = r#"{"traceId":"1","id":"2"}"#;
            let converted = convert(format!("[{good},{span},{good}]").as_bytes()).unwrap();
            assert_eq!((converted.spans, converted.faults.len(), converted.faults[0].0), (2, 1, 1), "{span}");
            assert!(converted.faults[0].1.contains(expected), "{span}: {}", converted.faults[0].1);
        };
        check("{}", "missing field `traceId`");
        check("7", "invalid type");
        check(r#"{"traceId":"xyz","id":"2"}"#, "traceId is not");
        check(r#"{"traceId":"1","id":"12345678901234567"}"#, "id is not 16");
        check(r#"{"traceId":"1","id":"1","kind":"OTHER"}"#, "kind is none of");
        check(r#"{"traceId":"1","id":"1","timestamp":-1}"#, "invalid value");
        assert!(convert(b"{}").is_err());
        assert!(convert(b"[{").is_err());
        assert_eq!(convert(b"[]").unwrap(), Converted::default());
    }
}
