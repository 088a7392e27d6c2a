//! A template cut into texts and actions, and actions into tokens.

use super::Mistake;

/// A part of a template.
#[derive(Debug)]
pub(super) enum Part<'t> {
    /// Text as it stands, trimmed where an action beside it says so.
    Text(&'t str),
    /// The tokens of an action, and where it begins.
    Action(usize, Vec<Token>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) kind: Kind,
    /// Whether there is space before it.
    pub(super) spaced: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Word(String),
    /// `.name`
    Field(String),
    /// `.` alone.
    Dot,
    /// `$name`, with the dollar.
    Variable(String),
    Int(i64),
    Float(f64),
    Text(String),
    Pipe,
    Open,
    Close,
    Comma,
    Declare,
    Assign,
}

/// Cuts a template.
pub(super) fn parts(text: &str) -> Result<Vec<Part<'_>>, Mistake> {
    let mut parts = Vec::new();
    let (mut from, mut trim_next) = (0, false);
    while let Some(open) = text[from..].find("{{").map(|at| from + at) {
        let mut inside = open + 2;
        let trims = trims_left(&text[inside..]);
        push_text(&mut parts, &text[from..open], trim_next, trims);
        inside += usize::from(trims);
        let comment = text[inside..].trim_start();
        let (end, trims_after) = if comment.starts_with("/*") {
            comment_end(text, text.len() - comment.len())?
        } else {
            let mut lexer = Lexer { text, at: inside, spaced: true, tokens: Vec::new() };
            let end = lexer.action(open)?;
            let tokens = lexer.tokens;
            parts.push(Part::Action(open, tokens));
            end
        };
        (from, trim_next) = (end, trims_after);
    }
    push_text(&mut parts, &text[from..], trim_next, false);
    Ok(parts)
}

fn push_text<'t>(parts: &mut Vec<Part<'t>>, text: &'t str, trim_start: bool, trim_end: bool) {
    let text = if trim_start { text.trim_start_matches(is_space) } else { text };
    let text = if trim_end { text.trim_end_matches(is_space) } else { text };
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// Whether what follows `{{` is the mark that trims the text before.
fn trims_left(text: &str) -> bool {
    text.strip_prefix('-').is_some_and(|rest| rest.starts_with(is_space))
}

