//! A webhook: the body of Alertmanager, version "4", and what we know besides under `barograph`.

use barograph_yaml::{
    section::{Findings, Section, count},
    units::parse_duration,
};
use serde_json::{Value, json};

use super::{Request, SIGNATURE, Secret, Settings, data, fill::Fill, global::secret_url, sign};

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Where it is; may hold a secret.
    pub url: Secret,
    /// Alerts that are told at most; 0 is all of them.
    pub max_alerts: usize,
    /// How long it may take to answer, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// What requests are signed with.
    pub signing_secret: Option<Secret>,
}

pub(super) fn read(section: &mut Section<'_>, findings: &mut Findings) -> Option<Settings> {
    let url = secret_url(section, ["url", "url_file"], findings);
    let max_alerts = section.value("max_alerts", count, findings).unwrap_or(0);
    let timeout = section.value("timeout", parse_duration, findings).filter(|timeout| !timeout.is_zero());
    let signing_secret = Secret::read(section, ["signing_secret", "signing_secret_file"], findings);
    let Some(url) = url else {
        findings.add(section.place, "`url` is missing; add it, or `url_file`");
        return None;
    };
    Some(Settings::Webhook(Box::new(Webhook {
        url,
        max_alerts: usize::try_from(max_alerts).unwrap_or(usize::MAX),
        timeout_ms: timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
        signing_secret,
    })))
}

impl Webhook {
    pub(super) fn words(&self, fill: &Fill<'_>) -> Result<Request, String> {
        let setting = fill.setting;
        let url = (setting.reveal)(&self.url)?;
        let mut request = Request::json(url, fill.notice, &self.body(fill));
        if let Some(secret) = &self.signing_secret {
            let secret = (setting.reveal)(secret)?;
            let seconds = setting.now.millis().div_euclid(1000);
            request.headers.push((SIGNATURE, sign::signature(&secret, seconds, &request.body)));
        }
        Ok(request)
    }

    fn body(&self, fill: &Fill<'_>) -> Value {
        let (notice, setting) = (fill.notice, fill.setting);
        let most = if self.max_alerts == 0 { usize::MAX } else { self.max_alerts };
        let alerts: Vec<_> = notice.alerts.iter().take(most).collect();
        let alert = |alert: &&crate::routing::Alert| {
            json!({
                "status": if data::is_over(alert, notice) { "resolved" } else { "firing" },
                "labels": alert.labels,
                "annotations": alert.annotations,
                "startsAt": data::time(alert.starts_at),
                "endsAt": data::ended(alert, notice),
                "generatorURL": alert.generator_url,
                "fingerprint": alert.fingerprint().to_string(),
            })
        };
        json!({
            "version": "4",
            "receiver": notice.receiver,
            "status": data::status(notice),
            "alerts": alerts.iter().map(alert).collect::<Vec<_>>(),
            "groupLabels": notice.group_labels,
            "commonLabels": data::common_labels(notice),
            "commonAnnotations": data::common_annotations(notice),
            "externalURL": setting.external_url,
            "groupKey": notice.group_key,
            "truncatedAlerts": notice.truncated + notice.alerts.len() - alerts.len(),
            "barograph": {
                "reason": notice.reason,
                "severity": data::severity(notice).as_str(),
                "incident": notice.incident,
                "level": notice.level,
                "dedupKey": notice.dedup_key,
                "seq": notice.seq,
                "ackURL": setting.ack_url,
                "values": alerts.iter().map(|alert| alert.cause.as_ref().map(|cause| json!({
                    "rule": cause.rule,
                    "kind": cause.kind,
                    "value": cause.value,
                    "threshold": cause.threshold,
                    "evidence": cause.evidence,
                }))).collect::<Vec<_>>(),
            },
        })
    }
}
