//! Records as JSON, read.

use barograph::{
    record::{MetricRecord, RecordKind, RecordValue},
    sampling::{SamplingInfo, Strategy},
    scope::{ATTRIBUTES_MAX, Attributes},
};
use barograph_model::{BUCKETS_MAX, Sketch, Timestamp};
use serde_json::{Map, Value};

/// Why something is no record, and where in it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{what}")]
pub(crate) struct Unreadable {
    what: String,
}

impl Unreadable {
    /// In words.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }
}

const STRATEGIES: [Strategy; 6] = [
    Strategy::All,
    Strategy::Consistent,
    Strategy::StatisticalSignificance,
    Strategy::AdaptiveRate,
    Strategy::ImportanceBased,
    Strategy::Reservoir,
];

fn wrong<T>(what: impl Into<String>) -> Result<T, Unreadable> {
    Err(Unreadable::new(what))
}

/// Reads one record; its form is that of `barograph::record`.
pub(crate) fn read(document: &Value) -> Result<MetricRecord, Unreadable> {
    const KEYS: [&str; 8] =
        ["name", "type", "value", "unit", "attributes", "timestamp", "component", "sampling"];
    let Some(object) = document.as_object() else { return wrong("a record is an object") };
    let own = object.get("type").and_then(Value::as_str).and_then(value_of);
    if let Some(key) = object.keys().find(|key| !KEYS.contains(&key.as_str()) && Some(key.as_str()) != own) {
        let own = own.map(|own| format!(", {own}")).unwrap_or_default();
        return wrong(format!("unknown key {key:?}; known are {}{own}", KEYS.join(", ")));
    }
    let text = |key: &str| match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => wrong(format!("{key} must be text")),
    };
    let Some(name) = text("name")? else { return wrong("name is missing") };
    let Some(kind) = text("type")? else { return wrong("type is missing") };
    let kind = kind_named(kind)?;
    let value = match object.get("value").or_else(|| object.get(own?)) {
        Some(Value::Number(number)) => RecordValue::Number(number.as_f64().unwrap_or(f64::NAN)),
        Some(Value::Object(parts)) => RecordValue::Distribution(distribution(parts)?),
        Some(_) => return wrong("value must be a number or a distribution"),
        None => return wrong("value is missing"),
    };
    Ok(MetricRecord {
        unit: text("unit")?.map(str::to_owned),
        attributes: attributes(object.get("attributes"))?,
        timestamp: timestamp(object.get("timestamp"))?,
        component: text("component")?.map(str::to_owned),
        sampling: sampling(object.get("sampling"))?,
        ..MetricRecord::new(kind, name, value)
    })
}

/// The kind of a record by its name.
pub(crate) fn kind_named(kind: &str) -> Result<RecordKind, Unreadable> {
    let known = || RecordKind::ALL.map(RecordKind::as_str).join(", ");
    RecordKind::named(kind).map_or_else(|| wrong(format!("type {kind:?} is none of {}", known())), Ok)
}

/// What the value of a kind may be called, too.
fn value_of(kind: &str) -> Option<&'static str> {
    match RecordKind::named(kind)? {
        RecordKind::Counter => Some("increment"),
        RecordKind::Timer => Some("milliseconds"),
        RecordKind::Meter => Some("count"),
        _ => None,
    }
}

fn attributes(value: Option<&Value>) -> Result<Attributes, Unreadable> {
    let map = match value {
        None | Some(Value::Null) => return Ok(Attributes::new()),
        Some(Value::Object(map)) if map.len() <= ATTRIBUTES_MAX => map,
        Some(Value::Object(_)) => return wrong(format!("more than {ATTRIBUTES_MAX} attributes")),
        Some(_) => return wrong("attributes must be an object"),
    };
    let pair = |(name, value): (&String, &Value)| match value {
        Value::String(text) => Ok((name.clone(), text.clone())),
        Value::Number(_) | Value::Bool(_) => Ok((name.clone(), value.to_string())),
        _ => wrong(format!("attribute {name:?} must be text")),
    };
    let pairs: Result<Vec<_>, _> = map.iter().map(pair).collect();
    Ok(pairs?.into_iter().collect())
}

/// Milliseconds since the epoch, or RFC 3339.
fn timestamp(value: Option<&Value>) -> Result<Option<Timestamp>, Unreadable> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => match number.as_i64() {
            Some(ms) => Ok(Some(Timestamp(ms))),
            None => wrong("timestamp must be whole milliseconds"),
        },
        Some(Value::String(text)) => match Timestamp::from_rfc3339(text) {
            Some(at) => Ok(Some(at)),
            None => wrong(format!("timestamp {text:?} is no time")),
        },
        Some(_) => wrong("timestamp must be milliseconds or a time as text"),
    }
}

fn sampling(value: Option<&Value>) -> Result<Option<SamplingInfo>, Unreadable> {
    let object = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(object)) => object,
        Some(_) => return wrong("sampling must be an object"),
    };
    let strategy = object.get("strategy").and_then(Value::as_str).unwrap_or("all");
    let number = |key: &str| object.get(key).and_then(Value::as_f64);
    sampled(strategy, number("rate"), number("weight")).map(Some)
}

/// How a record was sampled; all of it is optional.
pub(crate) fn sampled(
    strategy: &str,
    rate: Option<f64>,
    weight: Option<f64>,
) -> Result<SamplingInfo, Unreadable> {
    let Some(strategy) = STRATEGIES.into_iter().find(|known| known.as_str() == strategy) else {
        return wrong(format!("sampling strategy {strategy:?} is not known"));
    };
    let rate = rate.unwrap_or(1.0);
    let weight = weight.unwrap_or(1.0 / rate);
    if !(rate > 0.0 && rate <= 1.0 && (1.0..=1e9).contains(&weight)) {
        return wrong("sampling needs a rate above 0 and up to 1, and a weight from 1 to 1e9");
    }
    Ok(SamplingInfo { strategy, rate, weight })
}

