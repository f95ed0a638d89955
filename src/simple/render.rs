use super::hashes::best;
use super::link::write_path;
use super::plain::every_byte;
use super::{ApiVersion, CoreMetadata, File, ProjectPage, Provenance, RequiresPython, Told, Yanked};
use crate::names::{IndexName, Sha256};
use serde_json::{Map, Value};
use std::io::{self, Write};

/// Room for one file's JSON without its name and URL, in bytes; measured on real pages.
const JSON_FILE_BYTES: usize = 480;
/// The same for HTML.
const HTML_FILE_BYTES: usize = 360;
const HEAD_BYTES: usize = 512;
/// What is handed on at once, in bytes: a compressor's block is twice that, and it stays in the processor's cache.
const PIECE_BYTES: usize = 64 * 1024;

/// The page as PEP 691 JSON. `base` is the relative path from the page to its index, such as `../../`: every file's URL
/// starts with it, so that no host name is in the page. A file of another index is two steps and that index's name away.
pub fn render_json<'a>(page: impl Into<Told<'a>>, base: &str) -> Vec<u8> {
    let page = page.into();
    whole(page.files.len() * JSON_FILE_BYTES, |out| write_json(&page, Some(base), out))
}

/// The same in pieces: the whole page is never held.
///
/// # Errors
///
/// Those of `out`.
pub fn write_page_json<'a>(page: impl Into<Told<'a>>, base: &str, out: &mut dyn Write) -> io::Result<()> {
    write_json(&page.into(), Some(base), out)
}

/// The page as JSON for the database: with the upstream's absolute URLs, all files, the upstream's version, and keys in
/// a fixed order, so that equal pages give equal bytes.
pub fn to_stored(page: &ProjectPage) -> Vec<u8> {
    whole(page.files.len() * JSON_FILE_BYTES, |out| write_stored(page, out))
}

/// The same in pieces.
///
/// # Errors
///
/// Those of `out`.
pub fn write_stored(page: &ProjectPage, out: &mut dyn Write) -> io::Result<()> {
    write_json(&Told::stored(page), None, out)
}

/// The page as HTML (PEP 503, 592, 629, 658, 714, 740, 792), one anchor a line. `base` as in [`render_json`].
///
/// Everything is escaped: some clients read the anchors with a regular expression that ends at the first `>`.
pub fn render_html<'a>(page: impl Into<Told<'a>>, base: &str) -> Vec<u8> {
    let page = page.into();
    whole(page.files.len() * HTML_FILE_BYTES, |out| write_html(&page, base, out))
}

/// The same in pieces.
///
/// # Errors
///
/// Those of `out`.
pub fn write_page_html<'a>(page: impl Into<Told<'a>>, base: &str, out: &mut dyn Write) -> io::Result<()> {
    write_html(&page.into(), base, out)
}

fn whole(room: usize, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_BYTES + room);
    // Writing into a Vec cannot fail.
    let _ = write(&mut out);
    out
}

/// Hands on what is written when there is a piece of it.
fn pass_on(piece: &mut Vec<u8>, sink: &mut dyn Write) -> io::Result<()> {
    if piece.len() >= PIECE_BYTES {
        sink.write_all(piece)?;
        piece.clear();
    }
    Ok(())
}

fn write_html(page: &Told<'_>, base: &str, sink: &mut dyn Write) -> io::Result<()> {
    let mut out = Vec::with_capacity(PIECE_BYTES + HEAD_BYTES);
    let mut base_escaped = Vec::new();
    escape(&mut base_escaped, base);
    out.extend_from_slice(b"<!DOCTYPE html>\n<html>\n<head>\n");
    write_html_meta(&mut out, "pypi:repository-version", &page.api_version.to_string());
    if let Some(status) = page.status() {
        write_html_meta(&mut out, "pypi:project-status", status);
        if let Some(reason) = page.status_reason() {
            write_html_meta(&mut out, "pypi:project-status-reason", reason);
        }
    }
    out.extend_from_slice(b"<title>Links for ");
    out.extend_from_slice(page.name.as_str().as_bytes());
    out.extend_from_slice(b"</title>\n</head>\n<body>\n");
    for (file, home) in page.files.iter() {
        write_anchor(&mut out, file, home, &base_escaped);
        pass_on(&mut out, sink)?;
    }
    out.extend_from_slice(b"</body>\n</html>\n");
    sink.write_all(&out)
}

