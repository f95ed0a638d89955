use super::json::Meta;
use super::render::{Json, escape, write_html_meta};
use super::{ApiVersion, PageError, list_html, list_json};
use crate::names::ProjectName;
use serde_json::{Map, Value};
use std::cell::Cell;
use std::io::{self, BufWriter, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most bytes that are read before the next project's entry is complete. A real entry has about 40; the bound keeps
/// one endless entry out of memory.
pub(super) const ENTRY_BYTES_MAX: usize = 1024 * 1024;

/// Reads the list of all projects (tens of MB) and writes it in both forms at once, holding one entry at a time.
///
/// Names leave as the upstream wrote them; unknown keys survive into the JSON form. What was written is of use only
/// after success: discard it on any error.
pub struct ListTranscoder<J: Write, H: Write> {
    json: Counted<J>,
    html: Counted<H>,
    scratch: Vec<u8>,
    projects: usize,
    dropped: usize,
    /// Where those who wait see how many have come.
    seen: Option<Arc<AtomicU64>>,
}

/// What a list held, and what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListSummary {
    pub projects: usize,
    pub last_serial: Option<u64>,
    pub json_bytes: u64,
    pub html_bytes: u64,
    /// Entries without a valid project name.
    pub dropped: usize,
}

impl<J: Write, H: Write> ListTranscoder<J, H> {
    /// Writes are gathered into larger ones here.
    pub fn new(json: J, html: H) -> Self {
        Self {
            json: Counted::new(json),
            html: Counted::new(html),
            scratch: Vec::new(),
            projects: 0,
            dropped: 0,
            seen: None,
        }
    }

    /// Lets others see how many projects have come while it reads.
    pub fn counted_by(self, seen: Arc<AtomicU64>) -> Self {
        Self { seen: Some(seen), ..self }
    }

    /// Reads a JSON list (PEP 691).
    ///
    /// # Errors
    ///
    /// Input or output fails, the list is not of that form or version, an entry is too long, or there is no project.
    pub fn read_json(mut self, input: impl Read) -> Result<ListSummary, PageError> {
        self.begin().map_err(PageError::Write)?;
        let (meta, extra) = list_json::read(&mut self, input)?;
        self.finish(&meta, &extra)
    }

    /// Reads an HTML list (PEP 503): every link whose last path segment is a project's name counts.
    ///
    /// # Errors
    ///
    /// As [`read_json`](Self::read_json). HTML that is no list at all is told only by its having no such link.
    pub fn read_html(mut self, input: impl Read) -> Result<ListSummary, PageError> {
        self.begin().map_err(PageError::Write)?;
        list_html::read(&mut self, input)?;
        self.finish(&Meta::default(), &Map::new())
    }

    /// `meta` may come after the projects, so ours always does, and the HTML form claims only the oldest version,
    /// which a list of names fulfils whatever else is true.
    fn begin(&mut self) -> io::Result<()> {
        self.json.write_all(b"{\"projects\":[")?;
        self.scratch.clear();
        self.scratch.extend_from_slice(b"<!DOCTYPE html>\n<html>\n<head>\n");
        write_html_meta(&mut self.scratch, "pypi:repository-version", &ApiVersion::OLDEST.to_string());
        self.scratch.extend_from_slice(b"<title>Simple index</title>\n</head>\n<body>\n");
        self.html.write_all(&self.scratch)
    }

    /// Writes one project, or counts it as dropped when it has no valid name.
    pub(super) fn project(&mut self, raw: Option<&str>, extra: &Map<String, Value>) -> Result<(), PageError> {
        let Some((raw, name)) = raw.and_then(|raw| Some((raw, ProjectName::parse(raw).ok()?))) else {
            self.dropped += 1;
            return Ok(());
        };
        self.write_project(raw, &name, extra).map_err(PageError::Write)
    }

    fn write_project(&mut self, raw: &str, name: &ProjectName, extra: &Map<String, Value>) -> io::Result<()> {
        self.scratch.clear();
        let mut json = Json { out: std::mem::take(&mut self.scratch), stored: false };
        json.comma(self.projects);
        json.raw("{\"name\":");
        json.text(raw);
        json.extra(extra);
        json.raw("}");
        self.scratch = json.out;
        self.json.write_all(&self.scratch)?;

        self.scratch.clear();
        self.scratch.extend_from_slice(b"<a href=\"");
        self.scratch.extend_from_slice(name.as_str().as_bytes());
        self.scratch.extend_from_slice(b"/\">");
        escape(&mut self.scratch, raw);
        self.scratch.extend_from_slice(b"</a><br>\n");
        self.html.write_all(&self.scratch)?;
        self.projects += 1;
        if let Some(seen) = &self.seen {
            seen.store(self.projects as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    fn finish(mut self, meta: &Meta, extra: &Map<String, Value>) -> Result<ListSummary, PageError> {
        if self.projects == 0 {
            return Err(PageError::EmptyList);
        }
        let mut json = Json { out: Vec::new(), stored: false };
        json.raw("],\"meta\":");
        json.meta(meta.last_serial, meta.last_serial_is_text, meta.api_version, &meta.extra);
        json.extra(extra);
        json.raw("}");
        let mut write = || -> io::Result<()> {
            self.json.write_all(&json.out)?;
            self.html.write_all(b"</body>\n</html>\n")?;
            self.json.inner.flush()?;
            self.html.inner.flush()
        };
        write().map_err(PageError::Write)?;
        Ok(ListSummary {
            projects: self.projects,
            last_serial: meta.last_serial,
            json_bytes: self.json.bytes,
            html_bytes: self.html.bytes,
            dropped: self.dropped,
        })
    }
}

struct Counted<W: Write> {
    inner: BufWriter<W>,
    bytes: u64,
}

impl<W: Write> Counted<W> {
    fn new(inner: W) -> Self {
        Self { inner: BufWriter::with_capacity(OUTPUT_BYTES, inner), bytes: 0 }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        self.inner.write_all(bytes)
    }
}

/// Bytes gathered before each write: a compressor or a file wants larger pieces than one entry.
const OUTPUT_BYTES: usize = 64 * 1024;

/// The input, which fails once [`ENTRY_BYTES_MAX`] bytes have come since `spent` was last set to 0.
pub(super) struct Guard<'a, R> {
    pub(super) input: R,
    pub(super) spent: &'a Cell<usize>,
}

impl<R: Read> Read for Guard<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.spent.get() > ENTRY_BYTES_MAX {
            return Err(io::Error::other("an entry of the list is too long"));
        }
        loop {
            match self.input.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(count) => {
                    self.spent.set(self.spent.get().saturating_add(count));
                    return Ok(count);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests;
