//! `POST …/incidents/{id}/{action}`: what somebody does with an incident.

use axum::{
    Json,
    extract::{Path, Request, State},
    http::StatusCode,
};
use barograph_alert::incident::{Act, Refused};
use barograph_auth::{Identity, Via, audit::Outcome};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{App, Problem, bad, blocking, document_of};
use crate::{
    auth::gate::{self, Who},
    errors::chain,
    http::{Peer, body::Whole},
    incidents::NotDone,
};

/// Bytes of a body of these.
const BODY_BYTES_MAX: usize = 64 << 10;

/// What somebody says of what they do.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::http) struct Said {
    #[serde(alias = "ack_message", alias = "comment", alias = "text")]
    pub(in crate::http) message: String,
    /// Who, where nobody is asked who they are, or a service speaks for somebody.
    #[serde(alias = "user", alias = "by")]
    pub(in crate::http) acknowledged_by: Option<String>,
    pub(in crate::http) assignee: Option<String>,
}

/// Reads what somebody says; nothing is said by an empty body.
pub(in crate::http) async fn said(request: Request) -> Result<Said, Problem> {
    let body = Whole::within(request.into_body(), BODY_BYTES_MAX).await;
    let Whole(body) = body.map_err(|error| Problem::new(error.status(), error.to_string()))?;
    if body.is_empty() {
        return Ok(Said::default());
    }
    serde_json::from_slice(&body)
        .map_err(|error| bad(format!("expected {{\"message\"}} or {{\"assignee\"}}: {error}")))
}

/// Who does it. Whoever showed who they are goes by that name; a service may speak for somebody, which is told.
pub(in crate::http) fn name_of(identity: &Identity, said: Option<&str>) -> String {
    match (identity.via, said.filter(|name| !name.is_empty())) {
        (Via::Local | Via::Anonymous, Some(name)) => name.to_owned(),
        (Via::Token, Some(name)) if name != identity.user => format!("{name} (by {})", identity.user),
        _ => identity.user.clone(),
    }
}

/// What an action is called in a path.
pub(in crate::http) fn act_of(action: &str, said: &Said, alert: Option<String>) -> Result<Act, Problem> {
    Ok(match action {
        "ack" => Act::Ack { alert, auto: false },
        "unack" => Act::Unack,
        "takeover" => Act::TakeOver,
        "comment" => Act::Comment,
        "assign" => Act::Assign(said.assignee.clone().filter(|name| !name.is_empty())),
        "escalate" => Act::Escalate,
        "resolve" => Act::Resolve,
        other => {
            let text = format!(
                "there is no {other:?}; there are ack, unack, takeover, comment, assign, escalate, resolve"
            );
            return Err(Problem::new(StatusCode::NOT_FOUND, text));
        }
    })
}

/// Why something was not done, as an answer.
pub(in crate::http) fn not_done(error: &NotDone) -> Problem {
    let status = match error {
        NotDone::Refused(Refused::Unknown(_)) => StatusCode::NOT_FOUND,
        NotDone::Refused(Refused::Missing(_) | Refused::TooLong { .. }) => StatusCode::BAD_REQUEST,
        NotDone::Refused(_) => StatusCode::CONFLICT,
        NotDone::NotStored(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    Problem::new(status, chain(error))
}

/// Notes what somebody did with alerts.
pub(in crate::http) async fn noted(
    app: &App,
    who: &Identity,
    peer: Option<Peer>,
    what: (&str, &str),
    done: bool,
) {
    let outcome = if done { Outcome::Done } else { Outcome::Failed };
    gate::noted(app, who, peer.map(|peer| peer.0.ip()), what, outcome, "").await;
}

/// `POST …/incidents/{id}/{action}`: the incident with its timeline; for `ack-link` the path of a link.
pub(super) async fn on_incident(
    State(app): State<App>,
    Path((id, action)): Path<(String, String)>,
    who: Who,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let peer = request.extensions().get::<Peer>().copied();
    let said = said(request).await?;
    let by = name_of(&who.0, said.acknowledged_by.as_deref());
    let incidents = engine.incidents.clone();
    if action == "ack-link" {
        let of = id.clone();
        if engine.incidents.look(move |book| book.get(&of).is_none()).await {
            return Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no incident {id:?}")));
        }
        let path = blocking(move || incidents.link_from_now(&id, &by)).await?;
        let path = path.map_err(|error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
        return Ok(Json(json!({ "path": path })));
    }
    let act = act_of(&action, &said, None)?;
    let (of, message) = (id.clone(), said.message);
    let done = blocking(move || incidents.act(&of, act, &by, &message)).await?;
    noted(&app, &who.0, peer, (&format!("incident.{action}"), &id), done.is_ok()).await;
    done.map_err(|error| not_done(&error))?;
    document_of(&app, &id).await.map(Json)
}