pub(super) fn write_html_meta(out: &mut Vec<u8>, name: &str, content: &str) {
    out.extend_from_slice(b"<meta");
    write_attribute(out, " name=\"", name);
    write_attribute(out, " content=\"", content);
    out.extend_from_slice(b">\n");
}

fn write_anchor(out: &mut Vec<u8>, file: &File, home: Option<&IndexName>, base_escaped: &[u8]) {
    out.extend_from_slice(b"<a href=\"");
    out.extend_from_slice(base_escaped);
    write_path(out, file, home);
    if let Some(sha256) = &file.sha256 {
        out.extend_from_slice(b"#sha256=");
        out.extend_from_slice(&sha256.hex_digits());
    } else if let Some((name, hex)) = best(&file.other_hashes) {
        out.push(b'#');
        escape(out, name);
        out.push(b'=');
        escape(out, hex);
    }
    out.push(b'"');
    if let RequiresPython::Specifier(specifier) = &file.requires_python {
        write_attribute(out, " data-requires-python=\"", specifier);
    }
    match &file.yanked {
        Yanked::Absent | Yanked::No => {}
        Yanked::Yes => out.extend_from_slice(b" data-yanked=\"\""),
        Yanked::Reason(reason) => write_attribute(out, " data-yanked=\"", reason),
    }
    let promise = match &file.core_metadata {
        CoreMetadata::Absent | CoreMetadata::No => None,
        CoreMetadata::Yes => Some("true".to_owned()),
        CoreMetadata::Sha256(sha256) => Some(format!("sha256={sha256}")),
        CoreMetadata::Hashes(hashes) => {
            Some(best(hashes).map_or_else(|| "true".to_owned(), |(name, hex)| format!("{name}={hex}")))
        }
    };
    if let Some(promise) = &promise {
        write_attribute(out, " data-core-metadata=\"", promise);
        write_attribute(out, " data-dist-info-metadata=\"", promise);
    }
    if let Some(gpg_sig) = file.gpg_sig {
        write_attribute(out, " data-gpg-sig=\"", if gpg_sig { "true" } else { "false" });
    }
    if let Some(provenance) = file.provenance.url() {
        write_attribute(out, " data-provenance=\"", provenance);
    }
    out.push(b'>');
    escape(out, file.filename.as_str());
    out.extend_from_slice(b"</a><br>\n");
}

fn write_attribute(out: &mut Vec<u8>, opening: &str, value: &str) {
    out.extend_from_slice(opening.as_bytes());
    escape(out, value);
    out.push(b'"');
}

/// Escapes for text and for quoted attributes. Line ends are escaped too: one anchor stays one line.
pub(super) fn escape(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\'' | 0..=31)) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else { break };
        out.extend_from_slice(match byte {
            b'&' => b"&amp;",
            b'<' => b"&lt;",
            b'>' => b"&gt;",
            b'"' => b"&quot;",
            b'\'' => b"&#39;",
            b'\n' => b"&#10;",
            b'\t' => b"&#9;",
            b'\r' => b"&#13;",
            // HTML has no way to write the other control characters.
            _ => "\u{fffd}".as_bytes(),
        });
        rest = after;
    }
    out.extend_from_slice(rest);
}

/// A JSON page that is written while its files still come. The same bytes as [`write_page_json`]'s, which is why a page
/// begins with its files and what is stated of the whole comes after them.
pub struct PageWriter {
    json: Json,
    base: Option<String>,
    files: usize,
}

impl PageWriter {
    /// `base` as in [`render_json`].
    pub fn new(base: &str) -> Self {
        Self::of(Some(base.to_owned()))
    }

