//! The gate before gRPC: as that before HTTP, by the metadata `authorization`, with statuses for answers.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::Response,
};
use barograph_auth::{Scope, audit::Outcome};
use tonic::{Code, Status};

use super::{
    Asked,
    gate::{Refused, judge, note_refusal, noted, working},
    table::{Need, of_call},
};
use crate::{
    grpc::later,
    http::{App, Caller},
    tenants::{self, scope},
};

/// Lets in who may.
pub(crate) async fn gate(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let need = of_call(&path);
    if need == Need::Open {
        return next.run(request).await;
    }
    let asked = Asked { cookie: None, ..Asked::of(request.headers(), request.extensions(), false) };
    let identity = match judge(&app, need, &asked, None).await {
        Ok(identity) => identity,
        Err((refused, identity)) => {
            note_refusal(&app, &refused, identity.as_ref(), &asked, &path).await;
            return status_of(&refused).into_http();
        }
    };
    let working = match working(&app, &identity, request.headers(), tenants::routes::of_call(&path)) {
        Ok(working) => working,
        Err(why) => {
            let refused = Refused::Forbidden(why);
            note_refusal(&app, &refused, Some(&identity), &asked, &path).await;
            return status_of(&refused).into_http();
        }
    };
    if let Some(working) = &working {
        request.extensions_mut().insert(working.clone());
    }
    let caller = request.extensions().get::<Caller>().map(|caller| caller.clone().by(&identity));
    if let Some(caller) = caller {
        request.extensions_mut().insert(Caller { working: working.clone(), ..caller });
    }
    request.extensions_mut().insert(identity.clone());
    let response = scope::within(working, next.run(request)).await;
    if need == Need::May(Scope::Admin) {
        let failed = response.headers().get("grpc-status").is_some_and(|status| status != "0");
        let outcome = if failed { Outcome::Failed } else { Outcome::Done };
        noted(&app, &identity, asked.address, ("call", &path), outcome, "").await;
    }
    response
}

fn status_of(refused: &Refused) -> Status {
    let again = |code: Code, wait: Duration| later(code, refused.text(), wait);
    match refused {
        Refused::Unauthenticated(text) => Status::unauthenticated(text),
        Refused::Forbidden(text) => Status::permission_denied(text),
        Refused::Later(StatusCode::TOO_MANY_REQUESTS, _, wait) => again(Code::ResourceExhausted, *wait),
        Refused::Later(.., wait) => again(Code::Unavailable, *wait),
    }
}
