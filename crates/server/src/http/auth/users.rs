//! Users: those of the configuration are shown, stored ones are changed.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use barograph_auth::{Role, User, Via, audit::Outcome, check_name, check_tenants, password};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{App, Peer, Problem, Who, bad, forbidden, missing, noted, read, refused, stored};
use crate::auth::Auth;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    password: String,
    roles: Vec<Role>,
    #[serde(default)]
    tenant: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    roles: Option<Vec<Role>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    current: String,
    new: String,
}

fn document(user: &User, of_file: bool) -> Value {
    json!({
        "name": user.name,
        "roles": user.roles,
        "tenant": user.tenant,
        "created": if of_file { Value::Null } else { user.created_ms.into() },
        "source": if of_file { "configuration" } else { "stored" },
    })
}

/// `GET …/users`.
pub(super) async fn list(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let auth = app.auth();
    let of_file = auth.config().map(|config| &config.users[..]).unwrap_or_default();
    let all = auth.accounts.users().map_err(refused)?;
    let shown = of_file.iter().map(|user| document(user, true));
    let own = all.iter().filter(|user| !auth.is_of_file(&user.name)).map(|user| document(user, false));
    let users: Vec<_> = shown.chain(own).collect();
    Ok(Json(json!({"users": users})))
}

/// `POST …/users` with `{"name", "password", "roles"}`.
pub(super) async fn create(State(app): State<App>, who: Who, request: Request) -> Result<Response, Problem> {
    let peer = request.extensions().get::<Peer>().copied();
    let Wanted { name, password, roles, tenant } = read(request.into_body()).await?;
    let auth = app.auth();
    check_name(&name).map_err(|error| bad(error.to_string()))?;
    if let Some(tenant) = &tenant {
        check_tenants(tenant).map_err(|error| bad(error.to_string()))?;
    }
    check_roles(&roles)?;
    if auth.user(&name).map_err(refused)?.is_some() {
        return Err(Problem::new(StatusCode::CONFLICT, format!("there is a user {name:?} already")));
    }
    let hash = hashed(auth, &name, &password).await?;
    let now = auth.now_ms();
    let user = User { name: name.clone(), password: hash, roles, tenant, created_ms: now, password_ms: now };
    let shown = document(&user, false);
    put(auth, user).await?;
    noted(&app, &who, peer, ("user.create", &name), Outcome::Done, &shown["roles"].to_string()).await;
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

/// `PATCH …/users/NAME` with `{"password"}` or `{"roles"}`. A new password ends the user's sessions.
pub(super) async fn change(
    State(app): State<App>,
    Path(name): Path<String>,
    who: Who,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let peer = request.extensions().get::<Peer>().copied();
    let Change { password, roles } = read(request.into_body()).await?;
    let auth = app.auth();
    let mut user = stored_user(auth, &name)?;
    if let Some(roles) = roles {
        check_roles(&roles)?;
        user.roles = roles;
        noted(&app, &who, peer, ("user.roles", &name), Outcome::Done, &json!(user.roles).to_string()).await;
    }
    let is_new = password.is_some();
    if let Some(password) = password {
        user.password = hashed(auth, &name, &password).await?;
        user.password_ms = auth.now_ms();
    }
    let shown = document(&user, false);
    put(auth, user).await?;
    if is_new {
        auth.sessions().end_all(&name, i64::MAX);
        auth.keep_sessions().await;
        noted(&app, &who, peer, ("user.password", &name), Outcome::Done, "").await;
    }
    Ok(Json(shown))
}

/// `DELETE …/users/NAME`: the user, their tokens and sessions are gone.
pub(super) async fn remove(
    State(app): State<App>,
    Path(name): Path<String>,
    who: Who,
    request: Request,
) -> Result<StatusCode, Problem> {
    let peer = request.extensions().get::<Peer>().copied();
    let auth = app.auth();
    stored_user(auth, &name)?;
    if name == who.0.user && who.0.via == Via::Session {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "nobody removes themselves; ask another administrator",
        ));
    }
    let (accounts, gone) = (auth.accounts.clone(), name.clone());
    stored(move || accounts.remove_user(&gone)).await?;
    auth.sessions().end_all(&name, i64::MAX);
    auth.keep_sessions().await;
    noted(&app, &who, peer, ("user.delete", &name), Outcome::Done, "").await;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST …/password` with `{"current", "new"}`: one's own. All sessions are over, this one too.
pub(super) async fn own_password(
    State(app): State<App>,
    who: Who,
    request: Request,
) -> Result<StatusCode, Problem> {
    let peer = request.extensions().get::<Peer>().copied();
    if who.0.via != Via::Session {
        return Err(forbidden("log in to change a password"));
    }
    let NewPassword { current, new } = read(request.into_body()).await?;
    let auth = app.auth();
    let name = who.0.user.clone();
    let mut user = stored_user(auth, &name)?;
    if auth.by_password(&name, &current, peer.map(|peer| peer.0.ip())).await.is_err() {
        noted(&app, &who, peer, ("user.password", &name), Outcome::Refused, "").await;
        return Err(forbidden("the current password is wrong, or too many wrong ones came before"));
    }
    user.password = hashed(auth, &name, &new).await?;
    user.password_ms = auth.now_ms();
    put(auth, user).await?;
    auth.sessions().end_all(&name, i64::MAX);
    auth.keep_sessions().await;
    noted(&app, &who, peer, ("user.password", &name), Outcome::Done, "").await;
    Ok(StatusCode::NO_CONTENT)
}

fn stored_user(auth: &Auth, name: &str) -> Result<User, Problem> {
    if auth.is_of_file(name) {
        let text = format!("the user {name:?} is of the configuration, which is where they are changed");
        return Err(Problem::new(StatusCode::CONFLICT, text));
    }
    auth.accounts.user(name).map_err(refused)?.ok_or_else(|| missing("user", name))
}

fn check_roles(roles: &[Role]) -> Result<(), Problem> {
    match roles.is_empty() {
        true => Err(bad("`roles` has none; give some of read, write, alert-ack, admin")),
        false => Ok(()),
    }
}

async fn hashed(auth: &Auth, name: &str, password: &str) -> Result<String, Problem> {
    password::check(password, name).map_err(|error| bad(error.to_string()))?;
    auth.hash(password).await.ok_or_else(|| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "hashing failed"))
}

async fn put(auth: &Arc<Auth>, user: User) -> Result<(), Problem> {
    let accounts = auth.accounts.clone();
    stored(move || accounts.put_user(user)).await
}
