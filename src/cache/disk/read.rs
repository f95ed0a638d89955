use crate::names::Sha256;
use sha2::Digest;
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;

/// Piece in which a file is read through, in bytes: large enough for the disk, small enough for memory.
const PIECE_BYTES: usize = 256 * 1024;

/// What a file is that was read through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadThrough {
    Whole(Sha256),
    /// It ends after so many bytes.
    Cut(u64),
    /// Who was handed the pieces wanted no more.
    Stopped,
}

/// Reads the first `len` bytes of a file and hashes them; `each` is handed every piece and where it begins.
pub fn read_through(
    file: &File,
    len: u64,
    mut each: impl FnMut(&[u8], u64) -> ControlFlow<()>,
) -> io::Result<ReadThrough> {
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; PIECE_BYTES.min(usize::try_from(len).unwrap_or(PIECE_BYTES))];
    let mut at = 0;
    while at < len {
        let want = buffer.len().min(usize::try_from(len - at).unwrap_or(usize::MAX));
        let got = match file.read_at(buffer.get_mut(..want).unwrap_or_default(), at) {
            Ok(0) => return Ok(ReadThrough::Cut(at)),
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let piece = buffer.get(..got).unwrap_or_default();
        hasher.update(piece);
        if each(piece, at).is_break() {
            return Ok(ReadThrough::Stopped);
        }
        at += got as u64;
    }
    Ok(ReadThrough::Whole(Sha256::from_bytes(hasher.finalize().into())))
}
