//! Attributes as they lie in a request, and their values as the text that a label has.
//!
//! Text stays as it is; numbers and booleans are written out; bytes are base64; lists and maps are their JSON. Nesting deeper
//! than [`DEPTH_MAX`] is malformed. Shape: `AnyValue` and `KeyValue` of `opentelemetry-proto`, `common.proto`.

use crate::protobuf::{FIXED64, LEN, Malformed, Reader, VARINT, key};

/// Lists and maps within each other.
pub(crate) const DEPTH_MAX: u32 = 32;

/// An attribute: its key, and its value yet to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: Option<Reader<'a>>,
}

impl<'a> Attribute<'a> {
    /// Reads a `KeyValue`.
    #[inline]
    pub(crate) fn read(mut pair: Reader<'a>) -> Result<Self, Malformed> {
        let mut attribute = Self { key: b"", value: None };
        while !pair.is_done() {
            match pair.key()? {
                KEY => attribute.key = pair.bytes()?,
                VALUE => attribute.value = Some(pair.message()?),
                other => pair.skip(other)?,
            }
        }
        Ok(attribute)
    }

    /// The value, if it is text and nothing else.
    #[inline]
    pub(crate) fn plain(&self) -> Option<&'a [u8]> {
        let mut value = self.value?;
        if !value.is_at(TEXT_BYTE) {
            return None;
        }
        let text = value.field().ok()?;
        value.is_done().then(|| text.rest())
    }

    /// Appends the value to `text`.
    pub(crate) fn put(&self, text: &mut Vec<u8>) -> Result<(), Malformed> {
        match self.value {
            None => Ok(()),
            Some(value) => put(value, text, Form::Bare, 0),
        }
    }
}

const KEY: u32 = key(1, LEN);
const VALUE: u32 = key(2, LEN);
const TEXT: u32 = key(1, LEN);
/// As it lies.
const TEXT_BYTE: u8 = 0x0a;
const BOOLEAN: u32 = key(2, VARINT);
const INTEGER: u32 = key(3, VARINT);
const DOUBLE: u32 = key(4, FIXED64);
const LIST: u32 = key(5, LEN);
const MAP: u32 = key(6, LEN);
const BYTES: u32 = key(7, LEN);
/// The only field of a list and of a map.
const ITEM: u32 = key(1, LEN);

/// Where a value stands: alone, or in JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Bare,
    Json,
}

fn put(mut value: Reader<'_>, text: &mut Vec<u8>, form: Form, depth: u32) -> Result<(), Malformed> {
    if depth > DEPTH_MAX {
        return Err(value.malformed("a value is nested too deeply"));
    }
    let start = text.len();
    let mut some = false;
    while !value.is_done() {
        let field = value.key()?;
        // Of several the last counts.
        if matches!(field, TEXT | BOOLEAN | INTEGER | DOUBLE | LIST | MAP | BYTES) {
            text.truncate(start);
            some = true;
        }
        match field {
            TEXT if form == Form::Bare => text.extend_from_slice(value.bytes()?),
            TEXT => put_quoted(value.bytes()?, text),
            BOOLEAN => text.extend_from_slice(if value.varint()? == 0 { b"false" } else { b"true" }),
            INTEGER => text.extend_from_slice(value.int64()?.to_string().as_bytes()),
            DOUBLE => put_number(value.double()?, form, text),
            LIST => put_list(value.message()?, text, depth)?,
            MAP => put_map(value.message()?, text, depth)?,
            BYTES if form == Form::Bare => put_base64(value.bytes()?, text),
            BYTES => {
                text.push(b'"');
                put_base64(value.bytes()?, text);
                text.push(b'"');
            }
            other => value.skip(other)?,
        }
    }
    if !some && form == Form::Json {
        text.extend_from_slice(b"null");
    }
    Ok(())
}

fn put_list(mut list: Reader<'_>, text: &mut Vec<u8>, depth: u32) -> Result<(), Malformed> {
    let mut between = b'[';
    while !list.is_done() {
        match list.key()? {
            ITEM => {
                text.push(between);
                between = b',';
                put(list.message()?, text, Form::Json, depth + 1)?;
            }
            other => list.skip(other)?,
        }
    }
    if between == b'[' {
        text.push(between);
    }
    text.push(b']');
    Ok(())
}

fn put_map(mut map: Reader<'_>, text: &mut Vec<u8>, depth: u32) -> Result<(), Malformed> {
    let mut entries = Vec::new();
    while !map.is_done() {
        match map.key()? {
            ITEM => entries.push(Attribute::read(map.message()?)?),
            other => map.skip(other)?,
        }
    }
    entries.sort_by_key(|entry| entry.key);
    text.push(b'{');
    for (place, entry) in entries.iter().enumerate() {
        if place > 0 {
            text.push(b',');
        }
        put_quoted(entry.key, text);
        text.push(b':');
        match entry.value {
            None => text.extend_from_slice(b"null"),
            Some(value) => put(value, text, Form::Json, depth + 1)?,
        }
    }
    text.push(b'}');
    Ok(())
}

