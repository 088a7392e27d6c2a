//! Passwords, and the hashes of them that are kept.
//!
//! What is made here is Argon2id with 19 MiB, two passes and one lane, as OWASP asks at least, written as a PHC string.
//! What is checked may also be bcrypt, as `basic_auth_users` of a Prometheus web file has it. Hashes come from files that
//! somebody wrote, so what they may cost is limited before they are believed.

use argon2::{Argon2, Params, PasswordHasher, PasswordVerifier, password_hash::phc::PasswordHash};

/// A password has so many letters at least.
pub const LETTERS_MIN: usize = 12;
/// And so many bytes at most.
pub const BYTES_MAX: usize = 256;
/// What one hash may take to be checked: KiB, passes, lanes.
const ARGON2_MAX: [u32; 3] = [256 << 10, 16, 8];
/// The cost of bcrypt is its logarithm.
const BCRYPT_COST_MAX: u32 = 15;
/// bcrypt looks no further.
const BCRYPT_BYTES_MAX: usize = 72;
/// Long enough, and what everybody tries first.
const COMMON: [&str; 16] = [
    "123456789012",
    "1234567890123",
    "password1234",
    "password12345",
    "passwordpassword",
    "qwertyuiop12",
    "qwertyuiop123",
    "qwertyuiopasdfghjkl",
    "adminadminadmin",
    "administrator",
    "letmeinletmein",
    "welcome12345",
    "iloveyou1234",
    "changemechangeme",
    "abcdefghijkl",
    "secretsecret",
];

/// A password that cannot be taken, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It would be guessed.
    #[error("a password has 12 letters at least; any letters will do")]
    Short,
    /// It would cost too much.
    #[error("a password has 256 bytes at most")]
    Long,
    /// It is among the first that are tried.
    #[error("this password is one of those that are tried first")]
    Common,
    /// It holds the name of its user, or one letter all over.
    #[error("a password is more than the name of its user or one letter again and again")]
    Plain,
}

/// A hash that cannot be used, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHash {
    /// It is of another kind, or torn.
    #[error("not a hash of Argon2id or bcrypt; `barograph auth hash` makes one")]
    Unknown,
    /// Checking it would take too long or too much memory.
    #[error(
        "a hash that costs too much to check: at most 256 MiB, 16 passes and 8 lanes, or a bcrypt cost of 15"
    )]
    Costly,
}

/// Whether somebody may choose this one.
///
/// # Errors
/// See [`Unfit`].
pub fn check(password: &str, user: &str) -> Result<(), Unfit> {
    if password.len() > BYTES_MAX {
        return Err(Unfit::Long);
    }
    if password.chars().count() < LETTERS_MIN {
        return Err(Unfit::Short);
    }
    let lower = password.to_lowercase();
    if COMMON.contains(&&*lower) {
        return Err(Unfit::Common);
    }
    let left = if user.is_empty() { lower.clone() } else { lower.replace(&user.to_lowercase(), "") };
    let first = left.chars().next();
    if left.chars().count() < 4 || left.chars().all(|letter| Some(letter) == first) {
        return Err(Unfit::Plain);
    }
    Ok(())
}

/// The hash of a password, with a salt that was never used before.
///
/// # Errors
/// The password is longer than any may be.
pub fn hash(password: &str, salt: &[u8; 16]) -> Result<String, Unfit> {
    if password.len() > BYTES_MAX {
        return Err(Unfit::Long);
    }
    let made: Result<PasswordHash, _> =
        Argon2::from(Params::DEFAULT).hash_password_with_salt(password.as_bytes(), salt);
    made.map(|hash| hash.to_string()).map_err(|_| Unfit::Long)
}

/// A hash that nobody has the password of, so that a name that is not known takes as long as one that is.
pub fn decoy() -> String {
    hash("nobody has this password", b"no salt, no user").unwrap_or_default()
}

