//! Attributes: the string pairs that say of whom or of what a record is.

use std::{fmt, sync::Arc};

use crate::metric::VALUE_BYTES_MAX;

/// The most attributes of one scope or record; what is set beyond them is left out.
pub const ATTRIBUTES_MAX: usize = 64;

/// A small map of strings, ordered by name. Clones share their pairs, so a clone costs one count.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
#[doc(alias = "ContextAttributes")]
pub struct Attributes(Arc<Vec<Pair>>);

type Pair = (Box<str>, Box<str>);

impl Attributes {
    /// No attributes.
    pub fn new() -> Self {
        Self::default()
    }

    /// These and one more, in place of an earlier one of that name.
    #[must_use = "the attributes are returned"]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// Sets one attribute. An empty value takes it away; one of more than 4,096 bytes is cut; the 65th attribute is
    /// left out.
    pub fn set(&mut self, name: &str, value: &str) {
        let place = self.place(name);
        let value = &value[..value.floor_char_boundary(VALUE_BYTES_MAX)];
        let pairs = Arc::make_mut(&mut self.0);
        match place {
            Ok(at) if value.is_empty() => _ = pairs.remove(at),
            Ok(at) => pairs[at].1 = value.into(),
            Err(at) if !value.is_empty() && pairs.len() < ATTRIBUTES_MAX => {
                pairs.insert(at, (name.into(), value.into()));
            }
            Err(_) => {}
        }
    }

    /// The value of an attribute.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.place(name).ok().map(|at| &*self.0[at].1)
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These with those of `inner`, which win where both have a name.
    #[must_use = "the attributes are returned"]
    pub fn under(&self, inner: &Self) -> Self {
        if self.is_empty() {
            return inner.clone();
        }
        inner.iter().fold(self.clone(), |all, (name, value)| all.with(name, value))
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(name))
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let add = |all: Self, (name, value): (N, V)| all.with(name.as_ref(), value.as_ref());
        pairs.into_iter().fold(Self::new(), add)
    }
}

impl<N: AsRef<str>, V: AsRef<str>, const K: usize> From<[(N, V); K]> for Attributes {
    fn from(pairs: [(N, V); K]) -> Self {
        pairs.into_iter().collect()
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_ordered_and_set_once() {
        let attributes = Attributes::from([("b", "1"), ("a", "2"), ("b", "3"), ("c", "")]);
        assert_eq!(attributes.iter().collect::<Vec<_>>(), [("a", "2"), ("b", "3")]);
        assert_eq!((attributes.get("b"), attributes.get("c"), attributes.len()), (Some("3"), None, 2));
        assert_eq!(attributes.with("a", "").len(), 1);
    }

    #[test]
    fn the_inner_one_wins() {
        let outer = Attributes::from([("a", "1"), ("b", "1")]);
        let both = outer.under(&Attributes::from([("b", "2"), ("c", "2")]));
        assert_eq!(both, Attributes::from([("a", "1"), ("b", "2"), ("c", "2")]));
    }

    #[test]
    fn are_bounded() {
        let many: Attributes = (0..100).map(|i| (format!("n{i}"), "é".repeat(3_000))).collect();
        assert_eq!(many.len(), ATTRIBUTES_MAX);
        assert_eq!(many.get("n1").map(str::len), Some(VALUE_BYTES_MAX));
    }
}
