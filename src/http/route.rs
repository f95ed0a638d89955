//! Which thing a request target names.
//!
//! The target is read as it was sent, decoded once and split once; every later room sees only what comes out of here,
//! so that no two of them can read it differently. What could be read in two ways is refused, not cleaned.

mod target;

use crate::names::{DigestPrefix, DistFilename, IndexName, ProjectName, UserName, Version};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use std::str::FromStr;
use target::Target;

pub use target::{TARGET_BYTES_MAX, authority};

/// Longest version in a URL, in bytes; real ones are under 60.
const VERSION_BYTES_MAX: usize = 200;

/// What is not sent raw in a path segment of a redirect (RFC 3986 §3.3).
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}')
    .add(b'[')
    .add(b']');

/// A place in the house. Which methods it knows is not said here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `/`
    Root,
    /// `/+api`
    Api,
    /// `/{user}/+api`
    UserApi(UserName),
    /// `/{user}/{index}/+api`
    IndexApi(IndexName),
    /// `/+health`
    Health,
    /// `/+ready`
    Ready,
    /// `/+metrics`
    Metrics,
    /// `/+status`
    Status,
    /// `/+status/events`: what `/+status` shows, as it changes.
    StatusEvents,
    /// `/+login`
    Login,
    /// `/+search`
    Search,
    /// `/+account`: a person's own page.
    Account,
    /// `/+do/{action}`: where the forms of the pages lead.
    Do(String),
    /// `/+static/{name}`: what the pages are drawn with.
    Static(String),
    /// `/{user}`
    User(UserName),
    /// `/{user}/{index}`, with or without a final slash: installers mean the project list by the one with a slash.
    Index { index: IndexName, slash: bool },
    /// `/{user}/{index}/{project}`: installers mean the project's page.
    ProjectInfo { index: IndexName, name: ProjectName, spelling: Spelling },
    /// `/{user}/{index}/{project}/{version}`: the version as written, or `latest` or `stable`.
    VersionInfo { index: IndexName, name: ProjectName, version: String, spelling: Spelling },
    /// `/{user}/+new`: the form for a new index.
    NewIndex(UserName),
    /// `/{user}/{index}/+settings`, `/{user}/{index}/+upload`: the forms of an index.
    IndexForm { index: IndexName, form: IndexForm },
    /// `/{user}/{index}/{project}/{version}/+doc/{path}`: a page of uploaded documentation; the path's segments decoded,
    /// joined by `/`, with its final slash. devpi's frame around it, `+d`, leads here.
    Docs { index: IndexName, name: ProjectName, version: String, path: String },
    /// `/{user}/{index}/{project}/{version}/+toxresults`
    ToxResults { index: IndexName, name: ProjectName, version: String },
    /// `/{user}/{index}/+simple/{project}/refresh`
    Refresh { index: IndexName, name: ProjectName },
    /// `/{user}/{index}/+simple/`, `/simple/`
    ProjectList { index: IndexRef },
    /// `/{user}/{index}/+simple/{project}/`, `/simple/{project}/`
    Project { index: IndexRef, name: ProjectName },
    /// `/{user}/{index}/+f/{3 hex}/{13 hex}/{filename}`
    File { index: IndexName, prefix: DigestPrefix, filename: DistFilename, what: FileWhat },
    /// `/{user}/{index}/+e/{directory}/{filename}`: devpi's form for links without a hash; any one path segment.
    FileByLink { index: IndexName, directory: String, filename: DistFilename, what: FileWhat },
    /// `/{user}/{index}/+packages/{path}`: `path` is the whole path after `+packages/`, the file's name last (without
    /// the ending that `what` stands for), its segments decoded and joined by `/`. To be compared with decoded paths;
    /// whoever makes a URL of it has to encode it again.
    FileByPath { index: IndexName, path: String, filename: DistFilename, what: FileWhat },
    /// `/pypi/{project}/json`, `/pypi/{project}/{version}/json`
    LegacyJson { name: ProjectName, version: Option<Version> },
}

/// A form that belongs to an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexForm {
    Settings,
    Upload,
}

/// The index that a URL names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexRef {
    Named(IndexName),
    /// The default index, by the path that clients of PyPI expect.
    Default,
}

/// How the address of a project is written. Readers are redirected to the one spelling, writers are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spelling {
    /// The name is written in its normalised form.
    pub normalised: bool,
    /// The path ends in a slash.
    pub slash: bool,
}

