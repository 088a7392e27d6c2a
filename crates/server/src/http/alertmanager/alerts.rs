//! `alerts` and `alerts/groups`, read.

use std::collections::HashMap;

use axum::{Json, extract::State};
use barograph_alert::routing::MuteKind;
use serde_json::{Value, json};

use super::{
    Wrong,
    filter::{Wanted, ids},
    time,
};
use crate::{
    alerting::Shown,
    http::{App, Params},
};

/// `GET /api/v2/alerts`
pub(super) async fn list(State(app): State<App>, params: Params) -> Result<Json<Value>, Wrong> {
    let engine = app.engine()?;
    let wanted = Wanted::new(&params)?;
    let mut alerts = engine.alerting.alerts(false, engine.clock.now());
    alerts.retain(|shown| {
        wanted.receiver(shown.receivers.iter().map(String::as_str))
            && wanted.alert(&shown.alert.labels, &shown.muted_by)
    });
    Ok(Json(alerts.iter().map(document).collect()))
}

/// `GET /api/v2/alerts/groups`
pub(super) async fn groups(State(app): State<App>, params: Params) -> Result<Json<Value>, Wrong> {
    let engine = app.engine()?;
    let wanted = Wanted::new(&params)?;
    let alerts = engine.alerting.alerts(false, engine.clock.now());
    let alerts: HashMap<_, _> = alerts.iter().map(|shown| (shown.fingerprint, shown)).collect();
    let mut found = Vec::new();
    for group in engine.alerting.groups() {
        if !wanted.receiver(std::iter::once(group.receiver.as_str())) {
            continue;
        }
        let within = group.alerts.iter().filter_map(|fingerprint| alerts.get(fingerprint));
        let within: Vec<_> = within
            .filter(|shown| wanted.alert(&shown.alert.labels, &shown.muted_by))
            .filter(|shown| wanted.muted || ids(&shown.muted_by, &[MuteKind::Interval]).is_empty())
            .collect();
        if !within.is_empty() {
            let documents: Vec<_> = within.into_iter().map(|shown| document(shown)).collect();
            found.push((group.labels, group.receiver, documents));
        }
    }
    found.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    let group = |(labels, receiver, alerts)| json!({ "labels": labels, "receiver": { "name": receiver }, "alerts": alerts });
    Ok(Json(found.into_iter().map(group).collect()))
}

/// An alert as upstream shows it.
fn document(shown: &Shown) -> Value {
    let alert = &shown.alert;
    let suppressing = [MuteKind::Silence, MuteKind::Maintenance, MuteKind::Inhibition];
    let suppressed = !ids(&shown.muted_by, &suppressing).is_empty();
    let receivers: Vec<_> = shown.receivers.iter().map(|name| json!({ "name": name })).collect();
    json!({
        "annotations": alert.annotations,
        "endsAt": time(alert.ends_at.unwrap_or(alert.updated_at)),
        "fingerprint": shown.fingerprint.to_string(),
        "receivers": receivers,
        "startsAt": time(alert.starts_at),
        "status": {
            "inhibitedBy": ids(&shown.muted_by, &[MuteKind::Inhibition]),
            "mutedBy": ids(&shown.muted_by, &[MuteKind::Interval]),
            "silencedBy": ids(&shown.muted_by, &[MuteKind::Silence, MuteKind::Maintenance]),
            "state": if suppressed { "suppressed" } else { "active" },
        },
        "updatedAt": time(alert.updated_at),
        "generatorURL": alert.generator_url,
        "labels": alert.labels,
    })
}
