use super::files::KnownFile;
use super::render::RenderedPage;
use super::spellings::Spelled;
use crate::cache::Weigh;
use crate::http::{Encoding, Format};
use crate::names::{DigestPrefix, DistFilename, IndexName, ProjectName, Sha256};
use crate::search::{Directory, NamesPart};
use crate::simple::ProjectPage;
use crate::store::DocumentKey;
use bytes::Bytes;
use std::sync::Arc;

/// What the memory is asked for.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Key {
    Page(PageKey),
    /// By its digest too: what is read late never takes the place of what came since.
    Content(DocumentKey, Sha256),
    /// What is known of a file.
    File(FileKey),
    /// The same with its bytes, apart: they must be worth their own room, and what is known of a thousand files takes that of
    /// a few wheels.
    Bytes(FileKey),
    /// A wheel's metadata, the place being the metadata's own digest.
    Metadata(FileKey),
    /// The words of what is known.
    Spelled,
    /// Where the parts of a file of names lie, by the file's digest.
    Names(Sha256),
    /// One of those parts.
    NamesPart(Sha256, usize),
}

/// One rendering of a document.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PageKey {
    pub document: DocumentKey,
    pub format: Format,
    pub encoding: Encoding,
    pub base: Base,
}

/// Where the page is asked for: it decides how its relative links begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Base {
    /// Under `/{user}/{index}/+simple/`.
    Index,
    /// Under an alias of the default index at the top: `/simple/`, `/pypi/`.
    Alias,
}

/// A file as its URL names it. That it is in memory under this key means that the index lists it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FileKey {
    pub index: IndexName,
    pub place: Place,
    pub filename: DistFilename,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// `+f/{3}/{13}/`.
    Digest(DigestPrefix),
    /// `+e/{directory}/`: a file that upstream lists without a digest.
    Link(Arc<str>),
    /// `+packages/{path}`: the upstream's own path.
    Path(Arc<str>),
}

/// A fetch or a check of a file that is under way.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FlightKey {
    /// Its credentials decide what comes.
    pub index: IndexName,
    /// The source belongs to it, digest or not: that one lacks a file says nothing of another that lists the same.
    pub url: Arc<str>,
    pub digest: Option<Sha256>,
    /// By which it is shown; the same for all who mean that source.
    pub filename: DistFilename,
}

/// What wheel's metadata is being got.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MetadataKey {
    pub index: IndexName,
    pub project: ProjectName,
    pub filename: DistFilename,
}

/// What upstream said, ready for use.
pub enum Content {
    Page(Arc<ProjectPage>),
    /// An answer of the legacy JSON API, as it came.
    Json(Bytes),
}

#[derive(Clone)]
pub enum Value {
    Page(Arc<RenderedPage>),
    Content(Arc<Content>),
    File(Arc<KnownFile>),
    Spelled(Arc<Spelled>),
    Names(Arc<Directory>),
    NamesPart(Arc<NamesPart>),
}

/// What a parsed file of a page costs in memory, in bytes: its fixed part and the strings that most have.
const PARSED_FILE_BYTES: usize = 640;

/// What a file that is known costs in memory beside its bytes, in bytes: its facts, how it was used, its head, and its place
/// in the tables. A heap profile of 2,000 files said 950 without the head, in the allocator's sizes.
const KNOWN_FILE_BYTES: usize = 1536;

/// What of an allocation's rounding up is touched at most, in bytes: half a page of the memory.
const ROUNDED_BYTES_MAX: usize = 2048;

/// What is held of each part of a file of names: where it lies and its first key.
const NAMES_PART_BYTES: usize = 128;

impl Content {
    /// About what it takes in memory, in bytes.
    pub fn size(&self) -> usize {
        match self {
            Self::Page(page) => page.files.len() * PARSED_FILE_BYTES + 4096,
            Self::Json(body) => body.len() + 256,
        }
    }
}

impl Weigh for Value {
    fn weight(&self) -> usize {
        match self {
            Self::Page(page) => held(&page.body) + 1024,
            Self::File(file) => file.bytes.as_ref().map_or(0, |bytes| held(bytes)) + KNOWN_FILE_BYTES,
            Self::Content(content) => content.size(),
            Self::Spelled(spelled) => spelled.words.bytes() + 256,
            Self::Names(directory) => directory.parts() * NAMES_PART_BYTES + 256,
            Self::NamesPart(part) => part.bytes() + 256,
        }
    }
}

/// What bytes take where the allocator keeps them: it has eight sizes for each doubling, and pages for what is large.
fn held(bytes: &[u8]) -> usize {
    bytes.len() + (bytes.len() / 16).min(ROUNDED_BYTES_MAX)
}
