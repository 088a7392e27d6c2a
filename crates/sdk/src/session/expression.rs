//! Arithmetic over the statistics of one reading, as somebody types it to try what could be derived.
//!
//! `+ - * /`, parentheses, numbers, and names of statistics. A name may have hyphens in it, so a minus has a space before
//! it: `api-calls-total - api-calls-failure`. What is not known, and what is divided by zero, makes the whole unknown.

use std::fmt;

/// The most bytes of an expression.
pub const EXPRESSION_BYTES_MAX: usize = 1_000;
/// How deep parentheses may be.
const DEPTH_MAX: u32 = 32;

/// An expression that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression(Node);

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    /// The byte at which it is none.
    pub at: usize,
    what: &'static str,
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

impl std::error::Error for ExpressionError {}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Number(f64),
    Name(String),
    Both(Box<Node>, u8, Box<Node>),
    Negated(Box<Node>),
}

impl Expression {
    /// Reads a text.
    ///
    /// # Errors
    /// It is none, or longer than [`EXPRESSION_BYTES_MAX`].
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        if text.len() > EXPRESSION_BYTES_MAX {
            return Err(ExpressionError { at: EXPRESSION_BYTES_MAX, what: "the expression is too long" });
        }
        let mut reader = Reader { text: text.as_bytes(), at: 0, depth: 0 };
        let node = reader.sum()?;
        if reader.peek().is_some() {
            return Err(reader.expected("expected an operator"));
        }
        Ok(Self(node))
    }

    /// The names in it.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        let mut left = vec![&self.0];
        while let Some(node) = left.pop() {
            match node {
                Node::Number(_) => {}
                Node::Name(name) => names.push(name.as_str()),
                Node::Both(a, _, b) => left.extend([&**b, &**a]),
                Node::Negated(a) => left.push(a),
            }
        }
        names
    }

    /// Its value, where names have those that `value` gives.
    pub fn evaluate(&self, value: &dyn Fn(&str) -> Option<f64>) -> Option<f64> {
        evaluate(&self.0, value).filter(|value| value.is_finite())
    }
}

fn evaluate(node: &Node, value: &dyn Fn(&str) -> Option<f64>) -> Option<f64> {
    Some(match node {
        Node::Number(number) => *number,
        Node::Name(name) => value(name)?,
        Node::Negated(a) => -evaluate(a, value)?,
        Node::Both(a, operator, b) => {
            let (a, b) = (evaluate(a, value)?, evaluate(b, value)?);
            match operator {
                b'+' => a + b,
                b'-' => a - b,
                b'*' => a * b,
                _ if b == 0.0 => return None,
                _ => a / b,
            }
        }
    })
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    depth: u32,
}

impl Reader<'_> {
    fn expected(&self, what: &'static str) -> ExpressionError {
        ExpressionError { at: self.at, what }
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn sum(&mut self) -> Result<Node, ExpressionError> {
        let mut node = self.product()?;
        while let Some(operator @ (b'+' | b'-')) = self.peek() {
            self.at += 1;
            node = Node::Both(node.into(), operator, self.product()?.into());
        }
        Ok(node)
    }

    fn product(&mut self) -> Result<Node, ExpressionError> {
        let mut node = self.operand()?;
        while let Some(operator @ (b'*' | b'/')) = self.peek() {
            self.at += 1;
            node = Node::Both(node.into(), operator, self.operand()?.into());
        }
        Ok(node)
    }

    fn operand(&mut self) -> Result<Node, ExpressionError> {
        let first = self.peek();
        if let Some(b'(' | b'-') = first {
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return Err(self.expected("this is nested too deep"));
            }
            self.at += 1;
            let node = if first == Some(b'-') {
                Node::Negated(self.operand()?.into())
            } else {
                let node = self.sum()?;
                if self.peek() != Some(b')') {
                    return Err(self.expected("expected `)`"));
                }
                self.at += 1;
                node
            };
            self.depth -= 1;
            return Ok(node);
        }
        let word = self.word();
        match first {
            Some(b'0'..=b'9' | b'.') => {
                let number = word.parse().map_err(|_| self.expected("this is no number before here,"))?;
                Ok(Node::Number(number))
            }
            Some(b'a'..=b'z') => Ok(Node::Name(word)),
            _ => Err(self.expected("expected a number, a name or `(`")),
        }
    }

    /// What is together without a space: a name with its hyphens, a number.
    fn word(&mut self) -> String {
        let rest = &self.text[self.at..];
        let inside = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(byte);
        let digits = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
        let length = match rest.first() {
            Some(b'0'..=b'9' | b'.') => rest.iter().take_while(|byte| digits(byte)).count(),
            _ => rest.iter().take_while(|byte| inside(byte)).count(),
        };
        self.at += length;
        String::from_utf8_lossy(&rest[..length]).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_computed() {
        let value = |name: &str| match name {
            "api-calls-total" => Some(15.0),
            "api-calls-failure" => Some(3.0),
            "nothing" => Some(0.0),
            _ => None,
        };
        let check = |text: &str, expected: Option<f64>| {
            assert_eq!(Expression::parse(text).unwrap().evaluate(&value), expected, "{text}");
        };
        check("api-calls-failure/api-calls-total", Some(0.2));
        check("api-calls-total - api-calls-failure", Some(12.0));
        check("100*(1 - api-calls-failure / api-calls-total)", Some(80.0));
        check("1 - 2 - 3", Some(-4.0));
        check("2 + 3 * 4", Some(14.0));
        check("-(2+.5) * -2", Some(5.0));
        check("api-calls-total/nothing", None);
        check("unheard-of + 1", None);
    }

    #[test]
    fn what_is_none_is_told_with_its_place() {
        let check = |text: &str, at: usize| assert_eq!(Expression::parse(text).unwrap_err().at, at, "{text}");
        check("", 0);
        check("1 +", 3);
        check("(1", 2);
        check("1 2", 2);
        check("a $ b", 2);
        check("1.2.3", 5);
        check(&"(".repeat(2_000), EXPRESSION_BYTES_MAX);
        check(&"(".repeat(100), 32);
    }
}
