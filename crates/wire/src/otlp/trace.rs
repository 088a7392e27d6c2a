//! Spans of OpenTelemetry, read in place: an `ExportTraceServiceRequest`.
//!
//! [`walk`] visits each span with the resource it is of; [`without`] writes the same request without some of them and leaves
//! every other byte as it came. Values of attributes are read as far as they are scalars. Numbers of the fields:
//! `opentelemetry-proto`, `trace.proto`, 1.x.

use std::borrow::Cow;

pub use crate::protobuf::Malformed;
use crate::protobuf::{FIXED64, LEN, Reader, VARINT, key, put_bytes};

const RESOURCE_SPANS: u32 = key(1, LEN);
const RESOURCE: u32 = key(1, LEN);
const SCOPE_SPANS: u32 = key(2, LEN);
const SPAN: u32 = key(2, LEN);

/// What a span stands for in the exchange of two services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Not said.
    #[default]
    Unspecified,
    /// Within a service.
    Internal,
    /// A request is answered.
    Server,
    /// A request is made.
    Client,
    /// A message is sent.
    Producer,
    /// A message is received.
    Consumer,
}

impl Kind {
    /// All, by their numbers.
    const ALL: [Self; 6] =
        [Self::Unspecified, Self::Internal, Self::Server, Self::Client, Self::Producer, Self::Consumer];

    /// The name that OpenTelemetry gives it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "SPAN_KIND_UNSPECIFIED",
            Self::Internal => "SPAN_KIND_INTERNAL",
            Self::Server => "SPAN_KIND_SERVER",
            Self::Client => "SPAN_KIND_CLIENT",
            Self::Producer => "SPAN_KIND_PRODUCER",
            Self::Consumer => "SPAN_KIND_CONSUMER",
        }
    }
}

/// How a span ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// Not said.
    #[default]
    Unset,
    /// Well.
    Ok,
    /// With an error.
    Error,
}

impl Status {
    /// The name that OpenTelemetry gives it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "STATUS_CODE_UNSET",
            Self::Ok => "STATUS_CODE_OK",
            Self::Error => "STATUS_CODE_ERROR",
        }
    }
}

/// A span as it lies in a request.
#[derive(Clone, Debug)]
pub struct Span<'a> {
    /// The trace's id as sent; see [`Span::fault`].
    pub trace_id: &'a [u8],
    /// The span's id as sent.
    pub span_id: &'a [u8],
    /// The id of the span that caused it; empty if there is none.
    pub parent_id: &'a [u8],
    /// What was done.
    pub name: Cow<'a, str>,
    /// What it stands for.
    pub kind: Kind,
    /// The nanosecond since the epoch at which it began.
    pub start: u64,
    /// The nanosecond at which it ended.
    pub end: u64,
    /// How it ended.
    pub status: Status,
    /// More about it.
    pub attributes: Attributes<'a>,
    /// It is larger than one may be, and nothing of it was read.
    too_large: bool,
}

impl Span<'_> {
    /// What is wrong with its ids, if anything is: such a span belongs to no trace.
    pub fn fault(&self) -> Option<&'static str> {
        let zero = |id: &[u8]| id.iter().all(|&byte| byte == 0);
        match self {
            Self { too_large: true, .. } => Some("it is larger than 1 MiB"),
            Self { trace_id, .. } if trace_id.len() != 16 => Some("trace_id is not 16 bytes long"),
            Self { trace_id, .. } if zero(trace_id) => Some("trace_id is zero"),
            Self { span_id, .. } if span_id.len() != 8 => Some("span_id is not 8 bytes long"),
            Self { span_id, .. } if zero(span_id) => Some("span_id is zero"),
            Self { parent_id, .. } if !matches!(parent_id.len(), 0 | 8) => {
                Some("parent_span_id is not 8 bytes long")
            }
            _ => None,
        }
    }

    /// How long it took, in nanoseconds; zero if its clock went back.
    pub const fn duration(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Text.
    String(Cow<'a, str>),
    /// A truth.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
    /// A list, a map, bytes, or nothing.
    Other,
}

impl<'a> Value<'a> {
    /// A scalar as text; `None` for what is none.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        match self {
            Self::String(text) => Some(text.clone()),
            Self::Bool(value) => Some(value.to_string().into()),
            Self::Int(value) => Some(value.to_string().into()),
            Self::Double(value) => Some(value.to_string().into()),
            Self::Other => None,
        }
    }
}

