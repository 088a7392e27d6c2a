//! Alerts: many rules evaluated in their interval, a storm of alerts told, and a receiver that is dead beside others.

mod dead;
mod rules;
mod storm;

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Arguments, Better, Contender, Report, contender};
use crate::{
    alert_diff::start_theirs,
    barograph::Barograph,
    peers::{self, Alertmanager},
    server::Server,
};

/// The other one that tells of alerts.
const ALERTMANAGER: &str = "alertmanager";

/// Measures what is asked for: `rules`, `storm`, `dead`.
pub(crate) fn run(arguments: &Arguments, contenders: &[Contender], report: &mut Report) -> Result<()> {
    let wanted = |part: &str| arguments.only.as_ref().is_none_or(|only| part.contains(only.as_str()));
    if wanted("rules") {
        rules::run(arguments, contenders, report)?;
    }
    if wanted("storm") || wanted("dead") {
        let tellers = tellers(arguments, contenders)?;
        if wanted("storm") {
            storm::run(arguments, &tellers, report)?;
        }
        if wanted("dead") {
            dead::run(&tellers, report)?;
        }
    }
    Ok(())
}

/// One of those that tell of alerts.
enum Teller<'c> {
    Ours(&'c Contender),
    Theirs(Alertmanager),
}

fn tellers<'c>(arguments: &Arguments, contenders: &'c [Contender]) -> Result<Vec<Teller<'c>>> {
    let ours = contenders.iter().filter(|contender| contender.name == contender::BAROGRAPH);
    let mut all: Vec<Teller<'c>> = ours.map(Teller::Ours).collect();
    if !arguments.leaves_out(ALERTMANAGER) {
        all.push(Teller::Theirs(peers::alertmanager()?));
    }
    Ok(all)
}

impl Teller<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Ours(_) => contender::BAROGRAPH,
            Self::Theirs(_) => ALERTMANAGER,
        }
    }

    /// Starts it with an `alertmanager.yml` in an empty folder.
    fn start(&self, folder: &Path, routes: &Value) -> Result<Server> {
        match self {
            Self::Ours(ours) => {
                std::fs::write(folder.join("alertmanager.yml"), routes.to_string())?;
                let config = "alertmanager_config: alertmanager.yml\nready_rules: {enabled: false}\n\
                              collectors: {built_in: false}\n";
                std::fs::write(folder.join("barograph.yml"), config)?;
                Barograph::new(&ours.program, folder).with(&["--config", "barograph.yml"]).start()
            }
            Self::Theirs(theirs) => start_theirs(theirs, folder, routes),
        }
    }
}

/// Alerts `from..to` as they are posted, in so many groups.
fn alerts(range: std::ops::Range<usize>, groups: usize) -> Vec<u8> {
    let alert = |index: usize| {
        json!({
            "labels": {
                "alertname": "InstanceSlow", "severity": "warning", "group": format!("g{}", index % groups),
                "instance": format!("host-{index}.example:9100"), "job": "node",
            },
            "annotations": {"summary": format!("host-{index} answers slowly"), "runbook_url": "https://runbooks.example/slow"},
        })
    };
    json!(range.map(alert).collect::<Vec<_>>()).to_string().into_bytes()
}

/// The form of values of which less is better.
const fn less(unit: &'static str) -> (&'static str, Better) {
    (unit, Better::Lower)
}
