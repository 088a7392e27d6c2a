//! A mail as bytes (RFC 5322, RFC 2045 to 2047): text and HTML beside each other, both in base 64.

use barograph_model::Timestamp;
use base64::{Engine, prelude::BASE64_STANDARD};

use super::email::{Mail, addresses};

/// Bytes of UTF-8 in one encoded word, so that a line stays within 76 characters.
const WORD_BYTES: usize = 42;
/// Characters of a line of a header, and of a word that is longer by itself.
const LINE_CHARS: usize = 76;
const WORD_CHARS_MAX: usize = 900;

impl Mail {
    /// The message from its first header to its last line, with `\r\n` after each line; no line begins with a dot.
    pub fn bytes(&self, now: Timestamp) -> Vec<u8> {
        let mut head = String::new();
        let mut put = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
        put("Date", &date(now));
        put("From", &mailbox(&self.shown_from));
        let to: Vec<_> = addresses(&self.shown_to).iter().map(|address| mailbox(address)).collect();
        put("To", &to.join(",\r\n "));
        put("Subject", &words(&self.subject));
        put("Message-ID", &self.message_id);
        put("References", &self.references);
        put("Auto-Submitted", "auto-generated");
        for (name, value) in &self.headers {
            put(name, &words(value));
        }
        put("MIME-Version", "1.0");
        let boundary =
            format!("={}=", self.message_id.trim_matches(['<', '>']).split('@').next().unwrap_or("part"));
        let part = |kind: &str, text: &str| {
            let coded = BASE64_STANDARD.encode(text.replace("\r\n", "\n").replace('\n', "\r\n"));
            let mut part =
                format!("Content-Type: {kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n");
            for line in coded.as_bytes().chunks(76) {
                part.push_str(&String::from_utf8_lossy(line));
                part.push_str("\r\n");
            }
            part
        };
        match &self.html {
            None => head + &part("text/plain", &self.text),
            Some(html) => format!(
                "{head}Content-Type: multipart/alternative; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n{}--{boundary}\r\n{}--{boundary}--\r\n",
                part("text/plain", &self.text),
                part("text/html", html),
            ),
        }
        .into_bytes()
    }

    /// The address alone of a mailbox such as `Ann <a@b.example>`.
    ///
    /// # Errors
    /// It is none that may stand in a command of SMTP.
    pub fn address(mailbox: &str) -> Result<&str, String> {
        let inner =
            mailbox.rsplit_once('<').map_or(mailbox, |(_, rest)| rest.trim_end().trim_end_matches('>'));
        let address = inner.trim();
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"<>()[],;:\\\"".contains(&byte);
        let is_one = !mailbox.contains(char::is_control) && address.bytes().all(plain);
        match address.split_once('@') {
            Some((name, host)) if is_one && !name.is_empty() && !host.is_empty() && !host.contains('@') => {
                Ok(address)
            }
            _ => Err(format!("{mailbox:?} is no address of mail")),
        }
    }
}

/// A mailbox as a header has it.
fn mailbox(text: &str) -> String {
    match text.rsplit_once('<') {
        Some((name, rest)) if !name.trim().is_empty() => {
            let name = name.trim().trim_matches('"');
            let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" -_.'".contains(&byte));
            let name = if plain { format!("\"{name}\"") } else { words(name) };
            format!("{name} <{}", clean(rest))
        }
        _ => clean(text),
    }
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic()).collect()
}

/// A text as a header has it: as it is if it may stand there, on several lines if it is long, else in encoded words.
fn words(text: &str) -> String {
    let plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let fits = text.split(' ').all(|word| word.len() <= WORD_CHARS_MAX);
    if plain && fits && !text.contains("=?") {
        return folded(text);
    }
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if word.len() + c.len_utf8() > WORD_BYTES {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    words.push(word);
    let coded = words.iter().map(|word| format!("=?utf-8?B?{}?=", BASE64_STANDARD.encode(word)));
    coded.collect::<Vec<_>>().join("\r\n ")
}

/// Broken at spaces; what is on one line is not told from what is on several.
fn folded(text: &str) -> String {
    let (mut folded, mut line) = (String::new(), LINE_CHARS / 4);
    for (at, word) in text.split(' ').enumerate() {
        // A line of nothing but spaces would end the headers for some.
        if at > 0 {
            let breaks = line + 1 + word.len() > LINE_CHARS && !word.is_empty();
            folded.push_str(if breaks { "\r\n " } else { " " });
            line = if breaks { 0 } else { line };
        }
        folded.push_str(word);
        line += 1 + word.len();
    }
    folded
}

/// A time as mails have it.
fn date(now: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(now.millis()).unwrap_or_default();
    at.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_has_lines_that_end_and_are_short() {
        let mail = Mail {
            from: "Bärbel <b@x.example>".to_owned(),
            to: vec!["a@x.example".to_owned(), "Ann B <ann@x.example>".to_owned()],
            shown_from: "Bärbel <b@x.example>".to_owned(),
            shown_to: "a@x.example, Ann B <ann@x.example>".to_owned(),
            subject: "[FIRING:1] ü\r\nBcc: evil@x.example and a very long text that goes on and on"
                .to_owned(),
            message_id: "<1@x>".to_owned(),
            references: "<2@x>".to_owned(),
            headers: vec![("X-Own".to_owned(), "1".to_owned())],
            text: "a\nb".to_owned(),
            html: Some("<p>ü</p>".repeat(50)),
        };
        let text = String::from_utf8(mail.bytes(Timestamp(0))).unwrap();
        assert!(text.starts_with("Date: Thu, 01 Jan 1970 00:00:00 +0000\r\nFrom: =?utf-8?B?"), "{text}");
        assert!(text.contains("To: a@x.example,\r\n \"Ann B\" <ann@x.example>\r\n"), "{text}");
        assert!(text.contains("YQ0KYg==\r\n"), "{text}");
        for line in text.split_inclusive('\n') {
            assert!(line.ends_with("\r\n") && line.len() <= 120 && !line.starts_with('.'), "{line}");
            assert!(!line.starts_with("Bcc"));
        }
    }

    #[test]
    fn long_headers_are_on_several_lines() {
        assert_eq!(words("short  text"), "short  text");
        let long = "word ".repeat(40);
        let text = words(&long);
        assert!(text.lines().all(|line| line.len() <= LINE_CHARS), "{text}");
        assert_eq!(text.replace("\r\n", ""), long);
        assert!(words(&"x".repeat(901)).starts_with("=?utf-8?B?"));
        assert!(words("=?utf-8?Q?no?=").starts_with("=?utf-8?B?"));
    }

    #[test]
    fn addresses_are_taken_out() {
        let check = |text: &str, expected: &str| assert_eq!(Mail::address(text), Ok(expected));
        check("a@x.example", "a@x.example");
        check("Ann <a@x.example>", "a@x.example");
        for bad in ["", "a", "@x", "a@", "a@x\r\nRCPT TO:<b@x>", "a b@x", "<a@x> <>"] {
            assert!(Mail::address(bad).is_err(), "{bad:?}");
        }
    }
}
