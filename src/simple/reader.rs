use super::draft::{Draft, Files, texts_are_short};
use super::json::Meta;
use super::link::Links;
use super::plain;
use super::{File, PageError, ProjectPage, TEXT_BYTES_MAX};
use crate::names::ProjectName;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use url::Url;

/// A project's JSON page (PEP 691), read while it arrives: each file is taken as soon as it is whole, and of the bytes
/// only those are kept that are no whole value yet.
///
/// What comes out does not depend on where the pieces were cut; in how many they came does.
pub struct PageReader {
    asked: Asked,
    place: Place,
    /// Bytes that came and are not read.
    rest: Vec<u8>,
    /// There is no use in looking at `rest` before it has so many bytes: a long value is not looked through for each
    /// piece of it.
    look_from: usize,
    /// Bytes that were read, before `rest`.
    read: usize,
    files: Files,
    has_files: bool,
    name: Option<String>,
    meta: Meta,
    versions: Option<Vec<String>>,
    project_status: Option<Value>,
    extra: Map<String, Value>,
}

enum Asked {
    /// The page must be this project's.
    Project(ProjectName),
    /// It says whose it is.
    Any,
}

/// What the next byte belongs to.
enum Place {
    Start,
    /// After the brace: a key or the end.
    FirstKey,
    Key,
    Colon(String),
    Value(String),
    /// After a value: a comma or the end.
    NextKey,
    FirstFile,
    File,
    NextFile,
    End,
}

/// Most characters of an upstream's words that an error repeats.
const SAID_CHARS: usize = 80;

const BOM: &[u8] = b"\xef\xbb\xbf";

impl PageReader {
    /// For the page of `asked`. `page_url` is where it comes from, after redirects: relative links start there.
    pub fn new(page_url: &Url, asked: &ProjectName) -> Self {
        Self::of(Links::new(Some(page_url.clone())), Asked::Project(asked.clone()))
    }

    /// For what [`to_stored`](super::to_stored) wrote. All checks of a foreign page are made again.
    pub fn stored() -> Self {
        Self::of(Links::new(None), Asked::Any)
    }

    fn of(links: Links, asked: Asked) -> Self {
        Self {
            asked,
            place: Place::Start,
            rest: Vec::new(),
            look_from: 0,
            read: 0,
            files: Files::new(links),
            has_files: false,
            name: None,
            meta: Meta::default(),
            versions: None,
            project_status: None,
            extra: Map::new(),
        }
    }

    /// Takes the next bytes of the page.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish); the rest of the page is then of no use.
    pub fn read(&mut self, piece: &[u8]) -> Result<(), PageError> {
        if self.rest.is_empty() {
            let used = self.consume(piece, false)?;
            self.rest.extend_from_slice(piece.get(used..).unwrap_or_default());
            return Ok(());
        }
        self.rest.extend_from_slice(piece);
        if self.rest.len() < self.look_from {
            return Ok(());
        }
        let mut rest = std::mem::take(&mut self.rest);
        let used = self.consume(&rest, false)?;
        rest.drain(..used);
        // One large value does not keep its room for all the small ones after it.
        rest.shrink_to(2 * (rest.len() + piece.len()));
        self.rest = rest;
        Ok(())
    }

    /// Takes the last bytes of the page, and yields it.
    ///
    /// A file that cannot be used is left out and counted. Of the known keys a value of the wrong type counts as
    /// absent; unknown keys are kept. The nesting of a value is bounded by serde_json (127 levels).
    ///
    /// # Errors
    ///
    /// The page is not of that form, not of major version 1, not the one that was asked for, or beyond a limit.
    pub fn finish(mut self, last: &[u8]) -> Result<ProjectPage, PageError> {
        if self.rest.is_empty() {
            self.consume(last, true)?;
        } else {
            let mut rest = std::mem::take(&mut self.rest);
            rest.extend_from_slice(last);
            self.consume(&rest, true)?;
        }
        if !self.has_files {
            return Err(PageError::Json("missing field `files`".to_owned()));
        }
        let said = self.name.ok_or_else(|| PageError::Json("missing field `name`".to_owned()))?;
        let shown = |said: &str| said.chars().take(SAID_CHARS).collect();
        let name = match (ProjectName::parse(&said), self.asked) {
            (Ok(name), Asked::Any) => name,
            (Ok(name), Asked::Project(asked)) if name == asked => name,
            (_, Asked::Project(asked)) => return Err(PageError::WrongName { asked, said: shown(&said) }),
            (Err(_), Asked::Any) => return Err(PageError::NoName(shown(&said))),
        };
        Ok(ProjectPage {
            name,
            api_version: self.meta.api_version,
            last_serial: self.meta.last_serial,
            last_serial_is_text: self.meta.last_serial_is_text,
            versions: self.versions,
            project_status: self.project_status,
            meta_extra: self.meta.extra,
            extra: self.extra,
            files: self.files.files,
            dropped: self.files.dropped,
            bad_hashes: self.files.bad_hashes,
        })
    }

