//! Links in messages by which their reader acknowledges.
//!
//! There is one where it is known what this server is called from outside (`web.external_url`), and the notice says that an
//! incident is there. It is the same for each try of a notice, which may come up to a day after it was decided, and good for
//! a day after each.

use barograph_alert::notice::{Notice, Reason};
use barograph_model::Timestamp;

use crate::Engine;

const DAY_MS: i64 = 24 * 3_600_000;

/// What this server is called.
#[derive(Clone, Debug, Default)]
pub(crate) struct Called {
    /// How it is reached, without a slash at the end.
    pub(crate) url: String,
    /// Whether somebody said so; else it is the address at which it listens, which others may not reach.
    pub(crate) is_known: bool,
}

/// Where the incident of a notice can be acknowledged by whoever is told.
pub(super) fn ack_url(engine: &Engine, called: &Called, notice: &Notice) -> Option<String> {
    let asks = matches!(notice.reason, Reason::Group | Reason::Escalation);
    let fires = notice.alerts.iter().any(|alert| !alert.resolved(Timestamp(notice.at)));
    if !(called.is_known && asks && fires) {
        return None;
    }
    let incident = notice.incident.as_deref()?;
    let path =
        engine.incidents.link(incident, &notice.receiver, expires(notice.at, engine.clock.now().millis()));
    match path {
        Ok(path) => Some(format!("{}{}", called.url, path?)),
        Err(error) => {
            tracing::warn!(%error, "a message goes without a link to acknowledge");
            None
        }
    }
}

/// One to two days from now, and the same for a day.
fn expires(decided: i64, now: i64) -> i64 {
    let days = now.saturating_sub(decided).div_euclid(DAY_MS).max(0) + 2;
    decided.saturating_add(days.saturating_mul(DAY_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_the_same_for_each_try_and_good_for_a_day() {
        assert_eq!(expires(7, 7), 7 + 2 * DAY_MS);
        assert_eq!(expires(7, 6 + DAY_MS), 7 + 2 * DAY_MS);
        assert_eq!(expires(7, 7 + DAY_MS), 7 + 3 * DAY_MS);
        assert_eq!(expires(7, 0), 7 + 2 * DAY_MS);
    }
}
