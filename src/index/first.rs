use super::keys::PageKey;
use super::packing::{is_large, pack_large};
use super::render::{FILE_BYTES, etag};
use crate::http::{Encoding, Format};
use crate::simple::{File, PageWriter, ProjectPage};
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use tokio::task::JoinHandle;

/// The answer to the first who asks for a long page, made while the page arrives: written by the thread that reads it,
/// compressed by another. It is what would be rendered of the whole page, or it is thrown away.
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

/// A body as it is sent, and its ETag.
type Packed = (Vec<u8>, String);

/// A first answer, on its way.
pub(super) struct FirstBody {
    key: PageKey,
    packed: JoinHandle<io::Result<Packed>>,
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

    /// The page is whole; nothing where it is too short for this, or told in another way than its files were.
    pub(super) fn finish(mut self, page: &ProjectPage) -> Option<FirstBody> {
        if page.files_offered().len() != page.files.len() || !is_large(page.files.len() * FILE_BYTES) {
            return None;
        }
        self.files(&page.files);
        let Packer { pieces, packed } = self.packer?;
        let _ = pieces.send(self.writer.finish(page));
        Some(FirstBody { key: self.key, packed })
    }
}

impl Packer {
    fn start(encoding: Encoding) -> Self {
        let (pieces, come) = sync_channel(PIECES_MAX);
        let pack = move || {
            let body = pack_large(encoding, come)?;
            let tag = etag(&body, encoding);
            Ok((body, tag))
        };
        Self { pieces, packed: tokio::task::spawn_blocking(pack) }
    }
}

impl FirstBody {
    /// The body, and what it answers.
    pub(super) async fn body(self) -> Option<(PageKey, Packed)> {
        Some((self.key, self.packed.await.ok()?.ok()?))
    }
}
