use crate::cache::DiskError;
use crate::simple::MetadataError;
use std::error::Error;
use std::fmt::{self, Write};

/// Why an upload was not taken. Nothing of it is kept.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The upload itself is wrong; the same bytes will never be taken.
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("{what} has more than {limit} bytes")]
    TooLarge { what: &'static str, limit: u64 },
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The client went away, or what carries the body failed.
    #[error("the body broke off: {0}")]
    Body(#[source] Box<dyn Error + Send + Sync>),
}

/// What is wrong with an upload. Where devpi has a sentence it is devpi's: people and scripts know them.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("an upload is a form: send multipart/form-data with a boundary")]
    NotAForm,
    #[error("the form ends before its last boundary, or a part of it cannot be read")]
    BrokenForm,
    #[error("the form has more than {limit} parts")]
    TooManyParts { limit: usize },
    #[error("a part of the form has no name")]
    NamelessPart,
    #[error("the field {} is not UTF-8 text", Quoted(.field))]
    NotText { field: String },
    #[error("the form has too many content files; upload {limit} at a time")]
    TwoContents { limit: usize },

    #[error(":action field not found")]
    NoAction,
    #[error("action {} not supported", Quoted(.0))]
    UnknownAction(String),
    #[error("content file field not found")]
    NoContent,
    #[error("invalid metadata: Missing required field \"{0}\"")]
    MissingField(&'static str),
    #[error("invalid metadata: {0}")]
    ProjectName(#[from] crate::names::NameError),
    #[error("invalid metadata: Invalid package name or version (URL safety)")]
    Version,

    #[error("{} is not a valid archive name", Quoted(.0))]
    ArchiveName(String),
    #[error("{} is not the name of a wheel: {why}", Quoted(.filename))]
    WheelName { filename: String, why: &'static str },
    #[error("filename {} does not match project name {}", Quoted(.filename), Quoted(.project))]
    WrongProject { filename: String, project: String },
    #[error("filename {} does not contain version {}", Quoted(.filename), Quoted(.version))]
    WrongVersion { filename: String, version: String },

    #[error("the {field} {} of {} is not that of the bytes that arrived", Quoted(.given), Quoted(.filename))]
    WrongDigest { field: &'static str, given: String, filename: String },

    /// It came without a form that says it.
    #[error("{} does not say itself, in a way that is read here, which project and version it is; upload it with a tool that does, such as twine", Quoted(.filename))]
    Silent { filename: String },
    #[error("{} cannot be read: {why}", Quoted(.filename))]
    BrokenArchive { filename: String, why: &'static str },
    #[error("{} is refused: {why}", Quoted(.filename))]
    UnsafeArchive { filename: String, why: &'static str },
    #[error("the metadata in {} cannot be read: {why}", Quoted(.filename))]
    BadMetadata { filename: String, why: MetadataError },
    #[error("the metadata in {} says {field} {}, the form says {}", Quoted(.filename), Quoted(.inside), Quoted(.form))]
    Disagrees { filename: String, field: &'static str, inside: String, form: String },

    #[error("the attestations are not a JSON array of objects")]
    Attestations,
    #[error("the documentation is not a zip archive that can be read: {0}")]
    Docs(&'static str),
    #[error("Bad request: could not decode json")]
    ToxResult,
}

/// Most characters of a client's word that are told back to it: a sentence stays a line.
const QUOTED_CHARS_MAX: usize = 200;

/// A word as devpi prints it, in Python's quotes, on one line whatever it holds.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quote = if self.0.contains('\'') && !self.0.contains('"') { '"' } else { '\'' };
        f.write_char(quote)?;
        for (at, letter) in self.0.chars().enumerate() {
            match letter {
                _ if at == QUOTED_CHARS_MAX => {
                    f.write_char('…')?;
                    break;
                }
                '\\' => f.write_str("\\\\")?,
                letter if letter == quote => write!(f, "\\{letter}")?,
                letter if letter.is_ascii_graphic() || letter == ' ' || letter.is_alphanumeric() => {
                    f.write_char(letter)?;
                }
                letter => write!(f, "{}", letter.escape_default())?,
            }
        }
        f.write_char(quote)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_as_python_does() {
        for (raw, quoted) in [
            ("a", "'a'"),
            ("it's", "\"it's\""),
            ("a'\"", "'a\\'\"'"),
            ("a\r\nb", "'a\\r\\nb'"),
            ("\\", "'\\\\'"),
            ("é\u{202e}", "'é\\u{202e}'"),
        ] {
            assert_eq!(Quoted(raw).to_string(), quoted);
        }
        assert_eq!(Quoted(&"x".repeat(500)).to_string().chars().count(), QUOTED_CHARS_MAX + 3);
    }

    #[test]
    fn sentences_are_devpis() {
        let refusal = Refusal::WrongVersion { filename: "a-2.zip".into(), version: "1".into() };
        assert_eq!(refusal.to_string(), "filename 'a-2.zip' does not contain version '1'");
        let refusal = Refusal::WrongProject { filename: "a-2.zip".into(), project: "b".into() };
        assert_eq!(refusal.to_string(), "filename 'a-2.zip' does not match project name 'b'");
        assert_eq!(Refusal::UnknownAction("x".into()).to_string(), "action 'x' not supported");
        assert_eq!(Refusal::ArchiveName("x.txt".into()).to_string(), "'x.txt' is not a valid archive name");
    }
}
