//! The mirrors: the default index from the top-level settings, the others from `[[mirror]]` tables.

use super::sources::{Settings, Sources};
use super::value::{self, Origin};
use super::{ConfigError, DEFAULT_INDEX, Secret, public_index};
use crate::names::IndexName;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// First segments of URLs that are aliases on the default index; a user of that name could not be reached.
const RESERVED_USERS: [&str; 2] = ["simple", "pypi"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorConfig {
    pub name: IndexName,
    /// The upstream's simple API: http or https, ends in `/`, without user information.
    pub upstream: Url,
    /// Where files may be fetched from besides `upstream`'s own origin, be it a private address or not.
    pub file_origins: Vec<Origin>,
    pub credentials: Option<Credentials>,
    pub page_ttl: Duration,
}

/// For Basic authentication at the upstream's exact origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    pub username: String,
    pub password: PasswordSource,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordSource {
    /// A file that the caller reads: its text without the final line end.
    File(PathBuf),
    /// The value of an environment variable.
    Env(Secret),
}

pub(super) fn read_all(
    sources: &Sources,
    env: &BTreeMap<String, String>,
    page_ttl: Duration,
) -> Result<Vec<MirrorConfig>, ConfigError> {
    let top = &sources.top;
    let public = || value::base_url(public_index::SIMPLE_URL).map_err(|accepted| top.refuse("upstream", &accepted));
    let upstream = top.one("upstream", value::base_url)?.map_or_else(public, Ok)?;
    let file_origins = file_origins(top, &upstream)?;
    let name = IndexName::parse(DEFAULT_INDEX).map_err(|error| top.refuse("mirror", &error.to_string()))?;
    let mut mirrors = vec![MirrorConfig { name, upstream, file_origins, credentials: None, page_ttl }];
    for table in &sources.mirrors {
        let mirror = read(table, env, page_ttl)?;
        if mirror.name.as_str() == DEFAULT_INDEX {
            let way_out = "this mirror always exists: its settings stand at the top of the file, without [[mirror]]";
            return Err(table.refuse("name", way_out));
        }
        if mirrors.iter().any(|other| other.name == mirror.name) {
            return Err(table.refuse("name", "another mirror has this name; give each its own"));
        }
        mirrors.push(mirror);
    }
    Ok(mirrors)
}

fn read(table: &Settings, env: &BTreeMap<String, String>, page_ttl: Duration) -> Result<MirrorConfig, ConfigError> {
    let missing = |key: &str, accepted: &str| ConfigError::Missing {
        key: key.to_owned(),
        place: table.place.clone(),
        accepted: accepted.to_owned(),
    };
    let name = table.one("name", index_name)?.ok_or_else(|| missing("name", "write name = \"user/index\""))?;
    let upstream = table.one("upstream", value::base_url)?;
    let upstream = upstream.ok_or_else(|| missing("upstream", "write the URL of the upstream's simple API"))?;
    let username = table.one("username", username)?;
    let file = table.one("password_file", |raw| value::path(raw, env))?;
    let variable = table.one("password_env", |raw| environment(raw, env))?;
    let password = match (file, variable) {
        (Some(_), Some(_)) => {
            return Err(table.refuse("password_env", "password_file stands there too; keep one of the two"));
        }
        (Some(file), None) => Some(PasswordSource::File(file)),
        (None, secret) => secret.map(PasswordSource::Env),
    };
    let credentials = match (username, password) {
        (Some(username), Some(password)) => Some(Credentials { username, password }),
        (None, None) => None,
        (Some(_), None) => return Err(missing("password_file", "a username needs password_file or password_env")),
        (None, Some(_)) => return Err(missing("username", "a password needs a username (often __token__)")),
    };
    Ok(MirrorConfig {
        file_origins: file_origins(table, &upstream)?,
        page_ttl: table.one("page_ttl", value::page_ttl)?.unwrap_or(page_ttl),
        name,
        upstream,
        credentials,
    })
}

/// The file origins given, or the public index's where that is the upstream.
fn file_origins(settings: &Settings, upstream: &Url) -> Result<Vec<Origin>, ConfigError> {
    if let Some(given) = settings.list("file_origins", value::origin)? {
        return Ok(given);
    }
    if upstream.as_str() != public_index::SIMPLE_URL {
        return Ok(Vec::new());
    }
    let origin =
        value::origin(public_index::FILE_ORIGIN).map_err(|accepted| settings.refuse("file_origins", &accepted))?;
    Ok(vec![origin])
}

fn index_name(raw: &str) -> Result<IndexName, String> {
    let name = IndexName::parse(raw).map_err(|error| error.to_string())?;
    if RESERVED_USERS.contains(&name.user()) {
        return Err(format!("URLs that begin with /{}/ are taken; choose another user", name.user()));
    }
    Ok(name)
}

/// RFC 7617 §2: no colon, no control characters.
fn username(raw: &str) -> Result<String, String> {
    if raw.is_empty() || raw.contains(':') || raw.chars().any(char::is_control) {
        return Err("write a user name without a colon or control characters".to_owned());
    }
    Ok(raw.to_owned())
}

fn environment(variable: &str, env: &BTreeMap<String, String>) -> Result<Secret, String> {
    match env.get(variable).filter(|value| !value.is_empty()) {
        Some(value) => Ok(Secret::new(value.clone())),
        None => Err("this environment variable is not set, or empty; set it, or use password_file".to_owned()),
    }
}
