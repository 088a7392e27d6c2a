//! Consistent probability sampling: all who take part in a trace decide alike.
//!
//! What was decided travels in `tracestate`, in the entry `ot`: `th` is the threshold with which the trace was
//! kept so far, `rv` its randomness if that is not in the trace id. Who comes later may keep less of it, by a higher
//! threshold, never more.

use std::fmt;

use super::{Randomness, SamplingInfo, Threshold};

/// The most bytes of the value of a `tracestate` entry.
const VALUE_BYTES_MAX: usize = 256;

/// The value of the entry `ot` of a `tracestate`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtState {
    /// The threshold that the trace passed so far.
    pub threshold: Option<Threshold>,
    /// The randomness of the trace, where it is told apart from the trace id.
    pub randomness: Option<Randomness>,
    /// Other fields as they came, `key:value` each.
    others: Vec<String>,
}

impl OtState {
    /// Reads `key:value` fields with `;` between them. A `th` or `rv` that cannot be read is as if it were not there;
    /// other fields are kept.
    pub fn parse(value: &str) -> Self {
        let mut state = Self::default();
        for field in value.split(';').filter(|_| value.len() <= VALUE_BYTES_MAX) {
            match field.split_once(':') {
                Some(("th", text)) => state.threshold = Threshold::parse(text),
                Some(("rv", text)) => state.randomness = Randomness::parse(text),
                Some(_) => state.others.push(field.to_owned()),
                None => {}
            }
        }
        state
    }

    /// The randomness that decides about a trace.
    pub fn randomness_of(&self, trace: u128) -> Randomness {
        self.randomness.unwrap_or(Randomness::of_trace(trace))
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for OtState {
    /// As it stands in `tracestate`. Fields of others are left out from the end where it would be too long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threshold = self.threshold.map(|threshold| format!("th:{threshold}"));
        let randomness = self.randomness.map(|randomness| format!("rv:{randomness}"));
        let mut written = 0;
        for field in threshold.into_iter().chain(randomness).chain(self.others.iter().cloned()) {
            let separator = if written == 0 { "" } else { ";" };
            if written + separator.len() + field.len() > VALUE_BYTES_MAX {
                break;
            }
            write!(f, "{separator}{field}")?;
            written += separator.len() + field.len();
        }
        Ok(())
    }
}

/// Keeps a share of all traces, the same ones that others with at least that share keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConsistentSampler(Threshold);

impl ConsistentSampler {
    /// One that keeps with this probability, in four digits of precision.
    pub fn new(probability: f64) -> Option<Self> {
        Threshold::of(probability).map(|threshold| Self(threshold.rounded(4)))
    }

    /// One that keeps all.
    pub const ALL: Self = Self(Threshold::KEEP_ALL);

    /// One with this threshold.
    pub const fn with_threshold(threshold: Threshold) -> Self {
        Self(threshold)
    }

    /// Decides about a trace; `state` is then what to send on. The threshold that results is the higher of ours and
    /// the one that came in; `None` means not kept, and that no threshold is known any more.
    ///
    /// One that came in and that the trace does not pass was not told the truth about, so it is not believed.
    pub fn decide(&self, trace: u128, state: &mut OtState) -> Option<SamplingInfo> {
        let randomness = state.randomness_of(trace);
        let came = state.threshold.filter(|threshold| threshold.keeps(randomness));
        let threshold = came.unwrap_or(Threshold::KEEP_ALL).max(self.0);
        let kept = threshold.keeps(randomness);
        state.threshold = kept.then_some(threshold);
        kept.then(|| SamplingInfo::of_threshold(threshold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_survive_reading() {
        let check = |value: &str, expected: &str| assert_eq!(OtState::parse(value).to_string(), expected);
        check("th:c;rv:48eb211c80319c", "th:c;rv:48eb211c80319c");
        check("rv:48eb211c80319c;p:8;th:c", "th:c;rv:48eb211c80319c;p:8");
        check("th:zz;x:y:z", "x:y:z");
        check("nonsense", "");
        check(&format!("x:{}", "a".repeat(300)), "");
        let many = (0..9).map(|i| format!("k{i}:{}", "v".repeat(24))).collect::<Vec<_>>().join(";");
        let mut long = OtState::parse(&many);
        long.threshold = Threshold::parse("c");
        long.randomness = Randomness::parse("48eb211c80319c");
        assert!(long.to_string().len() <= VALUE_BYTES_MAX && long.to_string().ends_with('v'));
    }

    #[test]
    fn thresholds_only_rise() {
        let check = |ours: f64, came: &str, expected: Option<&str>| {
            let mut state = OtState::parse(came);
            let kept = ConsistentSampler::new(ours).unwrap().decide(0, &mut state);
            assert_eq!(state.threshold.map(|threshold| threshold.to_string()).as_deref(), expected, "{came}");
            assert_eq!(kept.is_some(), expected.is_some());
        };
        check(0.5, "rv:d0000000000000;th:c", Some("c"));
        check(0.25, "rv:d0000000000000;th:8", Some("c"));
        check(0.25, "rv:b0000000000000;th:8", None);
        check(0.5, "rv:d0000000000000", Some("8"));
        // It cannot have passed a threshold above its own randomness.
        check(0.5, "rv:d0000000000000;th:f", Some("8"));
        check(0.5, "", None);
    }
}