/// Text in quotes. What is no UTF-8 goes on as it is: the store refuses it by name.
fn put_quoted(content: &[u8], text: &mut Vec<u8>) {
    text.push(b'"');
    for &byte in content {
        match byte {
            b'"' | b'\\' => text.extend_from_slice(&[b'\\', byte]),
            b'\n' => text.extend_from_slice(b"\\n"),
            b'\r' => text.extend_from_slice(b"\\r"),
            b'\t' => text.extend_from_slice(b"\\t"),
            0..0x20 => text.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => text.push(byte),
        }
    }
    text.push(b'"');
}

/// A number as JSON writes it: with an exponent where there would be more than twenty digits. What is none in JSON is a word.
fn put_number(number: f64, form: Form, text: &mut Vec<u8>) {
    let word = match number {
        _ if number.is_nan() => Some("NaN"),
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ => None,
    };
    match word {
        Some(word) if form == Form::Json => text.extend_from_slice(format!("\"{word}\"").as_bytes()),
        Some(word) => text.extend_from_slice(word.as_bytes()),
        None if number != 0.0 && !(1e-6..1e21).contains(&number.abs()) => {
            let written = format!("{number:e}");
            // One digit of the exponent at least, and its sign always.
            let signed = if written.contains("e-") { written } else { written.replace('e', "e+") };
            text.extend_from_slice(signed.as_bytes());
        }
        None => text.extend_from_slice(number.to_string().as_bytes()),
    }
}

fn put_base64(content: &[u8], text: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for three in content.chunks(3) {
        let byte = |place: usize| u32::from(three.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = ALPHABET[(bits >> shift & 63) as usize];
            text.push(if place > three.len() { b'=' } else { digit });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protobuf::{put_bytes, put_double, put_message, put_number as put_varint_field};

    fn text_of(value: impl FnOnce(&mut Vec<u8>)) -> Result<String, Malformed> {
        let mut pair = Vec::new();
        put_bytes(&mut pair, 1, b"k");
        put_message(&mut pair, 2, value);
        let mut text = Vec::new();
        Attribute::read(Reader::new(&pair))?.put(&mut text)?;
        Ok(String::from_utf8(text).unwrap())
    }

    #[test]
    fn values_are_text() {
        let check = |value: &dyn Fn(&mut Vec<u8>), expected: &str| {
            assert_eq!(text_of(value).as_deref(), Ok(expected));
        };
        check(&|_| {}, "");
        check(&|v| put_bytes(v, 1, "a \"b\"".as_bytes()), "a \"b\"");
        check(&|v| put_varint_field(v, 2, 1), "true");
        check(&|v| put_varint_field(v, 3, (-5i64).cast_unsigned()), "-5");
        check(&|v| put_double(v, 4, 1.5), "1.5");
        check(&|v| put_double(v, 4, 100.0), "100");
        check(&|v| put_double(v, 4, 1e21), "1e+21");
        check(&|v| put_double(v, 4, 1e-7), "1e-7");
        check(&|v| put_double(v, 4, f64::INFINITY), "+Inf");
        check(&|v| put_bytes(v, 7, b"\xff\x00"), "/wA=");
        check(&|v| put_bytes(v, 7, b"abc"), "YWJj");
        let list = |v: &mut Vec<u8>| {
            put_message(v, 5, |list| {
                put_message(list, 1, |item| put_bytes(item, 1, b"a\"\n"));
                put_message(list, 1, |item| put_varint_field(item, 3, 2));
                put_message(list, 1, |_| {});
            });
        };
        check(&list, r#"["a\"\n",2,null]"#);
        check(&|v| put_bytes(v, 5, b""), "[]");
        let map = |v: &mut Vec<u8>| {
            put_message(v, 6, |map| {
                for (name, value) in [("b", 2), ("a", 1)] {
                    put_message(map, 1, |entry| {
                        put_bytes(entry, 1, name.as_bytes());
                        put_message(entry, 2, |item| put_varint_field(item, 2, value));
                    });
                }
            });
        };
        check(&map, r#"{"a":true,"b":true}"#);
    }

    #[test]
    fn nesting_ends() {
        let nested = |depth: u32| {
            let mut value = Vec::new();
            for _ in 0..depth {
                let mut outer = Vec::new();
                put_message(&mut outer, 5, |list| put_bytes(list, 1, &value));
                value = outer;
            }
            text_of(|v| v.extend_from_slice(&value))
        };
        assert!(nested(DEPTH_MAX).is_ok());
        assert_eq!(nested(DEPTH_MAX + 2).unwrap_err().what, "a value is nested too deeply");
    }
}
