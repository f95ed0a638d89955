use super::{Answer, Asked};
use crate::index::{IndexError, Link, Removal, VersionInfo, YANK_REASON_BYTES_MAX, stamps};
use crate::names::{DigestPrefix, IndexName, ProjectName, Version};
use crate::store::Rel;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What is not sent raw in a path (RFC 3986 §3.3); devpi's client takes these URLs as they are.
const PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`');

/// `GET /{user}/{index}/{project}`: all versions.
pub async fn show_project(
    asked: &Asked<'_>,
    index: &IndexName,
    project: &ProjectName,
    ignore_bases: bool,
) -> Result<Answer, IndexError> {
    let entry = asked.index.readable(asked.subject, index)?;
    let infos = asked.index.project_info(&entry, project, ignore_bases).await?;
    // The newest version last, as versions sort.
    let mut infos: Vec<_> = infos.into_values().collect();
    infos.sort_by_cached_key(|info| (info.version.parse::<Version>().ok(), info.version.clone()));
    let versions = infos.iter().map(|info| (info.version.clone(), version_json(asked, info).into()));
    Ok(Answer::result("projectconfig", versions.collect::<Map<_, Value>>()))
}

/// `GET /{user}/{index}/{project}/{version}`; `latest` and `stable` name the newest, and the newest that is final.
pub async fn show_version(
    asked: &Asked<'_>,
    index: &IndexName,
    project: &ProjectName,
    version: &str,
) -> Result<Answer, IndexError> {
    let entry = asked.index.readable(asked.subject, index)?;
    let infos = match asked.index.project_info(&entry, project, false).await {
        Err(IndexError::NotThere(_)) => BTreeMap::new(),
        infos => infos?,
    };
    let found = match version {
        "latest" => newest(&infos, |_| true),
        "stable" => newest(&infos, |version| !version.any_prerelease()),
        version => infos.get(version),
    };
    let Some(info) = found else {
        return Err(IndexError::NotThere(format!("The version {version} of project {project} does not exist.")));
    };
    Ok(Answer::result("versiondata", version_json(asked, info)))
}

fn newest(infos: &BTreeMap<String, VersionInfo>, wanted: impl Fn(&Version) -> bool) -> Option<&VersionInfo> {
    let parsed = infos.values().filter_map(|info| Some((info.version.parse::<Version>().ok()?, info)));
    parsed.filter(|(version, _)| wanted(version)).max_by(|(a, _), (b, _)| a.cmp(b)).map(|(_, info)| info)
}

/// What is known of a file (devpi: `GET` of its address with `Accept: application/json`).
pub async fn show_file(
    asked: &Asked<'_>,
    index: &IndexName,
    project: &[ProjectName],
    filename: &str,
    prefix: DigestPrefix,
) -> Result<Answer, IndexError> {
    let entry = asked.index.readable(asked.subject, index)?;
    let ends = format!("/{}/{filename}", prefix.directories());
    for project in project {
        let infos = match asked.index.project_info(&entry, project, true).await {
            Ok(infos) => infos,
            Err(IndexError::NotThere(_)) => continue,
            Err(why) => return Err(why),
        };
        for info in infos.values() {
            if let Some(link) = info.links.iter().find(|link| link.path.ends_with(&ends)) {
                let mut shown = hashes(link);
                shown.insert("project".to_owned(), project.as_str().into());
                shown.insert("version".to_owned(), info.version.clone().into());
                if let Some(modified) = link.modified {
                    shown.insert("last_modified".to_owned(), stamps::http_date(modified).into());
                }
                return Ok(Answer::result("releasefilemeta", shown));
            }
        }
    }
    Err(IndexError::NotThere("no such file".to_owned()))
}

/// `DELETE /{user}/{index}/{project}`
pub async fn delete_project(
    asked: &Asked<'_>,
    index: &IndexName,
    project: &ProjectName,
    force: bool,
) -> Result<Answer, IndexError> {
    asked.index.remove(asked.subject, index, &Removal::Project(project), force).await?;
    Ok(Answer::message(format!("project {project} deleted from stage {index}")))
}

/// `DELETE /{user}/{index}/{project}/{version}`
pub async fn delete_version(
    asked: &Asked<'_>,
    index: &IndexName,
    project: &ProjectName,
    version: &str,
    force: bool,
) -> Result<Answer, IndexError> {
    asked.index.remove(asked.subject, index, &Removal::Version(project, version), force).await?;
    Ok(Answer::message(format!("project '{project}' version '{version}' deleted")))
}

/// `DELETE /{user}/{index}/+f/…`
pub async fn delete_file(
    asked: &Asked<'_>,
    index: &IndexName,
    filename: &str,
    prefix: DigestPrefix,
    force: bool,
) -> Result<Answer, IndexError> {
    asked.index.remove(asked.subject, index, &Removal::File(filename, prefix), force).await?;
    Ok(Answer::message(format!("package '{index}/+f/{}/{filename}' deleted", prefix.directories())))
}

/// A wish to yank files, or to take that back (PEP 592; devpi has none).
pub struct Yank(Option<String>);

impl Yank {
    /// Reads `{"yanked": true}`, `{"yanked": "reason"}` or `{"yanked": false}`.
    pub fn parse(given: &Map<String, Value>) -> Result<Self, IndexError> {
        let refused = || {
            let sentence = "write {\"yanked\": true}, {\"yanked\": \"a reason\"} or {\"yanked\": false}";
            IndexError::Invalid(sentence.to_owned())
        };
        if given.keys().any(|key| key != "yanked") {
            return Err(refused());
        }
        match given.get("yanked") {
            Some(Value::Bool(true)) => Ok(Self(Some(String::new()))),
            Some(Value::Bool(false) | Value::Null) => Ok(Self(None)),
            Some(Value::String(reason)) if reason.len() <= YANK_REASON_BYTES_MAX => Ok(Self(Some(reason.clone()))),
            _ => Err(refused()),
        }
    }

    /// `PATCH` of a version's address, or a file's.
    pub async fn carry_out(
        self,
        asked: &Asked<'_>,
        index: &IndexName,
        what: &Removal<'_>,
    ) -> Result<Answer, IndexError> {
        let word = if self.0.is_some() { "yanked" } else { "no longer yanked" };
        let count = asked.index.yank(asked.subject, index, what, self.0).await?;
        Ok(Answer::message(format!("{count} file(s) {word}")))
    }
}

/// The answer to a stored test result: its path.
pub fn tox_stored(path: String) -> Answer {
    Answer::result("toxresultpath", path)
}

fn version_json(asked: &Asked<'_>, info: &VersionInfo) -> Map<String, Value> {
    let mut shown = info.metadata.clone();
    if !info.links.is_empty() {
        let links: Vec<Value> = info.links.iter().map(|link| link_json(asked, link)).collect();
        shown.insert("+links".to_owned(), links.into());
    }
    if !info.shadowing.is_empty() {
        let shadowing: Vec<Value> = info.shadowing.iter().map(|info| version_json(asked, info).into()).collect();
        shown.insert("+shadowing".to_owned(), shadowing.into());
    }
    shown
}

fn link_json(asked: &Asked<'_>, link: &Link) -> Value {
    let url = |path: &str| format!("{}/{}", asked.base, utf8_percent_encode(path, PATH));
    let rel = match link.rel {
        Rel::Releasefile => "releasefile",
        Rel::Doczip => "doczip",
        Rel::Toxresult => "toxresult",
    };
    let mut shown = Map::new();
    shown.insert("rel".to_owned(), rel.into());
    shown.extend(hashes(link));
    shown.insert("href".to_owned(), url(&link.path).into());
    if let Some(path) = &link.for_path {
        shown.insert("for_href".to_owned(), url(path).into());
    }
    if let Some(log) = &link.log {
        shown.insert("log".to_owned(), log.clone());
    }
    shown.into()
}

fn hashes(link: &Link) -> Map<String, Value> {
    let mut shown = Map::new();
    if let Some(sha256) = link.sha256 {
        shown.insert("hash_spec".to_owned(), format!("sha256={sha256}").into());
        shown.insert("hashes".to_owned(), json!({ "sha256": sha256.to_hex() }));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_yank_says_what_it_means() {
        let read = |json: Value| Yank::parse(json.as_object().unwrap()).map(|yank| yank.0).ok();
        assert_eq!(read(json!({ "yanked": true })), Some(Some(String::new())));
        assert_eq!(read(json!({ "yanked": "broken" })), Some(Some("broken".to_owned())));
        assert_eq!(read(json!({ "yanked": false })), Some(None));
        for wrong in [json!({}), json!({ "yanked": 1 }), json!({ "yanked": true, "x": 1 })] {
            assert_eq!(read(wrong.clone()), None, "{wrong}");
        }
    }
}
