//! The issuer's keys (RFC 7517), and signatures of tokens by them (RFC 7515).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{self, UnparsedPublicKey};
use serde::Deserialize;

use super::Disbelief;

/// A larger document is not read.
const DOCUMENT_BYTES_MAX: usize = 256 << 10;
/// Keys beyond so many are passed over.
const KEYS_MAX: usize = 64;
/// A larger token is not read.
const TOKEN_BYTES_MAX: usize = 64 << 10;

/// Keys that sign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys(Vec<Key>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    id: Option<String>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// The point, uncompressed.
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Described>,
}

#[derive(Deserialize)]
struct Described {
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default, rename = "use")]
    usage: Option<String>,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    /// Extensions that must be understood; none is.
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

impl Keys {
    /// Reads a set of keys. Those that are of no use here are passed over.
    ///
    /// # Errors
    /// The document is no set of keys.
    pub fn read(document: &[u8]) -> Result<Self, Disbelief> {
        let wrong = |why: String| Disbelief::Document(format!("the issuer's keys cannot be read: {why}"));
        if document.len() > DOCUMENT_BYTES_MAX {
            return Err(wrong("more than 256 KiB".to_owned()));
        }
        let read: Document = serde_json::from_slice(document).map_err(|error| wrong(error.to_string()))?;
        let signing =
            read.keys.into_iter().filter(|key| key.usage.as_deref().is_none_or(|usage| usage == "sig"));
        Ok(Self(signing.filter_map(key_of).take(KEYS_MAX).collect()))
    }

    /// Whether there is a key of that name, as far as a token names one.
    pub fn knows(&self, token: &str) -> bool {
        header_of(token).is_some_and(|header| self.candidates(&header).next().is_some())
    }

    /// What a token claims, once its signature is that of one of the keys.
    ///
    /// # Errors
    /// [`Disbelief::Signature`].
    pub fn verify(&self, token: &str) -> Result<Vec<u8>, Disbelief> {
        let no = Disbelief::Signature;
        if token.len() > TOKEN_BYTES_MAX {
            return Err(no("it is longer than 64 KiB"));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(no("it has no three parts"))?;
        let (_, claims) = signed
            .split_once('.')
            .filter(|(_, claims)| !claims.contains('.'))
            .ok_or(no("it has no three parts"))?;
        let header = header_of(token).ok_or(no("its header cannot be read"))?;
        if header.crit.is_some() {
            return Err(no("it asks for extensions"));
        }
        if !["RS256", "ES256", "EdDSA"].contains(&&*header.alg) {
            return Err(no("its algorithm is none of RS256, ES256, EdDSA"));
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| no("its signature cannot be read"))?;
        let mut candidates = self.candidates(&header).peekable();
        if candidates.peek().is_none() {
            return Err(no("the issuer has no such key"));
        }
        if !candidates.any(|key| key.kind.signed(signed.as_bytes(), &signature)) {
            return Err(no("the signature is wrong"));
        }
        URL_SAFE_NO_PAD.decode(claims).map_err(|_| no("its claims cannot be read"))
    }

    /// The keys that may have signed: of the algorithm, and of the name if there is one.
    fn candidates(&self, header: &Header) -> impl Iterator<Item = &Key> {
        let (algorithm, id) = (header.alg.clone(), header.kid.clone());
        self.0.iter().filter(move |key| key.kind.algorithm() == algorithm && (id.is_none() || key.id == id))
    }
}

impl Kind {
    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa { .. } => "RS256",
            Self::P256(_) => "ES256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa { n, e } => signature::RsaPublicKeyComponents { n, e }
                .verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
            Self::P256(point) => UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
                .verify(message, signature)
                .is_ok(),
            Self::Ed25519(key) => {
                UnparsedPublicKey::new(&signature::ED25519, key).verify(message, signature).is_ok()
            }
        }
    }
}

fn key_of(described: Described) -> Option<Key> {
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| !bytes.is_empty());
    let kind = match (&*described.kty, &*described.crv) {
        ("RSA", _) => Kind::Rsa { n: bytes(&described.n)?, e: bytes(&described.e)? },
        ("EC", "P-256") => {
            let (x, y) = (bytes(&described.x)?, bytes(&described.y)?);
            if x.len() != 32 || y.len() != 32 {
                return None;
            }
            Kind::P256([&[4], &x[..], &y].concat())
        }
        ("OKP", "Ed25519") => Kind::Ed25519(bytes(&described.x).filter(|key| key.len() == 32)?),
        _ => return None,
    };
    Some(Key { id: described.kid, kind })
}

