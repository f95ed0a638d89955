use crate::clock::Clock;
use crate::rules::Subject;
use foldhash::fast::RandomState;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::fmt;

/// How long a proof is good without being looked at again: pip sends its password with every request.
const REMEMBERED_MS_MAX: u64 = 60_000;

/// Proofs remembered; some 200 bytes each. Each was right, so only who has accounts can fill this.
pub const REMEMBERED_MAX: usize = 4_096;

/// Stands for credentials: a digest with a key of this run, which is worth nothing elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

/// The right to remember a proof, unless something was forgotten since it was taken.
#[derive(Debug)]
pub struct Claim {
    generation: u64,
}

pub(super) struct Remembered {
    clock: Clock,
    proofs: RwLock<Proofs>,
}

#[derive(Default)]
struct Proofs {
    /// Counts what was forgotten.
    generation: u64,
    by_fingerprint: HashMap<Fingerprint, Proof, RandomState>,
}

struct Proof {
    subject: Subject,
    until_ms: u64,
    /// The proof's own end, by the wall clock.
    valid_until_unix: Option<u64>,
}

impl Remembered {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, proofs: RwLock::default() }
    }

    pub(super) fn get(&self, fingerprint: &Fingerprint) -> Option<Subject> {
        let proofs = self.proofs.read();
        let proof = proofs.by_fingerprint.get(fingerprint)?;
        let good = self.clock.ticks() < proof.until_ms
            && proof.valid_until_unix.is_none_or(|valid_until| self.clock.unix() < valid_until);
        good.then(|| proof.subject.clone())
    }

    pub(super) fn begin(&self) -> Claim {
        Claim { generation: self.proofs.read().generation }
    }

    pub(super) fn put(&self, claim: Claim, fingerprint: Fingerprint, subject: Subject, valid_until_unix: Option<u64>) {
        let now_ms = self.clock.ticks();
        let mut proofs = self.proofs.write();
        if claim.generation != proofs.generation {
            return;
        }
        if proofs.by_fingerprint.len() >= REMEMBERED_MAX && !proofs.by_fingerprint.contains_key(&fingerprint) {
            proofs.make_room(now_ms);
        }
        let proof = Proof { subject, until_ms: now_ms + REMEMBERED_MS_MAX, valid_until_unix };
        proofs.by_fingerprint.insert(fingerprint, proof);
    }

    /// Forgets the proofs of these subjects, and refuses all claims that are out: a check more costs less than a look at
    /// which of them are touched.
    pub(super) fn forget(&self, these: impl Fn(&Subject) -> bool) {
        let mut proofs = self.proofs.write();
        proofs.generation += 1;
        proofs.by_fingerprint.retain(|_, proof| !these(&proof.subject));
    }
}

impl Proofs {
    /// What is over goes, and if that is little, the older half.
    fn make_room(&mut self, now_ms: u64) {
        self.by_fingerprint.retain(|_, proof| now_ms < proof.until_ms);
        let keep = REMEMBERED_MAX / 2;
        if let Some(surplus) = self.by_fingerprint.len().checked_sub(keep).filter(|surplus| *surplus > 0) {
            let mut by_time: Vec<_> = self.by_fingerprint.iter().map(|(key, proof)| (proof.until_ms, *key)).collect();
            by_time.sort_unstable_by_key(|(until_ms, _)| *until_ms);
            for (_, key) in by_time.iter().take(surplus) {
                self.by_fingerprint.remove(key);
            }
        }
    }
}

impl Fingerprint {
    pub(super) fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::UserName;
    use crate::rules::Scope;
    use std::time::Duration;

    const START: u64 = 1_700_000_000;

    fn remembered() -> (Remembered, Clock) {
        let clock = Clock::manual(START);
        (Remembered::new(clock.clone()), clock)
    }

    fn subject(name: &str) -> Subject {
        Subject::User { name: UserName::parse(name).unwrap(), scope: Scope::Everything }
    }

    fn proof(n: u32) -> Fingerprint {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&n.to_le_bytes());
        Fingerprint::new(bytes)
    }

    #[test]
    fn a_proof_is_remembered_for_a_minute_and_not_beyond_its_end() {
        for (valid_until_unix, seconds) in
            [(None, 60), (Some(START + 3_600), 60), (Some(START + 10), 10), (Some(START), 0), (Some(0), 0)]
        {
            let (remembered, clock) = remembered();
            remembered.put(remembered.begin(), proof(1), subject("alice"), valid_until_unix);
            assert_eq!(remembered.get(&proof(2)), None);
            for second in 0..70 {
                let expected = (second < seconds).then(|| subject("alice"));
                assert_eq!(remembered.get(&proof(1)), expected, "{valid_until_unix:?} after {second} s");
                clock.advance(Duration::from_secs(1));
            }
        }
    }

    #[test]
    fn looking_does_not_make_it_live_longer() {
        let (remembered, clock) = remembered();
        remembered.put(remembered.begin(), proof(1), subject("alice"), None);
        clock.advance(Duration::from_secs(59));
        assert!(remembered.get(&proof(1)).is_some());
        clock.advance(Duration::from_secs(1));
        assert!(remembered.get(&proof(1)).is_none());
    }

    #[test]
    fn one_user_is_forgotten_or_all() {
        let (remembered, _) = remembered();
        for (n, name) in ["alice", "alice", "bob"].into_iter().enumerate() {
            remembered.put(remembered.begin(), proof(n as u32), subject(name), None);
        }
        let alice = subject("alice");
        remembered.forget(|subject| subject.user() == alice.user());
        assert_eq!([0, 1, 2].map(|n| remembered.get(&proof(n)).is_some()), [false, false, true]);
        remembered.forget(|_| true);
        assert_eq!(remembered.get(&proof(2)), None);
    }

    #[test]
    fn a_check_that_began_before_a_change_is_not_remembered_after_it() {
        let (remembered, _) = remembered();
        let claim = remembered.begin();
        remembered.forget(|_| false);
        remembered.put(claim, proof(1), subject("alice"), None);
        assert_eq!(remembered.get(&proof(1)), None);
        remembered.put(remembered.begin(), proof(1), subject("alice"), None);
        assert!(remembered.get(&proof(1)).is_some());
    }

    #[test]
    fn the_number_is_bounded_and_the_oldest_go() {
        let (remembered, clock) = remembered();
        for n in 0..3 * REMEMBERED_MAX as u32 {
            clock.advance(Duration::from_millis(1));
            remembered.put(remembered.begin(), proof(n), subject("alice"), None);
            assert!(remembered.proofs.read().by_fingerprint.len() <= REMEMBERED_MAX);
            assert!(remembered.get(&proof(n)).is_some());
        }
        assert!(remembered.get(&proof(0)).is_none());
    }
}
