//! Parameters of a request: from the URL and, for POST, from the form in the body, as the Prometheus API takes them.
//!
//! A form value comes before a URL value of the same name, and repeated names keep all their values.

use barograph_model::{Tier, Timestamp};

use super::prom::ApiError;
use crate::config::parse_duration;

/// The decoded names and values of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads the query string and a form-encoded body; pass an empty body for GET.
    pub(crate) fn new(query: &str, form: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(form).chain(form_urlencoded::parse(query.as_bytes()));
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// Of pairs that are already decoded.
    pub(crate) fn of(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// The parameters whose name begins with `prefix`, without it.
    pub(crate) fn beginning<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(move |pair| Some((pair.0.strip_prefix(prefix)?, pair.1.as_str())))
    }

    /// All names and values but those of one name.
    pub(crate) fn but(&self, name: &'static str) -> impl Iterator<Item = (String, String)> {
        self.0.iter().filter(move |pair| pair.0 != name).cloned()
    }

    /// The first value of a parameter; one that is empty counts as absent.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|pair| pair.0 == name)
            .map(|pair| pair.1.as_str())
            .filter(|value| !value.is_empty())
    }

    /// All values of a parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |pair| pair.0 == name).map(|pair| pair.1.as_str())
    }

    /// A point in time: Unix seconds or RFC 3339.
    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        self.parsed(name, parse_time)
    }

    /// A span in milliseconds: seconds or a duration such as `5m`.
    pub(crate) fn duration_ms(&self, name: &str) -> Result<Option<i64>, ApiError> {
        self.parsed(name, parse_duration_ms)
    }

    /// A tier; `auto`, as absence, leaves it to what is there.
    pub(crate) fn tier(&self, name: &str) -> Result<Option<Tier>, ApiError> {
        let tier = self.parsed(name, |text| match text {
            "auto" => Ok(None),
            text => text.parse().map(Some).map_err(|_| format!("{text:?} is none of raw, 1m, 5m, 1h, auto")),
        })?;
        Ok(tier.flatten())
    }

    /// Whether something is wanted: `true` or `1`; absence, `false` and `0` say no.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        let flag = self.parsed(name, |text| match text {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            text => Err(format!("{text:?} is neither true nor false")),
        })?;
        Ok(flag.unwrap_or(false))
    }

    /// A whole number, zero or more; zero and absence mean no limit.
    pub(crate) fn limit(&self, name: &str) -> Result<usize, ApiError> {
        let limit = self.parsed(name, |text| {
            text.parse::<usize>().map_err(|_| format!("cannot parse {text:?} to a whole number"))
        })?;
        Ok(limit.filter(|&limit| limit > 0).unwrap_or(usize::MAX))
    }

    /// A number that is finite.
    pub(crate) fn number(&self, name: &str) -> Result<Option<f64>, ApiError> {
        self.parsed(name, |text| {
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
            number.ok_or_else(|| format!("cannot parse {text:?} to a number"))
        })
    }

    /// All parameters but those of one name.
    pub(crate) fn without(&self, name: &'static str) -> Self {
        Self(self.but(name).collect())
    }

    fn parsed<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ApiError> {
        self.first(name).map(|text| parse(text).map_err(|e| ApiError::bad_parameter(name, &e))).transpose()
    }
}

/// Unix seconds with a fraction, or RFC 3339.
pub(crate) fn parse_time(text: &str) -> Result<Timestamp, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return seconds_to_ms(seconds).map(Timestamp).ok_or_else(|| bad_time(text));
    }
    // How upstream's own clients spell the ends of time.
    match text {
        "-292273086-05-16T16:47:06Z" => Ok(Timestamp::MIN),
        "292277025-08-18T07:12:54.999999999Z" => Ok(Timestamp::MAX),
        _ => Timestamp::from_rfc3339(text).ok_or_else(|| bad_time(text)),
    }
}

fn bad_time(text: &str) -> String {
    format!("cannot parse {text:?} to a valid timestamp")
}

/// Seconds with a fraction, or a duration such as `1h30m`.
pub(crate) fn parse_duration_ms(text: &str) -> Result<i64, String> {
    let ms = match text.parse::<f64>() {
        Ok(seconds) => seconds_to_ms(seconds),
        Err(_) => parse_duration(text).ok().and_then(|duration| i64::try_from(duration.as_millis()).ok()),
    };
    ms.ok_or_else(|| format!("cannot parse {text:?} to a valid duration"))
}

fn seconds_to_ms(seconds: f64) -> Option<i64> {
    let ms = (seconds * 1e3).round();
    #[expect(clippy::cast_possible_truncation, reason = "checked to lie within i64")]
    (ms.abs() < 9.2e18).then_some(ms as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times() {
        let check =
            |text: &str, ms: Option<i64>| assert_eq!(parse_time(text).ok().map(|t| t.0), ms, "{text}");
        check("0", Some(0));
        check("1435781451.781", Some(1_435_781_451_781));
        check("2015-07-01T20:10:51.781Z", Some(1_435_781_451_781));
        check("2015-07-01T22:10:51.781+02:00", Some(1_435_781_451_781));
        check("1969-12-31T23:59:59.9999Z", Some(-1));
        check("2024-02-29T00:00:00Z", Some(1_709_164_800_000));
        check("2023-02-29T00:00:00Z", None);
        check("2015-07-01", None);
        check("NaN", None);
        check("1e300", None);
        check("ä015-07-01T20:10:51.781Z", None);
    }

    #[test]
    fn reads_durations() {
        let check = |text: &str, ms: Option<i64>| assert_eq!(parse_duration_ms(text).ok(), ms, "{text}");
        check("15", Some(15_000));
        check("0.5", Some(500));
        check("1h30m", Some(5_400_000));
        check("5ms", Some(5));
        check("30m1h", None);
        check("5", Some(5_000));
        check("m", None);
        check("99999999999999999y", None);
    }

    #[test]
    fn a_form_comes_before_the_url() {
        let params = Params::new("query=url&match[]=a", b"query=form&match%5B%5D=b");
        assert_eq!(params.first("query"), Some("form"));
        assert_eq!(params.all("match[]").collect::<Vec<_>>(), ["b", "a"]);
    }
}
