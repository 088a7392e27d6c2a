//! The server's ports speak TLS as the web configuration says: HTTP/1.1, HTTP/2 and gRPC; clients show certificates where they
//! have to; what changes in the files holds from the next handshake on.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::{fs, path::Path, sync::Arc};

use barograph_server::{Server, StartError};
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, ProtocolVersion, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{configured, settings};

pub(crate) fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Starts a server with a web configuration that stands in its directory, next to the certificate and key of the server.
async fn start(dir: &Path, web: &str) -> Result<Server, StartError> {
    for name in ["server.pem", "server.key", "ca.pem"] {
        fs::copy(fixture(name), dir.join(name)).unwrap();
    }
    fs::write(dir.join("web.yml"), web).unwrap();
    let mut settings =
        settings(&dir.join("data"), "127.0.0.1:0", configured("collectors: {built_in: false}\n"));
    settings.grpc_addr = Some("127.0.0.1:0".parse().unwrap());
    settings.web_config = Some(dir.join("web.yml"));
    fs::create_dir_all(dir.join("data")).unwrap();
    Server::start(settings).await
}

pub(crate) const TLS: &str = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n";

/// What a client is ready for.
#[derive(Default)]
struct Ready<'a> {
    protocols: &'a [&'a [u8]],
    identity: Option<&'a str>,
    grpc: bool,
    old: bool,
}

