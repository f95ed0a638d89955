use super::files::{FileRow, file_of, write_file};
use super::people::need_index;
use super::releases::{ReleaseRow, merge_release};
use super::remove::{drop_emptied, drop_results_of, note_deleted};
use super::{Private, StoreError, unreferenced};
use crate::names::Sha256;
use serde_json::{Value, json};
use sqlx::SqliteConnection;

/// A file that comes to be, and what it says of its release.
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    pub release: ReleaseRow,
    /// In the release's index, project and version. Its log holds what happened just now.
    pub file: FileRow,
    /// Whether the index lets files be overwritten.
    pub volatile: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    Stored {
        serial: u64,
        /// What the overwritten file leaves behind.
        unreferenced: Vec<Sha256>,
        replaced: bool,
    },
    /// The index is not volatile and has exactly this file: nothing was written.
    Identical,
    /// The index has another file of this name, which stays.
    Conflict,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishedAll {
    Stored {
        /// The present one, if nothing had to be written.
        serial: u64,
        unreferenced: Vec<Sha256>,
        /// One for each publication, in their order.
        each: Vec<Stored>,
    },
    /// An index has another file of this name, which stays; nothing at all was written.
    Conflict { filename: String },
}

/// What became of one file of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    New,
    Replaced,
    Identical,
}

impl Private {
    /// The moment at which an uploaded file exists. Its bytes, and those of its metadata, must lie on the private shelf
    /// before, and nobody may sweep them away between.
    ///
    /// A file of another kind, under the same name, is a conflict even where files may be overwritten.
    pub async fn publish(&self, publication: &Publication) -> Result<Published, StoreError> {
        Ok(match self.publish_all(std::slice::from_ref(publication)).await? {
            PublishedAll::Conflict { .. } => Published::Conflict,
            PublishedAll::Stored { each, .. } if each.as_slice() == [Stored::Identical] => Published::Identical,
            PublishedAll::Stored { serial, unreferenced, each } => {
                Published::Stored { serial, unreferenced, replaced: each.contains(&Stored::Replaced) }
            }
        })
    }

    /// Publishes all or nothing. What a test's result is of comes before the result.
    pub async fn publish_all(&self, publications: &[Publication]) -> Result<PublishedAll, StoreError> {
        let mut writing = self.write().await?;
        let (mut left, mut each) = (Vec::new(), Vec::new());
        for publication in publications {
            match publish(writing.sql(), publication, &mut left).await? {
                Some(stored) => each.push(stored),
                None => return Ok(PublishedAll::Conflict { filename: publication.file.filename.clone() }),
            }
        }
        if each.iter().all(|stored| *stored == Stored::Identical) {
            let serial = writing.unchanged().await?;
            return Ok(PublishedAll::Stored { serial, unreferenced: Vec::new(), each });
        }
        let unreferenced = unreferenced(writing.sql(), &left).await?;
        Ok(PublishedAll::Stored { serial: writing.commit().await?, unreferenced, each })
    }
}

/// One file of a transaction; none when it may not take the place of the one that is there. `left` gathers the digests
/// of what it takes the place of.
async fn publish(
    sql: &mut SqliteConnection,
    publication: &Publication,
    left: &mut Vec<Sha256>,
) -> Result<Option<Stored>, StoreError> {
    let Publication { release, file, volatile } = publication;
    need_index(sql, &file.index).await?;
    if let Some((sha256, filename)) = &file.for_file {
        let tested = file_of(sql, &file.index, filename).await?;
        if tested.is_none_or(|tested| tested.sha256 != *sha256) {
            return Err(StoreError::Gone(format!("the file {filename}")));
        }
    }
    let old = match file_of(sql, &file.index, &file.filename).await? {
        Some(old) if old.rel != file.rel => return Ok(None),
        Some(old) if !volatile => return Ok((old.sha256 == file.sha256).then_some(Stored::Identical)),
        old => old,
    };
    merge_release(sql, release).await?;
    let Some(old) = old else {
        undelete(sql, file).await?;
        write_file(sql, file).await?;
        return Ok(Some(Stored::New));
    };
    left.extend(old.digests());
    let mut file = file.clone();
    file.log.insert(0, overwrite(&old, &file));
    if old.sha256 == file.sha256 {
        // The same bytes again: what was said of them stands.
        file.yanked = file.yanked.or_else(|| old.yanked.clone());
        file.attestations = file.attestations.or_else(|| old.attestations.clone());
        move_results_of(sql, &file).await?;
    } else {
        note_deleted(sql, &old).await?;
        left.extend(drop_results_of(sql, &old).await?);
        undelete(sql, &file).await?;
    }
    write_file(sql, &file).await?;
    if (&old.project, &old.version) != (&file.project, &file.version) {
        drop_emptied(sql, &old).await?;
    }
    Ok(Some(Stored::Replaced))
}

/// The entry of the log that counts how often a file was overwritten, dated like what did it.
fn overwrite(old: &FileRow, new: &FileRow) -> Value {
    let count = |entry: &Value| match entry.get("what").and_then(Value::as_str) {
        Some("overwrite") => entry.get("count").and_then(Value::as_u64),
        _ => None,
    };
    let before: u64 = old.log.iter().filter_map(count).sum();
    let when = new.log.iter().rev().find_map(|entry| entry.get("when")).cloned();
    json!({ "what": "overwrite", "who": null, "when": when, "count": before.saturating_add(1) })
}

/// The results of a file's tests are in the file's release.
async fn move_results_of(sql: &mut SqliteConnection, file: &FileRow) -> Result<(), StoreError> {
    sqlx::query("UPDATE file SET project = ?, version = ? WHERE index_name = ? AND for_filename = ?")
        .bind(file.project.as_str())
        .bind(&file.version)
        .bind(file.index.as_str())
        .bind(&file.filename)
        .execute(sql)
        .await?;
    Ok(())
}

/// A file that is there again is not gone.
async fn undelete(sql: &mut SqliteConnection, file: &FileRow) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM deleted WHERE index_name = ? AND filename = ? AND sha256 = ?")
        .bind(file.index.as_str())
        .bind(&file.filename)
        .bind(file.sha256.as_bytes().as_slice())
        .execute(sql)
        .await?;
    Ok(())
}
