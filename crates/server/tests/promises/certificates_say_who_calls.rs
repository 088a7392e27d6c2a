//! Who shows a certificate that an authority vouches for is who the configuration says; users of the web configuration log in
//! as those of Prometheus do.

use std::{fs, path::Path, sync::Arc};

use barograph_server::Server;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, body::Bytes, client::conn};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::{configured, settings};

fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

async fn start(dir: &Path, web: &str, config: &str) -> Server {
    for name in ["server.pem", "server.key", "ca.pem"] {
        fs::copy(fixture(name), dir.join(name)).unwrap();
    }
    fs::write(dir.join("web.yml"), web).unwrap();
    fs::create_dir_all(dir.join("data")).unwrap();
    let config = configured(&format!("collectors: {{built_in: false}}\n{config}"));
    let mut settings = settings(&dir.join("data"), "127.0.0.1:0", config);
    settings.web_config = Some(dir.join("web.yml"));
    Server::start(settings).await.unwrap()
}

/// The status and `Set-Cookie` of a request over TLS.
async fn ask(
    server: &Server,
    identity: Option<&str>,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(fixture("ca.pem")).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let config = match identity {
        None => config.with_no_client_auth(),
        Some(name) => {
            let certificate = CertificateDer::from_pem_file(fixture(&format!("{name}.pem"))).unwrap();
            let key = PrivateKeyDer::from_pem_file(fixture(&format!("{name}.key"))).unwrap();
            config.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    let address = server.address().unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let (mut sender, driving) = conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(driving);
    let mut request = Request::builder().method(method).uri(path).header("host", address.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let status = answer.status().as_u16();
    let cookie = answer.headers().get("set-cookie").map(|it| it.to_str().unwrap().to_owned());
    answer.into_body().collect().await.unwrap();
    (status, cookie.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_says_who_calls() {
    let dir = tempfile::tempdir().unwrap();
    let web = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n  client_auth_type: \
               VerifyClientCertIfGiven\n  client_ca_file: ca.pem\n";
    let auth = "auth: {certificates: [{san: reader.example, roles: [read]}]}\n";
    let server = start(dir.path(), web, auth).await;
    let labels = "/api/v1/labels";
    assert_eq!(ask(&server, None, Method::GET, labels, &[], "").await.0, 401);
    assert_eq!(ask(&server, Some("client"), Method::GET, labels, &[], "").await.0, 200);
    let flush = "/api/barograph/v1/admin/flush";
    assert_eq!(ask(&server, Some("client"), Method::POST, flush, &[], "").await.0, 403);
    // A browser would show it for any page.
    let evil = [("origin", "https://evil.example")];
    let query = "/api/v1/query?query=1";
    assert_eq!(ask(&server, Some("client"), Method::POST, query, &evil, "").await.0, 403);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_the_web_configuration_log_in_and_cookies_stay_on_tls() {
    let dir = tempfile::tempdir().unwrap();
    let hash = bcrypt_of_hunter2();
    let web = format!(
        "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\nbasic_auth_users:\n  ann: {hash}\n"
    );
    let server = start(dir.path(), &web, "").await;
    let labels = "/api/v1/labels";
    assert_eq!(ask(&server, None, Method::GET, labels, &[], "").await.0, 401);
    // ann:hunter2
    let basic = [("authorization", "Basic YW5uOmh1bnRlcjI=")];
    assert_eq!(ask(&server, None, Method::GET, labels, &basic, "").await.0, 200);
    assert_eq!(ask(&server, None, Method::GET, "/api/barograph/v1/auth/users", &basic, "").await.0, 403);
    let headers = [("content-type", "application/json")];
    let body = r#"{"user": "ann", "password": "hunter2"}"#;
    let (status, cookie) =
        ask(&server, None, Method::POST, "/api/barograph/v1/auth/login", &headers, body).await;
    assert_eq!(status, 200);
    assert!(cookie.starts_with("__Host-barograph_session=") && cookie.contains("; Secure"), "{cookie}");
    server.stop().await;
}

/// `htpasswd -nbBC 4 "" hunter2`.
fn bcrypt_of_hunter2() -> String {
    bcrypt::hash("hunter2", 4).unwrap()
}
