use super::check::{inside, is_short_line};
use super::{Form, Refusal, UploadError, filename, versiondata};
use crate::names::{DistFilename, ProjectName};
use crate::simple::{MetadataError, MetadataFile};
use bytes::Bytes;
use serde_json::{Map, Value};
use std::fs::File;

/// What a wheel or an sdist that lies on a disk says of itself.
pub struct Archive {
    pub project: ProjectName,
    /// As its metadata spells it, or else its name.
    pub version: String,
    /// A wheel's METADATA.
    pub metadata: Option<Bytes>,
    pub requires_python: Option<String>,
    /// What an upload of it would say of the release.
    pub versiondata: Map<String, Value>,
}

/// Keys of core metadata whose fields in a form have other names than theirs in small letters.
const FIELDS: [(&str, &str); 2] = [("classifier", "classifiers"), ("project_url", "project_urls")];

/// Reads an archive as an upload is read, with its metadata in the place of the form. Blocks.
///
/// # Errors
///
/// It is none, it is unsafe, or its name and its metadata do not agree.
pub fn read_archive(file: &File, size: u64, name: &DistFilename) -> Result<Archive, UploadError> {
    let inside = inside(file, size, name)?;
    let Some(core) = inside.core else {
        // Packed in a way that is not read here: its name says what it is.
        let said = name.projects().into_iter().find_map(|project| Some((name.version_text(&project)?, project)));
        let (version, project) = said.ok_or_else(|| Refusal::ArchiveName(name.to_string()))?;
        filename::check(name.as_str(), &project, project.as_str(), &version)?;
        let form = Form::new(vec![("name".to_owned(), project.to_string()), ("version".to_owned(), version.clone())]);
        let versiondata = versiondata::whole(&form);
        return Ok(Archive { project, version, metadata: None, requires_python: None, versiondata });
    };
    let (mut archive, form) = told(core, inside.metadata, name)?;
    archive.versiondata = versiondata::whole(&form);
    Ok(archive)
}

/// The same of an archive that has to say itself what it is; `versiondata` is what a tool's form would have said.
pub(super) fn read_bare(file: &File, size: u64, name: &DistFilename) -> Result<Archive, UploadError> {
    let inside = inside(file, size, name)?;
    let core = inside.core.ok_or_else(|| Refusal::Silent { filename: name.to_string() })?;
    let (mut archive, form) = told(core, inside.metadata, name)?;
    archive.versiondata = versiondata::of(&form);
    Ok(archive)
}

/// What core metadata tells of an archive of this name, and the form that a tool would have made of it.
fn told(core: MetadataFile, metadata: Option<Bytes>, name: &DistFilename) -> Result<(Archive, Form), UploadError> {
    let project = ProjectName::parse(&core.name).map_err(Refusal::from)?;
    let version = filename::version(&core.version)?.to_owned();
    filename::check(name.as_str(), &project, &core.name, &version)?;
    if core.requires_python.as_deref().is_some_and(|spec| !is_short_line(spec)) {
        let why = MetadataError::RequiresPython;
        return Err(Refusal::BadMetadata { filename: name.to_string(), why }.into());
    }
    let field = |(name, value): &(String, String)| {
        let key = name.to_ascii_lowercase().replace('-', "_");
        let key = FIELDS.iter().find(|(from, _)| *from == key).map_or(key, |(_, to)| (*to).to_owned());
        (key, value.clone())
    };
    let mut fields: Vec<_> = core.fields.iter().map(field).filter(|(key, _)| key != "description").collect();
    fields.extend(core.description.map(|text| ("description".to_owned(), text)));
    let requires_python = core.requires_python;
    Ok((Archive { project, version, metadata, requires_python, versiondata: Map::new() }, Form::new(fields)))
}
