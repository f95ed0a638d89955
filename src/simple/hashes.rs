use super::CoreMetadata;
use crate::names::Sha256;

/// Hashes by name as a page states them, checked.
#[derive(Default)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct Hashes {
    pub(super) sha256: Option<Sha256>,
    /// (name, hex digits), in order of arrival until [`sorted`](Self::sorted).
    pub(super) others: Vec<(String, String)>,
    /// How many were left out.
    pub(super) bad: usize,
}

impl Hashes {
    /// Takes one hash; what is no digest in hex is counted and left out, so that no client is told to expect it.
    pub(super) fn add(&mut self, name: &str, hex: &str) {
        if name == "sha256" {
            match Sha256::from_hex(hex) {
                Ok(sha256) => self.sha256 = Some(sha256),
                Err(_) => self.bad += 1,
            }
        } else if is_name(name) && is_hex(hex) {
            self.others.push((name.to_owned(), hex.to_owned()));
        } else {
            self.bad += 1;
        }
    }

    /// The other hashes in a stable order, each name once (the last one stated, as JSON readers do).
    pub(super) fn sorted(mut others: Vec<(String, String)>) -> Box<[(String, String)]> {
        others.reverse();
        others.sort_by(|a, b| a.0.cmp(&b.0));
        others.dedup_by(|a, b| a.0 == b.0);
        others.into_boxed_slice()
    }

    /// The same hashes as a statement about a metadata file. That there is one stands even when no hash is usable.
    pub(super) fn into_core_metadata(self) -> CoreMetadata {
        match (self.sha256, self.others.is_empty()) {
            (Some(sha256), true) => CoreMetadata::Sha256(sha256),
            (None, true) => CoreMetadata::Yes,
            (sha256, false) => {
                let mut all = self.others;
                all.extend(sha256.map(|sha256| ("sha256".to_owned(), sha256.to_hex())));
                CoreMetadata::Hashes(Self::sorted(all))
            }
        }
    }
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain)
}

fn is_hex(hex: &str) -> bool {
    (1..=HEX_DIGITS_MAX).contains(&hex.len()) && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Twice SHA-512's length; no index names a longer hash.
const HEX_DIGITS_MAX: usize = 256;
/// Room for names such as `blake2b_256`.
const NAME_BYTES_MAX: usize = 40;

/// The hash that a link's fragment should carry when there is no sha256, strongest first.
const FRAGMENT_NAMES: [&str; 5] = ["sha512", "sha384", "sha224", "sha1", "md5"];

/// The best of `hashes` for a place that has room for one.
pub(super) fn best(hashes: &[(String, String)]) -> Option<(&str, &str)> {
    let named = |wanted: &str| hashes.iter().find(|(name, _)| name == wanted);
    named("sha256")
        .or_else(|| FRAGMENT_NAMES.iter().find_map(|name| named(name)))
        .map(|(n, h)| (n.as_str(), h.as_str()))
}

/// Whether a fragment's or an attribute's `name=hex` names a hash at all (others are `egg=`, `subdirectory=`).
pub(super) fn is_hash_name(name: &str) -> bool {
    name == "sha256" || FRAGMENT_NAMES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(stated: &[(&str, &str)]) -> Hashes {
        let mut hashes = Hashes::default();
        for (name, hex) in stated {
            hashes.add(name, hex);
        }
        hashes
    }

    #[test]
    fn counts_what_is_no_digest() {
        let zeros = "0".repeat(64);
        let read =
            hashes(&[("sha256", "abc"), ("md5", "xyz"), ("md5", ""), ("m d5", "00"), ("sha1", "00"), ("", "00")]);
        assert_eq!((read.sha256, read.bad), (None, 5));
        assert_eq!(read.others, [("sha1".to_owned(), "00".to_owned())]);
        assert_eq!(
            hashes(&[("sha256", &zeros)]).into_core_metadata(),
            CoreMetadata::Sha256(Sha256::from_bytes([0; 32]))
        );
        assert_eq!(hashes(&[("sha256", "abc")]).into_core_metadata(), CoreMetadata::Yes);
        let both = hashes(&[("sha256", &zeros), ("md5", "00"), ("md5", "11")]).into_core_metadata();
        assert_eq!(both.sha256(), Some(Sha256::from_bytes([0; 32])));
        let CoreMetadata::Hashes(all) = both else { panic!("{both:?}") };
        assert_eq!(all.first(), Some(&("md5".to_owned(), "11".to_owned())));
        assert_eq!(best(&all), Some(("sha256", zeros.as_str())));
    }
}
