//! Removals that a person can undo for a while. Every reader sees them at once; the bytes stay on the shelf until the
//! window is over. What programs remove (devpi: DELETE) is gone at once.

use super::releases::Removal;
use super::{House, Index, IndexError};
use crate::names::IndexName;
use crate::rules::{self, Subject, Verdict};
use crate::store::{KeptRemoval, PutBack, REMOVALS_MAX, RemoveWish, RemovedForNow, RemovedPart};

/// How long a removal can be undone, in seconds: long enough that the next build fails and somebody asks why, short
/// enough that a disk that is being cleared has its room soon.
pub const UNDO_SECONDS: u64 = 15 * 60;

/// Removals that the janitor ends in one transaction, under one hold of the shelf's lock.
const END_BATCH: u32 = 16;

/// Such batches in one of the janitor's rounds: who uploads waits for none of them long, and the next round goes on.
const END_BATCHES_MAX: u32 = 16;

/// A removal that can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undo {
    pub id: i64,
    /// Unix seconds.
    pub until: u64,
}

impl Index {
    /// Removes a file, a version or a project, which can be undone for [`UNDO_SECONDS`]. May do so who may remove for
    /// good; `force` is asked for where files stay.
    pub async fn remove_with_undo(
        &self,
        subject: &Subject,
        index: &IndexName,
        what: &Removal<'_>,
        force: bool,
    ) -> Result<Undo, IndexError> {
        self.0.remove_with_undo(subject, index, what, force).await
    }

    /// Puts back what was removed, as it was; tells what that is.
    pub async fn undo(&self, subject: &Subject, id: i64) -> Result<KeptRemoval, IndexError> {
        self.0.undo(subject, id).await
    }

    /// What the subject can undo on an index, the newest first: nothing for who may not.
    pub async fn removals(&self, subject: &Subject, index: &IndexName) -> Result<Vec<KeptRemoval>, IndexError> {
        let entry = self.0.readable(subject, index)?;
        match entry.is_stage() && rules::may_delete(subject, index, &entry.settings) == Verdict::Allowed {
            true => Ok(self.0.private.removals(index, self.0.clock.unix()).await?),
            false => Ok(Vec::new()),
        }
    }
}

impl House {
    async fn remove_with_undo(
        &self,
        subject: &Subject,
        index: &IndexName,
        what: &Removal<'_>,
        force: bool,
    ) -> Result<Undo, IndexError> {
        let (entry, _shelf) = self.may_remove(subject, index, what, force).await?;
        let project = self.project_of(index, what).await?;
        let at = self.clock.unix();
        let wish = RemoveWish {
            index: index.clone(),
            project,
            part: match what {
                Removal::Project(_) => RemovedPart::Project,
                Removal::Version(_, version) => RemovedPart::Version((*version).to_owned()),
                Removal::File(filename, _) => RemovedPart::File((*filename).to_owned()),
            },
            by: subject.user().cloned(),
            at,
            until: at + UNDO_SECONDS,
        };
        match self.private.remove_for_now(&wish).await? {
            RemovedForNow::Kept(id) => {
                entry.changed(&wish.project);
                Ok(Undo { id, until: wish.until })
            }
            RemovedForNow::Nothing => Err(what.missing(index)),
            RemovedForNow::TooMany => Err(IndexError::Conflict(format!(
                "{REMOVALS_MAX} removals from {index} can still be undone; wait until they cannot ({} minutes), or \
                 remove with a client: `devpi remove` is final at once",
                UNDO_SECONDS / 60
            ))),
        }
    }

    async fn undo(&self, subject: &Subject, id: i64) -> Result<KeptRemoval, IndexError> {
        let _shelf = self.shelf.lock().await;
        let now = self.clock.unix();
        let over = || {
            IndexError::NotThere(format!(
                "this cannot be undone any more: it was undone already, or removed more than {} minutes ago",
                UNDO_SECONDS / 60
            ))
        };
        let kept = self.private.removal(id, now).await?.ok_or_else(over)?;
        // Who may not read the index is not told what was in it.
        self.readable(subject, &kept.index).map_err(|_| over())?;
        let entry = self.may_delete(subject, &kept.index, "undo a removal from")?;
        match self.private.put_back(id, now).await? {
            PutBack::Done => {
                entry.changed(&kept.project);
                Ok(kept)
            }
            PutBack::Over => Err(over()),
            PutBack::Taken(filename) => Err(IndexError::Conflict(format!(
                "{filename} was published again on {} since it was removed; remove that one first, then undo",
                kept.index
            ))),
            PutBack::Untested { result, tested } => Err(IndexError::Conflict(format!(
                "{result} is the result of a test of {tested}, which is not on {}; undo the removal of that file first",
                kept.index
            ))),
        }
    }

    /// Ends the windows that are over, and takes off the disk what nobody refers to any more. A kill between the two
    /// leaves orphans, which the scrub finds.
    pub(super) async fn end_undo_windows(&self) {
        for _ in 0..END_BATCHES_MAX {
            if self.stopping() {
                return;
            }
            let _shelf = self.shelf.lock().await;
            match self.private.end_removals(self.clock.unix(), END_BATCH).await {
                Ok((0, _)) => return,
                Ok((_, unreferenced)) => self.unreferenced(unreferenced).await,
                Err(why) => {
                    self.disk_trouble(&why);
                    return;
                }
            }
        }
    }
}
