use super::pace::{BodyError, Pace, Paced};
use super::writing::Writing;
use super::{Refusal, UploadError};
use crate::cache::{Disk, Spool};
use crate::names::Sha256;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Most parts of a form: a project with three hundred dependencies and classifiers exists, one with a thousand does not.
pub const PARTS_MAX: usize = 1024;

/// Largest field, in bytes: a description with pictures in it has more than one mebibyte.
pub const FIELD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most bytes of all names and fields together: they are in memory until the upload is checked.
pub const FIELDS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most bytes that may follow the last boundary.
const EPILOGUE_BYTES_MAX: usize = 64 * 1024;

/// Longest boundary, in bytes (RFC 2046 §5.1.1 has 70).
const BOUNDARY_BYTES_MAX: usize = 200;

/// What the house allows an upload.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of all files of a form together.
    pub content_bytes_max: u64,
    /// Files in one form. Tools send one.
    pub contents_max: usize,
}

/// A form as it was sent: its fields in their order, and the file if there was one.
#[derive(Debug, Default)]
pub struct Form {
    fields: Vec<(String, String)>,
    pub content: Option<Content>,
    /// Files after the first, where the house takes several.
    pub more: Vec<Content>,
}

/// The file of a form, in a temporary file that is removed when this is dropped.
pub struct Content {
    /// As the client wrote it: not yet a name that may be used.
    pub filename: String,
    pub spool: Spool,
    pub sha256: Sha256,
    pub size: u64,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("filename", &self.filename).field("size", &self.size).finish_non_exhaustive()
    }
}

impl Form {
    /// A form of these fields, without a file.
    pub fn new(fields: Vec<(String, String)>) -> Self {
        Self { fields, content: None, more: Vec::new() }
    }

    /// The field's value; of a repeated one the last, as devpi takes it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().rev().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// All values of a repeated field, in their order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

/// Reads a form whole: multipart as upload tools send it, or URL-encoded as `:action=submit` may come. The content
/// goes to a temporary file of `disk` while it arrives.
pub async fn receive<S, E>(body: S, content_type: &str, disk: &Arc<Disk>, limits: Limits) -> Result<Form, UploadError>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Error + Send + Sync + 'static,
{
    let (mut body, pace) = Paced::new(body);
    if media_type(content_type).eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return url_encoded(&mut body, &pace).await;
    }
    let boundary = match multer::parse_boundary(content_type) {
        Ok(boundary) if (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len()) => boundary,
        _ => return Err(Refusal::NotAForm.into()),
    };
    let form = multipart(&mut body, boundary, &pace, disk, limits).await?;
    drain(&mut body, &pace).await?;
    Ok(form)
}

fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim_ascii()
}

async fn multipart<S, E>(
    body: &mut Paced<S>,
    boundary: String,
    pace: &Pace,
    disk: &Arc<Disk>,
    limits: Limits,
) -> Result<Form, UploadError>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Error + Send + Sync + 'static,
{
    let mut parts = multer::Multipart::new(body, boundary);
    let mut fields = Fields::default();
    let mut contents: Vec<Content> = Vec::new();
    loop {
        pace.step();
        let Some(mut part) = parts.next_field().await.map_err(from_multer)? else { break };
        let name = part.name().ok_or(Refusal::NamelessPart)?.to_owned();
        let filename = part.file_name().map(ToOwned::to_owned);
        fields.begin(&name)?;
        match filename {
            Some(filename) if name == "content" => {
                if contents.len() >= limits.contents_max {
                    return Err(Refusal::TwoContents { limit: limits.contents_max }.into());
                }
                let before: u64 = contents.iter().map(|content| content.size).sum();
                let mut writing = Writing::new(disk, limits.content_bytes_max.saturating_sub(before));
                while let Some(piece) = next_piece(&mut part, pace).await? {
                    writing.write(&piece).await?;
                }
                contents.push(writing.finish(filename).await?);
            }
            // A detached signature, or a file that nobody asked for: read past.
            Some(_) => {
                let mut len = 0;
                while let Some(piece) = next_piece(&mut part, pace).await? {
                    len += piece.len();
                    fields.count(len, piece.len())?;
                }
            }
            None => {
                let mut value = Vec::new();
                while let Some(piece) = next_piece(&mut part, pace).await? {
                    fields.count(value.len() + piece.len(), piece.len())?;
                    value.extend_from_slice(&piece);
                }
                fields.end(name, value)?;
            }
        }
    }
    let mut contents = contents.into_iter();
    Ok(Form { fields: fields.fields, content: contents.next(), more: contents.collect() })
}