    /// `base` of `None` writes the stored form.
    fn of(base: Option<String>) -> Self {
        let mut json = Json { out: Vec::with_capacity(PIECE_BYTES + HEAD_BYTES), stored: base.is_none() };
        json.raw("{\"files\":[");
        Self { json, base, files: 0 }
    }

    /// Writes the next files. Yields a piece when there is one.
    pub fn files(&mut self, next: &[File]) -> Option<Vec<u8>> {
        next.iter().for_each(|file| self.file(file, None));
        let room = || Vec::with_capacity(PIECE_BYTES + HEAD_BYTES);
        (self.json.out.len() >= PIECE_BYTES).then(|| std::mem::replace(&mut self.json.out, room()))
    }

    /// Yields the rest of the page, all of whose files were written.
    pub fn finish<'a>(mut self, page: impl Into<Told<'a>>) -> Vec<u8> {
        self.end(&page.into());
        self.json.out
    }

    fn file(&mut self, file: &File, home: Option<&IndexName>) {
        self.json.comma(self.files);
        self.json.file(file, home, self.base.as_deref());
        self.files += 1;
    }

    fn end(&mut self, page: &Told<'_>) {
        let (json, none) = (&mut self.json, Map::new());
        let (serial, is_text) = page.last_serial.map_or((None, false), |(serial, is_text)| (Some(serial), is_text));
        json.raw("],\"meta\":");
        json.meta(serial, is_text, page.api_version, page.meta_extra.unwrap_or(&none));
        json.raw(",\"name\":");
        json.text(page.name.as_str());
        if let Some(status) = &page.project_status {
            json.raw(",\"project-status\":");
            json.value(status);
        }
        if let Some(versions) = &page.versions {
            json.raw(",\"versions\":[");
            for (number, version) in versions.iter().enumerate() {
                json.comma(number);
                json.text(version);
            }
            json.raw("]");
        }
        json.extra(page.extra.unwrap_or(&none));
        json.raw("}");
    }
}

/// `base` of `None` writes the stored form.
fn write_json(page: &Told<'_>, base: Option<&str>, sink: &mut dyn Write) -> io::Result<()> {
    let mut writer = PageWriter::of(base.map(str::to_owned));
    for (file, home) in page.files.iter() {
        writer.file(file, home);
        pass_on(&mut writer.json.out, sink)?;
    }
    writer.end(page);
    sink.write_all(&writer.json.out)
}

/// Writes JSON straight into bytes; a tree of values for 40 000 files would cost more than the whole rest.
pub(super) struct Json {
    pub(super) out: Vec<u8>,
    /// Sorted keys, and one spelling of core-metadata.
    pub(super) stored: bool,
}

impl Json {
    pub(super) fn raw(&mut self, json: &str) {
        self.out.extend_from_slice(json.as_bytes());
    }

    pub(super) fn comma(&mut self, number: usize) {
        if number > 0 {
            self.out.push(b',');
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        if every_byte(text, |byte| (byte >= b' ') & (byte != b'"') & (byte != b'\\')) {
            self.raw("\"");
            self.raw(text);
            return self.raw("\"");
        }
        // Writing text into a Vec cannot fail.
        let _ = serde_json::to_writer(&mut self.out, text);
    }

    fn number(&mut self, number: u64) {
        let _ = write!(self.out, "{number}");
    }

    pub(super) fn meta(&mut self, serial: Option<u64>, is_text: bool, version: ApiVersion, extra: &Map<String, Value>) {
        self.raw("{");
        if let Some(serial) = serial {
            let quote = if is_text { "\"" } else { "" };
            let _ = write!(self.out, "\"_last-serial\":{quote}{serial}{quote},");
        }
        let _ = write!(self.out, "\"api-version\":\"{version}\"");
        self.extra(extra);
        self.raw("}");
    }

    /// Members of an object that has some already.
    pub(super) fn extra(&mut self, extra: &Map<String, Value>) {
        for (key, value) in self.members(extra) {
            self.raw(",");
            self.text(key);
            self.raw(":");
            self.value(value);
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Object(map) if self.stored => {
                self.raw("{");
                for (number, (key, value)) in self.members(map).into_iter().enumerate() {
                    self.comma(number);
                    self.text(key);
                    self.raw(":");
                    self.value(value);
                }
                self.raw("}");
            }
            Value::Array(values) if self.stored => {
                self.raw("[");
                for (number, value) in values.iter().enumerate() {
                    self.comma(number);
                    self.value(value);
                }
                self.raw("]");
            }
            value => {
                let _ = serde_json::to_writer(&mut self.out, value);
            }
        }
    }

    fn members<'a>(&self, map: &'a Map<String, Value>) -> Vec<(&'a String, &'a Value)> {
        let mut members: Vec<_> = map.iter().collect();
        if self.stored {
            members.sort_by_key(|(key, _)| *key);
        }
        members
    }

