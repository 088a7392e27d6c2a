//! The expressions of PromQL, by operator precedence.
//!
//! A Pratt parser: [`Parser::expr`] reads operands and takes operators as long as they bind stronger than the one
//! before. What follows an operand (`[5m]`, `offset`, `@`, `anchored`) binds strongest. Selectors are in
//! `selector`, lengths of time in `length`, types in `check`.

use barograph_model::PatternBudget;

use super::{
    ast::*,
    check,
    describe::describe,
    functions::Function,
    lexer::Lexer,
    span::{ParseError, Span},
    token::{Kind, Token, is_aggregator, is_keyword, may_name_metric},
};

/// A longer text is refused.
pub const QUERY_BYTES_MAX: usize = 1 << 20;
/// A deeper tree is refused: reading, evaluating and dropping it walk it recursively.
pub const DEPTH_MAX: usize = 200;

/// A text is light up to this length.
const LIGHT_BYTES_MAX: usize = 4 << 10;
/// One with regular expressions, up to this one.
const LIGHT_PATTERN_BYTES_MAX: usize = 512;

/// Whether [`parse`] needs well below a millisecond: the text is short, and has no regular expression whose classes or
/// repetitions could make it large.
pub fn is_light(text: &str) -> bool {
    let large = |pair: &[u8]| match *pair {
        [b'\\', next] => next.is_ascii_alphabetic(),
        [b'{', next] => next.is_ascii_digit(),
        _ => false,
    };
    let patterns = text.contains('~');
    let bytes_max = if patterns { LIGHT_PATTERN_BYTES_MAX } else { LIGHT_BYTES_MAX };
    text.len() <= bytes_max && !(patterns && text.as_bytes().windows(2).any(large))
}

/// Reads a query.
///
/// # Errors
/// The first mistake, with its place, in the words of Prometheus.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    parse_within(text, &mut PatternBudget::default())
}

/// As [`parse`], within what the patterns of others left.
pub(super) fn parse_within(text: &str, patterns: &mut PatternBudget) -> Result<Expr, ParseError> {
    if text.len() > QUERY_BYTES_MAX {
        let message = format!("query is longer than {QUERY_BYTES_MAX} bytes");
        return Err(ParseError::new(Span::default(), message));
    }
    let mut parser = Parser::new(text);
    parser.patterns = patterns.clone();
    let expr = parser.whole();
    *patterns = parser.patterns;
    expr
}

