//! An alert as it is routed, whoever raised it.

use std::{collections::BTreeMap, fmt};

use barograph_model::Timestamp;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// Labels or annotations, by name.
pub type LabelSet = BTreeMap<String, String>;

/// What tells alerts apart: a hash of their sorted labels, the same on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// The fingerprint of labels.
    pub fn of(labels: &LabelSet) -> Self {
        let mut hash = Xxh3::new();
        for (name, value) in labels {
            // Neither a name nor a value holds this byte, as both are UTF-8.
            for text in [name, value] {
                hash.update(text.as_bytes());
                hash.update(&[0xff]);
            }
        }
        Self(hash.digest())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// How bad it is, as the label `severity` says. Ordered from good to bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nobody needs to act.
    Info,
    /// Somebody should act in working hours; what an alert is that does not say.
    #[default]
    Warning,
    /// Somebody must act now.
    Critical,
}

impl Severity {
    /// What labels say.
    pub fn of(labels: &LabelSet) -> Self {
        match labels.get("severity").map(String::as_str) {
            Some("info" | "none" | "notice" | "debug") => Self::Info,
            Some("critical" | "page" | "error" | "fatal" | "emergency") => Self::Critical,
            _ => Self::Warning,
        }
    }

    /// As documents call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// One alert, firing or over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// What it is; `alertname` among them.
    pub labels: LabelSet,
    /// What is told of it besides.
    #[serde(default)]
    pub annotations: LabelSet,
    /// Since when it fires, in milliseconds since the epoch.
    pub starts_at: i64,
    /// When it ends or ended; `None` is not known. Of one that has to be refreshed, when it ends without.
    #[serde(default)]
    pub ends_at: Option<i64>,
    /// Whether `ends_at` is only what follows if nobody refreshes it.
    #[serde(default)]
    pub timeout: bool,
    /// When it was told last.
    pub updated_at: i64,
    /// Where one can see what raised it.
    #[serde(default)]
    pub generator_url: String,
    /// What a rule of ours knows of it besides; `None` of those that were posted.
    #[serde(default)]
    pub cause: Option<Cause>,
}

/// What a rule of ours knows of an alert besides its labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// Which rule: its file, group and place in it, or its id.
    pub rule: String,
    /// Of which kind the rule is: `threshold`, `anomaly`, `trend`, `correlation`, `health` or `version`.
    pub kind: String,
    /// What was found last.
    pub value: Option<f64>,
    /// What it was held against.
    pub threshold: Option<f64>,
    /// What the rule found, as its kind tells it.
    pub evidence: Option<serde_json::Value>,
    /// Who is asked next if nobody acknowledges: the name of a policy; `None` is what the route says.
    pub escalation: Option<String>,
}

impl Alert {
    /// What tells it apart.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.labels)
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        self.labels.get("alertname").map_or("", String::as_str)
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        Severity::of(&self.labels)
    }

    /// Whether it is a heartbeat: its severity is `none`, and nobody has to do anything while it fires.
    pub fn says_all_is_well(&self) -> bool {
        self.labels.get("severity").is_some_and(|severity| severity == "none")
    }

    /// It as it is over at a time, as its rule says.
    #[must_use]
    pub fn ended(self, at: i64) -> Self {
        Self { ends_at: Some(at), timeout: false, updated_at: at, ..self }
    }

    /// Whether it is over at a time.
    pub fn resolved(&self, now: Timestamp) -> bool {
        self.ends_at.is_some_and(|end| end <= now.millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> LabelSet {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_fingerprint_knows_where_a_label_ends() {
        let of = |pairs| Fingerprint::of(&labels(pairs));
        assert_eq!(of(&[("a", "1"), ("b", "2")]), of(&[("b", "2"), ("a", "1")]));
        assert_ne!(of(&[("a", "bc")]), of(&[("ab", "c")]));
        assert_eq!(of(&[]).to_string().len(), 16);
    }

    #[test]
    fn severity_is_what_the_label_says() {
        let of = |value| Severity::of(&labels(&[("severity", value)]));
        assert_eq!(
            [of("page"), of("odd"), of("info")],
            [Severity::Critical, Severity::Warning, Severity::Info]
        );
        assert_eq!(Severity::of(&LabelSet::new()), Severity::Warning);
    }
}
