//! The keys of a rule that say of which kind it is.

use std::time::Duration;

use barograph_analyze::anomaly::{Settings, Watched};
use barograph_query::ast::Expr;
use barograph_yaml::{
    section::{Findings, Section, count, text},
    units::parse_duration,
};

use super::{Anomaly, Correlation, Kind, Side, Trend, read_version::read_version};

/// The keys that are read here.
pub(crate) const KEYS: [&str; 5] = ["kind", "anomaly", "trend", "correlation", "version"];

/// Conditions of one rule at most.
const CONDITIONS_MAX: usize = 20;
/// A window is as long at most.
pub(super) const WINDOW_MAX_MS: i64 = 90 * 86_400_000;
/// A cycle is as long at most.
const CYCLE_MAX_MS: i64 = 8 * 86_400_000;

/// Reads what a rule watches for: `kind`, or the mapping that is called like one.
pub(crate) fn read(section: &mut Section<'_>, findings: &mut Findings) -> Kind {
    let named = section.value("kind", named, findings);
    let mut found: Vec<(&'static str, Kind)> = Vec::new();
    if let Some(node) = section.node("anomaly") {
        let mut section = Section::open(node, "`anomaly`", findings);
        found.push(("anomaly", Kind::Anomaly(read_anomaly(&mut section, findings))));
        section.finish(&[], findings);
    }
    if let Some(node) = section.node("trend") {
        let mut section = Section::open(node, "`trend`", findings);
        found.push(("trend", Kind::Trend(read_trend(&mut section, findings))));
        section.finish(&[], findings);
    }
    if let Some(node) = section.node("correlation") {
        let mut section = Section::open(node, "`correlation`", findings);
        let read = read_correlation(&mut section, findings);
        found.extend(read.map(|read| ("correlation", Kind::Correlation(Box::new(read)))));
        section.finish(&[], findings);
    }
    if let Some(node) = section.node("version") {
        let mut section = Section::open(node, "`version`", findings);
        let read = read_version(&mut section, findings);
        found.push(("version", Kind::Version(read.map(Box::new))));
        section.finish(&[], findings);
    }
    for (key, _) in found.iter().skip(1) {
        findings
            .add(section.place_of(key), format!("a rule is of one kind; `{}` is there already", found[0].0));
    }
    match (found.into_iter().next(), named) {
        (Some((key, kind)), Some(named)) => {
            if kind.as_str() != named.as_str() {
                let message = format!("`kind` says {}, and `{key}` is there; remove one", named.as_str());
                findings.add(section.place_of("kind"), message);
            }
            kind
        }
        (Some((_, kind)), None) => kind,
        (None, Some(Kind::Correlation(_))) => {
            let message =
                "a rule of this kind needs `correlation: {conditions: [...]}` or `correlation: {with: ...}`";
            findings.add(section.place_of("kind"), message);
            Kind::default()
        }
        (None, named) => named.unwrap_or_default(),
    }
}

/// The kind of a name, as it is if nothing else is said. What `correlation` needs stands elsewhere.
fn named(name: &str) -> Result<Kind, String> {
    Ok(match name {
        "threshold" => Kind::Threshold,
        "anomaly" => Kind::Anomaly(anomaly()),
        "trend" => Kind::Trend(trend()),
        "correlation" => Kind::Correlation(Box::new(conditions(Vec::new()))),
        "health" => Kind::Health,
        "version" => Kind::Version(None),
        _ => {
            let known = "`threshold`, `anomaly`, `trend`, `correlation`, `health` or `version`";
            return Err(format!("expected {known}, found `{name}`"));
        }
    })
}

pub(super) fn anomaly() -> Anomaly {
    const DAY_MS: i64 = 86_400_000;
    Anomaly { settings: Settings::default(), cycle_ms: 0, learn_ms: DAY_MS / 4, rest_ms: 3_600_000 }
}

pub(super) fn trend() -> Trend {
    Trend { window_ms: 86_400_000, alpha: 0.01, min_slope_per_hour: 0.0, direction: None, crossing: None }
}

fn conditions(others: Vec<Expr>) -> Correlation {
    let at_least = others.len() + 1;
    Correlation::Conditions { others, at_least, within_ms: 300_000, on: Vec::new() }
}

fn read_anomaly(section: &mut Section<'_>, findings: &mut Findings) -> Anomaly {
    let mut rule = anomaly();
    section.set("q", &mut rule.settings.q, |text| between(text, 1e-9, 0.01), findings);
    section.set("points", &mut rule.settings.k, few, findings);
    section.set("of", &mut rule.settings.n, few, findings);
    if rule.settings.k > rule.settings.n {
        findings.add(section.place, "`points` cannot be more than `of`");
    }
    section.set("direction", &mut rule.settings.watched, watched, findings);
    section.set("learning", &mut rule.settings.learning, count, findings);
    section.set("cycle", &mut rule.cycle_ms, |text| millis(text, CYCLE_MAX_MS), findings);
    let cycles = rule.cycle_ms.saturating_mul(4);
    rule.learn_ms = rule.learn_ms.max(cycles);
    section.set("look_back", &mut rule.learn_ms, |text| millis(text, WINDOW_MAX_MS), findings);
    section.set("rest", &mut rule.rest_ms, |text| millis(text, WINDOW_MAX_MS), findings);
    rule
}

fn read_trend(section: &mut Section<'_>, findings: &mut Findings) -> Trend {
    let mut rule = trend();
    section.set("window", &mut rule.window_ms, |text| millis(text, WINDOW_MAX_MS), findings);
    section.set("alpha", &mut rule.alpha, |text| between(text, 1e-12, 0.5), findings);
    section.set(
        "min_slope_per_hour",
        &mut rule.min_slope_per_hour,
        |text| between(text, 0.0, f64::MAX),
        findings,
    );
    rule.direction = section.value("direction", side, findings).flatten();
    let threshold = section.value("threshold", |text| between(text, f64::MIN, f64::MAX), findings);
    let horizon = section.value("horizon", |text| millis(text, WINDOW_MAX_MS), findings);
    match (threshold, horizon) {
        (Some(threshold), Some(horizon)) => rule.crossing = Some((threshold, horizon)),
        (None, None) => {}
        _ => findings.add(
            section.place,
            "`threshold` and `horizon` belong together: what it must not cross, and how soon",
        ),
    }
    rule
}

fn read_correlation(section: &mut Section<'_>, findings: &mut Findings) -> Option<Correlation> {
    let on = section.values("on", text, findings);
    let alpha = section.value("alpha", |text| between(text, 1e-12, 0.5), findings);
    let window = section.value("window", |text| millis(text, WINDOW_MAX_MS), findings);
    let baseline = section.value("baseline", |text| millis(text, WINDOW_MAX_MS), findings);
    let with = section.value("with", expr, findings);
    let others = section.values("conditions", expr, findings);
    let at_least = section.value("at_least", few, findings);
    let within = section.value("within", |text| millis(text, WINDOW_MAX_MS), findings);
    let (breaks, together) = (
        section.node("with").is_some() || window.is_some() || baseline.is_some(),
        section.node("conditions").is_some() || at_least.is_some() || within.is_some(),
    );
    match (breaks, together) {
        (true, false) => {
            let window_ms = window.unwrap_or(3_600_000);
            let baseline_ms = baseline.unwrap_or(86_400_000);
            if section.node("with").is_none() {
                findings.add(section.place, "`with` is missing: the other expression");
            }
            Some(Correlation::Break {
                with: with?,
                window_ms,
                baseline_ms,
                alpha: alpha.unwrap_or(0.001),
                on,
            })
        }
        (false, true) => {
            if others.is_empty() || others.len() > CONDITIONS_MAX {
                let message =
                    format!("`conditions` needs 1 to {CONDITIONS_MAX} expressions beside that of the rule");
                findings.add(section.place, message);
            }
            let all = others.len() + 1;
            let at_least = at_least.map_or(all, |least| usize::try_from(least).unwrap_or(usize::MAX));
            if at_least > all {
                findings.add(section.place_of("at_least"), format!("there are only {all} conditions"));
            }
            Some(Correlation::Conditions { others, at_least, within_ms: within.unwrap_or(300_000), on })
        }
        (false, false) => {
            findings.add(section.place, "`correlation` needs `conditions`, or `with`");
            None
        }
        (true, true) => {
            findings
                .add(section.place, "`correlation` is either of `conditions` or `with` another expression");
            None
        }
    }
}

pub(super) fn expr(text: &str) -> Result<Expr, String> {
    barograph_query::parse(text).map_err(|error| error.to_string())
}

pub(super) fn millis(text: &str, most: i64) -> Result<i64, String> {
    let length: Duration = parse_duration(text)?;
    match i64::try_from(length.as_millis()) {
        Ok(millis @ 1_000..) if millis <= most => Ok(millis),
        _ => Err(format!("expected 1s to {}d, found `{text}`", most / 86_400_000)),
    }
}

pub(super) fn between(text: &str, least: f64, most: f64) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value >= least && value <= most => Ok(value),
        _ if most == f64::MAX => Err(format!("expected a number, found `{text}`")),
        _ => Err(format!("expected a number from {least} to {most}, found `{text}`")),
    }
}

fn few(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(value @ 1..=32) => Ok(value),
        _ => Err(format!("expected 1 to 32, found `{text}`")),
    }
}

fn watched(text: &str) -> Result<Watched, String> {
    Ok(match side(text)? {
        None => Watched::Both,
        Some(Side::Max) => Watched::Up,
        Some(Side::Min) => Watched::Down,
    })
}

fn side(text: &str) -> Result<Option<Side>, String> {
    match text {
        "both" => Ok(None),
        "up" => Ok(Some(Side::Max)),
        "down" => Ok(Some(Side::Min)),
        _ => Err(format!("expected `up`, `down` or `both`, found `{text}`")),
    }
}
