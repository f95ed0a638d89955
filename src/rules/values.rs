//! Single values, read as devpi reads them: booleans and numbers may come as texts, lists as texts with commas.

use super::acl::{Acl, Principal};
use super::error::{shown, shown_plain, shown_text};
use super::patterns::{Reserved, Whitelisted};
use super::{Inheritance, SettingsError};
use crate::names::IndexName;
use serde_json::Value;

/// Longest text of a setting, in bytes: a description may be a page long, not a book.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Most entries of a list; every one is looked at when a page is made.
const ENTRIES_MAX: usize = 10_000;

/// Most bases of one index: more could not be asked in the time that a client waits.
const BASES_MAX: usize = 100;

/// One setting that is to change.
#[derive(Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) key: &'a str,
    pub(super) what: What<'a>,
}

#[derive(Clone, Copy)]
pub(super) enum What<'a> {
    /// `key=value`
    Set(&'a Value),
    /// `key+=value`
    Add(&'a Value),
    /// `key-=value`
    Remove(&'a Value),
    /// `key-=`
    Drop,
}

impl Change<'_> {
    /// A setting that is always there.
    pub(super) fn one<T>(self, to: &mut T, read: impl Fn(&Value) -> Result<T, SettingsError>) -> Outcome {
        match self.what {
            What::Set(value) => *to = read(value)?,
            What::Add(_) | What::Remove(_) => return Err(SettingsError::NoList(self.key.to_owned())),
            What::Drop => return Err(SettingsError::Default),
        }
        Ok(())
    }

    /// A setting that may be missing.
    pub(super) fn maybe<T>(self, to: &mut Option<T>, read: impl Fn(&Value) -> Result<T, SettingsError>) -> Outcome {
        match self.what {
            What::Set(Value::Null) | What::Drop => *to = None,
            What::Set(value) => *to = Some(read(value)?),
            What::Add(_) | What::Remove(_) => return Err(SettingsError::NoList(self.key.to_owned())),
        }
        Ok(())
    }

    /// A boolean that is false when it is not given.
    pub(super) fn flag(self, to: &mut bool) -> Outcome {
        match self.what {
            What::Drop => *to = false,
            _ => return self.one(to, boolean),
        }
        Ok(())
    }

    pub(super) fn list<T: PartialEq>(
        self,
        to: &mut Vec<T>,
        read: impl Fn(&Value) -> Result<Vec<T>, SettingsError>,
    ) -> Outcome {
        match self.what {
            What::Set(value) => *to = read(value)?,
            What::Add(value) => {
                for entry in read(value)? {
                    if !to.contains(&entry) {
                        to.push(entry);
                    }
                }
            }
            What::Remove(value) => {
                // What cannot be read cannot be there.
                let entries = read(value).ok().filter(|entries| entries.iter().all(|entry| to.contains(entry)));
                let Some(entries) = entries else {
                    return Err(SettingsError::NotThere { key: self.key.to_owned(), value: shown_plain(value) });
                };
                to.retain(|entry| !entries.contains(entry));
            }
            What::Drop => return Err(SettingsError::Default),
        }
        Ok(())
    }

    pub(super) fn bases(self, to: &mut Vec<IndexName>) -> Outcome {
        self.list(to, bases)?;
        bounded("bases", to.len(), BASES_MAX)
    }

    pub(super) fn acl(self, key: &'static str, to: &mut Acl) -> Outcome {
        let read = |value: &Value| entries(value, Principal::parse);
        self.list(to.principals_mut(), read)?;
        bounded(key, to.principals().len(), ENTRIES_MAX)
    }

    /// Who may read: as [`acl`](Self::acl), but dropping it opens the index again.
    pub(super) fn readers(self, to: &mut Acl) -> Outcome {
        if let What::Drop = self.what {
            *to = Acl::everybody();
            return Ok(());
        }
        self.acl("acl_read", to)
    }

    pub(super) fn reserved(self, to: &mut Vec<Reserved>) -> Outcome {
        if let What::Drop = self.what {
            to.clear();
            return Ok(());
        }
        self.list(to, |value| entries(value, Reserved::parse))?;
        bounded("reserved", to.len(), ENTRIES_MAX)
    }

    pub(super) fn whitelist(self, to: &mut Vec<Whitelisted>) -> Outcome {
        self.list(to, |value| entries(value, Whitelisted::parse))?;
        bounded("mirror_whitelist", to.len(), ENTRIES_MAX)
    }

    pub(super) fn text(self, key: &'static str, to: &mut Option<String>) -> Outcome {
        self.maybe(to, |value| {
            let text = value.as_str().ok_or(SettingsError::Text(key))?;
            if text.len() > TEXT_BYTES_MAX {
                return Err(SettingsError::TooMany { key, max: TEXT_BYTES_MAX, unit: "bytes" });
            }
            Ok(text.to_owned())
        })
    }

    pub(super) fn any(self, to: &mut Option<Value>) -> Outcome {
        self.maybe(to, |value| Ok(value.clone()))
    }
}

pub(super) type Outcome = Result<(), SettingsError>;

pub(super) fn boolean(value: &Value) -> Result<bool, SettingsError> {
    let said = match value {
        Value::Bool(said) => return Ok(*said),
        Value::String(text) => text.to_lowercase(),
        value => return Err(SettingsError::Boolean(shown(value))),
    };
    match said.as_str() {
        "true" | "yes" => Ok(true),
        "false" | "no" => Ok(false),
        _ => Err(SettingsError::Boolean(shown(value))),
    }
}

pub(super) fn inheritance(value: &Value) -> Result<Inheritance, SettingsError> {
    let said = value.as_str().map(str::to_lowercase);
    match said.as_deref() {
        Some("intersection") => Ok(Inheritance::Intersection),
        Some("union") => Ok(Inheritance::Union),
        Some(said) => Err(SettingsError::Inheritance(shown_text(said))),
        None => Err(SettingsError::Inheritance(shown(value))),
    }
}

/// Seconds.
pub(super) fn expiry(value: &Value) -> Result<u64, SettingsError> {
    let said = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    said.ok_or(SettingsError::Expiry)
}

fn bases(value: &Value) -> Result<Vec<IndexName>, SettingsError> {
    let mut errors = Vec::new();
    let mut bases = Vec::new();
    for raw in texts(value)? {
        match IndexName::parse(raw) {
            Ok(name) => bases.push(name),
            Err(_) => errors.push(SettingsError::BaseSpec(shown_text(raw))),
        }
    }
    SettingsError::of(errors).map(|()| bases)
}

fn entries<T>(value: &Value, read: impl Fn(&str) -> Result<T, SettingsError>) -> Result<Vec<T>, SettingsError> {
    texts(value)?.into_iter().map(read).collect()
}

fn texts(value: &Value) -> Result<Vec<&str>, SettingsError> {
    let refused = || SettingsError::List(shown(value));
    match value {
        Value::Array(values) => values.iter().map(|value| value.as_str().ok_or_else(refused)).collect(),
        Value::String(text) => Ok(text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect()),
        _ => Err(refused()),
    }
}

fn bounded(key: &'static str, count: usize, max: usize) -> Outcome {
    if count > max { Err(SettingsError::TooMany { key, max, unit: "entries" }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn booleans_are_words_too() {
        for (value, expected) in [
            (json!(true), Ok(true)),
            (json!("Yes"), Ok(true)),
            (json!("TRUE"), Ok(true)),
            (json!("no"), Ok(false)),
            (json!("False"), Ok(false)),
            (json!("maybe"), Err("Unknown boolean value 'maybe'.")),
            (json!(""), Err("Unknown boolean value ''.")),
            (json!(5), Err("Unknown boolean value 5.")),
            (json!(null), Err("Unknown boolean value None.")),
        ] {
            assert_eq!(boolean(&value).map_err(|error| error.to_string()), expected.map_err(str::to_owned));
        }
    }

    #[test]
    fn lists_are_texts_with_commas_too() {
        assert_eq!(texts(&json!(" a, b ,,c")), Ok(vec!["a", "b", "c"]));
        assert_eq!(texts(&json!("")), Ok(vec![]));
        assert_eq!(texts(&json!(["a,b"])), Ok(vec!["a,b"]));
        assert_eq!(texts(&json!(5)).unwrap_err().to_string(), "Unknown list value 5.");
        assert_eq!(texts(&json!([1])).unwrap_err().to_string(), "Unknown list value [1].");
    }

    #[test]
    fn seconds_are_whole_and_not_negative() {
        assert_eq!(expiry(&json!("60")), Ok(60));
        assert_eq!(expiry(&json!(0)), Ok(0));
        for value in [json!("x"), json!(-5), json!(1.5), json!(null), json!("")] {
            assert_eq!(expiry(&value), Err(SettingsError::Expiry));
        }
    }
}
