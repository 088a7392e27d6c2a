//! The service: a small one as they are, with a few routes, and one that answers a user by their number as JSON of
//! some 150 bytes, out of a map behind a lock.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
    task::{Context, Poll},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use barograph::{Registry, Requests, http::RequestsLayer};
use serde::Serialize;
use tower_layer::Layer;
use tower_service::Service;

/// What a client asks for, as one of them does.
pub const PATH: &str = "/users/42";
pub const HEADERS: [(&str, &str); 5] = [
    ("host", "users.example.com"),
    ("user-agent", "service-client/1.0"),
    ("accept", "application/json"),
    ("accept-encoding", "gzip, br"),
    ("x-request-id", "0af7651916cd43dd8448eb211c80319c"),
];

#[derive(Clone, Serialize)]
struct User {
    id: u64,
    name: String,
    email: String,
    roles: Vec<&'static str>,
    active: bool,
    created: &'static str,
}

type Users = Arc<RwLock<HashMap<u64, User>>>;

async fn user(State(users): State<Users>, Path(id): Path<u64>) -> Result<Json<User>, StatusCode> {
    let users = users.read().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    users.get(&id).cloned().map(Json).ok_or(StatusCode::NOT_FOUND)
}

/// What is around the service.
#[derive(Clone, Copy)]
pub enum Around {
    Nothing,
    /// A layer that only passes on: what any layer costs here.
    Identity,
    Ours,
}

/// The service.
pub fn app(around: Around) -> Router {
    let users = (0..1000).map(|id| {
        let (name, email) = (format!("User Number {id}"), format!("user{id}@example.com"));
        let created = "2024-05-17T09:30:00Z";
        (id, User { id, name, email, roles: vec!["reader", "editor"], active: true, created })
    });
    let app = Router::new()
        .route("/version", get(async || "1"))
        .route("/users/{id}", get(user))
        .route("/users/{id}/orders", get(async || Json([0; 8])))
        .route("/orders/{order}", get(async || StatusCode::NO_CONTENT))
        .with_state(Arc::new(RwLock::new(users.collect())));
    match around {
        Around::Nothing => app,
        Around::Identity => app.layer(Identity),
        Around::Ours => app.layer(RequestsLayer::of(&requests())),
    }
}

/// Instruments of a registry of their own.
pub fn requests() -> Requests {
    Requests::register(&Registry::new()).expect("an empty registry takes them")
}

#[derive(Clone, Copy)]
pub struct Identity;

#[derive(Clone)]
pub struct Passing<S>(S);

impl<S> Layer<S> for Identity {
    type Service = Passing<S>;

    fn layer(&self, inner: S) -> Passing<S> {
        Passing(inner)
    }
}

impl<S: Service<R>, R> Service<R> for Passing<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.0.call(request)
    }
}
