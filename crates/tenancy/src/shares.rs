//! Places at work, shared evenly by those who want some.
//!
//! While only one tenant asks it may have all places. As soon as another does, each has its even share of them, so whoever
//! asks for a hundred times its share takes no place of somebody else. A tenant counts as asking for a while after it did.

use std::{collections::HashMap, time::Duration};

use crate::Tenant;

/// So long after its last request a tenant still has a share.
const ASKING: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug, Default)]
pub struct Shares {
    tenants: HashMap<Tenant, Held>,
}

#[derive(Debug, Default)]
struct Held {
    places: usize,
    asked: Duration,
}

impl Shares {
    /// Takes a place of `all` for a tenant; whether it has room in its share.
    pub fn take(&mut self, tenant: &Tenant, all: usize, now: Duration) -> bool {
        self.tenants.entry(tenant.clone()).or_default().asked = now;
        self.tenants.retain(|_, held| held.places > 0 || now.saturating_sub(held.asked) < ASKING);
        let share = if self.tenants.len() < 2 { usize::MAX } else { (all / self.tenants.len()).max(1) };
        let Some(held) = self.tenants.get_mut(tenant) else { return false };
        let room = held.places < share;
        held.places += usize::from(room);
        room
    }

    /// Gives a place back.
    pub fn give(&mut self, tenant: &Tenant) {
        if let Some(held) = self.tenants.get_mut(tenant) {
            held.places = held.places.saturating_sub(1);
        }
    }

    /// How many places a tenant has.
    pub fn held(&self, tenant: &Tenant) -> usize {
        self.tenants.get(tenant).map_or(0, |held| held.places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> Tenant {
        Tenant::named(name).unwrap()
    }

    #[test]
    fn one_has_all_and_two_have_half() {
        let (mut shares, now) = (Shares::default(), Duration::from_secs(1));
        let taken = (0..20).filter(|_| shares.take(&tenant("a"), 10, now)).count();
        assert_eq!(taken, 20, "how many there are in all is not counted here");
        assert!(shares.take(&tenant("b"), 10, now));
        assert!(!shares.take(&tenant("a"), 10, now));
        (0..16).for_each(|_| shares.give(&tenant("a")));
        assert!(shares.take(&tenant("a"), 10, now));
        assert!(!shares.take(&tenant("a"), 10, now));
        shares.give(&tenant("b"));
        let later = now + ASKING;
        assert!(shares.take(&tenant("a"), 10, later), "nobody else asks any more");
    }

    /// Each tick eight places do one request each. One tenant sends a hundred times its share; what becomes of the others'
    /// requests with it and without it.
    #[test]
    fn a_flood_takes_nothing_from_others() {
        let served = |flood: usize| {
            let (mut shares, all) = (Shares::default(), 8);
            let mut served = 0;
            for tick in 0..1_000 {
                let now = Duration::from_millis(tick * 100);
                let others = ["x", "y", "z", "x", "y", "z"];
                let mut taken = Vec::new();
                // The flood comes first, and everybody asks, whether a place is left or not.
                for name in std::iter::repeat_n("flood", flood).chain(others) {
                    if !shares.take(&tenant(name), all, now) {
                        continue;
                    }
                    if taken.len() == all {
                        shares.give(&tenant(name));
                        continue;
                    }
                    taken.push(name);
                    served += usize::from(name != "flood");
                }
                taken.iter().for_each(|name| shares.give(&tenant(name)));
            }
            served
        };
        let (alone, flooded) = (served(0), served(200));
        assert!(flooded * 100 >= alone * 95, "{flooded} of {alone}");
    }
}
