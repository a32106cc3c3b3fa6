//! How many connections each account, or each address, has.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts the connections of each key.
#[derive(Clone, Debug)]
pub(super) struct Seats<K>(Arc<Mutex<HashMap<K, usize>>>);

/// One connection; dropping it makes room for another.
#[derive(Debug)]
pub(super) struct Seat<K: Copy + Eq + Hash> {
    seats: Seats<K>,
    key: K,
}

impl<K> Default for Seats<K> {
    fn default() -> Seats<K> {
        Seats(Arc::default())
    }
}

impl<K: Copy + Eq + Hash> Seats<K> {
    /// Room for one more, of at most so many.
    pub(super) fn take(&self, key: K, most: usize) -> Option<Seat<K>> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.get(&key).copied().unwrap_or(0);
        if count >= most {
            return None;
        }
        taken.insert(key, count + 1);
        let seats = Seats(Arc::clone(&self.0));
        Some(Seat { seats, key })
    }
}

impl<K: Copy + Eq + Hash> Drop for Seat<K> {
    fn drop(&mut self) {
        let mut taken = self.seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.key);
            }
        }
    }
}

/// What an address counts as: whoever has one of IPv6 has all that share its first half.
pub(super) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_free_again_when_it_is_left() {
        let seats = Seats::default();
        let (first, second) = (seats.take(1, 2), seats.take(1, 2));
        assert!(first.is_some() && second.is_some());
        assert!(seats.take(1, 2).is_none());
        assert!(seats.take(2, 2).is_some());
        drop(first);
        assert!(seats.take(1, 2).is_some());
        drop(second);
        assert!(seats.0.lock().expect("seats").is_empty());
    }

    #[test]
    fn addresses_of_one_network_count_as_one() {
        let of = |text: &str| neighbourhood(text.parse().expect("address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::2:3"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert!(of("::1").is_loopback());
    }
}
