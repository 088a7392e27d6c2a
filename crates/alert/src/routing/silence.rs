//! Silences: matchers that mute alerts for a while.
//!
//! A silence that is over stays as it is; one that is changed so that it would have muted something else ends, and another
//! takes its place. So what muted an alert can be found later, until it is older than silences are kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{LabelSet, MatcherDocument, Matchers};

/// Silences that are not over at most.
pub const SILENCES_MAX: usize = 10_000;
/// How long one that is over is kept, in milliseconds.
pub const SILENCE_KEPT: i64 = 120 * 3_600_000;

/// A silence as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Which one.
    pub id: String,
    /// What it mutes.
    pub matchers: Vec<MatcherDocument>,
    /// From when, in milliseconds since the epoch.
    pub starts_at: i64,
    /// Until when; this moment is not in it.
    pub ends_at: i64,
    /// When it was changed.
    pub updated_at: i64,
    /// Who made it.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// What else is told of it.
    #[serde(default)]
    pub annotations: LabelSet,
}

/// Where a silence is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SilenceState {
    /// It mutes.
    Active,
    /// It will.
    Pending,
    /// It did.
    Expired,
}

impl Silence {
    /// Where it is in its life.
    pub fn state(&self, now: i64) -> SilenceState {
        match (self.starts_at <= now, self.ends_at <= now) {
            (_, true) => SilenceState::Expired,
            (true, false) => SilenceState::Active,
            (false, false) => SilenceState::Pending,
        }
    }
}

/// Why a silence is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SilenceError {
    /// Something in it is wrong.
    #[error("{0}")]
    Invalid(String),
    /// There is none of that id.
    #[error("there is no silence {0}")]
    Unknown(String),
    /// It is over already.
    #[error("silence {0} is over already")]
    Expired(String),
    /// There are too many.
    #[error("there are {SILENCES_MAX} silences already; expire some")]
    TooMany,
}

/// All silences that are kept, with their matchers compiled.
#[derive(Clone, Debug, Default)]
pub struct Silences(BTreeMap<String, (Silence, Matchers)>);

impl Silences {
    /// Those that were kept. What cannot be read any more is left out.
    pub fn restore(kept: impl IntoIterator<Item = Silence>) -> Self {
        let compiled = |silence: Silence| {
            let matchers = Matchers::of_documents(&silence.matchers).ok()?;
            Some((silence.id.clone(), (silence, matchers)))
        };
        Self(kept.into_iter().filter_map(compiled).collect())
    }

    /// Makes or changes a silence: its id and all that is to be kept. `fresh` is the id of one that is made.
    ///
    /// # Errors
    /// See [`SilenceError`]; nothing changed.
    pub fn set(
        &mut self,
        mut wanted: Silence,
        fresh: String,
        now: i64,
    ) -> Result<(String, Vec<Silence>), SilenceError> {
        let invalid = |text: &str| Err(SilenceError::Invalid(text.to_owned()));
        let matchers = Matchers::of_documents(&wanted.matchers).map_err(SilenceError::Invalid)?;
        if matchers.all().is_empty() {
            return invalid("a silence needs at least one matcher");
        }
        if !matchers.is_selective() {
            return invalid("at least one matcher must not match the empty text, or all would be silent");
        }
        if wanted.ends_at <= wanted.starts_at {
            return invalid("a silence ends after it starts");
        }
        if wanted.ends_at <= now {
            return invalid("a silence ends in the future");
        }
        wanted.matchers = matchers.documents();
        wanted.updated_at = now;
        let mut changed = Vec::new();
        if !wanted.id.is_empty() {
            let Some((before, _)) = self.0.get(&wanted.id) else {
                return Err(SilenceError::Unknown(wanted.id));
            };
            let same = before.matchers == wanted.matchers;
            let state = before.state(now);
            let in_place = same
                && match state {
                    SilenceState::Active => before.starts_at == wanted.starts_at,
                    SilenceState::Pending => wanted.starts_at >= now,
                    SilenceState::Expired => false,
                };
            if in_place {
                let id = wanted.id.clone();
                self.0.insert(id.clone(), (wanted.clone(), matchers));
                return Ok((id, vec![wanted]));
            }
            if state != SilenceState::Expired {
                let mut ended = before.clone();
                ended.end(now);
                changed.push(ended);
            }
        }
        let alive = self.0.values().filter(|(silence, _)| silence.ends_at > now).count();
        if alive >= SILENCES_MAX && changed.is_empty() {
            return Err(SilenceError::TooMany);
        }
        for ended in &changed {
            if let Some((silence, _)) = self.0.get_mut(&ended.id) {
                silence.clone_from(ended);
            }
        }
        wanted.id.clone_from(&fresh);
        wanted.starts_at = wanted.starts_at.max(now);
        self.0.insert(fresh.clone(), (wanted.clone(), matchers));
        changed.push(wanted);
        Ok((fresh, changed))
    }

