use super::draft::{Draft, texts_are_short};
use super::hashes::Hashes;
use super::reader::PageReader;
use super::stated::{FileKey, Said};
use super::{ApiVersion, PageError, ProjectPage, TEXT_BYTES_MAX};
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

impl<'de> Deserialize<'de> for Draft<'static> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FileVisitor)
    }
}

struct FileVisitor;

impl<'de> Visitor<'de> for FileVisitor {
    type Value = Draft<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a file")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut draft = Draft::default();
        let known = |key: &str| FileKey::of(key).ok_or_else(|| key.to_owned());
        while let Some(key) = map.next_key_seed(Loose(known))?.flatten() {
            match key {
                Ok(FileKey::Provenance) => draft.provenance = map.next_value::<Value>()?.into(),
                Ok(key) => map.next_value_seed(SaidSeed { draft: &mut draft, key })?,
                Err(other) => {
                    draft.extra.get_or_insert_default().insert(other, map.next_value()?);
                }
            }
        }
        Ok(draft.finish())
    }
}

/// Reads what is said under a key.
struct SaidSeed<'a> {
    draft: &'a mut Draft<'static>,
    key: FileKey,
}

impl SaidSeed<'_> {
    fn say<E>(self, said: Said<'static>) -> Result<(), E> {
        self.draft.state(self.key, said);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for SaidSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for SaidSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.say(Said::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<(), E> {
        self.say(Said::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.say(Said::Number(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.say(Said::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.say(Said::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.say(Said::Text(text.to_owned().into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        self.say(Said::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if !self.key.has_hashes() {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return self.say(Said::Other);
        }
        let mut hashes = Hashes::default();
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let added = map.next_value_seed(Loose(|hex: &str| hashes.add(&name, hex)))?;
            if added.is_none() {
                hashes.bad += 1;
            }
        }
        self.say(Said::Hashes(hashes))
    }
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

    fn visit_unit<E>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Option<T>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<T>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}