/// TLS with a port of a server.
async fn connect(server: &Server, ready: &Ready<'_>) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(fixture("ca.pem")).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = match ready.old {
        true => config.with_protocol_versions(&[&rustls::version::TLS12]),
        false => config.with_safe_default_protocol_versions(),
    };
    let config = config.unwrap().with_root_certificates(roots);
    let mut config = match ready.identity {
        None => config.with_no_client_auth(),
        Some(name) => {
            let certificate = CertificateDer::from_pem_file(fixture(&format!("{name}.pem"))).unwrap();
            let key = PrivateKeyDer::from_pem_file(fixture(&format!("{name}.key"))).unwrap();
            config.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    config.alpn_protocols = ready.protocols.iter().map(|name| name.to_vec()).collect();
    let address = if ready.grpc { server.grpc_address() } else { server.address() };
    let stream = TcpStream::connect(address.unwrap()).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

/// The status of `/health`, or nothing where there is no connection.
async fn asked(server: &Server, ready: &Ready<'_>) -> Option<u16> {
    let stream = connect(server, ready).await.ok()?;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let address = server.address().unwrap();
    let request =
        Request::get(if is_http2 { format!("https://{address}/health") } else { "/health".to_owned() });
    let request = request.header("host", address.to_string()).body(Full::<Bytes>::default()).unwrap();
    let answer = if is_http2 {
        let (mut sender, driving) =
            conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.ok()?;
        tokio::spawn(driving);
        sender.send_request(request).await.ok()?
    } else {
        let (mut sender, driving) = conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(driving);
        sender.send_request(request).await.ok()?
    };
    let status = answer.status().as_u16();
    answer.into_body().collect().await.ok()?;
    Some(status)
}

#[tokio::test(flavor = "multi_thread")]
async fn http_and_grpc_are_spoken_over_tls() {
    let dir = tempfile::tempdir().unwrap();
    let web = format!("{TLS}http_server_config:\n  headers: {{Strict-Transport-Security: max-age=60}}\n");
    let server = start(dir.path(), &web).await.unwrap();
    assert_eq!(server.scheme(), "https");
    assert_eq!(asked(&server, &Ready::default()).await, Some(200));
    let both = Ready { protocols: &[b"h2", b"http/1.1"], ..Ready::default() };
    let stream = connect(&server, &both).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(stream.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(asked(&server, &both).await, Some(200));
    assert_eq!(asked(&server, &Ready { old: true, ..Ready::default() }).await, Some(200));
    // gRPC is HTTP/2 and nothing else.
    let grpc = Ready { protocols: &[b"h2"], grpc: true, ..Ready::default() };
    assert!(connect(&server, &grpc).await.is_ok());
    let none = Ready { protocols: &[b"http/1.1"], grpc: true, ..Ready::default() };
    assert!(connect(&server, &none).await.is_err());
    // Who speaks plainly gets no answer.
    let mut plain = TcpStream::connect(server.address().unwrap()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut plain, b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut plain, &mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_show_certificates_where_they_have_to() {
    let ready = |identity| Ready { identity, ..Ready::default() };
    let check = async |more: &str, none: bool, known: bool, unknown: bool| {
        let dir = tempfile::tempdir().unwrap();
        let server = start(dir.path(), &format!("{TLS}{more}")).await.unwrap();
        let got = [
            asked(&server, &ready(None)).await.is_some(),
            asked(&server, &ready(Some("client"))).await.is_some(),
            asked(&server, &ready(Some("other-client"))).await.is_some(),
        ];
        assert_eq!(got, [none, known, unknown], "{more}");
        server.stop().await;
    };
    check("  client_auth_type: NoClientCert\n", true, true, true).await;
    check("  client_auth_type: RequestClientCert\n", true, true, true).await;
    check("  client_auth_type: RequireAnyClientCert\n", false, true, true).await;
    let ca = "  client_ca_file: ca.pem\n  client_auth_type: ";
    check(&format!("{ca}VerifyClientCertIfGiven\n"), true, true, false).await;
    let required = format!("{ca}RequireAndVerifyClientCert\n");
    check(&required, false, true, false).await;
    check(&format!("{required}  client_allowed_sans: [reader.example]\n"), false, true, false).await;
    check(&format!("{required}  client_allowed_sans: [writer.example]\n"), false, false, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_and_suites_are_those_that_are_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &format!("{TLS}  min_version: TLS13\n")).await.unwrap();
    assert!(connect(&server, &Ready { old: true, ..Ready::default() }).await.is_err());
    assert!(connect(&server, &Ready::default()).await.is_ok());
    server.stop().await;
    let dir = tempfile::tempdir().unwrap();
    let suite = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    let web = format!("{TLS}  max_version: TLS12\n  cipher_suites: [{suite}]\n");
    let server = start(dir.path(), &web).await.unwrap();
    let stream = connect(&server, &Ready::default()).await.unwrap();
    let used = stream.get_ref().1.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(used.as_str(), Some(suite));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_in_the_files_holds_from_the_next_handshake_on() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), TLS).await.unwrap();
    let shown = async || {
        let stream = connect(&server, &Ready::default()).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    };
    let of = |name: &str| CertificateDer::from_pem_file(fixture(name)).unwrap();
    assert_eq!(shown().await, of("server.pem"));
    // A rename, as who renews certificates does it.
    let put = |content: &[u8]| {
        fs::write(dir.path().join("new"), content).unwrap();
        fs::rename(dir.path().join("new"), dir.path().join("server.pem")).unwrap();
    };
    put(&fs::read(fixture("renewed.pem")).unwrap());
    assert_eq!(shown().await, of("renewed.pem"));
    put(b"no certificate");
    assert_eq!(shown().await, of("renewed.pem"));
    put(&fs::read(fixture("server.pem")).unwrap());
    assert_eq!(shown().await, of("server.pem"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_configuration_that_cannot_be_used_is_refused_at_the_start() {
    let check = async |web: &str, why: &str| {
        let dir = tempfile::tempdir().unwrap();
        let error = start(dir.path(), web).await.err().unwrap().to_string();
        assert!(error.contains(why), "{error}");
    };
    check("tls_server_config: {cert_file: none.pem, key_file: server.key}", "none.pem").await;
    check("tls_server_config: {cert_file: server.pem, key_file: ca.pem}", "no private key").await;
    check(&format!("{TLS}  cipher_suites: [RC4]\n"), "those that are: ").await;
    check("tls_server_config: {cert_file: server.pem}", "key_file").await;
    let checked = barograph_server::check_web_config(Path::new("/no/such/file")).unwrap_err();
    assert!(checked.contains("/no/such/file"), "{checked}");
}