pub(super) type Parsed<T> = Result<T, ParseError>;

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    lexer: Lexer<'a>,
    /// The word that was taken last, the one at hand, and the one after it.
    last: Token,
    now: Token,
    second: Token,
    depth: usize,
    /// Whether a selector may match everything.
    pub(super) lenient: bool,
    /// What its patterns may still cost.
    pub(super) patterns: PatternBudget,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut lexer = Lexer::new(text);
        let now = lexer.next();
        let second = after(now, &mut lexer);
        let patterns = PatternBudget::default();
        Self { text, lexer, last: now, now, second, depth: 0, lenient: false, patterns }
    }

    /// An expression, and nothing else.
    fn whole(&mut self) -> Parsed<Expr> {
        if self.peek().kind == Kind::End {
            return self.fail(Span::default(), "no expression found in input");
        }
        let expr = self.expr(0)?;
        match self.peek().kind {
            Kind::End => Ok(expr),
            _ => self.unexpected("", ""),
        }
    }

    pub(super) fn peek(&self) -> Token {
        self.now
    }

    pub(super) fn peek_second(&self) -> Kind {
        self.second.kind
    }

    pub(super) fn next(&mut self) -> Token {
        (self.last, self.now) = (self.now, self.second);
        self.second = after(self.now, &mut self.lexer);
        self.last
    }

    /// Takes the next word if it is of that kind.
    pub(super) fn take(&mut self, kind: Kind) -> Option<Token> {
        (self.peek().kind == kind).then(|| self.next())
    }

    pub(super) fn expect(&mut self, kind: Kind, context: &str, expected: &str) -> Parsed<Token> {
        match self.take(kind) {
            Some(token) => Ok(token),
            None => self.unexpected(context, expected),
        }
    }

    pub(super) fn word(&self, token: Token) -> &'a str {
        &self.text[token.span.range()]
    }

    /// Where the word before the next one stands.
    pub(super) fn end_of_last(&self) -> Span {
        self.last.span
    }

    /// Whether the next word is this keyword.
    pub(super) fn at_keyword(&self, keyword: &str) -> bool {
        let token = self.peek();
        token.kind == Kind::Word && self.word(token).eq_ignore_ascii_case(keyword)
    }

    pub(super) fn take_keyword(&mut self, keyword: &str) -> Option<Token> {
        self.at_keyword(keyword).then(|| self.next())
    }

    pub(super) fn fail<T>(&self, span: Span, message: impl Into<String>) -> Parsed<T> {
        Err(ParseError::new(span, message.into()))
    }

    /// The next word should not be here.
    pub(super) fn unexpected<T>(&self, context: &str, expected: &str) -> Parsed<T> {
        let token = self.peek();
        if token.kind == Kind::Bad {
            return self.fail(token.span, self.lexer.mistake());
        }
        let mut message = format!("unexpected {}", describe(token, self.text));
        if !context.is_empty() {
            message.push_str(" in ");
            message.push_str(context);
        }
        if !expected.is_empty() {
            message.push_str(", expected ");
            message.push_str(expected);
        }
        self.fail(token.span, message)
    }

    /// Runs `read` one level deeper.
    pub(super) fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEPTH_MAX {
            return self.fail(self.peek().span, format!("query is nested deeper than {DEPTH_MAX} levels"));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// An expression of operators that bind at least as strong as `least`.
    fn expr(&mut self, least: u8) -> Parsed<Expr> {
        self.at_this_level(|parser| parser.deeper(|parser| parser.operators(least)))
    }

    /// Runs `read` and comes back to this level, however deep a chain of operators went.
    fn at_this_level<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let depth = self.depth;
        let result = read(self);
        self.depth = depth;
        result
    }

    fn operators(&mut self, least: u8) -> Parsed<Expr> {
        let mut lhs = self.operand()?;
        while let Some((op, power)) = self.operator().filter(|found| found.1 >= least) {
            // A chain of operators makes a tree as deep as it is long.
            self.depth += 1;
            let op_span = self.next().span;
            let mut binary = self.modifiers(op)?;
            let right_associative = op == BinaryOp::Pow;
            let rhs = self.expr(power + u8::from(!right_associative))?;
            let span = lhs.span.to(rhs.span);
            (binary.lhs, binary.rhs) = (lhs, rhs);
            check::binary(self, &mut binary, op_span)?;
            lhs = Expr { node: Node::Binary(Box::new(binary)), span };
        }
        Ok(lhs)
    }

    /// The operator at hand, if there is one, and how strong it binds.
    fn operator(&self) -> Option<(BinaryOp, u8)> {
        let token = self.peek();
        let op = match token.kind {
            Kind::Word => match self.word(token).to_ascii_lowercase().as_str() {
                "or" => BinaryOp::Or,
                "and" => BinaryOp::And,
                "unless" => BinaryOp::Unless,
                "atan2" => BinaryOp::Atan2,
                _ => return None,
            },
            kind => sign_operator(kind)?,
        };
        Some((op, power(op)))
    }

    /// `bool on (a) group_left (b) fill (0)` after an operator. The operands are filled in by the caller.
    fn modifiers(&mut self, op: BinaryOp) -> Parsed<Binary> {
        let returns_bool = self.take_keyword("bool").is_some();
        let mut matching = Matching::default();
        let on = self.at_keyword("on");
        if on || self.at_keyword("ignoring") {
            self.next();
            matching.on = on;
            matching.labels = self.grouping_labels()?;
            let left = self.at_keyword("group_left");
            if left || self.at_keyword("group_right") {
                self.next();
                matching.group = if left { Group::Left } else { Group::Right };
                if self.peek().kind == Kind::LeftParen {
                    matching.include = self.grouping_labels()?;
                }
            }
        }
        self.fill(&mut matching)?;
        let hole =
            || Expr { node: Node::Text(Text { value: String::new(), bytes: None }), span: Span::default() };
        Ok(Binary { op, lhs: hole(), rhs: hole(), returns_bool, matching })
    }

    fn fill(&mut self, matching: &mut Matching) -> Parsed<()> {
        while self.peek_second() == Kind::LeftParen {
            let both = self.at_keyword("fill");
            let (left, right) = (both || self.at_keyword("fill_left"), both || self.at_keyword("fill_right"));
            if !left && !right {
                return Ok(());
            }
            let span = self.next().span;
            if (left && matching.fill_left.is_some()) || (right && matching.fill_right.is_some()) {
                return self.fail(span, "fill modifiers may not be set multiple times");
            }
            self.next();
            let value = self.signed_number("fill modifier", "number")?;
            self.expect(Kind::RightParen, "fill modifier", "\")\"")?;
            if left {
                matching.fill_left = Some(value);
            }
            if right {
                matching.fill_right = Some(value);
            }
        }
        Ok(())
    }

    /// A number, maybe with a sign, or a duration in seconds.
    pub(super) fn signed_number(&mut self, context: &str, expected: &str) -> Parsed<f64> {
        let minus = self.take(Kind::Sub).is_some();
        if !minus {
            self.take(Kind::Add);
        }
        if !matches!(self.peek().kind, Kind::Number | Kind::Duration) {
            return self.unexpected(context, expected);
        }
        let value = self.number()?.value;
        Ok(if minus { -value } else { value })
    }

    /// The number or duration at hand.
    pub(super) fn number(&mut self) -> Parsed<Number> {
        let token = self.next();
        let word = self.word(token);
        if token.kind == Kind::Duration {
            return match super::number::parse_duration(word) {
                Some(millis) => Ok(Number { value: millis as f64 / 1e3, duration: true }),
                None => self.fail(token.span, "duration out of range"),
            };
        }
        match super::number::parse_number(word) {
            Some(value) => Ok(Number { value, duration: false }),
            None => self.fail(token.span, format!("error parsing number: {word:?}")),
        }
    }

    /// `(a, "b c")`
    fn grouping_labels(&mut self) -> Parsed<Vec<String>> {
        const CONTEXT: &str = "grouping opts";
        self.expect(Kind::LeftParen, CONTEXT, "\"(\"")?;
        let mut labels = Vec::new();
        while self.take(Kind::RightParen).is_none() {
            let token = self.peek();
            match token.kind {
                Kind::Word | Kind::MetricWord | Kind::Number if is_label(self.word(token)) => {
                    labels.push(self.word(token).to_owned());
                    self.next();
                }
                Kind::Text => {
                    self.next();
                    let text = self.unquoted(token)?;
                    if text.bytes.is_some() || text.value.is_empty() {
                        return self.fail(
                            token.span,
                            format!("invalid label name for grouping: {}", self.word(token)),
                        );
                    }
                    labels.push(text.value);
                }
                _ => return self.unexpected(CONTEXT, "label"),
            }
            if self.take(Kind::Comma).is_none() && self.peek().kind != Kind::RightParen {
                return self.unexpected(CONTEXT, "\",\" or \")\"");
            }
        }
        Ok(labels)
    }

    pub(super) fn unquoted(&self, token: Token) -> Parsed<Text> {
        match super::number::unquote(self.word(token)).map(String::from_utf8) {
            Some(Ok(value)) => Ok(Text { value, bytes: None }),
            Some(Err(error)) => {
                let value = String::from_utf8_lossy(error.as_bytes()).into_owned();
                Ok(Text { value, bytes: Some(error.into_bytes()) })
            }
            None => self
                .fail(token.span, format!("error unquoting string {:?}: invalid syntax", self.word(token))),
        }
    }

    fn operand(&mut self) -> Parsed<Expr> {
        let token = self.peek();
        let expr = match token.kind {
            Kind::Add | Kind::Sub => return self.unary(),
            Kind::LeftParen => {
                self.next();
                let inner = self.expr(0)?;
                let end = self.expect(Kind::RightParen, "", "")?.span;
                Expr { node: Node::Paren(Box::new(inner)), span: token.span.to(end) }
            }
            Kind::Number | Kind::Duration => {
                let number = self.number()?;
                Expr { node: Node::Number(number), span: token.span }
            }
            Kind::Text => {
                self.next();
                Expr { node: Node::Text(self.unquoted(token)?), span: token.span }
            }
            Kind::LeftBrace | Kind::MetricWord => self.selector()?,
            Kind::Word => self.named()?,
            _ => return self.unexpected("", ""),
        };
        self.postfix(expr)
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let token = self.next();
        let sign = if token.kind == Kind::Sub { Sign::Minus } else { Sign::Plus };
        let least = power(BinaryOp::Mul) + 1;
        let expr = match self.peek().kind {
            // A number and its sign are one leaf.
            Kind::Number | Kind::Duration => self.at_this_level(|parser| parser.operators(least))?,
            _ => self.expr(least)?,
        };
        let span = token.span.to(expr.span);
        if let Node::Number(number) = expr.node {
            let value = if sign == Sign::Minus { -number.value } else { number.value };
            return Ok(Expr { node: Node::Number(Number { value, ..number }), span });
        }
        check::unary(self, &expr)?;
        Ok(Expr { node: Node::Unary(Box::new(Unary { sign, expr })), span })
    }

    /// What starts with a word: an aggregation, a call, or a metric.
    fn named(&mut self) -> Parsed<Expr> {
        let token = self.peek();
        let word = self.word(token);
        let lower = word.to_ascii_lowercase();
        let second = self.second;
        let called = second.kind == Kind::LeftParen;
        if is_aggregator(&lower) {
            let word = self.word(second);
            let modified = second.kind == Kind::Word
                && (word.eq_ignore_ascii_case("by") || word.eq_ignore_ascii_case("without"));
            if called || modified {
                return self.aggregate();
            }
        } else if called {
            let callable =
                !is_keyword(&lower) || matches!(lower.as_str(), "start" | "end" | "step" | "range");
            return if callable { self.call() } else { self.unexpected("", "") };
        }
        if may_name_metric(&lower) { self.selector() } else { self.unexpected("", "") }
    }

    fn call(&mut self) -> Parsed<Expr> {
        let name = self.next();
        let word = self.word(name);
        let found = Function::named(word).or_else(|| {
            Function::named(&word.to_ascii_lowercase()).filter(|function| {
                // These are keywords too, and keywords have no case.
                matches!(function.name, "start" | "end" | "step" | "range")
            })
        });
        let Some(function) = found else {
            return self.fail(name.span, format!("unknown function with name {word:?}"));
        };
        let (args, end) = self.arguments(function.name == "info")?;
        let span = name.span.to(end);
        check::call(self, function, &args, span)?;
        Ok(Expr { node: Node::Call(Call { function, args }), span })
    }

    /// `(a, b)`, and the place of the closing parenthesis. The second one may be a selector that matches
    /// everything, if it only says which labels are wanted.
    fn arguments(&mut self, lenient_second: bool) -> Parsed<(Vec<Expr>, Span)> {
        self.expect(Kind::LeftParen, "", "")?;
        let mut args = Vec::new();
        if let Some(end) = self.take(Kind::RightParen) {
            return Ok((args, end.span));
        }
        loop {
            self.lenient = lenient_second && args.len() == 1;
            args.push(self.expr(0)?);
            self.lenient = false;
            match self.take(Kind::Comma) {
                Some(comma) if self.peek().kind == Kind::RightParen => {
                    return self.fail(comma.span, "trailing commas not allowed in function call args");
                }
                Some(_) => {}
                None => return Ok((args, self.expect(Kind::RightParen, "", "")?.span)),
            }
        }
    }

    fn aggregate(&mut self) -> Parsed<Expr> {
        let name = self.next();
        let op =
            AggregateOp::from_word(&self.word(name).to_ascii_lowercase()).expect("the caller has looked");
        let before = self.aggregate_modifier()?;
        if self.peek().kind != Kind::LeftParen {
            return self.unexpected("aggregation", "");
        }
        let (mut args, mut end) = self.arguments(false)?;
        let modifier = match before {
            Some(modifier) => Some(modifier),
            None => {
                let modifier = self.aggregate_modifier()?;
                if modifier.is_some() {
                    end = self.end_of_last();
                }
                modifier
            }
        };
        let (without, grouping) = modifier.unwrap_or_default();
        let span = name.span.to(end);
        let wanted = 1 + usize::from(op.takes_param());
        if args.is_empty() {
            return self.fail(span, "no arguments for aggregate expression provided");
        }
        if args.len() != wanted {
            let given = args.len();
            let message = format!(
                "wrong number of arguments for aggregate expression provided, expected {wanted}, got {given}"
            );
            return self.fail(span, message);
        }
        let expr = args.pop().expect("there is at least one");
        let aggregate = Aggregate { op, param: args.pop(), expr, grouping, without };
        check::aggregate(self, &aggregate)?;
        Ok(Expr { node: Node::Aggregate(Box::new(aggregate)), span })
    }

    /// `by (a)` or `without (a)`: whether it is the latter, and the labels.
    fn aggregate_modifier(&mut self) -> Parsed<Option<(bool, Vec<String>)>> {
        let without = self.at_keyword("without");
        if !without && !self.at_keyword("by") {
            return Ok(None);
        }
        self.next();
        Ok(Some((without, self.grouping_labels()?)))
    }
}