    /// How many files were read and not taken.
    pub fn files_len(&self) -> usize {
        self.files.files.len()
    }

    /// Takes the files that were read since the last time; [`finish`](Self::finish) yields the others.
    pub fn take_files(&mut self) -> Vec<File> {
        let like_these = Vec::with_capacity(self.files.files.len());
        std::mem::replace(&mut self.files.files, like_these)
    }

    /// Reads what is whole in `bytes`, and yields how many of them that is. `is_last`: nothing comes after them.
    fn consume(&mut self, bytes: &[u8], is_last: bool) -> Result<usize, PageError> {
        let (text, is_last) = match std::str::from_utf8(bytes) {
            Ok(text) => (text, is_last),
            // What stands before the first byte that is no text is read; if it does not end the page, that byte does.
            Err(why) => {
                let good = bytes.get(..why.valid_up_to()).unwrap_or_default();
                let used = self.consume(good, false)?;
                if is_last || why.error_len().is_some() {
                    return Err(self.refuse("it is not UTF-8", good.len() - used));
                }
                return Ok(used);
            }
        };
        let mut left = Left { text, is_last };
        loop {
            match self.step(&mut left) {
                Ok(true) => {}
                Ok(false) | Err(Stop::More) => break,
                Err(Stop::Bad(why)) => return Err(self.refuse(&why, text.len() - left.text.len())),
                Err(Stop::Refused(why)) => return Err(why),
            }
        }
        let used = text.len() - left.text.len();
        self.read += used;
        self.look_from = left.text.len() * 2;
        match self.place {
            Place::End if is_last && left.text.is_empty() => Ok(used),
            _ if is_last => Err(self.refuse("it ends too early", left.text.len())),
            _ => Ok(used),
        }
    }

    fn refuse(&self, why: &str, at: usize) -> PageError {
        PageError::Json(format!("{why} at byte {}", self.read + at))
    }

    /// Reads one value or one mark; `false`: there is none left.
    fn step(&mut self, left: &mut Left<'_>) -> Result<bool, Stop> {
        if matches!(self.place, Place::Start) && self.read == 0 && left.text.starts_with('\u{feff}') {
            left.skip(BOM.len());
        }
        left.skip_white();
        let Some(byte) = left.first() else { return Ok(false) };
        match (&mut self.place, byte) {
            (Place::Start, b'{') => {
                left.skip(1);
                self.place = Place::FirstKey;
            }
            (Place::Start, _) => return Err(Stop::bad("invalid type: a page is an object")),
            (Place::FirstKey | Place::NextKey, b'}') => {
                left.skip(1);
                self.place = Place::End;
            }
            (Place::FirstKey | Place::Key, b'"') => self.place = Place::Colon(left.value()?),
            (Place::FirstKey | Place::Key, _) => return Err(Stop::bad("key must be a string")),
            (Place::Colon(key), b':') => {
                left.skip(1);
                self.place = Place::Value(std::mem::take(key));
            }
            (Place::Colon(_), _) => return Err(Stop::bad("expected `:`")),
            (Place::Value(key), _) => {
                let key = std::mem::take(key);
                let next = self.value(&key, left);
                if matches!(next, Err(Stop::More)) {
                    self.place = Place::Value(key);
                    return Err(Stop::More);
                }
                self.place = next?;
            }
            (Place::NextKey, b',') => {
                left.skip(1);
                self.place = Place::Key;
            }
            (Place::NextKey, _) => return Err(Stop::bad("expected `,` or `}`")),
            (Place::FirstFile | Place::NextFile, b']') => {
                left.skip(1);
                self.place = Place::NextKey;
            }
            (Place::FirstFile | Place::File, _) => {
                let draft = match plain::file(left.text) {
                    Some((draft, used)) => {
                        left.skip(used);
                        draft
                    }
                    None => left.value::<Draft<'static>>()?,
                };
                self.files.add(draft).map_err(Stop::Refused)?;
                self.place = Place::NextFile;
            }
            (Place::NextFile, b',') => {
                left.skip(1);
                self.place = Place::File;
            }
            (Place::NextFile, _) => return Err(Stop::bad("expected `,` or `]`")),
            (Place::End, _) => return Err(Stop::bad("trailing characters")),
        }
        Ok(true)
    }

