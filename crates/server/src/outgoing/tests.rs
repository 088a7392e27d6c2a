//! The client, against servers on this machine that say what a test has them say.

use std::{
    io::Write as _,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::config::{Auth, Exception, OAuth2, Proxy, ProxyUrl, Secret, TlsClientConfig};

const LIMITS: Limits = Limits { timeout: Duration::from_secs(20), body_bytes: 4096 };

fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn file(name: &str) -> Secret {
    Secret::File(fixture(name).into())
}

fn word(text: &str) -> Secret {
    Secret::Text(text.to_owned())
}

/// What a server was asked, and over how many connections.
#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<String>>,
    connections: AtomicUsize,
}

impl Seen {
    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

type Say = dyn Fn(&str) -> Vec<u8> + Send + Sync;

/// A server that answers each request, head and body, with what a function makes of it.
async fn server(
    tls: Option<ServerConfig>,
    say: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
) -> (u16, Arc<Seen>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (seen, say): (Arc<Seen>, Arc<Say>) = (Arc::default(), Arc::new(say));
    let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    let noted = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            noted.connections.fetch_add(1, SeqCst);
            let (acceptor, seen, say) = (acceptor.clone(), noted.clone(), say.clone());
            tokio::spawn(async move {
                match acceptor {
                    None => answer(stream, &seen, &*say).await,
                    Some(acceptor) => {
                        let Ok(stream) = acceptor.accept(stream).await else { return };
                        answer(stream, &seen, &*say).await;
                    }
                }
            });
        }
    });
    (port, seen)
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, seen: &Seen, say: &Say) {
    let mut bytes = Vec::new();
    while let Ok(1..) = stream.read_buf(&mut bytes).await {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() < length.map_or(0, |length| length.parse().unwrap()) {
            continue;
        }
        seen.requests.lock().unwrap().push(text.clone());
        if let Some(place) = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()) {
            let mut to = TcpStream::connect(place).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 go on\r\n\r\n").await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut to).await;
            return;
        }
        if stream.write_all(&say(&text)).await.is_err() {
            return;
        }
        bytes.clear();
    }
}

fn page(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn status(line: &str) -> Vec<u8> {
    format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

fn server_tls(clients: bool) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(tls::PROVIDER.clone());
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        false => builder.with_no_client_auth(),
        true => {
            let mut roots = RootCertStore::empty();
            let ca = std::fs::read_to_string(fixture("ca.pem")).unwrap();
            roots.add_parsable_certificates(tls::certificates(&ca, "ca").unwrap());
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), tls::PROVIDER.clone());
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let text = |name: &str| std::fs::read_to_string(fixture(name)).unwrap();
    let chain = tls::certificates(&text("server.pem"), "server").unwrap();
    builder.with_single_cert(chain, tls::private_key(&text("server.key"), "server").unwrap()).unwrap()
}

async fn get(client: &Client, url: &str) -> Result<Answer, Error> {
    client.send(Request::get(url).body(Bytes::new()).unwrap(), LIMITS).await
}

fn trusting() -> TlsClientConfig {
    TlsClientConfig { ca: Some(file("ca.pem")), ..TlsClientConfig::default() }
}

fn over_tls(tls: TlsClientConfig) -> Client {
    Client::new(HttpClientConfig { tls, ..HttpClientConfig::default() })
}

