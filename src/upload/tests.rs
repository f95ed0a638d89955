use super::*;
use crate::cache::Disk;
use bytes::Bytes;
use std::io::{self, Cursor, Write};
use std::sync::Arc;

mod checks;
mod forms;

pub fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

pub fn tar_gz(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    gzip(&builder.into_inner().unwrap())
}

/// A data directory for one test, and the disk in it.
struct Home {
    directory: tempfile::TempDir,
    disk: Arc<Disk>,
}

impl Home {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let disk = Arc::new(Disk::open(directory.path()).unwrap());
        Self { directory, disk }
    }

    /// Sends a body in pieces of this many bytes.
    async fn send(&self, body: &[u8], content_type: &str, piece: usize) -> Result<Form, UploadError> {
        let pieces: Vec<_> =
            body.chunks(piece).map(|piece| Ok::<_, io::Error>(Bytes::copy_from_slice(piece))).collect();
        receive(futures_util::stream::iter(pieces), content_type, &self.disk, LIMITS).await
    }

    async fn multipart(&self, body: &[u8]) -> Result<Form, UploadError> {
        self.send(body, CONTENT_TYPE, 700).await
    }

    fn temp_files(&self) -> usize {
        std::fs::read_dir(self.directory.path().join("tmp")).unwrap().count()
    }
}

const LIMITS: Limits = Limits { content_bytes_max: 4 << 20, contents_max: 1 };
const CONTENT_TYPE: &str = "multipart/form-data; boundary=8b0063f5ac9d1bbf";

fn field(name: &str, value: &str) -> Vec<u8> {
    format!("--8b0063f5ac9d1bbf\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").into_bytes()
}

/// The file as uv, flit and requests send it: no `Content-Type`.
fn content(filename: &str, bytes: &[u8]) -> Vec<u8> {
    let head = format!(
        "--8b0063f5ac9d1bbf\r\nContent-Disposition: form-data; name=\"content\"; filename=\"{filename}\"\r\n\r\n"
    );
    [head.as_bytes(), bytes, b"\r\n"].concat()
}

fn form(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), b"--8b0063f5ac9d1bbf--\r\n".to_vec()].concat()
}
