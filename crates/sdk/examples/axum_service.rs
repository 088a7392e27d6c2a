//! An axum service with everything on: requests, handlers and their parts, a WebSocket, a cache, a pool, transactions,
//! and the runtime.
//!
//! `cargo run -p barograph --example axum_service` asks itself a few times and prints what it has measured. With an address
//! it serves: `cargo run -p barograph --example axum_service 127.0.0.1:3000`, then
//! `curl http://127.0.0.1:3000/model/llama/health` a few times, and `curl http://127.0.0.1:3000/metrics`.

use std::{
    env,
    net::SocketAddr,
    sync::LazyLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Json, Router,
    extract::{
        Path, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use barograph::{
    Registry, Telemetry, Timestamp,
    caches::{InstrumentedCache, Listened},
    errors::ErrorClass,
    exposition::Format,
    http::{CurrentRequest, RequestsLayer},
    instrument,
    pools::Pools,
    runtime::RuntimeMonitor,
    sockets::InstrumentedWebSocket,
    transactions::Transactions,
};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::sleep,
};

type Games = InstrumentedCache<Listened<moka::sync::Cache<&'static str, u32>>>;

/// The main cache of the process.
static GAMES: LazyLock<Games> = LazyLock::new(|| {
    let cache = moka::sync::Cache::builder().max_capacity(100).time_to_live(Duration::from_secs(10));
    InstrumentedCache::moka("unified_cache_service", cache)
});

/// As many connections as the database would take.
static DATABASE: Semaphore = Semaphore::const_new(2);

#[instrument(name = "games.load")]
async fn load(day: &str) -> Result<u32, &'static str> {
    let pool = Pools::global().pool("games");
    let _connection = pool.acquire(DATABASE.acquire(), |_| false).await.map_err(|_| "the pool is closed")?;
    let mut transaction = Transactions::global().method("games.load").begin();
    if day.is_empty() {
        return Err("no day");
    }
    transaction.retry();
    sleep(Duration::from_millis(5)).await;
    transaction.commit();
    Ok(15)
}

async fn todays_games() -> Result<Json<Value>, StatusCode> {
    let games = match GAMES.get(&"today") {
        Some(games) => games,
        None => {
            let games = load("today").await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
            GAMES.set("today", games);
            games
        }
    };
    Ok(Json(json!({ "games": games })))
}

async fn model_health(Path(name): Path<String>) -> Result<String, StatusCode> {
    if name.starts_with("no") { Err(StatusCode::NOT_FOUND) } else { Ok(format!("{name} is well")) }
}

async fn circuit_breaker(Path(name): Path<String>, request: CurrentRequest) -> Json<Value> {
    let open = name == "ollama";
    if open {
        request.failed(ErrorClass::Connection);
    }
    let _part = request.part("circuit_breaker.describe");
    Json(json!({ "name": name, "open": open }))
}

async fn echo(socket: WebSocket) {
    let mut socket = InstrumentedWebSocket::new(socket);
    while let Some(Ok(message)) = socket.next().await {
        if matches!(message, Message::Close(_)) || socket.send(message).await.is_err() {
            return;
        }
    }
}

async fn ws(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(echo)
}

/// What `/diagnostics/metrics` of a server shows.
#[expect(clippy::disallowed_methods, reason = "a program knows the time")]
async fn system() -> impl IntoResponse {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp(i64::try_from(now.as_millis()).unwrap_or(i64::MAX));
    ([("content-type", "application/json")], Telemetry::global().snapshot(now).metrics())
}

async fn metrics() -> impl IntoResponse {
    ([("content-type", "text/plain; version=0.0.4")], Registry::global().expose(Format::Text004))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    if let Some(monitor) = RuntimeMonitor::global() {
        monitor.obey(&Telemetry::global().settings());
    }
    let app = Router::new()
        .route("/version", get(async || env!("CARGO_PKG_VERSION")))
        .route("/status", get(async || Json(json!({ "status": "healthy" }))))
        .route("/model/{model_name}/health", get(model_health))
        .route("/circuit-breaker/{name}", get(circuit_breaker))
        .route("/system", get(system))
        .route("/todays-games", get(todays_games))
        .route("/ws", get(ws))
        .route("/metrics", get(metrics))
        .layer(RequestsLayer::new());
    let address = env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0")).await?;
    let bound = listener.local_addr()?;
    println!("http://{bound}");
    if address.is_some() {
        return axum::serve(listener, app).await;
    }
    tokio::spawn(async { axum::serve(listener, app).await });
    visit(bound).await?;
    // The monitor of the runtime wakes once.
    sleep(Duration::from_millis(1_200)).await;
    for line in Registry::global().expose(Format::Text004).lines() {
        let is_shown = SHOWN.iter().any(|shown| line.starts_with(shown)) && !line.ends_with(" 0");
        if is_shown {
            println!("{line}");
        }
    }
    Ok(())
}

/// What is printed of the many lines of `/metrics`.
const SHOWN: [&str; 9] = [
    "http_requests_total",
    "http_request_errors_total",
    "function_calls_total",
    "cache_hit",
    "cache_misses",
    "db_pool_acquisitions_total",
    "event_loop_lag_seconds_count",
    "tx_retries_per_commit_sum",
    "websocket_messages",
];

/// Asks for everything, some of it twice, and says two words over a WebSocket.
async fn visit(address: SocketAddr) -> std::io::Result<()> {
    let paths = [
        "/version",
        "/status",
        "/model/llama/health",
        "/model/mistral/health",
        "/model/none/health",
        "/circuit-breaker/ollama",
        "/todays-games",
        "/todays-games",
        "/system",
        "/metrics",
        "/no/such/page",
    ];
    for path in paths {
        let mut connection = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await?;
        connection.read_to_end(&mut Vec::new()).await?;
    }
    let mut connection = TcpStream::connect(address).await?;
    let upgrade = "GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    connection.write_all(upgrade.as_bytes()).await?;
    // Two texts and a close, each masked with zeros, as a client has to mask.
    connection.write_all(b"\x81\x85\0\0\0\0hello\x81\x82\0\0\0\0hi\x88\x80\0\0\0\0").await?;
    connection.read_to_end(&mut Vec::new()).await?;
    Ok(())
}