#[tokio::test]
async fn connections_are_kept_and_bodies_are_limited() {
    let (port, seen) = server(None, |request| match request.split(' ').nth(1).unwrap() {
        "/gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(b"unpacked").unwrap();
            page("content-encoding: gzip\r\n", &encoder.finish().unwrap())
        }
        "/zstd" => page("content-encoding: zstd\r\n", &zstd::encode_all(&b"unpacked"[..], 0).unwrap()),
        "/bomb" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(&vec![0; 1 << 20]).unwrap();
            page("content-encoding: gzip\r\n", &encoder.finish().unwrap())
        }
        "/large" => page("", &[0; 4097]),
        "/broken" => page("content-encoding: gzip\r\n", b"no gzip"),
        _ => page("", b"plain"),
    })
    .await;
    let client = Client::new(HttpClientConfig::default());
    let at = |path: &str| format!("http://127.0.0.1:{port}{path}");
    assert_eq!(get(&client, &at("/")).await.unwrap().body, "plain");
    assert_eq!(get(&client, &at("/gzip")).await.unwrap().body, "unpacked");
    let answer = get(&client, &at("/zstd")).await.unwrap();
    assert_eq!((&answer.body[..], answer.headers.get(CONTENT_ENCODING)), (&b"unpacked"[..], None));
    assert_eq!(seen.connections.load(SeqCst), 1);
    assert!(seen.requests()[0].contains("user-agent: Barograph/"));
    assert!(matches!(get(&client, &at("/bomb")).await, Err(Error::TooLarge(4096))));
    assert!(matches!(get(&client, &at("/large")).await, Err(Error::TooLarge(4096))));
    assert!(matches!(get(&client, &at("/broken")).await, Err(Error::Broken(_))));
    let before = seen.connections.load(SeqCst);
    let fresh = Client::fresh(HttpClientConfig::default());
    for _ in 0..2 {
        get(&fresh, &at("/")).await.unwrap();
    }
    assert_eq!(seen.connections.load(SeqCst), before + 2);
}

#[tokio::test]
async fn tls_is_spoken_with_whom_we_trust() {
    let (port, _) = server(Some(server_tls(false)), |_| page("", b"safe")).await;
    let url = format!("https://127.0.0.1:{port}/");
    let check = async |config: TlsClientConfig, why: Option<&str>| {
        let answer = get(&over_tls(config), &url).await;
        match why {
            None => assert_eq!(answer.unwrap().body, "safe"),
            Some(why) => {
                let text = answer.unwrap_err().to_string();
                assert!(text.contains(why), "{text}");
            }
        }
    };
    check(trusting(), None).await;
    check(TlsClientConfig::default(), Some("no TLS with")).await;
    check(TlsClientConfig { insecure_skip_verify: true, ..TlsClientConfig::default() }, None).await;
    check(TlsClientConfig { server_name: Some("localhost".to_owned()), ..trusting() }, None).await;
    check(TlsClientConfig { server_name: Some("other".to_owned()), ..trusting() }, Some("no TLS")).await;
    check(TlsClientConfig { ca: Some(file("none.pem")), ..trusting() }, Some("none.pem")).await;
    check(TlsClientConfig { ca: Some(file("server.key")), ..trusting() }, Some("no certificate")).await;
    check(TlsClientConfig { ca: Some(file("other-ca.pem")), ..trusting() }, Some("no TLS with")).await;
}

#[tokio::test]
async fn a_certificate_is_shown_that_may_change() {
    let (port, seen) = server(Some(server_tls(true)), |_| page("", b"known")).await;
    let url = format!("https://127.0.0.1:{port}/");
    assert!(get(&over_tls(trusting()), &url).await.is_err());
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
    let copy = |from: &str, to: &Path| {
        std::fs::copy(fixture(from), to).unwrap();
    };
    copy("other-client.pem", &cert);
    copy("other-client.key", &key);
    let identity = Some((Secret::File(cert.clone()), Secret::File(key.clone())));
    let config =
        HttpClientConfig { tls: TlsClientConfig { identity, ..trusting() }, ..HttpClientConfig::default() };
    let client = Client::fresh(config);
    assert!(get(&client, &url).await.is_err());
    assert!(seen.requests().is_empty());
    copy("client.pem", &cert);
    copy("client.key", &key);
    assert_eq!(get(&client, &url).await.unwrap().body, "known");
}

