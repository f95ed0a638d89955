use super::PageError;
use super::link;
use crate::names::{DistFilename, ProjectName, Sha256};
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;

/// One project's page: everything that its index states about it.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectPage {
    pub name: ProjectName,
    /// What the upstream claims, at most [`ApiVersion::NEWEST`]. What we tell is
    /// [`told_api_version`](Self::told_api_version).
    pub api_version: ApiVersion,
    /// `meta._last-serial`: the upstream's counter of changes.
    pub last_serial: Option<u64>,
    /// Whether the serial came as a JSON string; it leaves in the form in which it came.
    pub last_serial_is_text: bool,
    /// PEP 700: all versions, those without files too.
    pub versions: Option<Vec<String>>,
    /// PEP 792, `{"status": …, "reason": …}` as it came.
    pub project_status: Option<Value>,
    /// Keys of `meta` that have no field here.
    pub meta_extra: Map<String, Value>,
    /// Keys of the page that have no field here.
    pub extra: Map<String, Value>,
    /// In the upstream's order, each file name once.
    pub files: Vec<File>,
    /// Files that were left out because their name or URL could not be used. Known after reading only, never stored.
    pub dropped: usize,
    /// Hashes that were left out because they were no hexadecimal digests. As `dropped`.
    pub bad_hashes: usize,
}

/// One file of a page.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    pub filename: DistFilename,
    /// Where the upstream has it: an absolute http or https URL without user, password and fragment.
    pub url: String,
    pub sha256: Option<Sha256>,
    /// Hashes of other kinds as (name, hex digits), sorted by name.
    pub other_hashes: Box<[(String, String)]>,
    /// Bytes.
    pub size: Option<u64>,
    /// `yyyy-mm-ddThh:mm:ss.ffffffZ` (PEP 700), kept as written.
    pub upload_time: Option<String>,
    pub requires_python: RequiresPython,
    pub yanked: Yanked,
    /// What is announced about `{url}.metadata`.
    pub core_metadata: CoreMetadata,
    pub gpg_sig: Option<bool>,
    pub provenance: Provenance,
    /// Keys that have no field here; `None` where there are none. Boxed, since few have any and a page has 40,000 files.
    pub extra: Option<Box<Map<String, Value>>>,
}

/// PEP 740: an absolute URL, or null, which the public index says of most files.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Provenance {
    #[default]
    Absent,
    Null,
    Stated(Box<Value>),
}

/// A version `1.minor` of the API (PEP 629). Another major version cannot be read, so there is no value for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ApiVersion {
    minor: u32,
}

/// `requires-python`; the public index says null where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RequiresPython {
    #[default]
    Absent,
    Null,
    /// Shared: the files of a release say the same.
    Specifier(Arc<str>),
}

/// PEP 592.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Yanked {
    #[default]
    Absent,
    No,
    Yes,
    Reason(String),
}

/// PEP 658 and 714: whether the file's METADATA can be had beside it, and its hash.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CoreMetadata {
    #[default]
    Absent,
    No,
    Yes,
    Sha256(Sha256),
    /// Any other set of hashes, (name, hex digits) sorted by name, never empty.
    Hashes(Box<[(String, String)]>),
}

impl ProjectPage {
    /// A page that states nothing yet.
    pub fn new(name: ProjectName) -> Self {
        Self {
            name,
            api_version: ApiVersion::default(),
            last_serial: None,
            last_serial_is_text: false,
            versions: None,
            project_status: None,
            meta_extra: Map::new(),
            extra: Map::new(),
            files: Vec::new(),
            dropped: 0,
            bad_hashes: 0,
        }
    }

    /// The version that our own page may claim: a file without `size`, or a page without `versions`, is 1.0 (PEP 700).
    pub fn told_api_version(&self) -> ApiVersion {
        let complete = self.versions.is_some() && self.files_offered().iter().all(|file| file.size.is_some());
        if complete { self.api_version.min(ApiVersion::NEWEST) } else { ApiVersion::OLDEST }
    }

    /// The files that a page of ours lists: none when the project is quarantined (PEP 792).
    pub fn files_offered(&self) -> &[File] {
        if self.status() == Some("quarantined") { &[] } else { &self.files }
    }

