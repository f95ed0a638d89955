use super::link::path_of;
use super::list::{ENTRY_BYTES_MAX, Guard, ListTranscoder};
use super::tags::{Attributes, Sink, Tag, read_tags};
use super::{ApiVersion, PageError};
use crate::names::ProjectName;
use html5gum::IoReader;
use percent_encoding::percent_decode_str;
use serde_json::Map;
use std::borrow::Cow;
use std::cell::Cell;
use std::io::{Read, Write};

/// Most text of a link that is looked at, in bytes: more than any project's name with blanks around it.
const LINK_TEXT_BYTES_MAX: usize = 400;

/// Reads a list, handing each project to `output` as it comes.
pub(super) fn read<J: Write, H: Write>(output: &mut ListTranscoder<J, H>, input: impl Read) -> Result<(), PageError> {
    let spent = Cell::new(0);
    let mut sink = ListSink { output, spent: &spent, link: None, text: Vec::new() };
    let input = IoReader::new(Guard { input, spent: &spent });
    read_tags(input, &mut sink, |error| {
        if spent.get() > ENTRY_BYTES_MAX { PageError::EntryTooLong } else { PageError::Read(error) }
    })?;
    sink.end_link()
}

struct ListSink<'a, J: Write, H: Write> {
    output: &'a mut ListTranscoder<J, H>,
    spent: &'a Cell<usize>,
    /// The project that the open link leads to, if it is one.
    link: Option<Option<String>>,
    text: Vec<u8>,
}

impl<J: Write, H: Write> Sink for ListSink<'_, J, H> {
    fn open(&mut self, tag: Tag, attributes: &Attributes) -> Result<(), PageError> {
        match tag {
            Tag::A => {
                self.end_link()?;
                if let Some(href) = attributes.get("href") {
                    self.link = Some(segment(href.trim()).map(Cow::into_owned));
                    self.text.clear();
                }
                Ok(())
            }
            Tag::Meta if attributes.get("name") == Some("pypi:repository-version") => {
                ApiVersion::parse(attributes.get("content").unwrap_or_default()).map(drop)
            }
            _ => Ok(()),
        }
    }

    fn text(&mut self, text: &[u8]) {
        let room = LINK_TEXT_BYTES_MAX.saturating_sub(self.text.len());
        if self.link.is_some() {
            self.text.extend(text.iter().take(room));
        }
    }

    fn close(&mut self, tag: Tag) -> Result<(), PageError> {
        if tag == Tag::A { self.end_link() } else { Ok(()) }
    }
}

impl<J: Write, H: Write> ListSink<'_, J, H> {
    /// The link's text is the name as its owner writes it, provided that it names the project the link leads to;
    /// directory listings shorten it or add a slash.
    fn end_link(&mut self) -> Result<(), PageError> {
        let Some(segment) = self.link.take() else { return Ok(()) };
        let text = String::from_utf8_lossy(&self.text);
        let text = text.trim();
        let name = segment.as_deref().and_then(|segment| {
            let leads_to = ProjectName::parse(segment).ok()?;
            Some(if ProjectName::parse(text) == Ok(leads_to) { text } else { segment })
        });
        self.output.project(name, &Map::new())?;
        self.spent.set(0);
        Ok(())
    }
}

/// The last segment of a link's path, decoded.
fn segment(href: &str) -> Option<Cow<'_, str>> {
    let href = href.split(['#', '?']).next()?;
    let path = if href.contains("://") {
        path_of(href)
    } else if let Some(elsewhere) = href.strip_prefix("//") {
        elsewhere.split_once('/')?.1
    } else {
        href
    };
    let path = path.strip_suffix('/').unwrap_or(path);
    percent_decode_str(path.rsplit('/').next()?).decode_utf8().ok()
}
