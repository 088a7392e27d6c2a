//! One login: sent away with a question, taken back with an answer to just that question.

use std::fmt;

use serde::Deserialize;

use super::{Claims, Disbelief};
use crate::secret;

/// A larger document is not read.
const DOCUMENT_BYTES_MAX: usize = 256 << 10;
/// How long a login may take at the issuer.
const ATTEMPT_MS: i64 = 10 * 60 * 1_000;
/// How far clocks may be apart.
const LEEWAY_SECONDS: i64 = 60;

/// What an issuer says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Provider {
    /// Its name, which is its address.
    pub issuer: String,
    /// Where browsers are sent.
    pub authorization_endpoint: String,
    /// Where a code becomes a token.
    pub token_endpoint: String,
    /// Where its keys are.
    pub jwks_uri: String,
}

impl Provider {
    /// Reads what the issuer says, which must be about the issuer that was asked. A URL of another kind than the issuer's is
    /// not taken: a login that begins encrypted ends so.
    ///
    /// # Errors
    /// [`Disbelief::Document`].
    pub fn read(document: &[u8], issuer: &str) -> Result<Self, Disbelief> {
        let wrong = |why: String| {
            Disbelief::Document(format!("what the issuer says of itself cannot be used: {why}"))
        };
        if document.len() > DOCUMENT_BYTES_MAX {
            return Err(wrong("more than 256 KiB".to_owned()));
        }
        let provider: Self = serde_json::from_slice(document).map_err(|error| wrong(error.to_string()))?;
        if provider.issuer.trim_end_matches('/') != issuer.trim_end_matches('/') {
            return Err(wrong(format!("it is about {:?}, not about {issuer:?}", provider.issuer)));
        }
        let secure = issuer.starts_with("https://");
        for url in [&provider.authorization_endpoint, &provider.token_endpoint, &provider.jwks_uri] {
            if !url.starts_with("https://") && (secure || !url.starts_with("http://")) {
                return Err(wrong(format!("{url:?} is not reached by https")));
            }
        }
        Ok(provider)
    }
}

/// What is kept while the browser is at the issuer.
#[derive(Clone, PartialEq, Eq)]
pub struct Attempt {
    /// What the browser brings back.
    pub state: String,
    /// What the token has in it.
    nonce: String,
    /// What only we can show the issuer (RFC 7636).
    pub verifier: String,
    /// Where it goes in the end: a path of ours.
    pub next: String,
    /// When it began.
    pub began_ms: i64,
}

impl Attempt {
    /// A login that begins now, of three times 32 random bytes.
    pub fn new(random: &[[u8; 32]; 3], next: &str, now_ms: i64) -> Self {
        let [state, nonce, verifier] = random.each_ref().map(|bytes| secret::text(bytes));
        Self { state, nonce, verifier, next: next.to_owned(), began_ms: now_ms }
    }

