use super::carry::{Carried, Fault, Finding, Step, Told, Totals, path_on, read_file};
use super::errors::BackupError;
use super::manifest::Manifest;
use super::take::blocking;
use super::target::{directory_of, snapshots};
use crate::cache::{Look, Pace, Shelf};
use crate::names::Sha256;
use crate::store::{PRIVATE_FILE, Private, STORE_FILE, Store, StoreError, check_format};
use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// What was read through, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Verified {
    pub read: Totals,
    pub findings: Vec<Finding>,
    /// Files that nothing refers to; no fault.
    pub extra: Totals,
    /// How many snapshots a backup has.
    pub snapshots: usize,
}

/// Files on a shelf, by digest.
type Named = BTreeMap<(Shelf, Sha256), u64>;

/// Reads through all files of a data directory, beside a server or without one, and compares them with the rows.
pub async fn verify_data(data: &Path, pace: Pace, told: Told) -> Result<Verified, BackupError> {
    check_format(data)?;
    if !data.join(PRIVATE_FILE).is_file() {
        return Err(BackupError::NoData(data.to_owned()));
    }
    let mut verified = Verified::default();
    let private = match Private::beside(data).await {
        Ok(private) => private,
        Err(why @ StoreError::Newer { .. }) => return Err(why.into()),
        Err(why) => {
            verified.findings.push(unreadable(PRIVATE_FILE, why.to_string()));
            return Ok(verified);
        }
    };
    let store = match data.join(STORE_FILE).is_file() {
        true => match Store::beside(data).await {
            Ok(store) => Some(store),
            Err(why) => {
                verified.findings.push(unreadable(STORE_FILE, why.to_string()));
                None
            }
        },
        false => None,
    };
    let mut troubles = vec![(PRIVATE_FILE, private.trouble().await)];
    if let Some(store) = &store {
        troubles.push((STORE_FILE, store.trouble().await));
    }
    for (name, trouble) in troubles {
        if let Some(why) = trouble.unwrap_or_else(|why| Some(why.to_string())) {
            verified.findings.push(finding(Fault::Damaged, name, why));
        }
    }
    let mut named = Named::new();
    named.extend(private.named().await?.into_iter().map(|(digest, size)| ((Shelf::Private, digest), size)));
    if let Some(store) = &store {
        named.extend(store.blob_sizes().await?.into_iter().map(|(digest, size)| ((Shelf::Cache, digest), size)));
    }
    let look = Look::at(data);
    let (faults, read, named) = read_all(look.clone(), named, pace, told).await?;
    verified.read = read;
    for (shelf, digest, fault, why) in faults {
        match shelf {
            // Removed by the server since the rows were read.
            Shelf::Private if !private.unreferenced(&[digest]).await?.is_empty() => continue,
            // A file that the cache evicted, or that its books will forget.
            Shelf::Cache if fault == Fault::Missing => continue,
            _ => {}
        }
        let files = match shelf {
            Shelf::Private => private.names_of(&digest).await?,
            Shelf::Cache => Vec::new(),
        };
        verified.findings.push(Finding { fault, path: path_on(shelf, &digest), why, files });
    }
    let extra = blocking(move || Ok(unnamed(&look, &named))).await?;
    // What came since the rows were read is named by now.
    let private_extra: Vec<_> = extra.iter().filter(|one| one.0 == Shelf::Private).map(|one| one.1).collect();
    let unreferenced: HashSet<_> = private.unreferenced(&private_extra).await?.into_iter().collect();
    for (shelf, digest, size) in extra {
        if shelf == Shelf::Private && unreferenced.contains(&digest) {
            verified.extra.add(size);
        }
    }
    private.close().await;
    if let Some(store) = store {
        store.close().await;
    }
    Ok(verified)
}

/// Reads through the snapshots of a backup, or one of them, and all bytes that they share.
pub async fn verify_backup(target: &Path, only: Option<&str>, pace: Pace, told: Told) -> Result<Verified, BackupError> {
    let mut verified = Verified::default();
    let all = snapshots(target)?;
    if all.is_empty() {
        return Err(BackupError::Empty(target.to_owned()));
    }
    if let Some(only) = only.filter(|only| !all.iter().any(|snapshot| snapshot.id.as_str() == *only)) {
        return Err(BackupError::NoSnapshot { path: target.to_owned(), id: only.to_owned() });
    }
    let mut named = Named::new();
    for snapshot in all.into_iter().filter(|snapshot| only.is_none_or(|only| snapshot.id.as_str() == only)) {
        verified.snapshots += 1;
        let directory = directory_of(target, &snapshot.id);
        let path = |name: &str| format!("snapshots/{}/{name}", snapshot.id);
        let manifest = match snapshot.manifest {
            Ok(manifest) => manifest,
            // Pruned meanwhile.
            Err(_) if !directory.exists() => continue,
            Err(why) => {
                verified.findings.push(finding(Fault::Damaged, &path("manifest.json"), why));
                continue;
            }
        };
        let before = verified.findings.len();
        for document in &manifest.documents {
            let (file, wanted) = (directory.join(&document.name), document.clone());
            let fault = blocking(move || Ok(document_fault(&file, &wanted.sha256, wanted.size))).await?;
            verified.read.add(document.size);
            if let Some((fault, why)) = fault {
                verified.findings.push(finding(fault, &path(&document.name), why));
            }
        }
        if verified.findings.len() == before {
            let private = Private::still(&directory).await?;
            if let Some(why) = unnamed_row(&private, &manifest).await? {
                verified.findings.push(finding(Fault::Damaged, &path("manifest.json"), why));
            }
            private.close().await;
        }
        named.extend(names(&manifest));
    }
    let look = Look::at(target);
    let (faults, read, named) = read_all(look.clone(), named, pace, told).await?;
    verified.read.files += read.files;
    verified.read.bytes += read.bytes;
    if !faults.is_empty() {
        verified.findings.extend(of_snapshots(target, only, faults).await?);
    }
    if only.is_none() {
        for (_, _, size) in blocking(move || Ok(unnamed(&look, &named))).await? {
            verified.extra.add(size);
        }
    }
    Ok(verified)
}

