use super::draft::{Draft, texts_are_short};
use super::hashes::Hashes;
use super::reader::PageReader;
use super::{ApiVersion, CoreMetadata, PageError, ProjectPage, RequiresPython, TEXT_BYTES_MAX, Yanked};
use crate::names::ProjectName;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;
use std::io::{self, Read};
use url::Url;

/// Reads a project's JSON page (PEP 691) that is here whole, see [`PageReader`].
///
/// # Errors
///
/// As [`PageReader::finish`].
pub fn parse_json(body: &[u8], page_url: &Url, asked: &ProjectName) -> Result<ProjectPage, PageError> {
    PageReader::new(page_url, asked).finish(body)
}

/// Reads what [`to_stored`](super::to_stored) wrote.
///
/// # Errors
///
/// As [`PageReader::finish`]; the bytes are then not ours or damaged.
pub fn from_stored(bytes: &[u8]) -> Result<ProjectPage, PageError> {
    PageReader::stored().finish(bytes)
}

/// The same in pieces.
///
/// # Errors
///
/// As [`from_stored`], and those of `input`.
pub fn read_stored(mut input: impl Read) -> Result<ProjectPage, PageError> {
    let (mut reader, mut piece) = (PageReader::stored(), vec![0; PIECE_BYTES]);
    loop {
        match input.read(&mut piece) {
            Ok(0) => return reader.finish(&[]),
            Ok(count) => reader.read(piece.get(..count).unwrap_or_default())?,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(PageError::ReadPage(why)),
        }
    }
}

/// What is read at once, in bytes.
const PIECE_BYTES: usize = 128 * 1024;

/// What a page's or a list's `meta` states.
#[derive(Default)]
pub(super) struct Meta {
    pub(super) api_version: ApiVersion,
    pub(super) last_serial: Option<u64>,
    pub(super) last_serial_is_text: bool,
    pub(super) extra: Map<String, Value>,
}

impl Meta {
    /// Takes `meta` apart. Without a version it is 1.0, as clients assume; a newer one than ours counts as ours.
    pub(super) fn read(mut meta: Map<String, Value>) -> Result<Self, PageError> {
        if !meta.iter().all(|(key, value)| key.len() <= TEXT_BYTES_MAX && texts_are_short(value)) {
            return Err(PageError::TooLong("meta"));
        }
        let api_version = match meta.shift_remove("api-version") {
            None | Some(Value::Null) => ApiVersion::OLDEST,
            Some(Value::String(said)) => ApiVersion::parse(&said)?.min(ApiVersion::NEWEST),
            Some(other) => return Err(PageError::ApiVersion(other.to_string().chars().take(40).collect())),
        };
        // A text such as "007" could not leave as it came; it stays among the unknown keys.
        let (last_serial, last_serial_is_text) = match meta.get("_last-serial") {
            Some(Value::String(text)) => (text.parse().ok().filter(|serial: &u64| serial.to_string() == *text), true),
            Some(other) => (other.as_u64(), false),
            None => (None, false),
        };
        if last_serial.is_some() {
            meta.shift_remove("_last-serial");
        }
        Ok(Self {
            api_version,
            last_serial,
            last_serial_is_text: last_serial_is_text && last_serial.is_some(),
            extra: meta,
        })
    }
}

#[derive(Clone, Copy)]
enum FileKey {
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
    fn read(key: &str) -> Result<Self, String> {
        Ok(match key {
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
            other => return Err(other.to_owned()),
        })
    }
}

impl<'de> Deserialize<'de> for Draft {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FileVisitor)
    }
}

struct FileVisitor;

