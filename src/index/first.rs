use super::keys::PageKey;
use super::packing::{is_large, pack, pack_large};
use super::render::{FILE_BYTES, etag};
use crate::http::{Encoding, Format};
use crate::names::Sha256;
use crate::platform::Fixed;
use crate::simple::{File, PageWriter, ProjectPage};
use sha2::Digest;
use std::io;
use std::iter;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use tokio::task::JoinHandle;

/// The answer to the first who asks for a page, written and packed while the page arrives, by another thread than the one
/// that reads it: that one hands the files over, and gets them back with the page. It is what would be rendered of the
/// whole page, or it is thrown away.
pub(super) struct First {
    parts: SyncSender<Part>,
    /// Where the page comes back to.
    back: Receiver<ProjectPage>,
    body: FirstBody,
}

enum Part {
    Files(Vec<File>),
    /// The page but for the files that went before.
    Rest(Box<ProjectPage>),
}

/// A body as it is sent.
pub(super) struct Packed {
    pub body: Fixed,
    pub encoding: Encoding,
    pub etag: String,
}

/// A first answer that may still be packed, and what it answers.
pub(super) struct FirstBody {
    key: PageKey,
    packed: JoinHandle<io::Result<Option<Packed>>>,
}

/// Parts of the page that wait to be written.
const PARTS_MAX: usize = 4;

impl First {
    /// For `key`, when it is asked for in a form that can be written before the end has come.
    pub(super) fn of(key: PageKey) -> Option<Self> {
        if key.format != Format::JsonV1 {
            return None;
        }
        let base = key.base.prefix(&key.document.index, key.document.kind, &key.document.name);
        let ((parts, come), (give_back, back)) = (sync_channel(PARTS_MAX), sync_channel(1));
        let (writer, encoding) = (PageWriter::new(&base), key.encoding);
        let written = Written { come, writer: Some(writer), batches: Vec::new(), back: give_back, size: None };
        let packed = tokio::task::spawn_blocking(move || written.packed(encoding));
        Some(Self { parts, back, body: FirstBody { key, packed } })
    }

    /// Hands over the next files. To be called on a thread that may wait.
    pub(super) fn files(&mut self, come: Vec<File>) {
        // Who has ended says so at the end.
        let _ = self.parts.send(Part::Files(come));
    }

    /// `page` is all but for the files that were handed over. Yields the whole, and the answer unless it is told in another
    /// way than its files were; nothing where the other thread is gone, and the files with it.
    pub(super) fn finish(self, page: ProjectPage) -> Option<(ProjectPage, Option<FirstBody>)> {
        self.parts.send(Part::Rest(Box::new(page))).ok()?;
        let page = self.back.recv().ok()?;
        let is_told_so = page.files_offered().len() == page.files.len();
        Some((page, is_told_so.then_some(self.body)))
    }
}

/// The pieces of a page that is written while its files come.
struct Written {
    come: Receiver<Part>,
    /// Until the end is written.
    writer: Option<PageWriter>,
    /// The files that were written, as many at a time as they came.
    batches: Vec<Vec<File>>,
    back: SyncSender<ProjectPage>,
    /// Of the whole, in bytes, about: known at its end.
    size: Option<usize>,
}

impl Written {
    fn packed(mut self, encoding: Encoding) -> io::Result<Option<Packed>> {
        let Some(first) = self.next() else { return Ok(None) };
        let begun = self.size;
        let packed = match begun {
            Some(size) if !is_large(size) => {
                let (body, encoding) = pack(encoding, size, |out| out.write_all(&first));
                Ok(Packed::new(body, encoding))
            }
            _ => Packed::of_pieces(iter::once(first).chain(&mut self), encoding),
        };
        // The page goes back even where its answer failed.
        (&mut self).for_each(drop);
        let packed = packed?;
        // Of about the size of a large one, it would be packed in another way when it is rendered again.
        let is_as_rendered = begun.is_some() || self.size.is_some_and(is_large);
        Ok(is_as_rendered.then_some(packed))
    }
}

impl Iterator for Written {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let writer = self.writer.as_mut()?;
            // Without an end the reader has given up.
            match self.come.recv().ok()? {
                Part::Files(files) => {
                    let piece = writer.files(&files);
                    self.batches.push(files);
                    if piece.is_some() {
                        return piece;
                    }
                }
                Part::Rest(mut page) => {
                    let mut rest = writer.files(&page.files).unwrap_or_default();
                    self.batches.push(std::mem::take(&mut page.files));
                    page.files = joined(std::mem::take(&mut self.batches));
                    self.size = Some(page.files.len() * FILE_BYTES);
                    rest.extend(self.writer.take()?.finish(&*page));
                    // Nobody waits for it any more where the fetch was given up.
                    let _ = self.back.send(*page);
                    return Some(rest);
                }
            }
        }
    }
}

