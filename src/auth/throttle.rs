//! How often wrong proofs are looked at. Only failures spend; nothing here ever counts against an account that asks from
//! elsewhere, so nobody can lock another out.

use crate::clock::Clock;
use foldhash::fast::RandomState as FastState;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv4Addr};

/// Failures of one account from one peer before it has to wait: a person who tries the passwords she knows.
const PAIR_FAILURES_MAX: u64 = 10;

/// Failures of one peer, whatever the account: an office behind one address.
const PEER_FAILURES_MAX: u64 = 30;

/// How long until one failure is forgiven, in milliseconds: ten guesses a minute are left to who never stops.
const FORGIVEN_AFTER_MS: u64 = 6_000;

/// Pairs of account and peer that are kept; 32 bytes or so each.
const PAIRS_MAX: usize = 8_192;

/// Peers that are kept.
const PEERS_MAX: usize = 8_192;

/// A proof may be tried again after so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many failed logins; try again in {seconds} seconds")]
pub struct RetryAfter {
    pub seconds: u64,
}

/// Who tries to be whom. The account is a digest: its name is whatever somebody sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Who {
    account: u64,
    peer: Peer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Peer {
    /// Unix sockets do not say who speaks.
    Local,
    V4(Ipv4Addr),
    /// The first 64 bits: who has one IPv6 address has 2⁶⁴ of them.
    V6(u64),
}

pub(super) struct Throttle {
    clock: Clock,
    accounts: RandomState,
    buckets: Mutex<Buckets>,
}

struct Buckets {
    pairs: Bounded<Who>,
    peers: Bounded<Peer>,
}

/// Token buckets of one size. A bucket is the time at which it is full again.
struct Bounded<K> {
    failures_max: u64,
    keys_max: usize,
    full_at_ms: HashMap<K, u64, FastState>,
}

impl Throttle {
    pub(super) fn new(clock: Clock) -> Self {
        let buckets = Buckets {
            pairs: Bounded::new(PAIR_FAILURES_MAX, PAIRS_MAX),
            peers: Bounded::new(PEER_FAILURES_MAX, PEERS_MAX),
        };
        Self { clock, accounts: RandomState::new(), buckets: Mutex::new(buckets) }
    }

    pub(super) fn who(&self, account: &str, peer: Option<IpAddr>) -> Who {
        Who { account: self.accounts.hash_one(account), peer: Peer::from(peer) }
    }

    pub(super) fn may_try(&self, who: Who) -> Result<(), RetryAfter> {
        let now_ms = self.clock.ticks();
        let buckets = self.buckets.lock();
        match buckets.pairs.wait_ms(&who, now_ms).max(buckets.peers.wait_ms(&who.peer, now_ms)) {
            0 => Ok(()),
            wait_ms => Err(RetryAfter { seconds: wait_ms.div_ceil(1_000) }),
        }
    }

    pub(super) fn failed(&self, who: Who) {
        let now_ms = self.clock.ticks();
        let mut buckets = self.buckets.lock();
        buckets.pairs.spend(who, now_ms);
        buckets.peers.spend(who.peer, now_ms);
    }
}

