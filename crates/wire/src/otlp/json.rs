//! OTLP as JSON, made protobuf, so that one reader serves both.
//!
//! Ids are hexadecimal digits, numbers of 64 bits are strings or numbers, enums are numbers, fields that are not known are
//! passed over, and so is `null`. A field may be spelled in snake_case, too. The text is read as a stream, without a tree of
//! it, and what comes out is at most a few times as long as it is. Messages within each other are bounded.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::schema::{Field, Kind, METRICS_REQUEST, Message, TRACES_REQUEST};
use crate::protobuf::{FIXED64, LEN, VARINT, key, put_bytes, put_varint, varint_len, zigzag};

/// Messages within each other. An attribute's value nested as deeply as it may be takes two for each level.
const DEPTH_MAX: u32 = 90;
const FIXED32: u32 = 5;

/// The text is no request, and where that shows.
#[derive(Debug)]
pub struct NotJson(serde_json::Error);

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed JSON: {}", self.0)
    }
}

impl std::error::Error for NotJson {}

/// An `ExportMetricsServiceRequest`.
///
/// # Errors
/// The text is none.
pub fn metrics_to_protobuf(text: &[u8]) -> Result<Vec<u8>, NotJson> {
    to_protobuf(text, &METRICS_REQUEST)
}

/// An `ExportTraceServiceRequest`.
///
/// # Errors
/// The text is none.
pub fn traces_to_protobuf(text: &[u8]) -> Result<Vec<u8>, NotJson> {
    to_protobuf(text, &TRACES_REQUEST)
}

fn to_protobuf(text: &[u8], message: &'static Message) -> Result<Vec<u8>, NotJson> {
    let mut out = Vec::with_capacity(text.len() / 2);
    let mut reader = serde_json::Deserializer::from_slice(text);
    let root = OfMessage { message, out: &mut out, depth: 0 };
    root.deserialize(&mut reader).map_err(NotJson)?;
    reader.end().map_err(NotJson)?;
    Ok(out)
}

/// Reads an object as a message, whose fields go to `out`.
struct OfMessage<'o> {
    message: &'static Message,
    out: &'o mut Vec<u8>,
    depth: u32,
}

impl<'de> DeserializeSeed<'de> for OfMessage<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        if self.depth > DEPTH_MAX {
            return Err(D::Error::custom("a value is nested too deeply"));
        }
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OfMessage<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(Named(self.message))? {
            match field {
                Some(field) => map.next_value_seed(OfField { field, out: self.out, depth: self.depth })?,
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }
}

/// Finds the field that a key names.
struct Named(&'static Message);

impl<'de> DeserializeSeed<'de> for Named {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Named {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.0.iter().find(|field| is_named(field.name, name)))
    }
}

/// Whether a name in lowerCamelCase is `name`, in this spelling or in snake_case.
fn is_named(camel: &str, name: &str) -> bool {
    if camel == name {
        return true;
    }
    let mut letters = name.bytes();
    let same = camel.bytes().all(|expected| match expected.is_ascii_uppercase() {
        true => letters.next() == Some(b'_') && letters.next() == Some(expected.to_ascii_lowercase()),
        false => letters.next() == Some(expected),
    });
    same && letters.next().is_none()
}

/// Reads the value of a field.
struct OfField<'o> {
    field: &'static Field,
    out: &'o mut Vec<u8>,
    depth: u32,
}

