//! The keys of a rule under `version`.

use barograph_analyze::comparison::{Better, Looks, Settings};
use barograph_yaml::section::{Findings, Section, text};

use super::{
    read::{WINDOW_MAX_MS, between, expr, millis},
    version::{Compared, LABEL, Outdated, Pattern, Version},
};

/// Values from one end of what is looked at to the other, at most.
const STEPS_MAX: i64 = 11_000;
/// Values of a window at least, which is as many as a verdict takes, and at most.
const WINDOW_STEPS: std::ops::RangeInclusive<i64> = 30..=5_000;
/// Patterns of one rule at most.
const PATTERNS_MAX: usize = 100;
/// Labels of strata at most.
const STRATA_MAX: usize = 20;
/// Longer names of versions are none.
const NAME_BYTES_MAX: usize = 256;
/// Of what is compared, of shares instead of values.
const BOUND_OF_SHARES: f64 = 0.01;

const MINUTE_MS: i64 = 60_000;

/// How versions are compared if nothing else is said.
pub(super) fn compared() -> Compared {
    Compared {
        label: LABEL.to_owned(),
        baseline: None,
        window_ms: 360 * MINUTE_MS,
        look_back_ms: 1_440 * MINUTE_MS,
        every_ms: MINUTE_MS,
        settings: Settings { looks: Looks::Always, ..Settings::default() },
        strata: Vec::new(),
        of: None,
    }
}

/// What differences do not matter if nothing else is said.
pub(super) const fn bound(shares: bool, usual: f64) -> f64 {
    if shares { BOUND_OF_SHARES } else { usual }
}

/// Keys that only rules have which compare.
const OF_COMPARED: [&str; 9] =
    ["baseline", "window", "look_back", "every", "direction", "bound", "alpha", "strata", "of"];

pub(super) fn read_version(section: &mut Section<'_>, findings: &mut Findings) -> Option<Version> {
    let label = section.value("label", name, findings).unwrap_or_else(|| LABEL.to_owned());
    let at_least = section.value("at_least", name, findings);
    let deprecated =
        section.values("deprecated", |text| Pattern::new(text).map_err(|error| error.to_string()), findings);
    let outdated = section.node("at_least").is_some() || section.node("deprecated").is_some();
    let compares = OF_COMPARED.into_iter().find(|key| section.node(key).is_some());
    let rule = read_compared(label.clone(), section, findings);
    match (outdated, compares) {
        (true, Some(key)) => {
            let message = format!(
                "`{key}` compares versions, and `at_least` and `deprecated` say which are not to be used; write two rules"
            );
            findings.add(section.place_of(key), message);
            None
        }
        (true, None) => {
            if deprecated.len() > PATTERNS_MAX {
                let message = format!("`deprecated` has at most {PATTERNS_MAX} patterns; join some by `|`");
                findings.add(section.place_of("deprecated"), message);
            }
            Some(Version::Outdated(Outdated { label, at_least, deprecated }))
        }
        (false, Some(_)) => Some(Version::Compared(rule)),
        (false, None) => {
            let message =
                "`version` needs `baseline`, as `baseline: previous`, or `at_least`, or `deprecated`";
            findings.add(section.place, message);
            None
        }
    }
}

fn read_compared(label: String, section: &mut Section<'_>, findings: &mut Findings) -> Compared {
    let mut rule = Compared { label, ..compared() };
    rule.baseline = section.value("baseline", name, findings).filter(|name| name != PREVIOUS);
    section.set("window", &mut rule.window_ms, |text| millis(text, WINDOW_MAX_MS), findings);
    rule.look_back_ms = rule.look_back_ms.max(rule.window_ms.saturating_mul(2)).min(WINDOW_MAX_MS);
    section.set("look_back", &mut rule.look_back_ms, |text| millis(text, WINDOW_MAX_MS), findings);
    section.set("every", &mut rule.every_ms, |text| millis(text, WINDOW_MAX_MS), findings);
    section.set("direction", &mut rule.settings.better, better, findings);
    rule.of = section.value("of", expr, findings);
    rule.settings.bound = bound(rule.of.is_some(), rule.settings.bound);
    section.set("bound", &mut rule.settings.bound, |text| between(text, 1e-6, 1e6), findings);
    section.set("alpha", &mut rule.settings.alpha, |text| between(text, 1e-9, 0.5), findings);
    rule.strata = section.values("strata", name, findings);
    if rule.strata.len() > STRATA_MAX {
        findings.add(section.place_of("strata"), format!("`strata` has at most {STRATA_MAX} labels"));
    }
    if !WINDOW_STEPS.contains(&(rule.window_ms / rule.every_ms)) {
        let message = format!(
            "`window` should hold {} to {} values, one `every` so often; with these it holds {}",
            WINDOW_STEPS.start(),
            WINDOW_STEPS.end(),
            rule.window_ms / rule.every_ms
        );
        findings.add(section.place_of("window"), message);
    }
    if rule.look_back_ms < rule.window_ms {
        findings.add(section.place_of("look_back"), "`look_back` should be at least as long as `window`");
    }
    if rule.look_back_ms / rule.every_ms > STEPS_MAX {
        let message = format!("`look_back` has more than {STEPS_MAX} values; make `every` longer");
        findings.add(section.place_of("look_back"), message);
    }
    rule
}

/// What the version before the newest is called.
pub(super) const PREVIOUS: &str = "previous";

fn better(text: &str) -> Result<Better, String> {
    match text {
        "lower_is_better" => Ok(Better::Lower),
        "higher_is_better" => Ok(Better::Higher),
        _ => Err(format!("expected `lower_is_better` or `higher_is_better`, found `{text}`")),
    }
}

fn name(given: &str) -> Result<String, String> {
    match given.len() {
        1..=NAME_BYTES_MAX => text(given),
        _ => Err(format!("expected 1 to {NAME_BYTES_MAX} bytes, found {}", given.len())),
    }
}
