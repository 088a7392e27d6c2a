//! The messages of OTLP, as tables: what a field is called in JSON, its number, and how it lies in protobuf.
//!
//! Names and numbers: `opentelemetry-proto` 1.x. What is not listed is not known, and passed over.

/// A message: its fields.
#[derive(Debug)]
pub(super) struct Message(pub(super) &'static [Field]);

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    /// Its name in JSON, in lowerCamelCase.
    pub(super) name: &'static str,
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) repeated: bool,
}

/// How the value of a field is written, in JSON and in protobuf.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A string.
    Text,
    /// An id: hexadecimal digits, bytes.
    Id,
    /// Base64, bytes.
    Bytes,
    /// `true` or `false`, a varint.
    Boolean,
    /// A number without a sign, or an enum: a varint.
    Unsigned,
    /// A number with a sign: a varint in two's complement.
    Signed,
    /// A number with a sign: a varint in zigzag.
    Zigzag,
    /// A number without a sign: four bytes.
    Fixed32,
    /// A number without a sign: eight bytes.
    Fixed64,
    /// A number with a sign: eight bytes.
    SignedFixed64,
    /// A floating-point number.
    Double,
    /// Another message.
    Of(&'static Message),
}

const fn one(name: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, number, kind, repeated: false }
}

const fn many(name: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, number, kind, repeated: true }
}

use Kind::{Boolean, Bytes, Double, Fixed32, Fixed64, Id, Of, Signed, SignedFixed64, Text, Unsigned, Zigzag};

pub(super) static METRICS_REQUEST: Message = Message(&[many("resourceMetrics", 1, Of(&RESOURCE_METRICS))]);

static RESOURCE_METRICS: Message = Message(&[
    one("resource", 1, Of(&RESOURCE)),
    many("scopeMetrics", 2, Of(&SCOPE_METRICS)),
    one("schemaUrl", 3, Text),
]);

static SCOPE_METRICS: Message =
    Message(&[one("scope", 1, Of(&SCOPE)), many("metrics", 2, Of(&METRIC)), one("schemaUrl", 3, Text)]);

static METRIC: Message = Message(&[
    one("name", 1, Text),
    one("description", 2, Text),
    one("unit", 3, Text),
    one("gauge", 5, Of(&GAUGE)),
    one("sum", 7, Of(&SUM)),
    one("histogram", 9, Of(&HISTOGRAM)),
    one("exponentialHistogram", 10, Of(&EXPONENTIAL)),
    one("summary", 11, Of(&SUMMARY)),
    many("metadata", 12, Of(&ATTRIBUTE)),
]);

static GAUGE: Message = Message(&[many("dataPoints", 1, Of(&NUMBER_POINT))]);

static SUM: Message = Message(&[
    many("dataPoints", 1, Of(&NUMBER_POINT)),
    one("aggregationTemporality", 2, Unsigned),
    one("isMonotonic", 3, Boolean),
]);

static HISTOGRAM: Message =
    Message(&[many("dataPoints", 1, Of(&HISTOGRAM_POINT)), one("aggregationTemporality", 2, Unsigned)]);

static EXPONENTIAL: Message =
    Message(&[many("dataPoints", 1, Of(&EXPONENTIAL_POINT)), one("aggregationTemporality", 2, Unsigned)]);

static SUMMARY: Message = Message(&[many("dataPoints", 1, Of(&SUMMARY_POINT))]);

static NUMBER_POINT: Message = Message(&[
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("asDouble", 4, Double),
    many("exemplars", 5, Of(&EXEMPLAR)),
    one("asInt", 6, SignedFixed64),
    many("attributes", 7, Of(&ATTRIBUTE)),
    one("flags", 8, Unsigned),
]);

static HISTOGRAM_POINT: Message = Message(&[
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("count", 4, Fixed64),
    one("sum", 5, Double),
    many("bucketCounts", 6, Fixed64),
    many("explicitBounds", 7, Double),
    many("exemplars", 8, Of(&EXEMPLAR)),
    many("attributes", 9, Of(&ATTRIBUTE)),
    one("flags", 10, Unsigned),
    one("min", 11, Double),
    one("max", 12, Double),
]);

