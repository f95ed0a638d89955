use sha2::{Digest, Sha256};
use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The file name of [`wheel`]'s wheel.
pub fn wheel_filename(name: &str, version: &str) -> String {
    format!("{}-{version}-py3-none-any.whl", module(name))
}

/// A real wheel that installers take: a module, `payload_len` bytes that do not compress, and the dist-info with right
/// hashes. The same arguments give the same bytes.
pub fn wheel(name: &str, version: &str, payload_len: usize, seed: u64) -> Vec<u8> {
    let module = module(name);
    let info = format!("{module}-{version}.dist-info");
    let files = [
        (format!("{module}/__init__.py"), format!("__version__ = \"{version}\"\n").into_bytes()),
        (format!("{module}/payload.bin"), noise(payload_len, seed)),
        (
            format!("{info}/METADATA"),
            format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: A test\n").into_bytes(),
        ),
        (
            format!("{info}/WHEEL"),
            b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n".to_vec(),
        ),
    ];
    let mut record = String::new();
    for (path, bytes) in &files {
        record.push_str(&format!("{path},sha256={},{}\n", base64(&Sha256::digest(bytes)), bytes.len()));
    }
    record.push_str(&format!("{info}/RECORD,,\n"));
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (path, bytes) in files.into_iter().chain([(format!("{info}/RECORD"), record.into_bytes())]) {
        zip.start_file(path, stored).unwrap();
        zip.write_all(&bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Bytes that do not compress: splitmix64 from `seed`.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

fn module(name: &str) -> String {
    name.to_lowercase().replace(['-', '.'], "_")
}

/// Base64 for URLs without padding, as RECORD has it.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for digit in 0..=group.len() {
            text.push(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63] as char);
        }
    }
    text
}