    /// The project's status marker, when there is one.
    pub fn status(&self) -> Option<&str> {
        self.project_status.as_ref()?.get("status")?.as_str()
    }

    /// The reason that is given for the status.
    pub fn status_reason(&self) -> Option<&str> {
        self.project_status.as_ref()?.get("reason")?.as_str()
    }
}

impl File {
    /// A file of which nothing more is known. `url` is trusted: absolute, http or https.
    pub fn new(filename: DistFilename, url: String) -> Self {
        Self {
            filename,
            url,
            sha256: None,
            other_hashes: Box::default(),
            size: None,
            upload_time: None,
            requires_python: RequiresPython::Absent,
            yanked: Yanked::Absent,
            core_metadata: CoreMetadata::Absent,
            gpg_sig: None,
            provenance: Provenance::Absent,
            extra: None,
        }
    }

    /// Where an index of ours has the file, relative to the index and not percent-encoded:
    /// `+f/aaa/bbbbbbbbbbbbb/FILENAME` when its sha256 is known, else `+e/DIRECTORY/FILENAME`.
    pub fn path(&self) -> String {
        match &self.sha256 {
            Some(sha256) => format!("+f/{}/{}", sha256.prefix().directories(), self.filename),
            None => format!("+e/{}/{}", self.link_directory(), self.filename),
        }
    }

    /// The path of `url` as it stands there: it starts with `/`, is percent-encoded, and has no query.
    /// Compare it with a request's path after decoding both.
    pub fn upstream_path(&self) -> &str {
        link::path_of(&self.url)
    }

    /// The directory of a file without a known sha256 (devpi's form, see [`link::directory`]).
    pub fn link_directory(&self) -> String {
        link::directory(&self.url)
    }
}

impl ApiVersion {
    pub const OLDEST: Self = Self { minor: 0 };
    /// 1.4 brought the project status; 1.5 (PEP 752) asks for more than keys passed through.
    pub const NEWEST: Self = Self { minor: 4 };

    /// Reads `1.minor`, or `1` alone.
    ///
    /// # Errors
    ///
    /// Anything that is not major version 1, as PEP 629 demands.
    pub fn parse(said: &str) -> Result<Self, PageError> {
        let (major, minor) = said.trim().split_once('.').unwrap_or((said.trim(), "0"));
        let minor = if minor.bytes().all(|byte| byte.is_ascii_digit()) { minor.parse().ok() } else { None };
        match (major, minor) {
            ("1", Some(minor)) => Ok(Self { minor }),
            _ => Err(PageError::ApiVersion(said.chars().take(40).collect())),
        }
    }

    pub fn minor(self) -> u32 {
        self.minor
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.minor)
    }
}

impl RequiresPython {
    /// The specifier, when there is one that says something.
    pub fn specifier(&self) -> Option<&str> {
        match self {
            Self::Absent | Self::Null => None,
            Self::Specifier(text) => Some(text),
        }
    }
}

impl From<Value> for Provenance {
    fn from(value: Value) -> Self {
        if value.is_null() { Self::Null } else { Self::Stated(Box::new(value)) }
    }
}

impl Provenance {
    /// The URL, when one is stated.
    pub fn url(&self) -> Option<&str> {
        if let Self::Stated(value) = self { value.as_str() } else { None }
    }
}

impl Yanked {
    pub fn is_yanked(&self) -> bool {
        matches!(self, Self::Yes | Self::Reason(_))
    }
}

impl CoreMetadata {
    /// Whether `{url}.metadata` is promised.
    pub fn is_offered(&self) -> bool {
        !matches!(self, Self::Absent | Self::No)
    }

    /// The promised digest of `{url}.metadata`, alone or among others.
    pub fn sha256(&self) -> Option<Sha256> {
        match self {
            Self::Sha256(sha256) => Some(*sha256),
            Self::Hashes(hashes) => {
                hashes.iter().find(|(name, _)| name == "sha256").and_then(|(_, hex)| Sha256::from_hex(hex).ok())
            }
            Self::Absent | Self::No | Self::Yes => None,
        }
    }
}
