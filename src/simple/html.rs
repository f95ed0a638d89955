use super::draft::{Draft, Files, is_other_page};
use super::hashes::{Hashes, is_hash_name};
use super::link::Links;
use super::tags::{Attributes, Sink, Tag, read_tags};
use super::{ApiVersion, CoreMetadata, PageError, ProjectPage, Provenance, RequiresPython, TEXT_BYTES_MAX, Yanked};
use crate::names::ProjectName;
use serde_json::{Map, Value};
use url::Url;

/// Most text of a heading that is looked at, in bytes.
const HEADING_BYTES_MAX: usize = 1024;

/// Reads a project's HTML page (PEP 503 and its successors). `page_url` is where it came from, after redirects.
///
/// Links to other pages are passed over; a file that cannot be used is left out and counted. HTML states no size and
/// no list of versions, so the page is of version 1.0. HTML cannot say whose page it is: the name is `asked`.
///
/// # Errors
///
/// Another major version, a limit, or [`PageError::NotAPage`]: neither a file nor a sign that this is a simple index
/// (the version's meta tag, or "Links for" in title or heading). An empty body has no such sign.
pub fn parse_html(body: &[u8], page_url: &Url, asked: &ProjectName) -> Result<ProjectPage, PageError> {
    let mut sink = PageSink {
        files: Files::new(Links::new(Some(page_url.clone()))),
        has_base: false,
        has_marker: false,
        heading: None,
        status: Map::new(),
    };
    read_tags(body, &mut sink, |never| match never {})?;
    if sink.files.files.is_empty() && !sink.has_marker {
        return Err(PageError::NotAPage);
    }
    let mut page = ProjectPage::new(asked.clone());
    page.project_status = sink.status.contains_key("status").then_some(Value::Object(sink.status));
    page.files = sink.files.files;
    page.dropped = sink.files.dropped;
    page.bad_hashes = sink.files.bad_hashes;
    Ok(page)
}

struct PageSink {
    files: Files,
    has_base: bool,
    has_marker: bool,
    /// The text of the title or heading that is being read.
    heading: Option<Vec<u8>>,
    status: Map<String, Value>,
}

impl Sink for PageSink {
    fn open(&mut self, tag: Tag, attributes: &Attributes) -> Result<(), PageError> {
        match tag {
            Tag::A => match attributes.get("href") {
                Some(href) if !is_other_page(href.trim()) => self.files.add(draft(href.trim(), attributes)),
                _ => Ok(()),
            },
            Tag::Base => {
                if let (false, Some(href)) = (self.has_base, attributes.get("href")) {
                    self.has_base = true;
                    self.files.links.rebase(href);
                }
                Ok(())
            }
            Tag::Meta => self.meta(attributes),
            Tag::Title | Tag::H1 => {
                self.heading = Some(Vec::new());
                Ok(())
            }
            Tag::Other => Ok(()),
        }
    }

    fn text(&mut self, text: &[u8]) {
        if let Some(heading) = &mut self.heading {
            let room = HEADING_BYTES_MAX.saturating_sub(heading.len());
            heading.extend(text.iter().take(room));
        }
    }

    fn close(&mut self, tag: Tag) -> Result<(), PageError> {
        if matches!(tag, Tag::Title | Tag::H1)
            && let Some(heading) = self.heading.take()
        {
            self.has_marker |= String::from_utf8_lossy(&heading).to_ascii_lowercase().contains("links for");
        }
        Ok(())
    }
}

impl PageSink {
    fn meta(&mut self, attributes: &Attributes) -> Result<(), PageError> {
        let (Some(name), Some(content)) = (attributes.get("name"), attributes.get("content")) else {
            return Ok(());
        };
        let key = match name {
            "pypi:repository-version" => {
                ApiVersion::parse(content)?;
                self.has_marker = true;
                return Ok(());
            }
            "pypi:project-status" => "status",
            "pypi:project-status-reason" => "reason",
            _ => return Ok(()),
        };
        if content.len() > TEXT_BYTES_MAX {
            return Err(PageError::TooLong("project-status"));
        }
        self.status.insert(key.to_owned(), Value::String(content.to_owned()));
        Ok(())
    }
}

fn draft<'a>(href: &'a str, attributes: &Attributes) -> Draft<'a> {
    let text = |name: &str| attributes.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
    let mut hashes = Hashes::default();
    let (url, fragment) = href.split_once('#').unwrap_or((href, ""));
    for (name, hex) in fragment.split('&').filter_map(|part| part.split_once('=')) {
        if is_hash_name(name) {
            hashes.add(name, hex);
        }
    }
    let promise = attributes.get("data-core-metadata").or_else(|| attributes.get("data-dist-info-metadata"));
    let core_metadata = promise.map_or(CoreMetadata::Absent, |promise| core_metadata(promise, &mut hashes.bad));
    Draft {
        filename: None,
        url: Some(url.into()),
        hashes,
        size: attributes.get("data-size").and_then(|size| size.parse().ok()),
        upload_time: text("data-upload-time"),
        requires_python: text("data-requires-python")
            .map_or(RequiresPython::Absent, |said| RequiresPython::Specifier(said.into())),
        yanked: match attributes.get("data-yanked") {
            None => Yanked::Absent,
            Some("") => Yanked::Yes,
            Some(reason) => Yanked::Reason(reason.to_owned()),
        },
        core_metadata,
        old_core_metadata: CoreMetadata::Absent,
        gpg_sig: match attributes.get("data-gpg-sig") {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        },
        provenance: text("data-provenance").map(Value::String).map_or(Provenance::Absent, Provenance::from),
        extra: None,
    }
}

/// `true`, or `name=hex`; the latter promises the file even when the hash is of no use.
fn core_metadata(promise: &str, bad: &mut usize) -> CoreMetadata {
    match promise.split_once('=') {
        None if promise == "false" => CoreMetadata::No,
        None => CoreMetadata::Yes,
        Some((name, hex)) => {
            let mut hashes = Hashes::default();
            hashes.add(name, hex);
            *bad += hashes.bad;
            hashes.into_core_metadata()
        }
    }
}
