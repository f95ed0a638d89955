use super::carry::Fault;
use crate::index::stamps;
use crate::names::Sha256;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A snapshot's name: when it was taken, like `2026-11-24T22-41-07Z`. The order of names is that of times.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(String);

impl SnapshotId {
    pub fn at(unix: u64) -> Self {
        Self(stamps::iso(unix).replace(':', "-"))
    }

    /// None for what is no name of a snapshot.
    pub fn parse(raw: &str) -> Option<Self> {
        let fits = |(byte, form): (u8, u8)| match form {
            b'0' => byte.is_ascii_digit(),
            form => byte == form,
        };
        let form = "0000-00-00T00-00-00Z";
        (raw.len() == form.len() && raw.bytes().zip(form.bytes()).all(fits)).then(|| Self(raw.to_owned()))
    }

    /// The name for a snapshot taken now: after all others, whatever the clock says. Two may be taken within a second, and
    /// which is the newest decides what is restored and what is pruned.
    pub fn after(newest: Option<&Self>, now: u64) -> Self {
        let next = newest.and_then(Self::unix).map_or(0, |unix| unix + 1);
        Self::at(now.max(next))
    }

    fn unix(&self) -> Option<u64> {
        let (date, time) = self.0.split_once('T')?;
        stamps::unix_of(&format!("{date}T{}", time.replace('-', ":")))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a snapshot is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Unix seconds.
    pub created: u64,
    /// The data directory's format.
    pub format: u32,
    /// Of the program that took it.
    pub program: String,
    /// Whose data it is, and its last change.
    pub uuid: String,
    pub serial: u64,
    /// Files in the snapshot's own directory.
    pub documents: Vec<Document>,
    /// What the rows of `private.db` refer to, in the order of the digests.
    pub private: Vec<(Sha256, u64)>,
    /// The cache's files that came along.
    pub cache: Vec<(Sha256, u64)>,
    /// What rows refer to and was not to be had when the snapshot was taken; not in `private`.
    pub lacking: Vec<(Sha256, Fault)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub name: String,
    pub sha256: Sha256,
    pub size: u64,
}

/// The manifest's own form: what another program of ours wrote in another is refused.
const MANIFEST_FORM: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Written {
    sidewheel_backup: u32,
    created: u64,
    format: u32,
    program: String,
    uuid: String,
    serial: u64,
    documents: Vec<(String, String, u64)>,
    private: Vec<(String, u64)>,
    cache: Vec<(String, u64)>,
    lacking: Vec<(String, String)>,
}

impl Manifest {
    pub(super) fn to_text(&self) -> String {
        let entries = |all: &[(Sha256, u64)]| all.iter().map(|(digest, size)| (digest.to_hex(), *size)).collect();
        let documents = self.documents.iter();
        let written = Written {
            sidewheel_backup: MANIFEST_FORM,
            created: self.created,
            format: self.format,
            program: self.program.clone(),
            uuid: self.uuid.clone(),
            serial: self.serial,
            documents: documents.map(|one| (one.name.clone(), one.sha256.to_hex(), one.size)).collect(),
            private: entries(&self.private),
            cache: entries(&self.cache),
            lacking: self.lacking.iter().map(|(sha256, why)| (sha256.to_hex(), why.to_string())).collect(),
        };
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// Reads a manifest; a sentence about what is wrong with it otherwise.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let written: Written = serde_json::from_str(text).map_err(|why| why.to_string())?;
        if written.sidewheel_backup != MANIFEST_FORM {
            return Err(format!("its form {} is not known to this program", written.sidewheel_backup));
        }
        let digest = |hex: &str| Sha256::from_hex(hex).map_err(|why| why.to_string());
        let entries = |all: Vec<(String, u64)>| {
            all.into_iter().map(|(hex, size)| Ok((digest(&hex)?, size))).collect::<Result<Vec<_>, String>>()
        };
        let documents = written.documents.into_iter().map(|(name, hex, size)| {
            // It becomes a path: nothing but a plain name.
            let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
            match plain && !name.is_empty() && !name.starts_with('.') {
                true => Ok(Document { sha256: digest(&hex)?, name, size }),
                false => Err(format!("it names a document {name:?}")),
            }
        });
        let lacking = written.lacking.into_iter().map(|(hex, why)| {
            let all = [Fault::Damaged, Fault::Missing, Fault::Unreadable];
            let fault = all.into_iter().find(|fault| fault.as_str() == why);
            Ok((digest(&hex)?, fault.ok_or_else(|| format!("it says {why:?} of a file"))?))
        });
        Ok(Self {
            created: written.created,
            format: written.format,
            program: written.program,
            uuid: written.uuid,
            serial: written.serial,
            documents: documents.collect::<Result<_, String>>()?,
            private: entries(written.private)?,
            cache: entries(written.cache)?,
            lacking: lacking.collect::<Result<_, String>>()?,
        })
    }

    pub fn bytes(&self) -> u64 {
        let files = self.private.iter().chain(&self.cache).map(|(_, size)| size);
        files.chain(self.documents.iter().map(|document| &document.size)).sum()
    }
}
