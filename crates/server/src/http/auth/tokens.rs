//! API tokens: one's own, and for administrators those of all.

use axum::{
    Json,
    extract::{Path, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use barograph_auth::{Identity, Scope, Scopes, Via, audit::Outcome, check_name, check_tenants, token::Token};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{App, Peer, Problem, Who, bad, forbidden, missing, noted, read, refused, stored};

/// Tokens that one user may have.
const PER_USER_MAX: usize = 100;
/// A token is good for no longer than ten years.
const EXPIRES_SECONDS_MAX: i64 = 10 * 366 * 86_400;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    scopes: Scopes,
    /// Seconds from now on; without it, until it is revoked.
    #[serde(default)]
    expires_in: Option<i64>,
    /// One of no user, for a service; administrators only.
    #[serde(default)]
    service: bool,
    #[serde(default)]
    tenant: Option<String>,
}

fn document(token: &Token, now_ms: i64) -> Value {
    json!({
        "id": token.id,
        "name": token.name,
        "owner": token.owner,
        "scopes": token.scopes,
        "tenant": token.tenant,
        "created": token.created_ms,
        "expires": token.expires_ms,
        "expired": token.is_expired(now_ms),
        "used": token.used_ms,
    })
}

fn is_own(token: &Token, identity: &Identity) -> bool {
    token.owner.as_ref() == Some(&identity.user) || identity.may(Scope::Admin)
}

/// `GET …/tokens`.
pub(super) async fn list(State(app): State<App>, who: Who) -> Result<Json<Value>, Problem> {
    let (auth, identity) = (app.auth(), who.0);
    let mut tokens = auth.accounts.tokens().map_err(refused)?;
    tokens.retain(|token| is_own(token, &identity));
    tokens.sort_by(|a, b| b.created_ms.cmp(&a.created_ms).then_with(|| a.id.cmp(&b.id)));
    let tokens: Vec<_> = tokens.iter().map(|token| document(token, auth.now_ms())).collect();
    Ok(Json(json!({"tokens": tokens})))
}

/// `POST …/tokens` with `{"name", "scopes", "expires_in", "service"}`: the token, told this once.
pub(super) async fn create(State(app): State<App>, who: Who, request: Request) -> Result<Response, Problem> {
    let peer = request.extensions().get::<Peer>().copied();
    let Wanted { name, scopes, expires_in, service, tenant } = read(request.into_body()).await?;
    let (auth, identity) = (app.auth(), &who.0);
    check_name(&name).map_err(|error| bad(error.to_string()))?;
    let is_admin = identity.may(Scope::Admin);
    if matches!(identity.via, Via::Anonymous) || (identity.via == Via::Token && !is_admin) {
        return Err(forbidden("a token makes no tokens, unless it has the scope `admin`; log in"));
    }
    if scopes.is_empty() || !scopes.is_within(identity.scopes) {
        let text = format!("`scopes` should be some of those that you have: {:?}", identity.scopes);
        return Err(if scopes.is_empty() { bad(text) } else { forbidden(text) });
    }
    let is_user = auth.user(&identity.user).map_err(refused)?.is_some() && identity.via != Via::Certificate;
    if (service || tenant.is_some()) && !is_admin {
        return Err(forbidden("only an administrator makes tokens of services or for a tenant"));
    }
    if let Some(tenant) = &tenant {
        check_tenants(tenant).map_err(|error| bad(error.to_string()))?;
    }
    if (service || tenant.is_some()) && identity.tenant.is_some() && app.tenants().is_on() {
        return Err(forbidden("only an administrator of the server makes these, not one of a tenant"));
    }
    if !service && !is_user {
        return Err(bad(
            "you are no user of this server, so a token cannot be yours; with `service` it is of none",
        ));
    }
    let now = auth.now_ms();
    let expires_ms = match expires_in {
        None => None,
        Some(seconds @ 1..=EXPIRES_SECONDS_MAX) => Some(now + seconds * 1_000),
        Some(_) => return Err(bad("`expires_in` should be seconds, more than 0 and at most ten years")),
    };
    let owner = (!service).then(|| identity.user.clone());
    let same = auth.accounts.tokens().map_err(refused)?.iter().filter(|token| token.owner == owner).count();
    if owner.is_some() && same >= PER_USER_MAX {
        let text = format!("you have {PER_USER_MAX} tokens; revoke one first");
        return Err(Problem::new(StatusCode::CONFLICT, text));
    }
    let (text, token) = Token::issue(&auth.secret(), &name, scopes, now);
    let token = Token { owner, tenant, expires_ms, ..token };
    let mut shown = document(&token, now);
    let id = token.id.clone();
    let accounts = auth.accounts.clone();
    stored(move || accounts.put_token(token)).await?;
    noted(&app, &who, peer, ("token.create", &id), Outcome::Done, &format!("{name} {scopes:?}")).await;
    shown["token"] = text.into();
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

/// `DELETE …/tokens/ID`: from now on it is good for nothing.
pub(super) async fn revoke(
    State(app): State<App>,
    Path(id): Path<String>,
    who: Who,
    request: Request,
) -> Result<StatusCode, Problem> {
    let peer = request.extensions().get::<Peer>().copied();
    let auth = app.auth();
    let tokens = auth.accounts.tokens().map_err(refused)?;
    let token = tokens.into_iter().find(|token| token.id == id && is_own(token, &who.0));
    let token = token.ok_or_else(|| missing("token", &id))?;
    let (accounts, gone) = (auth.accounts.clone(), id.clone());
    stored(move || accounts.remove_token(&gone)).await?;
    noted(&app, &who, peer, ("token.revoke", &id), Outcome::Done, &token.name).await;
    Ok(StatusCode::NO_CONTENT)
}
