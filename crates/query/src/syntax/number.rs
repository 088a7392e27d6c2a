//! Numbers, durations and quoted text as PromQL spells them.

/// A number: decimal, with exponent, hexadecimal (`0x1f`), `Inf`, `NaN`, digits grouped by single underscores.
pub(crate) fn parse_number(word: &str) -> Option<f64> {
    if word.eq_ignore_ascii_case("inf") {
        return Some(f64::INFINITY);
    }
    if word.eq_ignore_ascii_case("nan") {
        return Some(f64::NAN);
    }
    if !well_grouped(word) {
        return None;
    }
    let plain: String = word.chars().filter(|&c| c != '_').collect();
    if let Some(digits) = plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")) {
        let numeric = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_hexdigit());
        // Go reads such a literal as a signed 64-bit integer.
        return numeric.then(|| i64::from_str_radix(digits, 16).ok()).flatten().map(|value| value as f64);
    }
    let octal = plain.len() > 1 && plain.starts_with('0') && plain.bytes().all(|c| (b'0'..b'8').contains(&c));
    if octal {
        return i64::from_str_radix(&plain, 8).ok().map(|value| value as f64);
    }
    let decimal = plain.bytes().all(|c| c.is_ascii_digit() || b".eE+-".contains(&c));
    if decimal { plain.parse().ok() } else { None }
}

/// Underscores stand singly and between digits.
fn well_grouped(word: &str) -> bool {
    let bytes = word.as_bytes();
    let digit = |at: Option<&u8>| at.is_some_and(u8::is_ascii_hexdigit);
    bytes.iter().enumerate().filter(|pair| *pair.1 == b'_').all(|(i, _)| {
        let before = i.checked_sub(1).and_then(|i| bytes.get(i));
        (digit(before) || before.is_some_and(|c| c.eq_ignore_ascii_case(&b'x'))) && digit(bytes.get(i + 1))
    })
}

const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The longest duration that can be written: what fits 64-bit nanoseconds, as upstream has it.
const DURATION_MS_MAX: i64 = i64::MAX / 1_000_000;

/// Whether the word has the shape of a duration, each unit at most once and in falling order.
pub(crate) fn is_duration(word: &str) -> bool {
    parts(word).is_some()
}

/// A duration as `5m`, `1h30m`, `0` in milliseconds. `None` if it is none, or too long.
pub fn parse_duration(word: &str) -> Option<i64> {
    if word == "0" {
        return Some(0);
    }
    let mut total = 0i64;
    for (count, unit) in parts(word)? {
        total = total.checked_add(count.parse::<i64>().ok()?.checked_mul(unit)?)?;
    }
    (total <= DURATION_MS_MAX).then_some(total)
}

fn parts(word: &str) -> Option<Vec<(&str, i64)>> {
    let mut parts = Vec::with_capacity(2);
    let mut rest = word;
    let mut next_unit = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (count, after) = rest.split_at(digits);
        let letters = after.len() - after.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (name, after) = after.split_at(letters);
        let found = UNITS[next_unit..].iter().position(|unit| unit.0 == name)?;
        if count.is_empty() {
            return None;
        }
        next_unit += found;
        parts.push((count, UNITS[next_unit].1));
        next_unit += 1;
        rest = after;
    }
    (!parts.is_empty()).then_some(parts)
}

/// Milliseconds as PromQL writes a duration: `1h30m`, `90d`, `0s`. Years and weeks only where they fit exactly.
pub fn duration_text(millis: i64) -> String {
    if millis == 0 {
        return "0s".into();
    }
    let mut text = String::from(if millis < 0 { "-" } else { "" });
    let mut rest = millis.unsigned_abs();
    for (i, (unit, length)) in UNITS.iter().enumerate() {
        let length = length.unsigned_abs();
        let exact_only = i < 2;
        if rest < length || (exact_only && !rest.is_multiple_of(length)) {
            continue;
        }
        text.push_str(&format!("{}{unit}", rest / length));
        rest %= length;
    }
    text
}

/// What a quoted word stands for, its escapes resolved as in Go. `None` for an escape that Go does not know.
/// An escaped byte may make it something other than UTF-8.
pub fn unquote(word: &str) -> Option<Vec<u8>> {
    let (inner, quote) = (word.get(1..word.len().checked_sub(1)?)?, word.chars().next()?);
    if quote == '`' {
        return Some(inner.replace('\r', "").into_bytes());
    }
    if !inner.contains('\\') {
        return Some(inner.as_bytes().to_vec());
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        rest = escape(&rest[at + 1..], quote, &mut bytes)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

/// Resolves one escape after its backslash, and returns what comes after it.
fn escape<'a>(rest: &'a str, quote: char, bytes: &mut Vec<u8>) -> Option<&'a str> {
    let c = rest.chars().next()?;
    let coded = |digits: usize, radix: u32, skip: usize| {
        let code = rest.get(skip..skip + digits)?;
        let value =
            code.bytes().all(|c| c.is_ascii_hexdigit()).then(|| u32::from_str_radix(code, radix).ok());
        Some((value??, &rest[skip + digits..]))
    };
    let simple = match c {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        c if c == quote => u8::try_from(quote).ok()?,
        'x' => {
            let (value, after) = coded(2, 16, 1)?;
            bytes.push(u8::try_from(value).ok()?);
            return Some(after);
        }
        '0'..='7' => {
            let (value, after) = coded(3, 8, 0)?;
            bytes.push(u8::try_from(value).ok()?);
            return Some(after);
        }
        'u' | 'U' => {
            let (value, after) = coded(if c == 'u' { 4 } else { 8 }, 16, 1)?;
            bytes.extend_from_slice(char::from_u32(value)?.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(after);
        }
        _ => return None,
    };
    bytes.push(simple);
    Some(&rest[1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers() {
        let check = |word: &str, value: Option<f64>| assert_eq!(parse_number(word), value, "{word}");
        check("1_000", Some(1000.0));
        check("1__0", None);
        check("0x1F", Some(31.0));
        check("0X_f", Some(15.0));
        check("017", Some(15.0));
        check("1e3", Some(1000.0));
        check(".5", Some(0.5));
        check("2.", Some(2.0));
        check("1.2.3", None);
        check("5m", None);
        check("+Inf", None);
    }

    #[test]
    fn reads_and_writes_durations() {
        let check = |word: &str, millis: Option<i64>| assert_eq!(parse_duration(word), millis, "{word}");
        check("1h30m", Some(5_400_000));
        check("50s300ms", Some(50_300));
        check("5", None);
        check("30m1h", None);
        check("1d1d", None);
        check("300y", None);
        for text in ["1y", "1w", "90d", "1h30m", "1ms", "0s", "12d1h"] {
            assert_eq!(duration_text(parse_duration(text).unwrap()), text);
        }
    }

    #[test]
    fn unquotes_as_go_does() {
        let check = |word: &str, text: Option<&str>| {
            assert_eq!(unquote(word).as_deref(), text.map(str::as_bytes), "{word}");
        };
        check(r#""a\tb\x41\u00e9\101""#, Some("a\tbAéA"));
        check(r"'it\'s'", Some("it's"));
        check(r#"'a"b'"#, Some("a\"b"));
        check(r"`a\n`", Some(r"a\n"));
        check(r#""\'""#, None);
        check(r#""\q""#, None);
        assert_eq!(unquote(r#""a\xc5z""#).as_deref(), Some(&b"a\xc5z"[..]));
    }
}
