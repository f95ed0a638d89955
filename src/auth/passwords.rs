//! Passwords as devpi stores them: Argon2 in the PHC form, `$argon2id$v=19$m=…,t=…,p=…$salt$hash`, base64 unpadded.

use super::{AuthError, random};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq;

/// Longest password, in bytes: passlib's bound, so none that devpi took is lost.
pub const PASSWORD_BYTES_MAX: usize = 4096;

/// The memory of one of our hashes, in KiB: the least that OWASP recommends for [`PASSES`]. On purpose less than devpi's
/// 64 MiB, which is more than the whole server needs when idle.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
const OUTPUT_BYTES: usize = 32;

/// The most memory that a stored hash may ask for, in KiB: four times devpi's default. A hash comes from an import too,
/// and checking it must not end the server.
const STORED_MEMORY_KIB_MAX: u32 = 256 * 1024;

/// Most passes of a stored hash: with the most memory, some ten seconds of one core.
const STORED_PASSES_MAX: u32 = 16;

/// Most lanes of a stored hash; they are worked off one after another.
const STORED_LANES_MAX: u32 = 16;

/// Longest stored hash in bytes: the longest salt and output in base64, and the words before them.
const STORED_BYTES_MAX: usize = 256;

/// Longest salt and output of a stored hash, in bytes; both are 16 to 32 everywhere.
const STORED_PART_BYTES_MAX: usize = 64;

/// Shortest output of a stored hash in bytes: fewer could be hit by guessing.
const STORED_OUTPUT_BYTES_MIN: usize = 16;

/// Whether a stored hash should be replaced by one of ours when its password is at hand: it is cheaper to guess at, or
/// cannot be read. devpi's own hashes are stronger than ours and stay.
pub fn is_weaker_than_ours(stored: &str) -> bool {
    let work = |memory: u32, passes: u32| u64::from(memory) * u64::from(passes);
    Stored::parse(stored).map_or(true, |stored| {
        stored.algorithm != Algorithm::Argon2id
            || stored.params.m_cost() < MEMORY_KIB
            || work(stored.params.m_cost(), stored.params.t_cost()) < work(MEMORY_KIB, PASSES)
            || stored.salt.len() < SALT_BYTES
            || stored.output.len() < OUTPUT_BYTES
    })
}

/// Whether a hash that was made elsewhere can be checked here, for an import.
pub fn readable(stored: &str) -> Result<(), AuthError> {
    Stored::parse(stored).map(|_| ())
}

/// Whether a hash that was made elsewhere is that of `password`, for an import: it blocks, and counts no failures.
pub fn is_password(stored: &str, password: &str) -> bool {
    Stored::parse(stored).is_ok_and(|stored| stored.agrees(password) == Ok(true))
}

/// The stored form of a password: some tens of milliseconds of work.
pub(super) fn hash(password: &str) -> Result<String, AuthError> {
    let salt: [u8; SALT_BYTES] = random::bytes()?;
    let mut stored = Stored { salt: salt.to_vec(), ..Stored::nobody() };
    stored.output = stored.work(password).map_err(AuthError::NotHashed)?;
    Ok(format!(
        "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${}${}",
        STANDARD_NO_PAD.encode(&stored.salt),
        STANDARD_NO_PAD.encode(&stored.output)
    ))
}

