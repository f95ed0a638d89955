use super::House;
use super::body::FileBody;
use super::errors::{IndexError, failure};
use super::files::{FileAnswer, FileFacts, answer, file_error};
use super::mirror::Mirror;
use crate::cache::{Failure, Follower, hold_back};
use crate::http::RangeAnswer;
use crate::metrics::Tier;
use crate::names::Sha256;
use crate::upstream::{ByteRange, FileBody as UpstreamBody, FileStatus};
use bytes::Bytes;
use sha2::Digest;
use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// A file that goes from upstream to one client without touching the disk, because the disk cannot be written. It is
/// verified on the way like any other: its last block waits for the digest.
pub struct Pass {
    body: UpstreamBody,
    hasher: sha2::Sha256,
    expected: Option<Sha256>,
    total: u64,
    seen: u64,
    /// Bytes at the start that the client has already; they are hashed, not sent.
    skip: u64,
    /// What the digest of the skipped bytes must be.
    skipped: Option<Sha256>,
    held: VecDeque<Bytes>,
    held_bytes: u64,
}

/// What is needed to go on by [`Pass`] when a flight ends because of our disk.
pub struct Rescue {
    mirror: Arc<Mirror>,
    facts: Arc<FileFacts>,
    digest: Option<Sha256>,
    /// The length that the client has been promised.
    total: u64,
}

/// Piece in which a written prefix is read again to be hashed, in bytes.
const PREFIX_PIECE_BYTES: usize = 256 * 1024;

impl House {
    pub(super) fn rescue(
        &self,
        mirror: &Arc<Mirror>,
        facts: &Arc<FileFacts>,
        digest: Option<Sha256>,
        total: u64,
    ) -> Rescue {
        Rescue { mirror: Arc::clone(mirror), facts: Arc::clone(facts), digest, total }
    }

    /// Serves a file through when not even a temporary file could be made.
    pub(super) async fn passed_through(
        &self,
        mirror: &Arc<Mirror>,
        facts: &Arc<FileFacts>,
        digest: Option<Sha256>,
    ) -> Result<FileAnswer, IndexError> {
        let pass = Pass::open(mirror, facts, digest, None, None).await.map_err(|why| file_error(facts, why))?;
        let total = pass.total;
        Ok(answer(facts, digest, total, RangeAnswer::Whole, FileBody::pass(pass), Tier::Miss))
    }
}

impl Rescue {
    /// Goes on where the follower stands: what it has sent is hashed out of what was written, the rest comes anew.
    pub async fn resume(&self, follower: &Follower) -> Result<Pass, Failure> {
        let sent = follower.position();
        let written = follower.file();
        let hasher = tokio::task::spawn_blocking(move || hash_prefix(written.as_deref(), sent));
        let hasher = hasher.await.map_err(|_| Failure::Vanished)??;
        Pass::open(&self.mirror, &self.facts, self.digest, Some(self.total), Some((sent, hasher))).await
    }
}

impl Pass {
    async fn open(
        mirror: &Mirror,
        facts: &FileFacts,
        expected: Option<Sha256>,
        promised: Option<u64>,
        sent: Option<(u64, sha2::Sha256)>,
    ) -> Result<Self, Failure> {
        let (sent, sent_hash) = sent.unwrap_or_default();
        let from = (sent > 0).then_some(ByteRange::From(sent));
        let fetched = mirror.upstream.file(&facts.url, from, None, false).await.map_err(|why| failure(&why))?;
        let whole = matches!(fetched.status, FileStatus::Whole);
        let told = match fetched.status {
            FileStatus::Whole => fetched.len,
            FileStatus::Part { total, .. } => Some(total),
        };
        let total = agreed([promised, facts.size, told])?;
        let (hasher, seen, skip, skipped) = match whole {
            true if sent > 0 => (sha2::Sha256::new(), 0, sent, Some(finish(sent_hash))),
            true => (sha2::Sha256::new(), 0, 0, None),
            false => (sent_hash, sent, 0, None),
        };
        let (held, held_bytes) = (VecDeque::new(), 0);
        Ok(Self { body: fetched.body, hasher, expected, total, seen, skip, skipped, held, held_bytes })
    }