    /// Ends a silence; as it is to be kept.
    ///
    /// # Errors
    /// It is not there, or over.
    pub fn expire(&mut self, id: &str, now: i64) -> Result<Silence, SilenceError> {
        let (silence, _) = self.0.get_mut(id).ok_or_else(|| SilenceError::Unknown(id.to_owned()))?;
        if silence.state(now) == SilenceState::Expired {
            return Err(SilenceError::Expired(id.to_owned()));
        }
        silence.end(now);
        Ok(silence.clone())
    }

    /// Forgets those that were over for long; their ids.
    pub fn prune(&mut self, now: i64) -> Vec<String> {
        let old = |(id, (silence, _)): (&String, &(Silence, Matchers))| {
            (silence.ends_at.saturating_add(SILENCE_KEPT) <= now).then(|| id.clone())
        };
        let old: Vec<_> = self.0.iter().filter_map(old).collect();
        old.iter().for_each(|id| drop(self.0.remove(id)));
        old
    }

    /// Puts back what was before a change that could not be kept.
    pub fn undo(&mut self, before: Self) {
        *self = before;
    }

    /// One of them.
    pub fn one(&self, id: &str) -> Option<&Silence> {
        self.0.get(id).map(|(silence, _)| silence)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Silence> {
        self.0.values().map(|(silence, _)| silence)
    }

    /// Those that mute an alert with these labels.
    pub fn of<'a>(&'a self, labels: &'a LabelSet, now: i64) -> impl Iterator<Item = &'a Silence> {
        let mutes = move |(silence, matchers): &&(Silence, Matchers)| {
            silence.state(now) == SilenceState::Active && matchers.matches(labels)
        };
        self.0.values().filter(mutes).map(|(silence, _)| silence)
    }
}

impl Silence {
    fn end(&mut self, now: i64) {
        self.starts_at = self.starts_at.min(now);
        self.ends_at = now;
        self.updated_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence(id: &str, text: &str, starts_at: i64, ends_at: i64) -> Silence {
        Silence {
            id: id.to_owned(),
            matchers: Matchers::parse(text).unwrap().documents(),
            starts_at,
            ends_at,
            updated_at: 0,
            created_by: "ann".to_owned(),
            comment: "because".to_owned(),
            annotations: LabelSet::new(),
        }
    }

    #[test]
    fn a_change_that_rewrites_the_past_makes_another() {
        let mut all = Silences::default();
        let mut set = |silence, fresh: &str, now| all.set(silence, fresh.to_owned(), now).map(|(id, _)| id);
        assert_eq!(set(silence("", "a=1", 5, 100), "x", 10), Ok("x".to_owned()));
        assert_eq!(set(silence("x", "a=1", 10, 200), "y", 20), Ok("x".to_owned()));
        assert_eq!(set(silence("x", "a=2", 10, 200), "y", 30), Ok("y".to_owned()));
        assert_eq!(set(silence("z", "a=2", 10, 200), "w", 30), Err(SilenceError::Unknown("z".to_owned())));
        for wrong in ["a=~.*", "a="] {
            assert!(matches!(set(silence("", wrong, 10, 200), "w", 30), Err(SilenceError::Invalid(_))));
        }
        assert!(matches!(set(silence("", "a=1", 5, 25), "w", 30), Err(SilenceError::Invalid(_))));
        let ends: Vec<_> =
            all.all().map(|silence| (silence.id.as_str(), silence.starts_at, silence.ends_at)).collect();
        assert_eq!(ends, [("x", 10, 30), ("y", 30, 200)]);
        let labels = LabelSet::from([("a".to_owned(), "2".to_owned())]);
        assert_eq!(all.of(&labels, 199).count(), 1);
        assert_eq!(all.of(&labels, 200).count(), 0);
        assert!(all.expire("y", 40).is_ok());
        assert_eq!(all.expire("y", 41), Err(SilenceError::Expired("y".to_owned())));
        assert_eq!(all.prune(30 + SILENCE_KEPT), ["x"]);
    }
}
