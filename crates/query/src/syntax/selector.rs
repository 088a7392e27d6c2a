//! Selectors, and what follows an operand: ranges, subqueries, `offset`, `@`, `anchored`, `smoothed`.

use barograph_model::{LabelError, Labels, METRIC_NAME, MatchOp, Matcher};

use super::{
    ast::*,
    parser::{Parsed, Parser},
    span::{ParseError, Span},
    token::Kind,
};

const CONTEXT: &str = "label matching";

impl Parser<'_> {
    /// `up`, `up{job="api"}`, `{"my.metric", job="api"}`
    pub(super) fn selector(&mut self) -> Parsed<Expr> {
        let first = self.peek();
        let mut name = None;
        let mut end = first.span;
        if first.kind != Kind::LeftBrace {
            self.next();
            name = Some(self.word(first).to_owned());
        }
        let mut matchers = Vec::new();
        if self.peek().kind == Kind::LeftBrace {
            end = self.matchers(&mut name, &mut matchers)?;
        }
        let span = first.span.to(end);
        if let Some(name) = &name {
            if let Some(twice) = matchers.iter().find(|m: &&Matcher| m.name() == METRIC_NAME) {
                let message = format!("metric name must not be set twice: {name:?} or {:?}", twice.value());
                return self.fail(span, message);
            }
            matchers.push(Matcher::equal(METRIC_NAME, name));
        }
        if !self.lenient && matchers.iter().all(Matcher::matches_absent) {
            return self.fail(span, "vector selector must contain at least one non-empty matcher");
        }
        let selector = Selector { name, matchers, shift: Shift::default(), reading: Reading::Plain };
        Ok(Expr { node: Node::Selector(Box::new(selector)), span })
    }

    /// What stands in braces; returns the place of the closing one.
    fn matchers(&mut self, name: &mut Option<String>, matchers: &mut Vec<Matcher>) -> Parsed<Span> {
        self.next();
        loop {
            if let Some(end) = self.take(Kind::RightBrace) {
                return Ok(end.span);
            }
            let label = self.peek();
            match label.kind {
                Kind::Word => {
                    self.next();
                    let word = self.word(label).to_owned();
                    matchers.push(self.matcher(&word, label.span)?);
                }
                Kind::Text => {
                    self.next();
                    let text = self.unquoted(label)?;
                    if matches!(self.peek().kind, Kind::Comma | Kind::RightBrace) {
                        self.quoted_name(name, text, label.span)?;
                    } else {
                        matchers.push(self.matcher(&text.value, label.span)?);
                    }
                }
                _ => return self.unexpected(CONTEXT, "identifier or \"}\""),
            }
            if self.take(Kind::Comma).is_none() && self.peek().kind != Kind::RightBrace {
                return self.unexpected(CONTEXT, "\",\" or \"}\"");
            }
        }
    }

    fn quoted_name(&self, name: &mut Option<String>, text: Text, span: Span) -> Parsed<()> {
        if let Some(name) = name {
            return self
                .fail(span, format!("metric name must not be set twice: {name:?} or {:?}", text.value));
        }
        if text.value.is_empty() || text.bytes.is_some() {
            return self.fail(span, format!("invalid metric name: {}", &self.text[span.range()]));
        }
        *name = Some(text.value);
        Ok(())
    }

    fn matcher(&mut self, name: &str, name_span: Span) -> Parsed<Matcher> {
        let op = match self.peek().kind {
            Kind::Assign => MatchOp::Equal,
            Kind::MatchNot => MatchOp::NotEqual,
            Kind::MatchRegex => MatchOp::Regex,
            Kind::MatchNotRegex => MatchOp::NotRegex,
            _ => return self.unexpected(CONTEXT, "label matching operator"),
        };
        if name.is_empty() {
            return self.fail(name_span, "invalid label name: \"\"");
        }
        self.next();
        let token = self.expect(Kind::Text, CONTEXT, "string")?;
        let value = self.unquoted(token)?.value;
        let span = name_span.to(token.span);
        Matcher::within(name, op, &value, &mut self.patterns)
            .or_else(|error| self.fail(span, error.to_string()))
    }

    /// What follows an operand, all that there is.
    pub(super) fn postfix(&mut self, mut expr: Expr) -> Parsed<Expr> {
        loop {
            let token = self.peek();
            expr = match token.kind {
                Kind::LeftBracket => self.deeper(|parser| parser.brackets(expr))?,
                Kind::At => self.at_modifier(expr)?,
                Kind::Word if self.at_keyword("offset") => self.offset(expr)?,
                Kind::Word if self.at_keyword("anchored") => self.reading(expr, Reading::Anchored)?,
                Kind::Word if self.at_keyword("smoothed") => self.reading(expr, Reading::Smoothed)?,
                _ => return Ok(expr),
            };
        }
    }

    /// `[5m]` makes a range selector, `[5m:1m]` a subquery.
    fn brackets(&mut self, expr: Expr) -> Parsed<Expr> {
        let open = self.next().span;
        let range = self.positive_length("subquery or range selector", "number or duration")?;
        let span = |end: Span| expr.span.to(end);
        if self.take(Kind::Colon).is_some() {
            let step = match self.peek().kind {
                Kind::RightBracket => None,
                _ => Some(self.positive_length("subquery selector", "number, duration, or \"]\"")?),
            };
            let end = self.expect(Kind::RightBracket, "subquery selector", "\"]\"")?.span;
            let span = span(end);
            if expr.kind() != Type::Vector {
                let message = format!(
                    "subquery is only allowed on instant vector, got {} instead",
                    expr.kind().as_str()
                );
                return self.fail(span, message);
            }
            let subquery = Subquery { expr, range, step, shift: Shift::default() };
            return Ok(Expr { node: Node::Subquery(Box::new(subquery)), span });
        }
        let end = self.expect(Kind::RightBracket, "subquery or range selector", "\":\" or \"]\"")?.span;
        let span = span(end);
        let Node::Selector(selector) = expr.node else {
            return self.fail(open.to(end), "ranges only allowed for vector selectors");
        };
        if selector.shift.offset.is_some() {
            return self.fail(open.to(end), "no offset modifiers allowed before range");
        }
        if selector.shift.at.is_some() {
            return self.fail(open.to(end), "no @ modifiers allowed before range");
        }
        let range = RangeSelector { selector: *selector, range };
        Ok(Expr { node: Node::Range(Box::new(range)), span })
    }

    fn offset(&mut self, mut expr: Expr) -> Parsed<Expr> {
        let keyword = self.next();
        let length = self.offset_length()?;
        let end = self.end_of_last();
        let span = expr.span.to(end);
        let Some(shift) = shift_of(&mut expr) else {
            let message = "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery";
            return self.fail(keyword.span.to(end), message);
        };
        if shift.offset.replace(length).is_some() {
            return self.fail(span, "offset may not be set multiple times");
        }
        expr.span = span;
        Ok(expr)
    }

    fn at_modifier(&mut self, mut expr: Expr) -> Parsed<Expr> {
        let sign = self.next();
        let point = if self.peek_second() == Kind::LeftParen && self.at_keyword("start") {
            At::Start
        } else if self.peek_second() == Kind::LeftParen && self.at_keyword("end") {
            At::End
        } else {
            let first = self.peek().span;
            let seconds = self.signed_number("@", "timestamp")?;
            let millis = (seconds * 1e3).round();
            // Upstream's own bounds: what fits 64-bit milliseconds.
            if !millis.is_finite() || millis.abs() >= i64::MAX as f64 {
                let message = format!("timestamp out of bounds for @ modifier: {seconds}");
                return self.fail(first, message);
            }
            #[expect(clippy::cast_possible_truncation, reason = "checked right above")]
            At::Time(millis as i64)
        };
        if !matches!(point, At::Time(_)) {
            self.next();
            self.next();
            self.expect(Kind::RightParen, "@", "\")\"")?;
        }
        let end = self.end_of_last();
        let span = expr.span.to(end);
        let Some(shift) = shift_of(&mut expr) else {
            let message = "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery";
            return self.fail(sign.span.to(end), message);
        };
        if shift.at.replace(point).is_some() {
            return self.fail(span, "@ <timestamp> may not be set multiple times");
        }
        expr.span = span;
        Ok(expr)
    }

    fn reading(&mut self, mut expr: Expr, reading: Reading) -> Parsed<Expr> {
        let keyword = self.next();
        let name = if reading == Reading::Anchored { "anchored" } else { "smoothed" };
        let span = expr.span.to(keyword.span);
        let current = match &mut expr.node {
            Node::Range(range) => &mut range.selector.reading,
            Node::Selector(selector) if reading == Reading::Smoothed => &mut selector.reading,
            Node::Selector(_) => {
                return self.fail(span, "anchored modifier can only be used with range vector selectors");
            }
            Node::Subquery(_) => {
                return self.fail(span, format!("{name} modifier is not supported for subqueries"));
            }
            _ => {
                let message =
                    format!("{name} modifier must be preceded by a vector selector or range vector selector");
                return self.fail(span, message);
            }
        };
        if *current != Reading::Plain {
            return self.fail(span, "anchored and smoothed modifiers cannot be used together");
        }
        *current = reading;
        expr.span = span;
        Ok(expr)
    }
}