/// The word after another. The last one is followed by itself.
fn after(token: Token, lexer: &mut Lexer<'_>) -> Token {
    if matches!(token.kind, Kind::End | Kind::Bad) { token } else { lexer.next() }
}

pub(super) fn sign_operator(kind: Kind) -> Option<BinaryOp> {
    Some(match kind {
        Kind::Add => BinaryOp::Add,
        Kind::Sub => BinaryOp::Sub,
        Kind::Mul => BinaryOp::Mul,
        Kind::Div => BinaryOp::Div,
        Kind::Mod => BinaryOp::Mod,
        Kind::Pow => BinaryOp::Pow,
        Kind::Equal => BinaryOp::Equal,
        Kind::NotEqual => BinaryOp::NotEqual,
        Kind::Less => BinaryOp::Less,
        Kind::LessEqual => BinaryOp::LessEqual,
        Kind::Greater => BinaryOp::Greater,
        Kind::GreaterEqual => BinaryOp::GreaterEqual,
        Kind::TrimUpper => BinaryOp::TrimUpper,
        Kind::TrimLower => BinaryOp::TrimLower,
        _ => return None,
    })
}

/// How strong an operator binds.
pub(super) const fn power(op: BinaryOp) -> u8 {
    use BinaryOp::*;
    match op {
        Or => 1,
        And | Unless => 2,
        Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual | TrimUpper | TrimLower => 3,
        Add | Sub => 4,
        Mul | Div | Mod | Atan2 => 5,
        Pow => 6,
    }
}

/// Whether a word is a label without quotes.
pub(super) fn is_label(word: &str) -> bool {
    let start = |c: u8| c == b'_' || c.is_ascii_alphabetic();
    word.bytes().enumerate().all(|(i, c)| start(c) || (i > 0 && c.is_ascii_digit())) && !word.is_empty()
}

#[cfg(test)]
mod tests;