/// Faults of shared bytes as findings: those that snapshots still name, and whose bytes they are.
async fn of_snapshots(target: &Path, only: Option<&str>, faults: Faults) -> Result<Vec<Finding>, BackupError> {
    let mut found: BTreeMap<String, Finding> = BTreeMap::new();
    for snapshot in snapshots(target)?.into_iter().filter(|one| only.is_none_or(|only| one.id.as_str() == only)) {
        let Ok(manifest) = snapshot.manifest else { continue };
        let named: Named = names(&manifest).collect();
        let rows = Private::still(&directory_of(target, &snapshot.id)).await.ok();
        for (shelf, digest, fault, why) in &faults {
            if !named.contains_key(&(*shelf, *digest)) {
                continue;
            }
            let path = path_on(*shelf, digest);
            let mut files = match &rows {
                Some(rows) => rows.names_of(digest).await.unwrap_or_default(),
                None => Vec::new(),
            };
            let one = Finding { fault: *fault, path: path.clone(), why: why.clone(), files: Vec::new() };
            let finding = found.entry(path).or_insert(one);
            files.retain(|file| !finding.files.contains(file));
            finding.files.append(&mut files);
        }
        if let Some(rows) = rows {
            rows.close().await;
        }
    }
    Ok(found.into_values().collect())
}

fn names(manifest: &Manifest) -> impl Iterator<Item = ((Shelf, Sha256), u64)> {
    let of = |shelf| move |(digest, size): &(Sha256, u64)| ((shelf, *digest), *size);
    manifest.private.iter().map(of(Shelf::Private)).chain(manifest.cache.iter().map(of(Shelf::Cache)))
}

type Faults = Vec<(Shelf, Sha256, Fault, String)>;

/// Reads every named file; what is wrong, what was read, and the names again.
async fn read_all(
    look: Look,
    named: Named,
    mut pace: Pace,
    told: Told,
) -> Result<(Faults, Totals, Arc<Named>), BackupError> {
    let named = Arc::new(named);
    told(Step::Ahead(named.values().sum()));
    let all = Arc::clone(&named);
    let (faults, read) = blocking(move || {
        let (mut faults, mut read) = (Faults::new(), Totals::default());
        for ((shelf, digest), size) in all.iter() {
            let each = |piece: &[u8], _| {
                pace.wait(piece.len() as u64);
                told(Step::Done(piece.len() as u64));
                ControlFlow::Continue(())
            };
            match read_file(&look, *shelf, (digest, *size), each) {
                Carried::Whole => read.add(*size),
                Carried::Not(fault, why) => faults.push((*shelf, *digest, fault, why)),
            }
        }
        Ok((faults, read))
    })
    .await?;
    Ok((faults, read, named))
}

/// Files on the shelves that nobody named.
fn unnamed(look: &Look, named: &Named) -> Vec<(Shelf, Sha256, u64)> {
    let mut extra = Vec::new();
    for shelf in [Shelf::Private, Shelf::Cache] {
        look.scan(shelf, |digest, size| {
            if !named.contains_key(&(shelf, digest)) {
                extra.push((shelf, digest, size));
            }
            true
        });
    }
    extra
}

/// A row of a snapshot that its manifest does not know: the two were not made together.
async fn unnamed_row(private: &Private, manifest: &Manifest) -> Result<Option<String>, BackupError> {
    let known: HashSet<_> = manifest.private.iter().map(|(digest, _)| digest).collect();
    let lacking: HashSet<_> = manifest.lacking.iter().map(|(digest, _)| digest).collect();
    let rows = private.named().await?;
    let strange = rows.iter().find(|(digest, _)| !known.contains(digest) && !lacking.contains(digest));
    Ok(strange.map(|(digest, _)| format!("it does not name {digest}, which a row refers to")))
}

fn document_fault(path: &Path, sha256: &Sha256, size: u64) -> Option<(Fault, String)> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => {
            return Some((Fault::Missing, "it is not there".to_owned()));
        }
        Err(why) => return Some((Fault::Unreadable, why.to_string())),
    };
    match crate::cache::read_through(&file, size, |_, _| ControlFlow::Continue(())) {
        Ok(crate::cache::ReadThrough::Whole(found)) if found == *sha256 => None,
        Ok(_) => Some((Fault::Damaged, "its bytes are not those of its digest".to_owned())),
        Err(why) => Some((Fault::Unreadable, why.to_string())),
    }
}

fn unreadable(name: &str, why: String) -> Finding {
    finding(Fault::Unreadable, name, why)
}

fn finding(fault: Fault, path: &str, why: String) -> Finding {
    Finding { fault, path: path.to_owned(), why, files: Vec::new() }
}