async fn next_piece(part: &mut multer::Field<'_>, pace: &Pace) -> Result<Option<Bytes>, UploadError> {
    pace.step();
    part.chunk().await.map_err(from_multer)
}

async fn url_encoded<S, E>(body: &mut Paced<S>, pace: &Pace) -> Result<Form, UploadError>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Error + Send + Sync + 'static,
{
    let mut bytes = Vec::new();
    while let Some(piece) = next_of_body(body, pace).await? {
        if bytes.len() + piece.len() > FIELDS_BYTES_MAX {
            return Err(UploadError::TooLarge { what: "the form", limit: FIELDS_BYTES_MAX as u64 });
        }
        bytes.extend_from_slice(&piece);
    }
    let mut fields = Fields::default();
    for (name, value) in url::form_urlencoded::parse(&bytes) {
        fields.begin(&name)?;
        fields.count(value.len(), value.len())?;
        fields.end(name.into_owned(), value.into_owned().into_bytes())?;
    }
    Ok(Form::new(fields.fields))
}

/// Reads what follows the last boundary, so that a body that breaks off there is seen to.
async fn drain<S, E>(body: &mut Paced<S>, pace: &Pace) -> Result<(), UploadError>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Error + Send + Sync + 'static,
{
    let mut len = 0;
    while let Some(piece) = next_of_body(body, pace).await? {
        len += piece.len();
        if len > EPILOGUE_BYTES_MAX {
            return Err(Refusal::BrokenForm.into());
        }
    }
    Ok(())
}

async fn next_of_body<S, E>(body: &mut Paced<S>, pace: &Pace) -> Result<Option<Bytes>, UploadError>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Error + Send + Sync + 'static,
{
    pace.step();
    body.next().await.transpose().map_err(from_body)
}

/// Fields as they arrive, counted.
#[derive(Default)]
struct Fields {
    fields: Vec<(String, String)>,
    parts: usize,
    bytes: usize,
}

impl Fields {
    fn begin(&mut self, name: &str) -> Result<(), UploadError> {
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return Err(Refusal::TooManyParts { limit: PARTS_MAX }.into());
        }
        self.count(0, name.len())
    }

    /// Counts `more` bytes of a field that has `len` by now.
    fn count(&mut self, len: usize, more: usize) -> Result<(), UploadError> {
        self.bytes += more;
        if len > FIELD_BYTES_MAX {
            Err(UploadError::TooLarge { what: "a field of the form", limit: FIELD_BYTES_MAX as u64 })
        } else if self.bytes > FIELDS_BYTES_MAX {
            Err(UploadError::TooLarge { what: "the form", limit: FIELDS_BYTES_MAX as u64 })
        } else {
            Ok(())
        }
    }

    fn end(&mut self, name: String, value: Vec<u8>) -> Result<(), UploadError> {
        let Ok(value) = String::from_utf8(value) else { return Err(Refusal::NotText { field: name }.into()) };
        self.fields.push((name, value));
        Ok(())
    }
}

fn from_multer(error: multer::Error) -> UploadError {
    match error {
        multer::Error::StreamReadFailed(error) => match error.downcast::<BodyError>() {
            Ok(error) => from_body(*error),
            Err(error) => UploadError::Body(error),
        },
        _ => Refusal::BrokenForm.into(),
    }
}

fn from_body(error: BodyError) -> UploadError {
    match error {
        BodyError::EndlessHead => Refusal::BrokenForm.into(),
        BodyError::Client(error) => UploadError::Body(error),
    }
}
