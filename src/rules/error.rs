use serde_json::Value;

/// Longest value that an error repeats, in characters.
const SHOWN_CHARS_MAX: usize = 200;

/// Why settings were refused. Where devpi has a sentence, it is devpi's: its clients and people's scripts know it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("Unknown boolean value {0}.")]
    Boolean(String),
    #[error("Unknown list value {0}.")]
    List(String),
    #[error("'{0}' takes a text.")]
    Text(&'static str),
    #[error("'{key}' takes at most {max} {unit}.")]
    TooMany { key: &'static str, max: usize, unit: &'static str },
    #[error(
        "{0} is no user, group or special name for a list of users: write a user name, :group, :ANONYMOUS: or :AUTHENTICATED:"
    )]
    Principal(String),
    #[error("{value} is no project name for '{key}': write a name{or}")]
    Project { key: &'static str, value: String, or: &'static str },
    #[error("invalid base index spec: {0}")]
    BaseSpec(String),
    #[error("base index '{0}' does not exist")]
    NoBase(String),
    #[error("Unknown value {0} for mirror_whitelist_inheritance, must be 'intersection' or 'union'.")]
    Inheritance(String),
    #[error("'mirror_url' option must be a URL.")]
    MirrorUrl,
    #[error("'mirror_url' holds *** where its password was shown: write the password, or leave the URL as it is.")]
    HiddenPassword,
    #[error("'mirror_cache_expiry' option must be an integer")]
    Expiry,
    #[error("unknown index type {0}")]
    Type(String),
    #[error("the 'type' of an index can't be changed")]
    TypeChange,
    /// `key=value` pairs joined by commas.
    #[error("indexconfig got unexpected keyword arguments: {0}")]
    Unexpected(String),
    #[error("Default values can't be removed.")]
    Default,
    #[error("The '{key}' setting doesn't have value '{value}'")]
    NotThere { key: String, value: String },
    #[error("The '{0}' setting is no list: write {0}=VALUE.")]
    NoList(String),
    #[error("{0} is no change: write \"key=value\", \"key+=value\" or \"key-=value\", or an object of settings.")]
    NoChange(String),
    #[error("{}", joined(.0))]
    Several(Vec<SettingsError>),
}

impl SettingsError {
    /// One error for all of `errors`, if there are any.
    pub(super) fn of(mut errors: Vec<Self>) -> Result<(), Self> {
        match errors.pop() {
            None => Ok(()),
            Some(only) if errors.is_empty() => Err(only),
            Some(last) => {
                errors.push(last);
                Err(Self::Several(errors))
            }
        }
    }
}

fn joined(errors: &[SettingsError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A value as devpi's sentences show it, that is as Python writes it; bounded.
pub(super) fn shown(value: &Value) -> String {
    cut(repr(value))
}

/// As [`shown`], but a text without its quotes.
pub(super) fn shown_plain(value: &Value) -> String {
    match value {
        Value::String(text) => cut(text.clone()),
        value => shown(value),
    }
}

pub(super) fn shown_text(text: &str) -> String {
    cut(quoted(text))
}

fn cut(text: String) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

/// The depth is bounded by the JSON reader's.
fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(values) => format!("[{}]", values.iter().map(repr).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let members = map.iter().map(|(key, value)| format!("{}: {}", quoted(key), repr(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
    }
}

fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for character in text.chars() {
        match character {
            '\'' | '"' if character != quote => out.push(character),
            character => out.extend(character.escape_debug()),
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_shown_as_python_writes_them() {
        for (value, expected) in [
            (json!(null), "None"),
            (json!(true), "True"),
            (json!(-1.5), "-1.5"),
            (json!("it's"), "\"it's\""),
            (json!("a'b\"c\n"), "'a\\'b\"c\\n'"),
            (json!([1, "a", {"b": false}]), "[1, 'a', {'b': False}]"),
        ] {
            assert_eq!(shown(&value), expected);
        }
        assert_eq!(shown_plain(&json!("a")), "a");
        assert_eq!(shown(&json!("é".repeat(500))).chars().count(), SHOWN_CHARS_MAX + 1);
    }

    #[test]
    fn several_sentences_stand_side_by_side() {
        assert_eq!(SettingsError::of(Vec::new()), Ok(()));
        assert_eq!(SettingsError::of(vec![SettingsError::Default]), Err(SettingsError::Default));
        let both = SettingsError::of(vec![SettingsError::BaseSpec("'x'".into()), SettingsError::NoBase("a/b".into())]);
        assert_eq!(both.unwrap_err().to_string(), "invalid base index spec: 'x', base index 'a/b' does not exist");
    }
}
