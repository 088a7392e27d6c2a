//! Names of metrics and labels, made of those of OpenTelemetry.
//!
//! Promises: a name that comes out is not empty and is more than underscores, and the same name, unit and kind give the same
//! result. The rules are those of the specification of compatibility between OpenTelemetry and Prometheus, with the four
//! strategies that Prometheus has in its configuration.

use std::borrow::Cow;

/// How names of metrics and labels are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// What is no letter, digit or colon becomes `_`; unit and type are appended.
    #[default]
    EscapedWithSuffixes,
    /// What is no letter, digit or colon becomes `_`; nothing is appended.
    EscapedWithoutSuffixes,
    /// Names stay, unit and type are appended.
    Utf8WithSuffixes,
    /// Names stay as they are.
    Untouched,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::EscapedWithSuffixes, Self::EscapedWithoutSuffixes, Self::Utf8WithSuffixes, Self::Untouched];

    /// As the configuration of Prometheus calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EscapedWithSuffixes => "UnderscoreEscapingWithSuffixes",
            Self::EscapedWithoutSuffixes => "UnderscoreEscapingWithoutSuffixes",
            Self::Utf8WithSuffixes => "NoUTF8EscapingWithSuffixes",
            Self::Untouched => "NoTranslation",
        }
    }

    const fn escapes(self) -> bool {
        matches!(self, Self::EscapedWithSuffixes | Self::EscapedWithoutSuffixes)
    }

    const fn appends(self) -> bool {
        matches!(self, Self::EscapedWithSuffixes | Self::Utf8WithSuffixes)
    }
}

/// What of a metric decides on its suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    /// A sum that only grows.
    Counter,
    /// A gauge; a sum that may fall is none here.
    Gauge,
    /// Anything else.
    Other,
}

/// The name that is left has nothing but underscores in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoName;

/// The name of a metric.
pub(crate) fn metric_name(
    strategy: Strategy,
    name: &str,
    unit: &str,
    shape: Shape,
) -> Result<String, NoName> {
    let made = match strategy {
        Strategy::EscapedWithSuffixes => escaped(name, unit, shape),
        Strategy::EscapedWithoutSuffixes => {
            let kept = |c: char| is_kept(c) || c == '_';
            let parts: Vec<_> = name.split(|c| !kept(c)).filter(|part| !part.is_empty()).collect();
            not_a_digit_first(parts.join("_"))
        }
        Strategy::Utf8WithSuffixes => suffixed(name, unit, shape),
        Strategy::Untouched => name.to_owned(),
    };
    let nothing = made.is_empty() || strategy.escapes() && made != name && made.bytes().all(|b| b == b'_');
    if nothing { Err(NoName) } else { Ok(made) }
}

const fn is_kept(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == ':'
}

fn not_a_digit_first(name: String) -> String {
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// Tokens joined by underscores, the unit and what the type says behind them.
fn escaped(name: &str, unit: &str, shape: Shape) -> String {
    let mut tokens: Vec<Cow<'_, str>> =
        name.split(|c| !is_kept(c)).filter(|token| !token.is_empty()).map(Cow::from).collect();
    let (main, per) = unit_words(unit);
    let (main, per) = (word_of(&main), word_of(&per));
    let stands = |tokens: &[Cow<'_, str>], word: &str| tokens.iter().any(|token| token == word);
    let (has_main, has_per) = (stands(&tokens, &main), stands(&tokens, &per));
    if !main.is_empty() && !has_main {
        tokens.push(main.into());
    }
    if !per.is_empty() && !has_per {
        tokens.push(per.into());
    }
    let last = match shape {
        Shape::Counter => Some("total"),
        Shape::Gauge if unit == "1" => Some("ratio"),
        _ => None,
    };
    if let Some(last) = last {
        tokens.retain(|token| token != last);
        tokens.push(last.into());
    }
    not_a_digit_first(tokens.join("_"))
}

/// The name as it is, with suffixes that it does not end with already.
fn suffixed(name: &str, unit: &str, shape: Shape) -> String {
    let last = match shape {
        Shape::Counter => "total",
        Shape::Gauge if unit == "1" => "ratio",
        _ => "",
    };
    let (main, per) = unit_words(unit);
    let mut name = without_suffix(without_suffix(name, last), &per).to_owned();
    if !main.is_empty() && !name.ends_with(&main) {
        name = format!("{name}_{main}");
    }
    for suffix in [&*per, last] {
        if !suffix.is_empty() {
            name = format!("{name}_{suffix}");
        }
    }
    name
}

/// The name before a suffix and the one character that divides them.
fn without_suffix<'n>(name: &'n str, suffix: &str) -> &'n str {
    let before = name.strip_suffix(suffix).filter(|before| !suffix.is_empty() && before.len() > 1);
    let Some(before) = before else { return name };
    let mut characters = before.chars();
    characters.next_back();
    characters.as_str()
}

