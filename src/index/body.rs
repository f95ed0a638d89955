use super::files::KnownFile;
use super::list::Plain;
use super::pass::{Pass, Rescue};
use super::uses::Uses;
use crate::cache::{Disk, DiskFile, Failure, Flight, Follower};
use crate::platform::Fixed;
use crate::upstream::FileBody as UpstreamBody;
use bytes::Bytes;
use std::fs::File;
use std::ops::Range;
use std::sync::{Arc, Weak};

/// The bytes of an answer, piece by piece. A body that ends with an error must end with a cut connection.
pub struct FileBody(Source);

enum Source {
    /// One piece, then the end.
    Once(Option<Piece>),
    Follow(Box<(Follower, Rescue)>),
    Pass(Box<Pass>),
    /// A part as upstream sends it; exactly as long as was promised.
    Part {
        body: Box<UpstreamBody>,
        left: u64,
    },
    /// A list that is being decompressed.
    Plain(Box<Plain>),
}

/// Something that can be sent.
pub enum Piece {
    Bytes(Fixed),
    /// To be read as the client takes it: no buffer waits for a slow one.
    File {
        file: Arc<File>,
        range: Range<u64>,
    },
    /// A large file in memory; while the client is slow it may be evicted, and is then read from the disk.
    Shared(Shared),
}

pub struct Shared {
    known: Weak<KnownFile>,
    uses: Option<Arc<Uses>>,
    disk: Arc<Disk>,
    known_digest: crate::names::Sha256,
    pub range: Range<u64>,
}

/// Up to here a body in memory is held as long as it is being sent; a larger one could keep a budget of its own alive
/// for every slow client.
const HELD_BYTES_MAX: usize = 256 * 1024;

impl From<Bytes> for Piece {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl FileBody {
    pub fn empty() -> Self {
        Self(Source::Once(None))
    }

    pub(super) fn bytes(bytes: impl Into<Fixed>) -> Self {
        Self(Source::Once(Some(Piece::Bytes(bytes.into()))))
    }

    pub(super) fn memory(known: &Arc<KnownFile>, disk: &Arc<Disk>, range: Range<u64>) -> Self {
        let (Some(bytes), Some(known_digest)) = (&known.bytes, known.digest) else { return Self::empty() };
        if bytes.len() <= HELD_BYTES_MAX {
            return Self::bytes(bytes.slice(range.start as usize..range.end as usize));
        }
        let (known, uses, disk) = (Arc::downgrade(known), known.uses.clone(), Arc::clone(disk));
        Self(Source::Once(Some(Piece::Shared(Shared { known, uses, disk, known_digest, range }))))
    }

    pub(super) fn disk(disk: &DiskFile, range: Range<u64>) -> Self {
        Self(Source::Once(Some(Piece::File { file: Arc::clone(&disk.file), range })))
    }

    pub(super) fn follow(flight: &Flight, rescue: Rescue) -> Self {
        Self(Source::Follow(Box::new((flight.follow(), rescue))))
    }

    pub(super) fn pass(pass: Pass) -> Self {
        Self(Source::Pass(Box::new(pass)))
    }

    pub(super) fn part(body: UpstreamBody, len: u64) -> Self {
        Self(Source::Part { body: Box::new(body), left: len })
    }

    pub(super) fn plain(plain: Plain) -> Self {
        Self(Source::Plain(Box::new(plain)))
    }

    /// All of it, where it is here in one piece; then nothing is left.
    pub fn in_one(&mut self) -> Option<Fixed> {
        match &mut self.0 {
            Source::Once(piece) => match piece.take() {
                Some(Piece::Bytes(bytes)) => Some(bytes),
                other => {
                    *piece = other;
                    None
                }
            },
            _ => None,
        }
    }

    /// The next piece; `None` at the end, which is reached only when everything was as promised.
    pub async fn next(&mut self) -> Result<Option<Piece>, Failure> {
        match &mut self.0 {
            Source::Once(piece) => Ok(piece.take()),
            Source::Pass(pass) => Ok(pass.next().await?.map(Piece::from)),
            Source::Part { body, left } => match body.next().await {
                None if *left == 0 => Ok(None),
                None | Some(Err(_)) => Err(Failure::Broken),
                Some(Ok(bytes)) => {
                    *left = left.checked_sub(bytes.len() as u64).ok_or(Failure::Wrong)?;
                    Ok(Some(bytes.into()))
                }
            },
            Source::Plain(plain) => Ok(plain.next().await?.map(Piece::from)),
            Source::Follow(following) => match following.0.next().await {
                Ok(piece) => Ok(piece.map(|(file, range)| Piece::File { file, range })),
                // Our disk is no reason for the client to fail: it is served through, verified as a whole.
                Err(Failure::Disk) => {
                    let (follower, rescue) = &**following;
                    let mut pass = rescue.resume(follower).await?;
                    let piece = pass.next().await?;
                    self.0 = Source::Pass(Box::new(pass));
                    Ok(piece.map(Piece::from))
                }
                Err(why) => Err(why),
            },
        }
    }
}

impl Shared {
    /// The file while it is in memory; hold it no longer than a write that does not wait.
    pub fn in_memory(&self) -> Option<Arc<KnownFile>> {
        self.known.upgrade()
    }

    /// The same bytes on the disk, or taken off it a moment ago.
    pub fn on_disk(&self) -> Option<Arc<File>> {
        let left_behind = || self.uses.as_ref().and_then(|uses| uses.left_behind());
        let file = self.disk.get_shared(&self.known_digest).ok().flatten().filter(|file| file.verified);
        file.map(|file| file.file).or_else(left_behind)
    }
}