    /// The fields of the address that the browser is sent to.
    pub fn question<'a>(
        &'a self,
        client: &'a str,
        redirect: &'a str,
        scopes: &'a str,
    ) -> [(&'static str, String); 8] {
        let challenge = secret::text(&secret::sha256(self.verifier.as_bytes()));
        [
            ("response_type", "code".to_owned()),
            ("client_id", client.to_owned()),
            ("redirect_uri", redirect.to_owned()),
            ("scope", scopes.to_owned()),
            ("state", self.state.clone()),
            ("nonce", self.nonce.clone()),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256".to_owned()),
        ]
    }

    /// Whether it is too late to come back.
    pub fn is_over(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.began_ms) >= ATTEMPT_MS
    }

    /// Whether what a token claims, whose signature was checked, is about this login.
    ///
    /// # Errors
    /// [`Disbelief::Claim`].
    pub fn check(&self, claims: &Claims, issuer: &str, client: &str, now_ms: i64) -> Result<(), Disbelief> {
        let no = |why| Err(Disbelief::Claim(why));
        let now = now_ms.div_euclid(1_000);
        if claims.text("iss") != Some(issuer) {
            return no("another issuer made it");
        }
        if !claims.has("aud", client) {
            return no("it is for another client");
        }
        if claims.text("azp").map_or(claims.count("aud") > 1, |party| party != client) {
            return no("it was asked for by another client");
        }
        if !claims.text("nonce").is_some_and(|nonce| secret::same(nonce.as_bytes(), self.nonce.as_bytes())) {
            return no("it answers another question");
        }
        let Some(expires) = claims.seconds("exp") else { return no("it does not say until when it is good") };
        if now >= expires.saturating_add(LEEWAY_SECONDS) {
            return no("its time is over");
        }
        for name in ["iat", "nbf"] {
            if claims.seconds(name).is_some_and(|at| at > now.saturating_add(LEEWAY_SECONDS)) {
                return no("it is from the future; is the clock right?");
            }
        }
        if claims.text("sub").is_none_or(str::is_empty) {
            return no("it does not say whom it is about");
        }
        Ok(())
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("next", &self.next).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::keys::tests::Signer, *};

    #[test]
    fn a_token_answers_one_login() {
        let attempt = Attempt::new(&[[1; 32], [2; 32], [3; 32]], "/ui/", 1_000_000);
        let good = json!({
            "iss": "https://id.example", "aud": "barograph", "nonce": attempt.nonce, "sub": "ann",
            "exp": 1_300, "iat": 990,
        });
        let check = |key: &str, value: Value, right: bool| {
            let mut claims = good.clone();
            claims[key] = value;
            let token = Signer::new(1).sign(r#"{"alg":"EdDSA"}"#, &claims.to_string());
            let claims = Claims::read(&Signer::new(1).keys().verify(&token).unwrap()).unwrap();
            let outcome = attempt.check(&claims, "https://id.example", "barograph", 1_000_000);
            assert_eq!(outcome.is_ok(), right, "{key} {outcome:?}");
        };
        check("sub", json!("ann"), true);
        check("iss", json!("https://evil.example"), false);
        check("aud", json!("other"), false);
        check("aud", json!(["barograph"]), true);
        check("aud", json!(["barograph", "other"]), false);
        check("azp", json!("barograph"), true);
        check("azp", json!("other"), false);
        check("nonce", json!("another"), false);
        check("nonce", Value::Null, false);
        check("exp", json!(940), false);
        check("exp", json!(941), true);
        check("exp", Value::Null, false);
        check("iat", json!(1_061), false);
        check("nbf", json!(2_000), false);
        check("sub", Value::Null, false);
    }

    #[test]
    fn the_question_has_a_digest_of_what_only_we_know() {
        let attempt = Attempt::new(&[[1; 32], [2; 32], [3; 32]], "/ui/", 0);
        let question = attempt.question("barograph", "https://x/cb", "openid");
        let of = |name| question.iter().find(|(key, _)| *key == name).unwrap().1.clone();
        assert_eq!(of("code_challenge"), secret::text(&secret::sha256(attempt.verifier.as_bytes())));
        assert!(question.iter().all(|(_, value)| *value != attempt.verifier));
        assert!(!attempt.is_over(599_999) && attempt.is_over(600_000));
    }

    #[test]
    fn an_issuer_speaks_for_itself() {
        let document = |issuer: &str, keys: &str| {
            json!({"issuer": issuer, "authorization_endpoint": "https://a/x", "token_endpoint": "https://a/t", "jwks_uri": keys})
                .to_string()
        };
        let read = |issuer, keys| Provider::read(document(issuer, keys).as_bytes(), "https://a").is_ok();
        assert!(read("https://a", "https://a/k") && read("https://a/", "https://a/k"));
        assert!(!read("https://b", "https://a/k"));
        assert!(!read("https://a", "http://a/k"));
        assert!(Provider::read(b"{", "https://a").is_err());
    }
}