impl<'de> DeserializeSeed<'de> for OfField<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl OfField<'_> {
    fn wrong<E: serde::de::Error>(&self, what: &str) -> E {
        E::custom(format_args!("`{}` cannot be {what}", self.field.name))
    }

    fn put_key(&mut self, wire_type: u32) {
        put_varint(self.out, u64::from(key(self.field.number, wire_type)));
    }

    fn put_content(&mut self, content: &[u8]) {
        put_bytes(self.out, self.field.number, content);
    }

    fn put_varint(&mut self, value: u64) {
        self.put_key(VARINT);
        put_varint(self.out, value);
    }

    fn put_fixed64(&mut self, bytes: [u8; 8]) {
        self.put_key(FIXED64);
        self.out.extend_from_slice(&bytes);
    }

    fn unsigned<E: serde::de::Error>(mut self, value: u64) -> Result<(), E> {
        match self.field.kind {
            Kind::Unsigned => self.put_varint(value),
            Kind::Fixed64 => self.put_fixed64(value.to_le_bytes()),
            Kind::Double => self.put_fixed64((value as f64).to_le_bytes()),
            Kind::Fixed32 => {
                let value = u32::try_from(value).map_err(|_| self.wrong::<E>("so large"))?;
                self.put_key(FIXED32);
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            _ => match i64::try_from(value) {
                Ok(value) => return self.signed(value),
                Err(_) => return Err(self.wrong("so large")),
            },
        }
        Ok(())
    }

    fn signed<E: serde::de::Error>(mut self, value: i64) -> Result<(), E> {
        match (self.field.kind, u64::try_from(value)) {
            (Kind::Signed, _) => self.put_varint(value.cast_unsigned()),
            (Kind::Zigzag, _) => self.put_varint(zigzag(value)),
            (Kind::SignedFixed64, _) => self.put_fixed64(value.to_le_bytes()),
            (Kind::Double, _) => self.put_fixed64((value as f64).to_le_bytes()),
            (Kind::Unsigned | Kind::Fixed64 | Kind::Fixed32, Ok(value)) => return self.unsigned(value),
            (Kind::Unsigned | Kind::Fixed64 | Kind::Fixed32, Err(_)) => return Err(self.wrong("negative")),
            _ => return Err(self.wrong("a number")),
        }
        Ok(())
    }

    fn double<E: serde::de::Error>(mut self, value: f64) -> Result<(), E> {
        match self.field.kind {
            Kind::Double => {
                self.put_fixed64(value.to_le_bytes());
                Ok(())
            }
            Kind::Text | Kind::Id | Kind::Bytes | Kind::Boolean | Kind::Of(_) => Err(self.wrong("a number")),
            // A whole number that was written with a point or an exponent, and is exact.
            _ if value.fract() == 0.0 && value.abs() < 9e15 => match format!("{value:.0}").parse::<i64>() {
                Ok(whole) => self.signed(whole),
                Err(_) => Err(self.wrong("so large")),
            },
            _ => Err(self.wrong("a fraction")),
        }
    }
}

impl<'de> Visitor<'de> for OfField<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value of `{}`", self.field.name)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(mut self, value: bool) -> Result<(), E> {
        match self.field.kind {
            Kind::Boolean => {
                self.put_varint(u64::from(value));
                Ok(())
            }
            _ => Err(self.wrong("a boolean")),
        }
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.unsigned(value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.signed(value)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.double(value)
    }

    fn visit_str<E: serde::de::Error>(mut self, text: &str) -> Result<(), E> {
        match self.field.kind {
            Kind::Text => self.put_content(text.as_bytes()),
            Kind::Id => match of_hexadecimal(text) {
                Some(id) => self.put_content(&id),
                None => return Err(self.wrong("other than hexadecimal digits in pairs")),
            },
            Kind::Bytes => match of_base64(text) {
                Some(bytes) => self.put_content(&bytes),
                None => return Err(self.wrong("other than base64")),
            },
            Kind::Boolean | Kind::Of(_) => return Err(self.wrong("a string")),
            Kind::Double => {
                let value = match text {
                    "NaN" => Some(f64::NAN),
                    "Infinity" => Some(f64::INFINITY),
                    "-Infinity" => Some(f64::NEG_INFINITY),
                    _ => text.parse().ok(),
                };
                return match value {
                    Some(value) => self.double(value),
                    None => Err(self.wrong("a string that is no number")),
                };
            }
            _ => {
                if let Ok(value) = text.parse::<u64>() {
                    return self.unsigned(value);
                }
                return match text.parse::<i64>() {
                    Ok(value) => self.signed(value),
                    Err(_) => Err(self.wrong("a string that is no number")),
                };
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Kind::Of(message) = self.field.kind else { return Err(self.wrong("an object")) };
        if self.depth >= DEPTH_MAX {
            return Err(A::Error::custom("a value is nested too deeply"));
        }
        // The content is written where it will stay, and moved by its length once that is known: a byte, usually.
        let Self { field, out, depth } = self;
        put_varint(out, u64::from(key(field.number, LEN)));
        let start = out.len();
        out.push(0);
        OfMessage { message, out, depth: depth + 1 }.visit_map(map)?;
        let len = (out.len() - start - 1) as u64;
        let mut written = Vec::with_capacity(varint_len(len));
        put_varint(&mut written, len);
        out.splice(start..=start, written);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if !self.field.repeated {
            return Err(self.wrong("a list"));
        }
        let Self { field, out, depth } = self;
        while list.next_element_seed(OfItem(OfField { field, out, depth }))?.is_some() {}
        Ok(())
    }
}

/// Reads one of the values of a field: no list again.
struct OfItem<'o>(OfField<'o>);

impl<'de> DeserializeSeed<'de> for OfItem<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        match self.0.field.kind {
            Kind::Of(_) => reader.deserialize_map(self.0),
            Kind::Text | Kind::Id | Kind::Bytes => reader.deserialize_str(self.0),
            _ => reader.deserialize_any(OfNumber(self.0)),
        }
    }
}

/// A number, or a string of one.
struct OfNumber<'o>(OfField<'o>);

