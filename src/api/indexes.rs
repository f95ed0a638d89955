use super::{Answer, Asked};
use crate::index::IndexError;
use crate::names::IndexName;
use serde_json::{Map, Value};

/// `GET /{user}/{index}`: its settings, and unless told otherwise the names of its projects.
pub async fn show_index(asked: &Asked<'_>, name: &IndexName, projects: bool) -> Result<Answer, IndexError> {
    let entry = asked.index.readable(asked.subject, name)?;
    let mut shown = entry.settings.to_json();
    if projects {
        shown.insert("projects".to_owned(), asked.index.project_names(&entry).await?.into());
    }
    Ok(Answer::result("indexconfig", shown))
}

/// `PUT /{user}/{index}`
pub async fn create_index(
    asked: &Asked<'_>,
    name: &IndexName,
    given: &Map<String, Value>,
) -> Result<Answer, IndexError> {
    let entry = asked.index.create_index(asked.subject, name, given).await?;
    Ok(Answer::result("indexconfig", entry.settings.to_json()))
}

/// `PATCH /{user}/{index}`: an object of settings, or a list of `key=value`, `key+=value`, `key-=value`.
pub async fn modify_index(
    asked: &Asked<'_>,
    name: &IndexName,
    body: &[u8],
    error_on_noop: bool,
) -> Result<Answer, IndexError> {
    let change: Value = serde_json::from_slice(body)
        .map_err(|_| IndexError::Invalid("Bad request: could not decode json".to_owned()))?;
    let entry = asked.index.modify_index(asked.subject, name, &change, error_on_noop).await?;
    Ok(Answer::result("indexconfig", entry.settings.to_json()))
}

/// `DELETE /{user}/{index}`: 201, as devpi says it.
pub async fn delete_index(asked: &Asked<'_>, name: &IndexName) -> Result<Answer, IndexError> {
    asked.index.delete_index(asked.subject, name).await?;
    Ok(Answer::message(format!("index {name} deleted")).status(201))
}
