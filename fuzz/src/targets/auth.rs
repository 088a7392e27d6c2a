//! What callers and issuers show of who somebody is.

use barograph_auth::{
    Credentials,
    audit::Record,
    oidc::{Attempt, Claims, Keys, Provider},
    origin, password,
};

use crate::Target;

/// A header, and what else is read of a request before anybody is known; hashes of passwords, which files hold.
pub(super) const CREDENTIALS: Target = Target {
    name: "credentials",
    run: |input, shape| {
        match Credentials::parse(input) {
            Ok(Credentials::Basic { user, password }) => {
                shape.kind("basic");
                shape.size(user.len() + password.len());
            }
            Ok(Credentials::Bearer(token)) => shape.size(token.len()),
            Err(error) => shape.message(error),
        }
        let text = String::from_utf8_lossy(input);
        shape.kind(origin::is_ours(Some("a:1"), Some(&text), None, &[]));
        shape.kind(password::check_hash(&text).is_ok());
        shape.kind(Record::read(&text).is_some());
    },
    seeds: || {
        let hash = password::hash("correct horse battery", &[1; 16]).unwrap_or_default();
        let texts = ["Basic YW5uOnA6dw==", "Bearer bgt_abc", "https://a:1", &hash];
        texts.into_iter().map(|text| text.as_bytes().to_vec()).collect()
    },
};

/// What an issuer sends: a line of JSON with what it says of itself or its keys, then a token.
pub(super) const ISSUER: Target = Target {
    name: "issuer",
    run: |input, shape| {
        let at = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
        let (document, token) = (&input[..at], &input[(at + 1).min(input.len())..]);
        shape.kind(Provider::read(document, "https://id.example").is_ok());
        match Keys::read(document) {
            Ok(keys) => {
                let token = String::from_utf8_lossy(token);
                shape.kind(keys.knows(&token));
                match keys.verify(&token) {
                    Ok(claims) => shape.size(claims.len()),
                    Err(error) => shape.message(error),
                }
            }
            Err(error) => shape.message(error),
        }
        if let Ok(claims) = Claims::read(document) {
            let attempt = Attempt::new(&[[1; 32], [2; 32], [3; 32]], "/ui/", 0);
            match attempt.check(&claims, "https://id.example", "barograph", 0) {
                Ok(()) => shape.kind("right"),
                Err(error) => shape.message(error),
            }
            shape.size(claims.user().len());
        }
    },
    seeds: || {
        let provider = r#"{"issuer":"https://id.example","authorization_endpoint":"https://id.example/a","token_endpoint":"https://id.example/t","jwks_uri":"https://id.example/k"}"#;
        let keys = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}\neyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UifQ.AAAA";
        let claims =
            r#"{"iss":"https://id.example","aud":["barograph"],"sub":"1","exp":300,"groups":["dev"]}"#;
        [provider, keys, claims].into_iter().map(|text| text.as_bytes().to_vec()).collect()
    },
};