/// Names with values, as they lie in a message.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    message: Reader<'a>,
    field: u32,
}

impl<'a> Attributes<'a> {
    const NONE: Self = Self { message: Reader::new(b""), field: 1 };

    /// All, in the order they were sent.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'a, str>, Value<'a>)> + use<'a> {
        let Self { mut message, field } = *self;
        // What is wrong with them was found when the request was walked.
        std::iter::from_fn(move || next_attribute(&mut message, field).ok().flatten())
    }

    /// The value of a name as text, if it is there and a scalar.
    pub fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.iter().find(|(found, _)| found == name).and_then(|(_, value)| value.text())
    }

    /// The place in the request where the message that has them begins, by which it is told from others.
    pub fn place(&self) -> usize {
        self.message.offset()
    }

    fn check(&self) -> Result<(), Malformed> {
        let mut message = self.message;
        while next_attribute(&mut message, self.field)?.is_some() {}
        Ok(())
    }
}

/// Bytes of a span, or of a resource.
pub(crate) const SPAN_BYTES_MAX: usize = 1 << 20;

/// Visits each span of a request in its order, with the attributes of its resource.
///
/// # Errors
/// The bytes are no such request; spans before the place were visited.
pub fn walk<'a>(body: &'a [u8], mut visit: impl FnMut(Attributes<'a>, Span<'a>)) -> Result<(), Malformed> {
    each(Reader::new(body), RESOURCE_SPANS, |of_resource| {
        let mut resource = Attributes::NONE;
        // The resource may stand behind its spans.
        each(of_resource, RESOURCE, |message| {
            if message.rest().len() > SPAN_BYTES_MAX {
                return Err(message.malformed("a resource is larger than 1 MiB"));
            }
            resource = Attributes { message, field: 1 };
            resource.check()
        })?;
        each(of_resource, SCOPE_SPANS, |scope| {
            each(scope, SPAN, |span| {
                visit(resource, read_span(span)?);
                Ok(())
            })
        })
    })
}

/// The request without the spans for whose place in it `leave_out` is true. Everything else stays as it came.
///
/// # Errors
/// The bytes are no such request.
pub fn without(body: &[u8], mut leave_out: impl FnMut(usize) -> bool) -> Result<Vec<u8>, Malformed> {
    let mut place = 0;
    copied(Reader::new(body), RESOURCE_SPANS, |of_resource| {
        let message = copied(of_resource, SCOPE_SPANS, |scope| {
            let message = copied(scope, SPAN, |span| {
                place += 1;
                Ok((!leave_out(place - 1)).then(|| span.rest().to_vec()))
            })?;
            Ok(Some(message))
        })?;
        Ok(Some(message))
    })
}

/// A message in which the content of each field of `wanted` is what `change` makes of it, or not there.
fn copied<'a>(
    mut message: Reader<'a>,
    wanted: u32,
    mut change: impl FnMut(Reader<'a>) -> Result<Option<Vec<u8>>, Malformed>,
) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::with_capacity(message.rest().len());
    while !message.is_done() {
        let start = message.offset();
        let found = message.key()?;
        if found == wanted {
            if let Some(content) = change(message.message()?)? {
                put_bytes(&mut out, wanted >> 3, &content);
            }
        } else {
            message.skip(found)?;
            out.extend_from_slice(message.since(start));
        }
    }
    Ok(out)
}

/// Calls `with` for the content of each field of `wanted`.
fn each<'a>(
    mut message: Reader<'a>,
    wanted: u32,
    mut with: impl FnMut(Reader<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    while !message.is_done() {
        match message.key()? {
            found if found == wanted => with(message.message()?)?,
            other => message.skip(other)?,
        }
    }
    Ok(())
}

