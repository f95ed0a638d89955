use super::settings::IndexSettings;
use super::value::{self, SettingsError};
use crate::names::UserName;
use serde_json::{Map, Value, json};

/// Most operations in one change.
const OPERATIONS_MAX: usize = 1_000;

/// One operation of a list.
enum Operation<'a> {
    /// `key=value`
    Set(&'a str, &'a str),
    /// `key+=value`
    Add(&'a str, &'a str),
    /// `key-=value`
    Remove(&'a str, &'a str),
    /// `key-=`
    Drop(&'a str),
}

impl IndexSettings {
    /// The settings after a change: an object says what is set, a list of texts what is done (devpi's `get_actions`).
    pub fn change(&self, _owner: &UserName, change: &Value) -> Result<Self, SettingsError> {
        let mut changed = self.clone();
        match change {
            Value::Object(given) => changed.take(self.given(given)?)?,
            Value::Array(items) if items.len() <= OPERATIONS_MAX => {
                for item in items {
                    let text = item.as_str().ok_or_else(|| "an operation is a text like key=value".to_owned())?;
                    changed.carry_out(&Operation::parse(text))?;
                }
            }
            Value::Array(_) => return Err(format!("at most {OPERATIONS_MAX} operations are taken").into()),
            _ => return Err("settings are an object, or a list of operations".to_owned().into()),
        }
        Ok(changed)
    }

    /// The object itself, or what it holds when a whole answer was sent back.
    fn given<'a>(&self, given: &'a Map<String, Value>) -> Result<&'a Map<String, Value>, SettingsError> {
        let inner = match (given.get("type").and_then(Value::as_str), given.get("result")) {
            (Some("indexconfig"), Some(Value::Object(result))) => result,
            _ => given,
        };
        let own = if self.is_stage() { "stage" } else { "mirror" };
        match inner.get("type") {
            Some(kind) if kind.as_str() != Some(own) => {
                Err("the 'type' of an index can't be changed".to_owned().into())
            }
            _ => Ok(inner),
        }
    }

    fn carry_out(&mut self, operation: &Operation<'_>) -> Result<(), SettingsError> {
        match operation {
            Operation::Set(key, text) => {
                let given = json!({ *key: text });
                let given = given.as_object().cloned().unwrap_or_default();
                let given = self.given(&given)?.clone();
                self.take(&given)
            }
            Operation::Drop(key) => self.drop_key(key),
            Operation::Add(key, text) => self.with_list(key, |items| {
                for item in value::list(&Value::from(*text))? {
                    if !items.contains(&item) {
                        items.push(item);
                    }
                }
                Ok(())
            }),
            Operation::Remove(key, text) => self.with_list(key, |items| match items.iter().position(|item| item == text) {
                Some(at) => {
                    items.remove(at);
                    Ok(())
                }
                None => Err(format!("The '{key}' setting doesn't have value '{text}'").into()),
            }),
        }
    }

    fn with_list(
        &mut self,
        key: &str,
        change: impl FnOnce(&mut Vec<String>) -> Result<(), SettingsError>,
    ) -> Result<(), SettingsError> {
        // Our own two are not shown while they say nothing.
        let known = match (self.to_stored().remove(key), key) {
            (Some(known), _) => known,
            (None, "acl_read") => self.acl_read().names().to_vec().into(),
            (None, "reserved") => json!([]),
            (None, key) => return Err(format!("The '{key}' setting is no list").into()),
        };
        if !known.is_array() {
            return Err(format!("The '{key}' setting is no list").into());
        }
        let mut items = value::list(&known)?;
        change(&mut items)?;
        let given = json!({ key: items });
        self.take(&given.as_object().cloned().unwrap_or_default())
    }
}

impl<'a> Operation<'a> {
    fn parse(text: &'a str) -> Self {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        match (key.strip_suffix('+'), key.strip_suffix('-')) {
            (Some(key), _) => Self::Add(key, value),
            (None, Some(key)) if value.is_empty() => Self::Drop(key),
            (None, Some(key)) => Self::Remove(key, value),
            (None, None) => Self::Set(key, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stage() -> IndexSettings {
        let given = json!({ "bases": ["a/b"], "title": "T" });
        IndexSettings::create(&UserName::parse("ada").unwrap(), given.as_object().unwrap()).unwrap()
    }

    fn change(change: Value) -> Result<Value, String> {
        let changed = stage().change(&UserName::parse("ada").unwrap(), &change);
        changed.map(|settings| settings.to_shown().into()).map_err(|why| why.to_string())
    }

    #[test]
    fn a_list_says_what_is_done() {
        let changed = change(json!(["acl_upload+=bob", "bases-=a/b", "volatile=no", "title-=", "reserved+=acme"])).unwrap();
        assert_eq!(changed["acl_upload"], json!(["ada", "bob"]));
        assert_eq!((&changed["bases"], &changed["volatile"]), (&json!([]), &json!(false)));
        assert_eq!((&changed["title"], &changed["reserved"]), (&Value::Null, &json!(["acme"])));
        let closed = change(json!(["acl_read=ada", "acl_read+=bob", "acl_read-=ada"])).unwrap();
        assert_eq!(closed["acl_read"], json!(["bob"]));
        assert_eq!(change(json!(["acl_read=ada", "acl_read-="])).unwrap()["acl_read"], Value::Null);
        for (operation, sentence) in [
            ("bases-=x/y", "The 'bases' setting doesn't have value 'x/y'"),
            ("volatile-=", "Default values can't be removed."),
            ("volatile+=x", "The 'volatile' setting is no list"),
            ("shoe=1", "indexconfig got unexpected keyword arguments: shoe=1"),
            ("type=mirror", "the 'type' of an index can't be changed"),
        ] {
            assert_eq!(change(json!([operation])).unwrap_err(), sentence);
        }
    }

    #[test]
    fn an_object_says_what_is_set_and_leaves_the_rest() {
        let changed = change(json!({ "volatile": false, "type": "stage", "projects": ["x"] })).unwrap();
        assert_eq!((&changed["volatile"], &changed["title"]), (&json!(false), &json!("T")));
        let whole = json!({ "result": { "title": "U" }, "type": "indexconfig" });
        assert_eq!(change(whole).unwrap()["title"], "U");
        assert_eq!(change(json!({ "type": "mirror" })).unwrap_err(), "the 'type' of an index can't be changed");
        assert!(change(json!(7)).is_err() && change(json!([7])).is_err());
        assert_eq!(change(stage().to_shown().into()).unwrap(), Value::from(stage().to_shown()), "a change to what is");
    }

    proptest! {
        #[test]
        fn never_panics(operation in "[a-z_]{0,12}[+-]?=?.{0,12}") {
            let _ = change(json!([operation]));
        }
    }
}
