use super::Refusal;
use crate::index::wheel;
use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

/// Most members of an archive: a wheel or an sdist of a hundred thousand files is none.
pub const MEMBERS_MAX: usize = 100_000;

/// Most bytes read for the directory: that of 100,000 members whose names have a hundred bytes each. All of it is in
/// memory before its members can be counted.
const DIRECTORY_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Bytes read beyond twice the archive when the heads of its members are compared with the directory: the heads of
/// 100,000 members, and the search for what stands between them.
const HEADS_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Unpacked size that is always taken, in bytes.
const UNPACKED_BYTES_FREE: u64 = 64 * 1024 * 1024;

/// Beyond that, how many times larger than the archive it may be: sources and libraries pack three to ten times.
const UNPACKED_RATIO_MAX: u64 = 50;

/// What is wrong with an archive, before it has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Broken(&'static str),
    Unsafe(&'static str),
}

impl Fault {
    pub fn of(self, filename: &str) -> Refusal {
        let filename = filename.to_owned();
        match self {
            Self::Broken(why) => Refusal::BrokenArchive { filename, why },
            Self::Unsafe(why) => Refusal::UnsafeArchive { filename, why },
        }
    }

    pub fn why(self) -> &'static str {
        match self {
            Self::Broken(why) | Self::Unsafe(why) => why,
        }
    }
}

/// The unpacked size at which an archive of `size` bytes is taken for a bomb.
pub fn unpacked_max(size: u64) -> u64 {
    UNPACKED_BYTES_FREE.max(size.saturating_mul(UNPACKED_RATIO_MAX))
}

/// A zip archive whose directory was read and has no path that leads out of it.
pub struct Zip<R> {
    archive: zip::ZipArchive<Allowed<R>>,
    left: Rc<Cell<u64>>,
    size: u64,
}

impl<R: Read + Seek> Zip<R> {
    /// Reads the directory of an archive of `size` bytes.
    pub fn open(archive: R, size: u64) -> Result<Self, Fault> {
        let left = Rc::new(Cell::new(DIRECTORY_BYTES_MAX));
        let allowed = Allowed { archive, left: Rc::clone(&left) };
        let archive = zip::ZipArchive::new(allowed).map_err(|_| Fault::Broken("it is not a zip archive"))?;
        if archive.len() > MEMBERS_MAX {
            return Err(Fault::Unsafe("it has too many members"));
        }
        if archive.file_names_raw().any(leads_out) {
            return Err(Fault::Unsafe("a member's path leads out of the archive or has characters no path needs"));
        }
        if archive.decompressed_size().is_none_or(|unpacked| unpacked > u128::from(unpacked_max(size))) {
            return Err(Fault::Unsafe("it unpacks to many times its size"));
        }
        Ok(Self { archive, left, size })
    }

    /// Refuses what two readers could read in two ways: a name twice, a member's head that differs from the directory,
    /// members that overlap, members that the directory does not have.
    pub fn check_one_reading(&mut self) -> Result<(), Fault> {
        if self.archive.has_duplicate_names() {
            return Err(Fault::Unsafe("two members have one name"));
        }
        self.left.set(self.size.saturating_mul(2).saturating_add(HEADS_BYTES_MAX));
        self.archive
            .validate_header_consistency()
            .map_err(|_| Fault::Unsafe("its directory and the heads of its members disagree"))
    }

    /// PKG-INFO of the one top directory.
    pub fn pkg_info(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        let found: Vec<usize> = self
            .archive
            .file_names_raw()
            .enumerate()
            .filter(|(_, name)| is_pkg_info(name))
            .map(|(index, _)| index)
            .collect();
        let index = match found.as_slice() {
            [] => return Ok(None),
            [index] => *index,
            _ => return Err(Fault::Unsafe("it has more than one PKG-INFO")),
        };
        self.left.set(DIRECTORY_BYTES_MAX);
        let broken = Fault::Broken("its PKG-INFO cannot be unpacked");
        let mut member = self.archive.by_index(index).map_err(|_| broken)?;
        read_small(&mut member, wheel::METADATA_BYTES_MAX)
            .map_err(|_| broken)?
            .map(Some)
            .ok_or(Fault::Unsafe("its PKG-INFO is too large"))
    }
}

/// Whether this is PKG-INFO in a directory at the top.
pub fn is_pkg_info(path: &[u8]) -> bool {
    let path = path.strip_prefix(b"./").unwrap_or(path);
    let mut parts = path.split(|byte| *byte == b'/');
    let top = parts.next().unwrap_or_default();
    !top.is_empty() && top != b".." && parts.next() == Some(b"PKG-INFO") && parts.next().is_none()
}

/// All of a small member; `None` when it has more than `max` bytes.
pub fn read_small(member: &mut impl Read, max: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    member.take(max + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= max).then_some(bytes))
}