static EXPONENTIAL_POINT: Message = Message(&[
    many("attributes", 1, Of(&ATTRIBUTE)),
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("count", 4, Fixed64),
    one("sum", 5, Double),
    one("scale", 6, Zigzag),
    one("zeroCount", 7, Fixed64),
    one("positive", 8, Of(&BUCKETS)),
    one("negative", 9, Of(&BUCKETS)),
    one("flags", 10, Unsigned),
    many("exemplars", 11, Of(&EXEMPLAR)),
    one("min", 12, Double),
    one("max", 13, Double),
    one("zeroThreshold", 14, Double),
]);

static BUCKETS: Message = Message(&[one("offset", 1, Zigzag), many("bucketCounts", 2, Unsigned)]);

static SUMMARY_POINT: Message = Message(&[
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("count", 4, Fixed64),
    one("sum", 5, Double),
    many("quantileValues", 6, Of(&QUANTILE)),
    many("attributes", 7, Of(&ATTRIBUTE)),
    one("flags", 8, Unsigned),
]);

static QUANTILE: Message = Message(&[one("quantile", 1, Double), one("value", 2, Double)]);

static EXEMPLAR: Message = Message(&[
    one("timeUnixNano", 2, Fixed64),
    one("asDouble", 3, Double),
    one("spanId", 4, Id),
    one("traceId", 5, Id),
    one("asInt", 6, SignedFixed64),
    many("filteredAttributes", 7, Of(&ATTRIBUTE)),
]);

pub(super) static TRACES_REQUEST: Message = Message(&[many("resourceSpans", 1, Of(&RESOURCE_SPANS))]);

static RESOURCE_SPANS: Message = Message(&[
    one("resource", 1, Of(&RESOURCE)),
    many("scopeSpans", 2, Of(&SCOPE_SPANS)),
    one("schemaUrl", 3, Text),
]);

static SCOPE_SPANS: Message =
    Message(&[one("scope", 1, Of(&SCOPE)), many("spans", 2, Of(&SPAN)), one("schemaUrl", 3, Text)]);

static SPAN: Message = Message(&[
    one("traceId", 1, Id),
    one("spanId", 2, Id),
    one("traceState", 3, Text),
    one("parentSpanId", 4, Id),
    one("name", 5, Text),
    one("kind", 6, Unsigned),
    one("startTimeUnixNano", 7, Fixed64),
    one("endTimeUnixNano", 8, Fixed64),
    many("attributes", 9, Of(&ATTRIBUTE)),
    one("droppedAttributesCount", 10, Unsigned),
    many("events", 11, Of(&EVENT)),
    one("droppedEventsCount", 12, Unsigned),
    many("links", 13, Of(&LINK)),
    one("droppedLinksCount", 14, Unsigned),
    one("status", 15, Of(&STATUS)),
    one("flags", 16, Fixed32),
]);

static EVENT: Message = Message(&[
    one("timeUnixNano", 1, Fixed64),
    one("name", 2, Text),
    many("attributes", 3, Of(&ATTRIBUTE)),
    one("droppedAttributesCount", 4, Unsigned),
]);

static LINK: Message = Message(&[
    one("traceId", 1, Id),
    one("spanId", 2, Id),
    one("traceState", 3, Text),
    many("attributes", 4, Of(&ATTRIBUTE)),
    one("droppedAttributesCount", 5, Unsigned),
    one("flags", 6, Fixed32),
]);

static STATUS: Message = Message(&[one("message", 2, Text), one("code", 3, Unsigned)]);

static RESOURCE: Message =
    Message(&[many("attributes", 1, Of(&ATTRIBUTE)), one("droppedAttributesCount", 2, Unsigned)]);

static SCOPE: Message = Message(&[
    one("name", 1, Text),
    one("version", 2, Text),
    many("attributes", 3, Of(&ATTRIBUTE)),
    one("droppedAttributesCount", 4, Unsigned),
]);

static ATTRIBUTE: Message = Message(&[one("key", 1, Text), one("value", 2, Of(&ANY))]);

static ANY: Message = Message(&[
    one("stringValue", 1, Text),
    one("boolValue", 2, Boolean),
    one("intValue", 3, Signed),
    one("doubleValue", 4, Double),
    one("arrayValue", 5, Of(&LIST)),
    one("kvlistValue", 6, Of(&MAP)),
    one("bytesValue", 7, Bytes),
]);

static LIST: Message = Message(&[many("values", 1, Of(&ANY))]);

static MAP: Message = Message(&[many("values", 1, Of(&ATTRIBUTE))]);
