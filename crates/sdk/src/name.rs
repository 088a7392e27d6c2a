//! Names and units: what may be given, and what is exposed and stored.
//!
//! A name is given dotted (`http.server.request.duration`) or in Prometheus spelling (`jobs_total`). It is exposed
//! and stored in Prometheus spelling: dots become underscores, a unit that is not yet the last word is appended,
//! and counters end in `_total`. So `http.server.request.duration` in seconds is
//! `http_server_request_duration_seconds`. Names that a linter of the field would refuse are refused here.

use crate::Error;

/// The most bytes of a metric's or a label's name.
pub const NAME_BYTES_MAX: usize = 512;

/// What a metric is measured in. Base units, not thousandths or millions of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// A plain number: a count of things, which the name says.
    #[default]
    None,
    /// Seconds, as a float.
    Seconds,
    /// Bytes.
    Bytes,
    /// A share from 0 to 1.
    Ratio,
    /// A share from 0 to 100.
    Percent,
    /// Degrees Celsius.
    Celsius,
    /// Metres.
    Meters,
    /// Grams.
    Grams,
    /// Volts.
    Volts,
    /// Amperes.
    Amperes,
    /// Joules.
    Joules,
    /// Hertz.
    Hertz,
    /// Any other, as the lowercase plural word that ends the name.
    Custom(&'static str),
}

impl Unit {
    /// The word for it in names and metadata, or empty.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::Ratio => "ratio",
            Self::Percent => "percent",
            Self::Celsius => "celsius",
            Self::Meters => "meters",
            Self::Grams => "grams",
            Self::Volts => "volts",
            Self::Amperes => "amperes",
            Self::Joules => "joules",
            Self::Hertz => "hertz",
            Self::Custom(word) => word,
        }
    }
}

/// The exposed name of a metric, without the `_total` of counters.
pub(crate) fn exposed(given: &str, unit: Unit, counter: bool) -> Result<String, Error> {
    let refuse = |reason| Err(Error::InvalidName { name: given.to_owned(), reason });
    let unit = unit.as_str();
    let mut name = given.replace('.', "_");
    if counter && let Some(base) = name.strip_suffix("_total") {
        name.truncate(base.len());
    }
    if !unit.is_empty() && name != unit && !name.ends_with(&format!("_{unit}")) {
        name = format!("{name}_{unit}");
    }
    if name.len() > NAME_BYTES_MAX {
        return refuse("it is longer than 512 bytes");
    }
    if !is_identifier(&name) {
        return refuse("a name has letters, digits, dots and underscores, and starts with no digit");
    }
    if name.starts_with("__") {
        return refuse("a leading __ is reserved");
    }
    for (suffix, reason) in [
        ("_total", "_total ends the names of counters only"),
        ("_bucket", "_bucket ends the samples of histograms"),
        ("_count", "_count ends the samples of histograms"),
        ("_sum", "_sum ends the samples of histograms"),
        ("_created", "_created ends the samples of counters and histograms"),
    ] {
        if name.ends_with(suffix) {
            return refuse(reason);
        }
    }
    Ok(name)
}

/// The exposed name of a label.
pub(crate) fn exposed_label(given: &str, reserved: &[&str]) -> Result<String, Error> {
    let name = given.replace('.', "_");
    let refuse = |reason| Err(Error::InvalidLabel { name: given.to_owned(), reason });
    if !is_identifier(&name) || name.len() > NAME_BYTES_MAX {
        return refuse("a label has letters, digits, dots and underscores, and starts with no digit");
    }
    if name.starts_with("__") {
        return refuse("a leading __ is reserved");
    }
    if reserved.contains(&name.as_str()) {
        return refuse("this kind of metric tells its points apart by it");
    }
    Ok(name)
}

fn is_identifier(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_names() {
        let check = |given: &str, unit, counter, expected: &str| {
            assert_eq!(exposed(given, unit, counter).unwrap(), expected, "{given}");
        };
        check("http.server.request.duration", Unit::Seconds, false, "http_server_request_duration_seconds");
        check("wait_seconds", Unit::Seconds, false, "wait_seconds");
        check("seconds", Unit::Seconds, false, "seconds");
        check("sent_bytes_total", Unit::Bytes, true, "sent_bytes");
        check("sent", Unit::Bytes, true, "sent_bytes");
        check("jobs", Unit::None, true, "jobs");
        check("jobs_total", Unit::None, true, "jobs");
        check("build_info", Unit::None, false, "build_info");
        check("hits", Unit::Custom("requests"), true, "hits_requests");
    }

    #[test]
    fn refuses_what_a_linter_would() {
        let refused =
            ["", "9lives", "a b", "é", "a:b", "jobs_total", "x_bucket", "x_count", "x.sum", "__x", "a-b"];
        for given in refused {
            assert!(exposed(given, Unit::None, false).is_err(), "{given}");
        }
        assert!(exposed(&"x".repeat(513), Unit::None, false).is_err());
        assert!(exposed("x", Unit::Custom("a b"), false).is_err());
        assert!(exposed("total", Unit::None, true).is_ok());
    }

    #[test]
    fn refuses_reserved_labels() {
        assert_eq!(exposed_label("http.route", &[]).unwrap(), "http_route");
        assert!(exposed_label("__name__", &[]).is_err());
        assert!(exposed_label("", &[]).is_err());
        assert!(exposed_label("le", &["le"]).is_err());
        assert!(exposed_label("le", &[]).is_ok());
    }
}