impl From<Option<IpAddr>> for Peer {
    fn from(peer: Option<IpAddr>) -> Self {
        match peer.map(|peer| peer.to_canonical()) {
            None => Self::Local,
            Some(IpAddr::V4(address)) => Self::V4(address),
            Some(IpAddr::V6(address)) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

impl<K: Hash + Eq + Copy> Bounded<K> {
    fn new(failures_max: u64, keys_max: usize) -> Self {
        Self { failures_max, keys_max, full_at_ms: HashMap::default() }
    }

    /// How long until the bucket holds a whole token; 0 when it does.
    fn wait_ms(&self, key: &K, now_ms: u64) -> u64 {
        let refill_ms = self.full_at_ms.get(key).map_or(0, |full_at_ms| full_at_ms.saturating_sub(now_ms));
        refill_ms.saturating_sub((self.failures_max - 1) * FORGIVEN_AFTER_MS)
    }

    fn spend(&mut self, key: K, now_ms: u64) {
        if self.full_at_ms.len() >= self.keys_max && !self.full_at_ms.contains_key(&key) {
            self.make_room(now_ms);
        }
        let full_at_ms = self.full_at_ms.entry(key).or_insert(now_ms);
        let empty_ms = now_ms + self.failures_max * FORGIVEN_AFTER_MS;
        *full_at_ms = ((*full_at_ms).max(now_ms) + FORGIVEN_AFTER_MS).min(empty_ms);
    }

    /// The full buckets go, and if they are few, the half that is nearest to full: the oldest, and those with the
    /// fewest failures. A half, so that a flood of new keys does not cost a walk each.
    fn make_room(&mut self, now_ms: u64) {
        self.full_at_ms.retain(|_, full_at_ms| *full_at_ms > now_ms);
        let keep = self.keys_max / 2;
        if let Some(surplus) = self.full_at_ms.len().checked_sub(keep).filter(|surplus| *surplus > 0) {
            let mut by_time: Vec<_> = self.full_at_ms.iter().map(|(key, full_at_ms)| (*full_at_ms, *key)).collect();
            by_time.sort_unstable_by_key(|(full_at_ms, _)| *full_at_ms);
            for (_, key) in by_time.iter().take(surplus) {
                self.full_at_ms.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    fn throttle() -> (Throttle, Clock) {
        let clock = Clock::manual(1_700_000_000);
        (Throttle::new(clock.clone()), clock)
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    fn fail(throttle: &Throttle, who: Who, times: u64) {
        for _ in 0..times {
            assert_eq!(throttle.may_try(who), Ok(()));
            throttle.failed(who);
        }
    }

    #[test]
    fn ten_failures_and_then_one_every_six_seconds() {
        let (throttle, clock) = throttle();
        let who = throttle.who("root", ip("192.0.2.1"));
        fail(&throttle, who, PAIR_FAILURES_MAX);
        assert_eq!(throttle.may_try(who), Err(RetryAfter { seconds: 6 }));
        clock.advance(SECOND);
        assert_eq!(throttle.may_try(who), Err(RetryAfter { seconds: 5 }));
        clock.advance(SECOND * 5);
        fail(&throttle, who, 1);
        assert_eq!(throttle.may_try(who), Err(RetryAfter { seconds: 6 }));
        clock.advance(SECOND * 60);
        fail(&throttle, who, PAIR_FAILURES_MAX);
        // Failures that were under way together do not make the wait longer than an empty bucket's.
        for _ in 0..1_000 {
            throttle.failed(who);
        }
        assert_eq!(throttle.may_try(who), Err(RetryAfter { seconds: 6 }));
    }

    #[test]
    fn an_account_is_not_locked_for_others() {
        let (throttle, _) = throttle();
        fail(&throttle, throttle.who("root", ip("192.0.2.1")), PAIR_FAILURES_MAX);
        for (account, peer) in [("root", ip("192.0.2.2")), ("root", None), ("alice", ip("192.0.2.1"))] {
            assert_eq!(throttle.may_try(throttle.who(account, peer)), Ok(()), "{account} {peer:?}");
        }
    }

    #[test]
    fn a_peer_runs_out_over_many_accounts() {
        let (throttle, clock) = throttle();
        for peer in [None, ip("192.0.2.1"), ip("2001:db8::1")] {
            for n in 0..PEER_FAILURES_MAX {
                fail(&throttle, throttle.who(&format!("user{n}"), peer), 1);
            }
            assert_eq!(throttle.may_try(throttle.who("another", peer)), Err(RetryAfter { seconds: 6 }));
        }
        assert!(throttle.may_try(throttle.who("another", ip("2001:db8::ffff:1"))).is_err(), "the same /64");
        assert!(throttle.may_try(throttle.who("another", ip("::ffff:192.0.2.1"))).is_err(), "the same address");
        assert!(throttle.may_try(throttle.who("another", ip("2001:db8:0:1::1"))).is_ok());
        clock.advance(SECOND * 6);
        assert!(throttle.may_try(throttle.who("another", None)).is_ok());
    }

    #[test]
    fn a_flood_is_bounded_and_keeps_the_worst() {
        let (throttle, clock) = throttle();
        let worst = throttle.who("root", ip("192.0.2.1"));
        fail(&throttle, worst, PAIR_FAILURES_MAX);
        for n in 0..3 * PEERS_MAX as u32 {
            throttle.failed(throttle.who("root", Some(IpAddr::V4(Ipv4Addr::from_bits(n)))));
            let buckets = throttle.buckets.lock();
            assert!(buckets.pairs.full_at_ms.len() <= PAIRS_MAX && buckets.peers.full_at_ms.len() <= PEERS_MAX);
        }
        assert!(throttle.may_try(worst).is_err());
        // What is full again goes first.
        clock.advance(SECOND * 180);
        let mut buckets = throttle.buckets.lock();
        buckets.pairs.make_room(clock.ticks());
        assert!(buckets.pairs.full_at_ms.is_empty());
    }
}
