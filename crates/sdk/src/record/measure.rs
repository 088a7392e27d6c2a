//! Units as people write them, and the base units that are stored.
//!
//! A name says its base unit, once: what is measured in `ms` and in `s` is stored in seconds under one name. UCUM
//! spellings, which OpenTelemetry uses, are known beside the usual words.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use super::RecordKind;
use crate::{Error, Unit};

/// How many words for units a process can have that are not known here.
const WORDS_MAX: usize = 256;

/// What a value is measured in, and how it comes to be in base units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure<'a> {
    /// The word for the base unit that ends a name; empty for plain numbers.
    pub word: &'a str,
    /// What to multiply with.
    pub scale: f64,
}

/// Spellings, the base unit, and the factor.
const KNOWN: &[(&[&str], &str, f64)] = &[
    (&["", "1", "count", "counts", "none"], "", 1.0),
    (&["s", "sec", "second", "seconds"], "seconds", 1.0),
    (&["ms", "millisecond", "milliseconds"], "seconds", 1e-3),
    (&["us", "µs", "microsecond", "microseconds"], "seconds", 1e-6),
    (&["ns", "nanosecond", "nanoseconds"], "seconds", 1e-9),
    (&["min", "minute", "minutes"], "seconds", 60.0),
    (&["h", "hour", "hours"], "seconds", 3_600.0),
    (&["d", "day", "days"], "seconds", 86_400.0),
    (&["By", "B", "byte", "bytes"], "bytes", 1.0),
    (&["kBy", "kB", "KB"], "bytes", 1e3),
    (&["MBy", "MB"], "bytes", 1e6),
    (&["GBy", "GB"], "bytes", 1e9),
    (&["KiBy", "KiB"], "bytes", 1024.0),
    (&["MiBy", "MiB"], "bytes", 1_048_576.0),
    (&["GiBy", "GiB"], "bytes", 1_073_741_824.0),
    (&["ratio", "fraction"], "ratio", 1.0),
    (&["%", "percent"], "percent", 1.0),
    (&["Cel", "celsius"], "celsius", 1.0),
    (&["m", "meter", "meters"], "meters", 1.0),
    (&["g", "gram", "grams"], "grams", 1.0),
    (&["V", "volt", "volts"], "volts", 1.0),
    (&["A", "ampere", "amperes"], "amperes", 1.0),
    (&["J", "joule", "joules"], "joules", 1.0),
    (&["Hz", "hertz"], "hertz", 1.0),
];

impl<'a> Measure<'a> {
    /// A plain number.
    pub const NONE: Self = Self { word: "", scale: 1.0 };
    /// A duration in milliseconds.
    pub const MILLISECONDS: Self = Self { word: "seconds", scale: 1e-3 };

    /// What a unit means. One that is not known is its own base; annotations in braces (`{requests}`) are none.
    pub fn named(unit: &'a str) -> Self {
        if unit.starts_with('{') && unit.ends_with('}') {
            return Self::NONE;
        }
        let known = KNOWN.iter().find(|(spellings, ..)| spellings.contains(&unit));
        known.map_or(Self { word: unit, scale: 1.0 }, |&(_, word, scale)| Self { word, scale })
    }

    /// What values of a kind are measured in, if that is said or follows.
    pub(crate) fn of(kind: RecordKind, unit: Option<&'a str>) -> Option<Self> {
        match (unit, kind) {
            (Some(unit), _) => Some(Self::named(unit)),
            (None, RecordKind::Timer) => Some(Self::MILLISECONDS),
            (None, _) => None,
        }
    }

    /// The unit of a metric.
    ///
    /// # Errors
    /// A process has more words for units than it can have.
    pub(crate) fn unit(self) -> Result<Unit, Error> {
        Ok(match self.word {
            "" => Unit::None,
            "seconds" => Unit::Seconds,
            "bytes" => Unit::Bytes,
            "ratio" => Unit::Ratio,
            "percent" => Unit::Percent,
            "celsius" => Unit::Celsius,
            "meters" => Unit::Meters,
            "grams" => Unit::Grams,
            "volts" => Unit::Volts,
            "amperes" => Unit::Amperes,
            "joules" => Unit::Joules,
            "hertz" => Unit::Hertz,
            word => Unit::Custom(kept(word)?),
        })
    }
}

/// The word as one that lives as long as the process.
fn kept(word: &str) -> Result<&'static str, Error> {
    static WORDS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = words.get(word) {
        return Ok(known);
    }
    if words.len() >= WORDS_MAX || word.len() > 64 {
        return Err(Error::InvalidName {
            name: word.to_owned(),
            reason: "too many or too long words for units",
        });
    }
    let kept: &'static str = Box::leak(word.into());
    words.insert(kept);
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_come_down_to_their_base() {
        let check = |unit, word, scale| assert_eq!(Measure::named(unit), Measure { word, scale }, "{unit}");
        check("ms", "seconds", 1e-3);
        check("s", "seconds", 1.0);
        check("MiB", "bytes", 1_048_576.0);
        check("count", "", 1.0);
        check("{requests}", "", 1.0);
        check("requests", "requests", 1.0);
        let unit = Measure::named("requests").unit();
        assert_eq!(unit, Ok(Unit::Custom("requests")));
    }
}