/// Absolute, with a drive, with `..`, with backslashes, or with bytes that no file's name has.
fn leads_out(path: &[u8]) -> bool {
    let inside = path.strip_suffix(b"/").unwrap_or(path);
    inside.get(1) == Some(&b':')
        || inside.iter().any(|byte| byte.is_ascii_control() || *byte == b'\\')
        || inside.split(|byte| *byte == b'/').any(|part| matches!(part, b"" | b"." | b".."))
}

/// Reads so much and no more.
struct Allowed<R> {
    archive: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Allowed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = buffer.len().min(usize::try_from(self.left.get()).unwrap_or(usize::MAX));
        if want == 0 && !buffer.is_empty() {
            return Err(io::Error::other("more would have to be read than an archive is worth"));
        }
        let count = self.archive.read(buffer.get_mut(..want).unwrap_or_default())?;
        self.left.set(self.left.get().saturating_sub(count as u64));
        Ok(count)
    }
}

impl<R: Seek> Seek for Allowed<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.archive.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upload::tests::zip_of;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn opened(bytes: &[u8]) -> Result<Zip<Cursor<&[u8]>>, Fault> {
        Zip::open(Cursor::new(bytes), bytes.len() as u64)
    }

    #[test]
    fn paths_stay_inside() {
        for good in ["a", "a/b.py", "a/", "a..b/...", "é"] {
            assert!(!leads_out(good.as_bytes()), "{good}");
        }
        for bad in ["", "/", "/a", "a//b", "../a", "a/../b", "a/..", "./a", "a\\b", "C:/a", "c:", "a\0b", "a\nb"] {
            assert!(leads_out(bad.as_bytes()), "{bad}");
        }
        let bytes = zip_of(&[("x/../../a", b"1")]);
        assert!(matches!(opened(&bytes).err(), Some(Fault::Unsafe(_))));
    }

    #[test]
    fn one_directory_has_the_pkg_info() {
        let bytes = zip_of(&[("a-1/PKG-INFO", b"Name: a"), ("a-1/a.egg-info/PKG-INFO", b"2"), ("PKG-INFO", b"3")]);
        assert_eq!(opened(&bytes).unwrap().pkg_info(), Ok(Some(b"Name: a".to_vec())));
        assert_eq!(opened(&zip_of(&[("a-1/a.py", b"")])).unwrap().pkg_info(), Ok(None));
        let two = zip_of(&[("a-1/PKG-INFO", b"1"), ("b-1/PKG-INFO", b"2")]);
        assert!(opened(&two).unwrap().pkg_info().is_err());
        let huge = vec![b'x'; wheel::METADATA_BYTES_MAX as usize + 1];
        assert_eq!(
            opened(&zip_of(&[("a-1/PKG-INFO", &huge)])).unwrap().pkg_info(),
            Err(Fault::Unsafe("its PKG-INFO is too large"))
        );
    }

    #[test]
    fn archives_with_two_readings_are_refused() {
        let good = zip_of(&[("a/one.py", b"1"), ("a/two.py", b"2")]);
        assert_eq!(opened(&good).unwrap().check_one_reading(), Ok(()));
        let renamed = |from: &[u8], to: &[u8], which: usize| {
            let mut bytes = good.clone();
            let at: Vec<usize> = (0..bytes.len() - from.len()).filter(|&at| bytes[at..].starts_with(from)).collect();
            assert_eq!(at.len(), 2, "a head and the directory");
            bytes[at[which]..at[which] + to.len()].copy_from_slice(to);
            bytes
        };
        // A name twice, in both places; and a head that names another file.
        let mut twice = renamed(b"a/two.py", b"a/one.py", 1);
        assert!(opened(&twice).unwrap().check_one_reading().is_err());
        let at = twice.windows(8).position(|window| window == b"a/two.py").unwrap();
        twice[at..at + 8].copy_from_slice(b"a/one.py");
        assert_eq!(opened(&twice).unwrap().check_one_reading(), Err(Fault::Unsafe("two members have one name")));
        let head = renamed(b"a/two.py", b"a/ten.py", 0);
        assert!(opened(&head).unwrap().check_one_reading().is_err());
    }

    #[test]
    fn a_member_that_claims_terabytes_is_a_bomb() {
        let mut bytes = zip_of(&[("a/one.py", b"1")]);
        let directory = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        bytes[directory + 24..directory + 28].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
        assert_eq!(opened(&bytes).err(), Some(Fault::Unsafe("it unpacks to many times its size")));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0..300_usize, to: u8) {
            let mut damaged = zip_of(&[("a-1/PKG-INFO", b"Name: a"), ("a-1/b.py", b"x")]);
            if let Some(byte) = damaged.get_mut(at) { *byte = to; }
            for bytes in [bytes, damaged] {
                if let Ok(mut zip) = opened(&bytes) {
                    let _ = zip.check_one_reading();
                    let _ = zip.pkg_info();
                }
            }
        }
    }
}
