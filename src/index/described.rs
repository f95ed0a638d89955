use super::errors::IndexError;
use super::files::FileAsk;
use super::keys::{Content, FileKey, Place};
use super::{House, Index, Piece};
use crate::names::{DistKind, IndexName, ProjectName};
use crate::simple::{File, MetadataFile};
use crate::store::{DocumentKey, DocumentKind};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// Most bytes of a metadata file that are read for a page; the description of a release is nearly all of it.
const METADATA_BYTES_MAX: usize = 2 * 1024 * 1024;

/// How long a page waits for what a mirror's release says of itself. What is asked goes on without it, and the next
/// page has it.
const PATIENCE: Duration = Duration::from_secs(4);

/// What a key of a release holds several values of; the names are those of devpi and of the forms of uploads.
const LISTS: [&str; 14] = [
    "classifiers",
    "dynamic",
    "license_file",
    "obsoletes",
    "obsoletes_dist",
    "platform",
    "project_urls",
    "provides",
    "provides_dist",
    "provides_extra",
    "requires",
    "requires_dist",
    "requires_external",
    "supported_platform",
];

/// What a release says of itself.
pub enum Described {
    /// By the keys of forms of uploads.
    Known(Map<String, Value>),
    /// Upstream has nothing that says it.
    Nothing,
    /// It cannot be asked, or did not answer in time.
    Unknown,
}

impl Index {
    /// What a release says of itself. `files` are those that the index lists of it.
    pub async fn described(
        &self,
        index: &IndexName,
        project: &ProjectName,
        version: &str,
        files: &[&File],
    ) -> Result<Described, IndexError> {
        let entry = self.0.entry(index)?;
        if entry.is_stage() {
            let release = self.0.private.release(index, project, version).await?;
            return Ok(release.map_or(Described::Nothing, |release| Described::Known(release.metadata)));
        }
        let asked = tokio::time::timeout(PATIENCE, self.0.described_by_mirror(index, project, version, files)).await;
        Ok(asked.unwrap_or(Described::Unknown))
    }
}

impl House {
    /// A wheel's metadata (PEP 658), or where there is no wheel what the legacy JSON API says.
    async fn described_by_mirror(
        self: &Arc<Self>,
        index: &IndexName,
        project: &ProjectName,
        version: &str,
        files: &[&File],
    ) -> Described {
        let wheels =
            files.iter().filter(|file| file.filename.kind() == DistKind::Wheel || file.core_metadata.is_offered());
        // The smallest: where metadata is not offered, it is read out of the wheel.
        let wheel = wheels
            .filter(|file| file.sha256.is_some())
            .min_by_key(|file| (!file.core_metadata.is_offered(), file.size));
        let said = match wheel {
            Some(file) => self.said_by_wheel(index, file).await,
            None => self.said_by_json(index, project, version).await,
        };
        match said {
            Ok(Some(metadata)) => Described::Known(metadata),
            Ok(None) | Err(IndexError::NoMetadata(_) | IndexError::UnknownProject(..)) => Described::Nothing,
            Err(why) => {
                tracing::debug!(%index, %project, version, %why, "a release does not say what it is");
                Described::Unknown
            }
        }
    }

    async fn said_by_wheel(
        self: &Arc<Self>,
        index: &IndexName,
        file: &File,
    ) -> Result<Option<Map<String, Value>>, IndexError> {
        let Some(digest) = file.sha256 else { return Ok(None) };
        let key =
            FileKey { index: index.clone(), place: Place::Digest(digest.prefix()), filename: file.filename.clone() };
        let answer = self.metadata(FileAsk { file: key, range: None, if_range: None, head_only: false }).await?;
        // The metadata of a mirror's wheel is answered in one piece.
        let mut body = answer.body;
        let Ok(Some(Piece::Bytes(bytes))) = body.next().await else { return Ok(None) };
        let bytes = bytes.get(..bytes.len().min(METADATA_BYTES_MAX)).unwrap_or_default();
        Ok(MetadataFile::parse(bytes).ok().map(|metadata| keyed(metadata.form_fields())))
    }

    async fn said_by_json(
        self: &Arc<Self>,
        index: &IndexName,
        project: &ProjectName,
        version: &str,
    ) -> Result<Option<Map<String, Value>>, IndexError> {
        let mirror = self.mirror(index)?;
        let name = format!("{project}/{version}");
        let document = DocumentKey { index: index.clone(), kind: DocumentKind::LegacyJson, name: name.into() };
        let state = self.state(&document).await?;
        self.settle(&mirror, &document, &state, false).await?;
        let content = self.content_again(&mirror, &document, &state).await?;
        let Content::Json(body) = &*content else { return Ok(None) };
        let Ok(Value::Object(mut said)) = serde_json::from_slice(body) else { return Ok(None) };
        match said.remove("info") {
            Some(Value::Object(info)) => {
                Ok(Some(info.into_iter().filter_map(|(key, value)| told(key, value)).collect()))
            }
            _ => Ok(None),
        }
    }
}

/// Fields of a form as devpi keeps them: one value, or a list of them.
fn keyed(fields: Vec<(String, String)>) -> Map<String, Value> {
    let mut metadata = Map::new();
    for (key, value) in fields {
        if !LISTS.contains(&key.as_str()) {
            metadata.entry(key).or_insert(Value::String(value));
        } else if let Value::Array(values) = metadata.entry(key).or_insert_with(|| Value::Array(Vec::new())) {
            values.push(Value::String(value));
        }
    }
    metadata
}

/// The legacy JSON API writes null for what is not said, and project URLs as an object.
fn told(key: String, value: Value) -> Option<(String, Value)> {
    let value = match value {
        Value::Null => return None,
        Value::Object(urls) if key == "project_urls" => {
            let url = |(label, url): (String, Value)| Some(Value::String(format!("{label}, {}", url.as_str()?)));
            urls.into_iter().filter_map(url).collect()
        }
        value => value,
    };
    Some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_hold_one_value_or_all() {
        let fields = [("summary", "a"), ("summary", "b"), ("classifiers", "c"), ("classifiers", "d")];
        let fields = fields.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        assert_eq!(Value::Object(keyed(fields)), json!({ "summary": "a", "classifiers": ["c", "d"] }));
    }

    #[test]
    fn what_the_legacy_api_does_not_say_is_left_out() {
        assert_eq!(told("license".into(), Value::Null), None);
        let urls = told("project_urls".into(), json!({ "Docs": "https://example.org", "x": null }));
        assert_eq!(urls, Some(("project_urls".into(), json!(["Docs, https://example.org"]))));
    }
}
