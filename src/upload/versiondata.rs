use super::Form;
use serde_json::{Map, Value};

/// What devpi keeps of a form, in its order, and whether it is a list.
const KEYS: [(&str, bool); 31] = [
    ("name", false),
    ("version", false),
    ("metadata_version", false),
    ("summary", false),
    ("home_page", false),
    ("author", false),
    ("author_email", false),
    ("maintainer", false),
    ("maintainer_email", false),
    ("license", false),
    ("description", false),
    ("keywords", false),
    ("platform", true),
    ("classifiers", true),
    ("download_url", false),
    ("supported_platform", true),
    ("comment", false),
    ("provides", true),
    ("requires", true),
    ("obsoletes", true),
    ("project_urls", true),
    ("provides_dist", true),
    ("obsoletes_dist", true),
    ("requires_dist", true),
    ("requires_external", true),
    ("requires_python", false),
    ("description_content_type", false),
    ("provides_extras", true),
    ("dynamic", true),
    ("license_expression", false),
    ("license_file", true),
];

/// Names that upload tools use for a key of devpi's, which loses what they say.
const OTHER_NAMES: [(&str, &str); 3] =
    [("provides_extras", "provides_extra"), ("license_file", "license_files"), ("classifiers", "classifier")];

/// All keys with what devpi has for a field that was not sent.
pub fn versiondata_defaults() -> Map<String, Value> {
    KEYS.iter().map(|&(key, is_list)| (key.to_owned(), empty(is_list))).collect()
}

/// The keys that the form has, with its values. What setuptools calls `UNKNOWN` is nothing.
pub fn of(form: &Form) -> Map<String, Value> {
    let mut data = Map::new();
    for (key, is_list) in KEYS {
        let other = OTHER_NAMES.iter().find(|(name, _)| *name == key).map(|(_, other)| *other);
        let Some(key_sent) = [Some(key), other].into_iter().flatten().find(|key| form.get(key).is_some()) else {
            continue;
        };
        let value = if is_list {
            form.all(key_sent).filter(|value| !value.is_empty()).collect()
        } else {
            form.get(key_sent).filter(|value| *value != "UNKNOWN").unwrap_or_default().into()
        };
        data.insert(key.to_owned(), value);
    }
    data
}

/// As [`of`], with the defaults for what the form does not have.
pub fn whole(form: &Form) -> Map<String, Value> {
    let mut data = versiondata_defaults();
    data.extend(of(form));
    data
}

fn empty(is_list: bool) -> Value {
    if is_list { Value::Array(Vec::new()) } else { Value::String(String::new()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keeps_devpis_keys_in_devpis_order() {
        let fields = [
            ("requires_python", ">=3.8"),
            ("classifiers", "A"),
            ("name", "a"),
            ("classifiers", ""),
            ("classifiers", "B"),
            ("license", "UNKNOWN"),
            ("provides_extra", "x"),
            ("filetype", "sdist"),
            ("platform", ""),
        ];
        let form = Form::new(fields.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect());
        let expected = json!({"name": "a", "license": "", "platform": [], "classifiers": ["A", "B"],
            "requires_python": ">=3.8", "provides_extras": ["x"]});
        assert_eq!(serde_json::to_string(&of(&form)).unwrap(), expected.to_string());
        let whole = whole(&form);
        assert_eq!(whole.keys().map(String::as_str).collect::<Vec<_>>(), KEYS.map(|(key, _)| key));
        assert_eq!((&whole["summary"], &whole["requires_dist"]), (&json!(""), &json!([])));
        assert_eq!(whole["name"], "a");
    }
}
