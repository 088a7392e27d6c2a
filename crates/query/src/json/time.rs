//! Times and lengths of time as documents write them.
//!
//! A time is RFC 3339 (`2025-04-01T00:00:00Z`), a day (`2025-04-01`), milliseconds since the epoch as a number, or
//! relative to now: `now`, `now-6h`, `now+5m`. A length is `90s`, `7m`, `1h30m`, or milliseconds as a number.

use barograph_model::Timestamp;

use super::{
    document::Moment,
    read::{At, Invalid},
};
use crate::syntax::parse_duration;

/// Times beyond these are nobody's; they leave room to compute: the years −9999 to 9999, roughly.
const MOMENT_MS_MAX: i64 = 253_402_300_800_000;

/// The time a text names.
pub fn parse_moment(text: &str) -> Option<Moment> {
    if let Some(rest) = text.strip_prefix("now") {
        let (sign, length) = match rest.as_bytes().first() {
            None => return Some(Moment::FromNow(0)),
            Some(b'-') => (-1, &rest[1..]),
            Some(b'+') => (1, &rest[1..]),
            Some(_) => return None,
        };
        let length = parse_duration(length).filter(|ms| *ms <= MOMENT_MS_MAX)?;
        return Some(Moment::FromNow(sign * length));
    }
    let at =
        Timestamp::from_rfc3339(text).or_else(|| Timestamp::from_rfc3339(&format!("{text}T00:00:00Z")))?;
    Some(Moment::At(at))
}

pub(super) fn moment(at: &At<'_>) -> Result<Moment, Invalid> {
    let wrong = || {
        at.wrong(
            "expected a time: 2025-04-01T00:00:00Z, milliseconds since the epoch, or from now such as now-6h",
        )
    };
    if let Some(ms) = at.value.as_i64() {
        return Some(Moment::At(Timestamp(ms))).filter(|_| ms.abs() <= MOMENT_MS_MAX).ok_or_else(wrong);
    }
    at.value.as_str().and_then(parse_moment).ok_or_else(wrong)
}

pub(super) fn length(at: &At<'_>) -> Result<i64, Invalid> {
    let ms = at.value.as_i64().or_else(|| at.value.as_str().and_then(parse_duration));
    ms.filter(|ms| (1..=MOMENT_MS_MAX).contains(ms))
        .ok_or_else(|| at.wrong("expected a length of time such as 30s, 7m or 1h30m, or milliseconds"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn times() {
        let check = |value: Value, expected: Option<Moment>| {
            assert_eq!(moment(&At::root(&value)).ok(), expected, "{value}");
        };
        check(json!("2025-04-01T00:00:00Z"), Some(Moment::At(Timestamp(1_743_465_600_000))));
        check(json!("2025-04-01"), Some(Moment::At(Timestamp(1_743_465_600_000))));
        check(json!(1_743_465_600_000_i64), Some(Moment::At(Timestamp(1_743_465_600_000))));
        check(json!("now"), Some(Moment::FromNow(0)));
        check(json!("now-6h"), Some(Moment::FromNow(-21_600_000)));
        check(json!("now+5m"), Some(Moment::FromNow(300_000)));
        for bad in [json!("now6h"), json!("soon"), json!("now-"), json!(1.5), json!(i64::MAX), json!([])] {
            check(bad, None);
        }
    }

    #[test]
    fn lengths() {
        let check = |value: Value, expected: Option<i64>| {
            assert_eq!(length(&At::root(&value)).ok(), expected, "{value}");
        };
        check(json!("7m"), Some(420_000));
        check(json!(1500), Some(1500));
        for bad in [json!("0"), json!(0), json!(-5), json!("m"), json!("5 m"), json!(i64::MAX)] {
            check(bad, None);
        }
    }
}
