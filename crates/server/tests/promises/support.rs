//! A server on a free port with a directory of its own, and a client for it.
#![allow(unreachable_pub, clippy::unwrap_used, reason = "it is used within one program, and fails by panics")]

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use barograph_disk::{Disk, MemoryDisk};
use barograph_model::{Labels, Sample, Timestamp};
use barograph_server::{OtlpPorts, Server, Settings, StartError, config::Config};
use barograph_wire::remote_write::Writer;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, StatusCode, body::Incoming};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tonic::transport::{Channel, Endpoint};

/// A running server and its client.
pub struct Running {
    pub server: Server,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// An answer, read whole.
pub struct Reply {
    pub status: StatusCode,
    pub headers: hyper::HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }
}

/// Starts a server on `dir` with the built-in collectors off, so that a test sees only what it sent.
pub async fn start_quiet(dir: &Path) -> Running {
    start(dir, configured("collectors: {built_in: false}\n")).await
}

/// Starts a server on `dir`.
pub async fn start(dir: &Path, config: Config) -> Running {
    let server = Server::start(settings(dir, "127.0.0.1:0", config)).await.unwrap();
    Running { server, client: client() }
}

/// Starts a server on a disk of the test's.
pub async fn start_on(disk: Arc<dyn Disk>, config: Config) -> Running {
    let settings = settings(Path::new("/nonexistent"), "127.0.0.1:0", config);
    let server = Server::start_on(settings, disk).await.unwrap();
    Running { server, client: client() }
}

/// As [`start_quiet`], with all that it keeps in memory: how it fares is not for the disk of this machine to say.
pub async fn start_in_memory() -> Running {
    start_on(Arc::new(MemoryDisk::new()), configured("collectors: {built_in: false}\n")).await
}

/// A configuration from its text.
pub fn configured(text: &str) -> Config {
    Config::parse(text, "test.yml", Path::new(""), []).unwrap()
}

/// Starts a server with a gRPC port and the built-in collectors off, and connects to it.
pub async fn start_with_grpc(dir: &Path) -> (Running, Channel) {
    start_with_grpc_configured(dir, "collectors: {built_in: false}\n").await
}

/// As [`start_with_grpc`], with a configuration.
pub async fn start_with_grpc_configured(dir: &Path, config: &str) -> (Running, Channel) {
    let grpc_addr = Some("127.0.0.1:0".parse().unwrap());
    let settings = Settings { grpc_addr, ..settings(dir, "127.0.0.1:0", configured(config)) };
    let server = Server::start(settings).await.unwrap();
    let channel = connected(&server).await;
    (Running { server, client: client() }, channel)
}

/// Starts a server with a gRPC port and ports of OTLP.
pub async fn start_otlp(dir: &Path, otlp: OtlpPorts, config: Config) -> Running {
    let grpc_addr = Some("127.0.0.1:0".parse().unwrap());
    let settings = Settings { grpc_addr, otlp, ..settings(dir, "127.0.0.1:0", config) };
    let server = Server::start(settings).await.unwrap();
    Running { server, client: client() }
}

/// A client that asks on no connection that the server may just be closing.
fn client() -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).pool_idle_timeout(Duration::from_secs(1)).build_http()
}

/// A server that was started otherwise, with a client.
pub fn running(server: Server) -> Running {
    Running { server, client: client() }
}

/// A connection of its own to the gRPC port.
pub async fn connected(server: &Server) -> Channel {
    let address = format!("http://{}", server.grpc_address().unwrap());
    Endpoint::from_shared(address).unwrap().connect().await.unwrap()
}

/// A call that names who calls.
pub fn from_client<T>(client: &'static str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("x-client-id", client.parse().unwrap());
    request
}

/// Tries to start a server with all defaults.
pub async fn start_settings(dir: &Path, http_addr: &str) -> Result<Server, StartError> {
    Server::start(settings(dir, http_addr, Config::default())).await
}

/// Tries to start a server with a configuration.
pub async fn start_configured(dir: &Path, config: Config) -> Result<Server, StartError> {
    Server::start(settings(dir, "127.0.0.1:0", config)).await
}

/// Tries to start a server at an address with a configuration.
pub async fn start_at(dir: &Path, http_addr: &str, config: Config) -> Result<Server, StartError> {
    Server::start(settings(dir, http_addr, config)).await
}