    /// The next bytes that may be sent; `None` at the verified end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let verified =
                self.seen == self.total && self.expected.is_none_or(|digest| digest == finish(self.hasher.clone()));
            if self.seen == self.total && !verified {
                return Err(Failure::Wrong);
            }
            let spare = self.held_bytes.saturating_sub(if verified { 0 } else { hold_back(self.total) });
            if let Some(bytes) = self.release(spare) {
                return Ok(Some(bytes));
            }
            if verified {
                return Ok(None);
            }
            let bytes = match self.body.next().await {
                Some(Ok(bytes)) => bytes,
                Some(Err(why)) => return Err(failure(&why)),
                None => return Err(Failure::Broken),
            };
            self.take(bytes)?;
        }
    }

    fn take(&mut self, mut bytes: Bytes) -> Result<(), Failure> {
        if self.skip > 0 {
            let known = bytes.split_to(bytes.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX)));
            self.hasher.update(&known);
            self.seen += known.len() as u64;
            self.skip -= known.len() as u64;
            if self.skip == 0 && self.skipped.is_some_and(|digest| digest != finish(self.hasher.clone())) {
                return Err(Failure::Wrong);
            }
        }
        self.hasher.update(&bytes);
        self.seen += bytes.len() as u64;
        if self.seen > self.total {
            return Err(Failure::Wrong);
        }
        self.held_bytes += bytes.len() as u64;
        if !bytes.is_empty() {
            self.held.push_back(bytes);
        }
        Ok(())
    }

    /// Lets out at most `spare` bytes.
    fn release(&mut self, spare: u64) -> Option<Bytes> {
        if spare == 0 {
            return None;
        }
        let front = self.held.front_mut()?;
        let count = front.len().min(usize::try_from(spare).unwrap_or(usize::MAX));
        let bytes = front.split_to(count);
        if front.is_empty() {
            self.held.pop_front();
        }
        self.held_bytes -= bytes.len() as u64;
        Some(bytes)
    }
}

/// The one length that all who state one state. Without any there is no Content-Length, and without that no cut that
/// a client would notice.
fn agreed(stated: [Option<u64>; 3]) -> Result<u64, Failure> {
    let mut stated = stated.into_iter().flatten();
    let total = stated.next().ok_or(Failure::Broken)?;
    if stated.all(|other| other == total) { Ok(total) } else { Err(Failure::Wrong) }
}

fn finish(hasher: sha2::Sha256) -> Sha256 {
    Sha256::from_bytes(hasher.finalize().into())
}

fn hash_prefix(file: Option<&File>, len: u64) -> Result<sha2::Sha256, Failure> {
    let mut hasher = sha2::Sha256::new();
    let mut piece = vec![0; PREFIX_PIECE_BYTES];
    let mut at = 0;
    while at < len {
        let file = file.ok_or(Failure::Vanished)?;
        let want = piece.len().min(usize::try_from(len - at).unwrap_or(usize::MAX));
        let buffer = piece.get_mut(..want).unwrap_or_default();
        file.read_exact_at(buffer, at).map_err(|_| Failure::Vanished)?;
        hasher.update(&*buffer);
        at += want as u64;
    }
    Ok(hasher)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_holds_only_when_nobody_disagrees() {
        assert_eq!(agreed([None, None, None]), Err(Failure::Broken));
        for stated in [[Some(7), None, None], [None, Some(7), None], [None, None, Some(7)], [Some(7); 3]] {
            assert_eq!(agreed(stated), Ok(7));
        }
        // What the client was promised when the flight began, and another length now.
        assert_eq!(agreed([Some(7), None, Some(8)]), Err(Failure::Wrong));
        assert_eq!(agreed([None, Some(7), Some(8)]), Err(Failure::Wrong));
    }
}
