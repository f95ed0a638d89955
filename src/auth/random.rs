use super::AuthError;
use super::remembered::Fingerprint;
use sha2::{Digest, Sha256};

/// Random bytes of the system.
pub(super) fn bytes<const N: usize>() -> Result<[u8; N], AuthError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// The key of this run: what it makes of secrets says nothing to who reads the memory of another run.
pub(super) struct Key([u8; 32]);

impl Key {
    pub(super) fn new() -> Result<Self, AuthError> {
        bytes().map(Self)
    }

    /// A keyed digest of `parts`, each with its length before it, so that no two lists of parts look alike. The key
    /// stands in front: what an HMAC adds guards digests that are shown, and these never are.
    pub(super) fn fingerprint(&self, parts: &[&str]) -> Fingerprint {
        let mut hasher = Sha256::new_with_prefix(self.0);
        for part in parts {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Fingerprint::new(hasher.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_keep_parts_and_runs_apart() {
        let (key, other) = (Key::new().unwrap(), Key::new().unwrap());
        let of = |parts: &[&str]| key.fingerprint(parts);
        assert!(of(&["root", "secret"]) == of(&["root", "secret"]));
        assert!(of(&["root", "secret"]) != other.fingerprint(&["root", "secret"]));
        for parts in [&["roots", "ecret"][..], &["root\0", "secret"], &["root", "secret", ""], &["rootsecret"]] {
            assert!(of(&["root", "secret"]) != of(parts), "{parts:?}");
        }
        assert_eq!(format!("{:?}", of(&["root", "secret"])), "Fingerprint");
    }
}