/// Whether a hash can be checked at all.
///
/// # Errors
/// See [`BadHash`].
pub fn check_hash(hash: &str) -> Result<(), BadHash> {
    if is_bcrypt(hash) {
        let parts: bcrypt::HashParts = hash.parse().map_err(|_| BadHash::Unknown)?;
        return if parts.get_cost() <= BCRYPT_COST_MAX { Ok(()) } else { Err(BadHash::Costly) };
    }
    if !hash.starts_with("$argon2id$") {
        return Err(BadHash::Unknown);
    }
    let parsed = PasswordHash::new(hash).map_err(|_| BadHash::Unknown)?;
    let params = Params::try_from(&parsed).map_err(|_| BadHash::Unknown)?;
    if parsed.salt.is_none() || parsed.hash.is_none() {
        return Err(BadHash::Unknown);
    }
    let [memory, passes, lanes] = ARGON2_MAX;
    let cheap = params.m_cost() <= memory && params.t_cost() <= passes && params.p_cost() <= lanes;
    if cheap { Ok(()) } else { Err(BadHash::Costly) }
}

/// Whether this is the password of a hash. Takes tens of milliseconds, as it should.
pub fn verify(password: &str, hash: &str) -> bool {
    if password.len() > BYTES_MAX || check_hash(hash).is_err() {
        return false;
    }
    if is_bcrypt(hash) {
        // What is beyond it would not count.
        return password.len() <= BCRYPT_BYTES_MAX && bcrypt::verify(password, hash).unwrap_or(false);
    }
    PasswordHash::new(hash)
        .is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
}

fn is_bcrypt(hash: &str) -> bool {
    ["$2a$", "$2b$", "$2y$"].iter().any(|start| hash.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_knows_its_password() {
        let hash = hash("correct horse battery", &[3; 16]).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_eq!(check_hash(&hash), Ok(()));
        assert!(verify("correct horse battery", &hash));
        assert!(!verify("correct horse batterY", &hash));
        assert!(!verify("", &hash));
    }

    #[test]
    fn hashes_of_prometheus_are_known() {
        // What `htpasswd -nbB` makes has `$2y$`.
        let made =
            bcrypt::hash_with_salt("test", 4, [7; 16]).unwrap().format_for_version(bcrypt::Version::TwoY);
        assert!(verify("test", &made));
        assert!(!verify("best", &made));
        assert!(!verify(&"x".repeat(73), &made));
    }

    #[test]
    fn what_a_hash_may_cost_is_limited() {
        let check = |hash: &str, expected| assert_eq!(check_hash(hash), expected, "{hash}");
        check("", Err(BadHash::Unknown));
        check("plain", Err(BadHash::Unknown));
        check("$2b$99$x", Err(BadHash::Unknown));
        let dear = bcrypt::hash_with_salt("x", 4, [0; 16]).unwrap().to_string().replace("$04$", "$31$");
        check(&dear, Err(BadHash::Costly));
        let good = hash("correct horse battery", &[3; 16]).unwrap();
        check(&good.replace("m=19456", "m=4000000"), Err(BadHash::Costly));
        check(&good.replace("argon2id", "argon2d"), Err(BadHash::Unknown));
        check("$argon2id$v=19$m=19456,t=2,p=1", Err(BadHash::Unknown));
    }

    #[test]
    fn passwords_that_are_guessed_are_not_taken() {
        let check =
            |password: &str, expected| assert_eq!(check(password, "annabelle"), expected, "{password}");
        check("correct horse battery", Ok(()));
        check("ein Satz mit Umlauten äöü", Ok(()));
        check("short", Err(Unfit::Short));
        check("Password1234", Err(Unfit::Common));
        check("annabelleAnnabelle", Err(Unfit::Plain));
        check("aaaaaaaaaaaaaaaa", Err(Unfit::Plain));
        check(&"long ".repeat(60), Err(Unfit::Long));
    }

    proptest::proptest! {
        #[test]
        fn no_hash_panics(text in "\\$(argon2id|2b|2y|x)\\$[$a-zA-Z0-9=,./+]{0,80}") {
            let _ = check_hash(&text);
        }
    }
}