#[tokio::test]
async fn credentials_stay_with_whom_they_are_for() {
    let (elsewhere, others) = server(None, |_| page("", b"there")).await;
    let (port, seen) = server(None, move |request| match request.split(' ').nth(1).unwrap() {
        "/away" => {
            format!("HTTP/1.1 302 x\r\nlocation: http://127.0.0.1:{elsewhere}/\r\ncontent-length: 0\r\n\r\n")
                .into()
        }
        "/near" => b"HTTP/1.1 307 x\r\nlocation: here\r\ncontent-length: 0\r\n\r\n".to_vec(),
        "/loop" => b"HTTP/1.1 302 x\r\nlocation: /loop\r\ncontent-length: 0\r\n\r\n".to_vec(),
        _ => page("", b"here"),
    })
    .await;
    let config = HttpClientConfig {
        auth: Some(Auth::Basic { username: word("ann"), password: word("hunter2") }),
        headers: vec![("x-key".to_owned(), vec![word("k1"), word("k2")])],
        ..HttpClientConfig::default()
    };
    let client = Client::new(config.clone());
    let at = |path: &str| format!("http://127.0.0.1:{port}{path}");
    assert_eq!(get(&client, &at("/away")).await.unwrap().body, "there");
    let (here, there) = (seen.requests(), others.requests());
    assert!(here[0].contains("authorization: Basic YW5uOmh1bnRlcjI=") && here[0].contains("x-key: k2"));
    assert!(!there[0].contains("authorization") && !there[0].contains("x-key"), "{}", there[0]);
    // A request goes on as it is where it was said so.
    let request = Request::post(at("/near")).body(Bytes::from("body")).unwrap();
    assert_eq!(client.send(request, LIMITS).await.unwrap().body, "here");
    let last = seen.requests().pop().unwrap();
    assert!(last.starts_with("POST /here") && last.ends_with("\r\n\r\nbody"), "{last}");
    let endless = get(&client, &at("/loop")).await.unwrap_err();
    assert!(!endless.may_pass() && endless.to_string().contains("more than 5 redirects"));
    let still = Client::new(HttpClientConfig { follow_redirects: false, ..config });
    assert_eq!(get(&still, &at("/loop")).await.unwrap().status, 302);
}

#[tokio::test]
async fn a_token_is_fetched_once_and_again_when_it_is_not_taken() {
    let fetched = Arc::new(AtomicUsize::new(0));
    let counted = fetched.clone();
    let (tokens, seen) = server(None, move |request| {
        if request.contains("authorization: Basic") {
            return status("401 in the form, please");
        }
        let number = counted.fetch_add(1, SeqCst);
        page(
            "",
            format!("{{\"access_token\":\"t{number}\",\"token_type\":\"bearer\",\"expires_in\":3600}}")
                .as_bytes(),
        )
    })
    .await;
    let (port, _) = server(None, |request| match request.contains("authorization: Bearer t") {
        true if request.contains(" /revoked ") => status("401 no"),
        true => page("", b"come in"),
        false => status("403 who"),
    })
    .await;
    let oauth2 = OAuth2 {
        client_id: "me".to_owned(),
        client_secret: word("s3cret"),
        scopes: vec!["a".to_owned(), "b".to_owned()],
        token_url: format!("http://127.0.0.1:{tokens}/token"),
        parameters: vec![("audience".to_owned(), "all of it".to_owned())],
        tls: TlsClientConfig::default(),
        proxy: None,
    };
    let client = Client::new(HttpClientConfig { oauth2: Some(oauth2), ..HttpClientConfig::default() });
    let at = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let url = at("/");
    let (a, b) = tokio::join!(get(&client, &url), get(&client, &url));
    assert_eq!((a.unwrap().body, b.unwrap().body), ("come in".into(), "come in".into()));
    assert_eq!(fetched.load(SeqCst), 1);
    let form = seen.requests().pop().unwrap();
    assert!(
        form.ends_with(
            "grant_type=client_credentials&scope=a+b&client_id=me&client_secret=s3cret&audience=all+of+it"
        ),
        "{form}"
    );
    assert_eq!(get(&client, &at("/revoked")).await.unwrap().status, 401);
    get(&client, &at("/")).await.unwrap();
    assert_eq!(fetched.load(SeqCst), 2);
}

