//! On all four ports that take OTLP, over TLS, whoever has a token that may write is heard; anybody else is refused in the form
//! of OTLP.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::{fs, net::SocketAddr, sync::Arc};

use barograph_server::{OtlpPort, OtlpPorts, Server, Settings};
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, body::Bytes, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{
    only_those_may_who_may::{USERS, basic},
    ports_speak_tls::{TLS, fixture},
    support::{configured, settings},
};

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

struct Answer {
    status: u16,
    /// With what came behind the body.
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn grpc(&self) -> Option<&str> {
        self.headers.get("grpc-status").map(|code| code.to_str().unwrap())
    }
}

/// Sends a request over TLS, by HTTP/2 where it is gRPC.
async fn send(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(fixture("ca.pem")).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let (mut sender, driving) =
        conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(driving);
    let mut request = Request::post(format!("https://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = Full::new(Bytes::copy_from_slice(body));
    let answer = sender.send_request(request.body(body).unwrap()).await.unwrap();
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap();
    let mut headers = head.headers;
    headers.extend(body.trailers().cloned().unwrap_or_default());
    Answer { status: head.status.as_u16(), headers, body: body.to_bytes() }
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_is_for_those_who_may() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["server.pem", "server.key"] {
        fs::copy(fixture(name), dir.path().join(name)).unwrap();
    }
    fs::write(dir.path().join("web.yml"), TLS).unwrap();
    let any = OtlpPort::At(SocketAddr::from(([127, 0, 0, 1], 0)));
    let settings = Settings {
        grpc_addr: Some("127.0.0.1:0".parse().unwrap()),
        otlp: OtlpPorts { grpc: any, http: any },
        web_config: Some(dir.path().join("web.yml")),
        ..settings(&dir.path().join("data"), "127.0.0.1:0", configured(&USERS))
    };
    fs::create_dir_all(dir.path().join("data")).unwrap();
    let server = Server::start(settings).await.unwrap();
    let [grpc, http] = server.otlp_addresses().map(Option::unwrap);
    let main = [server.grpc_address().unwrap(), server.address().unwrap()];

    // A token of somebody who may write, and one of somebody who may only read.
    let token = async |user: &str, scope: &str| {
        let order = json!({ "name": "otlp", "scopes": [scope] }).to_string();
        let credentials = basic(user);
        let headers = [("content-type", "application/json"), ("authorization", &*credentials)];
        let made = send(main[1], "/api/barograph/v1/auth/tokens", &headers, order.as_bytes()).await;
        let document: Value = serde_json::from_slice(&made.body).unwrap();
        format!("Bearer {}", document["token"].as_str().unwrap_or_else(|| panic!("{document}")))
    };
    let (writer, reader) = (token("writer", "write").await, token("reader", "read").await);
    let wrong = "Bearer bgt_wrong".to_owned();
    let shown = [None, Some(&wrong), Some(&reader), Some(&writer)];

    for address in [http, main[1]] {
        for (credentials, status, code) in
            shown.iter().zip([(401, 16), (401, 16), (403, 7), (200, 0)]).map(|(a, (b, c))| (a, b, c))
        {
            let mut headers = vec![("content-type", "application/json")];
            headers.extend(credentials.map(|credentials| ("authorization", credentials.as_str())));
            let answer = send(address, "/v1/metrics", &headers, b"{}").await;
            assert_eq!(answer.status, status, "{address} {credentials:?}");
            assert_eq!(answer.headers["content-type"], "application/json");
            let document: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(document["code"].as_i64().unwrap_or(0), code, "{document}");
            assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401);
        }
    }
    for address in [grpc, main[0]] {
        for (credentials, code) in shown.iter().zip(["16", "16", "7", "0"]) {
            let mut headers = vec![("content-type", "application/grpc"), ("te", "trailers")];
            headers.extend(credentials.map(|credentials| ("authorization", credentials.as_str())));
            let answer = send(address, EXPORT, &headers, &[0; 5]).await;
            assert_eq!((answer.status, answer.grpc()), (200, Some(code)), "{address} {credentials:?}");
        }
    }
    server.stop().await;
}
