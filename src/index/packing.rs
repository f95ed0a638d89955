//! How a page is compressed for those who take it so.

use crate::http::Encoding;
use std::io::{self, Write};

/// How hard a page of some size is compressed. One level for a size: equal pages give equal bytes.
struct Levels {
    zstd: i32,
    gzip: u32,
    brotli: u32,
}

/// For pages that are done in a few milliseconds whatever the level.
const SMALL: Levels = Levels { zstd: 6, gzip: 6, brotli: 5 };

/// Measured on a page of 2.5 MB (bench/pages.rs): its digests, half of it, do not shrink by trying harder. zstd 1 makes
/// less of it than 6 in a sixth of the time, brotli 2 less than 5 in a sixth; gzip 2 a twentieth more than 6 in half.
const LARGE: Levels = Levels { zstd: 1, gzip: 2, brotli: 2 };

/// Pages from about this size on are large, in bytes.
const LARGE_PAGE_BYTES: usize = 128 * 1024;

const BROTLI_WINDOW_BITS: u32 = 22;
const BROTLI_BUFFER_BYTES: usize = 64 * 1024;

/// Smaller bodies are not worth compressing: the head is as large.
const COMPRESS_FROM_BYTES: usize = 512;

/// What `write` writes, of about `size` bytes, compressed while it is written; as it is where compression would not make
/// it smaller. The plain form of a large page is never held beside the compressed one.
pub(super) fn pack(
    encoding: Encoding,
    size: usize,
    write: impl Fn(&mut dyn Write) -> io::Result<()>,
) -> (Vec<u8>, Encoding) {
    let is_large = is_large(size);
    if is_large
        && encoding != Encoding::Identity
        && let Ok(packed) = compressed(encoding, &LARGE, &write)
    {
        return (packed, encoding);
    }
    let mut plain = Vec::with_capacity(size);
    // Writing into a Vec cannot fail.
    let _ = write(&mut plain);
    if encoding == Encoding::Identity || is_large || plain.len() < COMPRESS_FROM_BYTES {
        return (plain, Encoding::Identity);
    }
    match compressed_whole(encoding, &plain) {
        Ok(packed) if packed.len() < plain.len() => (packed, encoding),
        _ => (plain, Encoding::Identity),
    }
}

/// Whether a page of about `size` bytes is packed as [`pack_large`] does it.
pub(super) fn is_large(size: usize) -> bool {
    size >= LARGE_PAGE_BYTES
}

/// A large page's pieces, packed while they come.
pub(super) fn pack_large(encoding: Encoding, pieces: impl IntoIterator<Item = Vec<u8>>) -> io::Result<Vec<u8>> {
    compressed(encoding, &LARGE, |out| pieces.into_iter().try_for_each(|piece| out.write_all(&piece)))
}

fn compressed_whole(encoding: Encoding, plain: &[u8]) -> io::Result<Vec<u8>> {
    match encoding {
        // Told the size beforehand, it makes its tables for that: for most pages that is most of the work.
        Encoding::Zstd => zstd::bulk::compress(plain, SMALL.zstd),
        _ => compressed(encoding, &SMALL, |out| out.write_all(plain)),
    }
}

fn compressed(
    encoding: Encoding,
    levels: &Levels,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    match encoding {
        Encoding::Identity => write(&mut out)?,
        Encoding::Zstd => {
            let mut packer = zstd::stream::write::Encoder::new(&mut out, levels.zstd)?;
            write(&mut packer)?;
            packer.finish()?;
        }
        Encoding::Gzip => {
            let mut packer = flate2::write::GzEncoder::new(&mut out, flate2::Compression::new(levels.gzip));
            write(&mut packer)?;
            packer.finish()?;
        }
        Encoding::Br => {
            let mut packer =
                brotli::CompressorWriter::new(&mut out, BROTLI_BUFFER_BYTES, levels.brotli, BROTLI_WINDOW_BITS);
            write(&mut packer)?;
            packer.into_inner();
        }
    }
    Ok(out)
}