fn header_of(token: &str) -> Option<Header> {
    let header = URL_SAFE_NO_PAD.decode(token.split_once('.')?.0).ok()?;
    serde_json::from_slice(&header).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use ring::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
    };

    use super::*;

    /// An issuer's key, and a way to sign with it.
    pub(in crate::oidc) struct Signer(Ed25519KeyPair);

    impl Signer {
        pub(in crate::oidc) fn new(seed: u8) -> Self {
            Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
        }

        pub(in crate::oidc) fn keys(&self) -> Keys {
            let x = URL_SAFE_NO_PAD.encode(self.0.public_key().as_ref());
            let document = serde_json::json!({"keys": [
                {"kty": "oct", "k": "AAAA"},
                {"kty": "OKP", "crv": "Ed25519", "kid": "one", "use": "sig", "x": x},
            ]});
            Keys::read(document.to_string().as_bytes()).unwrap()
        }

        pub(in crate::oidc) fn sign(&self, header: &str, claims: &str) -> String {
            let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
            let signature = URL_SAFE_NO_PAD.encode(self.0.sign(signed.as_bytes()));
            format!("{signed}.{signature}")
        }
    }

    #[test]
    fn only_what_a_key_signed_is_believed() {
        let signer = Signer::new(1);
        let keys = signer.keys();
        let good = signer.sign(r#"{"alg":"EdDSA","kid":"one"}"#, r#"{"sub":"ann"}"#);
        assert_eq!(keys.verify(&good).unwrap(), br#"{"sub":"ann"}"#);
        assert!(keys.knows(&good));
        let check =
            |token: &str| assert!(matches!(keys.verify(token), Err(Disbelief::Signature(_))), "{token}");
        check(&Signer::new(2).sign(r#"{"alg":"EdDSA","kid":"one"}"#, r#"{"sub":"ann"}"#));
        check(&signer.sign(r#"{"alg":"EdDSA","kid":"two"}"#, "{}"));
        check(&signer.sign(r#"{"alg":"none"}"#, "{}"));
        check(&signer.sign(r#"{"alg":"HS256","kid":"one"}"#, "{}"));
        check(&signer.sign(r#"{"alg":"RS256","kid":"one"}"#, "{}"));
        check(&signer.sign(r#"{"alg":"EdDSA","kid":"one","crit":["x"]}"#, "{}"));
        check(&good.replacen('.', "..", 1));
        check(&good[..good.len() - 2]);
        check("");
        check("a.b.c");
        let swapped = signer.sign(r#"{"alg":"EdDSA","kid":"one"}"#, r#"{"sub":"bob"}"#);
        let parts: Vec<_> = good.split('.').collect();
        let others: Vec<_> = swapped.split('.').collect();
        check(&[parts[0], others[1], parts[2]].join("."));
        check(&format!("{}.", good.rsplit_once('.').unwrap().0));
    }

    #[test]
    fn a_curve_signs_too() {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let point = pair.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        let document = format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}]}}"#);
        let keys = Keys::read(document.as_bytes()).unwrap();
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#), URL_SAFE_NO_PAD.encode("{}"));
        let signature = pair.sign(&random, signed.as_bytes()).unwrap();
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        assert_eq!(keys.verify(&token).unwrap(), b"{}");
    }

    #[test]
    fn an_example_of_rfc_7515_is_verified() {
        // Appendix A.2.
        let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
        let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
        let document = format!(r#"{{"keys":[{{"kty":"RSA","n":"{n}","e":"AQAB"}}]}}"#);
        let keys = Keys::read(document.as_bytes()).unwrap();
        assert!(keys.verify(token).unwrap().starts_with(br#"{"iss":"joe""#));
        assert!(keys.verify(&token.replace("cC4h", "cC4i")).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_token_panics(token in "[a-zA-Z0-9_.{}\":-]{0,200}") {
            let _ = Signer::new(1).keys().verify(&token);
            let _ = Keys::read(token.as_bytes());
        }
    }
}