/// A stored hash, read.
pub(super) struct Stored {
    algorithm: Algorithm,
    params: Params,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl Stored {
    pub(super) fn parse(stored: &str) -> Result<Self, AuthError> {
        let bad = AuthError::StoredHash;
        if stored.len() > STORED_BYTES_MAX {
            return Err(bad("it is too long"));
        }
        let mut fields = stored.split('$');
        let mut field = || fields.next().unwrap_or_default();
        let (before, algorithm, version, params, salt, output) = (field(), field(), field(), field(), field(), field());
        let algorithm = match algorithm {
            "argon2id" => Algorithm::Argon2id,
            // What older passlibs made.
            "argon2i" => Algorithm::Argon2i,
            _ => return Err(bad("it is not Argon2")),
        };
        if version != "v=19" {
            return Err(bad("it is not version 19 of Argon2"));
        }
        if !before.is_empty() || fields.next().is_some() {
            return Err(bad("it has too many fields"));
        }
        let part = |text: &str| STANDARD_NO_PAD.decode(text).map_err(|_| bad("its salt or its hash is not base64"));
        let (salt, output) = (part(salt)?, part(output)?);
        if !(argon2::MIN_SALT_LEN..=STORED_PART_BYTES_MAX).contains(&salt.len())
            || !(STORED_OUTPUT_BYTES_MIN..=STORED_PART_BYTES_MAX).contains(&output.len())
        {
            return Err(bad("its salt or its hash is too short or too long"));
        }
        let (memory, passes, lanes) = costs(params).ok_or(bad("its parameters are not m, t and p"))?;
        if memory > STORED_MEMORY_KIB_MAX || passes > STORED_PASSES_MAX || lanes > STORED_LANES_MAX {
            return Err(bad("it asks for more memory or time than is given to a password"));
        }
        let params = Params::new(memory, passes, lanes, None).map_err(|_| bad("its parameters are too small"))?;
        Ok(Self { algorithm, params, salt, output })
    }

    /// Stands in for the hash of an account that is not there: the same work as for one of ours. The answer is not to
    /// be used.
    pub(super) fn nobody() -> Self {
        // The constants are good; a test says so.
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).unwrap_or(Params::DEFAULT);
        Self { algorithm: Algorithm::Argon2id, params, salt: vec![0; SALT_BYTES], output: vec![0; OUTPUT_BYTES] }
    }

    /// Whether `password` is the one behind this hash.
    pub(super) fn agrees(&self, password: &str) -> Result<bool, argon2::Error> {
        Ok(self.work(password)?.ct_eq(&self.output).into())
    }

    /// Memory is taken for each hash and given back: kept, it would be held by a server that nobody logs in to.
    fn work(&self, password: &str) -> Result<Vec<u8>, argon2::Error> {
        let mut output = vec![0; self.output.len()];
        let argon2 = Argon2::new(self.algorithm, Version::V0x13, self.params.clone());
        argon2.hash_password_into(password.as_bytes(), &self.salt, &mut output)?;
        Ok(output)
    }
}

