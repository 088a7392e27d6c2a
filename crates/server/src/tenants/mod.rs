//! Tenants: whose data each request works with, what each tenant may have, and that nobody sees more than their own.
//!
//! Off unless `tenancy.enabled` says otherwise; then nothing here costs more than a look. Whoever lets a request in asks
//! `Tenants::of_request` and does the rest within (`scope`) what that says. Samples get the label of the tenant in
//! one place, [`Engine::append`](crate::Engine::append); everything is read through one other, [`Kept`]. What of the server is
//! for whom stands in one table (`routes`).
//!
//! The default tenant is that of the server itself: what it measures, scrapes and evaluates on its own account is there,
//! and what it says of itself is for that tenant alone.

mod choose;
mod instruments;
pub(crate) mod kept;
pub(crate) mod routes;
pub(crate) mod scope;
mod tenant;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use barograph_tenancy::Tenant;
use barograph_tsdb::OwnerLimits;

use crate::config::{TenancyConfig, TenantLimits};
use instruments::Instruments;
pub use kept::Kept;
pub(crate) use scope::Working;
pub(crate) use tenant::Known;

/// All tenants. Clones are the same.
#[derive(Clone)]
pub struct Tenants(Arc<Inner>);

struct Inner {
    on: bool,
    config: RwLock<TenancyConfig>,
    default: Arc<Known>,
    others: RwLock<BTreeMap<Arc<str>, Arc<Known>>>,
    /// Requests of tenants that there was no room for.
    unknown: AtomicU64,
    instruments: OnceLock<Instruments>,
}

/// There are as many tenants as there may be.
#[derive(Clone, Debug, thiserror::Error)]
#[error("there are {0} tenants, and no room for one more; tenancy.max in the configuration says how many")]
pub(crate) struct TooMany(usize);

impl Tenants {
    pub(crate) fn new(config: &TenancyConfig) -> Self {
        let default = Known::new(Tenant::DEFAULT, &config.default, config.limits_of(&config.default));
        let tenants = Self(Arc::new(Inner {
            on: config.enabled,
            config: RwLock::new(config.clone()),
            default: Arc::new(default),
            others: RwLock::default(),
            unknown: AtomicU64::new(0),
            instruments: OnceLock::new(),
        }));
        for name in config.tenants.keys().filter(|_| config.enabled) {
            // More than there may be are found when they come.
            let _ = tenants.known(name);
        }
        tenants
    }

    /// Whether there are any.
    pub(crate) fn is_on(&self) -> bool {
        self.0.on
    }

    /// The tenant of the server itself.
    pub(crate) fn default(&self) -> Arc<Known> {
        self.0.default.clone()
    }

    /// The tenant of a name, which may be new.
    ///
    /// # Errors
    /// There is no room, or no tenant can have this name; in words.
    pub(crate) fn known(&self, name: &str) -> Result<Arc<Known>, String> {
        if *self.0.default.name == *name {
            return Ok(self.default());
        }
        let others = self.0.others.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = others.get(name) {
            return Ok(known.clone());
        }
        drop(others);
        let tenant = Tenant::named(name).map_err(|error| error.to_string())?;
        let config = self.0.config.read().unwrap_or_else(PoisonError::into_inner);
        let mut others = self.0.others.write().unwrap_or_else(PoisonError::into_inner);
        if others.len() + 1 >= config.max && !others.contains_key(name) {
            self.0.unknown.fetch_add(1, Relaxed);
            return Err(TooMany(config.max).to_string());
        }
        let known = others.entry(name.into());
        Ok(known.or_insert_with(|| Arc::new(Known::new(tenant, name, config.limits_of(name)))).clone())
    }