/// What is asked about a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FileWhat {
    Itself,
    /// `{filename}.metadata` (PEP 658)
    Metadata,
    /// `{filename}.provenance` (PEP 740)
    Provenance,
    /// `{filename}.toxresult-{stamp}` (devpi): a result that was posted for the file; what follows the file's name.
    ToxResult(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Routed {
    Found {
        route: Route,
        query: Query,
    },
    /// 301 to this path and query of the same origin; it starts with one `/` and is percent-encoded.
    Redirect {
        location: String,
    },
    NotFound,
    /// 400, and why.
    Bad(&'static str),
}

/// What we read of a query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// `format=`, decoded; a raw `+` stays a `+`, for media types hold it. The first of several counts.
    pub format: Option<String>,
    /// devpi's flags count by being there, with or without a value.
    pub no_projects: bool,
    pub ignore_bases: bool,
    pub force: bool,
    pub error_on_noop: bool,
    raw: String,
}

/// Reads a request target as it was sent, in origin form (`/path?query`) or absolute form (`http://host/path?query`;
/// judge its [`authority`] first, as a `Host`).
///
/// Runs of `/` count as one. A project's page has one URL, with its normalised name and a final slash: other spellings
/// are redirected there.
pub fn route(raw_target: &str) -> Routed {
    let target = match Target::parse(raw_target) {
        Ok(target) => target,
        Err(reason) => return Routed::Bad(reason),
    };
    match find(&target.segments(), target.ends_in_slash()) {
        Some(Place::Here(route)) => Routed::Found { route, query: Query::parse(target.query) },
        Some(Place::At(mut location)) => {
            if let Some(query) = target.query {
                location.push('?');
                location.push_str(query);
            }
            Routed::Redirect { location }
        }
        None => Routed::NotFound,
    }
}

enum Place {
    Here(Route),
    /// The path of its only URL, encoded.
    At(String),
}

fn find(segments: &[&str], slash: bool) -> Option<Place> {
    let route = match *segments {
        [] => Route::Root,
        ["+api"] => Route::Api,
        ["+health"] => Route::Health,
        ["+ready"] => Route::Ready,
        ["+metrics"] => Route::Metrics,
        ["+status"] => Route::Status,
        ["+status", "events"] => Route::StatusEvents,
        ["+login"] => Route::Login,
        ["+search"] => Route::Search,
        ["+account"] => Route::Account,
        ["+do", action] => Route::Do(action.to_owned()),
        ["+static", name] => Route::Static(name.to_owned()),
        ["simple", ref rest @ ..] => return simple(IndexRef::Default, rest, slash),
        ["pypi", project, "json"] => return legacy_json(project, None),
        ["pypi", project, version, "json"] => return legacy_json(project, Some(version)),
        [user] => Route::User(parse_user(user)?),
        [user, "+api"] => Route::UserApi(parse_user(user)?),
        [user, "+new"] => Route::NewIndex(parse_user(user)?),
        [user, index] => Route::Index { index: parse_index(user, index)?, slash },
        [user, index, "+api"] => Route::IndexApi(parse_index(user, index)?),
        [user, index, "+simple", project, "refresh"] if !slash => {
            Route::Refresh { index: parse_index(user, index)?, name: ProjectName::parse(project).ok()? }
        }
        [user, index, "+simple", ref rest @ ..] => {
            return simple(IndexRef::Named(parse_index(user, index)?), rest, slash);
        }
        [user, index, "+settings"] => Route::IndexForm { index: parse_index(user, index)?, form: IndexForm::Settings },
        [user, index, "+upload"] => Route::IndexForm { index: parse_index(user, index)?, form: IndexForm::Upload },
        [user, index, project] => {
            let name = ProjectName::parse(project).ok()?;
            let spelling = Spelling { normalised: name.as_str() == project, slash };
            Route::ProjectInfo { index: parse_index(user, index)?, name, spelling }
        }
        [user, index, project, version] if !project.starts_with('+') => {
            let name = ProjectName::parse(project).ok()?;
            let spelling = Spelling { normalised: name.as_str() == project, slash };
            Route::VersionInfo { index: parse_index(user, index)?, name, version: parse_version(version)?, spelling }
        }
        [user, index, project, version, "+toxresults"] if !project.starts_with('+') => Route::ToxResults {
            index: parse_index(user, index)?,
            name: ProjectName::parse(project).ok()?,
            version: parse_version(version)?,
        },
        [user, index, project, version, "+doc" | "+d", ref path @ ..] if !project.starts_with('+') => {
            let mut path = path.join("/");
            if slash && !path.is_empty() {
                path.push('/');
            }
            let (index, name) = (parse_index(user, index)?, ProjectName::parse(project).ok()?);
            Route::Docs { index, name, version: parse_version(version)?, path }
        }
        // A file is no directory.
        _ if slash => return None,
        [user, index, "+f", three, thirteen, file] => {
            let prefix = DigestPrefix::from_directories(three, thirteen).ok()?;
            let (filename, what) = parse_file(file)?;
            Route::File { index: parse_index(user, index)?, prefix, filename, what }
        }
        [user, index, "+e", directory, file] => {
            let (filename, what) = parse_file(file)?;
            Route::FileByLink { index: parse_index(user, index)?, directory: directory.to_owned(), filename, what }
        }
        [user, index, "+packages", ref directories @ .., file] => {
            let (filename, what) = parse_file(file)?;
            let mut path = String::new();
            for directory in directories {
                path.push_str(directory);
                path.push('/');
            }
            path.push_str(filename.as_str());
            Route::FileByPath { index: parse_index(user, index)?, path, filename, what }
        }
        _ => return None,
    };
    Some(Place::Here(route))
}

/// The simple API below its root: the list, or a project's page.
fn simple(index: IndexRef, rest: &[&str], slash: bool) -> Option<Place> {
    let (name, canonical) = match *rest {
        [] => (None, slash),
        [raw] => {
            let name = ProjectName::parse(raw).ok()?;
            let canonical = slash && name.as_str() == raw;
            (Some(name), canonical)
        }
        _ => return None,
    };
    Some(match (canonical, name) {
        (true, None) => Place::Here(Route::ProjectList { index }),
        (true, Some(name)) => Place::Here(Route::Project { index, name }),
        (false, None) => Place::At(simple_path(&index)),
        (false, Some(name)) => Place::At(format!("{}{name}/", simple_path(&index))),
    })
}

fn simple_path(index: &IndexRef) -> String {
    match index {
        IndexRef::Default => "/simple/".to_owned(),
        IndexRef::Named(name) => format!("{}/+simple/", index_path(name)),
    }
}

/// The path of an index, encoded: names may hold letters that no line of a head may. No slash at the end.
pub fn index_path(name: &IndexName) -> String {
    let encode = |part| utf8_percent_encode(part, SEGMENT);
    format!("/{}/{}", encode(name.user()), encode(name.index()))
}

/// The path of documents, encoded; `path` is as [`Route::Docs`] has it.
pub fn docs_path(index: &IndexName, name: &ProjectName, version: &str, path: &str) -> String {
    let inside: Vec<_> = path.split('/').map(|segment| utf8_percent_encode(segment, SEGMENT).to_string()).collect();
    format!("{}/{name}/{}/+doc/{}", index_path(index), utf8_percent_encode(version, SEGMENT), inside.join("/"))
}

fn legacy_json(raw: &str, version: Option<&str>) -> Option<Place> {
    let name = ProjectName::parse(raw).ok()?;
    if name.as_str() != raw {
        let version = version.map(|version| format!("{}/", utf8_percent_encode(version, SEGMENT)));
        return Some(Place::At(format!("/pypi/{name}/{}json", version.unwrap_or_default())));
    }
    let version = match version {
        Some(raw) if raw.len() > VERSION_BYTES_MAX => return None,
        Some(raw) => Some(Version::from_str(raw).ok()?),
        None => None,
    };
    Some(Place::Here(Route::LegacyJson { name, version }))
}

/// What stands between a file's name and the stamp of a result that was posted for it.
const TOX_RESULT: &str = ".toxresult-";

fn parse_index(user: &str, index: &str) -> Option<IndexName> {
    IndexName::from_parts(user, index).ok()
}

/// As it is written in the URL; whether there is such a version is not asked here.
fn parse_version(version: &str) -> Option<String> {
    let fits = version.len() <= VERSION_BYTES_MAX && version.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| version.to_owned())
}