/// Reads `m=…,t=…,p=…`.
fn costs(params: &str) -> Option<(u32, u32, u32)> {
    let mut parts = params.split(',');
    let mut cost = |name: &str| {
        let digits = parts.next()?.strip_prefix(name)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let costs = (cost("m=")?, cost("t=")?, cost("p=")?);
    parts.next().is_none().then_some(costs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Made by passlib 1.7.4 with devpi's settings.
    const PASSLIB: &str =
        "$argon2id$v=19$m=65536,t=3,p=4$eC/FWKv1PseYkxLCuNf6Xw$G0i2V1YjaNtqAArSxYhXwEExftKfjCTbJTlv6ndJPGw";
    /// Made by argon2-cffi 25.1.0, small.
    const CFFI: &str = "$argon2id$v=19$m=8,t=1,p=1$twWfIxNj4WjgI41WnDPbAA$lX1wCY1RVyj4nCshrBrwcysuy5JVu5sdoNjLLo03H0Q";
    const CFFI_I: &str = "$argon2i$v=19$m=8,t=1,p=1$iSpegHSWoQg$iPSRURi3MSwfgYkGGAG+EQ";

    fn agrees(stored: &str, password: &str) -> bool {
        Stored::parse(stored).unwrap().agrees(password).unwrap()
    }

    #[test]
    fn hashes_that_devpi_stored_verify() {
        for (stored, password) in [(PASSLIB, "hunter2 für alle"), (CFFI, "hunter2"), (CFFI_I, "hunter2")] {
            assert!(agrees(stored, password), "{stored}");
            for wrong in ["", "hunter", "hunter2 ", "Hunter2"] {
                assert!(!agrees(stored, wrong), "{stored} {wrong}");
            }
        }
    }

    #[test]
    fn ours_are_in_the_same_form_salted_and_verify() {
        let (one, other) = (hash("geheim").unwrap(), hash("geheim").unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert!(one.split('$').skip(4).all(|part| !part.contains('=')), "padded: {one}");
        assert_ne!(one, other);
        assert!(agrees(&one, "geheim") && !agrees(&one, "geheim "));
        assert!(!is_weaker_than_ours(&one));
        // A stored hash costs as much as nobody's.
        let (stored, nobody) = (Stored::parse(&one).unwrap(), Stored::nobody());
        assert_eq!((stored.params, stored.algorithm), (nobody.params, nobody.algorithm));
        assert_eq!(nobody.salt.len(), SALT_BYTES);
    }

    #[test]
    fn the_weaker_are_told() {
        let with = |costs: &str| PASSLIB.replace("m=65536,t=3,p=4", costs);
        for strong in [PASSLIB.to_owned(), with("m=19456,t=2,p=1"), with("m=47104,t=1,p=1")] {
            assert!(!is_weaker_than_ours(&strong), "{strong}");
        }
        for weak in ["m=19455,t=2,p=1", "m=19456,t=1,p=1", "m=512,t=16,p=2", "m=38911,t=1,p=1"].map(with) {
            assert!(readable(&weak).is_ok() && is_weaker_than_ours(&weak), "{weak}");
        }
        for weak in [CFFI_I, &PASSLIB.replace("2id", "2i"), "", "plain"] {
            assert!(is_weaker_than_ours(weak), "{weak}");
        }
    }

    #[test]
    fn what_asks_for_too_much_or_says_nothing_is_refused() {
        let with = |costs: &str| PASSLIB.replace("m=65536,t=3,p=4", costs);
        for good in ["m=262144,t=16,p=16", "m=8,t=1,p=1"].map(with) {
            assert_eq!(readable(&good), Ok(()), "{good}");
        }
        for costs in [
            "m=262145,t=3,p=4",
            "m=65536,t=17,p=4",
            "m=65536,t=3,p=17",
            "m=4294967295,t=4294967295,p=16777215",
            "m=99999999999,t=3,p=4",
            "m=7,t=1,p=1",
            "m=15,t=1,p=2",
            "m=65536,t=0,p=4",
            "m=65536,t=3,p=0",
            "m=+65536,t=3,p=4",
            "m=,t=3,p=4",
            "t=3,m=65536,p=4",
            "m=65536,t=3",
            "m=65536,t=3,p=4,keyid=Zm9v",
            "",
        ] {
            assert!(matches!(readable(&with(costs)), Err(AuthError::StoredHash(_))), "{costs}");
        }
        for bad in [
            String::new(),
            "$".repeat(9),
            "hunter2".to_owned(),
            "$2b$12$GhvMmNVjRW29ulnudl.LbuAnUtN/LRfe1JsBm1Xu6LE3059z5Tr8m".to_owned(),
            PASSLIB.replace("argon2id", "argon2d"),
            PASSLIB.replace("v=19", "v=16"),
            PASSLIB.replace("v=19$", ""),
            format!("{PASSLIB}$"),
            format!("x{PASSLIB}"),
            format!("{PASSLIB}="),
            format!("{PASSLIB}{}", "A".repeat(200)),
            PASSLIB.replace("eC/FWKv1PseYkxLCuNf6Xw", "eC/F"),
            PASSLIB.replace("eC/FWKv1PseYkxLCuNf6Xw", "eC/FWKv1PseYkxLCuNf6X!"),
            PASSLIB.replace("G0i2V1YjaNtqAArSxYhXwEExftKfjCTbJTlv6ndJPGw", "G0i2"),
            PASSLIB.replace("G0i2V1YjaNtqAArSxYhXwEExftKfjCTbJTlv6ndJPGw", ""),
        ] {
            let error = readable(&bad).unwrap_err();
            assert!(matches!(error, AuthError::StoredHash(_)), "{bad}");
            assert!(!error.to_string().contains("G0i2"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_stored_is_read_or_refused(
            stored in r"\PC{0,40}|\$argon2(id|i|d)?\$v=1[96]\$m=[0-9]{0,12},t=[0-9]{0,3},p=[0-9]{0,3}(\$[A-Za-z0-9+/=]{0,50}){1,3}",
        ) {
            let _ = (readable(&stored), is_weaker_than_ours(&stored));
        }
    }
}
