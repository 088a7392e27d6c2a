//! Lengths of time in brackets and after `offset`: constants, or computed from `step()` and `range()`.

use super::{
    ast::*,
    parser::{Parsed, Parser, power, sign_operator},
    token::Kind,
};

/// The longest that can be said, in milliseconds: what fits 64-bit nanoseconds.
const LENGTH_MS_MAX: f64 = 9.2e12;

/// What lengths of time are computed from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    /// Milliseconds between the steps of the query.
    pub(crate) step: i64,
    /// Milliseconds from its first step to its last.
    pub(crate) range: i64,
}

impl Length {
    /// Whether it needs `step()` or `range()`, or computes at all.
    pub(crate) fn is_computed(&self) -> bool {
        !matches!(self.node, LengthNode::Number(_))
            && !matches!(&self.node, LengthNode::Unary(_, inner) if matches!(inner.node, LengthNode::Number(_)))
    }

    fn is_constant(&self) -> bool {
        match &self.node {
            LengthNode::Number(_) => true,
            LengthNode::Step | LengthNode::Range => false,
            LengthNode::Unary(_, inner) | LengthNode::Paren(inner) => inner.is_constant(),
            LengthNode::Binary(_, a, b) | LengthNode::Min(a, b) | LengthNode::Max(a, b) => {
                a.is_constant() && b.is_constant()
            }
        }
    }

    /// The length in milliseconds, if nothing has to be known of the query that it is part of.
    pub fn constant_millis(&self) -> Option<i64> {
        if !self.is_constant() {
            return None;
        }
        self.millis(Times::default()).ok()
    }

    /// The length in milliseconds, or why it has none.
    pub(crate) fn millis(&self, times: Times) -> Result<i64, &'static str> {
        let millis = (self.seconds(times)? * 1e3).round();
        if millis.is_nan() || millis.abs() > LENGTH_MS_MAX {
            return Err("duration out of range");
        }
        #[expect(clippy::cast_possible_truncation, reason = "checked right above")]
        Ok(millis as i64)
    }

    /// As [`Length::millis`], where only a positive length makes sense.
    pub(crate) fn positive_millis(&self, times: Times) -> Result<i64, &'static str> {
        match self.millis(times)? {
            millis if millis > 0 => Ok(millis),
            _ => Err("duration must be greater than 0"),
        }
    }

    fn seconds(&self, times: Times) -> Result<f64, &'static str> {
        Ok(match &self.node {
            LengthNode::Number(number) => number.value,
            LengthNode::Step => times.step as f64 / 1e3,
            LengthNode::Range => times.range as f64 / 1e3,
            LengthNode::Unary(Sign::Plus, inner) | LengthNode::Paren(inner) => inner.seconds(times)?,
            LengthNode::Unary(Sign::Minus, inner) => -inner.seconds(times)?,
            LengthNode::Min(a, b) => a.seconds(times)?.min(b.seconds(times)?),
            LengthNode::Max(a, b) => a.seconds(times)?.max(b.seconds(times)?),
            LengthNode::Binary(op, a, b) => {
                let (a, b) = (a.seconds(times)?, b.seconds(times)?);
                match op {
                    BinaryOp::Add => a + b,
                    BinaryOp::Sub => a - b,
                    BinaryOp::Mul => a * b,
                    BinaryOp::Div if b == 0.0 => return Err("division by zero"),
                    BinaryOp::Div => a / b,
                    BinaryOp::Mod if b == 0.0 => return Err("modulo by zero"),
                    BinaryOp::Mod => a % b,
                    BinaryOp::Pow => a.powf(b),
                    _ => return Err("unknown operator in duration expression"),
                }
            }
        })
    }
}

const CONTEXT: &str = "duration expression";