    /// For whom a task of the server works that is set up for a tenant by name; without one for the server itself. Whom the
    /// configuration names has room.
    pub(crate) fn of_task(&self, name: Option<&str>) -> Option<Working> {
        let name = name.filter(|name| self.is_on() && **name != *self.0.default.name)?;
        let tenant = Tenant::named(name).ok()?;
        let config = self.0.config.read().unwrap_or_else(PoisonError::into_inner);
        let mut others = self.0.others.write().unwrap_or_else(PoisonError::into_inner);
        let known = others.entry(name.into());
        Some(Working(
            known.or_insert_with(|| Arc::new(Known::new(tenant, name, config.limits_of(name)))).clone(),
        ))
    }

    /// All tenants of which something was heard, the default one first.
    pub(crate) fn all(&self) -> Vec<Arc<Known>> {
        let others = self.0.others.read().unwrap_or_else(PoisonError::into_inner);
        std::iter::once(self.default()).chain(others.values().cloned()).collect()
    }

    /// Goes by other limits from now on; what the store holds series to.
    pub(crate) fn configure(&self, config: &TenancyConfig) -> OwnerLimits {
        let mut current = self.0.config.write().unwrap_or_else(PoisonError::into_inner);
        current.limits = config.limits;
        current.tenants.clone_from(&config.tenants);
        current.max = config.max;
        drop(current);
        self.all().iter().for_each(|known| known.limit(config.limits_of(&known.name)));
        self.series_limits()
    }

    /// How many series each tenant may have.
    pub(crate) fn series_limits(&self) -> OwnerLimits {
        let config = self.0.config.read().unwrap_or_else(PoisonError::into_inner);
        let most = |limits: TenantLimits| match limits.series {
            0 => usize::MAX,
            series => usize::try_from(series).unwrap_or(usize::MAX),
        };
        let named = config.tenants.iter().map(|(name, limits)| (name.clone(), most(*limits)));
        let mut named: BTreeMap<_, _> = named.filter(|(name, _)| *name != config.default).collect();
        // Its series have no label.
        named.insert(String::new(), most(config.limits_of(&config.default)));
        OwnerLimits { named, others: most(config.limits) }
    }

    /// Tenants that were refused because there was no room.
    pub(crate) fn refused(&self) -> u64 {
        self.0.unknown.load(Relaxed)
    }

    /// What the configuration says.
    pub(crate) fn max(&self) -> usize {
        self.0.config.read().unwrap_or_else(PoisonError::into_inner).max
    }

    /// Whose work this is, if there are tenants.
    pub(crate) fn working(&self) -> Option<Arc<Known>> {
        self.0.on.then(|| scope::working().map_or_else(|| self.default(), |working| working.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_are_so_many() {
        let config = TenancyConfig { enabled: true, max: 3, ..TenancyConfig::default() };
        let tenants = Tenants::new(&config);
        assert_eq!(tenants.known("default").unwrap().tenant, Tenant::DEFAULT);
        assert!(tenants.known("a").is_ok() && tenants.known("b").is_ok() && tenants.known("a").is_ok());
        assert!(tenants.known("c").unwrap_err().contains("tenancy.max"));
        assert!(tenants.known("a b").unwrap_err().contains("name of a tenant"));
        assert_eq!((tenants.refused(), tenants.all().len()), (1, 3));
    }

    #[test]
    fn the_default_tenant_is_limited_by_its_name() {
        let limits = |series| TenantLimits { series, ..TenantLimits::default() };
        let named = [("ops", limits(5)), ("a", limits(7))].map(|(name, limits)| (name.to_owned(), limits));
        let config = TenancyConfig {
            enabled: true,
            default: "ops".to_owned(),
            tenants: named.into(),
            limits: limits(9),
            ..TenancyConfig::default()
        };
        let tenants = Tenants::new(&config);
        let held = tenants.series_limits();
        assert_eq!((held.named.get(""), held.named.get("a"), held.others), (Some(&5), Some(&7), 9));
        assert_eq!(held.named.get("ops"), None);
        let held =
            tenants.configure(&TenancyConfig { limits: limits(1), tenants: BTreeMap::new(), ..config });
        assert_eq!((held.named.get(""), held.others), (Some(&1), 1));
    }
}