    /// Reads the value of a key, and yields what comes after it.
    fn value(&mut self, key: &str, left: &mut Left<'_>) -> Result<Place, Stop> {
        match key {
            "files" => {
                if left.first() != Some(b'[') {
                    return Err(Stop::bad("invalid type: `files` is a list"));
                }
                left.skip(1);
                self.has_files = true;
                return Ok(Place::FirstFile);
            }
            "name" => self.name = left.value::<Option<String>>()?,
            "meta" => {
                let meta = left.value::<Option<Map<String, Value>>>()?.unwrap_or_default();
                self.meta = Meta::read(meta).map_err(Stop::Refused)?;
            }
            "versions" => {
                self.versions = left.value()?;
                if self.versions.iter().flatten().any(|version| version.len() > TEXT_BYTES_MAX) {
                    return Err(Stop::Refused(PageError::TooLong("versions")));
                }
            }
            "project-status" => {
                let status: Value = left.value()?;
                if !texts_are_short(&status) {
                    return Err(Stop::Refused(PageError::TooLong("project-status")));
                }
                self.project_status = (!status.is_null()).then_some(status);
            }
            other => {
                let value: Value = left.value()?;
                if other.len() > TEXT_BYTES_MAX || !texts_are_short(&value) {
                    return Err(Stop::Refused(PageError::TooLong("top level")));
                }
                self.extra.insert(other.to_owned(), value);
            }
        }
        Ok(Place::NextKey)
    }
}

/// Why a step was not made.
enum Stop {
    /// It needs bytes that have not come.
    More,
    /// What is wrong with the next bytes.
    Bad(String),
    Refused(PageError),
}

impl Stop {
    fn bad(why: &str) -> Self {
        Self::Bad(why.to_owned())
    }
}

/// Text that is not read yet.
struct Left<'a> {
    text: &'a str,
    is_last: bool,
}

impl Left<'_> {
    fn first(&self) -> Option<u8> {
        self.text.as_bytes().first().copied()
    }

    fn skip(&mut self, bytes: usize) {
        self.text = self.text.get(bytes..).unwrap_or_default();
    }

    fn skip_white(&mut self) {
        self.text = self.text.trim_start_matches([' ', '\n', '\t', '\r']);
    }

    /// Reads one value of JSON.
    fn value<T: DeserializeOwned>(&mut self) -> Result<T, Stop> {
        // Whether a number or a word is whole is known by what comes after it.
        let is_open = |first: u8| {
            let ends = |byte: u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\t' | b'\r');
            !matches!(first, b'{' | b'[' | b'"') && !self.text.bytes().any(ends)
        };
        if !self.is_last && self.first().is_some_and(is_open) {
            return Err(Stop::More);
        }
        let mut values = serde_json::Deserializer::from_str(self.text).into_iter::<T>();
        let value = values.next();
        let used = values.byte_offset();
        match value {
            Some(Ok(value)) => {
                self.skip(used);
                Ok(value)
            }
            Some(Err(why)) if why.is_eof() && !self.is_last => Err(Stop::More),
            None if !self.is_last => Err(Stop::More),
            None => Err(Stop::bad("it ends too early")),
            Some(Err(why)) => Err(match PageError::from_json(why) {
                // The position is one within this value.
                PageError::Json(why) => Stop::Bad(why.split(" at line ").next().unwrap_or_default().to_owned()),
                other => Stop::Refused(other),
            }),
        }
    }
}