    fn file(&mut self, file: &File, home: Option<&IndexName>, base: Option<&str>) {
        self.raw("{\"filename\":");
        self.text(file.filename.as_str());
        self.raw(",\"url\":");
        match base {
            None => self.text(&file.url),
            Some(base) => {
                self.text(base);
                // The base's closing quote comes after the path, which needs no escapes.
                self.out.pop();
                write_path(&mut self.out, file, home);
                self.raw("\"");
            }
        }
        self.raw(",\"hashes\":{");
        self.hashes(&file.other_hashes);
        if let Some(sha256) = &file.sha256 {
            self.comma(file.other_hashes.len());
            self.sha256(sha256);
        }
        self.raw("}");
        if let Some(size) = file.size {
            self.raw(",\"size\":");
            self.number(size);
        }
        if let Some(time) = &file.upload_time {
            self.raw(",\"upload-time\":");
            self.text(time);
        }
        match &file.requires_python {
            RequiresPython::Absent => {}
            RequiresPython::Null => self.raw(",\"requires-python\":null"),
            RequiresPython::Specifier(specifier) => {
                self.raw(",\"requires-python\":");
                self.text(specifier);
            }
        }
        match &file.yanked {
            Yanked::Absent => {}
            Yanked::No => self.raw(",\"yanked\":false"),
            Yanked::Yes => self.raw(",\"yanked\":true"),
            Yanked::Reason(reason) => {
                self.raw(",\"yanked\":");
                self.text(reason);
            }
        }
        if file.core_metadata != CoreMetadata::Absent {
            self.core_metadata(",\"core-metadata\":", &file.core_metadata);
            if !self.stored {
                self.core_metadata(",\"data-dist-info-metadata\":", &file.core_metadata);
            }
        }
        if let Some(gpg_sig) = file.gpg_sig {
            self.raw(if gpg_sig { ",\"gpg-sig\":true" } else { ",\"gpg-sig\":false" });
        }
        match &file.provenance {
            Provenance::Absent => {}
            Provenance::Null => self.raw(",\"provenance\":null"),
            Provenance::Stated(value) => {
                self.raw(",\"provenance\":");
                self.value(value);
            }
        }
        if let Some(extra) = &file.extra {
            self.extra(extra);
        }
        self.raw("}");
    }

    fn hashes(&mut self, hashes: &[(String, String)]) {
        for (number, (name, hex)) in hashes.iter().enumerate() {
            self.comma(number);
            self.text(name);
            self.raw(":");
            self.text(hex);
        }
    }

    fn sha256(&mut self, sha256: &Sha256) {
        self.raw("\"sha256\":\"");
        self.out.extend_from_slice(&sha256.hex_digits());
        self.raw("\"");
    }

    fn core_metadata(&mut self, key: &str, core_metadata: &CoreMetadata) {
        self.raw(key);
        match core_metadata {
            CoreMetadata::Absent | CoreMetadata::No => self.raw("false"),
            CoreMetadata::Yes => self.raw("true"),
            CoreMetadata::Sha256(sha256) => {
                self.raw("{");
                self.sha256(sha256);
                self.raw("}");
            }
            CoreMetadata::Hashes(hashes) => {
                self.raw("{");
                self.hashes(hashes);
                self.raw("}");
            }
        }
    }
}
