//! `print` and `printf`, as Go has them.

use std::{iter::Peekable, str::Chars};

use barograph_query::go_float;

use super::{humanize::significant, value::Value};

/// Fields and fractions longer than this are cut to it.
const WIDTH_MAX: usize = 1000;

/// Texts after each other, with a space between two of which neither is a string.
pub(super) fn print(args: &[Value]) -> String {
    let mut text = String::new();
    let mut after_text = true;
    for arg in args {
        let is_text = matches!(arg, Value::Text(_));
        if !after_text && !is_text {
            text.push(' ');
        }
        text.push_str(&arg.show());
        after_text = is_text;
    }
    text
}

/// What stands between `%` and the verb.
#[derive(Default)]
struct Flags {
    minus: bool,
    plus: bool,
    sharp: bool,
    zero: bool,
    space: bool,
    width: usize,
    precision: Option<usize>,
}

/// Fills the verbs of a format. What does not fit is told in the text, as Go does.
pub(super) fn printf(format: &str, args: &[Value]) -> String {
    let mut text = String::with_capacity(format.len());
    let mut args = args.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        let mut flags = Flags::default();
        while let Some(&c) = chars.peek() {
            match c {
                '-' => flags.minus = true,
                '+' => flags.plus = true,
                '#' => flags.sharp = true,
                '0' => flags.zero = true,
                ' ' => flags.space = true,
                _ => break,
            }
            chars.next();
        }
        flags.width = number(&mut chars);
        if chars.next_if_eq(&'.').is_some() {
            flags.precision = Some(number(&mut chars));
        }
        match chars.next() {
            None => text.push_str("%!(NOVERB)"),
            Some('%') => text.push('%'),
            Some(verb) => match args.next() {
                None => text.push_str(&format!("%!{verb}(MISSING)")),
                Some(arg) => text.push_str(&padded(filled(verb, arg, &flags), &flags)),
            },
        }
    }
    let rest: Vec<_> = args.map(|arg| format!("{}={}", arg.kind(), arg.show())).collect();
    if !rest.is_empty() {
        text.push_str(&format!("%!(EXTRA {})", rest.join(", ")));
    }
    text
}

fn number(chars: &mut Peekable<Chars<'_>>) -> usize {
    let mut number = 0usize;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        number = number.saturating_mul(10).saturating_add(usize::try_from(digit).unwrap_or(0));
        chars.next();
    }
    number.min(WIDTH_MAX)
}

fn padded(text: String, flags: &Flags) -> String {
    let missing = flags.width.saturating_sub(text.chars().count());
    if missing == 0 {
        return text;
    }
    if flags.minus {
        return text + &" ".repeat(missing);
    }
    let is_number = text.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit());
    if flags.zero && is_number {
        let sign = text.len() - text.trim_start_matches(['+', '-']).len();
        return format!("{}{}{}", &text[..sign], "0".repeat(missing), &text[sign..]);
    }
    " ".repeat(missing) + &text
}

fn filled(verb: char, arg: &Value, flags: &Flags) -> String {
    let signed = |text: String| match text.starts_with(['-', '+']) {
        false if flags.plus => format!("+{text}"),
        false if flags.space => format!(" {text}"),
        _ => text,
    };
    match (verb, arg) {
        ('v', Value::Int(_) | Value::Float(_)) if flags.precision.is_none() => signed(arg.show()),
        ('v' | 'g', Value::Float(value)) => signed(match flags.precision {
            Some(precision) => significant(*value, precision),
            None => go_float(*value),
        }),
        ('v', _) => arg.show(),
        ('s', Value::Int(_) | Value::Float(_) | Value::Bool(_)) => wrong(verb, arg),
        ('s', _) => match flags.precision {
            Some(precision) => arg.show().chars().take(precision).collect(),
            None => arg.show(),
        },
        ('q', Value::Text(text)) => barograph_model::quote(text).into_owned(),
        ('t', Value::Bool(value)) => value.to_string(),
        ('T', _) => arg.kind().to_owned(),
        ('f' | 'F', Value::Float(value)) if value.is_finite() => {
            signed(format!("{value:.*}", flags.precision.unwrap_or(6)))
        }
        ('e' | 'E', Value::Float(value)) if value.is_finite() => {
            let text = format!("{value:.*e}", flags.precision.unwrap_or(6));
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
            signed(format!("{mantissa}{verb}{sign}{digits:0>2}"))
        }
        ('e' | 'E' | 'f' | 'F', Value::Float(value)) => signed(go_float(*value)),
        ('d', Value::Int(value) | Value::Span(value)) => signed(value.to_string()),
        ('x', Value::Int(value)) if flags.sharp => format!("{value:#x}"),
        ('x', Value::Int(value)) => format!("{value:x}"),
        ('X', Value::Int(value)) => format!("{value:X}"),
        ('o', Value::Int(value)) => format!("{value:o}"),
        ('b', Value::Int(value)) => format!("{value:b}"),
        ('c', Value::Int(value)) => {
            u32::try_from(*value).ok().and_then(char::from_u32).unwrap_or('\u{fffd}').to_string()
        }
        ('x', Value::Text(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
        _ => wrong(verb, arg),
    }
}

fn wrong(verb: char, arg: &Value) -> String {
    format!("%!{verb}({}={})", arg.kind(), arg.show())
}

/// A span as Go prints it: `1h2m3.5s`, `1.5ms`, `0s`.
pub(super) fn span_text(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let size = nanos.unsigned_abs();
    let fraction = |size: u64, unit: u64| {
        let (whole, rest) = (size / unit, size % unit);
        let digits = unit.ilog10() as usize;
        let text = format!("{whole}.{rest:0digits$}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match size {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{size}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", fraction(size, 1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", fraction(size, 1_000_000)),
        _ => {
            let (minutes, rest) = (size / 60_000_000_000, size % 60_000_000_000);
            let seconds = fraction(rest, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, m) => format!("{sign}{m}m{seconds}s"),
                (h, m) => format!("{sign}{h}h{m}m{seconds}s"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_filled() {
        let check = |format: &str, args: &[Value], text: &str| assert_eq!(printf(format, args), text);
        check("%.2f%% of %s", &[Value::Float(12.345), Value::text("disk")], "12.35% of disk");
        check("%5d|%-5d|%05d|%+d", &[7, 7, -7, 7].map(Value::Int), "    7|7    |-0007|+7");
        check(
            "%v %g %e",
            &[Value::Float(1e6), Value::Float(0.5), Value::Float(1500.0)],
            "1e+06 0.5 1.500000e+03",
        );
        check("%q %x %t", &[Value::text("a\"b"), Value::Int(255), Value::Bool(true)], r#""a\"b" ff true"#);
        check("%d", &[Value::Float(1.0)], "%!d(float64=1)");
        check("%s", &[], "%!s(MISSING)");
        check("a", &[Value::Int(1)], "a%!(EXTRA int=1)");
        check("%", &[], "%!(NOVERB)");
        check("%.3v", &[Value::Float(1234.5)], "1.23e+03");
    }

    #[test]
    fn spans_are_those_of_go() {
        let check = |nanos: i64, text: &str| assert_eq!(span_text(nanos), text);
        check(0, "0s");
        check(1_500_000_000, "1.5s");
        check(60_000_000_000, "1m0s");
        check(-3_661_000_000_000, "-1h1m1s");
        check(1_500, "1.5µs");
        check(20_000_000, "20ms");
    }
}