/// A unit in words, as it is kept of a metric: `bytes_per_second`.
pub(crate) fn unit_in_words(unit: &str) -> String {
    let (main, per) = unit_words(unit);
    let words = [word_of(&main), word_of(&per)];
    words.iter().filter(|word| !word.is_empty()).map(|word| &**word).collect::<Vec<_>>().join("_")
}

/// What a unit of UCUM is called, and what it is counted per, with `per_` before it. Annotations in braces are no units.
fn unit_words(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let named = |text: &str, word: fn(&str) -> Option<&'static str>| {
        let text = text.trim();
        if text.contains(['{', '}']) { String::new() } else { word(text).unwrap_or(text).to_owned() }
    };
    let per = named(per, per_word);
    (named(main, main_word), if per.is_empty() { per } else { format!("per_{per}") })
}

/// A unit with other characters than names have taken out.
fn word_of(unit: &str) -> String {
    let mut word = String::with_capacity(unit.len());
    for c in unit.chars() {
        match is_kept(c) {
            true => word.push(c),
            false if word.is_empty() || word.ends_with('_') => {}
            false => word.push('_'),
        }
    }
    let bare = word.trim_end_matches('_');
    if bare == "per" { String::new() } else { bare.to_owned() }
}

fn main_word(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "TiBy" => "tebibytes",
        "KBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "TBy" => "terabytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "1" => "",
        "%" => "percent",
        _ => return None,
    })
}

fn per_word(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "s" => "second",
        "m" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        _ => return None,
    })
}

/// How names of labels are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LabelNames {
    /// Whether other characters than letters and digits become `_`.
    pub(crate) escape: bool,
    /// Whether `key` is put before a name that begins with one underscore.
    pub(crate) mark_underscore: bool,
    /// Whether runs of underscores stay.
    pub(crate) keep_runs: bool,
}

impl LabelNames {
    pub(crate) const fn new(strategy: Strategy, mark_underscore: bool, keep_runs: bool) -> Self {
        Self { escape: strategy.escapes(), mark_underscore, keep_runs }
    }

    /// Appends the name of a label to `text`.
    pub(crate) fn put(self, key: &[u8], text: &mut Vec<u8>) -> Result<(), NoName> {
        if !self.escape {
            text.extend_from_slice(key);
            return if key.is_empty() { Err(NoName) } else { Ok(()) };
        }
        let reserved = key.len() > 4 && key.starts_with(b"__") && key.ends_with(b"__");
        match key {
            [b'0'..=b'9', ..] => text.extend_from_slice(b"key_"),
            [first, rest @ ..] if self.mark_underscore && !first.is_ascii_alphanumeric() => {
                let run = rest.first().is_some_and(|next| !next.is_ascii_alphanumeric());
                if !run || !self.keep_runs && !reserved {
                    text.extend_from_slice(b"key");
                }
            }
            _ => {}
        }
        let (mut last, mut some) = (0, false);
        for (place, &byte) in key.iter().enumerate() {
            // A character of several bytes becomes one underscore.
            if byte & 0xc0 == 0x80 && place > 0 {
                continue;
            }
            let byte = if byte.is_ascii_alphanumeric() { byte } else { b'_' };
            if byte == b'_' && last == b'_' && !self.keep_runs && !reserved {
                continue;
            }
            some |= byte != b'_';
            last = byte;
            text.push(byte);
        }
        if some { Ok(()) } else { Err(NoName) }
    }
}

