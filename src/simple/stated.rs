use super::draft::Draft;
use super::hashes::Hashes;
use super::{CoreMetadata, Provenance, RequiresPython, Yanked};
use serde_json::Value;
use std::borrow::Cow;

/// The keys of a file in a JSON page that mean something to us (PEP 691, 700, 714, 740).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKey {
    Filename,
    Url,
    Hashes,
    Size,
    UploadTime,
    RequiresPython,
    Yanked,
    /// PEP 714's key, and the two older spellings, which count only where the newer says nothing.
    CoreMetadata,
    OldCoreMetadata,
    GpgSig,
    Provenance,
}

impl FileKey {
    pub(super) fn of(key: &str) -> Option<Self> {
        Some(match key {
            "filename" => Self::Filename,
            "url" => Self::Url,
            "hashes" => Self::Hashes,
            "size" => Self::Size,
            "upload-time" => Self::UploadTime,
            "requires-python" => Self::RequiresPython,
            "yanked" => Self::Yanked,
            "core-metadata" => Self::CoreMetadata,
            "dist-info-metadata" | "data-dist-info-metadata" => Self::OldCoreMetadata,
            "gpg-sig" => Self::GpgSig,
            "provenance" => Self::Provenance,
            _ => return None,
        })
    }

    /// Whether an object under it is one of hashes.
    pub(super) fn has_hashes(self) -> bool {
        matches!(self, Self::Hashes | Self::CoreMetadata | Self::OldCoreMetadata)
    }
}

/// A value under such a key, as far as any of them wants it.
pub(super) enum Said<'a> {
    Null,
    Flag(bool),
    Number(u64),
    Text(Cow<'a, str>),
    Hashes(Hashes),
    Other,
}

impl<'a> Said<'a> {
    fn text(self) -> Option<Cow<'a, str>> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    fn core_metadata(self) -> CoreMetadata {
        match self {
            Self::Flag(true) => CoreMetadata::Yes,
            Self::Flag(false) => CoreMetadata::No,
            Self::Hashes(hashes) => hashes.into_core_metadata(),
            _ => CoreMetadata::Absent,
        }
    }
}

impl<'a> Draft<'a> {
    /// What is said under a key, the last time that it is: a value of the wrong type counts as none.
    pub(super) fn state(&mut self, key: FileKey, said: Said<'a>) {
        match key {
            FileKey::Filename => self.filename = said.text(),
            FileKey::Url => self.url = said.text(),
            FileKey::Hashes => {
                if let Said::Hashes(hashes) = said {
                    self.hashes = hashes;
                }
            }
            FileKey::Size => self.size = if let Said::Number(size) = said { Some(size) } else { None },
            FileKey::UploadTime => self.upload_time = said.text().map(Cow::into_owned),
            FileKey::RequiresPython => {
                self.requires_python = match said {
                    Said::Text(text) => RequiresPython::Specifier(text.into()),
                    Said::Null => RequiresPython::Null,
                    _ => RequiresPython::Absent,
                }
            }
            FileKey::Yanked => {
                self.yanked = match said {
                    Said::Flag(false) => Yanked::No,
                    Said::Flag(true) => Yanked::Yes,
                    Said::Text(reason) => Yanked::Reason(reason.into_owned()),
                    _ => Yanked::Absent,
                }
            }
            FileKey::CoreMetadata => self.core_metadata = said.core_metadata(),
            FileKey::OldCoreMetadata => {
                let stated = said.core_metadata();
                if stated != CoreMetadata::Absent {
                    self.old_core_metadata = stated;
                }
            }
            FileKey::GpgSig => self.gpg_sig = if let Said::Flag(flag) = said { Some(flag) } else { None },
            // Of any other type it is kept as it is: only the general reader has that, and sets it itself.
            FileKey::Provenance => {
                self.provenance = match said {
                    Said::Text(url) => Value::String(url.into_owned()).into(),
                    _ => Provenance::Null,
                }
            }
        }
    }

    /// Once all was said.
    pub(super) fn finish(mut self) -> Self {
        // A file without its two required keys cannot be named or fetched; `Files` drops it.
        if self.filename.is_none() {
            self.url = None;
        }
        if self.core_metadata == CoreMetadata::Absent {
            self.core_metadata = std::mem::take(&mut self.old_core_metadata);
        }
        self
    }
}
