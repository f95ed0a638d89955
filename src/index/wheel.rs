use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

/// Most bytes of core metadata taken: PyPI's largest are under 1 MiB, with a long README.
pub const METADATA_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Most members of a wheel that are looked through; a wheel with a hundred thousand files is no wheel.
const MEMBERS_MAX: usize = 100_000;

/// Most bytes of an archive that are read for its metadata: a directory of 100,000 members whose names have a hundred
/// bytes each. All members of a directory are in memory before they can be counted.
const READ_BYTES_MAX: u64 = 16 * 1024 * 1024;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WheelError {
    #[error("the archive cannot be read as a wheel")]
    NotAWheel,
    #[error("the wheel has no METADATA in a .dist-info directory of its own")]
    NoMetadata,
    #[error("the wheel's METADATA is larger than {METADATA_BYTES_MAX} bytes")]
    TooLarge,
    /// Bytes that are needed are not here yet; asked for from this offset on.
    #[error("more bytes are needed, from {0} on")]
    Needs(u64),
}

/// Reads `*.dist-info/METADATA` out of a wheel (PEP 427, PEP 658): the bytes as they are in the archive.
///
/// The member must be in the one top-level `.dist-info` directory; nothing is unpacked to disk and nothing run.
pub fn metadata(archive: impl Read + Seek) -> Result<Vec<u8>, WheelError> {
    let mut archive = zip::ZipArchive::new(Frugal::new(archive, READ_BYTES_MAX)).map_err(from_zip)?;
    if archive.len() > MEMBERS_MAX {
        return Err(WheelError::NotAWheel);
    }
    let is_metadata = |name: &str| {
        name.split_once('/').is_some_and(|(directory, file)| directory.ends_with(".dist-info") && file == "METADATA")
    };
    let found: Vec<String> = archive
        .file_names()
        .filter_map(Result::ok)
        .filter(|name| is_metadata(name))
        .map(|name| name.into_owned())
        .collect();
    let [name] = found.as_slice() else { return Err(WheelError::NoMetadata) };
    let member = archive.by_name(name).map_err(from_zip)?;
    if member.size() > METADATA_BYTES_MAX {
        return Err(WheelError::TooLarge);
    }
    let mut bytes = Vec::new();
    member.take(METADATA_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(from_io)?;
    match bytes.len() as u64 {
        0 => Err(WheelError::NoMetadata),
        len if len > METADATA_BYTES_MAX => Err(WheelError::TooLarge),
        _ => Ok(bytes),
    }
}

/// Whether the end of a file holds the record that ends a zip archive.
pub fn ends_like_one(end: &[u8]) -> bool {
    const END_OF_CENTRAL_DIRECTORY: &[u8] = b"PK\x05\x06";
    end.windows(END_OF_CENTRAL_DIRECTORY.len()).any(|window| window == END_OF_CENTRAL_DIRECTORY)
}

/// Reads so much and no more.
pub(super) struct Frugal<R> {
    archive: R,
    left: u64,
}

impl<R> Frugal<R> {
    pub(super) fn new(archive: R, left: u64) -> Self {
        Self { archive, left }
    }
}

impl<R: Read> Read for Frugal<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if want == 0 && !buffer.is_empty() {
            return Err(io::Error::other("more would have to be read than an archive is worth"));
        }
        let count = self.archive.read(buffer.get_mut(..want).unwrap_or_default())?;
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}

impl<R: Seek> Seek for Frugal<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.archive.seek(to)
    }
}

fn from_zip(error: zip::result::ZipError) -> WheelError {
    match error {
        zip::result::ZipError::Io(error) => from_io(error),
        _ => WheelError::NotAWheel,
    }
}

fn from_io(error: io::Error) -> WheelError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Absent>()) {
        Some(absent) => WheelError::Needs(absent.0),
        None => WheelError::NotAWheel,
    }
}

/// A file of which only some pieces are here; reading elsewhere fails and says where.
#[derive(Clone)]
pub struct Sparse {
    len: u64,
    at: u64,
    pieces: Vec<(u64, bytes::Bytes)>,
}

#[derive(Debug, thiserror::Error)]
#[error("the bytes from {0} on are not here")]
struct Absent(u64);

impl Sparse {
    pub fn new(len: u64) -> Self {
        Self { len, at: 0, pieces: Vec::new() }
    }

    pub fn add(&mut self, at: u64, piece: bytes::Bytes) {
        self.pieces.push((at, piece));
    }

    /// The piece that holds the byte at `at`, as a range.
    pub fn covers(&self, at: u64) -> Option<Range<u64>> {
        self.pieces.iter().map(|(start, piece)| *start..start + piece.len() as u64).find(|range| range.contains(&at))
    }