fn distribution(parts: &Map<String, Value>) -> Result<Sketch, Unreadable> {
    let number = |key: &str| parts.get(key).and_then(Value::as_f64);
    let buckets = parts.get("buckets").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let pair = |bucket: &Value| {
        let pair = bucket.as_array().filter(|pair| pair.len() == 2);
        pair.and_then(|pair| Some((pair[0].as_f64()?, pair[1].as_u64()?)))
    };
    let parts = DistributionParts {
        // What is no whole number of buckets and zeros cannot be right.
        count: number("count"),
        sum: number("sum"),
        min: number("min"),
        max: number("max"),
        zeros: parts.get("zeros").and_then(Value::as_u64).unwrap_or(0),
    };
    parts.with_buckets(buckets.iter().map(pair))
}

/// What a distribution says of itself beside its buckets.
pub(crate) struct DistributionParts {
    pub(crate) count: Option<f64>,
    pub(crate) sum: Option<f64>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) zeros: u64,
}

impl DistributionParts {
    /// The distribution. Buckets are bounds with counts; bounds are those farther from zero. `None` is no bucket.
    pub(crate) fn with_buckets(
        self,
        buckets: impl ExactSizeIterator<Item = Option<(f64, u64)>>,
    ) -> Result<Sketch, Unreadable> {
        let mut sketch = Sketch::new();
        sketch.add_zeros(self.zeros.min(COUNT_MAX));
        if buckets.len() > 2 * BUCKETS_MAX {
            return wrong("a distribution has too many buckets");
        }
        let (mut least, mut greatest) = (f64::INFINITY, f64::NEG_INFINITY);
        for bucket in buckets {
            let good =
                |(bound, count): &(f64, u64)| bound.is_finite() && *bound != 0.0 && *count <= COUNT_MAX;
            let Some((bound, count)) = bucket.filter(good) else {
                return wrong("a bucket is [bound, count], the bound finite and not zero");
            };
            if count > 0 {
                (least, greatest) = (least.min(bound), greatest.max(bound));
                sketch.add_bucket(bound < 0.0, barograph_model::index_of(bound.abs()), count);
            }
        }
        match self.count {
            Some(count) if count == sketch.count() as f64 => {}
            _ => return wrong("the count of a distribution must be that of its buckets and zeros"),
        }
        let Some(sum) = self.sum else { return wrong("a distribution has a sum") };
        let (min, max) = (self.min.unwrap_or(least), self.max.unwrap_or(greatest));
        sketch.add_moments(sum, min, max);
        Ok(sketch)
    }
}

/// So many values one bucket of one record may claim.
const COUNT_MAX: u64 = 1 << 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut sketch = Sketch::new();
        [0.0, 1.0, 2.5, 2.5, -7.0, 1e-9].into_iter().for_each(|value| sketch.add(value));
        let whole = MetricRecord::new(RecordKind::Timer, "a.b", 12.5)
            .unit("ms")
            .attributes([("flowId", "F \"1\"")])
            .at(Timestamp(1_234))
            .component("importer")
            .sampled(SamplingInfo::kept(Strategy::Reservoir, 0.25));
        let spread = MetricRecord::new(RecordKind::Histogram, "h", RecordValue::Distribution(sketch));
        for record in [whole, spread, MetricRecord::new(RecordKind::Counter, "c", 1.0)] {
            let mut text = String::new();
            record.write_json(&mut text);
            assert_eq!(read(&serde_json::from_str(&text).unwrap()).unwrap(), record, "{text}");
        }
    }

    #[test]
    fn values_have_the_names_of_their_operations() {
        let check = |kind: &str, key: &str| {
            let text = format!(r#"{{"name":"a","type":"{kind}","{key}":3}}"#);
            let plain = read(&serde_json::from_str(&text.replace(key, "value")).unwrap()).unwrap();
            assert_eq!(read(&serde_json::from_str(&text).unwrap()).unwrap(), plain);
            assert!(plain.value == RecordValue::Number(3.0), "{text}");
        };
        check("counter", "increment");
        check("timer", "milliseconds");
        check("meter", "count");
    }

    #[test]
    fn what_is_no_record_is_told() {
        let check = |text: &str, expected: &str| {
            let refused = read(&serde_json::from_str(text).unwrap()).unwrap_err().to_string();
            assert!(refused.contains(expected), "{text}: {refused}");
        };
        check("7", "an object");
        check("{}", "name is missing");
        check(r#"{"name":"a"}"#, "type is missing");
        check(r#"{"name":"a","type":"sum","value":1}"#, "none of counter");
        check(r#"{"name":"a","type":"gauge"}"#, "value is missing");
        check(r#"{"name":"a","type":"gauge","value":1,"tags":{}}"#, "unknown key");
        check(r#"{"name":"a","type":"gauge","increment":1}"#, "unknown key");
        check(r#"{"name":"a","type":"gauge","value":1,"timestamp":"then"}"#, "no time");
        check(r#"{"name":"a","type":"gauge","value":1,"sampling":{"rate":0}}"#, "rate");
        check(r#"{"name":"a","type":"histogram","value":{"count":3,"sum":1,"buckets":[[1,2]]}}"#, "count");
    }
}
