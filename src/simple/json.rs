use super::draft::{Draft, Files, texts_are_short};
use super::hashes::Hashes;
use super::link::Links;
use super::{ApiVersion, CoreMetadata, PageError, ProjectPage, RequiresPython, TEXT_BYTES_MAX, Yanked};
use crate::names::ProjectName;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;
use url::Url;

/// Reads a project's JSON page (PEP 691). `page_url` is where it came from, after redirects: relative links start there.
///
/// A file that cannot be used is left out and counted. Of the known keys a value of the wrong type counts as absent;
/// unknown keys are kept. Nesting is bounded by serde_json (127 levels).
///
/// # Errors
///
/// The page is not of that form, not of major version 1, not `asked`'s, or beyond a limit.
pub fn parse_json(body: &[u8], page_url: &Url, asked: &ProjectName) -> Result<ProjectPage, PageError> {
    read(body, Links::new(Some(page_url.clone())), |said| match ProjectName::parse(said) {
        Ok(name) if name == *asked => Ok(name),
        _ => Err(PageError::WrongName { asked: asked.clone(), said: said.chars().take(SAID_CHARS).collect() }),
    })
}

/// Reads what [`to_stored`](super::to_stored) wrote. All checks of a foreign page are made again.
///
/// # Errors
///
/// As [`parse_json`]; the bytes are then not ours or damaged.
pub fn from_stored(bytes: &[u8]) -> Result<ProjectPage, PageError> {
    read(bytes, Links::new(None), |said| {
        ProjectName::parse(said).map_err(|_| PageError::NoName(said.chars().take(SAID_CHARS).collect()))
    })
}

/// Most characters of an upstream's words that an error repeats.
const SAID_CHARS: usize = 80;

fn read(
    body: &[u8],
    links: Links,
    check_name: impl FnOnce(&str) -> Result<ProjectName, PageError>,
) -> Result<ProjectPage, PageError> {
    let mut reading = Reading {
        files: Files::new(links),
        meta: Meta::default(),
        versions: None,
        project_status: None,
        extra: Map::new(),
        problem: None,
    };
    let mut json = serde_json::Deserializer::from_slice(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body));
    let name = PageSeed(&mut reading).deserialize(&mut json).and_then(|name| json.end().map(|()| name));
    let name = match (name, reading.problem) {
        (_, Some(problem)) => return Err(problem),
        (Err(error), None) => return Err(PageError::from_json(error)),
        (Ok(name), None) => check_name(&name)?,
    };
    Ok(ProjectPage {
        name,
        api_version: reading.meta.api_version,
        last_serial: reading.meta.last_serial,
        last_serial_is_text: reading.meta.last_serial_is_text,
        versions: reading.versions,
        project_status: reading.project_status,
        meta_extra: reading.meta.extra,
        extra: reading.extra,
        files: reading.files.files,
        dropped: reading.files.dropped,
        bad_hashes: reading.files.bad_hashes,
    })
}

struct Reading {
    files: Files,
    meta: Meta,
    versions: Option<Vec<String>>,
    project_status: Option<Value>,
    extra: Map<String, Value>,
    /// Why reading was broken off; serde's errors carry only text.
    problem: Option<PageError>,
}

impl Reading {
    fn refuse<E: serde::de::Error>(&mut self, problem: PageError) -> E {
        let error = E::custom(&problem);
        self.problem = Some(problem);
        error
    }
}

/// Reads the whole object, and yields the name that it states.
struct PageSeed<'a>(&'a mut Reading);

#[derive(Clone, Copy)]
enum PageKey {
    Meta,
    Name,
    Versions,
    Status,
    Files,
}

impl<'de> DeserializeSeed<'de> for PageSeed<'_> {
    type Value = String;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PageSeed<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a project's page")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
        let reading = self.0;
        let (mut name, mut has_files) = (None, false);
        let key = |key: &str| match key {
            "meta" => Ok(PageKey::Meta),
            "name" => Ok(PageKey::Name),
            "versions" => Ok(PageKey::Versions),
            "project-status" => Ok(PageKey::Status),
            "files" => Ok(PageKey::Files),
            other => Err(other.to_owned()),
        };
        while let Some(key) = map.next_key_seed(Loose(key))?.flatten() {
            match key {
                Ok(PageKey::Name) => name = map.next_value::<Option<String>>()?,
                Ok(PageKey::Meta) => {
                    let meta = map.next_value::<Option<Map<String, Value>>>()?.unwrap_or_default();
                    reading.meta = Meta::read(meta).map_err(|problem| reading.refuse(problem))?;
                }
                Ok(PageKey::Versions) => {
                    reading.versions = map.next_value()?;
                    let versions = reading.versions.iter().flatten();
                    if versions.map(String::len).any(|bytes| bytes > TEXT_BYTES_MAX) {
                        return Err(reading.refuse(PageError::TooLong("versions")));
                    }
                }
                Ok(PageKey::Status) => {
                    let status: Value = map.next_value()?;
                    if !texts_are_short(&status) {
                        return Err(reading.refuse(PageError::TooLong("project-status")));
                    }
                    reading.project_status = (!status.is_null()).then_some(status);
                }
                Ok(PageKey::Files) => {
                    has_files = true;
                    map.next_value_seed(FilesSeed(reading))?;
                }
                Err(other) => {
                    let value: Value = map.next_value()?;
                    if other.len() > TEXT_BYTES_MAX || !texts_are_short(&value) {
                        return Err(reading.refuse(PageError::TooLong("top level")));
                    }
                    reading.extra.insert(other, value);
                }
            }
        }
        if !has_files {
            return Err(A::Error::missing_field("files"));
        }
        name.ok_or_else(|| A::Error::missing_field("name"))
    }
}

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

struct FilesSeed<'a>(&'a mut Reading);

impl<'de> DeserializeSeed<'de> for FilesSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for FilesSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of files")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut files: A) -> Result<(), A::Error> {
        while let Some(draft) = files.next_element_seed(FileSeed)? {
            self.0.files.add(draft).map_err(|problem| self.0.refuse(problem))?;
        }
        Ok(())
    }
}

struct FileSeed;

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

impl<'de> DeserializeSeed<'de> for FileSeed {
    type Value = Draft;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Draft, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FileSeed {
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
                        Value::String(text) => RequiresPython::Specifier(text),
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
                Ok(FileKey::OldCoreMetadata) => {
                    let stated = map.next_value_seed(StatedSeed)?.core_metadata();
                    if stated != CoreMetadata::Absent {
                        older = stated;
                    }
                }
                Ok(FileKey::GpgSig) => draft.gpg_sig = map.next_value::<Value>()?.as_bool(),
                Ok(FileKey::Provenance) => {
                    // A plain Option would take null for absence.
                    draft.provenance = Some(map.next_value::<Value>()?);
                }
                Err(other) => {
                    draft.extra.insert(other, map.next_value()?);
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