impl Strategy {
    /// Whether a metric's name says its type and unit.
    pub const fn has_suffixes(self) -> bool {
        self.appends()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_named() {
        use Shape::{Counter, Gauge, Other};
        let check = |name: &str, unit: &str, shape, expected: [&str; 4]| {
            let made = Strategy::ALL.map(|strategy| {
                metric_name(strategy, name, unit, shape).unwrap_or_else(|NoName| "no name".to_owned())
            });
            assert_eq!(made, expected, "{name} {unit} {shape:?}");
        };
        check("a.b", "s", Counter, ["a_b_seconds_total", "a_b", "a.b_seconds_total", "a.b"]);
        check("a.total", "", Counter, ["a_total", "a_total", "a_total", "a.total"]);
        check("a.total.b", "", Counter, ["a_b_total", "a_total_b", "a.total.b_total", "a.total.b"]);
        check("share", "1", Gauge, ["share_ratio", "share", "share_ratio", "share"]);
        check("share", "1", Other, ["share", "share", "share", "share"]);
        check("n", "{thing}", Other, ["n", "n", "n", "n"]);
        check("io", "By/s", Gauge, ["io_bytes_per_second", "io", "io_bytes_per_second", "io"]);
        check("io", "{op}/s", Gauge, ["io_per_second", "io", "io_per_second", "io"]);
        check("up.seconds", "s", Other, ["up_seconds", "up_seconds", "up.seconds", "up.seconds"]);
        check("seconds.up", "s", Other, ["seconds_up", "seconds_up", "seconds.up_seconds", "seconds.up"]);
        check("a__b--c", "", Other, ["a_b_c", "a__b_c", "a__b--c", "a__b--c"]);
        check("9lives", "", Other, ["_9lives", "_9lives", "9lives", "9lives"]);
        check("a:b", "foo bar", Other, ["a:b_foo_bar", "a:b", "a:b_foo bar", "a:b"]);
        check("é", "", Other, ["no name", "no name", "é", "é"]);
        check("", "", Other, ["no name"; 4]);
        check("_", "", Other, ["no name", "_", "_", "_"]);
        check("t", "%", Gauge, ["t_percent", "t", "t_percent", "t"]);
    }

    #[test]
    fn labels_are_named() {
        let check = |key: &str, expected: [&str; 4]| {
            let rules = [(true, true, true), (true, true, false), (true, false, true), (false, true, true)];
            let made = rules.map(|(escape, mark_underscore, keep_runs)| {
                let mut text = Vec::new();
                let rule = LabelNames { escape, mark_underscore, keep_runs };
                match rule.put(key.as_bytes(), &mut text) {
                    Ok(()) => String::from_utf8(text).unwrap(),
                    Err(NoName) => "no name".to_owned(),
                }
            });
            assert_eq!(made, expected, "{key}");
        };
        check("http.method", ["http_method", "http_method", "http_method", "http.method"]);
        check("a..b", ["a__b", "a_b", "a__b", "a..b"]);
        check("1st", ["key_1st", "key_1st", "key_1st", "1st"]);
        check("_x", ["key_x", "key_x", "_x", "_x"]);
        check(".x", ["key_x", "key_x", "_x", ".x"]);
        check("__x", ["__x", "key_x", "__x", "__x"]);
        check("__x__", ["__x__", "__x__", "__x__", "__x__"]);
        check("größe", ["gr__e", "gr_e", "gr__e", "größe"]);
        check("", ["no name"; 4]);
        check("..", ["no name", "no name", "no name", ".."]);
    }

    #[test]
    fn units_are_told_in_words() {
        let check = |unit: &str, expected: &str| assert_eq!(unit_in_words(unit), expected, "{unit}");
        check("By/s", "bytes_per_second");
        check("ms", "milliseconds");
        check("{request}", "");
        check("1", "");
    }
}
