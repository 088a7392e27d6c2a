//! The threshold of consistent probability sampling, as OpenTelemetry's `tracestate` carries it.
//!
//! A trace has 56 random bits R. Who keeps it with probability p rejects R below T = (1 − p) · 2^56. All who take
//! part in a trace see the same R, so whoever has the lower threshold keeps all that one with a higher keeps: whole
//! traces survive, whatever the rates. What is kept stands for 2^56 / (2^56 − T).
//!
//! `th` spells T, `rv` spells R where the trace id's last 56 bits are not random. Source: OpenTelemetry
//! specification, "TraceState: Probability Sampling".

use std::fmt;

/// 2^56, one above the greatest R.
const ALL: u64 = 1 << 56;
const DIGITS: usize = 14;

/// The part of all traces that is rejected, of 2^56. One that exists rejects not everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Threshold(u64);

/// The random bits of a trace: below 2^56.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Randomness(u64);

impl Threshold {
    /// Nothing is rejected.
    pub const KEEP_ALL: Self = Self(0);

    /// The threshold that keeps with this probability, exact to 2^-56. `None` where less than one in 2^56 would
    /// be kept. Probabilities above 1 keep all.
    pub fn of(probability: f64) -> Option<Self> {
        let kept = (probability.clamp(0.0, 1.0) * ALL as f64).round();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 2^56")]
        (kept >= 1.0).then(|| Self(ALL - kept as u64))
    }

    /// The same with at most this many hexadecimal digits behind those that are all `f`, rounded to the nearest:
    /// a shorter text that is as precise for rare as for frequent. At least one digit is kept.
    #[must_use]
    pub fn rounded(self, digits: u32) -> Self {
        // Digits that are all ones carry no precision; the probability's exponent tells how many there are.
        let leading = (ALL - self.0).leading_zeros().saturating_sub(8) / 4;
        let digits = leading + digits.max(1);
        let cut = 4 * u32::try_from(DIGITS).unwrap_or(0).saturating_sub(digits);
        let half = if cut == 0 { 0 } else { 1 << (cut - 1) };
        let rounded = (self.0 + half) >> cut << cut;
        if rounded == ALL { self } else { Self(rounded) }
    }

    /// Reads the text of `th`: 1 to 14 lowercase hexadecimal digits, trailing zeros left out.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = (1..=DIGITS).contains(&text.len()) && text.bytes().all(is_digit);
        let value = digits.then(|| u64::from_str_radix(text, 16).ok())??;
        Some(Self(value << (4 * (DIGITS - text.len()))))
    }

    /// T itself.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// With which probability something is kept.
    pub fn probability(self) -> f64 {
        (ALL - self.0) as f64 / ALL as f64
    }

    /// How many one that is kept stands for.
    pub fn adjusted_count(self) -> f64 {
        ALL as f64 / (ALL - self.0) as f64
    }

    /// Whether a trace of this randomness is kept.
    pub fn keeps(self, randomness: Randomness) -> bool {
        randomness.0 >= self.0
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:014x}", self.0);
        let digits = text.trim_end_matches('0');
        f.write_str(if digits.is_empty() { "0" } else { digits })
    }
}

impl Randomness {
    /// The last 56 bits of a trace id.
    pub const fn of_trace(id: u128) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "the last 56 bits are meant")]
        Self(id as u64 & (ALL - 1))
    }

    /// Reads the text of `rv`: 14 lowercase hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == DIGITS && text.bytes().all(is_digit);
        digits.then(|| u64::from_str_radix(text, 16).ok())?.map(Self)
    }

    /// R itself.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:014x}", self.0)
    }
}

fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_have_a_text() {
        let check = |probability: f64, expected: &str| {
            let threshold = Threshold::of(probability).unwrap();
            assert_eq!(threshold.to_string(), expected);
            assert_eq!(Threshold::parse(expected), Some(threshold));
        };
        check(1.0, "0");
        check(2.0, "0");
        check(0.5, "8");
        check(0.25, "c");
        check(0.75, "4");
        check(1.0 / ALL as f64, "ffffffffffffff");
        assert_eq!([0.0, -1.0, f64::NAN, 1e-18].map(Threshold::of), [None; 4]);
        assert_eq!(["", "C", "0x1", "+1", "123456789abcdef"].map(Threshold::parse), [None; 5]);
    }

    #[test]
    fn randomness_has_fourteen_digits() {
        let trace = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
        let randomness = Randomness::of_trace(trace);
        assert_eq!(randomness.to_string(), "48eb211c80319c");
        assert_eq!(Randomness::parse("48eb211c80319c"), Some(randomness));
        assert_eq!(["48eb211c80319", "48eb211c80319cc", "48EB211c80319c"].map(Randomness::parse), [None; 3]);
    }

    #[test]
    fn rejects_below_the_threshold() {
        let threshold = Threshold::parse("8").unwrap();
        assert!(threshold.keeps(Randomness::parse("80000000000000").unwrap()));
        assert!(!threshold.keeps(Randomness::parse("7fffffffffffff").unwrap()));
        assert_eq!((threshold.probability(), threshold.adjusted_count()), (0.5, 2.0));
    }
}
