use super::archive::read_bare;
use super::digests::Stated;
use super::zips::{Fault, Zip};
use super::{Content, Form, Refusal, UploadError, filename, sdist, versiondata};
use crate::cache::{DiskError, Spool};
use crate::index::wheel::{self, WheelError};
use crate::index::{NewDocs, NewFile, NewRelease};
use crate::names::{DistFilename, DistKind, ProjectName, Sha256};
use crate::simple::{MetadataError, MetadataFile, one_line};
use bytes::Bytes;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{self, Seek};

/// Largest field of attestations, in bytes: one has some ten kilobytes.
const ATTESTATIONS_BYTES_MAX: usize = 1024 * 1024;

/// Most attestations of a file: tools send one or two.
const ATTESTATIONS_MAX: usize = 64;

/// Largest test result, in bytes: it holds the output of all commands of a test run.
const TOXRESULT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Longest `Requires-Python`, in bytes: it stands on every page of the project.
const REQUIRES_PYTHON_BYTES_MAX: usize = 1000;

/// Checks a form of [`Action::FileUpload`](super::Action): names, digests, and what the archive says of itself.
pub async fn check_file(mut form: Form) -> Result<NewFile, UploadError> {
    let content = form.content.take().ok_or(Refusal::NoContent)?;
    let (project, display_name) = project(&form)?;
    let version = filename::version(form.get("version").unwrap_or_default())?.to_owned();
    let filename = filename::check(&content.filename, &project, &display_name, &version)?;
    let attestations = given(&form, "attestations").map(attestations).transpose()?;
    let stated = Stated {
        sha256: given(&form, "sha256_digest").map(ToOwned::to_owned),
        md5: given(&form, "md5_digest").map(ToOwned::to_owned),
        blake2_256: given(&form, "blake2_256_digest").map(ToOwned::to_owned),
    };
    let Content { spool, sha256, size, .. } = content;
    let name = filename.clone();
    let (spool, inside) = blocking(move || {
        let inside = inspect(&spool, &name, sha256, &stated)?;
        Ok((spool, inside))
    })
    .await?;
    let requires_python = match &inside.core {
        Some(core) => {
            agree(core, &filename, &project, &display_name, &version)?;
            core.requires_python.clone()
        }
        None => given(&form, "requires_python").map(one_line),
    };
    if requires_python.as_deref().is_some_and(|spec| !is_short_line(spec)) {
        let why = MetadataError::RequiresPython;
        return Err(Refusal::BadMetadata { filename: filename.to_string(), why }.into());
    }
    let versiondata = versiondata::of(&form);
    let metadata = inside.metadata;
    Ok(NewFile {
        project,
        version,
        filename,
        spool,
        sha256,
        size,
        metadata,
        requires_python,
        versiondata,
        defaults: versiondata::versiondata_defaults(),
        attestations,
    })
}

/// Checks a file that came without a form, as a browser sends it: what a tool would say there stands in the archive.
pub async fn check_bare_file(content: Content) -> Result<NewFile, UploadError> {
    let Content { filename, spool, sha256, size } = content;
    let filename = DistFilename::parse(&filename).map_err(|_| Refusal::ArchiveName(filename))?;
    let name = filename.clone();
    let (spool, archive) = blocking(move || {
        let archive = read_bare(&spool.file(), size, &name)?;
        Ok((spool, archive))
    })
    .await?;
    Ok(NewFile {
        project: archive.project,
        version: archive.version,
        filename,
        spool,
        sha256,
        size,
        metadata: archive.metadata,
        requires_python: archive.requires_python,
        versiondata: archive.versiondata,
        defaults: versiondata::versiondata_defaults(),
        attestations: None,
    })
}

/// Checks a form of [`Action::DocUpload`](super::Action).
pub async fn check_docs(mut form: Form) -> Result<NewDocs, UploadError> {
    let content = form.content.take().ok_or(Refusal::NoContent)?;
    let (project, _) = project(&form)?;
    let version = match form.get("version") {
        None | Some("") => None,
        Some(raw) => Some(filename::version(raw)?.to_owned()),
    };
    let Content { spool, sha256, size, .. } = content;
    let spool = blocking(move || {
        let file = spool.file();
        let mut file = &*file;
        file.rewind().map_err(DiskError::Unreadable)?;
        Zip::open(file, size).map_err(|fault| Refusal::Docs(fault.why()))?;
        Ok(spool)
    })
    .await?;
    let versiondata = versiondata::of(&form);
    Ok(NewDocs { project, version, spool, sha256, size, versiondata })
}

/// Checks a form of [`Action::Submit`](super::Action).
pub fn check_submit(form: &Form) -> Result<NewRelease, UploadError> {
    let (project, _) = project(form)?;
    let version = filename::version(form.get("version").unwrap_or_default())?.to_owned();
    Ok(NewRelease { project, version, versiondata: versiondata::whole(form) })
}

