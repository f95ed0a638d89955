use super::{FILE_BYTES_MAX, LOCKED_FILES_MAX, LeftOut, LockedFile, Marker, WISHES_MAX, Wants, WantsError, What, Wish};
use crate::names::{DistFilename, IndexName, ProjectName, Sha256};
use percent_encoding::percent_decode_str;
use toml::{Table, Value};

/// Reads `uv.lock`, `pylock.toml` (PEP 751), `poetry.lock` or `pdm.lock`: which it is, it says by what is in it. What
/// cannot be read of one package is left out with a word; an address only tells the file's name and, of ours, its index.
pub fn lockfile(text: &str) -> Result<Wants, WantsError> {
    if text.len() > FILE_BYTES_MAX {
        return Err(WantsError::TooLarge);
    }
    let lock: Table = text.parse().map_err(|why: toml::de::Error| WantsError::Toml(why.message().to_owned()))?;
    let packages = [lock.get("package"), lock.get("packages")];
    // A project without dependencies has a lockfile all the same.
    let says_so = ["lock-version", "version", "metadata"].iter().any(|key| lock.contains_key(*key));
    let packages: &[Value] = match packages.into_iter().flatten().find_map(Value::as_array) {
        Some(packages) => packages,
        None if says_so => &[],
        None => return Err(WantsError::Unknown),
    };
    if packages.len() > WISHES_MAX {
        return Err(WantsError::TooMany);
    }
    // poetry before 1.5 keeps all files in one place.
    let elsewhere = lock.get("metadata").and_then(|metadata| metadata.get("files"));
    let mut wants = Wants::default();
    for package in packages {
        let name = text_of(package, "name").unwrap_or_default();
        let of_old = elsewhere.and_then(|files| files.get(name));
        match wish(package, name, of_old) {
            Ok(Some(wish)) => wants.wishes.push(wish),
            Ok(None) => {}
            Err(why) => wants.left_out.push(LeftOut::new(name, why)),
        }
    }
    Ok(wants)
}

/// What one package wants; nothing where it is the project itself.
fn wish(package: &Value, name: &str, of_old: Option<&Value>) -> Result<Option<Wish>, &'static str> {
    let project = ProjectName::parse(name).map_err(|_| "it has no name that an index knows")?;
    let source = package.get("source");
    let is_own = |key: &str| source.is_some_and(|source| source.get(key).is_some());
    // uv's own project and those of its workspace.
    if is_own("editable") || is_own("virtual") {
        return Ok(None);
    }
    let elsewhere = ["git", "path", "directory", "vcs", "archive", "subdirectory"];
    if elsewhere.iter().any(|key| is_own(key) || package.get(key).is_some())
        || ["git", "directory", "file", "url"]
            .contains(&source.and_then(|source| text_of(source, "type")).unwrap_or_default())
        || (is_own("url") && source.and_then(|source| text_of(source, "type")).is_none())
    {
        return Err("it has an address of its own, not a release of the index");
    }
    let mut files = Vec::new();
    let lists = [package.get("wheels"), package.get("files"), of_old].into_iter().flatten().filter_map(Value::as_array);
    let all = lists.flatten().chain(package.get("sdist"));
    for file in all.take(LOCKED_FILES_MAX) {
        let file = locked(file).ok_or("one of its files has no name that an index knows")?;
        if !files.contains(&file) {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err("the lockfile names no file of it");
    }
    let index = [
        source.and_then(|source| text_of(source, "registry").or_else(|| text_of(source, "url"))),
        text_of(package, "index"),
    ];
    let index = index.into_iter().flatten().find_map(index_of_ours);
    Ok(Some(Wish { project, index, what: What::Files(files), markers: markers(package) }))
}

fn locked(file: &Value) -> Option<LockedFile> {
    let named = ["filename", "file", "name"].iter().find_map(|key| text_of(file, key));
    let address = ["url", "path"].iter().find_map(|key| text_of(file, key));
    let last = address.and_then(|address| {
        let path = address.split(['?', '#']).next()?;
        percent_decode_str(path.rsplit('/').next()?).decode_utf8().ok()
    });
    let filename = DistFilename::parse(named.or(last.as_deref())?).ok()?;
    let listed = file.get("hashes").and_then(|hashes| text_of(hashes, "sha256"));
    let written = text_of(file, "hash").and_then(|hash| hash.strip_prefix("sha256:"));
    let sha256 = listed.or(written).and_then(|hex| Sha256::from_hex(hex).ok());
    Some(LockedFile { filename, sha256 })
}

/// The markers under which a package is wanted; one that cannot be read is passed over, so that it is wanted.
fn markers(package: &Value) -> Vec<Marker> {
    let written = [text_of(package, "marker"), text_of(package, "markers")].into_iter().flatten();
    let forks = package.get("resolution-markers").and_then(Value::as_array).into_iter().flatten();
    let all: Option<Vec<_>> = written.chain(forks.filter_map(Value::as_str)).map(Marker::parse).collect();
    all.unwrap_or_default()
}

/// The index of a URL as ours are: `…/{user}/{index}/+simple/`.
fn index_of_ours(url: &str) -> Option<IndexName> {
    let path = url.trim_end_matches('/').strip_suffix("/+simple")?;
    let mut parts = path.rsplit('/');
    let (index, user) = (parts.next()?, parts.next()?);
    IndexName::from_parts(user, index).ok()
}

fn text_of<'a>(table: &'a Value, key: &str) -> Option<&'a str> {
    table.get(key)?.as_str()
}
