//! How many connections each address has. This machine may have as many as there are.
//!
//! Of IPv6 the first half of an address counts, as whoever has one usually has all that share it.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// Places for the connections of each address.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: u32,
    /// Only addresses that have a connection, of which there are so many at most.
    taken: Mutex<HashMap<IpAddr, u32>>,
}

/// A place that is taken, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    shared: Arc<Shared>,
    address: IpAddr,
}

impl Places {
    /// So many for each address.
    pub(super) fn new(most: u32) -> Self {
        Self(Arc::new(Shared { most, taken: Mutex::default() }))
    }

    /// A place for an address, which is `None` where none is needed.
    ///
    /// # Errors
    /// It has all it may have.
    pub(super) fn take(&self, address: IpAddr) -> Result<Option<Place>, ()> {
        let address = shared_part(address);
        if address.is_loopback() {
            return Ok(None);
        }
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.get(&address).copied().unwrap_or(0);
        if count >= self.0.most {
            return Err(());
        }
        taken.insert(address, count + 1);
        Ok(Some(Place { shared: self.0.clone(), address }))
    }
}

/// What of an address counts where it is counted how often somebody comes.
pub(crate) fn shared_part(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into()
        }
        address => address,
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.shared.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(&self.address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_and_no_more() {
        let places = Places::new(2);
        let take = |address: &str| places.take(address.parse().unwrap());
        let held = (take("10.0.0.1").unwrap(), take("10.0.0.1").unwrap());
        assert!(take("10.0.0.1").is_err() && take("::ffff:10.0.0.1").is_err());
        assert!(take("10.0.0.2").unwrap().is_some());
        drop(held.0);
        assert!(take("10.0.0.1").is_ok());
        let v6 = (take("2001:db8::1").unwrap(), take("2001:db8::2").unwrap());
        assert!(take("2001:db8::3").is_err());
        assert!(take("127.0.0.1").unwrap().is_none() && take("::1").unwrap().is_none());
        drop((held.1, v6));
        assert!(places.0.taken.lock().unwrap().is_empty());
    }

    #[test]
    fn of_an_address_counts_what_its_owner_cannot_choose() {
        let check = |address: &str, expected: &str| {
            let expected: IpAddr = expected.parse().unwrap();
            assert_eq!(shared_part(address.parse().unwrap()), expected, "{address}");
        };
        check("192.0.2.7", "192.0.2.7");
        check("::ffff:192.0.2.7", "192.0.2.7");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::");
        check("::1", "::1");
    }
}
