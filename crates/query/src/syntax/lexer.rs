//! Text to words, each with its place.
//!
//! Words are cut one at a time, as the parser asks for them, so that a text it refuses early costs no more than what it
//! read. Words mean different things in braces (label names) and in brackets (durations, where a colon separates), so the
//! lexer follows both. A mistake becomes a [`Kind::Bad`] word, which is the last: the parser reports it when it gets
//! there, unless something before it is wrong.

use super::{
    span::Span,
    token::{Kind, Token},
};

/// Between which delimiters the lexer is; parentheses do not change the words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Open,
    Braces,
    Brackets,
}

struct Mistake {
    start: usize,
    message: String,
}

pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    /// Where the current line starts.
    line_start: usize,
    parens: usize,
    place: Place,
    /// What is wrong, after a [`Kind::Bad`] word.
    mistake: String,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, line: 1, line_start: 0, parens: 0, place: Place::Open, mistake: String::new() }
    }

    /// What is wrong where the text stopped being words.
    pub(super) fn mistake(&self) -> &str {
        &self.mistake
    }

    /// The next word. Not to be called after [`Kind::End`] or [`Kind::Bad`].
    pub(super) fn next(&mut self) -> Token {
        let before = self.at;
        self.skip_blanks();
        self.count_lines(before);
        let start = self.at;
        match self.kind() {
            Ok(kind) => {
                let token = self.token(kind, start);
                self.count_lines(start);
                token
            }
            Err(Mistake { start, message }) => {
                self.at = self.at.max(start);
                self.mistake = message;
                self.token(Kind::Bad, start)
            }
        }
    }

    /// Reads a word that begins where the lexer is.
    fn kind(&mut self) -> Result<Kind, Mistake> {
        let Some(c) = self.peek() else {
            return self.finish();
        };
        match (self.place, c) {
            (_, b'"' | b'\'' | b'`') => self.quoted(c),
            (Place::Braces, _) => self.in_braces(c),
            (_, b'_' | b'a'..=b'z' | b'A'..=b'Z') => Ok(self.word()),
            (Place::Open, b':') => Ok(self.word()),
            (_, b'0'..=b'9') => self.number(),
            (_, b'.') if self.peek_after(1).is_some_and(|next| next.is_ascii_digit()) => self.number(),
            _ => self.sign(c),
        }
    }

    /// The word from `start`, which is in the current line, to where the lexer is.
    fn token(&self, kind: Kind, start: usize) -> Token {
        let narrow = |at: usize| u32::try_from(at).expect("a query is at most QUERY_BYTES_MAX long");
        let column = narrow(start - self.line_start) + 1;
        let span = Span { start: narrow(start), end: narrow(self.at), line: self.line, column };
        Token { kind, span }
    }

    /// Counts the lines that end between `start` and where the lexer is.
    fn count_lines(&mut self, start: usize) {
        for (i, _) in self.text.as_bytes()[start..self.at].iter().enumerate().filter(|pair| *pair.1 == b'\n')
        {
            self.line += 1;
            self.line_start = start + i + 1;
        }
    }

    fn finish(&mut self) -> Result<Kind, Mistake> {
        let problem = match self.place {
            Place::Braces => Some("unexpected end of input inside braces"),
            Place::Brackets => Some("unclosed left bracket"),
            Place::Open if self.parens > 0 => Some("unclosed left parenthesis"),
            Place::Open => None,
        };
        problem.map_or(Ok(Kind::End), |message| self.fail(self.at, message))
    }

    fn peek(&self) -> Option<u8> {
        self.peek_after(0)
    }

    fn peek_after(&self, distance: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + distance).copied()
    }

    fn fail<T>(&self, start: usize, message: impl Into<String>) -> Result<T, Mistake> {
        Err(Mistake { start, message: message.into() })
    }

    fn skip_while(&mut self, mut wanted: impl FnMut(u8) -> bool) {
        while self.peek().is_some_and(&mut wanted) {
            self.at += 1;
        }
    }

    fn skip_blanks(&mut self) {
        loop {
            self.skip_while(|c| c.is_ascii_whitespace());
            if self.peek() != Some(b'#') {
                return;
            }
            self.skip_while(|c| c != b'\n');
        }
    }

    fn take(&mut self, kind: Kind, bytes: usize) -> Kind {
        self.at += bytes;
        kind
    }

    fn word(&mut self) -> Kind {
        let start = self.at;
        let colons = self.place == Place::Open;
        self.skip_while(|c| c == b'_' || c.is_ascii_alphanumeric() || (colons && c == b':'));
        let word = &self.text[start..self.at];
        if word.contains(':') {
            return Kind::MetricWord;
        }
        let number = word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("nan");
        if number { Kind::Number } else { Kind::Word }
    }

    fn sign(&mut self, c: u8) -> Result<Kind, Mistake> {
        let next = self.peek_after(1);
        let two = |yes: Kind, no: Kind| if next == Some(b'=') { (yes, 2) } else { (no, 1) };
        let (kind, bytes) = match c {
            b',' => (Kind::Comma, 1),
            b'+' => (Kind::Add, 1),
            b'-' => (Kind::Sub, 1),
            b'*' => (Kind::Mul, 1),
            b'/' => (Kind::Div, 1),
            b'%' => (Kind::Mod, 1),
            b'^' => (Kind::Pow, 1),
            b'@' => (Kind::At, 1),
            b'=' if next == Some(b'~') => return self.fail(self.at, "unexpected character after '=': '~'"),
            b'=' => two(Kind::Equal, Kind::Assign),
            b'!' if next == Some(b'=') => (Kind::NotEqual, 2),
            b'!' => match self.text[self.at + 1..].chars().next() {
                Some(c) => return self.fail(self.at, format!("unexpected character after '!': {c:?}")),
                None => return self.fail(self.at, "unexpected end of input after '!'"),
            },
            b'<' if next == Some(b'/') => (Kind::TrimUpper, 2),
            b'<' => two(Kind::LessEqual, Kind::Less),
            b'>' if next == Some(b'/') => (Kind::TrimLower, 2),
            b'>' => two(Kind::GreaterEqual, Kind::Greater),
            b'(' => {
                self.parens += 1;
                (Kind::LeftParen, 1)
            }
            b')' if self.parens == 0 => return self.fail(self.at, "unexpected right parenthesis ')'"),
            b')' => {
                self.parens -= 1;
                (Kind::RightParen, 1)
            }
            b'{' if self.place == Place::Open => {
                self.place = Place::Braces;
                (Kind::LeftBrace, 1)
            }
            b'[' if self.place == Place::Open => {
                self.place = Place::Brackets;
                (Kind::LeftBracket, 1)
            }
            b'[' => return self.fail(self.at, "unexpected left bracket '['"),
            b']' if self.place == Place::Brackets => {
                self.place = Place::Open;
                (Kind::RightBracket, 1)
            }
            b']' => return self.fail(self.at, "unexpected right bracket ']'"),
            b'}' => return self.fail(self.at, "unexpected right brace '}'"),
            b':' => (Kind::Colon, 1),
            _ => {
                let c = self.text[self.at..].chars().next().unwrap_or_default();
                return self.fail(self.at, format!("unexpected character: {c:?}"));
            }
        };
        Ok(self.take(kind, bytes))
    }

    fn in_braces(&mut self, c: u8) -> Result<Kind, Mistake> {
        let next = self.peek_after(1);
        let (kind, bytes) = match (c, next) {
            (b'_' | b'a'..=b'z' | b'A'..=b'Z', _) => {
                self.skip_while(|c| c == b'_' || c.is_ascii_alphanumeric());
                return Ok(Kind::Word);
            }
            (b',', _) => (Kind::Comma, 1),
            (b'=', Some(b'~')) => (Kind::MatchRegex, 2),
            (b'=', _) => (Kind::Assign, 1),
            (b'!', Some(b'~')) => (Kind::MatchNotRegex, 2),
            (b'!', Some(b'=')) => (Kind::MatchNot, 2),
            (b'!', _) => match self.text[self.at + 1..].chars().next() {
                Some(c) => {
                    return self
                        .fail(self.at, format!("unexpected character after '!' inside braces: {c:?}"));
                }
                None => return self.fail(self.at, "unexpected end of input after '!' inside braces"),
            },
            (b'{', _) => return self.fail(self.at, "unexpected left brace '{'"),
            (b'}', _) => {
                self.place = Place::Open;
                (Kind::RightBrace, 1)
            }
            _ => {
                let c = self.text[self.at..].chars().next().unwrap_or_default();
                return self.fail(self.at, format!("unexpected character inside braces: {c:?}"));
            }
        };
        Ok(self.take(kind, bytes))
    }

    fn quoted(&mut self, quote: u8) -> Result<Kind, Mistake> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None if quote == b'`' => return self.fail(start, "unterminated raw string"),
                None => return self.fail(start, "unterminated quoted string"),
                Some(b'\n') if quote != b'`' => return self.fail(start, "unterminated quoted string"),
                Some(b'\\') if quote != b'`' => self.at += 1 + usize::from(self.peek_after(1).is_some()),
                Some(c) => {
                    self.at += 1;
                    if c == quote {
                        return Ok(Kind::Text);
                    }
                }
            }
        }
    }

    /// A number, or digits with units.
    fn number(&mut self) -> Result<Kind, Mistake> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let run: usize = bytes[start..].iter().take_while(|&&c| number_byte(c)).count();
        let mut end = start + run;
        // A sign belongs to the number only right after an exponent.
        let hex = bytes[start] == b'0' && matches!(bytes.get(start + 1), Some(b'x' | b'X'));
        if !hex && matches!(bytes[end - 1], b'e' | b'E') && matches!(bytes.get(end), Some(b'+' | b'-')) {
            end += 1;
            end += bytes[end..].iter().take_while(|&&c| number_byte(c)).count();
        }
        self.at = end;
        let word = &self.text[start..end];
        if super::number::parse_number(word).is_some() {
            return Ok(Kind::Number);
        }
        if super::number::is_duration(word) {
            return Ok(Kind::Duration);
        }
        self.fail(start, format!("bad number or duration syntax: {word:?}"))
    }
}

fn number_byte(c: u8) -> bool {
    c == b'_' || c == b'.' || c.is_ascii_alphanumeric()
}