fn read_span<'a>(mut message: Reader<'a>) -> Result<Span<'a>, Malformed> {
    const TRACE_ID: u32 = key(1, LEN);
    const SPAN_ID: u32 = key(2, LEN);
    const PARENT_ID: u32 = key(4, LEN);
    const NAME: u32 = key(5, LEN);
    const KIND: u32 = key(6, VARINT);
    const START: u32 = key(7, FIXED64);
    const END: u32 = key(8, FIXED64);
    const STATUS: u32 = key(15, LEN);
    let mut span = Span {
        trace_id: b"",
        span_id: b"",
        parent_id: b"",
        name: Cow::Borrowed(""),
        kind: Kind::Unspecified,
        start: 0,
        end: 0,
        status: Status::Unset,
        attributes: Attributes { message, field: 9 },
        too_large: message.rest().len() > SPAN_BYTES_MAX,
    };
    if span.too_large {
        span.attributes = Attributes::NONE;
        return Ok(span);
    }
    span.attributes.check()?;
    while !message.is_done() {
        match message.key()? {
            TRACE_ID => span.trace_id = message.bytes()?,
            SPAN_ID => span.span_id = message.bytes()?,
            PARENT_ID => span.parent_id = message.bytes()?,
            NAME => span.name = String::from_utf8_lossy(message.bytes()?),
            KIND => {
                let number = usize::try_from(message.varint()?).unwrap_or(0);
                span.kind = Kind::ALL.get(number).copied().unwrap_or_default();
            }
            START => span.start = fixed64(&mut message)?,
            END => span.end = fixed64(&mut message)?,
            STATUS => span.status = read_status(message.message()?)?,
            other => message.skip(other)?,
        }
    }
    Ok(span)
}

fn read_status(mut message: Reader<'_>) -> Result<Status, Malformed> {
    const CODE: u32 = key(3, VARINT);
    let mut status = Status::Unset;
    while !message.is_done() {
        match message.key()? {
            CODE => {
                status = match message.varint()? {
                    1 => Status::Ok,
                    2 => Status::Error,
                    _ => Status::Unset,
                }
            }
            other => message.skip(other)?,
        }
    }
    Ok(status)
}

/// The next attribute of a message that may have other fields between them.
fn next_attribute<'a>(
    message: &mut Reader<'a>,
    field: u32,
) -> Result<Option<(Cow<'a, str>, Value<'a>)>, Malformed> {
    const KEY: u32 = key(1, LEN);
    const VALUE: u32 = key(2, LEN);
    while !message.is_done() {
        let found = message.key()?;
        if found != key(field, LEN) {
            message.skip(found)?;
            continue;
        }
        let mut pair = message.message()?;
        let (mut name, mut value) = (Cow::Borrowed(""), Value::Other);
        while !pair.is_done() {
            match pair.key()? {
                KEY => name = String::from_utf8_lossy(pair.bytes()?),
                VALUE => value = read_value(pair.message()?)?,
                other => pair.skip(other)?,
            }
        }
        return Ok(Some((name, value)));
    }
    Ok(None)
}

fn read_value<'a>(mut message: Reader<'a>) -> Result<Value<'a>, Malformed> {
    const STRING: u32 = key(1, LEN);
    const BOOL: u32 = key(2, VARINT);
    const INT: u32 = key(3, VARINT);
    const DOUBLE: u32 = key(4, FIXED64);
    let mut value = Value::Other;
    while !message.is_done() {
        match message.key()? {
            STRING => value = Value::String(String::from_utf8_lossy(message.bytes()?)),
            BOOL => value = Value::Bool(message.varint()? != 0),
            INT => value = Value::Int(message.int64()?),
            DOUBLE => value = Value::Double(message.double()?),
            other => {
                message.skip(other)?;
                value = Value::Other;
            }
        }
    }
    Ok(value)
}

