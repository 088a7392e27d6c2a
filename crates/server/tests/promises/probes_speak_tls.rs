//! Probes speak TLS: a certificate has to be trusted, be for its name, and hold; pages are asked over HTTPS.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    checks_stand_alone::until,
    support::{configured, start},
};

fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A server that shows a certificate and answers `all is well`; its port.
async fn serving(certificate: &str) -> u16 {
    let certificate = CertificateDer::from_pem_file(fixture(certificate)).unwrap();
    let key = PrivateKeyDer::from_pem_file(fixture("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).unwrap()));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut request = [0; 1024];
                if stream.read(&mut request).await.is_ok_and(|bytes| bytes > 0) {
                    let answer =
                        b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\nconnection: close\r\n\r\nall is well";
                    let _ = stream.write_all(answer).await;
                }
                let _ = stream.shutdown().await;
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_pages_over_tls_are_looked_at() {
    let (good, expired) = (serving("server.pem").await, serving("expired.pem").await);
    let authority = format!("ca_file: '{}'", fixture("ca.pem"));
    let config = format!(
        "health:\n  checks:\n\
         \x20   - {{name: held, tls: '127.0.0.1:{good}', {authority}}}\n\
         \x20   - {{name: over, tls: '127.0.0.1:{expired}', {authority}}}\n\
         \x20   - {{name: strange, tls: '127.0.0.1:{good}'}}\n\
         \x20   - {{name: page, http: 'https://127.0.0.1:{good}/any', text: is well, {authority}}}\n\
         \x20   - {{name: none, tls: '127.0.0.1:{good}', ca_file: /no/such/file}}\n"
    );
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(&config)).await;
    let held = until(&running, "/health/components/held", |it| it["status"] == "healthy").await;
    assert!(held["details"]["days_left"].as_i64() > Some(14), "{held}");
    until(&running, "/health/components/page", |it| it["status"] == "healthy").await;
    for (name, why) in [("over", "no TLS with"), ("strange", "no TLS with"), ("none", "/no/such/file")] {
        let path = format!("/health/components/{name}");
        let found = until(&running, &path, |it| it["status"] == "unhealthy").await;
        assert!(found["details"]["message"].as_str().unwrap().contains(why), "{found}");
    }
    running.server.stop().await;
}