    pub fn bytes(&self) -> u64 {
        self.pieces.iter().map(|(_, piece)| piece.len() as u64).sum()
    }
}

impl Read for Sparse {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.len || buffer.is_empty() {
            return Ok(0);
        }
        let at = self.at;
        let found = self.pieces.iter().find(|(start, piece)| *start <= at && at < start + piece.len() as u64);
        let Some((start, piece)) = found else { return Err(io::Error::other(Absent(at))) };
        let rest = piece.get((at - start) as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        for (slot, byte) in buffer.iter_mut().zip(rest) {
            *slot = *byte;
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Sparse {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{Cursor, Write};

    fn wheel(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for (name, bytes) in members {
            writer.start_file(*name, options).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn reads_the_one_metadata() {
        let good = wheel(&[("a/x.py", vec![0; 9]), ("a-1.dist-info/METADATA", b"Name: a".to_vec())]);
        assert_eq!(metadata(Cursor::new(good)).unwrap(), b"Name: a");
        for bad in [
            wheel(&[("a.dist-info/METADATA", b"1".to_vec()), ("b.dist-info/METADATA", b"2".to_vec())]),
            wheel(&[("a/b.dist-info/METADATA", b"1".to_vec())]),
            wheel(&[("a.dist-info/METADATA", Vec::new())]),
        ] {
            assert_eq!(metadata(Cursor::new(bad)), Err(WheelError::NoMetadata));
        }
        let big = wheel(&[("a.dist-info/METADATA", vec![b'x'; METADATA_BYTES_MAX as usize + 1])]);
        assert_eq!(metadata(Cursor::new(big)), Err(WheelError::TooLarge));
        assert_eq!(metadata(Cursor::new(b"PK no zip".to_vec())), Err(WheelError::NotAWheel));
    }

    /// Counts what is read of an archive.
    struct Counted<'a>(Cursor<Vec<u8>>, &'a mut u64);

    impl Read for Counted<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.read(buffer)?;
            *self.1 += count as u64;
            Ok(count)
        }
    }

    impl Seek for Counted<'_> {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }

    #[test]
    fn an_endless_directory_is_not_read_to_its_end() {
        // 400,000 members of 150 bytes in the directory, no two of one name.
        let mut directory = Vec::new();
        for n in 0..400_000_u32 {
            directory.extend_from_slice(b"PK\x01\x02\x14\0\x14\0");
            directory.extend_from_slice(&[0; 20]);
            directory.extend_from_slice(&104_u16.to_le_bytes());
            directory.extend_from_slice(&[0; 16]);
            directory.extend_from_slice(format!("{n:0104}").as_bytes());
        }
        let (entries, len) = (400_000_u64, directory.len() as u64);
        let mut bytes = directory;
        bytes.extend_from_slice(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\0\x2d\0\0\0\0\0\0\0\0\0");
        for value in [entries, entries, len, 0] {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        bytes.extend_from_slice(b"PK\x06\x07\0\0\0\0");
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&1_u32.to_le_bytes());
        bytes.extend_from_slice(b"PK\x05\x06\0\0\0\0");
        bytes.extend_from_slice(&[0xff; 12]);
        bytes.extend_from_slice(&[0; 2]);
        let mut read = 0;
        assert!(metadata(Counted(Cursor::new(bytes), &mut read)).is_err());
        assert!(read <= READ_BYTES_MAX, "{read} bytes were read");
    }

    #[test]
    fn two_pieces_are_enough() {
        let whole = wheel(&[
            ("a-1.dist-info/METADATA", b"Name: a".to_vec()),
            ("a/big.bin", (0..200_000_u32).map(|i| (i * 7) as u8).collect()),
        ]);
        let mut sparse = Sparse::new(whole.len() as u64);
        let mut fetched = 0;
        let found = loop {
            match metadata(sparse.clone()) {
                Err(WheelError::Needs(at)) => {
                    assert!(sparse.covers(at).is_none(), "asked twice for {at}");
                    fetched += 1;
                    let start = if fetched == 1 { whole.len() - 4096 } else { at as usize };
                    let end = whole.len().min(start + 4096);
                    sparse.add(start as u64, bytes::Bytes::copy_from_slice(&whole[start..end]));
                }
                other => break other,
            }
        };
        assert_eq!((found.unwrap(), fetched), (b"Name: a".to_vec(), 2));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 0..200_usize) {
            let _ = metadata(Cursor::new(bytes));
            let mut good = wheel(&[("a-1.dist-info/METADATA", b"Name: a".to_vec())]);
            if let Some(byte) = good.get_mut(cut) { *byte ^= 0x55; }
            let _ = metadata(Cursor::new(good));
        }
    }
}