impl Parser<'_> {
    /// A length where it must be positive, as far as that can be told without knowing the query's step.
    pub(super) fn positive_length(&mut self, context: &str, expected: &str) -> Parsed<Length> {
        if !self.at_length() {
            return self.unexpected(context, expected);
        }
        let length = self.length(0)?;
        if length.is_constant() {
            length.positive_millis(Times::default()).or_else(|message| self.fail(length.span, message))?;
        }
        Ok(length)
    }

    /// The length after `offset`: one operand, maybe with a sign, since operators belong to the expression.
    pub(super) fn offset_length(&mut self) -> Parsed<Length> {
        let sign = match self.peek().kind {
            Kind::Add => Some((self.next().span, Sign::Plus)),
            Kind::Sub => Some((self.next().span, Sign::Minus)),
            _ => None,
        };
        if !self.at_length() {
            return self.unexpected("offset", "number, duration, step(), or range()");
        }
        let mut length = self.length_operand()?;
        if let Some((start, sign)) = sign {
            let span = start.to(length.span);
            length = Length { node: LengthNode::Unary(sign, Box::new(length)), span };
        }
        if length.is_constant() {
            length.millis(Times::default()).or_else(|message| self.fail(length.span, message))?;
        }
        Ok(length)
    }

    /// Whether a length could start here.
    fn at_length(&self) -> bool {
        match self.peek().kind {
            Kind::Number | Kind::Duration | Kind::Add | Kind::Sub | Kind::LeftParen => true,
            Kind::Word => ["step", "range", "min_of", "max_of"].iter().any(|word| self.at_keyword(word)),
            _ => false,
        }
    }

    fn length(&mut self, least: u8) -> Parsed<Length> {
        self.deeper(|parser| {
            let mut lhs = parser.length_operand()?;
            while let Some(op) =
                sign_operator(parser.peek().kind).filter(|&op| power(op) >= least.max(power(BinaryOp::Add)))
            {
                parser.next();
                let rhs = parser.length(power(op) + u8::from(op != BinaryOp::Pow))?;
                let span = lhs.span.to(rhs.span);
                lhs = Length { node: LengthNode::Binary(op, Box::new(lhs), Box::new(rhs)), span };
            }
            Ok(lhs)
        })
    }

    fn length_operand(&mut self) -> Parsed<Length> {
        let token = self.peek();
        let node = match token.kind {
            Kind::Number | Kind::Duration => LengthNode::Number(self.number()?),
            Kind::Add | Kind::Sub => {
                self.next();
                let sign = if token.kind == Kind::Sub { Sign::Minus } else { Sign::Plus };
                LengthNode::Unary(sign, Box::new(self.length(power(BinaryOp::Mul) + 1)?))
            }
            Kind::LeftParen => {
                self.next();
                let inner = self.length(0)?;
                self.expect(Kind::RightParen, CONTEXT, "\")\"")?;
                LengthNode::Paren(Box::new(inner))
            }
            Kind::Word if self.at_keyword("step") || self.at_keyword("range") => {
                let step = self.at_keyword("step");
                self.next();
                self.expect(Kind::LeftParen, CONTEXT, "\"(\"")?;
                self.expect(Kind::RightParen, CONTEXT, "\")\"")?;
                if step { LengthNode::Step } else { LengthNode::Range }
            }
            Kind::Word if self.at_keyword("min_of") || self.at_keyword("max_of") => {
                let min = self.at_keyword("min_of");
                self.next();
                self.expect(Kind::LeftParen, CONTEXT, "\"(\"")?;
                let a = Box::new(self.length(0)?);
                self.expect(Kind::Comma, CONTEXT, "\",\"")?;
                let b = Box::new(self.length(0)?);
                self.expect(Kind::RightParen, CONTEXT, "\")\"")?;
                if min { LengthNode::Min(a, b) } else { LengthNode::Max(a, b) }
            }
            _ => return self.unexpected(CONTEXT, "number, duration, step(), or range()"),
        };
        Ok(Length { node, span: token.span.to(self.end_of_last()) })
    }
}