#[tokio::test]
async fn a_proxy_asks_for_us_and_lets_us_through() {
    for secure in [false, true] {
        a_proxy_lets_us_through(secure).await;
    }
}

async fn a_proxy_lets_us_through(over_tls: bool) {
    let (proxy, seen) = server(over_tls.then(|| server_tls(false)), |_| page("", b"by proxy")).await;
    let (secure, _) = server(Some(server_tls(false)), |_| page("", b"safe")).await;
    let url = ProxyUrl {
        secure: over_tls,
        host: "127.0.0.1".to_owned(),
        port: proxy,
        user: Some("ann:pw".to_owned()),
    };
    let mut config = HttpClientConfig {
        tls: trusting(),
        proxy: Some(Proxy {
            url,
            except: Vec::new(),
            connect_headers: vec![("x-p".into(), vec![word("1")])],
        }),
        ..HttpClientConfig::default()
    };
    let client = Client::new(config.clone());
    assert_eq!(get(&client, "http://name.invalid/page").await.unwrap().body, "by proxy");
    assert_eq!(get(&client, &format!("https://127.0.0.1:{secure}/")).await.unwrap().body, "safe");
    let requests = seen.requests();
    assert!(requests[0].starts_with("GET http://name.invalid/page HTTP/1.1"), "{}", requests[0]);
    assert!(requests[1].starts_with("CONNECT 127.0.0.1:") && requests[1].contains("x-p: 1"));
    assert!(requests.iter().all(|request| request.contains("proxy-authorization: Basic YW5uOnB3")));
    config.proxy.as_mut().unwrap().except = vec![Exception::Any];
    assert_eq!(
        get(&Client::new(config), &format!("https://127.0.0.1:{secure}/")).await.unwrap().body,
        "safe"
    );
    assert_eq!(seen.requests().len(), 2);
}

#[tokio::test]
async fn a_proxy_that_is_not_trusted_is_told_nothing() {
    let (proxy, seen) = server(Some(server_tls(false)), |_| page("", b"by proxy")).await;
    let url =
        ProxyUrl { secure: true, host: "127.0.0.1".to_owned(), port: proxy, user: Some("ann:pw".to_owned()) };
    let proxy = Some(Proxy { url, except: Vec::new(), connect_headers: Vec::new() });
    let client = Client::new(HttpClientConfig { proxy, ..HttpClientConfig::default() });
    let error = get(&client, "http://name.invalid/page").await.unwrap_err().to_string();
    assert!(error.contains("no TLS with 127.0.0.1") && !error.contains("pw"), "{error}");
    assert!(seen.requests().is_empty());
}

#[tokio::test]
async fn who_says_nothing_is_given_up() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = Client::new(HttpClientConfig::default());
    let request = Request::get(format!("http://127.0.0.1:{port}/")).body(Bytes::new()).unwrap();
    let limits = Limits { timeout: Duration::from_millis(50), ..LIMITS };
    let error = client.send(request, limits).await.unwrap_err();
    assert!(matches!(error, Error::Timeout(_)) && error.may_pass());
    drop(listener);
    let error = get(&client, &format!("http://127.0.0.1:{port}/?token=secret")).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)));
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(matches!(get(&client, "ftp://127.0.0.1/").await, Err(Error::Unusable(_))));
}

#[test]
fn references_as_redirects_use_them() {
    let from: Uri = "https://host:1/a/b?c".parse().unwrap();
    let check = |location: &str, expected: Option<&str>| {
        assert_eq!(target(&from, location).map(|uri| uri.to_string()).as_deref(), expected, "{location}");
    };
    check("/d", Some("https://host:1/d"));
    check("d?e=http", Some("https://host:1/a/d?e=http"));
    check("//other/d", Some("https://other/d"));
    check("http://other/", Some("http://other/"));
    check("ftp://other/", None);
    check("http://", None);
}
