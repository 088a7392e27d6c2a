//! What an answer to a notice means, by what happens next.

use barograph_model::Timestamp;

/// What a try comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was taken.
    Sent,
    /// It may be taken later, after so many milliseconds if that was said.
    Again {
        /// Why not now.
        why: String,
        /// How long the receiver wants to be left alone, in milliseconds.
        after_ms: Option<i64>,
    },
    /// It will never be taken as it is.
    Refused(String),
}

/// The longest that a receiver may ask to be left alone, in milliseconds.
pub(crate) const AFTER_MS_MAX: i64 = 3_600_000;
/// How much of an answer is shown.
const SHOWN_CHARS: usize = 200;

/// Judges an answer: its status, its header `Retry-After` in seconds if there is one, and its body.
pub fn judge(status: u16, retry_after: Option<i64>, body: &[u8]) -> Verdict {
    let said = String::from_utf8_lossy(&body[..body.len().min(4 * SHOWN_CHARS)]);
    let said: String = said.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS).collect();
    let why =
        if said.is_empty() { format!("answered {status}") } else { format!("answered {status}: {said}") };
    // Slack and Telegram say in the body what they think, whatever the status.
    let document = (body.len() <= 64 << 10).then(|| serde_json::from_slice::<serde_json::Value>(body).ok());
    let document = document.flatten().unwrap_or_default();
    let seconds = document["parameters"]["retry_after"].as_i64().or(retry_after);
    let after_ms = seconds.map(|seconds| seconds.saturating_mul(1000).clamp(0, AFTER_MS_MAX));
    match status {
        200..300 if document["ok"] == false => match document["error"].as_str() {
            Some(
                "ratelimited" | "rate_limited" | "internal_error" | "fatal_error" | "service_unavailable",
            ) => Verdict::Again { why, after_ms },
            _ => Verdict::Refused(why),
        },
        200..300 => Verdict::Sent,
        408 | 429 | 500..600 => Verdict::Again { why, after_ms },
        _ => Verdict::Refused(why),
    }
}

/// Seconds for which a receiver wants to be left alone, of the header `Retry-After`: a number, or a time.
pub fn retry_after(text: &str, now: Timestamp) -> Option<i64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(seconds.max(0));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_second();
    Some(at.saturating_sub(now.millis().div_euclid(1000)).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged_by_what_to_do_next() {
        let again = |why: &str, after_ms| Verdict::Again { why: why.to_owned(), after_ms };
        assert_eq!(judge(202, None, b""), Verdict::Sent);
        assert_eq!(judge(200, None, b"ok"), Verdict::Sent);
        assert_eq!(judge(500, None, b"oh\n no"), again("answered 500: oh no", None));
        assert_eq!(judge(429, Some(7), b""), again("answered 429", Some(7_000)));
        assert_eq!(judge(429, Some(i64::MAX), b""), again("answered 429", Some(AFTER_MS_MAX)));
        assert_eq!(judge(404, None, b"no_service"), Verdict::Refused("answered 404: no_service".to_owned()));
        let telegram = br#"{"ok":false,"parameters":{"retry_after":3}}"#;
        assert!(matches!(judge(429, None, telegram), Verdict::Again { after_ms: Some(3_000), .. }));
        let slack = br#"{"ok":false,"error":"channel_not_found"}"#;
        assert!(matches!(judge(200, None, slack), Verdict::Refused(_)));
        assert!(matches!(judge(200, None, br#"{"ok":false,"error":"ratelimited"}"#), Verdict::Again { .. }));
        assert!(matches!(judge(301, None, b""), Verdict::Refused(_)));
    }

    #[test]
    fn a_wait_is_a_number_or_a_time() {
        let check = |text: &str, expected| assert_eq!(retry_after(text, Timestamp(1_000_000)), expected);
        check("120", Some(120));
        check("-3", Some(0));
        check("Thu, 01 Jan 1970 00:17:00 GMT", Some(20));
        check("soon", None);
    }
}