impl<'de> Visitor<'de> for FileVisitor {
    type Value = Draft;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a file")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Draft, A::Error> {
        let mut draft = Draft::default();
        let mut older = CoreMetadata::Absent;
        while let Some(key) = map.next_key_seed(Loose(FileKey::read))?.flatten() {
            match key {
                Ok(FileKey::Filename) => draft.filename = map.next_value_seed(Loose(str::to_owned))?,
                Ok(FileKey::Url) => draft.url = map.next_value_seed(Loose(str::to_owned))?,
                Ok(FileKey::Hashes) => {
                    if let Stated::Hashes(hashes) = map.next_value_seed(StatedSeed)? {
                        draft.hashes = hashes;
                    }
                }
                Ok(FileKey::Size) => draft.size = map.next_value::<Value>()?.as_u64(),
                Ok(FileKey::UploadTime) => draft.upload_time = map.next_value_seed(Loose(str::to_owned))?,
                Ok(FileKey::RequiresPython) => {
                    draft.requires_python = match map.next_value()? {
                        Value::String(text) => RequiresPython::Specifier(text.into()),
                        Value::Null => RequiresPython::Null,
                        _ => RequiresPython::Absent,
                    }
                }
                Ok(FileKey::Yanked) => {
                    draft.yanked = match map.next_value()? {
                        Value::Bool(false) => Yanked::No,
                        Value::Bool(true) => Yanked::Yes,
                        Value::String(reason) => Yanked::Reason(reason),
                        _ => Yanked::Absent,
                    }
                }
                Ok(FileKey::CoreMetadata) => draft.core_metadata = map.next_value_seed(StatedSeed)?.core_metadata(),
                // The public index says the same twice.
                Ok(FileKey::OldCoreMetadata) if draft.core_metadata != CoreMetadata::Absent => {
                    map.next_value::<IgnoredAny>()?;
                }
                Ok(FileKey::OldCoreMetadata) => {
                    let stated = map.next_value_seed(StatedSeed)?.core_metadata();
                    if stated != CoreMetadata::Absent {
                        older = stated;
                    }
                }
                Ok(FileKey::GpgSig) => draft.gpg_sig = map.next_value::<Value>()?.as_bool(),
                Ok(FileKey::Provenance) => {
                    draft.provenance = map.next_value::<Value>()?.into();
                }
                Err(other) => {
                    draft.extra.get_or_insert_default().insert(other, map.next_value()?);
                }
            }
        }
        // A file without its two required keys cannot be named or fetched; `Files` drops it.
        if draft.filename.is_none() {
            draft.url = None;
        }
        if draft.core_metadata == CoreMetadata::Absent {
            draft.core_metadata = older;
        }
        Ok(draft)
    }
}

/// `hashes`, or a core-metadata key: an object of hashes, or a flag.
enum Stated {
    Flag(bool),
    Hashes(Hashes),
    Nothing,
}

impl Stated {
    fn core_metadata(self) -> CoreMetadata {
        match self {
            Self::Flag(true) => CoreMetadata::Yes,
            Self::Flag(false) => CoreMetadata::No,
            Self::Hashes(hashes) => hashes.into_core_metadata(),
            Self::Nothing => CoreMetadata::Absent,
        }
    }
}

struct StatedSeed;

impl<'de> DeserializeSeed<'de> for StatedSeed {
    type Value = Stated;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Stated, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// The visits of a value of a type that was not asked for: read to its end, and nothing learnt.
macro_rules! other_types_are {
    ($nothing:expr; $($visit:ident: $type:ty),*) => {
        $(fn $visit<E>(self, _: $type) -> Result<Self::Value, E> { Ok($nothing) })*
        fn visit_unit<E>(self) -> Result<Self::Value, E> { Ok($nothing) }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok($nothing)
        }
    };
}

impl<'de> Visitor<'de> for StatedSeed {
    type Value = Stated;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hashes or a flag")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Stated, E> {
        Ok(Stated::Flag(flag))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Stated, A::Error> {
        let mut hashes = Hashes::default();
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let added = map.next_value_seed(Loose(|hex: &str| hashes.add(&name, hex)))?;
            if added.is_none() {
                hashes.bad += 1;
            }
        }
        Ok(Stated::Hashes(hashes))
    }

    other_types_are!(Stated::Nothing; visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);
}

/// Reads a text through a function, without an allocation of its own; a value of another type yields `None`.
pub(super) struct Loose<F>(pub(super) F);

impl<'de, T, F: FnOnce(&str) -> T> DeserializeSeed<'de> for Loose<F> {
    type Value = Option<T>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T, F: FnOnce(&str) -> T> Visitor<'de> for Loose<F> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Option<T>, E> {
        Ok(Some((self.0)(text)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<T>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    other_types_are!(None; visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);
}
