//! What a mail server answers (RFC 5321, section 4.2), read from its bytes as they come.

use std::fmt;

/// Bytes of a line of a reply, and lines of one.
const LINE_BYTES_MAX: usize = 1_000;
const LINES_MAX: usize = 100;
/// How much of a reply is shown.
const SHOWN_CHARS: usize = 200;

/// A whole reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What it means.
    pub code: u16,
    /// What stands behind the code, line by line.
    pub lines: Vec<String>,
}

/// Why bytes are no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReply {
    /// There is no code where one should stand.
    #[error("the mail server does not speak SMTP")]
    NotSmtp,
    /// A line does not end.
    #[error("the mail server says too long a line")]
    TooLong,
    /// A reply does not end.
    #[error("the mail server says too much")]
    TooMuch,
}

/// Bytes that came, and the reply that they begin.
#[derive(Debug, Default)]
pub struct Replies {
    bytes: Vec<u8>,
    lines: Vec<String>,
}

impl Replies {
    /// Takes bytes that came.
    pub fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether everything that came was used.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.lines.is_empty()
    }

    /// The next whole reply, if it is there.
    ///
    /// # Errors
    /// What came is none.
    pub fn reply(&mut self) -> Result<Option<Reply>, BadReply> {
        loop {
            let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') else {
                return if self.bytes.len() > LINE_BYTES_MAX { Err(BadReply::TooLong) } else { Ok(None) };
            };
            if end > LINE_BYTES_MAX {
                return Err(BadReply::TooLong);
            }
            let line: Vec<u8> = self.bytes.drain(..=end).collect();
            let (code, more, text) = read(&line).ok_or(BadReply::NotSmtp)?;
            self.lines.push(text);
            if !more {
                return Ok(Some(Reply { code, lines: std::mem::take(&mut self.lines) }));
            }
            if self.lines.len() >= LINES_MAX {
                return Err(BadReply::TooMuch);
            }
        }
    }
}

/// A line: its code, whether another follows, and what it says.
fn read(line: &[u8]) -> Option<(u16, bool, String)> {
    let line = line.trim_ascii_end();
    let (digits, rest) = line.split_at_checked(3)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    let (more, text) = match rest.split_first() {
        None => (false, rest),
        Some((b' ', text)) => (false, text),
        Some((b'-', text)) => (true, text),
        Some(_) => return None,
    };
    (200..600).contains(&code).then(|| (code, more, String::from_utf8_lossy(text).into_owned()))
}

impl Reply {
    /// Whether the same will never be taken.
    pub fn is_final(&self) -> bool {
        self.code >= 500
    }

    /// Whether a reply to `EHLO` offers an extension.
    pub fn offers(&self, extension: &str) -> bool {
        let words = self.lines.iter().skip(1).filter_map(|line| line.split_whitespace().next());
        words.into_iter().any(|word| word.eq_ignore_ascii_case(extension))
    }

    /// Whether a reply to `EHLO` offers a way to prove who one is.
    pub fn offers_way(&self, way: &str) -> bool {
        self.lines.iter().skip(1).any(|line| {
            let mut words = line.split_whitespace();
            words.next().is_some_and(|word| word.eq_ignore_ascii_case("AUTH"))
                && words.any(|word| word.eq_ignore_ascii_case(way))
        })
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = self.lines.join(" ");
        let said: String = said.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS).collect();
        write!(f, "{} {said}", self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(parts: &[&[u8]]) -> Vec<Result<Reply, BadReply>> {
        let (mut replies, mut found) = (Replies::default(), Vec::new());
        for part in parts {
            replies.take(part);
            while let Some(one) = replies.reply().transpose() {
                let is_bad = one.is_err();
                found.push(one);
                if is_bad {
                    return found;
                }
            }
        }
        found
    }

    #[test]
    fn replies_are_read_however_they_are_cut() {
        let bytes =
            b"220 hello\r\n250-mail\r\n250-STARTTLS\r\n250-AUTH login PLAIN\r\n250 SIZE 10\r\n354\r\n";
        let whole = all(&[bytes]);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(all(&single), whole);
        let codes: Vec<u16> = whole.iter().map(|reply| reply.as_ref().unwrap().code).collect();
        assert_eq!(codes, [220, 250, 354]);
        let offers = whole[1].as_ref().unwrap();
        assert!(offers.offers("starttls") && offers.offers("SIZE") && !offers.offers("mail"));
        assert!(offers.offers_way("LOGIN") && offers.offers_way("plain") && !offers.offers_way("CRAM-MD5"));
        assert_eq!(offers.to_string(), "250 mail STARTTLS AUTH login PLAIN SIZE 10");
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        let check = |bytes: &[u8], expected| assert_eq!(all(&[bytes]), [Err(expected)]);
        check(b"HTTP/1.1 400 Bad Request\r\n", BadReply::NotSmtp);
        check(b"\r\n", BadReply::NotSmtp);
        check(b"250_ok\r\n", BadReply::NotSmtp);
        check(b"999 ok\r\n", BadReply::NotSmtp);
        check("25\u{664} ok\r\n".as_bytes(), BadReply::NotSmtp);
        check(&[b'2'; 1_001], BadReply::TooLong);
        check(&b"250-x\r\n".repeat(101), BadReply::TooMuch);
        assert_eq!(all(&[b"250 half"]), []);
    }
}
