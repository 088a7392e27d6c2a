//! What a request says of who sends it: the header `Authorization`, read.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// A longer header is refused before it is looked at.
const BYTES_MAX: usize = 8 << 10;

/// What the header holds.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A name and a password (RFC 7617).
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// A token (RFC 6750).
    Bearer(String),
}

/// The header is none that is known; what would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It is longer than anything that is asked for.
    #[error("the header Authorization is longer than 8 KiB")]
    TooLong,
    /// It begins with something else.
    #[error("the header Authorization begins with neither `Basic` nor `Bearer`")]
    Scheme,
    /// What follows `Basic` is not as it should be.
    #[error("what follows `Basic` is not the Base64 of a name, a colon and a password")]
    Basic,
    /// What follows `Bearer` is not as it should be.
    #[error("what follows `Bearer` is no token")]
    Bearer,
}

impl Credentials {
    /// Reads the value of the header.
    ///
    /// # Errors
    /// See [`Malformed`]; what is said tells nothing of what the header holds.
    pub fn parse(value: &[u8]) -> Result<Self, Malformed> {
        if value.len() > BYTES_MAX {
            return Err(Malformed::TooLong);
        }
        let text = std::str::from_utf8(value).map_err(|_| Malformed::Scheme)?;
        let (scheme, rest) = text.trim().split_once(' ').ok_or(Malformed::Scheme)?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            let fits = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic());
            return if fits { Ok(Self::Bearer(rest.to_owned())) } else { Err(Malformed::Bearer) };
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(Malformed::Scheme);
        }
        let pair = STANDARD.decode(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = pair.ok_or(Malformed::Basic)?;
        let (user, password) = pair.split_once(':').ok_or(Malformed::Basic)?;
        Ok(Self::Basic { user: user.to_owned(), password: password.to_owned() })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic <secret>",
            Self::Bearer(_) => "Bearer <secret>",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_or_refused() {
        let check =
            |text: &str, expected| assert_eq!(Credentials::parse(text.as_bytes()), expected, "{text}");
        let ann = Credentials::Basic { user: "ann".to_owned(), password: "p:w".to_owned() };
        check("Basic YW5uOnA6dw==", Ok(ann.clone()));
        check("bAsIc  YW5uOnA6dw==", Ok(ann));
        check("Bearer abc", Ok(Credentials::Bearer("abc".to_owned())));
        check("Bearer", Err(Malformed::Scheme));
        check("Bearer a b", Err(Malformed::Bearer));
        check("Digest x", Err(Malformed::Scheme));
        check("Basic ?", Err(Malformed::Basic));
        check("Basic YW5u", Err(Malformed::Basic));
        check("", Err(Malformed::Scheme));
        check(&format!("Bearer {}", "a".repeat(9_000)), Err(Malformed::TooLong));
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", Credentials::parse(b"Basic YW5uOnA6dw==").unwrap());
        assert_eq!(shown, "Basic <secret>");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Credentials::parse(&bytes);
        }
    }
}