impl Visitor<'_> for OfNumber<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "numbers in `{}`", self.0.field.name)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.0.unsigned(value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.0.signed(value)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.0.double(value)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.0.visit_str(text)
    }
}

fn of_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}

/// Base64 in either alphabet, padded or not.
fn of_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 || digits.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for four in digits.as_bytes().chunks(4) {
        let mut bits = 0u32;
        for &digit in four {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' | b'-' => 62,
                b'/' | b'_' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        bits <<= 6 * (4 - four.len());
        bytes.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protobuf::{put_double, put_fixed64, put_message, put_number};

    fn check(text: &str, expected: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = Vec::new();
        expected(&mut bytes);
        assert_eq!(traces_to_protobuf(text.as_bytes()).unwrap(), bytes, "{text}");
    }

    fn span(text: &str, expected: impl FnOnce(&mut Vec<u8>)) {
        check(&format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{text}]}}]}}]}}"#), |bytes| {
            put_message(bytes, 1, |resource| {
                put_message(resource, 2, |scope| put_message(scope, 2, expected));
            });
        });
    }

    #[test]
    fn spans_are_made_protobuf() {
        check("{}", |_| {});
        check(r#" {"unknown":{"a":[1,{}]},"resourceSpans":null} "#, |_| {});
        span(r#"{"traceId":"0102030405060708090A0b0c0d0e0f10","name":"x"}"#, |span| {
            put_bytes(span, 1, &(1..17).collect::<Vec<u8>>());
            put_bytes(span, 5, b"x");
        });
        span(r#"{"startTimeUnixNano":"7","end_time_unix_nano":8,"kind":2,"flags":257}"#, |span| {
            put_fixed64(span, 7, 7);
            put_fixed64(span, 8, 8);
            put_number(span, 6, 2);
            put_varint(span, u64::from(key(16, FIXED32)));
            span.extend_from_slice(&257u32.to_le_bytes());
        });
        let long = "x".repeat(200);
        span(&format!(r#"{{"status":{{"message":"{long}","code":2}}}}"#), |span| {
            put_message(span, 15, |status| {
                put_bytes(status, 2, long.as_bytes());
                put_number(status, 3, 2);
            });
        });
        let values = [
            (r#"{"intValue":"-5"}"#, (|any| put_number(any, 3, (-5i64).cast_unsigned())) as fn(&mut Vec<u8>)),
            (r#"{"intValue":5.0}"#, |any| put_number(any, 3, 5)),
            (r#"{"doubleValue":"NaN"}"#, |any| put_double(any, 4, f64::NAN)),
            (r#"{"doubleValue":3}"#, |any| put_double(any, 4, 3.0)),
            (r#"{"boolValue":false}"#, |any| put_number(any, 2, 0)),
            (r#"{"bytesValue":"/wA="}"#, |any| put_bytes(any, 7, b"\xff\x00")),
            (r#"{"bytesValue":"YWJj"}"#, |any| put_bytes(any, 7, b"abc")),
            (r#"{"arrayValue":{"values":[{}]}}"#, |any| {
                put_message(any, 5, |list| put_message(list, 1, |_| {}));
            }),
        ];
        for (value, expected) in values {
            span(&format!(r#"{{"attributes":[{{"key":"k","value":{value}}}]}}"#), |span| {
                put_message(span, 9, |pair| {
                    put_bytes(pair, 1, b"k");
                    put_message(pair, 2, expected);
                });
            });
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |text: &str, expected: &str| {
            let error = traces_to_protobuf(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("", "line 1 column 0");
        check("[]", "expected an object");
        check("{} x", "trailing characters");
        check(r#"{"resourceSpans":{"#, "EOF");
        check(r#"{"resourceSpans":"x"}"#, "`resourceSpans` cannot be a string");
        check(r#"{"resourceSpans":[[]]}"#, "invalid type: sequence");
        let span = |text: &str, expected: &str| {
            check(&format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{text}]}}]}}]}}"#), expected);
        };
        span(r#"{"traceId":"xy"}"#, "`traceId` cannot be other than hexadecimal digits");
        span(r#"{"startTimeUnixNano":-1}"#, "`startTimeUnixNano` cannot be negative");
        span(r#"{"startTimeUnixNano":1.5}"#, "`startTimeUnixNano` cannot be a fraction");
        span(r#"{"kind":"SPAN"}"#, "`kind` cannot be a string that is no number");
        span(r#"{"name":["a"]}"#, "`name` cannot be a list");
        let nested = |depth: usize| {
            let open = r#"{"arrayValue":{"values":["#.repeat(depth);
            let text = format!(
                r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"value":{open}{}}}]}}}}]}}"#,
                "]}}".repeat(depth)
            );
            traces_to_protobuf(text.as_bytes())
        };
        assert!(nested(25).is_ok());
        assert!(nested(60).is_err());
        assert!(nested(100_000).is_err());
    }
}