fn parse_user(user: &str) -> Option<UserName> {
    UserName::parse(user).ok()
}

fn parse_file(raw: &str) -> Option<(DistFilename, FileWhat)> {
    let (name, what) = if let Some((name, stamp)) = raw.split_once(TOX_RESULT) {
        (name, FileWhat::ToxResult(format!("{TOX_RESULT}{stamp}")))
    } else if let Some(name) = raw.strip_suffix(".metadata") {
        (name, FileWhat::Metadata)
    } else if let Some(name) = raw.strip_suffix(".provenance") {
        (name, FileWhat::Provenance)
    } else {
        (raw, FileWhat::Itself)
    };
    DistFilename::parse(name).ok().map(|filename| (filename, what))
}

impl Query {
    fn parse(raw: Option<&str>) -> Self {
        let mut query = Self { raw: raw.unwrap_or_default().to_owned(), ..Self::default() };
        for pair in raw.unwrap_or_default().split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                "format" if query.format.is_none() => {
                    query.format = Some(percent_decode_str(value).decode_utf8_lossy().into_owned());
                }
                "no_projects" => query.no_projects = true,
                "ignore_bases" => query.ignore_bases = true,
                "force" => query.force = true,
                "error_on_noop" => query.error_on_noop = true,
                _ => {}
            }
        }
        query
    }

    /// The first value of a field of a form that was sent in the query, decoded (a `+` is a space).
    pub fn field(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.raw.as_bytes());
        pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
    }
}

#[cfg(test)]
mod tests;