fn fixed64(message: &mut Reader<'_>) -> Result<u64, Malformed> {
    let bytes = message.rest().first_chunk::<8>();
    let number = u64::from_le_bytes(*bytes.ok_or_else(|| message.malformed("a number is cut short"))?);
    message.advance(8);
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protobuf::{put_double, put_fixed64, put_message, put_number};

    fn span(out: &mut Vec<u8>, trace: &[u8], id: &[u8], name: &str) {
        put_message(out, 2, |span| {
            put_bytes(span, 1, trace);
            put_bytes(span, 2, id);
            put_bytes(span, 5, name.as_bytes());
            put_number(span, 6, 3);
            put_fixed64(span, 7, 10);
            put_fixed64(span, 8, 30);
            put_message(span, 9, |pair| {
                put_bytes(pair, 1, b"n");
                put_message(pair, 2, |value| put_double(value, 4, 1.5));
            });
            put_message(span, 15, |status| put_number(status, 3, 2));
            put_bytes(span, 77, b"of a later version");
        });
    }

    fn request(names: &[&str]) -> Vec<u8> {
        let mut body = Vec::new();
        put_message(&mut body, 1, |all| {
            put_message(all, 2, |scope| {
                names.iter().for_each(|name| span(scope, &[1; 16], &[2; 8], name));
                put_bytes(scope, 3, b"schema");
            });
            put_message(all, 1, |resource| {
                put_message(resource, 1, |pair| {
                    put_bytes(pair, 1, b"service.name");
                    put_message(pair, 2, |value| put_bytes(value, 1, b"shop"));
                });
            });
        });
        body
    }

    fn names(body: &[u8]) -> Vec<String> {
        let mut names = Vec::new();
        walk(body, |_, span| names.push(span.name.into_owned())).unwrap();
        names
    }

    #[test]
    fn a_span_is_read_with_its_resource() {
        let body = request(&["buy"]);
        let mut seen = 0;
        walk(&body, |resource, span| {
            assert_eq!(resource.text("service.name").unwrap(), "shop");
            assert_eq!((span.name.as_ref(), span.kind, span.status), ("buy", Kind::Client, Status::Error));
            assert_eq!((span.duration(), span.parent_id, span.fault()), (20, &b""[..], None));
            assert_eq!(span.attributes.iter().collect::<Vec<_>>(), [("n".into(), Value::Double(1.5))]);
            seen += 1;
        })
        .unwrap();
        assert_eq!(seen, 1);
    }

    #[test]
    fn spans_can_be_left_out() {
        let body = request(&["a", "b", "c"]);
        assert_eq!(without(&body, |_| false).unwrap(), body);
        assert_eq!(without(&body, |place| place == 1).unwrap(), request(&["a", "c"]));
        assert_eq!(names(&without(&body, |_| true).unwrap()), [""; 0]);
    }

    #[test]
    fn ids_that_are_none_are_named() {
        let check = |trace: &[u8], id: &[u8], expected: Option<&str>| {
            let mut scope = Vec::new();
            span(&mut scope, trace, id, "");
            let mut body = Vec::new();
            put_message(&mut body, 1, |all| put_bytes(all, 2, &scope));
            walk(&body, |_, span| assert_eq!(span.fault(), expected)).unwrap();
        };
        check(&[1; 16], &[1; 8], None);
        check(&[1; 15], &[1; 8], Some("trace_id is not 16 bytes long"));
        check(&[0; 16], &[1; 8], Some("trace_id is zero"));
        check(&[1; 16], &[], Some("span_id is not 8 bytes long"));
        check(&[1; 16], &[0; 8], Some("span_id is zero"));
    }

    #[test]
    fn what_is_cut_short_is_an_error_or_has_fewer_spans() {
        let body = request(&["a", "b"]);
        for len in 1..body.len() {
            assert!(walk(&body[..len], |_, _| {}).is_err(), "{len}");
            assert!(without(&body[..len], |_| false).is_err(), "{len}");
        }
    }
}