/// Where the action ends that a comment is, and whether the text after is trimmed.
fn comment_end(text: &str, comment: usize) -> Result<(usize, bool), Mistake> {
    let close = text[comment..].find("*/").ok_or_else(|| Mistake::new(comment, "unclosed comment"))?;
    let after = comment + close + 2;
    let rest = &text[after..];
    if rest.starts_with("}}") {
        return Ok((after + 2, false));
    }
    let blank = rest.trim_start_matches(is_space);
    match blank.starts_with("-}}") && blank.len() < rest.len() {
        true => Ok((text.len() - blank.len() + 3, true)),
        false => Err(Mistake::new(after, "a comment ends right before its braces")),
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    spaced: bool,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    /// Reads tokens up to the closing braces; where these end, and whether the text after is trimmed.
    fn action(&mut self, open: usize) -> Result<(usize, bool), Mistake> {
        loop {
            let rest = &self.text[self.at..];
            if rest.starts_with("}}") {
                return Ok((self.at + 2, false));
            }
            let Some(c) = rest.chars().next() else { return Err(Mistake::new(open, "unclosed action")) };
            if is_space(c) {
                if rest[1..].starts_with("-}}") {
                    return Ok((self.at + 4, true));
                }
                (self.at, self.spaced) = (self.at + 1, true);
                continue;
            }
            self.token(c)?;
        }
    }

    fn token(&mut self, c: char) -> Result<(), Mistake> {
        let rest = &self.text[self.at..];
        match c {
            ':' if rest.starts_with(":=") => self.push(Kind::Declare, 2),
            '=' => self.push(Kind::Assign, 1),
            '|' => self.push(Kind::Pipe, 1),
            '(' => self.push(Kind::Open, 1),
            ')' => self.push(Kind::Close, 1),
            ',' => self.push(Kind::Comma, 1),
            '"' | '`' => {
                let end = self.quoted(c)?;
                let bytes = barograph_query::unquote(&rest[..end]);
                let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
                let text =
                    text.ok_or_else(|| Mistake::new(self.at, format!("bad string {}", &rest[..end])))?;
                self.push(Kind::Text(text), end);
            }
            '\'' => {
                let end = self.quoted(c)?;
                let bytes = barograph_query::unquote(&rest[..end]);
                let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
                let mut chars = text.chars();
                let (Some(only), None) = (chars.next(), chars.next()) else {
                    return Err(Mistake::new(self.at, format!("bad character {}", &rest[..end])));
                };
                self.push(Kind::Int(i64::from(u32::from(only))), end);
            }
            '$' => {
                let len = 1 + word_len(&rest[1..]);
                self.push(Kind::Variable(rest[..len].to_owned()), len);
            }
            '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                let len = word_len(&rest[1..]);
                let kind = if len == 0 { Kind::Dot } else { Kind::Field(rest[1..=len].to_owned()) };
                self.push(kind, len + 1);
            }
            c if c.is_alphabetic() || c == '_' => {
                let len = word_len(rest);
                self.push(Kind::Word(rest[..len].to_owned()), len);
            }
            c if c.is_ascii_digit() || matches!(c, '+' | '-' | '.') => self.number()?,
            c => return Err(Mistake::new(self.at, format!("unexpected {c:?} in an action"))),
        }
        Ok(())
    }

    fn push(&mut self, kind: Kind, len: usize) {
        self.tokens.push(Token { at: self.at, kind, spaced: self.spaced });
        (self.at, self.spaced) = (self.at + len, false);
    }

    /// The length of the string that begins here.
    fn quoted(&self, quote: char) -> Result<usize, Mistake> {
        let mut escaped = false;
        for (i, c) in self.text[self.at..].char_indices().skip(1) {
            match c {
                '\n' if quote != '`' => break,
                _ if escaped => escaped = false,
                '\\' if quote != '`' => escaped = true,
                c if c == quote => return Ok(i + 1),
                _ => {}
            }
        }
        Err(Mistake::new(self.at, "unclosed string"))
    }

    fn number(&mut self) -> Result<(), Mistake> {
        let rest = &self.text[self.at..];
        let mut len = 0;
        let mut before = ' ';
        for c in rest.chars() {
            let sign = matches!(c, '+' | '-') && (len == 0 || matches!(before, 'e' | 'E' | 'p' | 'P'));
            if !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_') || sign) {
                break;
            }
            (before, len) = (c, len + c.len_utf8());
        }
        let word = rest[..len].replace('_', "");
        let (negative, digits) = match word.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, word.strip_prefix('+').unwrap_or(&word)),
        };
        let radix = [("0x", 16), ("0X", 16), ("0o", 8), ("0b", 2)];
        let int = match radix.iter().find_map(|(prefix, radix)| Some((digits.strip_prefix(prefix)?, *radix)))
        {
            Some((digits, radix)) => i64::from_str_radix(digits, radix).ok(),
            None => digits.parse().ok(),
        };
        let kind = match int {
            Some(int) => Some(Kind::Int(if negative { -int } else { int })),
            // Words such as `inf` are no numbers here.
            None if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
                digits.parse::<f64>().ok().map(|value| Kind::Float(if negative { -value } else { value }))
            }
            None => None,
        };
        let kind =
            kind.ok_or_else(|| Mistake::new(self.at, format!("bad number {:?}", &rest[..len.max(1)])))?;
        self.push(kind, len);
        Ok(())
    }
}

fn word_len(text: &str) -> usize {
    text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len())
}
