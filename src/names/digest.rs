use std::fmt;

/// A SHA-256 digest, the address of a file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256([u8; 32]);

/// The first 16 hex digits of a [`Sha256`]: what devpi's `+f/{3}/{13}/` URLs carry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DigestPrefix([u8; 8]);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 digest in hex")]
pub struct DigestError;

impl Sha256 {
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest;
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Reads 64 hex digits of either case.
    pub fn from_hex(hex: &str) -> Result<Self, DigestError> {
        unhex(hex.as_bytes()).map(Self)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest as 64 lower-case hex digits.
    pub fn to_hex(&self) -> String {
        text(&self.hex_digits())
    }

    /// The same without an allocation.
    pub fn hex_digits(&self) -> [u8; 64] {
        hex(&self.0)
    }

    pub fn prefix(&self) -> DigestPrefix {
        let mut prefix = [0; 8];
        prefix.copy_from_slice(&self.0[..8]);
        DigestPrefix(prefix)
    }
}

impl DigestPrefix {
    /// Reads the two directories of a `+f` URL: 3 and 13 lower-case hex digits.
    pub fn from_directories(three: &str, thirteen: &str) -> Result<Self, DigestError> {
        if three.len() != 3 || thirteen.len() != 13 {
            return Err(DigestError);
        }
        let mut joined = [0; 16];
        joined[..3].copy_from_slice(three.as_bytes());
        joined[3..].copy_from_slice(thirteen.as_bytes());
        if joined.iter().any(u8::is_ascii_uppercase) {
            return Err(DigestError);
        }
        unhex(&joined).map(Self)
    }

    /// `aaa/bbbbbbbbbbbbb`, as in a `+f` URL.
    pub fn directories(&self) -> String {
        text(&self.directory_bytes())
    }

    /// The same without an allocation.
    pub fn directory_bytes(&self) -> [u8; 17] {
        let digits: [u8; 16] = hex(&self.0);
        let mut out = [b'/'; 17];
        out[..3].copy_from_slice(&digits[..3]);
        out[4..].copy_from_slice(&digits[3..]);
        out
    }
}

/// Two hex digits for each of `N` bytes.
fn hex<const N: usize, const DIGITS: usize>(bytes: &[u8; N]) -> [u8; DIGITS] {
    const { assert!(DIGITS == N * 2) };
    let mut out = [0; DIGITS];
    // It fails only where the lengths do not fit.
    let _ = const_hex::encode_to_slice(bytes, &mut out);
    out
}

/// Reads hex digits of either case.
fn unhex<const N: usize>(hex: &[u8]) -> Result<[u8; N], DigestError> {
    // The library would pass over a `0x`.
    if hex.len() != N * 2 {
        return Err(DigestError);
    }
    let mut out = [0; N];
    const_hex::decode_to_slice(hex, &mut out).map(|()| out).map_err(|_| DigestError)
}

/// The digits as text; they are ASCII whatever the bytes.
fn text(digits: &[u8]) -> String {
    String::from_utf8_lossy(digits).into_owned()
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for DigestPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.directories())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_wrong_lengths_digits_and_case() {
        let (short, long) = (format!("0x{}", "0".repeat(62)), format!("0x{}", "0".repeat(64)));
        for hex in ["", "0", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"é".repeat(32), &short, &long] {
            assert_eq!(Sha256::from_hex(hex), Err(DigestError));
        }
        assert!(DigestPrefix::from_directories("abc", "0123456789abc").is_ok());
        for (three, thirteen) in
            [("ABC", "0123456789abc"), ("ab", "0123456789abc"), ("abc", "0123456789ab"), ("é1", "0123456789abc")]
        {
            assert_eq!(DigestPrefix::from_directories(three, thirteen), Err(DigestError));
        }
    }

    proptest! {
        #[test]
        fn hex_goes_there_and_back(bytes: [u8; 32]) {
            let digest = Sha256::from_bytes(bytes);
            prop_assert_eq!(Sha256::from_hex(&digest.to_hex()), Ok(digest));
            let directories = digest.prefix().directories();
            let (three, thirteen) = directories.split_once('/').unwrap();
            prop_assert_eq!(DigestPrefix::from_directories(three, thirteen), Ok(digest.prefix()));
            prop_assert!(digest.to_hex().starts_with(&directories.replace('/', "")));
        }
    }
}
