//! Logging in at an issuer of OpenID Connect: an issuer made up here, with keys of its own.

use std::sync::{Arc, Mutex};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hyper::Method;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::support::{Reply, Running, configured, start};

/// What the next token claims beside what it has to, and what signs it.
#[derive(Clone)]
struct Issuer {
    url: String,
    claims: Arc<Mutex<Value>>,
    seed: Arc<Mutex<u8>>,
    /// The form that was sent for the last token.
    form: Arc<Mutex<String>>,
}

impl Issuer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let issuer =
            Self { url, claims: Arc::default(), seed: Arc::new(Mutex::new(1)), form: Arc::default() };
        let answering = issuer.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let issuer = answering.clone();
                tokio::spawn(async move {
                    let mut text = String::new();
                    let mut buffer = [0; 4096];
                    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
                        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                        let length = head.to_lowercase().lines().find_map(|line| {
                            line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok()
                        });
                        if body.len() < length.unwrap_or(0) {
                            continue;
                        }
                        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                        let answer = issuer.answer(&path, body).to_string();
                        let length = answer.len();
                        let head = format!(
                            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                        );
                        let _ = stream.write_all((head + &answer).as_bytes()).await;
                        return;
                    }
                });
            }
        });
        issuer
    }

    fn answer(&self, path: &str, body: &str) -> Value {
        let url = &self.url;
        match path {
            "/.well-known/openid-configuration" => json!({
                "issuer": url, "authorization_endpoint": format!("{url}/authorize"),
                "token_endpoint": format!("{url}/token"), "jwks_uri": format!("{url}/keys"),
            }),
            "/keys" => {
                let x = URL_SAFE_NO_PAD.encode(self.pair(1).public_key().as_ref());
                json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": x}]})
            }
            "/token" => {
                body.clone_into(&mut self.form.lock().unwrap());
                let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA","kid":"one"}"#);
                let claims = URL_SAFE_NO_PAD.encode(self.claims.lock().unwrap().to_string());
                let signed = format!("{header}.{claims}");
                let signature = self.pair(*self.seed.lock().unwrap()).sign(signed.as_bytes());
                json!({"id_token": format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))})
            }
            _ => Value::Null,
        }
    }

    fn pair(&self, seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }
}

fn field(text: &str, name: &str) -> String {
    let query = text.split_once('?').map_or(text, |(_, query)| query);
    let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
    pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value).unwrap_or_default()
}

/// A login begun: where the browser is sent, and its cookie.
async fn begun(running: &Running) -> (String, String) {
    let reply = running.get("/api/barograph/v1/auth/oidc/login?next=/ui/explore").await;
    assert_eq!(reply.status, 303, "{}", reply.text);
    let cookie = reply.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    (reply.headers["location"].to_str().unwrap().to_owned(), cookie)
}

async fn back(running: &Running, state: &str, cookie: &str) -> Reply {
    let path = format!("/api/barograph/v1/auth/oidc/callback?code=abc&state={state}");
    running.call(Method::GET, &path, &[("cookie", cookie)], b"").await
}

#[tokio::test]
async fn an_issuer_vouches_for_whom_it_signs_for() {
    let issuer = Issuer::start().await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("secret"), "hush\n").unwrap();
    let config = format!(
        "collectors: {{built_in: false}}\nauth:\n  oidc:\n    issuer: {}\n    client_id: barograph\n    \
         client_secret_file: {}\n    redirect_url: http://127.0.0.1/cb\n    role_map: {{dev: read, ops: admin}}\n",
        issuer.url,
        dir.path().join("secret").display()
    );
    let running = start(dir.path(), configured(&config)).await;
    let claim = |change: Value, nonce: &str| {
        let now = crate::support::now_ms() / 1000;
        let mut claims = json!({
            "iss": issuer.url, "aud": "barograph", "sub": "1", "preferred_username": "ann", "groups": ["dev"],
            "nonce": nonce, "iat": now, "exp": now + 300,
        });
        for (key, value) in change.as_object().unwrap() {
            claims[key] = value.clone();
        }
        *issuer.claims.lock().unwrap() = claims;
    };

    let (url, cookie) = begun(&running).await;
    assert!(url.starts_with(&format!("{}/authorize?", issuer.url)), "{url}");
    assert_eq!((&*field(&url, "response_type"), &*field(&url, "code_challenge_method")), ("code", "S256"));
    let state = field(&url, "state");
    claim(json!({}), &field(&url, "nonce"));
    // Whoever brings back what somebody else began gets nowhere, and nobody comes back twice.
    assert!(
        back(&running, &state, "barograph_login=other").await.headers["location"]
            .to_str()
            .unwrap()
            .contains("error")
    );
    let reply = back(&running, &state, &cookie).await;
    assert_eq!((reply.status.as_u16(), &reply.headers["location"]), (303, &"/ui/explore".parse().unwrap()));
    let form = issuer.form.lock().unwrap().clone();
    assert_eq!((&*field(&form, "client_secret"), &*field(&form, "code")), ("hush", "abc"));
    let digest = ring::digest::digest(&ring::digest::SHA256, field(&form, "code_verifier").as_bytes());
    assert_eq!(URL_SAFE_NO_PAD.encode(digest), field(&url, "code_challenge"));
    let session = reply.headers.get_all("set-cookie").iter().map(|it| it.to_str().unwrap());
    let mut session =
        session.filter(|it| it.starts_with("barograph_session=")).map(|it| it.split(';').next().unwrap());
    let session = session.next_back().unwrap().to_owned();
    let me =
        running.call(Method::GET, "/api/barograph/v1/auth/me", &[("cookie", &*session)], b"").await.json();
    assert_eq!((&me["user"], &me["scopes"]), (&json!("oidc:ann"), &json!(["read"])));
    assert_eq!(running.call(Method::GET, "/api/v1/labels", &[("cookie", &*session)], b"").await.status, 200);
    assert!(
        back(&running, &state, &cookie).await.headers["location"].to_str().unwrap().contains("error=oidc")
    );

    let refused = async |change: Value, seed: u8, nonce: Option<&str>, error: &str| {
        let (url, cookie) = begun(&running).await;
        let own = field(&url, "nonce");
        claim(change.clone(), nonce.unwrap_or(&own));
        *issuer.seed.lock().unwrap() = seed;
        let reply = back(&running, &field(&url, "state"), &cookie).await;
        let location = reply.headers["location"].to_str().unwrap();
        assert_eq!(location, format!("/ui/login?error={error}"), "{change}");
        let set = reply.headers.get_all("set-cookie").iter();
        assert!(set.into_iter().all(|it| !it.to_str().unwrap().starts_with("barograph_session")));
    };
    refused(json!({}), 2, None, "oidc").await;
    refused(json!({"aud": "other"}), 1, None, "oidc").await;
    refused(json!({"iss": "https://evil.example"}), 1, None, "oidc").await;
    refused(json!({"exp": 1}), 1, None, "oidc").await;
    refused(json!({}), 1, Some("another"), "oidc").await;
    refused(json!({"groups": ["sales"]}), 1, None, "role").await;
    running.server.stop().await;
}
