//! The pages of this server: a document on the stream of alerts.

use serde_json::{Value, json};

use super::{data, fill::Fill};

/// The pages of this server. There is nothing to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dashboard;

impl Dashboard {
    pub(super) fn words(self, fill: &Fill<'_>) -> Value {
        let notice = fill.notice;
        json!({
            "type": "Notification",
            "receiver": notice.receiver,
            "reason": notice.reason,
            "status": data::status(notice),
            "severity": data::severity(notice).as_str(),
            "title": data::subject(notice),
            "message": notice.alerts.first().map(data::message),
            "alerts": notice.alerts.len() + notice.truncated,
            "incident": notice.incident,
            "level": notice.level,
            "timestamp": data::time(notice.at),
        })
    }
}
