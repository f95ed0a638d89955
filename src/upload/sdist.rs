use super::zips::{Fault, MEMBERS_MAX, is_pkg_info, read_small, unpacked_max};
use crate::index::wheel;
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufReader, Read};

/// Largest unpacked sdist, in bytes, however large it is packed: all of it is unpacked to see that it is whole, which
/// takes a core some ten seconds.
const UNPACKED_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// Largest description of a member that stands before it (a long name, PAX records), in bytes.
const DESCRIPTION_BYTES_MAX: u64 = 256 * 1024;

/// Piece in which the packed bytes are read.
const PIECE_BYTES: usize = 64 * 1024;

const BROKEN: Fault = Fault::Broken("it is not a whole .tar.gz");

/// PKG-INFO of the one top directory of a `.tar.gz` of `size` bytes.
///
/// The archive is read to its end, so that a cut or damaged one is noticed. Only plain files are looked at: links lead
/// nowhere here.
pub fn pkg_info(archive: impl Read, size: u64) -> Result<Option<Vec<u8>>, Fault> {
    let left = unpacked_max(size).min(UNPACKED_BYTES_MAX);
    let unpacked = MultiGzDecoder::new(BufReader::with_capacity(PIECE_BYTES, archive));
    let mut tar = tar::Archive::new(Unpacked { unpacked, left });
    let found = walk(&mut tar)?;
    ends_in_zeros(tar.into_inner())?;
    Ok(found)
}

fn walk<R: Read>(tar: &mut tar::Archive<R>) -> Result<Option<Vec<u8>>, Fault> {
    let mut found = None;
    let mut long_path: Option<Vec<u8>> = None;
    let mut members = 0;
    // Raw: otherwise the crate reads descriptions of any size into memory.
    for member in tar.entries().map_err(from_io)?.raw(true) {
        let mut member = member.map_err(from_io)?;
        members += 1;
        if members > MEMBERS_MAX {
            return Err(Fault::Unsafe("it has too many members"));
        }
        let kind = member.header().entry_type();
        if kind.is_gnu_longlink() {
        } else if kind.is_gnu_longname() {
            let mut path = description(&mut member)?;
            path.truncate(path.iter().position(|byte| *byte == 0).unwrap_or(path.len()));
            long_path = Some(path);
        } else if kind.is_pax_local_extensions() || kind.is_pax_global_extensions() {
            let path = pax_path(&description(&mut member)?)?;
            if kind.is_pax_local_extensions() && path.is_some() {
                long_path = path;
            }
        } else if kind.is_gnu_sparse() {
            return Err(Fault::Unsafe("it has sparse files, which readers read in different ways"));
        } else {
            let path = long_path.take().unwrap_or_else(|| member.path_bytes().into_owned());
            if !kind.is_file() || !is_pkg_info(&path) {
                continue;
            }
            if found.is_some() {
                return Err(Fault::Unsafe("it has more than one PKG-INFO"));
            }
            let bytes = read_small(&mut member, wheel::METADATA_BYTES_MAX).map_err(from_io)?;
            found = Some(bytes.ok_or(Fault::Unsafe("its PKG-INFO is too large"))?);
        }
    }
    if members == 0 { Err(Fault::Broken("it is empty")) } else { Ok(found) }
}

fn description(member: &mut impl Read) -> Result<Vec<u8>, Fault> {
    read_small(member, DESCRIPTION_BYTES_MAX)
        .map_err(from_io)?
        .ok_or(Fault::Unsafe("a member's long name or PAX records are too large"))
}

/// The path that PAX records give. A size in them is refused: a reader that overlooks it sees other members.
fn pax_path(records: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    let mut path = None;
    for record in tar::PaxExtensions::new(records) {
        let record = record.map_err(from_io)?;
        match record.key_bytes() {
            b"path" => path = Some(record.value_bytes().to_vec()),
            b"size" => return Err(Fault::Unsafe("a member has its size in PAX records")),
            key if key.starts_with(b"GNU.sparse.") => {
                return Err(Fault::Unsafe("it has sparse files, which readers read in different ways"));
            }
            _ => {}
        }
    }
    Ok(path)
}

/// After the end of the archive there is only padding: what follows could be members to another reader.
fn ends_in_zeros(mut rest: impl Read) -> Result<(), Fault> {
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        match rest.read(&mut buffer).map_err(from_io)? {
            0 => return Ok(()),
            count if buffer.iter().take(count).all(|byte| *byte == 0) => {}
            _ => return Err(Fault::Unsafe("something follows the end of the archive")),
        }
    }
}

fn from_io(error: io::Error) -> Fault {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<TooMuch>()) {
        Some(TooMuch) => Fault::Unsafe("it unpacks to many times its size"),
        None => BROKEN,
    }
}

#[derive(Debug, thiserror::Error)]
#[error("more is unpacked than was allowed")]
struct TooMuch;