/// Checks a test result, which is kept as it was sent: a JSON object.
pub fn check_toxresult(body: &[u8]) -> Result<(), UploadError> {
    /// Any object; its members are read past and not kept.
    #[derive(serde::Deserialize)]
    struct Object {}

    if body.len() > TOXRESULT_BYTES_MAX {
        return Err(UploadError::TooLarge { what: "the test result", limit: TOXRESULT_BYTES_MAX as u64 });
    }
    // The parser takes an array for a structure too.
    let is_object = body.trim_ascii_start().starts_with(b"{");
    match std::str::from_utf8(body).map(serde_json::from_str::<Object>) {
        Ok(Ok(_)) if is_object => Ok(()),
        _ => Err(Refusal::ToxResult.into()),
    }
}

fn project(form: &Form) -> Result<(ProjectName, String), Refusal> {
    let raw = given(form, "name").ok_or(Refusal::MissingField("name"))?;
    Ok((ProjectName::parse(raw)?, raw.to_owned()))
}

/// A field that is there and says something.
fn given<'a>(form: &'a Form, field: &str) -> Option<&'a str> {
    form.get(field).filter(|value| !value.is_empty() && *value != "UNKNOWN")
}

fn attestations(raw: &str) -> Result<String, UploadError> {
    if raw.len() > ATTESTATIONS_BYTES_MAX {
        return Err(UploadError::TooLarge { what: "the field of attestations", limit: ATTESTATIONS_BYTES_MAX as u64 });
    }
    match serde_json::from_str::<Vec<Map<String, Value>>>(raw) {
        Ok(list) if list.len() <= ATTESTATIONS_MAX => Ok(raw.to_owned()),
        _ => Err(Refusal::Attestations.into()),
    }
}

pub(super) fn is_short_line(text: &str) -> bool {
    text.len() <= REQUIRES_PYTHON_BYTES_MAX && !text.chars().any(char::is_control)
}

/// What an archive says of itself.
#[derive(Default)]
pub(super) struct Inside {
    /// A wheel's METADATA as it is in the archive.
    pub(super) metadata: Option<Bytes>,
    pub(super) core: Option<MetadataFile>,
}

fn inspect(spool: &Spool, filename: &DistFilename, sha256: Sha256, stated: &Stated) -> Result<Inside, UploadError> {
    let file = spool.file();
    let mut from_start = &*file;
    from_start.rewind().map_err(DiskError::Unreadable)?;
    stated.check(filename.as_str(), sha256, from_start).map_err(DiskError::Unreadable)??;
    inside(&file, spool.written(), filename)
}

/// Reads what an archive of `size` bytes says of itself.
pub(super) fn inside(mut file: &File, size: u64, filename: &DistFilename) -> Result<Inside, UploadError> {
    let name = filename.as_str();
    let mut from_start = || file.rewind().map(|()| file).map_err(DiskError::Unreadable);
    let fault = |fault: Fault| fault.of(name);
    let pkg_info = match filename.kind() {
        DistKind::Wheel => {
            Zip::open(from_start()?, size).and_then(|mut zip| zip.check_one_reading()).map_err(fault)?;
            let bytes = wheel::metadata(from_start()?).map_err(|error| fault(from_wheel(&error)))?;
            let core = parse(&bytes, name)?;
            return Ok(Inside { metadata: Some(bytes.into()), core: Some(core) });
        }
        DistKind::Sdist if name.ends_with(".zip") => {
            Zip::open(from_start()?, size).and_then(|mut zip| zip.pkg_info()).map_err(fault)?
        }
        DistKind::Sdist if name.ends_with(".tar.gz") || name.ends_with(".tgz") => {
            sdist::pkg_info(from_start()?, size).map_err(fault)?
        }
        // Packed in ways that are not read here.
        DistKind::Sdist | DistKind::Other => None,
    };
    Ok(Inside { metadata: None, core: pkg_info.map(|bytes| parse(&bytes, name)).transpose()? })
}

fn parse(bytes: &[u8], filename: &str) -> Result<MetadataFile, Refusal> {
    MetadataFile::parse(bytes).map_err(|why| Refusal::BadMetadata { filename: filename.to_owned(), why })
}

fn from_wheel(error: &WheelError) -> Fault {
    match error {
        WheelError::NoMetadata => Fault::Broken("it has no METADATA in a .dist-info directory of its own"),
        WheelError::TooLarge => Fault::Unsafe("its METADATA is too large"),
        WheelError::NotAWheel | WheelError::Needs(_) => Fault::Broken("it is not a zip archive"),
    }
}

/// The form may not say another project or version than the archive, which is what installers will see.
fn agree(
    core: &MetadataFile,
    filename: &DistFilename,
    project: &ProjectName,
    display_name: &str,
    version: &str,
) -> Result<(), Refusal> {
    let disagrees = |field, inside: &str, form: &str| {
        let (inside, form) = (inside.to_owned(), form.to_owned());
        Err(Refusal::Disagrees { filename: filename.to_string(), field, inside, form })
    };
    if ProjectName::parse(&core.name).as_ref() != Ok(project) {
        return disagrees("name", &core.name, display_name);
    }
    if !filename::same_version(&core.version, version) {
        return disagrees("version", &core.version, version);
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, UploadError> + Send + 'static,
) -> Result<T, UploadError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(_) => Err(DiskError::Unreadable(io::Error::other("the checking thread ended")).into()),
    }
}
