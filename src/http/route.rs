//! Which thing a request target names.
//!
//! The target is read as it was sent, decoded once and split once; every later room sees only what comes out of here,
//! so that no two of them can read it differently. What could be read in two ways is refused, not cleaned.

mod target;

use crate::names::{DigestPrefix, DistFilename, IndexName, ProjectName, Version};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use std::borrow::Cow;
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
    UserApi(String),
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
    /// `/{user}`: a valid user name.
    User(String),
    /// `/{user}/{index}`
    Index(IndexName),
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

/// The index that a URL names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexRef {
    Named(IndexName),
    /// The default index, by the path that clients of PyPI expect.
    Default,
}

/// What is asked about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileWhat {
    Itself,
    /// `{filename}.metadata` (PEP 658)
    Metadata,
    /// `{filename}.provenance` (PEP 740)
    Provenance,
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
        ["simple", ref rest @ ..] => return simple(IndexRef::Default, rest, slash),
        ["pypi", project, "json"] => return legacy_json(project, None),
        ["pypi", project, version, "json"] => return legacy_json(project, Some(version)),
        [user] => Route::User(parse_user(user)?),
        [user, "+api"] => Route::UserApi(parse_user(user)?),
        [user, index] => Route::Index(parse_index(user, index)?),
        [user, index, "+api"] => Route::IndexApi(parse_index(user, index)?),
        [user, index, "+simple", ref rest @ ..] => {
            return simple(IndexRef::Named(parse_index(user, index)?), rest, slash);
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
        IndexRef::Named(name) => {
            let encode = |part| utf8_percent_encode(part, SEGMENT);
            format!("/{}/{}/+simple/", encode(name.user()), encode(name.index()))
        }
    }
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

fn parse_index(user: &str, index: &str) -> Option<IndexName> {
    IndexName::from_parts(user, index).ok()
}

fn parse_user(user: &str) -> Option<String> {
    // A user's name is the first half of an index's: ask about one with a good second half.
    parse_index(user, "index").map(|_| user.to_owned())
}

fn parse_file(raw: &str) -> Option<(DistFilename, FileWhat)> {
    let (name, what) = if let Some(name) = raw.strip_suffix(".metadata") {
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
        let pairs = raw.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        let format = pairs.into_iter().find(|(key, _)| *key == "format");
        Self { format: format.map(|(_, value)| percent_decode_str(value).decode_utf8_lossy()).map(Cow::into_owned) }
    }
}

#[cfg(test)]
mod tests;
