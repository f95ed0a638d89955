//! Single values of settings, read as devpi reads them.

use super::acl::Acl;
use super::reserved::{Reserved, Whitelisted};
use crate::names::IndexName;
use serde_json::Value;

/// Why settings are refused, in devpi's words where it has some; several reasons are joined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join(", "))]
pub struct SettingsError(pub Vec<String>);

impl From<String> for SettingsError {
    fn from(why: String) -> Self {
        Self(vec![why])
    }
}

/// Most items of one list, and longest text, in bytes: settings are held in memory and shown with every index.
const ITEMS_MAX: usize = 1_000;
const TEXT_BYTES_MAX: usize = 64 * 1024;

pub fn boolean(value: &Value) -> Result<bool, SettingsError> {
    match value {
        Value::Bool(value) => Ok(*value),
        Value::String(text) => match text.to_lowercase().as_str() {
            "true" | "yes" => Ok(true),
            "false" | "no" => Ok(false),
            _ => Err(format!("Unknown boolean value '{text}'.").into()),
        },
        other => Err(format!("Unknown boolean value {other}.").into()),
    }
}

/// A list, or a text whose items are separated by commas.
pub fn list(value: &Value) -> Result<Vec<String>, SettingsError> {
    let refuse = || SettingsError::from(format!("Unknown list value {value}."));
    let items: Vec<String> = match value {
        Value::Array(items) => {
            items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(refuse)).collect::<Result<_, _>>()?
        }
        Value::String(text) => text.split(',').map(|item| item.trim().to_owned()).collect(),
        _ => return Err(refuse()),
    };
    let items: Vec<_> = items.into_iter().filter(|item| !item.is_empty()).collect();
    if items.len() > ITEMS_MAX {
        return Err(format!("a list has at most {ITEMS_MAX} items").into());
    }
    if items.iter().map(String::len).sum::<usize>() > TEXT_BYTES_MAX {
        return Err(format!("a list has at most {TEXT_BYTES_MAX} bytes").into());
    }
    Ok(items)
}

pub fn acl(value: &Value) -> Result<Acl, SettingsError> {
    list(value).map(Acl::new)
}

/// Bases by their form; whether they are there is asked elsewhere.
pub fn bases(value: &Value) -> Result<Vec<IndexName>, SettingsError> {
    let (mut good, mut bad): (Vec<IndexName>, Vec<String>) = (Vec::new(), Vec::new());
    for raw in list(value)? {
        match IndexName::parse(raw.trim_matches('/')) {
            Ok(base) if good.contains(&base) => {}
            Ok(base) => good.push(base),
            Err(_) => bad.push(format!("invalid base index spec: '{raw}'")),
        }
    }
    if bad.is_empty() { Ok(good) } else { Err(SettingsError(bad)) }
}

pub fn whitelist(value: &Value) -> Result<Vec<Whitelisted>, SettingsError> {
    list(value)?.iter().map(|raw| Whitelisted::parse(raw).map_err(SettingsError::from)).collect()
}

pub fn reserved(value: &Value) -> Result<Vec<Reserved>, SettingsError> {
    list(value)?.iter().map(|raw| Reserved::parse(raw).map_err(SettingsError::from)).collect()
}

/// Text; what is no text is refused.
pub fn text(key: &str, value: &Value) -> Result<String, SettingsError> {
    match value {
        Value::String(text) if text.len() <= TEXT_BYTES_MAX => Ok(text.clone()),
        Value::String(_) => Err(format!("{key} has at most {TEXT_BYTES_MAX} bytes").into()),
        _ => Err(format!("{key} is a text").into()),
    }
}

/// Anything, within bounds.
pub fn any(key: &str, value: &Value) -> Result<Value, SettingsError> {
    match value.to_string().len() <= TEXT_BYTES_MAX {
        true => Ok(value.clone()),
        false => Err(format!("{key} has at most {TEXT_BYTES_MAX} bytes").into()),
    }
}

/// Seconds.
pub fn seconds(key: &str, value: &Value) -> Result<u64, SettingsError> {
    let number = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|seconds| *seconds <= SECONDS_MAX).ok_or_else(|| format!("'{key}' option must be an integer").into())
}

/// Longest that a page may be believed: ten years, so that sums stay far from overflow.
const SECONDS_MAX: u64 = 10 * 365 * 86_400;

pub fn url(value: &Value) -> Result<String, SettingsError> {
    let refuse = || SettingsError::from("'mirror_url' option must be a URL.".to_owned());
    let text = text("mirror_url", value)?;
    let good = text.starts_with("http://") || text.starts_with("https://");
    if !good || url::Url::parse(&text).is_err() {
        return Err(refuse());
    }
    Ok(text)
}