/// Starts a server on `dir`, with the rules that come with it.
pub async fn start_with_ready_rules(config: Config) -> Running {
    let settings = settings(Path::new("/nonexistent"), "127.0.0.1:0", config.clone());
    let settings = Settings { config, ..settings };
    running(Server::start_on(settings, Arc::new(MemoryDisk::new())).await.unwrap())
}

/// What a server is started with.
pub fn settings(dir: &Path, http_addr: &str, mut config: Config) -> Settings {
    // The rules that come with the server are evaluated only where a test is about them.
    config.ready_rules.enabled = false;
    let http_addr: SocketAddr = http_addr.parse().unwrap();
    Settings {
        config,
        data_dir: dir.to_owned(),
        http_addr: Some(http_addr),
        grpc_addr: None,
        otlp: Default::default(),
        memory: None,
        give_back: |_| {},
        web_config: None,
        backup_dir: Some(dir.join("backups")),
        admin_api: true,
        application: None,
    }
}

impl Running {
    /// Sends a request and returns as soon as its head is answered.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response<Incoming> {
        let mut request =
            Request::builder().method(method).uri(format!("http://{}{path}", self.server.address().unwrap()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
        self.client.request(request).await.unwrap()
    }

    /// Sends a request and reads the whole answer.
    pub async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let (head, body) = self.send(method, path, headers, body).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// As [`Running::call`], to another port of the server.
    pub async fn call_at(
        &self,
        address: SocketAddr,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(format!("http://{address}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
        let (head, body) = self.client.request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, &[], b"").await
    }

    /// The `data` of a successful query API call.
    pub async fn data(&self, path: &str) -> Value {
        let reply = self.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
        reply.json()["data"].clone()
    }

    /// Posts a remote-write body as Prometheus does.
    pub async fn write(&self, body: &[u8]) -> Reply {
        let headers = [
            ("content-type", "application/x-protobuf"),
            ("content-encoding", "snappy"),
            ("x-prometheus-remote-write-version", "0.1.0"),
        ];
        self.call(Method::POST, "/api/v1/write", &headers, body).await
    }

    /// Writes samples `(milliseconds, value)` of one series.
    pub async fn write_series(&self, labels: &[(&str, &str)], samples: &[(i64, f64)]) -> Reply {
        self.write(&request(&[(labels, samples)])).await
    }
}

/// The labels of a series and its samples, `(milliseconds, value)`.
pub type Written<'a> = (&'a [(&'a str, &'a str)], &'a [(i64, f64)]);

/// A remote-write body.
pub fn request(series: &[Written<'_>]) -> Vec<u8> {
    let mut writer = Writer::new();
    for (labels, samples) in series {
        let labels = Labels::from_pairs(labels.iter().copied()).unwrap();
        let samples: Vec<_> =
            samples.iter().map(|&(at, value)| Sample { at: Timestamp(at), value }).collect();
        writer.series(labels.as_bytes(), &samples);
    }
    writer.compressed().unwrap()
}

/// The machine's time, on the second.
pub fn now_ms() -> i64 {
    use barograph_server::clock::Clock;
    barograph_server::clock::SystemClock::new().now().0 / 1000 * 1000
}

/// Sends bytes to the gRPC port as a client would that does not know better: the HTTP status, and that of gRPC if there is
/// one.
pub async fn sent(
    server: &Server,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> (u16, Option<i32>) {
    sent_to(server.grpc_address().unwrap(), path, headers, body).await
}

/// As [`sent`], to any port for gRPC.
pub async fn sent_to(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> (u16, Option<i32>) {
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let mut request = Request::post(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = client.request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let trailers = body.collect().await.unwrap().trailers().cloned().unwrap_or_default();
    let code = head.headers.get("grpc-status").or(trailers.get("grpc-status"));
    (head.status.as_u16(), code.map(|code| code.to_str().unwrap().parse().unwrap()))
}

/// A message as it goes over the wire.
pub fn framed(message: &impl prost::Message) -> Vec<u8> {
    let length = u32::try_from(message.encoded_len()).unwrap();
    let mut bytes = [&[0][..], &length.to_be_bytes()].concat();
    message.encode(&mut bytes).unwrap();
    bytes
}
