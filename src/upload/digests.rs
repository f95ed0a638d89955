use super::Refusal;
use crate::names::Sha256;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use md5::Digest;
use std::io::{self, Read};

/// Piece in which the file is read again, in bytes.
const PIECE_BYTES: usize = 256 * 1024;

/// What the client says the bytes are.
#[derive(Debug, Default)]
pub struct Stated {
    pub sha256: Option<String>,
    pub md5: Option<String>,
    pub blake2_256: Option<String>,
}

impl Stated {
    /// Compares with the bytes that arrived; they are read only when more than their SHA-256 is to be compared.
    pub fn check(&self, filename: &str, sha256: Sha256, bytes: impl Read) -> io::Result<Result<(), Refusal>> {
        let wrong = |field, given: &str| {
            Ok(Err(Refusal::WrongDigest { field, given: given.to_owned(), filename: filename.to_owned() }))
        };
        if let Some(given) = self.sha256.as_deref().filter(|given| Sha256::from_hex(given) != Ok(sha256)) {
            return wrong("sha256_digest", given);
        }
        if self.md5.is_none() && self.blake2_256.is_none() {
            return Ok(Ok(()));
        }
        let (md5, blake2) = self.read(bytes)?;
        if let Some(given) = self.md5.as_deref().filter(|given| !is_hex(given, &md5) && !is_base64(given, &md5)) {
            return wrong("md5_digest", given);
        }
        match self.blake2_256.as_deref().filter(|given| !is_hex(given, &blake2)) {
            Some(given) => wrong("blake2_256_digest", given),
            None => Ok(Ok(())),
        }
    }

    fn read(&self, mut bytes: impl Read) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let (mut md5, mut blake2) = (md5::Md5::new(), blake2::Blake2b256::new());
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            let count = match bytes.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let piece = buffer.get(..count).unwrap_or_default();
            if self.md5.is_some() {
                md5.update(piece);
            }
            if self.blake2_256.is_some() {
                blake2.update(piece);
            }
        }
        Ok((md5.finalize().to_vec(), blake2.finalize().to_vec()))
    }
}

fn is_hex(given: &str, digest: &[u8]) -> bool {
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    given.eq_ignore_ascii_case(&hex)
}

/// PyPI's documentation asks for this form of an MD5; few tools send it.
fn is_base64(given: &str, digest: &[u8]) -> bool {
    BASE64_URL_SAFE_NO_PAD.decode(given.trim_end_matches('=')).is_ok_and(|given| given == digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_each_form() {
        let sha256 = Sha256::of(b"abc");
        let check = |stated: Stated| stated.check("a", sha256, &b"abc"[..]).unwrap();
        let blake2 = "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319";
        for md5 in ["900150983cd24fb0d6963f7d28e17f72", "900150983CD24FB0D6963F7D28E17F72", "kAFQmDzST7DWlj99KOF_cg"] {
            let stated =
                Stated { sha256: Some(sha256.to_hex()), md5: Some(md5.into()), blake2_256: Some(blake2.into()) };
            assert_eq!(check(stated), Ok(()));
        }
        assert_eq!(check(Stated::default()), Ok(()));
        for (field, stated) in [
            ("sha256_digest", Stated { sha256: Some("00".into()), ..Stated::default() }),
            ("md5_digest", Stated { md5: Some(blake2.into()), ..Stated::default() }),
            ("blake2_256_digest", Stated { blake2_256: Some(sha256.to_hex()), ..Stated::default() }),
        ] {
            let error = check(stated).unwrap_err();
            assert!(matches!(&error, Refusal::WrongDigest { field: found, .. } if *found == field), "{error}");
        }
    }
}
