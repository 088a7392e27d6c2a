//! What a receiver of OTLP answers, as protobuf or JSON: how much of a request was refused, or why all of it was.
//!
//! Shapes: `Export…ServiceResponse` of `opentelemetry-proto`, and `google.rpc.Status`.

use crate::protobuf::{put_bytes, put_message, put_number};

/// In which encoding a request came, and is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

impl Encoding {
    /// That of a media type; parameters behind it say nothing.
    pub fn of(media: &str) -> Option<Self> {
        let media = media.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| media.eq_ignore_ascii_case(name);
        match () {
            () if is("application/x-protobuf") || is("application/protobuf") => Some(Self::Protobuf),
            () if is("application/json") => Some(Self::Json),
            () => None,
        }
    }

    /// Its media type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// What a request is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Points of metrics.
    Metrics,
    /// Spans.
    Traces,
}

/// What of a request was refused, and what its sender should know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partial {
    /// Points or spans.
    pub rejected: u64,
    /// Why; or, where none was, a warning.
    pub message: String,
}

/// The answer to a request that was taken, wholly or in part.
pub fn response(encoding: Encoding, signal: Signal, partial: &Partial) -> Vec<u8> {
    let all = partial.rejected == 0 && partial.message.is_empty();
    let mut bytes = Vec::new();
    match encoding {
        Encoding::Protobuf if all => {}
        Encoding::Protobuf => put_message(&mut bytes, 1, |message| {
            if partial.rejected > 0 {
                put_number(message, 1, partial.rejected);
            }
            put_bytes(message, 2, partial.message.as_bytes());
        }),
        Encoding::Json if all => bytes.extend_from_slice(b"{}"),
        Encoding::Json => {
            let field = match signal {
                Signal::Metrics => "rejectedDataPoints",
                Signal::Traces => "rejectedSpans",
            };
            let (count, message) = (partial.rejected, serde_json::Value::from(&*partial.message));
            let text =
                format!("{{\"partialSuccess\":{{\"{field}\":\"{count}\",\"errorMessage\":{message}}}}}");
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

/// A `google.rpc.Status`: why a request was refused. `code` is one of gRPC's.
pub fn status(encoding: Encoding, code: u8, message: &str) -> Vec<u8> {
    match encoding {
        Encoding::Protobuf => {
            let mut bytes = Vec::new();
            put_number(&mut bytes, 1, u64::from(code));
            put_bytes(&mut bytes, 2, message.as_bytes());
            bytes
        }
        Encoding::Json => {
            let message = serde_json::Value::from(message);
            format!("{{\"code\":{code},\"message\":{message}}}").into_bytes()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_in_the_encoding_of_the_request() {
        let partial = Partial { rejected: 2, message: "a \"b\"".to_owned() };
        let text = |encoding, partial: &Partial| {
            String::from_utf8(response(encoding, Signal::Metrics, partial)).unwrap()
        };
        assert_eq!(text(Encoding::Json, &Partial::default()), "{}");
        assert_eq!(text(Encoding::Protobuf, &Partial::default()), "");
        let json = r#"{"partialSuccess":{"rejectedDataPoints":"2","errorMessage":"a \"b\""}}"#;
        assert_eq!(text(Encoding::Json, &partial), json);
        assert_eq!(text(Encoding::Protobuf, &partial), "\x0a\x09\x08\x02\x12\x05a \"b\"");
        assert_eq!(status(Encoding::Json, 3, "x"), br#"{"code":3,"message":"x"}"#);
        assert_eq!(status(Encoding::Protobuf, 3, "x"), b"\x08\x03\x12\x01x");
        assert_eq!(Encoding::of("application/json; charset=utf-8"), Some(Encoding::Json));
        assert_eq!(Encoding::of("text/plain"), None);
    }
}
