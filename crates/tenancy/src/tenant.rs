//! Whose data somebody works with.

use std::{fmt, sync::Arc};

use crate::SEPARATOR;

/// A longer name is refused.
pub const NAME_BYTES_MAX: usize = 64;

/// Whose data somebody works with. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(Option<Arc<str>>);

/// A name that no tenant can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name of a tenant has 1 to {NAME_BYTES_MAX} of: letters and digits of ASCII, `.`, `_`, `-`, `@`; the first is a letter or a digit"
)]
pub struct BadTenant;

impl Tenant {
    /// The tenant whose series have no label.
    pub const DEFAULT: Self = Self(None);

    /// Another tenant.
    ///
    /// # Errors
    /// No tenant can have this name.
    pub fn named(name: &str) -> Result<Self, BadTenant> {
        let fits = name.len() <= NAME_BYTES_MAX
            && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte));
        if fits { Ok(Self(Some(name.into()))) } else { Err(BadTenant) }
    }

    /// Its name; the default tenant has none here.
    pub fn name(&self) -> Option<&Arc<str>> {
        self.0.as_ref()
    }

    /// What the catalog calls a metric of this tenant; `None` for a name that would be one of another tenant.
    pub fn catalog_name(&self, metric: &str) -> Option<String> {
        if metric.contains(SEPARATOR) {
            return None;
        }
        Some(self.0.as_ref().map_or_else(|| metric.to_owned(), |name| format!("{name}{SEPARATOR}{metric}")))
    }

    /// The metric that the catalog calls so, if it is of this tenant.
    pub fn metric_of<'a>(&self, catalog_name: &'a str) -> Option<&'a str> {
        match (&self.0, catalog_name.split_once(SEPARATOR)) {
            (None, None) => Some(catalog_name),
            (Some(own), Some((name, metric))) if **own == *name => Some(metric),
            _ => None,
        }
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("default"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_metrics() {
        for bad in ["", "-a", "a b", "ä", "a|b", "a\u{1f}", &"a".repeat(65)] {
            assert_eq!(Tenant::named(bad), Err(BadTenant), "{bad}");
        }
        let a = Tenant::named("a").unwrap();
        let key = a.catalog_name("m").unwrap();
        assert_eq!(a.metric_of(&key), Some("m"));
        assert_eq!(Tenant::DEFAULT.metric_of(&key), None);
        assert_eq!(Tenant::named("b").unwrap().metric_of(&key), None);
        assert_eq!((a.metric_of("m"), Tenant::DEFAULT.metric_of("m")), (None, Some("m")));
        assert_eq!(Tenant::DEFAULT.catalog_name(&key), None, "nobody speaks for another");
    }
}