fn joined(batches: Vec<Vec<File>>) -> Vec<File> {
    let mut all = Vec::with_capacity(batches.iter().map(Vec::len).sum());
    batches.into_iter().for_each(|batch| all.extend(batch));
    all
}

impl Packed {
    pub(super) fn new(body: Vec<u8>, encoding: Encoding) -> Self {
        Self { etag: etag(&Sha256::of(&body), encoding), body: body.into(), encoding }
    }

    /// A large page. As it is, its pieces are digested while the others come, and copied once.
    fn of_pieces(pieces: impl Iterator<Item = Vec<u8>>, encoding: Encoding) -> io::Result<Self> {
        if encoding != Encoding::Identity {
            return Ok(Self::new(pack_large(encoding, pieces)?, encoding));
        }
        let mut digest = sha2::Sha256::new();
        let pieces: Vec<_> = pieces.inspect(|piece| digest.update(piece)).collect();
        let digest = Sha256::from_bytes(digest.finalize().into());
        Ok(Self { etag: etag(&digest, encoding), body: Fixed::gathered(&pieces), encoding })
    }
}

impl FirstBody {
    pub(super) async fn body(self) -> Option<(PageKey, Packed)> {
        Some((self.key, self.packed.await.ok()?.ok()??))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::ProjectName;
    use crate::simple::{parse_json, render_json};
    use serde_json::json;
    use std::thread;
    use url::Url;

    const BASE: &str = "../../";

    fn page(files: usize, note: &str) -> ProjectPage {
        let file = |n| json!({"filename": format!("demo-1.{n}.tar.gz"), "url": format!("demo-1.{n}.tar.gz"), "hashes": {}, "note": note});
        let files: Vec<_> = (0..files).map(file).collect();
        let page = json!({"meta": {"api-version": "1.1"}, "name": "demo", "files": files}).to_string();
        let url = Url::parse("https://index.example/simple/demo/").unwrap();
        parse_json(page.as_bytes(), &url, &ProjectName::parse("demo").unwrap()).unwrap()
    }

    /// What becomes of a page whose files come so many at a time; without its end for `is_cut`.
    fn written(
        page: &ProjectPage,
        at_a_time: usize,
        encoding: Encoding,
        is_cut: bool,
    ) -> (Option<ProjectPage>, Option<Packed>) {
        let ((parts, come), (give_back, back)) = (sync_channel(PARTS_MAX), sync_channel(1));
        let writer = Some(PageWriter::new(BASE));
        let written = Written { come, writer, batches: Vec::new(), back: give_back, size: None };
        let packed = thread::spawn(move || written.packed(encoding).unwrap());
        let mut rest = page.clone();
        let last = rest.files.split_off(rest.files.len() - 1);
        for files in rest.files.chunks(at_a_time) {
            parts.send(Part::Files(files.to_vec())).unwrap();
        }
        rest.files = last;
        if !is_cut {
            parts.send(Part::Rest(Box::new(rest))).unwrap();
        }
        drop(parts);
        (back.recv().ok(), packed.join().unwrap())
    }

    #[test]
    fn a_page_comes_back_whole_with_what_would_be_rendered_of_it() {
        for files in [1, 2, 30, 3_000] {
            let page = page(files, "");
            let rendered = render_json(&page, BASE);
            for wanted in [Encoding::Zstd, Encoding::Identity] {
                let (body, encoding) = pack(wanted, files * FILE_BYTES, |out| out.write_all(&rendered));
                let as_rendered = Packed::new(body, encoding);
                let as_sent = |packed: &Packed| (packed.body.to_vec(), packed.encoding, packed.etag.clone());
                for at_a_time in [7, 500, 5_000] {
                    let (back, packed) = written(&page, at_a_time, wanted, false);
                    let packed = packed.unwrap();
                    assert_eq!(back.as_ref(), Some(&page), "{files} files");
                    assert!(
                        as_sent(&packed) == as_sent(&as_rendered),
                        "{files} files, {at_a_time} at a time, {wanted:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_would_be_packed_in_another_way_is_thrown_away_and_a_page_without_an_end_is_none() {
        // Few files, long ones: a piece left before that was known.
        let long = page(30, &"x".repeat(4_000));
        let (back, packed) = written(&long, 7, Encoding::Zstd, false);
        assert!(back == Some(long.clone()) && packed.is_none());
        for page in [long, page(3_000, "")] {
            let (back, packed) = written(&page, 500, Encoding::Zstd, true);
            assert!(back.is_none() && packed.is_none());
        }
    }
}
