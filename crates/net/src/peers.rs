//! How many connections one peer may have open at once: an IPv4 address, or 64 bits of an IPv6 address, because that is what one subscriber has. An
//! IPv4 address that is written as an IPv6 one counts as the former.
//!
//! The count is one truth of the listeners that share it, whatever cores they run on. It is kept in shards, and only for peers that have a connection open.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

const SHARDS: usize = 64;

/// The connections of all peers.
#[derive(Debug, Clone)]
pub struct PeerCounts(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    shards: [Mutex<HashMap<u128, u32>>; SHARDS],
    hasher: RandomState,
}

impl Default for PeerCounts {
    fn default() -> Self {
        Self(Arc::new(Counts {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
        }))
    }
}

/// A place among the connections of a peer, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct PeerPlace {
    counts: PeerCounts,
    peer: u128,
}

impl PeerCounts {
    /// A place for one more connection of the peer at `address`, unless it has `max` already.
    pub fn enter(&self, address: IpAddr, max: u32) -> Option<PeerPlace> {
        let peer = peer(address);
        let mut shard = self
            .shard(peer)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = shard.entry(peer).or_default();
        if *count >= max {
            if *count == 0 {
                shard.remove(&peer);
            }
            return None;
        }
        *count += 1;
        drop(shard);
        Some(PeerPlace {
            counts: self.clone(),
            peer,
        })
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the position is taken modulo the number of shards"
    )]
    fn shard(&self, peer: u128) -> &Mutex<HashMap<u128, u32>> {
        let hash = self.0.hasher.hash_one(peer);
        let position = usize::try_from(hash % SHARDS as u64).unwrap_or_default();
        &self.0.shards[position]
    }

    #[cfg(test)]
    fn peers(&self) -> usize {
        let known = self
            .0
            .shards
            .iter()
            .map(|shard| shard.lock().unwrap().len());
        known.sum()
    }
}

impl Drop for PeerPlace {
    fn drop(&mut self) {
        let mut shard = self
            .counts
            .shard(self.peer)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = shard.entry(self.peer) {
            if *entry.get() <= 1 {
                entry.remove();
            } else {
                *entry.get_mut() -= 1;
            }
        }
    }
}

/// IPv4 addresses stand where they are mapped to, which no 64 bits of a global address share.
fn peer(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits() & (u128::MAX << 64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_peer_has_so_many_connections_and_gets_their_places_back() {
        let counts = PeerCounts::default();
        let first = counts.enter(at("192.0.2.1"), 2).unwrap();
        let second = counts.enter(at("::ffff:192.0.2.1"), 2).unwrap();
        assert!(counts.enter(at("192.0.2.1"), 2).is_none());
        let other = counts.enter(at("192.0.2.2"), 2).unwrap();
        drop(first);
        let third = counts.enter(at("192.0.2.1"), 2).unwrap();
        drop((second, third, other));
        assert_eq!(counts.peers(), 0, "nobody is remembered");
        assert!(counts.enter(at("192.0.2.1"), 0).is_none());
        assert_eq!(counts.peers(), 0);
    }

    #[test]
    fn a_subscribers_network_of_ipv6_is_one_peer() {
        let counts = PeerCounts::default();
        let _one = counts.enter(at("2001:db8:1:2::1"), 1).unwrap();
        assert!(counts.enter(at("2001:db8:1:2:ffff::9"), 1).is_none());
        assert!(counts.enter(at("2001:db8:1:3::1"), 1).is_some());
        let _local = counts.enter(at("::1"), 1).unwrap();
        assert!(counts.enter(at("127.0.0.1"), 1).is_some());
    }
}
