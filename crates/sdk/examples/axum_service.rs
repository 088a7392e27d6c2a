//! An axum service with everything on: requests, handlers and their parts, a WebSocket, a cache, a pool, transactions,
//! and the runtime.
//!
//! `cargo run -p barograph --example axum_service --features axum-websocket,moka,tokio,derive [ADDRESS]`, then
//! `curl http://127.0.0.1:3000/model/llama/health` a few times, and `curl http://127.0.0.1:3000/metrics`.

use std::{env, sync::LazyLock, time::Duration};

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
    Registry, Requests, Sockets,
    caches::{Caches, InstrumentedCache, Listened},
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
use tokio::{net::TcpListener, sync::Semaphore, time::sleep};

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

async fn system() -> Json<Value> {
    let runtime = RuntimeMonitor::global().map(|monitor| monitor.figures()).unwrap_or_default();
    let (requests, sockets, caches) =
        (Requests::global().figures(), Sockets::global().figures(), Caches::global().figures());
    Json(json!({
        "event_loop": {
            "avg_lag_ms": runtime.avg_lag * 1e3,
            "p95_lag_ms": runtime.p95_lag * 1e3,
            "monitoring_active": runtime.monitoring_active,
        },
        "total_requests": requests.total,
        "websocket": { "open_connections_estimate": sockets.open, "messages_sent": sockets.messages_sent },
        "cache": { "hits": caches.hits, "misses": caches.misses, "hit_rate": caches.hit_rate() },
        "uninstrumented_routes": Requests::global().unrouted(),
    }))
}

async fn metrics() -> impl IntoResponse {
    ([("content-type", "text/plain; version=0.0.4")], Registry::global().expose(Format::Text004))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    if let Some(monitor) = RuntimeMonitor::global() {
        monitor.start();
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
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, app).await
}
