//! A tree back to text, on one line.

use std::fmt::{self, Display, Formatter, Write};

use barograph_model::{METRIC_NAME, quote};

use super::{ast::*, number::duration_text, parser::is_label};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.node {
            Node::Number(number) => number.fmt(f),
            Node::Text(text) => text.fmt(f),
            Node::Selector(selector) => {
                names(f, selector)?;
                selector.shift.fmt(f)?;
                selector.reading.fmt(f)
            }
            Node::Range(range) => {
                names(f, &range.selector)?;
                write!(f, "[{}]", range.range)?;
                range.selector.shift.fmt(f)?;
                range.selector.reading.fmt(f)
            }
            Node::Subquery(subquery) => {
                write!(f, "{}[{}:", subquery.expr, subquery.range)?;
                if let Some(step) = &subquery.step {
                    step.fmt(f)?;
                }
                f.write_char(']')?;
                subquery.shift.fmt(f)
            }
            Node::Call(call) => {
                f.write_str(call.function.name)?;
                parenthesized(f, call.args.iter())
            }
            Node::Aggregate(aggregate) => aggregate.fmt(f),
            Node::Binary(binary) => binary.fmt(f),
            Node::Unary(unary) => {
                f.write_char(if unary.sign == Sign::Minus { '-' } else { '+' })?;
                unary.expr.fmt(f)
            }
            Node::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.duration {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a duration fits, and saturating would be right"
            )]
            return f.write_str(&duration_text((self.value * 1e3).round() as i64));
        }
        if self.value.is_infinite() {
            return f.write_str(if self.value > 0.0 { "+Inf" } else { "-Inf" });
        }
        write!(f, "{}", self.value)
    }
}

impl Display for Text {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.bytes {
            None => f.write_str(&quote(&self.value)),
            Some(bytes) => f.write_str(&quote_bytes(bytes)),
        }
    }
}

/// Bytes that are no UTF-8, quoted as Go does.
pub(crate) fn quote_bytes(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        let quoted = quote(chunk.valid());
        text.push_str(&quoted[1..quoted.len() - 1]);
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text.push('"');
    text
}

/// The name and the braces of a selector.
fn names(f: &mut Formatter<'_>, selector: &Selector) -> fmt::Result {
    let plain = selector.name.as_deref().filter(|name| is_metric(name));
    let mut parts = Vec::with_capacity(selector.matchers.len());
    if let (Some(name), None) = (&selector.name, plain) {
        parts.push(quote(name).into_owned());
    }
    let shown = selector.matchers.iter().filter(|m| selector.name.is_none() || m.name() != METRIC_NAME);
    for matcher in shown {
        let name = if is_label(matcher.name()) { matcher.name().into() } else { quote(matcher.name()) };
        parts.push(format!("{name}{}{}", matcher.op().as_str(), quote(matcher.value())));
    }
    f.write_str(plain.unwrap_or_default())?;
    if parts.is_empty() && plain.is_some() { Ok(()) } else { write!(f, "{{{}}}", parts.join(",")) }
}

/// Whether a name needs no quotes before braces and is no word of the language.
fn is_metric(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    is_label(&name.replace(':', "_")) && super::token::may_name_metric(&lower) && !reserved(&lower)
}

/// Words that could be taken for an operator or a modifier where a selector stands.
fn reserved(lower: &str) -> bool {
    super::token::is_keyword(lower)
        || super::token::is_aggregator(lower)
        || super::token::is_word_operator(lower)
}

impl Display for Shift {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.at {
            None => {}
            Some(At::Start) => f.write_str(" @ start()")?,
            Some(At::End) => f.write_str(" @ end()")?,
            Some(At::Time(millis)) => {
                let sign = if millis < 0 { "-" } else { "" };
                let millis = millis.unsigned_abs();
                write!(f, " @ {sign}{}.{:03}", millis / 1000, millis % 1000)?;
            }
        }
        match &self.offset {
            None => Ok(()),
            Some(length) => write!(f, " offset {length}"),
        }
    }
}

impl Display for Reading {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "",
            Self::Anchored => " anchored",
            Self::Smoothed => " smoothed",
        })
    }
}

impl Display for Length {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.node {
            // Seconds without a unit read the same, so they are written with one where it is exact.
            LengthNode::Number(number) => number.fmt(f),
            LengthNode::Step => f.write_str("step()"),
            LengthNode::Range => f.write_str("range()"),
            LengthNode::Unary(Sign::Minus, inner) => write!(f, "-{inner}"),
            LengthNode::Unary(Sign::Plus, inner) => write!(f, "+{inner}"),
            LengthNode::Binary(op, a, b) => write!(f, "{a} {} {b}", op.as_str()),
            LengthNode::Min(a, b) => write!(f, "min_of({a}, {b})"),
            LengthNode::Max(a, b) => write!(f, "max_of({a}, {b})"),
            LengthNode::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.op.as_str())?;
        if self.without || !self.grouping.is_empty() {
            f.write_str(if self.without { " without " } else { " by " })?;
            labels(f, &self.grouping)?;
            f.write_char(' ')?;
        }
        parenthesized(f, self.param.iter().chain([&self.expr]))
    }
}

impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let matching = &self.matching;
        match &self.lhs.node {
            // A sign in front would be taken for that of the power.
            Node::Number(number) if self.op == BinaryOp::Pow && number.value == f64::INFINITY => {
                f.write_str("Inf")?;
            }
            _ => self.lhs.fmt(f)?,
        }
        write!(f, " {}", self.op.as_str())?;
        if self.returns_bool {
            f.write_str(" bool")?;
        }
        if matching.on || !matching.labels.is_empty() || matching.group != Group::OneToOne {
            f.write_str(if matching.on { " on " } else { " ignoring " })?;
            labels(f, &matching.labels)?;
        }
        if matching.group != Group::OneToOne {
            f.write_str(if matching.group == Group::Left { " group_left " } else { " group_right " })?;
            labels(f, &matching.include)?;
        }
        let fill = |value: f64| Number { value, duration: false };
        match (matching.fill_left, matching.fill_right) {
            (Some(left), Some(right)) if fill(left) == fill(right) => write!(f, " fill ({})", fill(left))?,
            (left, right) => {
                if let Some(left) = left {
                    write!(f, " fill_left ({})", fill(left))?;
                }
                if let Some(right) = right {
                    write!(f, " fill_right ({})", fill(right))?;
                }
            }
        }
        write!(f, " {}", self.rhs)
    }
}

fn labels(f: &mut Formatter<'_>, labels: &[String]) -> fmt::Result {
    let shown: Vec<_> = labels
        .iter()
        .map(|label| if is_label(label) { label.clone() } else { quote(label).into_owned() })
        .collect();
    write!(f, "({})", shown.join(", "))
}

fn parenthesized<'a>(f: &mut Formatter<'_>, exprs: impl Iterator<Item = &'a Expr>) -> fmt::Result {
    f.write_char('(')?;
    for (i, expr) in exprs.enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        expr.fmt(f)?;
    }
    f.write_char(')')
}
