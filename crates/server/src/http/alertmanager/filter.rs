//! What of the alerts is asked for: matchers, states, a receiver.

use barograph_alert::routing::{LabelSet, Matchers, MuteKind, MutedBy};
use barograph_model::{MatchOp, Matcher};

use super::Wrong;
use crate::http::Params;

/// Matchers that are given as `filter`, all of which must hold.
pub(super) fn matchers(params: &Params) -> Result<Matchers, Wrong> {
    params.all("filter").try_fold(Matchers::default(), |all, text| {
        let wrong = |why| Wrong::of(format!("bad matcher format: {text:?}: {why}"));
        Matchers::parse(text).map(|more| all.and(more)).map_err(wrong)
    })
}

/// A flag that holds unless it is `false`.
pub(super) fn unless_false(params: &Params, name: &'static str) -> Result<bool, Wrong> {
    match params.first(name) {
        None | Some("") => Ok(true),
        Some(text) => {
            text.parse().map_err(|_| Wrong::of(format!("{name} should be true or false, not {text:?}")))
        }
    }
}

/// Which alerts are asked for.
pub(super) struct Wanted {
    matchers: Matchers,
    receiver: Option<Matcher>,
    active: bool,
    silenced: bool,
    inhibited: bool,
    pub(super) muted: bool,
}

impl Wanted {
    pub(super) fn new(params: &Params) -> Result<Self, Wrong> {
        let receiver = params.first("receiver").filter(|text| !text.is_empty());
        let receiver = receiver.map(|text| {
            let wrong = |error| Wrong::of(format!("failed to parse receiver param: {error}"));
            Matcher::new("receiver", MatchOp::Regex, text).map_err(wrong)
        });
        // No alert here waits to be looked at, so this flag leaves nothing out.
        unless_false(params, "unprocessed")?;
        Ok(Self {
            matchers: matchers(params)?,
            receiver: receiver.transpose()?,
            active: unless_false(params, "active")?,
            silenced: unless_false(params, "silenced")?,
            inhibited: unless_false(params, "inhibited")?,
            muted: unless_false(params, "muted")?,
        })
    }

    /// Whether any of these receivers is asked for.
    pub(super) fn receiver<'a>(&self, mut names: impl Iterator<Item = &'a str>) -> bool {
        self.receiver.as_ref().is_none_or(|receiver| names.any(|name| receiver.matches(name)))
    }

    /// Whether an alert is asked for.
    pub(super) fn alert(&self, labels: &LabelSet, muted_by: &[MutedBy]) -> bool {
        let silenced = !ids(muted_by, &[MuteKind::Silence, MuteKind::Maintenance]).is_empty();
        let inhibited = !ids(muted_by, &[MuteKind::Inhibition]).is_empty();
        self.matchers.matches(labels)
            && (self.active || silenced || inhibited)
            && (self.silenced || !silenced)
            && (self.inhibited || !inhibited)
    }
}

/// The ids of what mutes, of some kinds.
pub(super) fn ids<'m>(muted_by: &'m [MutedBy], kinds: &[MuteKind]) -> Vec<&'m str> {
    muted_by.iter().filter(|by| kinds.contains(&by.kind)).map(|by| by.id.as_str()).collect()
}