fn shift_of(expr: &mut Expr) -> Option<&mut Shift> {
    match &mut expr.node {
        Node::Selector(selector) => Some(&mut selector.shift),
        Node::Range(range) => Some(&mut range.selector.shift),
        Node::Subquery(subquery) => Some(&mut subquery.shift),
        _ => None,
    }
}

/// A label set as scripts write it: `name{a="b"}`, where the same set may name series that do not exist.
pub(crate) fn parse_labels(text: &str) -> Result<Labels, ParseError> {
    let mut parser = Parser::new(text);
    let first = parser.peek();
    let mut name = None;
    if matches!(first.kind, Kind::Word | Kind::MetricWord) {
        name = Some(parser.word(parser.peek()).to_owned());
        parser.next();
    }
    let mut matchers = Vec::new();
    if parser.peek().kind == Kind::LeftBrace {
        parser.matchers(&mut name, &mut matchers)?;
    }
    if parser.peek().kind != Kind::End || matchers.iter().any(|m| m.op() != MatchOp::Equal) {
        return parser.unexpected("label set", "identifier or \"}\"");
    }
    let pairs = matchers.iter().map(|m| (m.name(), m.value()));
    let name = name.iter().map(|name| (METRIC_NAME, name.as_str()));
    Labels::from_pairs(pairs.chain(name))
        .or_else(|error: LabelError| parser.fail(first.span, error.to_string()))
}
