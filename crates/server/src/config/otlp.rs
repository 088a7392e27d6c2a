//! The section `otlp`: how metrics of OpenTelemetry become series. Its keys are those of `prometheus.yml`, and two of ours
//! about points of delta temporality.

use std::time::Duration;

use barograph_wire::otlp::{
    Strategy,
    metrics::{DeltaLimits, Promote, Settings},
};

use super::{
    Query,
    section::{Findings, Section, boolean, text},
    settings::{positive_duration, positive_size},
    tree::Node,
};

/// The section `otlp`.
#[derive(Clone, Debug, PartialEq)]
pub struct Otlp {
    /// How names and labels are made.
    pub settings: Settings,
    /// What the totals of series of delta temporality may take in memory; 64 MiB by default.
    pub delta_bytes: u64,
    /// After how long without a point such a total is forgotten; an hour by default.
    pub delta_expiry: Duration,
}

impl Default for Otlp {
    fn default() -> Self {
        Self { settings: Settings::default(), delta_bytes: 64 << 20, delta_expiry: Duration::from_secs(3600) }
    }
}

impl Otlp {
    /// The limits of totals.
    pub(crate) fn deltas(&self) -> DeltaLimits {
        DeltaLimits {
            bytes: usize::try_from(self.delta_bytes).unwrap_or(usize::MAX),
            expiry_ms: i64::try_from(self.delta_expiry.as_millis()).unwrap_or(i64::MAX),
        }
    }
}

pub(super) fn read_otlp(node: &Node, query: &Query, findings: &mut Findings) -> Otlp {
    let mut otlp = Otlp::default();
    let settings = &mut otlp.settings;
    // Twice within the lookback, so that every query finds it.
    settings.target_info_ms = i64::try_from(query.lookback.as_millis() / 2).unwrap_or(i64::MAX);
    let mut section = Section::open(node, "`otlp`", findings);
    section.set("translation_strategy", &mut settings.strategy, strategy, findings);
    let keeping = "keep_identifying_resource_attributes";
    section.set(keeping, &mut settings.keep_identifying, boolean, findings);
    section.set("convert_histograms_to_nhcb", &mut settings.custom_bounds, boolean, findings);
    section.set("promote_scope_metadata", &mut settings.scope_labels, boolean, findings);
    section.set("label_name_underscore_sanitization", &mut settings.mark_underscore, boolean, findings);
    let runs = "label_name_preserve_multiple_underscores";
    section.set(runs, &mut settings.keep_underscore_runs, boolean, findings);
    let all = section.value("promote_all_resource_attributes", boolean, findings).unwrap_or(false);
    let named = section.values("promote_resource_attributes", attribute, findings);
    let ignored = section.values("ignore_resource_attributes", attribute, findings);
    if all && !named.is_empty() {
        let place = section.place_of("promote_resource_attributes");
        findings.add(
            place,
            "`promote_resource_attributes` says nothing beside `promote_all_resource_attributes`",
        );
    }
    if !all && !ignored.is_empty() {
        let place = section.place_of("ignore_resource_attributes");
        findings.add(place, "`ignore_resource_attributes` needs `promote_all_resource_attributes: true`");
    }
    settings.promote = if all { Promote::AllBut(ignored) } else { Promote::Named(named) };
    section.set("delta_bytes", &mut otlp.delta_bytes, positive_size, findings);
    section.set("delta_expiry", &mut otlp.delta_expiry, positive_duration, findings);
    section.finish(&[], findings);
    otlp
}

fn strategy(text: &str) -> Result<Strategy, String> {
    let found = Strategy::ALL.into_iter().find(|strategy| strategy.as_str() == text);
    found.ok_or_else(|| {
        let all = Strategy::ALL.map(Strategy::as_str).join(", ");
        format!("expected one of {all}, not `{text}`")
    })
}

fn attribute(key: &str) -> Result<String, String> {
    if key.is_empty() { Err("expected the key of an attribute".to_owned()) } else { text(key) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn read(text: &str) -> Result<Otlp, String> {
        let read = Config::parse(text, "t.yml", Path::new(""), []);
        read.map(|config| config.otlp).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_are_those_of_prometheus() {
        assert_eq!(read("").unwrap(), Otlp::default());
        let text = "otlp:\n  translation_strategy: NoTranslation\n  promote_all_resource_attributes: true\n  \
                    ignore_resource_attributes: [a.b]\n  convert_histograms_to_nhcb: true\n  delta_expiry: 5m\n";
        let otlp = read(text).unwrap();
        assert_eq!(otlp.settings.strategy, Strategy::Untouched);
        assert_eq!(otlp.settings.promote, Promote::AllBut(vec!["a.b".to_owned()]));
        assert!(otlp.settings.custom_bounds);
        assert_eq!(otlp.delta_expiry, Duration::from_secs(300));
        let named = read("otlp: {promote_resource_attributes: [x]}").unwrap();
        assert_eq!(named.settings.promote, Promote::Named(vec!["x".to_owned()]));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let check = |text: &str, expected: &str| {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check("otlp: {translation_strategy: x}", "expected one of UnderscoreEscapingWithSuffixes");
        check("otlp: {ignore_resource_attributes: [a]}", "needs `promote_all_resource_attributes: true`");
        check(
            "otlp: {promote_all_resource_attributes: true, promote_resource_attributes: [a]}",
            "says nothing beside",
        );
    }
}