/// What comes out of the packer, up to a bound.
struct Unpacked<R> {
    unpacked: R,
    left: u64,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.unpacked.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| io::Error::other(TooMuch))?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upload::tests::{gzip, tar_gz};
    use proptest::prelude::*;

    fn of(bytes: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        pkg_info(bytes, bytes.len() as u64)
    }

    /// A tar of one member with this type, and what follows it.
    fn member(kind: tar::EntryType, path: &str, bytes: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_entry_type(kind);
        header.set_cksum();
        let mut tar = header.as_bytes().to_vec();
        tar.extend_from_slice(bytes);
        tar.resize(tar.len().next_multiple_of(512), 0);
        tar
    }

    fn pax(key: &str, value: &str) -> Vec<u8> {
        let record = format!(" {key}={value}\n");
        let len = (record.len()..).find(|len| len - len.to_string().len() == record.len()).unwrap();
        member(tar::EntryType::XHeader, "pax", format!("{len}{record}").as_bytes())
    }

    #[test]
    fn reads_the_one_at_the_top() {
        let good = tar_gz(&[("a-1/a.py", b"1"), ("a-1/PKG-INFO", b"Name: a"), ("a-1/a.egg-info/PKG-INFO", b"2")]);
        assert_eq!(of(&good), Ok(Some(b"Name: a".to_vec())));
        assert_eq!(of(&tar_gz(&[("./a-1/PKG-INFO", b"x")])), Ok(Some(b"x".to_vec())));
        assert_eq!(of(&tar_gz(&[("a-1/a.py", b"1")])), Ok(None));
        let two = tar_gz(&[("a-1/PKG-INFO", b"1"), ("a-1/PKG-INFO", b"2")]);
        assert_eq!(of(&two), Err(Fault::Unsafe("it has more than one PKG-INFO")));
    }

    #[test]
    fn long_names_come_from_records() {
        let long = format!("{}/PKG-INFO", "a".repeat(150));
        let plain = || member(tar::EntryType::Regular, "cut", b"Name: a");
        for before in [pax("path", &long), member(tar::EntryType::GNULongName, "L", format!("{long}\0").as_bytes())] {
            assert_eq!(of(&gzip(&[before, plain()].concat())), Ok(Some(b"Name: a".to_vec())));
        }
    }

    #[test]
    fn links_and_outer_paths_are_passed_over() {
        for tar in [
            member(tar::EntryType::Symlink, "a-1/PKG-INFO", b""),
            member(tar::EntryType::Link, "a-1/PKG-INFO", b""),
            member(tar::EntryType::Regular, "/PKG-INFO", b"x"),
            member(tar::EntryType::Regular, "../PKG-INFO", b"x"),
        ] {
            assert_eq!(of(&gzip(&tar)), Ok(None));
        }
    }

    #[test]
    fn what_readers_differ_on_is_refused() {
        let file = || member(tar::EntryType::Regular, "a-1/PKG-INFO", b"Name: a");
        for tar in [
            [pax("size", "0"), file()].concat(),
            [pax("GNU.sparse.major", "1"), file()].concat(),
            member(tar::EntryType::GNUSparse, "a-1/a", b""),
            [file(), vec![0; 1024], file()].concat(),
            pax("comment", &"x".repeat(DESCRIPTION_BYTES_MAX as usize)),
            member(tar::EntryType::Regular, "a-1/PKG-INFO", &vec![b'x'; wheel::METADATA_BYTES_MAX as usize + 1]),
        ] {
            assert!(matches!(of(&gzip(&tar)), Err(Fault::Unsafe(_))), "{} bytes", tar.len());
        }
    }

    #[test]
    fn broken_ones_are_noticed_to_the_last_byte() {
        let good = tar_gz(&[("a-1/PKG-INFO", b"Name: a"), ("a-1/a.py", &[7; 5000])]);
        for len in [0, 5, good.len() / 2, good.len() - 8, good.len() - 1] {
            assert_eq!(of(&good[..len]), Err(BROKEN), "{len}");
        }
        let mut damaged = good.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(of(&damaged), Err(BROKEN));
        assert_eq!(of(b"not gzip at all"), Err(BROKEN));
        assert_eq!(of(&gzip(&[])), Err(Fault::Broken("it is empty")));
    }

    #[test]
    fn a_bomb_stops_at_its_bound() {
        let bomb = gzip(&member(tar::EntryType::Regular, "a-1/zeros", &vec![0; 80 << 20]));
        assert!(bomb.len() < (80 << 20) / 50);
        assert_eq!(of(&bomb), Err(Fault::Unsafe("it unpacks to many times its size")));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..600), at in 0..2048_usize, to: u8) {
            let _ = of(&bytes);
            let _ = of(&gzip(&bytes));
            let mut tar = [pax("path", "a-1/PKG-INFO"), member(tar::EntryType::Regular, "a", b"Name: a")].concat();
            if let Some(byte) = tar.get_mut(at) { *byte = to; }
            let _ = of(&gzip(&tar));
        }
    }
}
