//! The header `baggage`: names and values that travel with a request.
//!
//! W3C Baggage: `key=value` entries with commas between them, values percent-encoded, up to 64 of them in 8,192 bytes.
//! Properties behind a `;` are not read. Malformed entries are skipped.

use std::{
    fmt::{self, Write},
    sync::Arc,
};

/// The most entries.
const ENTRIES_MAX: usize = 64;
/// The most bytes of the header.
const BYTES_MAX: usize = 8_192;

/// Names and values that travel. Clones are cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baggage(Option<Arc<Vec<(String, String)>>>);

impl Baggage {
    /// Reads a header.
    pub fn parse(header: &str) -> Self {
        let header = &header[..header.floor_char_boundary(BYTES_MAX)];
        header
            .split(',')
            .filter_map(entry)
            .fold(Self::default(), |baggage, (key, value)| baggage.with(key, &value))
    }

    /// The value of an entry.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// The same with this entry; without it if the value is empty. A key that cannot be written, and entries above
    /// 64, are left out.
    #[must_use]
    pub fn with(&self, key: &str, value: &str) -> Self {
        let mut entries = self.0.as_deref().cloned().unwrap_or_default();
        entries.retain(|(known, _)| known != key);
        if is_token(key) && !value.is_empty() && entries.len() < ENTRIES_MAX {
            entries.push((key.to_owned(), value.to_owned()));
        }
        Self((!entries.is_empty()).then(|| Arc::new(entries)))
    }

    /// All entries, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|entries| entries.iter()).map(|(key, value)| (&**key, &**value))
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Display for Baggage {
    /// As a header; entries that would make it too long are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut header = String::new();
        for (key, value) in self.iter() {
            let before = header.len();
            if before > 0 {
                header.push(',');
            }
            header.push_str(key);
            header.push('=');
            encode(value, &mut header);
            if header.len() > BYTES_MAX {
                header.truncate(before);
            }
        }
        f.write_str(&header)
    }
}

fn entry(text: &str) -> Option<(&str, String)> {
    let text = text.split(';').next()?;
    let (key, value) = text.split_once('=')?;
    let (key, value) = (key.trim_matches([' ', '\t']), value.trim_matches([' ', '\t']));
    Some((key, decode(value)?)).filter(|(key, _)| is_token(key))
}

fn is_token(key: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !key.is_empty() && key.bytes().all(allowed)
}

fn encode(value: &str, header: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_graphic() && !b"\",;\\%".contains(&byte) {
            header.push(char::from(byte));
        } else {
            write!(header, "%{byte:02X}").expect("a string takes what is written");
        }
    }
}

/// `None` where the text is no UTF-8. A `%` that no two digits follow stands for itself.
fn decode(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, after @ ..] = rest {
        let digits = after.first_chunk::<2>().filter(|_| *first == b'%');
        let byte = digits
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_survive_reading() {
        let check = |header: &str, expected: &str| assert_eq!(Baggage::parse(header).to_string(), expected);
        check(
            "userId=alice,serverNode=DF%2028,isProduction=false",
            "userId=alice,serverNode=DF%2028,isProduction=false",
        );
        check("a = 1 ; p=2 , b=2;q", "a=1,b=2");
        check("a=%E2%82%ac,b=%zz,c=%2", "a=%E2%82%AC,b=%25zz,c=%252");
        check("nonsense,=1,a b=2,c=,d=%ff", "");
        check("a=1,a=2", "a=2");
    }

    #[test]
    fn values_may_be_anything() {
        let value = "römisch, 100 % \"x\";\\\n";
        let baggage = Baggage::default().with("k", value);
        assert_eq!(Baggage::parse(&baggage.to_string()).get("k"), Some(value));
        assert!(baggage.with("k", "").is_empty());
    }

    #[test]
    fn baggage_is_bounded() {
        let many = (0..100).fold(Baggage::default(), |all, i| all.with(&format!("k{i}"), &"v".repeat(500)));
        assert_eq!(many.iter().count(), ENTRIES_MAX);
        assert!(many.to_string().len() <= BYTES_MAX);
    }
}
