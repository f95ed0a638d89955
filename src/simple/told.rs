use super::{ApiVersion, File, ProjectPage};
use crate::names::{IndexName, ProjectName};
use serde_json::{Map, Value};

/// A page as it is told: the page of one index, or what was merged from several. Borrows everything, so that nothing
/// of a large page is copied for a merge.
#[derive(Debug, Clone)]
pub struct Told<'a> {
    pub name: &'a ProjectName,
    /// What the page may claim.
    pub api_version: ApiVersion,
    /// `meta._last-serial`, and whether it came as text.
    pub last_serial: Option<(u64, bool)>,
    pub versions: Option<&'a [String]>,
    pub project_status: Option<&'a Value>,
    /// Keys of `meta` that have no field here.
    pub meta_extra: Option<&'a Map<String, Value>>,
    /// Keys of the page that have no field here.
    pub extra: Option<&'a Map<String, Value>>,
    pub files: ToldFiles<'a>,
}

#[derive(Debug, Clone)]
pub enum ToldFiles<'a> {
    /// All lie at the index whose page this is.
    Here(&'a [File]),
    /// Each with the index that has it, when it is not the one whose page this is.
    Placed(Vec<(&'a File, Option<&'a IndexName>)>),
}

impl<'a> From<&'a ProjectPage> for Told<'a> {
    fn from(page: &'a ProjectPage) -> Self {
        Self {
            api_version: page.told_api_version(),
            files: ToldFiles::Here(page.files_offered()),
            ..Self::stored(page)
        }
    }
}

impl<'a> Told<'a> {
    /// A page that states nothing yet.
    pub fn new(name: &'a ProjectName) -> Self {
        Self {
            name,
            api_version: ApiVersion::OLDEST,
            last_serial: None,
            versions: None,
            project_status: None,
            meta_extra: None,
            extra: None,
            files: ToldFiles::Here(&[]),
        }
    }

    /// Everything that is kept about a page, whether it is told or not.
    pub(super) fn stored(page: &'a ProjectPage) -> Self {
        Self {
            name: &page.name,
            api_version: page.api_version,
            last_serial: page.last_serial.map(|serial| (serial, page.last_serial_is_text)),
            versions: page.versions.as_deref(),
            project_status: page.project_status.as_ref(),
            meta_extra: Some(&page.meta_extra),
            extra: Some(&page.extra),
            files: ToldFiles::Here(&page.files),
        }
    }

    /// The project's status marker, when there is one.
    pub fn status(&self) -> Option<&'a str> {
        self.project_status?.get("status")?.as_str()
    }

    /// The reason that is given for the status.
    pub fn status_reason(&self) -> Option<&'a str> {
        self.project_status?.get("reason")?.as_str()
    }
}

impl<'a> ToldFiles<'a> {
    pub fn len(&self) -> usize {
        match self {
            Self::Here(files) => files.len(),
            Self::Placed(files) => files.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The files in order, each with the index that has it when it is another one.
    pub fn iter(&self) -> impl Iterator<Item = (&'a File, Option<&'a IndexName>)> {
        let (here, placed): (&'a [File], &[_]) = match self {
            Self::Here(files) => (files, &[]),
            Self::Placed(files) => (&[], files),
        };
        here.iter().map(|file| (file, None)).chain(placed.iter().copied())
    }
}
