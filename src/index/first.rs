use super::keys::PageKey;
use super::packing::{is_large, pack, pack_large};
use super::render::{FILE_BYTES, etag};
use crate::http::{Encoding, Format};
use crate::platform::Fixed;
use crate::simple::{File, PageWriter, ProjectPage};
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use tokio::task::JoinHandle;

/// The answer to the first who asks for a page, made while the page arrives: written by the thread that reads it, and a
/// long one compressed by another. It is what would be rendered of the whole page, or it is thrown away.
pub(super) struct First {
    key: PageKey,
    writer: PageWriter,
    /// Begun with the first piece: a short page has none before its end.
    packer: Option<Packer>,
}

struct Packer {
    pieces: SyncSender<Vec<u8>>,
    packed: JoinHandle<io::Result<Packed>>,
}

/// A body as it is sent.
pub(super) struct Packed {
    pub body: Fixed,
    pub encoding: Encoding,
    pub etag: String,
}

/// A first answer, and what it answers.
pub(super) struct FirstBody {
    key: PageKey,
    packed: MaybePacked,
}

enum MaybePacked {
    Here(Packed),
    Coming(JoinHandle<io::Result<Packed>>),
}

/// Pieces of the page that wait for the compressor.
const PIECES_MAX: usize = 4;

impl First {
    /// For `key`, when it is asked for in a form that can be written before the end has come.
    pub(super) fn of(key: PageKey) -> Option<Self> {
        let base = key.base.prefix(&key.document.index, key.document.kind, &key.document.name);
        (key.format == Format::JsonV1).then(|| Self { writer: PageWriter::new(&base), key, packer: None })
    }

    /// Writes what is new of the files that have come. To be called on a thread that may wait.
    pub(super) fn files(&mut self, come: &[File]) {
        if let Some(piece) = self.writer.files(come) {
            let packer = self.packer.get_or_insert_with(|| Packer::start(self.key.encoding));
            // A compressor that failed says so at the end.
            let _ = packer.pieces.send(piece);
        }
    }

    /// The page is whole; nothing where it is told in another way than its files were.
    pub(super) fn finish(mut self, page: &ProjectPage) -> Option<FirstBody> {
        if page.files_offered().len() != page.files.len() {
            return None;
        }
        self.files(&page.files);
        let (size, rest) = (page.files.len() * FILE_BYTES, self.writer.finish(page));
        let packed = match self.packer {
            Some(Packer { pieces, packed }) if is_large(size) => {
                let _ = pieces.send(rest);
                MaybePacked::Coming(packed)
            }
            None if !is_large(size) => {
                let (body, encoding) = pack(self.key.encoding, size, |out| out.write_all(&rest));
                MaybePacked::Here(Packed::new(body, encoding))
            }
            // It is about as long as a large one, and would be packed in another way when it is rendered again.
            _ => return None,
        };
        Some(FirstBody { key: self.key, packed })
    }
}

impl Packer {
    fn start(encoding: Encoding) -> Self {
        let (pieces, come) = sync_channel(PIECES_MAX);
        let pack = move || {
            let body = pack_large(encoding, come)?;
            Ok(Packed::new(body, encoding))
        };
        Self { pieces, packed: tokio::task::spawn_blocking(pack) }
    }
}

impl Packed {
    pub(super) fn new(body: Vec<u8>, encoding: Encoding) -> Self {
        Self { etag: etag(&body, encoding), body: body.into(), encoding }
    }
}

impl FirstBody {
    pub(super) async fn body(self) -> Option<(PageKey, Packed)> {
        let packed = match self.packed {
            MaybePacked::Here(packed) => packed,
            MaybePacked::Coming(packed) => packed.await.ok()?.ok()?,
        };
        Some((self.key, packed))
    }
}
